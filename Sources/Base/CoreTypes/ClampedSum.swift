extension FixedWidthInteger {
    /// The sum, or the nearest that the type has: of sizes that come from outside, two may be more than any disk holds.
    package func addingClamped(_ other: Self) -> Self {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? (other < 0 ? .min : .max) : sum
    }
}
