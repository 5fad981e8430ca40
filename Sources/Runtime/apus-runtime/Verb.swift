internal import CoreTypes
internal import LinuxSyscalls
internal import RuntimeCore
internal import SystemPackage

/// One command of the runtime. Each has its own file.
struct Verb: Sendable {
    /// Every verb, in the order in which help lists them.
    static let all: [Verb] = [
        .checkpoint, .create, .delete, .events, .exec, .features, .kill, .list, .mounts, .pause, .ps, .restore, .resume, .run, .spec,
        .start,
        .state, .update,
    ]

    let name: String
    /// One line for the list of commands.
    let summary: String
    /// What follows the flags: `<container-id>`.
    let operands: String
    let operandCount: ClosedRange<Int>
    let flags: [Flag]
    /// Whether flags count behind operands too: not where those are somebody else's command line.
    let takesFlagsAnywhere: Bool
    /// Whether a process of this program comes near the container's: such a run is made from a protected copy of the executable.
    let entersContainer: Bool
    /// What stands before an error's text, and the status that the program ends with.
    let failurePrefix: String
    let failureStatus: Int32
    /// Returns the status that the program ends with.
    let run: @Sendable (Invocation) throws(RuntimeError) -> Int32

    init(
        _ name: String, _ summary: String, operands: String = "<container-id>", operandCount: ClosedRange<Int> = 1...1, flags: [Flag] = [],
        takesFlagsAnywhere: Bool = true, entersContainer: Bool = false, failurePrefix: String = "", failureStatus: Int32 = 1,
        run: @escaping @Sendable (Invocation) throws(RuntimeError) -> Int32
    ) {
        self.name = name
        self.summary = summary
        self.operands = operands
        self.operandCount = operandCount
        self.flags = flags
        self.takesFlagsAnywhere = takesFlagsAnywhere
        self.entersContainer = entersContainer
        self.failurePrefix = failurePrefix
        self.failureStatus = failureStatus
        self.run = run
    }
}

/// Everything that a verb works with: nothing below reads the command line or the environment.
struct Invocation {
    let flags: ParsedFlags
    let globals: GlobalOptions
    let journal: Journal
    let surroundings: Surroundings

    var id: String { flags.operands.first ?? "" }

    func container() throws(RuntimeError) -> Container {
        try Container(id, in: globals.stateRoot, descriptorLimit: surroundings.descriptorLimit)
    }

    /// A path as the caller meant it, before the working directory becomes the bundle.
    func absolutePath(_ name: String) throws(RuntimeError) -> FilePath? {
        guard let text = flags.value(name) else { return nil }
        let directory = try during("looking for \(text)") { () throws(SyscallError) in try workingDirectory() }
        return directory.pushing(FilePath(text))
    }

    /// How many descriptors from 3 up the payload inherits: those of socket activation, then `--preserve-fds`.
    func preservedDescriptors() throws(RuntimeError) -> Int32 {
        let count = surroundings.activationSockets + (try flags.count("preserve-fds"))
        for number in 3..<(3 + count) where !isOpen(number) {
            throw RuntimeError(.invalidArgument, "descriptor \(number), which the container is to inherit, is not open")
        }
        return count
    }
}

/// What the program finds around it.
struct Surroundings {
    let arguments: [String]
    let environment: [String]
    /// Of the caller, where this program raised it for itself.
    let descriptorLimit: DescriptorLimit?

    func variable(_ name: String) -> String? {
        environment.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    /// Where programs of the host are looked for.
    var searchPath: String { variable("PATH") ?? "" }

    /// How many listening sockets a service manager passed to this very process. - Source: sd_listen_fds(3).
    var activationSockets: Int32 {
        guard variable("LISTEN_PID") == String(processID()), let count = variable("LISTEN_FDS") else { return 0 }
        return decimal(count, as: Int32.self).map { min($0, 1024) } ?? 0
    }

    /// What tells the payload, which is pid 1 where it lives, of those sockets.
    var activationVariables: [String] {
        guard activationSockets > 0 else { return [] }
        let names = variable("LISTEN_FDNAMES").map { ["LISTEN_FDNAMES=\($0)"] } ?? []
        return ["LISTEN_FDS=\(activationSockets)", "LISTEN_PID=1"] + names
    }
}
