/// Whether one name comes before another in docker's lists: numbers in them count by their value, so that `n9` comes before `n10`.
/// - Source: github.com/fvbommel/sortorder, natsort.go, NaturalLess.
func precedesNaturally(_ one: String, _ other: String) -> Bool {
    var (left, right) = (Substring(one).utf8, Substring(other).utf8)
    while let first = left.first, let second = right.first {
        switch (isDigit(first), isDigit(second)) {
        case (true, true):
            let (number, rival) = (DigitRun(takenFrom: &left), DigitRun(takenFrom: &right))
            if number != rival { return number < rival }
        case (let isNumber, let isRivalNumber) where isNumber != isRivalNumber: return isNumber
        default:
            if first != second { return first < second }
            left.removeFirst()
            right.removeFirst()
        }
    }
    return left.isEmpty && !right.isEmpty
}

/// A number in a name, of whatever length.
private struct DigitRun: Comparable {
    private let zeros: Int
    private let digits: [UInt8]

    init(takenFrom text: inout Substring.UTF8View) {
        let run = text.prefix(while: isDigit)
        zeros = run.prefix { $0 == UInt8(ascii: "0") }.count
        digits = Array(run.dropFirst(zeros))
        text.removeFirst(run.count)
    }

    /// Where the values are alike, fewer zeros come first.
    static func < (one: DigitRun, other: DigitRun) -> Bool {
        if one.digits.count != other.digits.count { return one.digits.count < other.digits.count }
        if one.digits != other.digits { return one.digits.lexicographicallyPrecedes(other.digits) }
        return one.zeros < other.zeros
    }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
