/// The part of `config.json` that only Linux knows.
/// - Spec: runtime-spec v1.3.0, config-linux.md.
public struct LinuxConfiguration: Equatable, Sendable {
    public var namespaces: [LinuxNamespace] = []
    public var uidMappings: [IDMapping] = []
    public var gidMappings: [IDMapping] = []
    public var timeOffsets: TimeOffsets?
    public var devices: [LinuxDevice] = []
    /// Host network devices to move into the container, by their name on the host.
    public var netDevices: [String: NetDevice] = [:]
    /// Absolute, or relative to a place that the runtime chooses; nil leaves the whole path to it.
    public var cgroupsPath: String?
    public var resources: LinuxResources?
    public var intelRdt: IntelRdt?
    public var memoryPolicy: MemoryPolicy?
    public var sysctl: [String: String] = [:]
    public var seccomp: SeccompConfiguration?
    public var rootfsPropagation: RootfsPropagation?
    public var maskedPaths: [String] = []
    public var readonlyPaths: [String] = []
    public var mountLabel: String?
    public var personality: Personality?

    public init() {}

    /// The entry for a kind of namespace; nil where the container shares the runtime's.
    public func namespace(_ kind: LinuxNamespace.Kind) -> LinuxNamespace? {
        namespaces.first { $0.kind == kind }
    }
}

/// A namespace to make, or to join by path.
public struct LinuxNamespace: Equatable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case mount, pid, network, uts, ipc, user, cgroup, time
    }
    public var kind: Kind
    /// Absolute; nil makes a new one.
    public var path: String?

    public init(_ kind: Kind, path: String? = nil) {
        self.kind = kind
        self.path = path
    }
}

/// A device node to make in the container.
public struct LinuxDevice: Equatable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case block = "b"
        case character = "c"
        case unbufferedCharacter = "u"
        case fifo = "p"
    }
    public var kind: Kind
    /// Absolute, in the container.
    public var path: String
    /// 0 for a fifo.
    public var major: Int64
    public var minor: Int64
    /// Permission bits; nil leaves the runtime's: 0666.
    public var fileMode: UInt32?
    public var uid: UInt32?
    public var gid: UInt32?

    public init(
        _ kind: Kind, path: String, major: Int64 = 0, minor: Int64 = 0, fileMode: UInt32? = nil, uid: UInt32? = nil, gid: UInt32? = nil
    ) {
        self.kind = kind
        self.path = path
        self.major = major
        self.minor = minor
        self.fileMode = fileMode
        self.uid = uid
        self.gid = gid
    }
}

/// How a moved network device is called in the container; nil keeps its name.
public struct NetDevice: Equatable, Sendable {
    public var name: String?

    public init(name: String? = nil) { self.name = name }
}

/// Offsets of a time namespace's clocks.
public struct TimeOffsets: Equatable, Sendable {
    public struct Offset: Equatable, Sendable {
        public var seconds: Int64 = 0
        public var nanoseconds: UInt32 = 0

        public init(seconds: Int64 = 0, nanoseconds: UInt32 = 0) {
            self.seconds = seconds
            self.nanoseconds = nanoseconds
        }
    }
    public var boottime: Offset?
    public var monotonic: Offset?

    public init() {}
}

/// Intel's cache and memory bandwidth allocation, through resctrl.
public struct IntelRdt: Equatable, Sendable {
    public var closID: String?
    public var schemata: [String] = []
    public var l3CacheSchema: String?
    public var memBwSchema: String?
    public var enableMonitoring = false

    public init() {}
}

/// set_mempolicy(2).
public struct MemoryPolicy: Equatable, Sendable {
    public enum Mode: String, Sendable, CaseIterable {
        case systemDefault = "MPOL_DEFAULT"
        case bind = "MPOL_BIND"
        case interleave = "MPOL_INTERLEAVE"
        case weightedInterleave = "MPOL_WEIGHTED_INTERLEAVE"
        case preferred = "MPOL_PREFERRED"
        case preferredMany = "MPOL_PREFERRED_MANY"
        case local = "MPOL_LOCAL"
    }
    public enum Flag: String, Sendable, CaseIterable {
        case numaBalancing = "MPOL_F_NUMA_BALANCING"
        case relativeNodes = "MPOL_F_RELATIVE_NODES"
        case staticNodes = "MPOL_F_STATIC_NODES"
    }
    public var mode: Mode
    /// A list of nodes: `0-1,3`.
    public var nodes: String
    public var flags: [Flag] = []

    public init(mode: Mode, nodes: String = "") {
        self.mode = mode
        self.nodes = nodes
    }
}

/// How mounts of the container's root and of the host reach each other.
public enum RootfsPropagation: String, Sendable, CaseIterable {
    case `private`, shared, slave, unbindable
}

/// personality(2).
public struct Personality: Equatable, Sendable {
    public enum Domain: String, Sendable, CaseIterable {
        case linux = "LINUX"
        case linux32 = "LINUX32"
    }
    public var domain: Domain
    /// None is defined by the specification yet.
    public var flags: [String] = []

    public init(domain: Domain) { self.domain = domain }
}
