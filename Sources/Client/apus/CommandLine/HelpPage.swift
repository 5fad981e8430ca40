/// Width that help pages are wrapped to.
private let pageWidth = 80

/// The `--help` page of a verb.
package func helpPage(of verb: Verb, as name: String) -> String {
    var page = "Usage:  apus \(name)\(verb.synopsis.isEmpty ? "" : " ")\(verb.synopsis)\n\n\(verb.summary)\n"
    if verb.names.count > 1 {
        page += "\nAliases:\n  " + verb.names.map { "apus \($0)" }.joined(separator: ", ") + "\n"
    }
    if !verb.flags.isEmpty {
        page += "\nOptions:\n" + flagList(verb.flags)
    }
    return page
}

/// The page of `apus` itself, or of a group such as `apus container`.
/// - Parameter group: empty for the program's own page.
package func helpPage(ofGroup group: String, verbs: [Verb]) -> String {
    let prefix = group.isEmpty ? "" : group + " "
    let rows: [(String, String)] = verbs.compactMap { verb in
        guard let name = verb.names.first(where: { $0.hasPrefix(prefix) && !$0.dropFirst(prefix.count).contains(" ") }) else {
            return nil
        }
        return (String(name.dropFirst(prefix.count)), verb.summary)
    }
    let title = group.isEmpty ? "A self-sufficient runtime for containers" : "Manage \(group)s"
    var page = "Usage:  apus \(group.isEmpty ? "[OPTIONS] " : prefix)COMMAND\n\n\(title)\n"
    if group.isEmpty {
        let groups = commandGroups(of: verbs)
        page += "\nManagement Commands:\n" + columns(groups.map { ($0, "Manage \($0)s") })
    }
    page += "\nCommands:\n" + columns(rows.sorted { $0.0 < $1.0 })
    if group.isEmpty {
        page += "\nGlobal Options:\n" + flagList(globalFlags)
    }
    return page + "\nRun 'apus \(prefix)COMMAND --help' for more information on a command.\n"
}

/// The first words of two-word names, each once: `container`, `image`.
package func commandGroups(of verbs: [Verb]) -> [String] {
    let groups = verbs.flatMap(\.names).compactMap { name -> String? in
        guard let space = name.firstIndex(of: " ") else { return nil }
        return String(name[..<space])
    }
    return Set(groups).sorted()
}

private func columns(_ rows: [(String, String)]) -> String {
    let width = max(11, (rows.map(\.0.count).max() ?? 0) + 2)
    return rows.map { "  " + $0.0.padded(to: width) + " " + $0.1 + "\n" }.joined()
}

private func flagList(_ flags: [Flag]) -> String {
    let rows = flags.sorted { $0.name < $1.name }.map { flag -> (String, String) in
        let short = flag.short.map { "-\($0), " } ?? "    "
        let value = flag.placeholder.isEmpty ? "" : " " + flag.placeholder
        let quoted = flag.kind == .string ? "\"\(flag.defaultText)\"" : flag.defaultText
        let byDefault = flag.defaultText.isEmpty ? "" : " (default \(quoted))"
        return ("  \(short)--\(flag.name)\(value)", flag.usage + byDefault)
    }
    let indent = (rows.map(\.0.count).max() ?? 0) + 3
    return rows.map { name, usage in
        let lines = wrapped(usage, to: max(24, pageWidth - indent))
        let rest = lines.dropFirst().map { String(repeating: " ", count: indent) + $0 + "\n" }
        return name.padded(to: indent) + (lines.first ?? "") + "\n" + rest.joined()
    }.joined()
}

/// Breaks text at spaces into lines of at most `width` characters; a longer word stands alone.
private func wrapped(_ text: String, to width: Int) -> [String] {
    var lines: [String] = []
    for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
        var line = ""
        for word in paragraph.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " " + word
        }
        lines.append(line)
    }
    return lines
}

extension String {
    /// The text with spaces behind it up to `width` characters.
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
