/// A number that is not negative as its decimal digits: `0.` and the digits, times ten to the power of `point`.
struct DecimalDigits {
    private var digits: [UInt8]
    private var point: Int
    /// The fewest digits that mean this number and no other.
    private let shortest: (digits: [UInt8], point: Int)

    /// All digits of a finite number, exactly: as many as it takes, some 770 at most.
    init(_ value: Double) {
        shortest = Self.read(value.description)
        let fraction: UInt64 = value.isNormal ? value.significandBitPattern | 1 << 52 : value.significandBitPattern
        let power = max(1, Int(value.exponentBitPattern)) - 1075
        digits = String(fraction).utf8.map { $0 - UInt8(ascii: "0") }.reversed()
        // Times two, or, for a negative power, times five and a tenth.
        for _ in 0..<abs(power) { Self.multiply(&digits, by: power > 0 ? 2 : 5) }
        point = digits.count + min(0, power)
        digits.reverse()
        Self.trim(&digits, &point)
    }

    /// Digits from `12.5`, `1e-07`, ….
    private static func read(_ text: String) -> (digits: [UInt8], point: Int) {
        let parts = text.split(separator: "e")
        let halves = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var digits = halves.joined().utf8.map { $0 - UInt8(ascii: "0") }
        var point = halves[0].count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        trim(&digits, &point)
        return (digits, point)
    }

    private static func trim(_ digits: inout [UInt8], _ point: inout Int) {
        while digits.last == 0 { digits.removeLast() }
        let zeros = digits.prefix { $0 == 0 }.count
        digits.removeFirst(zeros)
        point = digits.isEmpty ? 1 : point - zeros
    }

    /// - Parameter digits: the last first.
    private static func multiply(_ digits: inout [UInt8], by factor: UInt8) {
        var carry: UInt8 = 0
        for index in digits.indices {
            let product = digits[index] * factor + carry
            digits[index] = product % 10
            carry = product / 10
        }
        if carry > 0 { digits.append(carry) }
    }

    /// Rounded to so many digits; halves go to the even one.
    private func rounded(to count: Int) -> (digits: [UInt8], point: Int) {
        guard count < digits.count else { return (digits, point) }
        guard count >= 0 else { return ([], point) }
        let isHalf = digits[count] == 5 && digits.count == count + 1
        let isUp = isHalf ? count > 0 && digits[count - 1] % 2 == 1 : digits[count] >= 5
        var (kept, point) = (Array(digits[..<count]), point)
        if isUp {
            while kept.last == 9 { kept.removeLast() }
            if kept.isEmpty {
                kept = [1]
                point += 1
            } else {
                kept[kept.count - 1] += 1
            }
        }
        while kept.last == 0 { kept.removeLast() }
        return (kept, point)
    }

    /// `%f`.
    func plain(places: Int) -> String { Self.plain(rounded(to: point + places), places: places) }

    /// `%e`.
    func exponential(places: Int) -> String { Self.exponential(rounded(to: places + 1), places: places) }

    /// `%g`: the shorter of both.
    /// - Parameter digits: how many; nil for as few as mean this number.
    func general(digits wanted: Int?) -> String {
        let chosen = wanted.map { rounded(to: max(1, $0)) } ?? shortest
        var limit = wanted.map { max(1, $0) } ?? 6
        if let wanted, wanted > chosen.digits.count, chosen.digits.count >= chosen.point { limit = chosen.digits.count }
        let exponent = chosen.point - 1
        if exponent < -4 || exponent >= limit { return Self.exponential(chosen, places: max(0, chosen.digits.count - 1)) }
        return Self.plain(chosen, places: max(0, chosen.digits.count - chosen.point))
    }

    private static func text(_ digits: some Sequence<UInt8>) -> String { digits.map { String($0) }.joined() }

    private static func plain(_ number: (digits: [UInt8], point: Int), places: Int) -> String {
        let point = number.digits.isEmpty ? 0 : number.point
        func digit(_ place: Int) -> UInt8 { number.digits.indices.contains(place) ? number.digits[place] : 0 }
        let whole = point > 0 ? text((0..<point).map(digit)) : "0"
        return places == 0 ? whole : whole + "." + text((0..<places).map { digit(point + $0) })
    }

    private static func exponential(_ number: (digits: [UInt8], point: Int), places: Int) -> String {
        let digits = number.digits + Array(repeating: 0, count: max(0, places + 1 - number.digits.count))
        let exponent = number.digits.isEmpty ? 0 : number.point - 1
        let power = String(abs(exponent))
        let mantissa = text(digits.prefix(1)) + (places == 0 ? "" : "." + text(digits.dropFirst().prefix(places)))
        return "\(mantissa)e\(exponent < 0 ? "-" : "+")\(power.count < 2 ? "0" : "")\(power)"
    }
}
