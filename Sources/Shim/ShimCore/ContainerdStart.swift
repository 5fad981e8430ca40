internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// `start` for containerd, which says more than its flags and wants to be answered in its version's manner.
enum ContainerdStart {
    /// How the address is told.
    enum Manner: Equatable {
        /// The bare address: what every containerd reads, and takes for version 2 of the task service.
        case address
        /// An object with version and protocol, for whoever can speak a newer version and says so.
        case json
        /// The message that answers `BootstrapParameters`.
        case message
    }

    private static let inputByteCount = 10 << 20
    /// containerd has written all before the shim begins; whoever types the command may never end its input.
    private static let inputMilliseconds: Int32 = 2_000
    private static let lockMilliseconds: Int32 = 30_000
    private static let leaveMilliseconds: Int32 = 20_000
    private static let pollMilliseconds: Int32 = 10
    private static let versionVariable = "MAX_SHIM_VERSION="

    /// Begins a shim, or finds the one of the container's group.
    /// - Returns: what to print.
    static func run(_ invocation: ShimInvocation) throws(ShimError) -> [UInt8] {
        var configuration = invocation.configuration
        let (manner, cgroup) = try read(&configuration)
        ShimDirectory.removeForgotten()
        let layout: ShimLayout
        if let name = try ShimGroup.nameInBundle() {
            let group = ShimGroup(
                containerdAddress: configuration.containerdAddress, namespace: configuration.namespace, name: name)
            layout = try join(group, configuration, cgroup)
        } else {
            configuration.directory = "\(ShimDirectory.containerdParent)/\(randomName())"
            layout = configuration.layout
            try ShimCgroup.enter(cgroup, of: configuration.id)
            try StartCommand.begin(configuration)
        }
        let address = "unix://\(layout.socketPath)"
        // containerd finds the shim by this file when it comes back, and so does `delete`.
        do throws(SyscallError) { try writeAll(Array(address.utf8), toFile: "address") } catch {
            throw ShimError("start a shim for \(configuration.id)", error)
        }
        switch manner {
        case .address: return Array(address.utf8)
        case .json: return BootstrapResult(address: address).json
        case .message: return BootstrapResult(address: address).encoded()
        }
    }

    // MARK: - What containerd says

    /// - Returns: how it wants to be answered, and the cgroup that the shim is to be in.
    private static func read(_ configuration: inout ShimConfiguration) throws(ShimError) -> (Manner, cgroup: String) {
        let input: [UInt8]
        do throws(SyscallError) { input = try readInput() } catch { throw ShimError("what containerd says", error) }
        // The runtime's options, which older ones write there, may pass for this message, but not with the ids of the flags.
        if let parameters = try? BootstrapParameters(decoding: input), parameters.instanceID == configuration.id,
            parameters.namespace == configuration.namespace
        {
            if !parameters.eventsAddress.isEmpty { configuration.eventsAddress = parameters.eventsAddress }
            if !parameters.containerdAddress.isEmpty { configuration.containerdAddress = parameters.containerdAddress }
            return (.message, cgroup(in: parameters.extensions))
        }
        let cgroup = cgroup(in: (try? ProtobufAny(decoding: input)).map { [$0] } ?? [])
        let version = configuration.environment.first { $0.hasPrefix(versionVariable) }.flatMap {
            Int32($0.dropFirst(versionVariable.count))
        }
        return ((version ?? 0) >= BootstrapResult.newestVersion ? .json : .address, cgroup)
    }

    private static func cgroup(in options: [ProtobufAny]) -> String {
        for any in options { if let runc = try? RuncOptions(any) { return runc.shimCgroup } }
        return ""
    }

    private static func readInput() throws(SyscallError) -> [UInt8] {
        var input: [UInt8] = []
        while try !waitUntilReadable([0], timeoutMilliseconds: inputMilliseconds).isEmpty {
            let chunk = try readChunk(0, limitBytes: 65_536, subject: "standard input")
            input += chunk
            if chunk.isEmpty || input.count > inputByteCount { break }
        }
        return input
    }

    // MARK: - Groups

    /// Has the group's shim expect the container, or begins that shim.
    private static func join(_ group: ShimGroup, _ own: ShimConfiguration, _ cgroup: String) throws(ShimError) -> ShimLayout {
        var configuration = own
        configuration.directory = "\(ShimDirectory.containerdParent)/\(group.directoryName)"
        configuration.group = group.key
        let layout = configuration.layout
        var failure: ShimError?
        do throws(SyscallError) {
            let lock = try lockBundles()
            if try !isExpected(configuration) {
                do throws(ShimError) {
                    try ShimCgroup.enter(cgroup, of: configuration.id)
                    try StartCommand.begin(configuration)
                } catch { failure = error }
            }
            try lock.close()
        } catch { throw ShimError("join the group of \(configuration.id)", error) }
        if let failure { throw failure }
        return layout
    }

    /// Bundles of one namespace lie side by side: whoever starts another member waits here, until it can be told where.
    private static func lockBundles() throws(SyscallError) -> OwnedFD {
        let subject = "the bundles' directory"
        let lock = try openFile("..", [.readOnly, .directory])
        var waited: Int32 = 0
        while try !tryLockFile(lock, subject: subject) {
            guard waited < lockMilliseconds else { throw SyscallError("flock", subject, errno: 110) }
            _ = try waitUntilReadable([], timeoutMilliseconds: pollMilliseconds)
            waited += pollMilliseconds
        }
        return lock
    }

    /// Whether the group's shim is there and waits for the container now.
    private static func isExpected(_ configuration: ShimConfiguration) throws(SyscallError) -> Bool {
        let layout = configuration.layout
        guard let process = try ShimDirectory.process(of: layout) else { return false }
        let there = try readFile(FilePath(layout.groupPath), limitBytes: ShimGroup.keyByteCount)
        guard there == Array(configuration.group.utf8) else { throw SyscallError("join", layout.directory, errno: 17) }
        let answer: ProtobufEmpty? = try? ShimCall.ask(
            layout, SupervisionMethod.service, SupervisionMethod.join.rawValue, ContainerRequest(id: configuration.id))
        if answer != nil { return true }
        // It is on its way out, and tells containerd of its last events before.
        _ = try waitUntilReadable([process.number], timeoutMilliseconds: leaveMilliseconds)
        return false
    }

    private static func randomName() -> String {
        (0..<2).map { _ in
            let digits = String(UInt64.random(in: .min ... .max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
