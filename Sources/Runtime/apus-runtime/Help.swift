internal import CoreTypes
internal import OCISpec
internal import RuntimeCore

/// What the program says about itself.
enum Help {
    static var version: String {
        "\(Program.name) version \(Product.version)\nspec: \(RuntimeConfiguration.newestVersion)\n"
    }

    static var general: String {
        """
        NAME:
           \(Program.name) - Open Container Initiative runtime

        USAGE:
           \(Program.name) [global options] command [command options] [arguments...]

        VERSION:
           \(Product.version)
        spec: \(RuntimeConfiguration.newestVersion)

        COMMANDS:
        \(columns(Verb.all.map { ($0.name, $0.summary) }))

        GLOBAL OPTIONS:
        \(table(GlobalOptions.flags))

        """
    }

    static func of(_ verb: Verb) -> String {
        """
        NAME:
           \(Program.name) \(verb.name) - \(verb.summary)

        USAGE:
           \(Program.name) \(verb.name) [command options] \(verb.operands)
        \(verb.flags.isEmpty ? "" : "\nOPTIONS:\n\(table(verb.flags))\n")
        """
    }

    static func count(_ range: ClosedRange<Int>) -> String {
        if range.lowerBound == range.upperBound { return "exactly \(range.lowerBound) argument(s)" }
        return "a minimum of \(range.lowerBound) argument(s)"
    }

    private static func table(_ flags: [Flag]) -> String {
        columns(
            flags.map { flag in
                let value = flag.placeholder.map { " \($0)" } ?? ""
                return ("--\(flag.name)\(value)" + (flag.shortName.map { ", -\($0)\(value)" } ?? ""), flag.help)
            })
    }

    private static func columns(_ rows: [(String, String)]) -> String {
        let width = rows.map { $0.0.count }.max() ?? 0
        return rows.map { "   " + $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }.joined(separator: "\n")
    }
}
