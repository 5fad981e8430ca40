internal import JSON
internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// `apus-shim bridge`: a runtime's command line that a shim of containerd's answers, so that `apusd` can have one look after a container.
///
/// An executable called `containerd-shim-…` has the task service in place of runc's verbs: each verb becomes the calls that mean it. That
/// shim stays with the container as it does under containerd; ours keeps the log, the exit record, restarts and attached clients as ever.
package enum BridgeCommand {
    private static let answerByteCount = 4096
    private static let documentByteCount = 4 << 20
    private static let startMilliseconds: Int32 = 20_000
    private static let endMilliseconds: Int32 = 10_000
    private static let lookMilliseconds: Int32 = 20
    private static let sigkill: UInt32 = 9
    private static let unknownStatus: Int32 = 255

    /// - Returns: the exit status; a failure is written where a runtime writes its own.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) -> Int32 {
        let call = try BridgedCall(invocation.words)
        do throws(ShimError) { return try answer(call, invocation.configuration) } catch {
            var writer = JSONWriter()
            writer.object { writer in
                writer.member("level", "error")
                writer.member("msg", "\(error)")
            }
            do throws(SyscallError) {
                let log = try openFile(FilePath(call.logPath), [.writeOnly, .create, .append])
                try writeAll(writer.bytes + [0x0a], to: log.number, subject: call.logPath)
            } catch { throw ShimError("log", error) }
            return 1
        }
    }

    private static func answer(_ call: BridgedCall, _ configuration: ShimConfiguration) throws(ShimError) -> Int32 {
        switch call.verb {
        case "create": try create(call, configuration)
        case "start": let _: ProcessIDResponse = try ask(call, .start, ProcessRequest(id: call.id))
        case "exec": try exec(call)
        case "kill":
            guard let signal = UInt32(call.rest) else { throw ShimError(.invalidRequest, "signal \(call.rest)") }
            let _: ProtobufEmpty = try ask(call, .kill, KillRequest(id: call.id, signal: signal, all: call.flags.contains("--all")))
        case "pause": let _: ProtobufEmpty = try ask(call, .pause, ContainerRequest(id: call.id))
        case "resume": let _: ProtobufEmpty = try ask(call, .resume, ContainerRequest(id: call.id))
        case "update":
            let limits = UpdateTaskRequest.limits(try read(call.values["--resources"] ?? ""))
            let _: ProtobufEmpty = try ask(call, .update, UpdateTaskRequest(id: call.id, resources: limits))
        case "delete": try delete(call)
        case "close-input":
            var request = CloseIORequest()
            (request.id, request.execID, request.stdin) = (call.id, call.rest, true)
            let _: ProtobufEmpty = try ask(call, .closeIO, request)
        case "wait": return wait(call)
        default: throw ShimError(.unsupported, "\(call.verb) through \(call.shim)")
        }
        return 0
    }

    private static func ask<Answer: ProtobufMessage>(
        _ call: BridgedCall, _ method: TaskMethod, _ message: some ProtobufMessage, deadline: Int32? = ShimCall.answerMilliseconds
    ) throws(ShimError) -> Answer {
        let address: String
        do throws(SyscallError) {
            address = String(decoding: try readFile(FilePath(call.addressPath), limitBytes: answerByteCount), as: UTF8.self)
        } catch {
            if error.isMissing { throw ShimError(.runtime, "container \(call.id)", cause: "does not exist") }
            throw ShimError("bridge", error)
        }
        return try ShimCall.ask(socket: address, TaskMethod.service, method.rawValue, message, answerMilliseconds: deadline)
    }

    private static func read(_ path: String) throws(ShimError) -> [UInt8] {
        do throws(SyscallError) { return try readFile(FilePath(path), limitBytes: documentByteCount) } catch {
            throw ShimError("bridge", error)
        }
    }

    // MARK: - Making processes

    private static func create(_ call: BridgedCall, _ configuration: ShimConfiguration) throws(ShimError) {
        let bundle = call.values["--bundle"] ?? ""
        try refuseTerminal(call)
        do throws(SyscallError) {
            try makeDirectories(FilePath(call.root), mode: ShimLayout.directoryMode)
            try makeDirectory(FilePath(call.directory), mode: ShimLayout.directoryMode)
            try writeAll(Array(bundle.utf8), toFile: FilePath(call.bundlePath))
            try changeDirectory(FilePath(bundle))
            // Where it writes what nobody here reads; without it, it ends.
            do throws(SyscallError) { try makeSymbolicLink("log", saying: Array("/dev/null".utf8)) } catch  where error.isExisting {}
        } catch { throw ShimError("create \(call.id)", error) }
        // What it has to say goes to the shim that asks: it will not begin where it cannot.
        let events = "TTRPC_ADDRESS=\(FilePath(call.logPath).removingLastComponent().appending(ShimLayout.socketName))"
        let words = [call.shim, "-namespace", "apus", "-id", call.id, "-address", "", "start"]
        let told = try output(of: words, environment: configuration.environment + [events])
        var address = String(decoding: told, as: UTF8.self).trimmingWhitespace
        if let result = try? BootstrapResult(json: told) { address = result.address }
        guard address.hasPrefix("unix://") else { throw ShimError(.runtime, "\(call.shim) start", cause: address) }
        do throws(SyscallError) {
            try writeAll(Array(address.dropFirst("unix://".count).utf8), toFile: FilePath(call.addressPath))
        } catch { throw ShimError("create \(call.id)", error) }
        var request = CreateTaskRequest()
        request.id = call.id
        request.bundle = bundle
        request.stdio = ownPipes()
        var options = RuncOptions()
        options.systemdCgroup = call.flags.contains("--systemd-cgroup")
        options.noPivotRoot = call.flags.contains("--no-pivot")
        options.noNewKeyring = call.flags.contains("--no-new-keyring")
        request.options = ProtobufAny(wrapping: options)
        let made: ProcessIDResponse = try ask(call, .create, request)
        try write(made.pid, call)
    }

    private static func exec(_ call: BridgedCall) throws(ShimError) {
        try refuseTerminal(call)
        var request = ExecProcessRequest()
        request.id = call.id
        request.execID = BridgedCall.execID(pidFile: call.values["--pid-file"] ?? "")
        request.stdio = ownPipes()
        request.spec = ProtobufAny(
            typeURL: "types.containerd.io/opencontainers/runtime-spec/1/Process", value: try read(call.values["--process"] ?? ""))
        let _: ProtobufEmpty = try ask(call, .exec, request)
        let made: ProcessIDResponse = try ask(call, .start, ProcessRequest(id: call.id, execID: request.execID))
        try write(made.pid, call)
    }

    private static func refuseTerminal(_ call: BridgedCall) throws(ShimError) {
        guard call.values["--console-socket"] != nil else { return }
        throw ShimError(.unsupported, "a terminal through \(call.shim)", cause: "that shim keeps terminals to itself: run without one")
    }

    private static func write(_ pid: UInt32, _ call: BridgedCall) throws(ShimError) {
        do throws(SyscallError) { try writeAll(Array("\(pid)".utf8), toFile: FilePath(call.values["--pid-file"] ?? "")) } catch {
            throw ShimError("\(call.verb) \(call.id)", error)
        }
    }

    /// Our own standard streams, as paths that the other shim opens while this process waits for its answer.
    private static func ownPipes() -> StdioPaths {
        func path(_ number: Int32) -> String {
            (try? fileStatus(of: number))?.type == .pipe ? "/proc/\(processID())/fd/\(number)" : ""
        }
        var paths = StdioPaths()
        (paths.stdin, paths.stdout, paths.stderr) = (path(0), path(1), path(2))
        return paths
    }

    private static func output(of words: [String], environment: [String]) throws(ShimError) -> [UInt8] {
        do throws(SyscallError) {
            let output = try makeMemoryFile(named: "answer")
            let null = try openFile("/dev/null", .readWrite)
            let process = try spawnProcess(
                FilePath(words[0]), arguments: words, environment: environment, input: null.number, output: output.number,
                error: output.number)
            let exit = try waitForExit(ofChild: process, orKillAfterMilliseconds: startMilliseconds)
            try rewindFile(output.number)
            let told = try readAll(output.number, limitBytes: answerByteCount, subject: words[0])
            if exit == .exited(0) { return told }
            throw SyscallError("run", "\(words[0]): \(String(decoding: told, as: UTF8.self).trimmingWhitespace)", errno: 5)
        } catch { throw ShimError("start \(words[0])", error) }
    }

    // MARK: - Ends

    /// Waits for a process; its exit status becomes that of this one, whose end our shim sees.
    private static func wait(_ call: BridgedCall) -> Int32 {
        let request = ProcessRequest(id: call.id, execID: call.rest)
        let ended: WaitResponse
        do throws(ShimError) { ended = try ask(call, .wait, request, deadline: nil) } catch {
            // That shim was killed: nobody could say any more how the container ends, so it does now.
            if call.rest.isEmpty { try? cleanUp(call) }
            return unknownStatus
        }
        if !call.rest.isEmpty { let _: DeleteResponse? = try? ask(call, .delete, request) }
        return Int32(clamping: ended.exitStatus)
    }

    private static func delete(_ call: BridgedCall) throws(ShimError) {
        if call.flags.contains("--force") {
            let killed: ProtobufEmpty? = try? ask(call, .kill, KillRequest(id: call.id, signal: sigkill, all: true))
            if killed != nil { let _: WaitResponse? = try? ask(call, .wait, ProcessRequest(id: call.id)) }
        }
        do throws(ShimError) {
            let _: DeleteResponse = try ask(call, .delete, ProcessRequest(id: call.id))
            try shutDown(call)
        } catch {
            switch error.code {
            // It is gone, or never had the container: what is left is taken away as containerd does it.
            case .kernel, .notFound:
                try? shutDown(call)
                try cleanUp(call)
            default: throw error
            }
        }
        do throws(SyscallError) { try removeTree(FilePath(call.directory)) } catch { throw ShimError("delete \(call.id)", error) }
    }

    /// Has that shim end, and waits until it has: it takes its socket away only after its answer, and the next one of this container has the same path.
    private static func shutDown(_ call: BridgedCall) throws(ShimError) {
        // Opened before it ends, so that the number is its own.
        let process = openShim(call)
        do throws(ShimError) { let _: ProtobufEmpty = try ask(call, .shutdown, ShutdownRequest(id: call.id)) } catch {
            // It may be gone before its answer is here.
            if error.code != .kernel { throw error }
        }
        do throws(SyscallError) { if try hasEnded(process, call) { return } } catch { throw ShimError("end \(call.shim)", error) }
        throw ShimError(.timedOut, "end \(call.shim)", cause: "it runs \(endMilliseconds) ms after it said that it ends")
    }

    /// nil where it does not say its number, or there are no pidfds: then its socket says whether it is there.
    private static func openShim(_ call: BridgedCall) -> OwnedFD? {
        guard let known: ConnectResponse = try? ask(call, .connect, ContainerRequest(id: call.id)) else { return nil }
        do throws(SyscallError) { return try openProcess(Int32(bitPattern: known.shimPID)) } catch { return nil }
    }

    /// Waits until it has ended, for `endMilliseconds`.
    private static func hasEnded(_ process: consuming OwnedFD?, _ call: BridgedCall) throws(SyscallError) -> Bool {
        if let process { return try !waitUntilReadable([process.number], timeoutMilliseconds: endMilliseconds).isEmpty }
        let address = FilePath(String(decoding: try readFile(FilePath(call.addressPath), limitBytes: answerByteCount), as: UTF8.self))
        for _ in 0..<endMilliseconds / lookMilliseconds {
            do throws(SyscallError) { _ = try connectUnixSocket(address) } catch { return true }
            _ = try waitUntilReadable([], timeoutMilliseconds: lookMilliseconds)
        }
        return false
    }

    private static func cleanUp(_ call: BridgedCall) throws(ShimError) {
        let bundle = String(decoding: try read(call.bundlePath), as: UTF8.self)
        do throws(SyscallError) { try changeDirectory(FilePath(bundle)) } catch { throw ShimError("delete \(call.id)", error) }
        let words = [call.shim, "-namespace", "apus", "-id", call.id, "-address", "", "-bundle", bundle, "delete"]
        _ = try output(of: words, environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TTRPC_ADDRESS="])
    }
}
