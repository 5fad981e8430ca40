/// Width that help pages are wrapped to.
private let pageWidth = 79

/// The `--help` page of a verb.
package func helpPage(of verb: Verb, as name: String) -> String {
    var page = "Usage:  apus \(name)\(verb.synopsis.isEmpty ? "" : " ")\(verb.synopsis)\n\n\(verb.summary)\n"
    if verb.names.count > 1 {
        let inGroupsFirst = verb.names.filter { $0.contains(" ") } + verb.names.filter { !$0.contains(" ") }
        page += "\nAliases:\n  " + inGroupsFirst.map { "apus \($0)" }.joined(separator: ", ") + "\n"
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
    let title = group.isEmpty ? "A self-sufficient runtime for containers" : groupSummary(group)
    var page = "Usage:  apus \(group.isEmpty ? "[OPTIONS] " : prefix)COMMAND\n\n\(title)\n"
    if group.isEmpty {
        let groups = commandGroups(of: verbs)
        page += "\nManagement Commands:\n" + columns(groups.map { ($0, groupSummary($0)) })
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

func groupSummary(_ group: String) -> String {
    switch group {
    case "system": "Manage Apus"
    case "completion": "Generate the autocompletion script for the specified shell"
    default: "Manage \(group)s"
    }
}

private func columns(_ rows: [(String, String)]) -> String {
    let width = max(11, (rows.map(\.0.count).max() ?? 0) + 2)
    return rows.map { "  " + $0.0.padded(to: width) + " " + $0.1 + "\n" }.joined()
}

private func flagList(_ flags: [Flag]) -> String {
    let rows = flags.filter { !$0.isHidden }.sorted { $0.name < $1.name }.map { flag -> (String, String) in
        let short = flag.short.map { "-\($0), " } ?? "    "
        let value = flag.placeholder.isEmpty ? "" : " " + flag.placeholder
        let quoted = flag.kind == .string ? "\"\(flag.defaultText)\"" : flag.defaultText
        let byDefault = flag.defaultText.isEmpty ? "" : " (default \(quoted))"
        return ("  \(short)--\(flag.name)\(value)", flag.usage + byDefault)
    }
    let indent = (rows.map(\.0.count).max() ?? 0) + 3
    return rows.map { name, usage in
        let lines = wrapped(usage, to: pageWidth - indent)
        return name.padded(to: indent) + lines.joined(separator: "\n" + String(repeating: " ", count: indent)) + "\n"
    }.joined()
}

/// How much longer than the others a last line may be before it is broken.
private let slack = 5

/// Breaks text into lines as docker's pages (pflag's wrapping) do: a line break of the text first, else the last space.
private func wrapped(_ text: String, to width: Int) -> [String] {
    let limit = max(24, width) - slack
    var lines: [String] = []
    var rest = Substring(text)
    while rest.count >= limit + slack, let space = rest.prefix(limit).lastIndex(where: { $0 == " " || $0 == "\n" }), space > rest.startIndex
    {
        let end = rest[...space].lastIndex(of: "\n") ?? space
        lines.append(String(rest[..<end]))
        rest = rest[rest.index(after: end)...]
    }
    return (lines + [String(rest)]).flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) }
}

extension String {
    /// The text with spaces behind it up to `width` characters.
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
