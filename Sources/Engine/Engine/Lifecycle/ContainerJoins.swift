internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import Networking
internal import OCISpec
internal import SystemPackage

/// What a start takes from other containers, held open until the runtime has it.
struct JoinedParts: Sendable {
    /// Files of the others' namespaces.
    var namespaces: [LinuxNamespace.Kind: String] = [:]
    /// The ids of the user namespace; nil is the host's.
    var userNamespace: UserNamespaceIDs?
    /// What is bound to `/dev/shm`; nil is a file system of the container's own.
    var sharedMemory: String?
    /// The files in `/etc` and the names of the container whose network it is.
    var network: NetworkNames?
    private var held: [LinuxNamespace.Kind: HeldNamespace] = [:]

    struct NetworkNames: Sendable {
        var files: NetworkFiles
        var hostName: String
        var domainName: String
    }

    mutating func hold(_ namespace: HeldNamespace, as kind: LinuxNamespace.Kind) {
        namespaces[kind] = namespace.path
        held[kind] = namespace
    }

    /// Has a start that the shim makes find a namespace by a file. What was held for the first start would only keep one alive that nobody is in any more.
    mutating func find(_ kind: LinuxNamespace.Kind, at file: String) {
        namespaces[kind] = file
        held[kind] = nil
    }
}

/// A namespace kept alive by a descriptor, so that its path means it even when its processes are gone.
final class HeldNamespace: Sendable {
    private let file: OwnedFD

    init(_ kind: LinuxNamespace.Kind, of pid: UInt32) throws(SyscallError) {
        let name =
            switch kind {
            case .network: "net"
            case .mount: "mnt"
            default: kind.rawValue
            }
        do throws(SyscallError) { file = try Self.open(name, FilePath("/proc/\(pid)")) } catch {
            guard Self.saysMissing(error), let file = try Self.openOfThreads(name, pid) else { throw error }
            self.file = file
        }
    }

    private static func open(_ name: String, _ directory: FilePath) throws(SyscallError) -> OwnedFD {
        try openFile(directory.appending("ns").appending(name), .readOnly)
    }

    /// A process whose first thread has ended alone (`pthread_exit`) has its namespaces by the others.
    /// - Returns: nil where none of them has any either.
    private static func openOfThreads(_ name: String, _ pid: UInt32) throws(SyscallError) -> OwnedFD? {
        let threads = FilePath("/proc/\(pid)/task")
        do throws(SyscallError) {
            for thread in try directoryEntries(of: try openFile(threads, [.readOnly, .directory]), subject: threads.string) {
                do throws(SyscallError) { return try open(name, threads.pushing(thread.name)) } catch {
                    guard saysMissing(error) else { throw error }
                }
            }
        } catch { guard saysMissing(error) else { throw error } }
        return nil
    }

    /// Whether a process is none any more, though nobody may have waited for it: its namespaces are the first that it gives up.
    static func hasEnded(_ pid: UInt32) -> Bool {
        do throws(SyscallError) { _ = try HeldNamespace(.mount, of: pid) } catch { return saysMissing(error) }
        return false
    }

    private static func saysMissing(_ error: SyscallError) -> Bool {
        [.noSuchFileOrDirectory, .noSuchProcess].contains(Errno(rawValue: error.errno))
    }

    /// Moves the calling thread into it.
    func join(_ types: NamespaceTypes) throws(SyscallError) { try joinNamespace(file, types, subject: "a container's namespace") }

    /// For other processes, as long as this value lives.
    var path: String { "/proc/\(processID())/fd/\(file.number)" }
}

extension Container {
    /// Opens what the container's modes want of other containers.
    /// - Throws: `.conflict` in Docker's words for one that does not run.
    func joinOthers() async throws(EngineError) -> JoinedParts {
        let modes = try NamespaceModes(document.hostConfig)
        var joined = JoinedParts()
        for (kind, name) in modes.joinedContainers {
            do throws(EngineError) { try await join(kind, of: name, into: &joined) } catch { throw Self.told(error, kind, name) }
        }
        try await joinUserNamespace(modes, into: &joined)
        if try document.hostConfig.isStartedAgainByShim {
            for (kind, file) in try await lastingNamespaces(modes) {
                try checkIsPresent(file, kind, joined)
                joined.find(kind, at: file)
            }
        }
        switch modes.sharedMemory {
        case .own, .none: break
        case .shareable: joined.sharedMemory = paths.sharedMemory.string
        case .host: joined.sharedMemory = hostSharedMemory
        case .container(let name): joined.sharedMemory = try await sharedMemory(of: name)
        }
        return joined
    }

    /// Who joins somebody that is in a network of before, of a run of a third one that has ended, would be in another one than that.
    private func checkIsPresent(_ file: String, _ kind: LinuxNamespace.Kind, _ joined: JoinedParts) throws(EngineError) {
        guard kind == .network, let held = joined.namespaces[kind] else { return }
        let present = try? fileStatus(FilePath(held), followingLinks: true)
        let lasting = try? fileStatus(FilePath(file), followingLinks: true)
        guard let present, let lasting, present.inode == lasting.inode, present.fileSystem == lasting.fileSystem else {
            throw EngineError(
                .conflict,
                "a restart policy does not go with the network of a container that is in one which its owner has no more: start that container anew"
            )
        }
    }

    private func join(_ kind: LinuxNamespace.Kind, of name: String, into joined: inout JoinedParts) async throws(EngineError) {
        let other = try services.index.find(name)
        if kind == .network && other === self { throw EngineError(.invalidParameter, "cannot join own network") }
        guard let task = await other.state.runningTask else { throw await other.notRunning }
        joined.hold(try await other.heldNamespace(kind, of: task), as: kind)
        if kind == .network { joined.network = await other.networkNames }
    }

    /// Opens a namespace of the container's first process.
    /// - Throws: `.conflict` when the process has ended meanwhile.
    func heldNamespace(_ kind: LinuxNamespace.Kind, of task: RunningTask) async throws(EngineError) -> HeldNamespace {
        let namespace: HeldNamespace
        do throws(SyscallError) { namespace = try HeldNamespace(kind, of: task.pid) } catch {
            if HeldNamespace.hasEnded(task.pid) { throw notRunning }
            throw .system("open the \(kind.rawValue) namespace of container \(id)", error)
        }
        // A pid that its shim has not waited for cannot have become another process's before we opened its namespace.
        do throws(ShimError) { _ = try await task.shim.describe() } catch { throw notRunning }
        guard state.runningTask?.pid == task.pid else { throw notRunning }
        return namespace
    }

    // MARK: - What starts that a shim makes find

    /// The namespaces of others by files at which those are found that the others have by then: the shim makes the container again from its bundle.
    func lastingNamespaces(_ modes: NamespaceModes) async throws(EngineError) -> [LinuxNamespace.Kind: String] {
        guard case .container(let name) = modes.network else { return [:] }
        let other = try services.index.find(name)
        var files = [LinuxNamespace.Kind.network: try await other.lastingNetwork()]
        if try await userNamespaceIDs() != nil { files[.user] = try await other.lastingUserNamespace() }
        return files
    }

    /// Where the network is found that this container has at any time while it runs.
    private func lastingNetwork(depth: Int = 0) async throws(EngineError) -> String {
        switch try NamespaceModes(document.hostConfig).network {
        // The runtime's own.
        case .host: return "/proc/self/ns/net"
        case .container(let name):
            guard depth < Self.chainLimit else { throw EngineError(.invalidParameter, "containers join each other's networks in a circle") }
            return try await services.index.find(name).lastingNetwork(depth: depth + 1)
        case .own:
            // Of one that was started on no network there is no file yet; of one that does not run there is one when it runs.
            if attachment == nil, state.supervisedTask != nil {
                _ = try await changingNetworks { () throws(EngineError) in try await ownNetwork() }
            }
            return services.networks.namespace(of: id).path.string
        }
    }

    /// The same of its user namespace, which is not the host's. Who joins others in a circle has none.
    private func lastingUserNamespace() async throws(EngineError) -> String {
        guard let (_, name) = try NamespaceModes(document.hostConfig).joinedContainers.first else { return paths.userNamespace.string }
        return try await services.index.find(name).lastingUserNamespace()
    }

    private var networkNames: JoinedParts.NetworkNames {
        JoinedParts.NetworkNames(files: paths.networkFiles, hostName: document.config.hostname, domainName: document.config.domainName)
    }

    /// The words of Docker for a container whose namespace cannot be joined.
    private static func told(_ error: EngineError, _ kind: LinuxNamespace.Kind, _ name: String) -> EngineError {
        if kind == .network {
            let words = "cannot join network of a non running container: \(name)"
            return error.code == .conflict ? EngineError(.conflict, words, cause: error.cause) : error
        }
        let doing =
            switch kind {
            case .ipc: "can't join IPC of container \(name)"
            case .pid: "cannot join PID of a non running container: \(name)"
            default: ""
            }
        return doing.isEmpty ? error : EngineError(error.code, "\(doing): \(error.message)", cause: error.cause)
    }

    /// The directory that another container has as its shared memory.
    private func sharedMemory(of name: String) async throws(EngineError) -> String {
        var next = name
        for _ in 0..<Self.chainLimit {
            let other = try services.index.find(next)
            switch try NamespaceModes(await other.document.hostConfig).sharedMemory {
            case .shareable: return other.paths.sharedMemory.string
            case .host: return hostSharedMemory
            case .container(let further): next = further
            case .own, .none:
                throw EngineError(
                    .invalidParameter,
                    "can't join IPC of container \(name): non-shareable IPC (hint: use IpcMode:shareable for the donor container)")
            }
        }
        throw EngineError(.invalidParameter, "can't join IPC of container \(name): it is shared in a circle")
    }

    private var hostSharedMemory: String { "/dev/shm" }
}
