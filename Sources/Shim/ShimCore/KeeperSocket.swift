internal import LinuxSyscalls
internal import SystemPackage

/// Where the keeper of an exec root listens: beside the shims' own directories.
struct KeeperSocket {
    /// What no container can be called: ids do not begin with a dot.
    static let name = ".keeper"
    private static let backlog: Int32 = 4096
    /// How long an answer may take.
    private static let answerMilliseconds: Int32 = 2_000

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
    func connectOrStartWaiting() throws(SyscallError) -> Descriptor? {
        for _ in 0..<200 {
            if let connection = try connectOrStart() { return connection }
            _ = try waitUntilReadable([], timeoutMilliseconds: 10)
        }
        return nil
    }

    /// Asks for all that is kept for a container, by name.
    static func kept(for id: String, from connection: Descriptor) throws(SyscallError) -> [String: KeptDescriptors] {
        try sendMessage(KeeperPacket.tell(id).bytes, to: connection.owned, subject: "keeper")
        var kept: [String: KeptDescriptors] = [:]
        while try !waitUntilReadable([connection.number], timeoutMilliseconds: answerMilliseconds).isEmpty {
            let message = try receiveMessage(from: connection.owned, limitBytes: KeeperPacket.maximumByteCount, subject: "keeper")
            let descriptors = message.descriptors.map { Descriptor(OwnedFD(owning: $0)) }
            guard case .kept(let name, let roles)? = KeeperPacket(message.bytes) else { return kept }
            kept[name] = Dictionary(zip(roles, descriptors)) { first, _ in first }
        }
        return kept
    }
}

extension SyscallError {
    /// No socket is there, or its process is gone: ENOENT, ECONNREFUSED.
    fileprivate var saysThatNobodyListens: Bool { isMissing || isRefused }
}
