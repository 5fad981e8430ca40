public import CoreTypes

/// What an image is made of and how its containers run by default.
/// - Spec: image-spec v1.1, config.md; the members that only Docker writes are marked.
public struct ImageConfiguration: Equatable, Sendable {
    /// The defaults for a container.
    public struct Execution: Equatable, Sendable {
        /// `user[:group]` by name or number; empty is root.
        public var user = ""
        /// `80/tcp`, sorted.
        public var exposedPorts: [String] = []
        /// `KEY=value`.
        public var environment: [String] = []
        /// nil differs from empty: an empty one clears the base image's.
        public var entrypoint: [String]?
        /// `Cmd`: arguments of the entry point, or the whole command without one; nil where the image sets none.
        public var command: [String]?
        /// Paths, sorted.
        public var volumes: [String] = []
        /// `WorkingDir`, absolute; empty means `/`.
        public var workingDirectory = ""
        /// `Labels`, by their keys.
        public var labels: [String: String] = [:]
        /// `StopSignal`, a name such as `SIGTERM` or a number; nil means SIGTERM.
        public var stopSignal: String?
        /// `ArgsEscaped`: the command is one escaped line, which only Windows has.
        public var argsEscaped = false
        /// Docker's.
        public var healthcheck: Healthcheck?
        /// Docker's: what the shell form of instructions runs in.
        public var shell: [String] = []
        /// Docker's: instructions for builds from this image.
        public var onBuild: [String] = []

        /// Everything empty or nil: an image that says nothing of how it runs.
        public init() {}
    }

    /// How Docker finds out whether a container works.
    public struct Healthcheck: Equatable, Sendable {
        /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", "…"]`; empty inherits.
        public var test: [String] = []
        /// Between the end of a check and the next one, in ns; 0 is the engine's default.
        public var intervalNanoseconds: Int64 = 0
        /// After which a check counts as failed, in ns; 0 is the engine's default.
        public var timeoutNanoseconds: Int64 = 0
        /// How long failures do not count after the start, in ns; 0 is the engine's default.
        public var startPeriodNanoseconds: Int64 = 0
        /// The interval during the start period, in ns; 0 is the engine's default.
        public var startIntervalNanoseconds: Int64 = 0
        /// How many failures one after the other make the container unhealthy; 0 is the engine's default.
        public var retries: Int64 = 0

        /// No test and every time at its default: the check of the base image is inherited.
        public init() {}
    }

    /// One instruction of those that made the image.
    public struct HistoryEntry: Equatable, Sendable {
        /// When the layer was made; nil where it is not known.
        public var created: Timestamp?
        /// The command that made the layer, as a line of text.
        public var createdBy: String?
        /// Who made the layer.
        public var author: String?
        /// What the builder noted.
        public var comment: String?
        /// Whether the instruction changed metadata only.
        public var isEmptyLayer = false

        /// An entry that says nothing and has a layer.
        public init() {}
    }

    /// When the image was made; nil where it is not known.
    public var created: Timestamp?
    /// Who made the image.
    public var author: String?
    /// Docker's: the id of the container that the image was committed from.
    public var container: String?
    /// Docker's, `container_config`: what that container was made with, as JSON.
    public var containerConfig: [UInt8]?
    /// Docker's: the version of the engine that made the image.
    public var dockerVersion: String?
    /// What the image runs on.
    public var platform: Platform
    /// `os.version`, which only Windows has.
    public var osVersion: String?
    /// `os.features`, which only Windows has.
    public var osFeatures: [String] = []
    /// The member `config`: how a container of the image runs.
    public var execution = Execution()
    /// The digests of the unpacked layers, the lowest first.
    public var diffIDs: [Digest]
    /// Oldest first, entries without a layer among them.
    public var history: [HistoryEntry] = []

    /// - Parameter diffIDs: digests of the uncompressed layers, lowest first.
    public init(platform: Platform, diffIDs: [Digest]) {
        self.platform = platform
        self.diffIDs = diffIDs
    }
}
