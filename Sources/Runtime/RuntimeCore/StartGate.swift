internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// The socket in the state directory at which a created container's init waits for `start`, which sends it one end of a channel: that carries
/// `proceed` in, and out what prevented the program from running; execve closes it, which is the good news.
///
/// Init takes in a descriptor, and opens none: where the machine can open no file, it still hears `start`, and tells it what execve says to that.
enum StartGate {
    /// The name that init goes by until execve: tells a created container from a running one whatever became of `start`.
    static let processName = "apus:created"

    /// Bound through the open directory: a socket's address holds 107 bytes, a container's path may be longer.
    static func make(in directory: borrowing StateDirectory) throws(RuntimeError) -> HeldDescriptor {
        let path = path(in: directory)
        do { return HeldDescriptor(try bindUnixSocket(path, .datagrams)) } catch {
            throw RuntimeError(doing: "making the start gate", error)
        }
    }

    /// For init: returns with the channel of the `start` that let it through.
    /// - Parameter lent: what an `exec` gets that asks for it meanwhile.
    static func passThrough(_ gate: HeldDescriptor, lending lent: [LentNamespace]) throws(RuntimeError) -> StageChannel {
        while true {
            let knock = try during("waiting for start") { () throws(SyscallError) in
                try receiveMessage(from: gate.number, limitBytes: knockBytes.count, subject: "start gate")
            }
            let ends = knock.descriptors.map { StageChannel(OwnedFD(owning: $0)) }
            // A start that was killed before it said so does not count.
            guard let channel = ends.first, case .message(let received) = try channel.receive() else { continue }
            if received.message == .proceed { return channel }
            if received.message == .namespaces([]) {
                try channel.send(.namespaces(lent.map(\.kind)), descriptors: lent.map(\.file.number))
            }
        }
    }

    /// What a channel's end comes along with.
    private static let knockBytes: [UInt8] = [0]
    /// Nobody is at the gate, or no more.
    private static let absences = [ECONNREFUSED, ENOENT, ECONNRESET, EPIPE]

    /// Sends init one end of a channel in which `message` is said already, and returns the other one.
    private static func knock(_ message: StageMessage, in directory: borrowing StateDirectory) throws(SyscallError) -> StageChannel {
        let path = path(in: directory)
        let gate: OwnedFD
        do { gate = try connectUnixSocket(path, .datagrams) } catch {
            guard error.errno == EPROTOTYPE else { throw error }
            // A container of an older version waits for connections there.
            let channel = StageChannel(try connectUnixSocket(path, .packets))
            _ = try sendMessage(message.encoded, to: channel.socket.number, subject: "start gate")
            return channel
        }
        let (own, theirs) = try SocketPair(.packets).split { (StageChannel($0), StageChannel($1)) }
        _ = try sendMessage(message.encoded, to: own.socket.number, subject: "start gate")
        _ = try sendMessage(knockBytes, descriptors: [theirs.socket.number], to: gate, subject: "start gate")
        // Its end is to be noticed.
        theirs.socket.close()
        return own
    }

    /// For `start`: lets init through and returns when its program runs.
    /// - Parameter listening: takes the listener over that init has by this number.
    /// - Returns: false where nobody waits at the gate, or nobody let us in: another was quicker.
    /// - Throws: what kept the program from running.
    static func open(
        in directory: borrowing StateDirectory, listening: (Int32) throws(RuntimeError) -> Void
    ) throws(RuntimeError) -> Bool {
        let channel: StageChannel
        do throws(SyscallError) { channel = try knock(.proceed, in: directory) } catch {
            if absences.contains(error.errno) { return false }
            throw RuntimeError(doing: "opening the start gate", error)
        }
        while true {
            switch try channel.receive() {
            case .end: return true
            case .unheard: return false
            case .message(let received):
                switch received.message {
                case .failed(let error): throw error
                case .listening(let descriptor):
                    try listening(descriptor)
                    try channel.send(.proceed)
                default: break
                }
            }
        }
    }

    /// For `exec`: the namespaces that init lends; none where nobody waits at the gate any more.
    static func borrowNamespaces(in directory: borrowing StateDirectory) throws(RuntimeError) -> [LentNamespace] {
        let channel: StageChannel
        do throws(SyscallError) { channel = try knock(.namespaces([]), in: directory) } catch {
            if absences.contains(error.errno) { return [] }
            throw RuntimeError(doing: "asking for the container's namespaces", error)
        }
        guard case .message(let received) = try channel.receive() else { return [] }
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
