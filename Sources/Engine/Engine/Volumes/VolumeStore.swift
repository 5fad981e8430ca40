internal import CoreTypes
internal import LinuxSyscalls
internal import Logging
internal import Snapshots
internal import SystemPackage

/// The volumes of one data root: which there are, and which containers have them. What changes one volume waits for what changes it
/// already; no volume waits for another.
actor VolumeStore {
    private struct Volume {
        var document: VolumeDocument
        /// Containers that have it, whether they run or not.
        var users: Set<ContainerID> = []
        /// Containers that run, or are about to.
        var runs: Set<ContainerID> = []
    }

    nonisolated let folder: VolumeFolder
    private let events: EventJournal
    private let logger: Logger
    private var volumes: [String: Volume] = [:]
    /// Names of volumes that are being made, filled, mounted or removed.
    private var changing: Set<String> = []
    /// Who waits to change a volume next; never an empty list.
    private var waiting: [String: [CheckedContinuation<Void, Never>]] = [:]

    init(folder: VolumeFolder, events: EventJournal, logger: Logger) {
        self.folder = folder
        self.events = events
        self.logger = logger
    }

    /// Finds the volumes on disk.
    func open() async throws(EngineError) {
        let (folder, logger) = (folder, logger)
        let found = try await BlockingWork.run { () throws(EngineError) in try folder.open { logger.error("\($0)") } }
        volumes = found.mapValues { Volume(document: $0) }
    }

    // MARK: - Looking

    /// Every volume, by name, with the containers that have it.
    var all: [(name: String, document: VolumeDocument, users: Set<ContainerID>)] {
        volumes.sorted { $0.key < $1.key }.map { ($0.key, $0.value.document, $0.value.users) }
    }

    /// - Throws: `.notFound` in Docker's words.
    func find(_ name: String) throws(EngineError) -> VolumeDocument {
        guard let volume = volumes[name] else { throw EngineError(.notFound, "get \(name): no such volume") }
        return volume.document
    }

    // MARK: - Making and removing

    /// Makes a volume, or finds the one of that name, which stays as it is.
    /// - Throws: `.invalidParameter` for a name or options that cannot be.
    func create(_ name: String, options: [String: String], labels: [String: String]) async throws(EngineError) -> VolumeDocument {
        await claim(name)
        defer { letGo(name) }
        return try await make(name, options: options, labels: labels).document
    }

    /// - Returns: whether it was made now.
    private func make(
        _ name: String, options: [String: String] = [:], labels: [String: String] = [:]
    ) async throws(EngineError) -> (document: VolumeDocument, isNew: Bool) {
        if let volume = volumes[name] { return (volume.document, false) }
        try VolumeNames.check(name)
        try LocalVolumeDriver.check(options, of: name)
        let document = VolumeDocument(created: .now, options: options, labels: labels)
        let folder = folder
        try await BlockingWork.run { () throws(EngineError) in try folder.make(name, document) }
        volumes[name] = Volume(document: document)
        tell("create", name)
        return (document, true)
    }

    /// - Throws: `.notFound`, or `.conflict` while a container has it.
    func remove(_ name: String) async throws(EngineError) {
        await claim(name)
        defer { letGo(name) }
        let document = try find(name)
        guard let users = volumes[name]?.users, users.isEmpty else {
            let ids = (volumes[name]?.users ?? []).map(\.text).sorted().joined(separator: ", ")
            throw EngineError(.conflict, "remove \(name): volume is in use - [\(ids)]")
        }
        let folder = folder
        try await BlockingWork.run { () throws(EngineError) in
            try folder.unmount(name, document)
            try folder.remove(name)
        }
        volumes[name] = nil
        tell("destroy", name)
    }

    // MARK: - Containers

    /// Settles which volumes a container in the making has: those that are missing are made.
    /// - Returns: its volumes, and the names of those that are new. When it throws, nothing is left.
    func take(_ plan: VolumePlan, for id: ContainerID) async throws(EngineError) -> (mounts: [VolumeMount], made: Set<String>) {
        var mounts: [VolumeMount] = []
        var made: Set<String> = []
        do throws(EngineError) {
            for request in plan.requests {
                let name = request.name ?? Identifiers.random()
                var labels = request.labels
                if request.name == nil { labels[VolumeDocument.anonymousLabel] = "" }
                if try await use(name, options: request.options, labels: labels, by: id) { made.insert(name) }
                mounts.append(
                    VolumeMount(
                        name: name, destination: request.destination, isReadOnly: request.isReadOnly, mode: request.mode,
                        copiesImage: request.copiesImage))
            }
            for mount in plan.shared {
                try await use(mount.name, by: id)
                mounts.append(mount)
            }
        } catch {
            await release(mounts, of: id, removing: made)
            throw error
        }
        return (mounts, made)
    }

    @discardableResult
    private func use(
        _ name: String, options: [String: String] = [:], labels: [String: String] = [:], by id: ContainerID
    ) async throws(EngineError) -> Bool {
        await claim(name)
        defer { letGo(name) }
        let isNew = try await make(name, options: options, labels: labels).isNew
        volumes[name]?.users.insert(id)
        return isNew
    }

    /// Notes the volumes of a container that is on record.
    func adopt(_ mounts: [VolumeMount], of id: ContainerID, isRunning: Bool) {
        for mount in mounts {
            volumes[mount.name]?.users.insert(id)
            if isRunning { volumes[mount.name]?.runs.insert(id) }
        }
    }

    /// A container has gone. - Parameter names: of its volumes that go with it, unless another container has them.
    func release(_ mounts: [VolumeMount], of id: ContainerID, removing names: Set<String>) async {
        for mount in mounts { volumes[mount.name]?.users.remove(id) }
        for name in names.sorted() {
            do throws(EngineError) { try await remove(name) } catch {
                if error.code != .conflict && error.code != .notFound { logger.error("\(error)") }
            }
        }
    }

    /// Those of a container's volumes that nobody named.
    func anonymous(_ mounts: [VolumeMount]) -> Set<String> {
        Set(mounts.map(\.name).filter { volumes[$0]?.document.isAnonymous == true })
    }

    /// Fills the container's volumes that are empty with what its image has in their places.
    /// - Parameter root: of the container, as `Snapshotter.mounts` gives it.
    func fill(_ mounts: [VolumeMount], of id: ContainerID, from root: [SnapshotMount]) async throws(EngineError) {
        let folder = folder
        for mount in mounts where mount.copiesImage {
            await claim(mount.name)
            defer { letGo(mount.name) }
            let document = try find(mount.name)
            let isInUse = volumes[mount.name]?.runs.isEmpty == false
            try await BlockingWork.run { () throws(EngineError) in
                try folder.mount(mount.name, document)
                do throws(EngineError) {
                    let image: OwnedFD
                    do throws(SnapshotError) { image = try openReadOnly(root, at: folder.root) } catch {
                        throw .system("read the root of container \(id)", error)
                    }
                    try folder.fill(mount.name, from: image, at: mount.destination)
                } catch {
                    if !isInUse { try folder.unmount(mount.name, document) }
                    throw error
                }
                if !isInUse { try folder.unmount(mount.name, document) }
            }
        }
    }

    /// A container is about to run: what its volumes' options mount is mounted.
    func beginRun(_ mounts: [VolumeMount], of id: ContainerID) async throws(EngineError) {
        for mount in mounts {
            await claim(mount.name)
            defer { letGo(mount.name) }
            let document = try find(mount.name)
            let folder = folder
            try await BlockingWork.run { () throws(EngineError) in try folder.mount(mount.name, document) }
            volumes[mount.name]?.runs.insert(id)
            tell(
                "mount", mount.name,
                [
                    "container": id.text, "destination": mount.destination, "read/write": "\(!mount.isReadOnly)", "propagation": "",
                ])
        }
    }

    /// A container does not run any more. Called again it does nothing.
    func endRun(_ mounts: [VolumeMount], of id: ContainerID) async {
        for mount in mounts where volumes[mount.name]?.runs.contains(id) == true {
            await claim(mount.name)
            defer { letGo(mount.name) }
            guard volumes[mount.name]?.runs.remove(id) != nil, let volume = volumes[mount.name] else { continue }
            tell("unmount", mount.name, ["container": id.text])
            guard volume.runs.isEmpty else { continue }
            let folder = folder
            do throws(EngineError) {
                try await BlockingWork.run { () throws(EngineError) in try folder.unmount(mount.name, volume.document) }
            } catch { logger.error("\(error)") }
        }
    }

    /// Takes away what former daemons mounted for containers that do not run any more.
    func unmountIdle() async {
        let idle = volumes.filter { $0.value.runs.isEmpty }.mapValues(\.document)
        let (folder, logger) = (folder, logger)
        for (name, document) in idle {
            do throws(EngineError) {
                try await BlockingWork.run { () throws(EngineError) in try folder.unmount(name, document) }
            } catch { logger.error("\(error)") }
        }
    }

    // MARK: - One change of a volume at a time

    /// Waits, whoever is cancelled meanwhile: what was begun with a volume is ended.
    private func claim(_ name: String) async {
        if changing.insert(name).inserted { return }
        await withCheckedContinuation { waiting[name, default: []].append($0) }
    }

    private func letGo(_ name: String) {
        guard var queue = waiting.removeValue(forKey: name) else {
            changing.remove(name)
            return
        }
        queue.removeFirst().resume()
        if !queue.isEmpty { waiting[name] = queue }
    }

    private func tell(_ action: String, _ name: String, _ more: [String: String] = [:]) {
        events.publish(.volume, action, id: name, attributes: more.merging(["driver": "local"]) { own, _ in own })
    }
}
