/// The part of `config.json` that only Linux knows.
/// - Spec: runtime-spec v1.3.0, config-linux.md.
public struct LinuxConfiguration: Equatable, Sendable {
    /// Those that are new or joined; each kind at most once, one that is missing is the runtime's. - Spec: config-linux.md, "Namespaces".
    public var namespaces: [LinuxNamespace] = []
    /// Of a new user namespace. - Spec: config-linux.md, "User namespace mappings".
    public var uidMappings: [IDMapping] = []
    /// Of a new user namespace. - Spec: config-linux.md, "User namespace mappings".
    public var gidMappings: [IDMapping] = []
    /// Of a new time namespace; nil leaves the host's clocks. - Spec: config-linux.md, "Offset for Time Namespace".
    public var timeOffsets: TimeOffsets?
    /// Beside the default ones; a node at the path of a default device replaces it. - Spec: config-linux.md, "Devices".
    public var devices: [LinuxDevice] = []
    /// Host network devices to move into the container, by their name on the host.
    public var netDevices: [String: NetDevice] = [:]
    /// Absolute, or relative to a place that the runtime chooses; nil leaves the whole path to it.
    public var cgroupsPath: String?
    /// Limits; nil sets none but the default rules of devices. - Spec: config-linux.md, "Control groups".
    public var resources: LinuxResources?
    /// Cache and memory bandwidth; nil touches no resctrl. - Spec: config-linux.md, "IntelRdt".
    public var intelRdt: IntelRdt?
    /// Of set_mempolicy(2); nil is inherited. - Spec: config-linux.md, "Memory policy".
    public var memoryPolicy: MemoryPolicy?
    /// Settings by their dotted names, each of a namespace of the container's own. - Spec: config-linux.md, "Sysctl".
    public var sysctl: [String: String] = [:]
    /// The filter of system calls; nil is none. - Spec: config-linux.md, "Seccomp".
    public var seccomp: SeccompConfiguration?
    /// Of the root mount; nil is the runtime's choice, slave. - Spec: config-linux.md, "Rootfs Mount Propagation".
    public var rootfsPropagation: RootfsPropagation?
    /// Absolute, in the container; what does not exist is passed over. - Spec: config-linux.md, "Masked Paths".
    public var maskedPaths: [String] = []
    /// Absolute, in the container; what does not exist is passed over. - Spec: config-linux.md, "Readonly Paths".
    public var readonlyPaths: [String] = []
    /// SELinux context of the mounts. - Spec: config-linux.md, "Mount Label".
    public var mountLabel: String?
    /// The execution domain; nil is the runtime's. - Spec: config-linux.md, "Personality".
    public var personality: Personality?

    /// Nothing asked for: every namespace is the runtime's, and nothing is limited.
    public init() {}

    /// The entry for a kind of namespace; nil where the container shares the runtime's.
    public func namespace(_ kind: LinuxNamespace.Kind) -> LinuxNamespace? {
        namespaces.first { $0.kind == kind }
    }
}

/// A namespace to make, or to join by path.
public struct LinuxNamespace: Equatable, Sendable {
    /// By the names of the specification, which are not those in `/proc/PID/ns`. - Spec: config-linux.md, "Namespaces".
    public enum Kind: String, Sendable, CaseIterable {
        case mount, pid, network, uts, ipc, user, cgroup, time
    }
    /// Which of the eight kinds it is.
    public var kind: Kind
    /// Absolute; nil makes a new one.
    public var path: String?

    /// - Parameter path: the absolute path of a namespace to join; nil makes a new one.
    public init(_ kind: Kind, path: String? = nil) {
        self.kind = kind
        self.path = path
    }
}

/// A device node to make in the container.
public struct LinuxDevice: Equatable, Sendable {
    /// As mknod(1) writes it; `u` is another word for `c`. - Spec: config-linux.md, "Devices".
    public enum Kind: String, Sendable, CaseIterable {
        case block = "b"
        case character = "c"
        case unbufferedCharacter = "u"
        case fifo = "p"
    }
    /// Character, block or FIFO.
    public var kind: Kind
    /// Absolute, in the container.
    public var path: String
    /// 0 for a fifo.
    public var major: Int64
    /// From 0 to 1 048 575; of no meaning for a FIFO.
    public var minor: Int64
    /// Permission bits; nil leaves the runtime's: 0666.
    public var fileMode: UInt32?
    /// The owner, as the container numbers it; nil is 0.
    public var uid: UInt32?
    /// The group, as the container numbers it; nil is 0.
    public var gid: UInt32?

    /// - Parameters: kind, path and numbers as mknod(1) takes them; nil for the mode is 0666, for the owners 0.
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
    /// In the container, at most 15 bytes, or a template such as `eth%d`; nil keeps the host's.
    public var name: String?

    /// - Parameter name: nil keeps the host's.
    public init(name: String? = nil) { self.name = name }
}

/// Offsets of a time namespace's clocks.
public struct TimeOffsets: Equatable, Sendable {
    /// What is added to the host's clock. - Spec: config-linux.md, "Offset for Time Namespace".
    public struct Offset: Equatable, Sendable {
        /// Whole seconds, negative for a clock that is behind.
        public var seconds: Int64 = 0
        /// From 0 to 999 999 999, always added.
        public var nanoseconds: UInt32 = 0

        /// - Parameters: both are added to the clock.
        public init(seconds: Int64 = 0, nanoseconds: UInt32 = 0) {
            self.seconds = seconds
            self.nanoseconds = nanoseconds
        }
    }
    /// Of CLOCK_BOOTTIME, which `uptime` shows.
    public var boottime: Offset?
    /// Of CLOCK_MONOTONIC.
    public var monotonic: Offset?

    /// Neither clock differs from the host's.
    public init() {}
}

/// Intel's cache and memory bandwidth allocation, through resctrl.
public struct IntelRdt: Equatable, Sendable {
    /// The group's directory in resctrl; nil is the container's id, `/` the default group.
    public var closID: String?
    /// Lines for the file `schemata`, written after those of the two members below.
    public var schemata: [String] = []
    /// Lines of L3 masks: `L3:0=f;1=f`.
    public var l3CacheSchema: String?
    /// A line of memory bandwidth, which begins with `MB:`.
    public var memBwSchema: String?
    /// Whether the container gets a monitoring group of its own.
    public var enableMonitoring = false

    /// Everything nil or empty: the group of the container's id as it is.
    public init() {}
}

/// set_mempolicy(2).
public struct MemoryPolicy: Equatable, Sendable {
    /// By the names of set_mempolicy(2). - Spec: config-linux.md, "Memory policy".
    public enum Mode: String, Sendable, CaseIterable {
        case systemDefault = "MPOL_DEFAULT"
        case bind = "MPOL_BIND"
        case interleave = "MPOL_INTERLEAVE"
        case weightedInterleave = "MPOL_WEIGHTED_INTERLEAVE"
        case preferred = "MPOL_PREFERRED"
        case preferredMany = "MPOL_PREFERRED_MANY"
        case local = "MPOL_LOCAL"
    }
    /// By the names of set_mempolicy(2); at most one of the two about nodes. - Spec: config-linux.md, "Memory policy".
    public enum Flag: String, Sendable, CaseIterable {
        case numaBalancing = "MPOL_F_NUMA_BALANCING"
        case relativeNodes = "MPOL_F_RELATIVE_NODES"
        case staticNodes = "MPOL_F_STATIC_NODES"
    }
    /// Where memory is taken from.
    public var mode: Mode
    /// A list of nodes: `0-1,3`.
    public var nodes: String
    /// How `nodes` is to be understood; empty is plainly.
    public var flags: [Flag] = []

    /// - Parameter nodes: a list such as `0-1,3`; empty for the modes that have none.
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
    /// What uname(2) says of the machine: its own kind, or that of 32 bits.
    public enum Domain: String, Sendable, CaseIterable {
        case linux = "LINUX"
        case linux32 = "LINUX32"
    }
    /// The execution domain of personality(2).
    public var domain: Domain
    /// None is defined by the specification yet.
    public var flags: [String] = []

    /// - Parameter domain: the execution domain of personality(2).
    public init(domain: Domain) { self.domain = domain }
}
