/// The whole of a bundle's `config.json` for Linux.
/// - Spec: runtime-spec v1.3.0, config.md.
public struct RuntimeConfiguration: Equatable, Sendable {
    /// The file of a bundle that holds this document.
    public static let fileName = "config.json"
    /// The newest specification whose every property these types hold.
    public static let newestVersion = "1.3.0"

    /// Of the specification that the bundle complies with, SemVer; the runtime takes 1.x.
    public var ociVersion: String
    /// Absent only in documents for `exec` and in updates.
    public var root: RootConfiguration?
    /// What runs; nil makes a container that cannot be started. - Spec: config.md, "Process".
    public var process: ProcessConfiguration?
    /// Needs a uts namespace of the container's own; nil leaves what there is.
    public var hostname: String?
    /// The NIS domain; needs a uts namespace of the container's own.
    public var domainname: String?
    /// In the order in which they are mounted.
    public var mounts: [MountConfiguration] = []
    /// Programs that run at moments of the container's life. - Spec: config.md, "POSIX-platform Hooks".
    public var hooks = HookSet()
    /// Keys are not empty; the state repeats them. - Spec: config.md, "Annotations".
    public var annotations: [String: String] = [:]
    /// Everything of this platform; nil is an empty one.
    public var linux: LinuxConfiguration?

    /// - Parameter ociVersion: `1.0.2` is what every runtime takes.
    public init(ociVersion: String) { self.ociVersion = ociVersion }
}

/// The container's root file system.
/// - Spec: config.md, "Root".
public struct RootConfiguration: Equatable, Sendable {
    /// Absolute, or relative to the bundle.
    public var path: String
    /// `readonly`: whether the root mount can be written through.
    public var isReadOnly: Bool

    /// - Parameter path: absolute, or relative to the bundle.
    public init(path: String, isReadOnly: Bool = false) {
        self.path = path
        self.isReadOnly = isReadOnly
    }
}

/// One entry of `mounts`.
/// - Spec: config.md, "Mounts".
public struct MountConfiguration: Equatable, Sendable {
    /// A path in the container.
    public var destination: String
    /// The file system's name; `bind` or absent with `bind`/`rbind` among the options for bind mounts.
    public var type: String?
    /// A path of the host, from the bundle where it is relative, or the name that the mount table shows.
    public var source: String?
    /// Of mount(8); later ones win. - Spec: config.md, "Linux mount options".
    public var options: [String]
    /// With `gidMappings`: an id-mapped mount.
    public var uidMappings: [IDMapping] = []
    /// Together with `uidMappings` or not at all.
    public var gidMappings: [IDMapping] = []

    /// - Parameter destination: a path in the container; a relative one begins at `/`.
    public init(destination: String, type: String? = nil, source: String? = nil, options: [String] = []) {
        self.destination = destination
        self.type = type
        self.source = source
        self.options = options
    }
}

/// A run of ids in a user namespace and where it lies outside.
/// - Spec: config-linux.md, "User namespace mappings".
public struct IDMapping: Equatable, Sendable {
    /// The first id inside.
    public var containerID: UInt32
    /// The first id outside, which `containerID` is inside.
    public var hostID: UInt32
    /// How many ids follow each other; 1 at least.
    public var size: UInt32

    /// - Parameters: the first id inside, the first one outside, and how many there are.
    public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
        self.containerID = containerID
        self.hostID = hostID
        self.size = size
    }
}

/// The programs to run at the moments of a container's life.
/// - Spec: config.md, "POSIX-platform Hooks".
public struct HookSet: Equatable, Sendable {
    /// In the runtime's namespaces, after the container's exist. Deprecated by the specification, still in use.
    public var prestart: [Hook] = []
    /// In the runtime's namespaces, after `prestart`.
    public var createRuntime: [Hook] = []
    /// In the container's namespaces, before pivot_root.
    public var createContainer: [Hook] = []
    /// In the container, by `start`, before the program runs.
    public var startContainer: [Hook] = []
    /// In the runtime's namespaces, after the program was started.
    public var poststart: [Hook] = []
    /// In the runtime's namespaces, after the container was deleted.
    public var poststop: [Hook] = []

    /// No hooks.
    public init() {}

    /// Whether there is no hook of any kind.
    public var isEmpty: Bool { self == HookSet() }
}

/// One program of a hook list. It reads the container's state from its standard input.
public struct Hook: Equatable, Sendable {
    /// Absolute.
    public var path: String
    /// With argv[0]; empty means the path alone.
    public var arguments: [String] = []
    /// The whole environment, `KEY=value`; empty means none.
    public var environment: [String] = []
    /// After which the hook is aborted; nil waits as long as it takes.
    public var timeoutSeconds: Int64?

    /// - Parameters: an absolute path; arguments from argv[0] on; seconds until it is killed, nil for never.
    public init(path: String, arguments: [String] = [], environment: [String] = [], timeoutSeconds: Int64? = nil) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.timeoutSeconds = timeoutSeconds
    }
}
