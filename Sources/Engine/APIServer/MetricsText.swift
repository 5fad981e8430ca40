/// Numbers in the text that Prometheus reads.
/// - Source: Prometheus, "Exposition formats", text format 0.0.4.
struct MetricsText: Sendable {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    enum Kind: String {
        case gauge
        case counter
    }

    private struct Family {
        let kind: Kind
        let help: String
        var samples: [String] = []
    }

    private var names: [String] = []
    private var families: [String: Family] = [:]

    /// Adds one sample; those of one name stand together, in the order in which their names came.
    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ labels: [(String, String)] = [], _ value: Double) {
        if families[name] == nil {
            names.append(name)
            families[name] = Family(kind: kind, help: help)
        }
        let pairs = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
        let number = value == value.rounded() && abs(value) < 9e15 ? "\(Int64(value))" : "\(value)"
        families[name]?.samples.append("\(name)\(pairs.isEmpty ? "" : "{\(pairs)}") \(number)\n")
    }

    /// The whole document.
    var text: String {
        names.map { name in
            guard let family = families[name] else { return "" }
            return "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind.rawValue)\n" + family.samples.joined()
        }.joined()
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
    }
}
