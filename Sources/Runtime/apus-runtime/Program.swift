internal import Glibc
internal import LinuxSyscalls
internal import RuntimeCore

/// From the command line to a verb, and from its end to the program's.
struct Program {
    static let name = "apus-runtime"

    let surroundings: Surroundings

    func run() -> Int32 {
        let fallback = Log(file: nil, format: .text, isDebug: false)
        let flags: ParsedFlags
        do throws(RuntimeError) {
            flags = try ParsedFlags(Array(surroundings.arguments.dropFirst()), table: GlobalOptions.flags)
        } catch {
            _ = show("Incorrect Usage: \(error)\n\n" + Help.general)
            fallback.fail(error.description)
            return 1
        }
        do throws(RuntimeError) {
            if flags.isSet("version") { return show(Help.version) }
            guard let verbName = flags.operands.first, verbName != "help", !flags.isSet("help") else {
                return showHelp(of: flags.operands.dropFirst().first)
            }
            let globals = try GlobalOptions(flags, surroundings)
            let log = Log(
                file: globals.logFile, format: globals.logFormat, isDebug: globals.isDebug, repeatsErrors: globals.repeatsErrors)
            try log.open()
            guard let verb = Verb.all.first(where: { $0.name == verbName }) else { return refuse(verbName, log) }
            return run(verb, Array(flags.operands.dropFirst()), globals, log)
        } catch {
            fallback.fail(error.description)
            return 1
        }
    }

    private func run(_ verb: Verb, _ words: [String], _ globals: GlobalOptions, _ log: Log) -> Int32 {
        let flags: ParsedFlags
        do throws(RuntimeError) {
            flags = try ParsedFlags(
                words, table: verb.flags + [.toggle("help", "h", help: "show help")], areAnywhere: verb.takesFlagsAnywhere)
        } catch {
            _ = show("Incorrect Usage: \(error)\n\n" + Help.of(verb))
            log.fail(error.description)
            return 1
        }
        if flags.isSet("help") { return show(Help.of(verb)) }
        guard verb.operandCount.contains(flags.operands.count) else {
            _ = show("Incorrect Usage.\n\n" + Help.of(verb))
            log.fail("\(Self.name): \"\(verb.name)\" requires \(Help.count(verb.operandCount))")
            return 1
        }
        let invocation = Invocation(flags: flags, globals: globals, journal: log.journal, surroundings: surroundings)
        do throws(RuntimeError) {
            if verb.entersContainer { try enterProtected(invocation) }
            // Children of a caller that ignores their end vanish untold; ours are waited for.
            try during("preparing to wait") { () throws(SyscallError) in try restoreDefaultAction(of: SIGCHLD) }
            return try verb.run(invocation)
        } catch {
            let cause = error.code == .payload ? "unable to start container process: \(error)" : error.description
            log.fail(verb.failurePrefix + cause)
            return verb.failureStatus
        }
    }

    /// What the caller left open is not for the container, nor for the copy of this program that goes on.
    private func enterProtected(_ invocation: Invocation) throws(RuntimeError) {
        let preserved = try invocation.preservedDescriptors()
        try during("closing what the caller left open") { () throws(SyscallError) in
            try closeOnExec(from: UInt32(3 + preserved))
        }
        try SelfProtection.enter(
            arguments: surroundings.arguments, environment: surroundings.environment, limit: surroundings.descriptorLimit)
    }

    private func showHelp(of verbName: String?) -> Int32 {
        guard let verb = Verb.all.first(where: { $0.name == verbName }) else { return show(Help.general) }
        return show(Help.of(verb))
    }

    private func show(_ text: String) -> Int32 {
        do throws(SyscallError) {
            try writeAll(Array(text.utf8), to: 1, subject: "standard output")
            return 0
        } catch { return 1 }
    }

    private func refuse(_ verbName: String, _ log: Log) -> Int32 {
        log.fail("No help topic for '\(verbName)'")
        return 3
    }
}
