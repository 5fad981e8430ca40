/// Which letters fit at a place of a regular expression.
struct ScalarSet: Sendable {
    /// A bit for each of the first 128.
    private var low = SIMD2<UInt64>()
    /// Those beyond, in their order, with others between each and the next.
    private var ranges: [ClosedRange<UInt32>] = []
    /// Whether it is all but these.
    var isNegated = false
    /// Whether a letter fits that differs in its case only.
    var ignoresCase = false

    private static let lowLimit: UInt32 = 128

    static let none = ScalarSet()
    static let all = ScalarSet("\u{0}"..."\u{10ffff}")
    static let allInALine = ScalarSet("\n").inverted
    static let digits = ScalarSet("0"..."9")
    static let letters = ScalarSet("a"..."z").union(ScalarSet("A"..."Z"))
    static let words = letters.union(digits).union(ScalarSet("_"))
    static let spaces = ScalarSet("\t"..."\n").union(ScalarSet("\u{c}"..."\r")).union(ScalarSet(" "))

    private init() {}
    init(_ letter: Unicode.Scalar) { self.init(letter...letter) }
    init(_ range: ClosedRange<Unicode.Scalar>) {
        let (least, most) = (range.lowerBound.value, range.upperBound.value)
        if least < Self.lowLimit { for value in least...min(most, Self.lowLimit - 1) { low[Int(value >> 6)] |= 1 << UInt64(value & 63) } }
        if most >= Self.lowLimit { ranges = [max(least, Self.lowLimit)...most] }
    }

    /// All others, of a set that has none or all beyond the first 128.
    var inverted: ScalarSet {
        var set = ScalarSet()
        set.low = ~low
        if ranges.isEmpty { set.ranges = [Self.lowLimit...0x10ffff] }
        return set
    }

    /// - Parameter otherCases: of the letter, for a set that ignores it.
    func contains(_ letter: Unicode.Scalar, otherCases: [Unicode.Scalar] = []) -> Bool {
        let isThere = has(letter) || ignoresCase && otherCases.contains(where: has)
        return isThere != isNegated
    }

    private func has(_ letter: Unicode.Scalar) -> Bool {
        let value = letter.value
        if value < Self.lowLimit { return low[Int(value >> 6)] & 1 << UInt64(value & 63) != 0 }
        let place = firstRange { $0.upperBound >= value }
        return place < ranges.count && ranges[place].lowerBound <= value
    }

    /// The place of the first range that something holds of, as it does of all behind it; or the end.
    private func firstRange(_ holds: (ClosedRange<UInt32>) -> Bool) -> Int {
        var (least, most) = (0, ranges.count)
        while least < most {
            let middle = (least + most) / 2
            if holds(ranges[middle]) { most = middle } else { least = middle + 1 }
        }
        return least
    }

    /// A letter in its other cases, where each is one letter.
    static func otherCases(_ letter: Unicode.Scalar) -> [Unicode.Scalar] {
        let properties = letter.properties
        return [properties.lowercaseMapping, properties.uppercaseMapping].compactMap { text in
            text.unicodeScalars.count == 1 ? text.unicodeScalars.first : nil
        }
    }

    mutating func formUnion(_ other: ScalarSet) {
        low |= other.low
        for range in other.ranges { insert(range) }
    }

    /// Of those that it touches, and of itself, one is made.
    private mutating func insert(_ range: ClosedRange<UInt32>) {
        let touched = firstRange { $0.upperBound + 1 >= range.lowerBound }..<firstRange { $0.lowerBound > range.upperBound + 1 }
        let (first, last) = (ranges[touched].first ?? range, ranges[touched].last ?? range)
        let whole = min(first.lowerBound, range.lowerBound)...max(last.upperBound, range.upperBound)
        ranges.replaceSubrange(touched, with: CollectionOfOne(whole))
    }

    func union(_ other: ScalarSet) -> ScalarSet {
        var set = self
        set.formUnion(other)
        return set
    }
}
