internal import JSON

/// What a text in YAML comes to.
/// - Source: YAML 1.2.2, as far as `YAMLReader` reads it.
enum YAMLValue: Equatable, Sendable {
    case null
    /// - Parameter isPlain: it was written without quotes, and may be a number or a truth.
    case scalar(String, isPlain: Bool)
    case sequence([YAMLValue])
    case mapping([Member])

    struct Member: Equatable, Sendable {
        var name: String
        var value: YAMLValue
    }

    /// The same as JSON.
    /// - Parameter numbers: the members whose plain scalars are numbers, which a text alone does not tell: a device named 0 and one of the major
    ///   number 0 are written alike. All else is a string.
    func json(numbers: Set<String>) -> [UInt8] {
        var writer = JSONWriter()
        write(to: &writer, isNumber: false, numbers: numbers)
        return writer.bytes
    }

    private func write(to writer: inout JSONWriter, isNumber: Bool, numbers: Set<String>) {
        switch self {
        case .null: writer.null()
        case .scalar(let text, isPlain: true) where isNumber:
            if let integer = Self.integer(text) { writer.integer(integer) } else { writer.string(text) }
        case .scalar(let text, isPlain: _): writer.string(text)
        case .sequence(let elements):
            writer.array { writer in
                for element in elements { element.write(to: &writer, isNumber: isNumber, numbers: numbers) }
            }
        case .mapping(let members):
            writer.object { writer in
                for member in members {
                    writer.name(member.name)
                    member.value.write(to: &writer, isNumber: numbers.contains(member.name), numbers: numbers)
                }
            }
        }
    }

    /// An integer of YAML 1.2, or of 1.1, by which Go's library reads `0660`; nil for what is none.
    static func integer(_ text: String) -> Int64? {
        let isNegative = text.hasPrefix("-")
        let digits = isNegative || text.hasPrefix("+") ? text.dropFirst() : text[...]
        guard let first = digits.utf8.first, (0x30...0x39).contains(first) else { return nil }
        let prefixes: [(String, Int)] = [("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)]
        let (prefix, radix) = prefixes.first { digits.hasPrefix($0.0) && digits.utf8.count > $0.0.utf8.count } ?? ("", 10)
        let plain = digits.dropFirst(prefix.count)
        // A second sign is none of an integer's digits.
        guard let lead = plain.utf8.first, lead != UInt8(ascii: "-"), lead != UInt8(ascii: "+") else { return nil }
        return Int64((isNegative ? "-" : "") + plain, radix: radix)
    }
}

/// Where a text is not what is read of YAML, and why.
struct YAMLError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1.
    let line: Int
    let reason: String

    var description: String { "line \(line): \(reason)" }
}
