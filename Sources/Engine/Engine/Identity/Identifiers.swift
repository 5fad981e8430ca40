/// 64 random hexadecimal digits, as containers and execs are called.
enum Identifiers {
    /// Digits of a full id.
    static let digitCount = 64
    /// Digits that lists show, and the host name that a container gets.
    static let shortDigitCount = 12

    /// A new id. One whose short form is all decimal digits is thrown away: as a host name it would look like a number.
    static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        while true {
            let id = (0..<4).map { _ in hexadecimal(generator.next()) }.joined()
            if !id.prefix(shortDigitCount).allSatisfy(\.isNumber) { return id }
        }
    }

    /// Whether a text has the form of a full id.
    static func isIdentifier(_ text: String) -> Bool {
        text.utf8.count == digitCount && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private static func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension String {
    /// The first twelve digits of an id.
    var shortID: String { String(prefix(Identifiers.shortDigitCount)) }
}
