internal import EngineAPI

/// Labels and variables that log options choose, which go with each line: `logs --details` shows them.
enum LogAttributes {
    /// Instructions of an expression that the letters of all names may take: a few tenths of a second at most.
    private static let stepLimit = 1 << 22

    /// By name, as the options `labels`, `labels-regex`, `env`, `env-regex` and `tag` say.
    /// - Throws: `.invalidParameter` for an expression that is none.
    static func chosen(_ options: [String: String], config: ContainerConfig) throws(EngineError) -> [String: String] {
        var attributes: [String: String] = [:]
        let labels = config.labels
        let environment = Dictionary(config.env.compactMap(variable), uniquingKeysWith: { _, last in last })
        for (names, source) in [(options["labels"], labels), (options["env"], environment)] {
            for name in (names ?? "").split(separator: ",").map(String.init) { attributes[name] = source[name] ?? attributes[name] }
        }
        for (option, source) in [("labels-regex", labels), ("env-regex", environment)] {
            guard let text = options[option], !text.isEmpty else { continue }
            let expression = try expression(text, of: option, against: source.keys)
            for (name, value) in source where expression.matches(name) { attributes[name] = value }
        }
        return attributes
    }

    /// - Parameter names: what it will be held against.
    private static func expression(
        _ text: String, of option: String, against names: some Sequence<String>
    ) throws(EngineError) -> TextExpression {
        let expression: TextExpression
        do throws(TextExpression.Malformed) { expression = try TextExpression(text) } catch {
            throw EngineError(.invalidParameter, "error parsing regexp of log opt \(option): \(error.reason): `\(text)`")
        }
        guard names.reduce(0, { $0 + $1.utf8.count }) <= stepLimit / expression.instructionCount else {
            throw EngineError(.invalidParameter, "the names that log opt \(option) is held against are too long for `\(text)`")
        }
        return expression
    }

    private static func variable(_ text: String) -> (String, String)? {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
    }

    /// `NAME=VALUE,NAME=VALUE`, in the order of names, each part in the form of a URL's query. - Source: moby, httputils.WriteLogStream.
    static func encoded(_ attributes: [String: String]) -> String {
        attributes.sorted { $0.key < $1.key }.map { "\(queryEscaped($0.key))=\(queryEscaped($0.value))" }.joined(separator: ",")
    }

    private static func queryEscaped(_ text: String) -> String {
        var answer = ""
        for byte in text.utf8 {
            switch byte {
            case 0x20: answer += "+"
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: answer.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                answer += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return answer
    }
}
