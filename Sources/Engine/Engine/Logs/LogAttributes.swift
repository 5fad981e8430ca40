internal import EngineAPI

/// Labels and variables that log options choose, which go with each line: `logs --details` shows them.
enum LogAttributes {
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
            guard let expression = try? Regex(text) else {
                throw EngineError(.invalidParameter, "error parsing regexp of log opt \(option): `\(text)`")
            }
            for (name, value) in source where (try? expression.firstMatch(in: name)) != nil { attributes[name] = value }
        }
        return attributes
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
