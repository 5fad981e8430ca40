internal import CoreTypes
internal import EngineAPI
internal import EngineClient

let debugVerb = Verb(
    ["debug"], "[OPTIONS] CONTAINER [COMMAND] [ARG...]", "Get a shell with tools in the namespaces of a container that may have none",
    flags: [
        Flag("command", "c", .string, "Evaluate the specified command instead of starting an interactive shell"),
        Flag("detach-keys", nil, .string, "Override the key sequence for detaching a container"),
        Flag("image", nil, .string, "Image that has the tools", defaultText: "busybox"),
        Flag("quiet", "q", .bool(default: false), "Suppress the pull output and the hint"),
        Flag("shell", nil, .string, "Select a shell", defaultText: "/bin/sh"),
    ], operands: .atLeast(1), interspersed: false
) { invocation in
    let debugging = Debugging(invocation: invocation)
    do { return try await debugging.run() } catch let error as StartError {
        StandardStream.error.write("\(error)\n")
        return startFailureCode(error.description)
    }
}

/// A second container beside one that runs, in its namespaces and with its rights, whose root is an image with tools. Nothing of the first
/// one's files is executed; they lie below its first process's root in /proc.
private struct Debugging: Sendable {
    let invocation: Invocation

    private var arguments: Arguments { invocation.arguments }
    private var client: Client { invocation.environment.client }

    func run() async throws -> Int32 {
        let target = try await client.container(arguments.operands[0])
        guard target.state.running else {
            throw Complaint("container \(arguments.operands[0]) is not running: start it, or look at its files with apus cp")
        }
        let words = Array(arguments.operands.dropFirst())
        let command = arguments.string("command")
        if command != nil && !words.isEmpty { throw Complaint("conflicting options: cannot specify both --command and a command") }
        let isInteractive = command == nil && words.isEmpty
        let hasTerminal = isInteractive && StandardStream.input.isTerminal
        let request = request(beside: target, hasTerminal: hasTerminal, words: command.map { ["-c", $0] } ?? words)
        if isInteractive && !arguments.bool("quiet") {
            StandardStream.error.write("The files of \(arguments.operands[0]) are below \(Self.root(of: target)).\n")
        }
        let id = try await create(request)
        let run = AttachedRun(
            client: client, signals: invocation.environment.signals, container: id,
            streams: AttachedStreams(input: true, output: true, error: true), hasTerminal: hasTerminal,
            detachKeys: try detachKeys(invocation), proxiesSignals: true, condition: "removed")
        return try await run.run()
    }

    private func request(beside target: ContainerInspect, hasTerminal: Bool, words: [String]) -> ContainerCreateRequest {
        var request = ContainerCreateRequest()
        let shell = arguments.string("shell") ?? "/bin/sh"
        request.config.image = arguments.string("image") ?? "busybox"
        request.config.user = "0:0"
        request.config.tty = hasTerminal
        request.config.openStdin = true
        request.config.stdinOnce = true
        (request.config.attachStdin, request.config.attachStdout, request.config.attachStderr) = (true, true, true)
        request.config.env = ["ROOT=\(Self.root(of: target))"]
        let isCommand = !words.isEmpty && words[0] != "-c"
        request.config.entrypoint = StringSlice([isCommand ? words[0] : shell])
        request.config.cmd = StringSlice(isCommand ? Array(words.dropFirst()) : words)
        let (host, theirs) = (target.hostConfig, "container:\(target.id)")
        request.hostConfig.autoRemove = true
        request.hostConfig.pidMode = host.pidMode == "host" ? "host" : theirs
        request.hostConfig.networkMode = host.networkMode == "host" ? "host" : theirs
        // A private one cannot be entered.
        request.hostConfig.ipcMode = host.ipcMode == "host" ? "host" : host.ipcMode == "shareable" ? theirs : ""
        request.hostConfig.utsMode = host.utsMode
        request.hostConfig.usernsMode = host.usernsMode
        request.hostConfig.privileged = host.privileged
        // Who looks into another process needs all that it has.
        request.hostConfig.capAdd = StringSlice((host.capAdd?.words ?? []) + ["SYS_PTRACE"])
        request.hostConfig.securityOpt = host.securityOpt
        return request
    }

    /// Where the files lie: below the root of the first process in the namespace that is entered.
    private static func root(of target: ContainerInspect) -> String {
        target.hostConfig.pidMode == "host" ? "/proc/\(target.state.pid)/root" : "/proc/1/root"
    }

    private func create(_ request: ContainerCreateRequest) async throws -> String {
        do {
            return try await client.createContainer(request, name: nil, platform: nil).id
        } catch EngineClientError.refused(status: 404, let message) where message.hasPrefix("No such image") {
            try await pull(
                try parsedReference(request.config.image), platform: nil, environment: invocation.environment,
                showing: arguments.bool("quiet") ? nil : PullDisplay(stream: .error))
            return try await client.createContainer(request, name: nil, platform: nil).id
        }
    }
}
