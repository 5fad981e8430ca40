internal import CoreTypes
internal import EngineAPI
internal import Records

/// What the engine remembers of a container; the document of its record.
struct ContainerDocument: Codable, Equatable, Sendable {
    /// Grows when an older engine could not read the document. 2: ports in a row are one entry, where there are many.
    /// 3: a user namespace.
    static let currentVersion = 3
    private static let versionWithRuns = 2
    private static let versionWithoutRuns = 1

    /// Where in its life a container was when this was written.
    enum Phase: String, Codable, Sendable {
        case created, running, exited, removing, dead
    }

    /// An event that is written down with what it tells of.
    struct UntoldEvent: Codable, Equatable, Sendable {
        var action: String
        var attributes: [String: String]
        /// Its own time: nanoseconds since 1970.
        var time: Int64
        /// The number of the journal's next event when this was noted: told, it has this one or a later one. 0, which is of no event and before all,
        /// where an older engine did not say: that counts as told.
        @Defaulted var journalNumber: UInt64 = 0
    }

    private(set) var version = ContainerDocument.versionWithoutRuns
    var phase = Phase.created
    /// The request's configuration merged with the image's.
    var config: ContainerConfig
    var hostConfig: HostConfig
    /// Its volumes.
    @Defaulted var volumes: [VolumeMount] = []
    /// Paths of the host that it has from other containers.
    @Defaulted var inheritedBinds: [BindMount] = []
    /// Whether its read-only binds leave the mounts below them writable: those of clients before version 1.44 of the API.
    @Defaulted var readsOnlyTop: Bool = false
    /// Whether its removal, when that has begun, takes the volumes that nobody named along.
    @Defaulted var removesVolumes: Bool = false
    /// Its ports that are many in a row; nil for none. The record says of ports what is here, and the maps are filled in from it.
    private(set) var portRuns: PortRuns?
    /// What was asked of networks, by their names; nil in documents from before there were any.
    private var networkEndpoints: [String: EndpointSettings]?
    /// Of a container with a user namespace of its own: the ids that it has of the host.
    var userNamespace: UserNamespaceIDs? { didSet { if userNamespace != nil { version = Self.currentVersion } } }
    /// The platform of the image, `linux/amd64`.
    var platform: String
    var pid: UInt32 = 0
    var startedAt = Timestamp.zero
    var finishedAt = Timestamp.zero
    var exitCode = 0
    /// Why the last start failed.
    var error = ""
    var oomKilled = false
    /// Starts by the restart policy since the last one that somebody asked for.
    @Defaulted var restartCount: Int = 0
    /// Somebody stopped it, after the last start that somebody asked for.
    @Defaulted var isManuallyStopped: Bool = false
    /// It is, or is about to be, paused for as long as something is read from it. With no reader, as after a daemon's death, it is to go on.
    @Defaulted var isHeld: Bool = false
    /// Whether it was paused when that was told last: a daemon that finds it otherwise tells of it. nil where an older engine did not say.
    var isPaused: Bool?
    /// Whether the limits of `hostConfig` are not in force yet: a daemon that finds it so sets them.
    @Defaulted var owesLimits: Bool = false
    /// The last of the shim's changes that this document knows of.
    @Defaulted var lifeRevision: UInt64 = 0
    /// What happened and may not have been told yet when this was written: told right after, or by the next daemon whose look at the journal does not
    /// find it.
    @Defaulted var untold: [UntoldEvent] = []
    /// Of a container that is checked: how it was when that changed last, or when it ended.
    var health: Health?

    /// What was asked of networks, by their names.
    var endpoints: [String: EndpointSettings] {
        get { networkEndpoints ?? [hostConfig.networkMode == "host" ? "host" : "none": EndpointSettings()] }
        set { networkEndpoints = newValue }
    }

    init(config: ContainerConfig, hostConfig: HostConfig, endpoints: [String: EndpointSettings], platform: String) {
        networkEndpoints = endpoints
        self.config = config
        self.hostConfig = hostConfig
        self.platform = platform
        portRuns = PortRuns(bindings: hostConfig.portBindings, exposed: config.exposedPorts)
        if portRuns != nil { version = Self.versionWithRuns }
    }

    /// The record that holds this document.
    func record(id: ContainerID, name: String, created: Timestamp, image: Digest) throws(EngineError) -> ContainerRecord {
        var stored = self
        if portRuns != nil { (stored.config.exposedPorts, stored.hostConfig.portBindings) = ([:], [:]) }
        do throws(DocumentError) {
            return ContainerRecord(
                id: id, name: name, state: phase.rawValue, created: created, imageID: image, document: try EngineJSON.encode(stored))
        } catch { throw .system("write the record of container \(id)", error) }
    }

    /// Reads a record's document.
    /// - Throws: `.system` for one that a newer engine wrote, or that is no such document.
    init(_ record: ContainerRecord) throws(EngineError) {
        do throws(DocumentError) { self = try EngineJSON.decode(ContainerDocument.self, from: record.document) } catch {
            throw .system("read the record of container \(record.id)", error)
        }
        guard version <= Self.currentVersion else {
            throw EngineError(.system, "the record of container \(record.id) has version \(version), written by a newer engine")
        }
        guard let portRuns else { return }
        guard portRuns.isSound else { throw EngineError(.system, "the record of container \(record.id) names ports that are none") }
        (config.exposedPorts, hostConfig.portBindings) = (portRuns.exposedPorts, portRuns.bindings)
    }
}
