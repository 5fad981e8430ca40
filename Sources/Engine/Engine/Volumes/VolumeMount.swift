internal import EngineAPI
internal import OCISpec

/// A volume at a place of a container, as settled when the container was made.
struct VolumeMount: Codable, Equatable, Sendable {
    var name: String
    /// Absolute and clean.
    var destination: String
    var isReadOnly = false
    /// The options as written, for inspect.
    var mode = ""
    /// Whether an empty volume gets what the image has there.
    var copiesImage = true

    /// A path inside the volume, without links on its way that lead out of it; nil is all of it.
    var subpath: String?

    /// Whether the container asked for a volume of its own, without a name: that alone goes with it. One that a command line names stays, whoever
    /// made it, and how. nil on records of old: there the volume's own mark says it.
    var isUnnamed: Bool?

    /// The same as a path of the host.
    /// - Parameters:
    ///   - directory: of the volume.
    ///   - mapsOwners: whether ids on the disk are shown as those of the container's user namespace.
    func bind(from directory: String, mapsOwners: Bool = false) -> BindMount {
        var bind = BindMount(
            source: directory, destination: destination, isReadOnly: isReadOnly, readsOnlyRecursively: true, propagation: "rprivate",
            isRecursive: true, makesSource: false)
        bind.subpath = subpath
        if mapsOwners { bind.ownerMapping = MountWords.ownNamespace }
        return bind
    }
}

/// What a request asks of one volume: by name, or of a new one without a name.
struct VolumeRequest: Equatable, Sendable {
    /// nil: a volume of its own, that goes away with `rm --volumes`.
    var name: String?
    var destination: String
    var isReadOnly = false
    var mode = ""
    var copiesImage = true
    /// A path inside the volume; nil is all of it.
    var subpath: String?
    /// Of a volume that has to be made.
    var labels: [String: String] = [:]
    var options: [String: String] = [:]

    /// `HostConfig.Mounts` of type `volume`.
    /// - Throws: `.notFound` for a driver that is not there; `.invalidParameter` for a path that leads out of the volume.
    init(_ mount: Mount, at destination: String) throws(EngineError) {
        let asked = mount.volumeOptions ?? VolumeOptions()
        try ContainerEngine.checkVolumeDriver(asked.driverConfig?.name ?? "")
        if !asked.subpath.isEmpty {
            if mount.source.isEmpty {
                throw EngineError(.invalidParameter, "must not set Subpath when using anonymous volumes")
            }
            guard MountWords.isLocal(asked.subpath) else {
                throw EngineError(.invalidParameter, "subpath must be a relative path within the volume")
            }
            subpath = asked.subpath
        }
        name = mount.source.isEmpty ? nil : mount.source
        self.destination = destination
        isReadOnly = mount.readOnly
        // What Docker notes where nothing is said.
        mode = "z"
        // What has a path to show is not empty.
        copiesImage = !asked.noCopy && asked.subpath.isEmpty
        labels = asked.labels
        options = asked.driverConfig?.options ?? [:]
    }

    /// A volume without a name, as images and `Config.Volumes` declare them: what does not begin at the root is below it, as with Docker.
    init(declaredAt destination: String) throws(EngineError) {
        try self.init(anonymousAt: destination.hasPrefix("/") ? destination : "/\(destination)")
    }

    /// Refuses a path of `Config.Volumes` that begins where the client is, as `-v ./folder` comes here.
    static func refuseFolder(_ destination: String) throws(EngineError) {
        if destination.hasPrefix(".") { throw relativeRefused(destination) }
    }

    private static func relativeRefused(_ destination: String) -> EngineError {
        let words = BindMount.invalidPathWords(destination)
        // Docker says no more; who writes one relative path mostly means a folder of theirs.
        let folder = destination.hasSuffix("/") ? String(destination.dropLast()) : destination
        return EngineError(.invalidParameter, "\(words); a folder of the host is shown by -v \(folder):/target")
    }

    private init(anonymousAt destination: String) throws(EngineError) {
        guard destination.hasPrefix("/") else { throw Self.relativeRefused(destination) }
        self.destination = cleanedPath(destination)
        if self.destination == "/" { throw Self.rootRefused(destination) }
    }

    /// Reads `volume:destination[:options]` or `destination` of `HostConfig.Binds`; nil for what begins with a path of the host.
    /// - Throws: `.invalidParameter` in Docker's words.
    init?(parsing text: String) throws(EngineError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), !parts.contains("") else {
            throw EngineError(.invalidParameter, "invalid volume specification: '\(text)'")
        }
        if parts.count == 1 {
            try self.init(anonymousAt: parts[0])
            return
        }
        if parts[0].hasPrefix("/") { return nil }
        if parts.count == 2 && MountWords.areWords(parts[1]) {
            throw EngineError(.invalidParameter, "invalid volume specification: '\(text)'")
        }
        let words = try MountWords(parsing: parts.count == 3 ? parts[2] : "", for: .volume)
        guard cleanedPath(parts[1]) != "/" else {
            throw MountWords.refusal(of: text, .volume, "invalid specification: destination can't be '/'")
        }
        guard parts[1].hasPrefix("/") else { throw MountWords.refusal(of: text, .volume, BindMount.invalidPathWords(parts[1])) }
        try words.checkKind(in: text, of: .volume)
        try VolumeNames.check(parts[0])
        try self.init(anonymousAt: parts[1])
        name = parts[0]
        // What Docker notes where nothing is said.
        mode = parts.count == 3 ? parts[2] : "z"
        isReadOnly = words.isReadOnly
        copiesImage = words.copiesImage
    }

    private static func rootRefused(_ text: String) -> EngineError {
        EngineError(
            .invalidParameter,
            "invalid volume specification: '\(text)': invalid mount config for type \"volume\": "
                + "invalid specification: destination can't be '/'")
    }
}

/// `HostConfig.VolumesFrom`: another container whose mounts are taken over.
struct VolumesFrom: Equatable, Sendable {
    let container: String
    /// Whether mounts that are writable there are read-only here.
    let isReadOnly: Bool

    /// Reads `container[:ro|rw]`.
    /// - Throws: `.invalidParameter` in Docker's words.
    init(parsing text: String) throws(EngineError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let container = parts.first, !container.isEmpty else {
            throw EngineError(.invalidParameter, "invalid volume specification: '\(text)'")
        }
        self.container = container
        switch parts.count > 1 ? parts[1] : "" {
        case "ro": isReadOnly = true
        case "", "rw", "z", "Z": isReadOnly = false
        default: throw EngineError(.invalidParameter, "invalid mode: \(parts[1])")
        }
    }
}

/// Which volumes a container is made with: what the request, the containers that it names, and the image say together. Pure.
///
/// What is asked for by its place comes first, then what other containers have, then what the image declares.
struct VolumePlan: Equatable, Sendable {
    /// Volumes to find or to make, in the order asked for.
    var requests: [VolumeRequest] = []
    /// Volumes of other containers.
    var shared: [VolumeMount] = []
    /// Paths of the host of other containers.
    var inheritedBinds: [BindMount] = []

    /// - Parameters:
    ///   - config: the image's declarations merged in.
    ///   - sources: the containers that `host.volumesFrom` names, in its order.
    /// - Throws: `.invalidParameter` in Docker's words.
    init(config: ContainerConfig, host: HostConfig, sources: [(from: VolumesFrom, document: ContainerDocument)]) throws(EngineError) {
        let plan = try MountPlan(host)
        requests = plan.wanted
        var taken = Set(plan.entries.map(\.destination))
        try takeOver(sources, except: taken)
        taken.formUnion(shared.map(\.destination) + inheritedBinds.map(\.destination))
        for destination in config.volumes.keys.sorted() {
            let request = try VolumeRequest(declaredAt: destination)
            if taken.insert(request.destination).inserted { requests.append(request) }
        }
    }

    /// Of two containers with something at the same place, the one named later counts.
    private mutating func takeOver(
        _ sources: [(from: VolumesFrom, document: ContainerDocument)], except taken: Set<String>
    ) throws(EngineError) {
        var volumes: [String: VolumeMount] = [:]
        var binds: [String: BindMount] = [:]
        for (from, document) in sources {
            for bind in try document.ownMounts.binds + document.inheritedBinds where !taken.contains(bind.destination) {
                var inherited = bind
                inherited.isReadOnly = bind.isReadOnly || from.isReadOnly
                binds[bind.destination] = inherited
                volumes[bind.destination] = nil
            }
            for volume in document.volumes where !taken.contains(volume.destination) {
                var mount = volume
                mount.isReadOnly = volume.isReadOnly || from.isReadOnly
                // It has been filled, or was meant to stay as it is.
                mount.copiesImage = false
                volumes[volume.destination] = mount
                binds[volume.destination] = nil
            }
        }
        shared = volumes.values.sorted { $0.destination < $1.destination }
        inheritedBinds = binds.sorted { $0.key < $1.key }.map(\.value)
    }
}
