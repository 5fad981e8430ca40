internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// The socket in the state directory on which a created container's init waits for `start`. A connection carries `proceed` in, and
/// out what prevented the program from running; execve closes it, which is the good news.
enum StartGate {
    /// The name that init goes by until execve: tells a created container from a running one whatever became of `start`.
    static let processName = "apus:created"

    /// Bound through the open directory: a socket's address holds 107 bytes, a container's path may be longer.
    static func listen(in directory: borrowing StateDirectory) throws(RuntimeError) -> HeldDescriptor {
        let path = path(in: directory)
        do { return HeldDescriptor(try listenUnixSocket(path, .packets, backlog: 8)) } catch {
            throw RuntimeError(doing: "making the start gate", error)
        }
    }

    /// For init: returns with the connection of the `start` that let it through.
    /// - Parameter lent: what an `exec` gets that asks for it meanwhile.
    static func passThrough(_ listener: HeldDescriptor, lending lent: [LentNamespace]) throws(RuntimeError) -> StageChannel {
        while true {
            let connection = StageChannel(
                try during("waiting for start") { () throws(SyscallError) in try acceptConnection(listener.number) })
            // A start that was killed before it said so does not count.
            guard case .message(let received) = try connection.receive() else { continue }
            if received.message == .proceed { return connection }
            if received.message == .namespaces([]) {
                try connection.send(.namespaces(lent.map(\.kind)), descriptors: lent.map(\.file.number))
            }
        }
    }

    /// For `start`: lets init through and returns when its program runs.
    /// - Parameter listening: takes the listener over that init has by this number.
    /// - Returns: false where nobody waits at the gate, or nobody let us in: another was quicker.
    /// - Throws: what kept the program from running.
    static func open(
        in directory: borrowing StateDirectory, listening: (Int32) throws(RuntimeError) -> Void
    ) throws(RuntimeError) -> Bool {
        let connection: StageChannel
        do throws(SyscallError) {
            connection = StageChannel(try connectUnixSocket(path(in: directory), .packets))
            _ = try sendMessage(StageMessage.proceed.encoded, to: connection.socket.number, subject: "start gate")
        } catch {
            if [ECONNREFUSED, ENOENT, ECONNRESET, EPIPE].contains(error.errno) { return false }
            throw RuntimeError(doing: "opening the start gate", error)
        }
        while true {
            switch try connection.receive() {
            case .end: return true
            case .unheard: return false
            case .message(let received):
                switch received.message {
                case .failed(let error): throw error
                case .listening(let descriptor):
                    try listening(descriptor)
                    try connection.send(.proceed)
                default: break
                }
            }
        }
    }

    /// For `exec`: the namespaces that init lends; none where nobody waits at the gate any more.
    static func borrowNamespaces(in directory: borrowing StateDirectory) throws(RuntimeError) -> [LentNamespace] {
        let connection: StageChannel
        do { connection = StageChannel(try connectUnixSocket(path(in: directory), .packets)) } catch {
            if error.errno == ECONNREFUSED || error.errno == ENOENT { return [] }
            throw RuntimeError(doing: "asking for the container's namespaces", error)
        }
        try connection.send(.namespaces([]))
        guard case .message(let received) = try connection.receive() else { return [] }
        let files = received.descriptors.map { HeldDescriptor(OwnedFD(owning: $0)) }
        guard case .namespaces(let kinds) = received.message, kinds.count == files.count else {
            throw RuntimeError(.lost, doing: "asking for the container's namespaces", "unexpected \(received.message)")
        }
        return zip(kinds, files).map { LentNamespace(kind: $0, file: $1) }
    }

    private static func path(in directory: borrowing StateDirectory) -> FilePath {
        FilePath("/proc/self/fd/\(directory.descriptor.number)/\(StateDirectory.gateName)")
    }
}

/// A namespace of a created container, by its descriptor, for those who may not look for it in /proc.
struct LentNamespace {
    let kind: LinuxNamespace.Kind
    let file: HeldDescriptor

    /// The calling process's own, the user namespace first: rights over the others are had there.
    static func own(_ kinds: [LinuxNamespace.Kind]) throws(RuntimeError) -> [LentNamespace] {
        let ordered = kinds.filter { $0 == .user } + kinds.filter { $0 != .user }
        return try ordered.map { (kind) throws(RuntimeError) in
            let name = NamespacePlan.Join(type: NamespaceTypes(kind), kind: kind, path: "").fileName
            return LentNamespace(
                kind: kind,
                file: HeldDescriptor(
                    try during("opening the \(kind.rawValue) namespace") { () throws(SyscallError) in
                        try openFile(FilePath("/proc/self/ns/\(name)"), .readOnly)
                    }))
        }
    }
}
