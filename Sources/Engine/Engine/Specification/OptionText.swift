/// Values of options of volumes and logs, read as docker's libraries read them and refused in their words.
enum OptionText {
    /// A size with a decimal unit, `10m` being ten million bytes. - Source: docker/go-units, FromHumanSize.
    static func decimalSize(_ text: String) throws(EngineError) -> UInt64 { try size(text, base: 1000) }

    /// A size with a binary unit. - Source: docker/go-units, RAMInBytes.
    static func binarySize(_ text: String) throws(EngineError) -> UInt64 { try size(text, base: 1024) }

    private static func size(_ text: String, base: Double) throws(EngineError) -> UInt64 {
        let lower = text.lowercased()
        let digits = lower.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = lower.dropFirst(digits.count).drop { $0 == " " }
        guard let number = Double(digits), number.isFinite else { throw EngineError(.invalidParameter, "invalid size: '\(text)'") }
        let letters: [Character] = ["b", "k", "m", "g", "t", "p"]
        var power = 0
        if let first = unit.first {
            let rest = unit.dropFirst()
            guard let index = letters.firstIndex(of: first), rest.isEmpty || (index > 0 && (rest == "b" || rest == "ib")) else {
                throw EngineError(.invalidParameter, "invalid suffix: '\(unit)'")
            }
            power = index
        }
        let bytes = (0..<power).reduce(number) { product, _ in product * base }
        guard bytes < 9.2e18 else { throw EngineError(.invalidParameter, "invalid size: '\(text)'") }
        return UInt64(bytes)
    }

    /// - Source: Go's strconv.Atoi.
    static func number(_ text: String) throws(EngineError) -> Int {
        guard let number = Int(text) else {
            throw EngineError(.invalidParameter, "strconv.Atoi: parsing \"\(text)\": invalid syntax")
        }
        return number
    }

    /// - Source: Go's strconv.ParseBool.
    static func boolean(_ text: String) throws(EngineError) -> Bool {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        default: throw EngineError(.invalidParameter, "strconv.ParseBool: parsing \"\(text)\": invalid syntax")
        }
    }
}
