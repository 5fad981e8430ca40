/// What a runtime can do, as its `features` command prints it.
/// - Spec: runtime-spec v1.3.0, features.md and features-linux.md.
public struct RuntimeFeatures: Equatable, Sendable {
    /// The cgroup kinds and drivers that the runtime was built for, whatever this host has.
    public struct Cgroup: Equatable, Sendable {
        public var v1 = false
        public var v2 = false
        public var systemd = false
        public var systemdUser = false
        public var rdma = false

        public init() {}
    }
    public struct Seccomp: Equatable, Sendable {
        public var enabled = false
        public var actions: [String] = []
        public var operators: [String] = []
        public var architectures: [String] = []
        public var knownFlags: [String] = []
        public var supportedFlags: [String] = []

        public init() {}
    }
    public struct Linux: Equatable, Sendable {
        public var namespaces: [LinuxNamespace.Kind] = []
        public var capabilities: [String] = []
        public var cgroup = Cgroup()
        public var seccomp = Seccomp()
        public var appArmorEnabled = false
        public var seLinuxEnabled = false
        public var intelRdtEnabled = false
        public var idMappedMountsEnabled = false
        public var netDevicesEnabled = false
        public var memoryPolicyModes: [MemoryPolicy.Mode] = []
        public var memoryPolicyFlags: [MemoryPolicy.Flag] = []

        public init() {}
    }
    public var ociVersionMin: String
    public var ociVersionMax: String
    public var hooks: [String] = []
    public var mountOptions: [String] = []
    public var linux = Linux()
    public var annotations: [String: String] = [:]
    public var potentiallyUnsafeConfigAnnotations: [String] = []

    public init(ociVersionMin: String, ociVersionMax: String) {
        self.ociVersionMin = ociVersionMin
        self.ociVersionMax = ociVersionMax
    }
}
