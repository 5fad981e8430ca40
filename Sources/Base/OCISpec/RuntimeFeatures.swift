/// What a runtime can do, as its `features` command prints it.
/// - Spec: runtime-spec v1.3.0, features.md and features-linux.md.
public struct RuntimeFeatures: Equatable, Sendable {
    /// The cgroup kinds and drivers that the runtime was built for, whatever this host has.
    public struct Cgroup: Equatable, Sendable {
        /// Whether cgroup v1 can be used, hybrid layouts among it.
        public var v1 = false
        /// Whether cgroup v2 can be used.
        public var v2 = false
        /// Whether the system's systemd can make the cgroups.
        public var systemd = false
        /// Whether a user's systemd can make the cgroups.
        public var systemdUser = false
        /// Whether limits of RDMA devices can be set.
        public var rdma = false

        /// Nothing of it.
        public init() {}
    }
    /// What filters of system calls can hold. - Spec: features-linux.md, "Seccomp".
    public struct Seccomp: Equatable, Sendable {
        /// Whether filters can be used at all.
        public var enabled = false
        /// Names for `action` and `defaultAction`.
        public var actions: [String] = []
        /// Names for `op`.
        public var operators: [String] = []
        /// The member `archs`: names for `architectures`.
        public var architectures: [String] = []
        /// Names for `flags` that are no error.
        public var knownFlags: [String] = []
        /// Names for `flags` that also have their effect.
        public var supportedFlags: [String] = []

        /// Nothing of it.
        public init() {}
    }
    /// What is of this platform. - Spec: features-linux.md.
    public struct Linux: Equatable, Sendable {
        /// Kinds that can be made and joined.
        public var namespaces: [LinuxNamespace.Kind] = []
        /// Names that are known, whether or not this machine can give them.
        public var capabilities: [String] = []
        /// Which kinds and drivers are there.
        public var cgroup = Cgroup()
        /// What filters of system calls can hold.
        public var seccomp = Seccomp()
        /// Whether profiles of AppArmor can be used, where the kernel has it.
        public var appArmorEnabled = false
        /// Whether labels of SELinux can be used, where the kernel has it.
        public var seLinuxEnabled = false
        /// Whether resctrl can be used, where the machine has it.
        public var intelRdtEnabled = false
        /// `intelRdt.schemata`: whether `linux.intelRdt.schemata` has its effect.
        public var intelRdtSchemata = false
        /// `intelRdt.monitoring`: whether `linux.intelRdt.enableMonitoring` has its effect.
        public var intelRdtMonitoring = false
        /// `mountExtensions.idmap`: whether mounts can have mappings of their own.
        public var idMappedMountsEnabled = false
        /// Whether network devices of the host can be moved.
        public var netDevicesEnabled = false
        /// Names for `mode` of a memory policy; empty leaves the member out.
        public var memoryPolicyModes: [MemoryPolicy.Mode] = []
        /// Names for `flags` of a memory policy.
        public var memoryPolicyFlags: [MemoryPolicy.Flag] = []

        /// Nothing of it.
        public init() {}
    }
    /// The lowest `ociVersion` that is taken.
    public var ociVersionMin: String
    /// The highest `ociVersion` that is taken, and of which this document is.
    public var ociVersionMax: String
    /// Kinds that can be run.
    public var hooks: [String] = []
    /// What the runtime acts on by itself; others go to the file system.
    public var mountOptions: [String] = []
    /// What is of this platform.
    public var linux = Linux()
    /// What the runtime says of itself, its build or its libraries.
    public var annotations: [String: String] = [:]
    /// Keys of config.json's annotations that change what the runtime does; one that ends in `.` is a prefix.
    public var potentiallyUnsafeConfigAnnotations: [String] = []

    /// - Parameters: the lowest and the highest version that is taken.
    public init(ociVersionMin: String, ociVersionMax: String) {
        self.ociVersionMin = ociVersionMin
        self.ociVersionMax = ociVersionMax
    }
}
