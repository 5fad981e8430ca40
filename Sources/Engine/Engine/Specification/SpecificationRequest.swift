internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import OCISpec

/// Everything that a container's runtime configuration follows from.
struct SpecificationRequest: Sendable {
    var id: ContainerID
    /// The request's configuration, merged with the image's.
    var config: ContainerConfig
    var host: HostConfig
    /// What it mounts.
    var mounts: MountPlan
    /// The process's user, already looked up in the container's own files.
    var user: UserConfiguration
    /// The files on the host that stand for `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
    var files: NetworkFiles
    /// The system call filter; nil for none.
    var seccomp: SeccompConfiguration?
    /// The ids of its user namespace; nil is the host's.
    var userNamespace: UserNamespaceIDs?
    /// What was looked up on the host for this start.
    var findings = HostFindings()
    /// `apus-init` on the host.
    var initPath: String
    var facts: HostFacts
}

/// What a start looks up on the host, because it may be another at the next.
struct HostFindings: Sendable {
    /// Device nodes that the container gets.
    var devices: [LinuxDevice] = []
    /// What it may do with those of the request.
    var deviceRules: [DeviceRule] = []
    /// What CDI's documents say of the devices asked for.
    var deviceEdits: [CDIEdits] = []
    /// The numbers of the block devices that limits name by their paths.
    var blockDevices: [String: DeviceNumber] = [:]
    /// Files of namespaces that are there already: of other containers, and the pinned one of the container's own network.
    var namespaces: [LinuxNamespace.Kind: String] = [:]
    /// What is bound to `/dev/shm`; nil is a file system of the container's own.
    var sharedMemory: String?
    /// Where paths inside volumes are pinned, by their destinations.
    var pins: [String: String] = [:]
}

/// Where the engine keeps the files about names and addresses that a container sees in `/etc`.
struct NetworkFiles: Equatable, Sendable {
    var hosts: String
    var hostname: String
    var resolver: String
}
