/// What a server wants before it serves: one challenge of a WWW-Authenticate field.
/// - Source: RFC 9110, section 11.6.1; distribution-spec's token authentication, "Requesting a Token".
package struct Challenge: Equatable, Sendable {
    /// In lower case: `bearer`, `basic`.
    package let scheme: String
    /// Names in lower case.
    package let parameters: [String: String]

    package init(scheme: String, parameters: [String: String]) {
        self.scheme = scheme
        self.parameters = parameters
    }

    /// The longest field that is parsed.
    private static let lengthLimit = 8192

    /// All challenges of the fields of one response. A field that does not follow the grammar gives none.
    package static func parse(_ fields: [String]) -> [Challenge] {
        fields.flatMap { ChallengeParser($0.utf8.prefix(lengthLimit + 1)).all() }
    }

    /// The parser refuses what is longer than this.
    fileprivate static func isTooLong(_ count: Int) -> Bool { count > lengthLimit }
}

/// Reads `scheme name=value, name="value", scheme …` from left to right.
private struct ChallengeParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ field: some Collection<UInt8>) { bytes = Array(field) }

    func all() -> [Challenge] {
        var parser = self
        var challenges: [Challenge] = []
        if Challenge.isTooLong(bytes.count) { return [] }
        parser.skipSeparators()
        while parser.position < bytes.count {
            guard let challenge = parser.challenge() else { return [] }
            challenges.append(challenge)
            parser.skipSeparators()
        }
        return challenges
    }

    private mutating func challenge() -> Challenge? {
        guard let scheme = token() else { return nil }
        var parameters: [String: String] = [:]
        if position < bytes.count && !isSpace(bytes[position]) && bytes[position] != UInt8(ascii: ",") { return nil }
        while true {
            let start = position
            skipSeparators()
            guard position < bytes.count else { break }
            guard let name = token(), take(UInt8(ascii: "=")) else {
                // A word without "=" is the next challenge's scheme.
                position = start
                break
            }
            guard let value = peek == UInt8(ascii: "\"") ? quoted() : token(), parameters[name.lowercased()] == nil else { return nil }
            parameters[name.lowercased()] = value
            if let next = peek, !isSpace(next), next != UInt8(ascii: ",") { return nil }
        }
        return Challenge(scheme: scheme.lowercased(), parameters: parameters)
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private mutating func skipSeparators() {
        while let byte = peek, isSpace(byte) || byte == UInt8(ascii: ",") { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func token() -> String? {
        let start = position
        while let byte = peek, Self.isTokenByte(byte) { position += 1 }
        return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    private mutating func quoted() -> String? {
        position += 1
        var value: [UInt8] = []
        while let byte = peek {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: value, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = peek else { return nil }
                value.append(escaped)
                position += 1
            case 0..<0x20 where byte != 0x09, 0x7f: return nil
            default: value.append(byte)
            }
        }
        return nil
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: Array("!#$%&'*+-.^_`|~".utf8).contains(byte)
        }
    }
}
