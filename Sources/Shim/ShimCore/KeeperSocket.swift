internal import LinuxSyscalls
internal import SystemPackage

/// Where the keeper of an exec root listens: beside the shims' own directories.
struct KeeperSocket {
    /// What no container can be called: ids do not begin with a dot.
    static let name = ".keeper"
    private static let backlog: Int32 = 4096
    /// How long the keeper, or whoever is about to start it, may take for the next word: it may be stopped, or swapped out on a busy machine.
    private static let answerMilliseconds: Int32 = 60_000
    private static let startLookMilliseconds: Int32 = 10
    /// Keepers that are asked one after the other, when each hangs up.
    private static let questionCount = 3

    private let directory: Descriptor
    private let configuration: ShimConfiguration

    /// - Parameter configuration: of a shim with a directory of its own.
    init(_ configuration: ShimConfiguration) throws(SyscallError) {
        self.configuration = configuration
        directory = Descriptor(try openFile(Self.parent(configuration), [.readOnly, .directory]))
    }

    static func parent(_ configuration: ShimConfiguration) -> FilePath { FilePath(configuration.directory).removingLastComponent() }

    private var path: FilePath { FilePath("/proc/self/fd/\(directory.number)/\(Self.name)") }

    /// Connects to the keeper, if there is one.
    func connect() throws(SyscallError) -> Descriptor? {
        do throws(SyscallError) { return Descriptor(try connectUnixSocket(path, .packets)) } catch  where error.saysThatNobodyListens {
            return nil
        }
    }

    /// Connects to the keeper, which is started where there is none.
    /// - Returns: nil while somebody else is about to start it.
    func connectOrStart() throws(SyscallError) -> Descriptor? {
        if let connection = try connect() { return connection }
        let lock = try openFile(FilePath("/proc/self/fd/\(directory.number)"), [.readOnly, .directory])
        guard try tryLockFile(lock, subject: "the directory of shims") else { return nil }
        if let connection = try connect() { return connection }
        // Of a keeper that was killed.
        do throws(SyscallError) { try removeFile(path) } catch  where error.isMissing {}
        let previousMask = setFileCreationMask(0o177)
        defer { setFileCreationMask(previousMask) }
        let listener = try listenUnixSocket(path, .packets, backlog: Self.backlog)
        let null = try openFile("/dev/null", .readWrite)
        // Both are taken by the new process under their numbers here: nothing else is started meanwhile by this one.
        try setCloseOnExec(false, of: listener.number)
        try setCloseOnExec(false, of: directory.number)
        defer { try? setCloseOnExec(true, of: directory.number) }
        let arguments = [
            configuration.executable, "-id", "keeper", "-directory", "/proc/self/fd/\(directory.number)", "-listener",
            "\(listener.number)", "keep",
        ]
        _ = try spawnProcess(
            "/proc/self/exe", arguments: arguments, environment: [], input: null.number, output: null.number, error: null.number,
            newSession: true)
        return try connect()
    }

    /// The same, but waits for whoever is about to start it.
    func connectOrStartWaiting(milliseconds: Int32) throws(SyscallError) -> Descriptor? {
        let deadline = monotonicNanoseconds() + Int64(milliseconds) * 1_000_000
        while true {
            if let connection = try connectOrStart() { return connection }
            if monotonicNanoseconds() >= deadline { return nil }
            _ = try waitUntilReadable([], timeoutMilliseconds: Self.startLookMilliseconds)
        }
    }

    /// Asks the keeper, once it is there, for all that is kept for a container, by name.
    /// - Throws: ETIMEDOUT where it does not tell all of it: what it has must not be taken for nothing.
    func kept() throws(SyscallError) -> (connection: Descriptor, kept: [String: KeptDescriptors]) {
        var kept: [String: KeptDescriptors] = [:]
        for _ in 0..<Self.questionCount {
            guard let connection = try connectOrStartWaiting(milliseconds: Self.answerMilliseconds) else { break }
            // One that hangs up in the midst was killed, and nobody else has what it had told by then; or it has lost its patience.
            if try Self.ask(connection, for: configuration.id, into: &kept) { return (connection, kept) }
        }
        throw SyscallError("connect", "keeper", errno: Errno.timedOut.rawValue)
    }

    /// - Returns: whether it was told to the end.
    private static func ask(_ keeper: Descriptor, for id: String, into kept: inout [String: KeptDescriptors]) throws(SyscallError) -> Bool {
        do throws(SyscallError) { try sendMessage(KeeperPacket.tell(id).bytes, to: keeper.owned, subject: "keeper") } catch {
            if error.isPeerGone { return false }
            throw error
        }
        while try !waitUntilReadable([keeper.number], timeoutMilliseconds: answerMilliseconds).isEmpty {
            let message: ReceivedMessage
            do throws(SyscallError) {
                message = try receiveMessage(from: keeper.owned, limitBytes: KeeperPacket.maximumByteCount, subject: "keeper")
            } catch {
                if error.isPeerGone { return false }
                throw error
            }
            let descriptors = message.descriptors.map { Descriptor(OwnedFD(owning: $0)) }
            guard case .kept(let name, let roles)? = KeeperPacket(message.bytes) else { return KeeperPacket(message.bytes) == .end }
            kept[name] = Dictionary(zip(roles, descriptors)) { first, _ in first }
        }
        throw SyscallError("recvmsg", "keeper", errno: Errno.timedOut.rawValue)
    }
}

extension SyscallError {
    /// No socket is there, or its process is gone: ENOENT, ECONNREFUSED.
    fileprivate var saysThatNobodyListens: Bool { isMissing || isRefused }
}
