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
        /// Archives and copies that are being made of it, or unpacked into it.
        var transfers = 0
        /// Why nothing is known of it; it can be listed and removed, and else nothing.
        var damage: EngineError?

        var isMounted: Bool { !runs.isEmpty || transfers > 0 }
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
        let found = try await BlockingWork.run(.trees) { () throws(EngineError) in try folder.open { logger.error("\($0)") } }
        volumes = found.mapValues { result in
            switch result {
            case .success(let document): Volume(document: document)
            case .failure(let error): Volume(document: VolumeDocument(created: .zero), damage: error)
            }
        }
    }

    /// Removes what was made for containers that never came to be: their daemon was killed first.
    /// - Parameter known: every container on record; their volumes are adopted.
    func removeUnclaimed(known: Set<ContainerID>) async {
        let (folder, logger, ids) = (folder, logger, Set(known.map(\.text)))
        for (name, volume) in volumes where volume.damage == nil && volume.document.isAnonymous {
            do throws(EngineError) {
                let isOrphan = try await BlockingWork.run(.trees) { () throws(EngineError) in
                    guard let maker = try folder.maker(of: name) else { return false }
                    if volume.users.isEmpty && !ids.contains(maker) { return true }
                    try folder.forgetMaker(of: name)
                    return false
                }
                if isOrphan { try await remove(name) }
            } catch { logger.error("\(error)") }
        }
    }

    // MARK: - Looking

    /// Every volume, by name, with the containers that have it.
    var all: [(name: String, document: VolumeDocument, users: Set<ContainerID>)] {
        volumes.sorted { $0.key < $1.key }.map { ($0.key, $0.value.document, $0.value.users) }
    }

    /// - Throws: `.notFound` in Docker's words; `.system` for one of which nothing can be known.
    func find(_ name: String) throws(EngineError) -> VolumeDocument {
        guard let volume = volumes[name] else { throw EngineError(.notFound, "get \(name): no such volume") }
        return try Self.document(of: volume, name)
    }

    private static func document(of volume: Volume, _ name: String) throws(EngineError) -> VolumeDocument {
        guard let damage = volume.damage else { return volume.document }
        throw EngineError(
            .system,
            "volume \(name) is of no use: \(damage.message); mend the file while no daemon runs, or remove the volume by volume rm",
            cause: damage)
    }

    // MARK: - Making and removing

    /// Makes a volume, or finds the one of that name, which stays as it is.
    /// - Throws: `.invalidParameter` for a name or options that cannot be.
    func create(_ name: String, options: [String: String], labels: [String: String]) async throws(EngineError) -> VolumeDocument {
        await claim(name)
        defer { letGo(name) }
        return try await make(name, options: options, labels: labels)
    }

    @discardableResult
    private func make(
        _ name: String, options: [String: String] = [:], labels: [String: String] = [:], for maker: ContainerID? = nil
    ) async throws(EngineError) -> VolumeDocument {
        if let volume = volumes[name] { return try Self.document(of: volume, name) }
        try VolumeNames.check(name)
        try LocalVolumeDriver.check(options, of: name)
        let document = VolumeDocument(created: .now, options: options, labels: labels)
        let folder = folder
        try await BlockingWork.run(.trees) { () throws(EngineError) in try folder.make(name, document, for: maker) }
        volumes[name] = Volume(document: document)
        tell("create", name)
        return document
    }

    /// - Throws: `.notFound`, or `.conflict` while a container has it.
    func remove(_ name: String) async throws(EngineError) {
        await claim(name)
        defer { letGo(name) }
        let document = try unused(name, to: "remove")
        let (folder, logger) = (folder, logger)
        try await BlockingWork.run(.trees) { () throws(EngineError) in
            try folder.unmount(name, document)
            try folder.remove(name) { logger.warning("\($0)") }
        }
        volumes[name] = nil
        tell("destroy", name)
    }

    /// - Throws: `.notFound`, or `.conflict` in Docker's words while a container has the volume, or its contents are read or written.
    private func unused(_ name: String, to action: String) throws(EngineError) -> VolumeDocument {
        // What the document of a damaged one says is unknown: it mounts nothing.
        let document = action == "remove" && volumes[name]?.damage != nil ? VolumeDocument(created: .zero) : try find(name)
        if let users = volumes[name]?.users, !users.isEmpty {
            let ids = users.map(\.text).sorted().joined(separator: ", ")
            throw EngineError(.conflict, "\(action) \(name): volume is in use - [\(ids)]")
        }
        guard volumes[name]?.transfers == 0 else {
            throw EngineError(.conflict, "\(action) \(name): volume is in use: it is being exported, imported or cloned")
        }
        return document
    }

    /// Gives a volume another name.
    /// - Throws: `.notFound`, `.invalidParameter` for a name that cannot be, `.conflict` for one that is taken, or while a container has it.
    func rename(_ name: String, to new: String) async throws(EngineError) {
        try VolumeNames.check(new)
        try await claiming([name, new]) { () throws(EngineError) in
            let document = try unused(name, to: "rename")
            guard volumes[new] == nil else { throw Self.taken(new) }
            let (folder, named) = (folder, document.named)
            try await BlockingWork.run(.trees) { () throws(EngineError) in
                try folder.unmount(name, document)
                // First: cut off after that, it has the former name still, and no prune takes it.
                try folder.write(named, of: name)
            }
            volumes[name]?.document = named
            try await BlockingWork.run(.trees) { () throws(EngineError) in try folder.rename(name, to: new) }
            volumes[name] = nil
            volumes[new] = Volume(document: named)
            tell("rename", new, ["oldName": name])
        }
    }

    /// Makes a volume with the options, labels and contents of another one, which may be in use.
    /// - Throws: `.notFound`, `.invalidParameter` for a name that cannot be, `.conflict` for one that is taken.
    func clone(_ name: String, as new: String) async throws(EngineError) -> VolumeDocument {
        try VolumeNames.check(new)
        return try await withContents(of: name) { () throws(EngineError) in
            try await claiming([new]) { () throws(EngineError) in
                guard volumes[new] == nil else { throw Self.taken(new) }
                var document = try find(name).named
                document.created = .now
                let (folder, copy) = (folder, document)
                try await BlockingWork.run(.trees) { () throws(EngineError) in try folder.make(new, copy, contentsOf: name) }
                volumes[new] = Volume(document: document)
                tell("create", new)
                return document
            }
        }
    }

    private static func taken(_ name: String) -> EngineError { EngineError(.conflict, "a volume with the name \(name) already exists") }

    /// Keeps a volume, with what its options mount in its place, for as long as `body` takes.
    func withContents<Value: Sendable>(
        of name: String, _ body: () async throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        try await beginTransfer(name)
        let result: Result<Value, EngineError>
        do throws(EngineError) { result = .success(try await body()) } catch { result = .failure(error) }
        await endTransfer(name)
        return try result.get()
    }

    /// Mounts what a volume's options say, and keeps the volume, until `endTransfer`.
    func beginTransfer(_ name: String) async throws(EngineError) {
        try await claiming([name]) { () throws(EngineError) in
            let (document, folder) = (try find(name), folder)
            try await BlockingWork.run(.trees) { () throws(EngineError) in try folder.mount(name, document) }
            volumes[name]?.transfers += 1
        }
    }

    func endTransfer(_ name: String) async {
        await claim(name)
        defer { letGo(name) }
        volumes[name]?.transfers -= 1
        await unmountIfIdle(name)
    }

    /// With the volume claimed.
    private func unmountIfIdle(_ name: String) async {
        guard let volume = volumes[name], !volume.isMounted else { return }
        let folder = folder
        do throws(EngineError) {
            try await BlockingWork.run(.trees) { () throws(EngineError) in try folder.unmount(name, volume.document) }
        } catch { logger.error("\(error)") }
    }

    // MARK: - Containers

    /// Settles which volumes a container in the making has: those that are missing are made.
    /// - Returns: its volumes, and the names of those that were made for it alone. When it throws, nothing is left of these. One that was asked
    ///   for by name stays, as with Docker: by then it may be another's.
    func take(_ plan: VolumePlan, for id: ContainerID) async throws(EngineError) -> (mounts: [VolumeMount], made: Set<String>) {
        var mounts: [VolumeMount] = []
        var made: Set<String> = []
        do throws(EngineError) {
            for request in plan.requests {
                let name = request.name ?? Identifiers.random()
                var labels = request.labels
                if request.name == nil {
                    labels[VolumeDocument.anonymousLabel] = ""
                    made.insert(name)
                }
                try await use(name, options: request.options, labels: labels, by: id, for: request.name == nil ? id : nil)
                mounts.append(
                    VolumeMount(
                        name: name, destination: request.destination, isReadOnly: request.isReadOnly, mode: request.mode,
                        copiesImage: request.copiesImage, subpath: request.subpath, isUnnamed: request.name == nil))
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

    private func use(
        _ name: String, options: [String: String] = [:], labels: [String: String] = [:], by id: ContainerID, for maker: ContainerID? = nil
    ) async throws(EngineError) {
        await claim(name)
        defer { letGo(name) }
        try await make(name, options: options, labels: labels, for: maker)
        volumes[name]?.users.insert(id)
    }

    /// The container that has these, and that new ones among them were made for, is on record.
    func confirm(_ mounts: [VolumeMount]) async {
        let (folder, logger) = (folder, logger)
        let unnamed = unnamed(mounts)
        if unnamed.isEmpty { return }
        do throws(EngineError) {
            try await BlockingWork.run(.trees) { () throws(EngineError) in for name in unnamed { try folder.forgetMaker(of: name) } }
        } catch { logger.error("\(error)") }
    }

    /// Notes the volumes of a container that is on record, as those of one that runs: whether it does turns out.
    func adopt(_ mounts: [VolumeMount], of id: ContainerID) {
        for mount in mounts {
            volumes[mount.name]?.users.insert(id)
            volumes[mount.name]?.runs.insert(id)
        }
    }

    /// A container that was adopted does not run; `unmountIdle` looks after what is mounted.
    func noteIdle(_ mounts: [VolumeMount], of id: ContainerID) {
        for mount in mounts { volumes[mount.name]?.runs.remove(id) }
    }

    /// A container has gone. - Parameter names: of its volumes that go with it, unless another container has them.
    func release(_ mounts: [VolumeMount], of id: ContainerID, removing names: Set<String>) async {
        for mount in mounts {
            volumes[mount.name]?.users.remove(id)
            volumes[mount.name]?.runs.remove(id)
        }
        for name in names.sorted() {
            do throws(EngineError) { try await remove(name) } catch {
                if error.code != .conflict && error.code != .notFound { logger.error("\(error)") }
            }
        }
    }

    /// Those of a container's volumes that it did not name.
    func unnamed(_ mounts: [VolumeMount]) -> Set<String> {
        Set(mounts.filter { $0.isUnnamed ?? volumes[$0.name]?.document.isAnonymous ?? false }.map(\.name))
    }

    /// Fills the container's volumes that are empty with what its image has in their places.
    /// - Parameter root: of the container, as `Snapshotter.mounts` gives it.
    func fill(_ mounts: [VolumeMount], of id: ContainerID, from root: [SnapshotMount]) async throws(EngineError) {
        let folder = folder
        for mount in mounts where mount.copiesImage {
            await claim(mount.name)
            defer { letGo(mount.name) }
            let document = try find(mount.name)
            let isInUse = volumes[mount.name]?.isMounted == true
            try await BlockingWork.run(.trees) { () throws(EngineError) in
                let image: OwnedFD
                do throws(SnapshotError) { image = try openReadOnly(root, at: folder.root) } catch {
                    throw .system("read the root of container \(id)", error)
                }
                // Where there is nothing to copy, nothing is asked of a server or a device that may come later, as with Docker.
                if folder.mountsSomething(document) {
                    guard try folder.hasContents(image, at: mount.destination) else { return }
                }
                try folder.mount(mount.name, document)
                do throws(EngineError) { try folder.fill(mount.name, from: image, at: mount.destination) } catch {
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
            try await BlockingWork.run(.trees) { () throws(EngineError) in try folder.mount(mount.name, document) }
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
            guard volumes[mount.name]?.runs.remove(id) != nil else { continue }
            tell("unmount", mount.name, ["container": id.text])
            await unmountIfIdle(mount.name)
        }
    }

    /// Takes away what former daemons mounted for containers that do not run any more.
    func unmountIdle() async {
        let idle = volumes.filter { $0.value.runs.isEmpty }.mapValues(\.document)
        let (folder, logger) = (folder, logger)
        for (name, document) in idle {
            do throws(EngineError) {
                try await BlockingWork.run(.trees) { () throws(EngineError) in try folder.unmount(name, document) }
            } catch { logger.error("\(error)") }
        }
    }

    // MARK: - One change of a volume at a time

    /// Claims several volumes, always in the same order, for as long as `body` takes.
    private func claiming<Value: Sendable>(
        _ names: Set<String>, _ body: () async throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        let ordered = names.sorted()
        for name in ordered { await claim(name) }
        defer { for name in ordered { letGo(name) } }
        return try await body()
    }

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
