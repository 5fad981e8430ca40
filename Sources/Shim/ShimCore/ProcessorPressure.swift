internal import LinuxSyscalls
internal import SystemPackage

/// How long some task of the machine has waited for a processor until now. - Source: Documentation/accounting/psi.rst.
struct ProcessorPressure {
    private static let byteCount = 4096
    /// High is what takes at least this part of the time: one half.
    private static let highDivisor: Int64 = 2

    let waitedMicroseconds: Int64
    /// When, by the monotonic clock. Nanoseconds.
    let at: Int64

    /// nil where the kernel does not tell.
    static func now() -> ProcessorPressure? {
        guard let text = try? readFile("/proc/pressure/cpu", limitBytes: byteCount) else { return nil }
        return waited(String(decoding: text, as: UTF8.self)).map { ProcessorPressure(waitedMicroseconds: $0, at: monotonicNanoseconds()) }
    }

    /// Reads `some avg10=99.40 avg60=… avg300=… total=12345`.
    static func waited(_ text: String) -> Int64? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("some ") }
        let word = line?.split(separator: " ").first { $0.hasPrefix("total=") }
        return word.flatMap { Int64($0.dropFirst("total=".count)) }
    }

    /// Whether processors were so wanted since `before` that somebody waited for most of the time.
    func isHigh(since before: ProcessorPressure) -> Bool {
        let span = (at - before.at) / 1000
        let waited = waitedMicroseconds.subtractingReportingOverflow(before.waitedMicroseconds).partialValue
        return span > 0 && waited >= span / Self.highDivisor
    }
}
