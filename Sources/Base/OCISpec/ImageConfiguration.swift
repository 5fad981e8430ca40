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
        public var command: [String]?
        /// Paths, sorted.
        public var volumes: [String] = []
        public var workingDirectory = ""
        public var labels: [String: String] = [:]
        public var stopSignal: String?
        public var argsEscaped = false
        /// Docker's.
        public var healthcheck: Healthcheck?
        /// Docker's: what the shell form of instructions runs in.
        public var shell: [String] = []
        /// Docker's: instructions for builds from this image.
        public var onBuild: [String] = []

        public init() {}
    }

    /// How Docker finds out whether a container works.
    public struct Healthcheck: Equatable, Sendable {
        /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", "…"]`; empty inherits.
        public var test: [String] = []
        public var intervalNanoseconds: Int64 = 0
        public var timeoutNanoseconds: Int64 = 0
        public var startPeriodNanoseconds: Int64 = 0
        public var startIntervalNanoseconds: Int64 = 0
        public var retries: Int64 = 0

        public init() {}
    }

    /// One instruction of those that made the image.
    public struct HistoryEntry: Equatable, Sendable {
        public var created: Timestamp?
        public var createdBy: String?
        public var author: String?
        public var comment: String?
        /// Whether the instruction changed metadata only.
        public var isEmptyLayer = false

        public init() {}
    }

    public var created: Timestamp?
    public var author: String?
    public var platform: Platform
    public var osVersion: String?
    public var osFeatures: [String] = []
    public var execution = Execution()
    /// The digests of the unpacked layers, the lowest first.
    public var diffIDs: [Digest]
    public var history: [HistoryEntry] = []

    public init(platform: Platform, diffIDs: [Digest]) {
        self.platform = platform
        self.diffIDs = diffIDs
    }
}
