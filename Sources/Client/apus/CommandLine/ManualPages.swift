internal import CoreTypes

/// A page of the manual.
package struct ManualPage: Sendable, Equatable {
    /// The file's name, `apus-run.1`.
    package let name: String
    /// In man(7)'s language.
    package let text: String
}

/// The page of `apus` itself and one for each verb, under its first name.
package func manualPages(_ verbs: [Verb]) -> [ManualPage] {
    let all = verbs.map { (verb: $0, title: title($0)) }.sorted { $0.title < $1.title }
    var top = heading("apus", "a self-sufficient runtime for containers")
    top += ".SH SYNOPSIS\n.B apus\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARG\\fR...]\n"
    top += ".SH DESCRIPTION\nThe command line of Apus: docker's verbs, flags, formats and exit codes.\n"
    top += ".SH OPTIONS\n" + globalFlags.filter { !$0.isHidden }.map(entry).joined()
    top += ".SH COMMANDS\n" + all.map { ".TP\n.BR \(roff($0.title)) (1)\n\(roff($0.verb.summary))\n" }.joined()
    return [ManualPage(name: "apus.1", text: top)]
        + all.map { ManualPage(name: "\($0.title).1", text: page(of: $0.verb, as: $0.title)) }
}

private func title(_ verb: Verb) -> String { "apus-" + (verb.names.first ?? "").split(separator: " ").joined(separator: "-") }

private func page(of verb: Verb, as title: String) -> String {
    var page = heading(title, verb.summary)
    page += ".SH SYNOPSIS\n" + verb.names.map { ".B apus \(roff($0))\n\(roff(verb.synopsis))\n" }.joined(separator: ".br\n")
    page += ".SH DESCRIPTION\n\(roff(verb.summary)).\n"
    page += ".SH OPTIONS\n" + shownFlags(verb).map(entry).joined()
    return page + ".SH SEE ALSO\n.BR apus (1)\n"
}

private func heading(_ title: String, _ summary: String) -> String {
    ".TH \(title.uppercased()) 1 \"\" \"Apus \(Product.version)\" \"Apus\"\n.SH NAME\n\(roff(title)) \\- \(roff(firstLine(summary)))\n"
}

private func entry(_ flag: Flag) -> String {
    let short = flag.short.map { "\\fB\\-\($0)\\fR, " } ?? ""
    let value = flag.placeholder.isEmpty ? "" : " \\fI\(roff(flag.placeholder))\\fR"
    let byDefault = flag.defaultText.isEmpty ? "" : " (default \(flag.defaultText))"
    return ".TP\n\(short)\\fB\\-\\-\(roff(flag.name))\\fR\(value)\n\(roff(flag.usage + byDefault))\n"
}

/// A text of which nothing is a request or an escape.
private func roff(_ text: String) -> String {
    let escaped = text.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\e")
        .split(separator: "-", omittingEmptySubsequences: false).joined(separator: "\\-")
    return escaped.split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.hasPrefix(".") || $0.hasPrefix("'") ? "\\&\($0)" : String($0) }.joined(separator: "\n.br\n")
}
