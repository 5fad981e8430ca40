internal import FoundationEssentials

/// `apus __generate`: what other programs want of the table of verbs. Hidden: `make install` calls it.
/// - Returns: the exit code of the program.
func generate(_ words: [String]) -> Int32 {
    switch (words.first ?? "", words.count) {
    case ("bash", 1): StandardStream.output.write(bashCompletion(allVerbs))
    case ("zsh", 1): StandardStream.output.write(zshCompletion(allVerbs))
    case ("fish", 1): StandardStream.output.write(fishCompletion(allVerbs))
    case ("powershell", 1): StandardStream.output.write(powerShellCompletion(allVerbs))
    case ("man", 2):
        for page in manualPages(allVerbs) {
            do {
                try Data(page.text.utf8).write(to: URL(filePath: words[1]).appending(path: page.name))
            } catch {
                StandardStream.error.write("apus: write \(words[1])/\(page.name): \(error)\n")
                return 1
            }
        }
    default:
        StandardStream.error.write("usage: apus __generate bash|zsh|fish|powershell, or apus __generate man DIRECTORY\n")
        return 1
    }
    return 0
}

/// `apus completion SHELL`, for who wants no files of the installation.
let completionVerbs = ["bash", "fish", "powershell", "zsh"].map { shell in
    Verb(["completion \(shell)"], "", "Generate the autocompletion script for \(shell)") { _ in generate([shell]) }
}

/// What a verb's operands name, by the words of its synopsis.
enum OperandKind: String {
    case containers, images, files

    init(_ verb: Verb) {
        self = verb.synopsis.contains("CONTAINER") ? .containers : verb.synopsis.contains("IMAGE") ? .images : .files
    }
}

/// The flags that completion and manual show, in order.
func shownFlags(_ verb: Verb) -> [Flag] { (verb.flags + [helpFlag]).filter { !$0.isHidden }.sorted { $0.name < $1.name } }

/// What may follow `apus`, or `apus GROUP`, with a line about each.
func nextWords(after group: String, in verbs: [Verb]) -> [(word: String, summary: String)] {
    let prefix = group.isEmpty ? "" : group + " "
    var rows = verbs.flatMap { verb in
        verb.names.filter { $0.hasPrefix(prefix) && !$0.dropFirst(prefix.count).contains(" ") }
            .map { (word: String($0.dropFirst(prefix.count)), summary: verb.summary) }
    }
    if group.isEmpty { rows += commandGroups(of: verbs).map { (word: $0, summary: groupSummary($0)) } }
    return rows.sorted { $0.word < $1.word }
}

/// A text between single quotes for a shell.
func shellQuoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}

/// One line of a text, for a list.
func firstLine(_ text: String) -> String { String(text.prefix { $0 != "\n" }) }
