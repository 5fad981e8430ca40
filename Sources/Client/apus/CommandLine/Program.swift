internal import CoreTypes
internal import EngineClient

/// Reads a whole command line, carries its verb out, and tells errors.
/// - Returns: the exit code of the program.
func runProgram(_ words: [String], variables: [String: String], signals: SignalTap) async -> Int32 {
    if words.first == "__generate" { return generate(Array(words.dropFirst())) }
    do throws(UsageError) {
        let globals = try parseArguments(words, flags: globalFlags + helpFlags, interspersed: false)
        if globals.bool("version") {
            StandardStream.output.write("Apus version \(Product.version)\n")
            return 0
        }
        if globals.operands.isEmpty || globals.bool("help") {
            noteDeprecation(globals)
            return help(on: verbName(globals.operands).split(separator: " ").map(String.init))
        }
        if globals.operands[0] == "help" { return help(on: Array(globals.operands.dropFirst())) }
        return await runVerb(globals, variables: variables, signals: signals)
    } catch {
        return complain(error, usage: "apus [OPTIONS] COMMAND [ARG...]", name: "")
    }
}

/// `help [VERB]`: the page that `VERB --help` shows.
private func help(on topic: [String]) -> Int32 {
    let group = topic.first.flatMap { commandGroups(of: allVerbs).contains($0) ? $0 : nil }
    let rest = topic.dropFirst(group == nil ? 0 : 1)
    guard let word = rest.first else {
        StandardStream.output.write(helpPage(ofGroup: group ?? "", verbs: allVerbs))
        return 0
    }
    let name = group.map { "\($0) \(word)" } ?? word
    let verb = allVerbs.first { $0.names.contains(name) }
    if let verb, rest.count == 1 {
        StandardStream.output.write(helpPage(of: verb, as: name))
        return 0
    }
    StandardStream.error.write("unknown help topic: \(rest.dropFirst(verb == nil ? 0 : 1).joined(separator: " "))\n")
    return 1
}

/// The first word, or the first two where the first is a group; empty for none.
private func verbName(_ words: [String]) -> String {
    let isGroup = words.first.map(commandGroups(of: allVerbs).contains) ?? false
    return words.prefix(isGroup ? 2 : 1).joined(separator: " ")
}

/// Tells who asked for help by a letter, in docker's words, that it is not to be relied on.
private func noteDeprecation(_ arguments: Arguments) {
    if arguments.hasHelpLetter { StandardStream.error.write(helpLetterRemark) }
}

private let helpLetterRemark = "Flag shorthand -h has been deprecated, use --help\n"

private func runVerb(_ globals: Arguments, variables: [String: String], signals: SignalTap) async -> Int32 {
    let words = globals.operands
    let name = verbName(words)
    let isGroup = commandGroups(of: allVerbs).contains(words[0])
    guard let verb = allVerbs.first(where: { $0.names.contains(name) }) else {
        return unknown(name, isGroup: isGroup, words)
    }
    let rest = Array(words.dropFirst(name.contains(" ") ? 2 : 1))
    do {
        let arguments = try verb.parse(rest, as: name)
        if arguments.bool("help") {
            noteDeprecation(arguments)
            StandardStream.output.write(helpPage(of: verb, as: name))
            return 0
        }
        let environment = try Environment(globals, variables: variables, signals: signals, needsDaemon: !name.hasPrefix("context "))
        return try await verb.run(Invocation(name: name, arguments: arguments, environment: environment))
    } catch let error as UsageError {
        return complain(error, usage: "apus \(name) \(verb.synopsis)", name: name)
    } catch let error as Complaint {
        StandardStream.error.write("\(error)\n")
        return error.exitCode
    } catch {
        StandardStream.error.write("\(error)\n")
        return name.hasSuffix("run") ? 125 : 1
    }
}

private func unknown(_ name: String, isGroup: Bool, _ words: [String]) -> Int32 {
    if isGroup, words.count == 1 || ["--help", "-h"].contains(words[1]) {
        if words.count > 1, words[1] == "-h" { StandardStream.error.write(helpLetterRemark) }
        // Asked for, the page is the answer; else it is a remark on a command that lacks its verb.
        let stream: StandardStream = words.count == 1 ? .error : .output
        stream.write(helpPage(ofGroup: words[0], verbs: allVerbs))
        return 0
    }
    if laterVerbs.contains(words[0]) || (isGroup && laterVerbs.contains(words[1])) {
        StandardStream.error.write("apus: 'apus \(name)' is not supported yet\n\nRun 'apus --help' for the commands that are\n")
    } else {
        let group = isGroup ? " \(words[0])" : ""
        let usage = isGroup ? "Usage:  apus\(group)\n\n" : ""
        StandardStream.error.write("apus: unknown command: apus \(name)\n\n\(usage)Run 'apus\(group) --help' for more information\n")
    }
    return 1
}

private func complain(_ error: UsageError, usage: String, name: String) -> Int32 {
    let verb = name.isEmpty ? "" : name + " "
    StandardStream.error.write("\(error.message)\n\nUsage:  \(usage)\n\nRun 'apus \(verb)--help' for more information\n")
    return error.exitCode
}
