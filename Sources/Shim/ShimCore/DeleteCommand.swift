internal import LinuxSyscalls
internal import Protobuf
package import ShimProtocol
internal import SystemPackage

/// `apus-shim delete`: takes away what a shim that is gone left. Its answer says that the container was killed,
/// because how it ended nobody saw.
package enum DeleteCommand {
    private static let addressByteCount = 4096
    private static let shimEndMilliseconds: Int32 = 5_000
    /// Less than the half minute for which `apusd` waits for all of this.
    private static let runtimeMilliseconds: Int32 = 20_000
    private static let sigkill: Int32 = 9
    private static let killedStatus: UInt32 = 137

    /// Ends the shim if it still runs, deletes the container, unmounts its root, removes the shim's directory.
    /// - Throws: what failed first; the directory then stays, so that another call can go on.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) -> DeleteResponse {
        var configuration = invocation.configuration
        let bundle: String
        do throws(SyscallError) {
            bundle = invocation.bundle.isEmpty ? try workingDirectory().string : invocation.bundle
            if configuration.directory.isEmpty { configuration.directory = try directory(inBundle: bundle) }
        } catch { throw ShimError("delete \(configuration.id)", error) }
        try findGroup(&configuration)
        var stays = configuration.directory.isEmpty
        if configuration.isOfGroup {
            try deleteContainer(configuration.ofTask(configuration.id))
            stays = try GroupDeletion.leave(configuration)
            if !stays { try endShim(configuration) }
        } else if !stays {
            try endShim(configuration)
            try deleteContainer(configuration)
            try letGo(configuration)
        }
        do throws(SyscallError) {
            try RootMounts.unmountAll(bundle: bundle)
            if !stays { try ShimDirectory.remove(configuration.layout) }
        } catch { throw ShimError("delete \(configuration.id)", error) }
        return DeleteResponse(
            pid: 0, exitStatus: killedStatus, exitedAt: ProtobufTimestamp(unixNanoseconds: unixNanoseconds()))
    }

    /// Where the shim of a containerd bundle had its socket; empty when it never got so far.
    private static func directory(inBundle bundle: String) throws(SyscallError) -> String {
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try readFile(FilePath(bundle).appending("address"), limitBytes: addressByteCount)
        } catch  where error.isMissing { return "" }
        let address = String(decoding: bytes, as: UTF8.self)
        let (prefix, suffix) = ("unix://\(ShimDirectory.containerdParent)/", "/\(ShimLayout.socketName)")
        guard address.hasPrefix(prefix), address.hasSuffix(suffix), address.utf8.count > prefix.utf8.count + suffix.utf8.count else {
            return ""
        }
        return String(address.dropFirst("unix://".count).dropLast(suffix.count))
    }

    /// Whether the directory is that of a shim of several containers.
    private static func findGroup(_ configuration: inout ShimConfiguration) throws(ShimError) {
        if configuration.directory.isEmpty { return }
        do throws(SyscallError) {
            configuration.group = String(
                decoding: try readFile(FilePath(configuration.layout.groupPath), limitBytes: ShimGroup.keyByteCount), as: UTF8.self)
        } catch {
            if !error.isMissing { throw ShimError("delete \(configuration.id)", error) }
        }
    }

    private static func endShim(_ configuration: ShimConfiguration) throws(ShimError) {
        do throws(SyscallError) {
            guard let process = try ShimDirectory.process(of: configuration.layout) else { return }
            do throws(SyscallError) {
                try sendSignal(sigkill, toProcessOf: process.owned, subject: "the shim")
            } catch  where error.isMissing { return }
            if try !waitUntilReadable([process.number], timeoutMilliseconds: shimEndMilliseconds).isEmpty { return }
        } catch { throw ShimError("end the shim of \(configuration.id)", error) }
        throw ShimError(.timedOut, "end the shim of \(configuration.id)", cause: "it lives on after SIGKILL")
    }

    /// Has the keeper let go of what it holds for the container.
    private static func letGo(_ configuration: ShimConfiguration) throws(ShimError) {
        if configuration.isForContainerd { return }
        do throws(SyscallError) {
            guard let keeper = try KeeperSocket(configuration).connect() else { return }
            try sendMessage(KeeperPacket.drop(configuration.id).bytes, to: keeper.owned, subject: "keeper")
        } catch {
            if !error.isMissing && !error.isPeerGone { throw ShimError("let go of what is kept for \(configuration.id)", error) }
        }
    }

    private static func deleteContainer(_ configuration: ShimConfiguration) throws(ShimError) {
        guard let record = try record(configuration) else { return }
        let options = try TaskOptions(record.options, namespace: configuration.namespace)
        let command = try RuntimeCommand(options, configuration: configuration)
        let doing = "\(command.executable) delete"
        let logPath = "\(configuration.directory)/delete-log"
        let exit: ProcessExit?
        do throws(SyscallError) {
            let log = try openFile(FilePath(logPath), [.writeOnly, .create, .truncate, .append])
            let null = try openFile("/dev/null", .readOnly)
            let process = try spawnProcess(
                FilePath(command.executable), arguments: command.arguments(.delete(force: true), logPath: logPath),
                environment: configuration.environment, input: null.number, output: log.number, error: log.number)
            exit = try waitForExit(ofChild: process, orKillAfterMilliseconds: runtimeMilliseconds)
        } catch { throw ShimError(doing, error) }
        guard let exit else { throw ShimError(.timedOut, doing, cause: "killed after \(runtimeMilliseconds) ms") }
        if let failure = RuntimeLog.failure(exit, doing: doing, logPath: logPath), !failure.saysThatContainerIsMissing { throw failure }
    }

    /// What the shim was asked to do; nil when it never was, so that no runtime has run.
    private static func record(_ configuration: ShimConfiguration) throws(ShimError) -> ShimRecord? {
        let path = configuration.layout.optionsPath
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try readFile(FilePath(path), limitBytes: ShimRecord.maximumByteCount)
        } catch {
            if error.isMissing { return nil }
            throw ShimError("read the shim's record", error)
        }
        // Without it nobody knows which runtime has the container: to go on would only hide it.
        do throws(WireError) { return try ShimRecord(decoding: bytes) } catch {
            throw ShimError(.unreadable, "read the shim's record \(path)", cause: "\(error)")
        }
    }
}
