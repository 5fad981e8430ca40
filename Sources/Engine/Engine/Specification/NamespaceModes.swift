internal import EngineAPI
internal import OCISpec

/// Whose namespaces a container uses, as `HostConfig`'s modes say it.
struct NamespaceModes: Equatable, Sendable {
    /// Whose a namespace is.
    enum Owner: Equatable, Sendable {
        case own
        case host
        /// Another container's, by its name or id.
        case container(String)
    }

    /// What a container has as `/dev/shm`.
    enum SharedMemory: Equatable, Sendable {
        /// Its own, which nobody else reaches.
        case own
        /// Its own, on the host as well, where containers that come later find it.
        case shareable
        case none
        case host
        case container(String)
    }

    let process: Owner
    let hostName: Owner
    let network: Owner
    let cgroup: Owner
    let sharedMemory: SharedMemory

    /// - Throws: `.invalidParameter` in Docker's words for a mode that is none.
    init(_ host: HostConfig) throws(EngineError) {
        guard let process = Self.owner(host.pidMode) else { throw Self.invalid("PID mode", host.pidMode) }
        guard let hostName = Self.owner(host.utsMode), !Self.isContainer(hostName) else { throw Self.invalid("UTS mode", host.utsMode) }
        guard let cgroup = host.cgroupnsMode == "private" ? .own : Self.owner(host.cgroupnsMode), !Self.isContainer(cgroup) else {
            throw Self.invalid("cgroup namespace mode", host.cgroupnsMode)
        }
        switch host.ipcMode {
        case "", "private": sharedMemory = .own
        case "shareable": sharedMemory = .shareable
        case "none": sharedMemory = .none
        default:
            switch Self.owner(host.ipcMode) {
            case .host: sharedMemory = .host
            case .container(let name): sharedMemory = .container(name)
            case .own, nil: throw Self.invalid("IPC mode", host.ipcMode)
            }
        }
        switch host.usernsMode {
        case "", "host", "private": break
        default: throw Self.invalid("user namespace mode", host.usernsMode)
        }
        self.process = process
        self.hostName = hostName
        self.cgroup = cgroup
        network = Self.networkOwner(host.networkMode)
    }

    /// Whose network a mode means; what is neither the host's nor a container's is the container's own.
    static func networkOwner(_ mode: String) -> Owner {
        guard mode == "host" || mode.hasPrefix("container:") else { return .own }
        return owner(mode) ?? .own
    }

    /// Whose the IPC namespace is; the shared memory goes with it.
    var ipc: Owner {
        switch sharedMemory {
        case .own, .shareable, .none: .own
        case .host: .host
        case .container(let name): .container(name)
        }
    }

    /// The namespaces that a mode may take from others, with whose they are.
    var owners: [(kind: LinuxNamespace.Kind, owner: Owner)] {
        [(.network, network), (.uts, hostName), (.pid, process), (.ipc, ipc), (.cgroup, cgroup)]
    }

    /// The other containers whose namespaces these are.
    var joinedContainers: [(kind: LinuxNamespace.Kind, name: String)] {
        owners.compactMap { kind, owner in if case .container(let name) = owner { (kind, name) } else { nil } }
    }

    /// The namespaces for the runtime.
    /// - Parameter joined: files of namespaces that are there already; of a user namespace, which is not made anew, it says that there is one.
    func namespaces(joining joined: [LinuxNamespace.Kind: String]) -> [LinuxNamespace] {
        [LinuxNamespace(.mount)] + (joined[.user].map { [LinuxNamespace(.user, path: $0)] } ?? [])
            + owners.compactMap { kind, owner in
                switch owner {
                case .host: nil
                // One's own is a new one, unless it was made before.
                case .own, .container: LinuxNamespace(kind, path: joined[kind])
                }
            }
    }

    private static func owner(_ text: String) -> Owner? {
        switch text {
        case "": return .own
        case "host": return .host
        default:
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "container", !parts[1].isEmpty else { return nil }
            return .container(String(parts[1]))
        }
    }

    private static func isContainer(_ owner: Owner) -> Bool { if case .container = owner { true } else { false } }

    private static func invalid(_ what: String, _ text: String) -> EngineError {
        EngineError(.invalidParameter, "invalid \(what): \(text)")
    }
}
