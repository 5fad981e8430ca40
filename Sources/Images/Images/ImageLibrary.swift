internal import ContentStore
package import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
package import Records
package import Registry
package import Snapshots
internal import Synchronization
internal import SystemPackage

/// The images of one data root: pulled, named, unpacked and lent to containers as root file systems.
package final class ImageLibrary: Sendable {
    let settings: LibrarySettings
    let records: RecordStore
    let registry: RegistryClient
    private let opened = Mutex<ImageStorage?>(nil)

    /// Names its parts only; `start` touches the disk.
    package init(settings: LibrarySettings, registry: RegistryConfiguration, records: RecordStore) {
        self.settings = settings
        self.records = records
        self.registry = RegistryClient(configuration: registry)
    }

    /// Speaks to others in plain http, from the next conversation on.
    package func renew(insecureRegistries: [String], mirrors: [String], downloadAttempts: Int) {
        registry.renew(insecureRegistries: insecureRegistries, mirrors: mirrors, downloadAttempts: downloadAttempts)
    }

    /// Lets so many blobs be on their way at a time.
    package func limit(downloads: Int, uploads: Int) {
        guard let storage = opened.withLock({ $0 }) else { return }
        storage.downloads.limit(to: downloads)
        storage.uploads.limit(to: uploads)
    }

    /// Opens the folders and removes what a crash left: layers that no record knows, roots of containers that are not in `containers`,
    /// and what interrupted pulls brought, once no pull has gone on with it for long. Called once, before everything else.
    package func start(containers: Set<ContainerID>) async throws(ImageError) {
        let settings = settings
        let opening = BlockingPool(name: "apus.images.open", width: 1)
        let storage = try await opening.run { () throws(ImageError) -> ImageStorage in
            let storage = try ImageStorage(settings: settings)
            try Self.clean(storage, keeping: containers, lifetime: settings.interruptedLifetime)
            return storage
        }
        opened.withLock { $0 = storage }
        storage.loosen(storage.blobs.abandoned)
        _ = try await storage.sweep(.idle(settings.interruptedLifetime), keeping: records.images)
        do throws(ContentError) { try storage.blobs.forgetAbandoned() } catch { throw .storage(error) }
        let digests =
            try await list().flatMap { $0.manifestDigests + $0.repositoryDigests.compactMap(\.digest) }
            + (try await unreadable()).flatMap { $0.manifests + $0.names.compactMap(\.digest) }
        do throws(SyscallError) { try signatures.forget(allBut: Set(digests)) } catch { throw .storage(error) }
    }

    /// Who judges what is pulled, loaded and run.
    var signatures: SignatureCheck {
        SignatureCheck(
            policy: settings.signaturePolicy, folder: settings.dataRoot.appending("signatures"), limits: registry.imageLimits)
    }

    private static func clean(_ storage: ImageStorage, keeping containers: Set<ContainerID>, lifetime: Duration) throws(ImageError) {
        let kept = Set(containers.map(\.text))
        do {
            try storage.blobs.removeAbandonedIngests(idleFor: lifetime)
            for info in storage.snapshots.list() {
                switch info.kind {
                case .layer: continue
                case .active(let key) where kept.contains(key.text): continue
                case .view(let key) where kept.contains(key.owner): continue
                case .active(let key), .view(let key), .layerInProgress(let key): try storage.snapshots.remove(key)
                }
            }
        } catch { throw .storage(error) }
    }

    /// Lets go of the stores once what runs has ended; later calls fail.
    package func stop() { opened.withLock { $0 = nil } }

    /// The opened stores.
    func storage() throws(ImageError) -> ImageStorage {
        guard let storage = opened.withLock({ $0 }) else { throw ImageError(.storage, "the image store is not open") }
        return storage
    }

    /// `overlayfs` or `copy`, as `info` prints it; nil before `start`.
    package var storageDriver: String? { opened.withLock { $0?.snapshots.name } }

    /// What is not as usual of how layers are kept, as a sentence; nil where overlayfs has all of them.
    package var storageWarning: String? { opened.withLock { $0?.warning } }

    /// What was removed and could not be erased, for the daemon's log.
    package var storageLeftovers: [String] { opened.withLock { $0?.snapshots.leftovers.map(\.description) ?? [] } }

    // MARK: - Roots of containers

    /// Makes a container's root file system from an image: its layers and one writable layer. Asked again for the same container,
    /// gives the same root.
    /// - Returns: mounts for the shim to make, in order; the last one is the root.
    /// - Throws: `.notFound` where the image is gone.
    package func prepareRoot(of container: ContainerID, image: Digest) async throws(ImageError) -> [SnapshotMount] {
        try await makeSnapshot(try Self.rootKey(container), of: image) { (snapshots, key, top) throws(SnapshotError) in
            try snapshots.prepare(key, parent: top)
        }
    }

    /// Makes a snapshot of an image that may run. One that is there already stays as it is.
    func makeSnapshot(
        _ key: SnapshotKey, of image: Digest,
        _ make: @escaping @Sendable (any Snapshotter, SnapshotKey, Digest?) throws(SnapshotError) -> [SnapshotMount]
    ) async throws(ImageError) -> [SnapshotMount] {
        let storage = try storage()
        let chains = try await permittedLayers(of: image)
        storage.hold(chains)
        defer { storage.letGo(chains) }
        try await storage.layerGate.pass()
        // Asked again now that the layers are held: it may have gone in between.
        _ = try await layers(of: image)
        let top = chains.last
        return try await storage.talks.run { () throws(ImageError) in
            do throws(SnapshotError) { return try make(storage.snapshots, key, top) } catch {
                guard error.code == .alreadyExists else { throw .storage(error) }
            }
            do throws(SnapshotError) { return try storage.snapshots.mounts(of: key) } catch { throw .storage(error) }
        }
    }

    /// Holds what a container writes in its root, prepared and not yet used, to so many bytes. - Throws: `.invalid` where nothing can.
    package func limitRoot(of container: ContainerID, toBytes bytes: UInt64) async throws(ImageError) {
        let storage = try storage()
        let key = try Self.rootKey(container)
        try await storage.talks.run { () throws(ImageError) in
            do throws(SnapshotError) { try storage.snapshots.limit(key, toBytes: bytes) } catch {
                guard error.code == .unsupported else { throw .storage(error) }
                throw ImageError(
                    .invalid, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option: \(error.subject)",
                    cause: error)
            }
        }
    }

    /// The mounts of a root that was prepared before.
    /// - Throws: `.notFound` where it was not.
    package func rootMounts(of container: ContainerID) async throws(ImageError) -> [SnapshotMount] {
        try await ofRoot(of: container) { (snapshots, key) throws(SnapshotError) in try snapshots.mounts(of: key) }
    }

    /// What a container has written, in bytes on disk. - Throws: `.notFound`.
    package func rootUsage(of container: ContainerID) async throws(ImageError) -> ByteCount {
        try await ofRoot(of: container) { (snapshots, key) throws(SnapshotError) in
            ByteCount(UInt64(clamping: try snapshots.usage(of: key).bytes))
        }
    }

    private func ofRoot<Answer: Sendable>(
        of container: ContainerID, _ ask: @escaping @Sendable (any Snapshotter, SnapshotKey) throws(SnapshotError) -> Answer
    ) async throws(ImageError) -> Answer {
        try await ofSnapshot(try Self.rootKey(container), absence: "container \(container) has no root file system", ask)
    }

    /// - Parameter absence: what to say where there is no such snapshot.
    func ofSnapshot<Answer: Sendable>(
        _ key: SnapshotKey, absence: String, _ ask: @escaping @Sendable (any Snapshotter, SnapshotKey) throws(SnapshotError) -> Answer
    ) async throws(ImageError) -> Answer {
        let storage = try storage()
        try await storage.layerGate.pass()
        return try await storage.talks.run { () throws(ImageError) in
            do throws(SnapshotError) { return try ask(storage.snapshots, key) } catch {
                if error.code == .notFound { throw ImageError(.notFound, absence, cause: error) }
                throw .storage(error)
            }
        }
    }

    /// Removes a container's root, unmounted, with all that was written in it, and the images that it shows; layers of an image that was
    /// removed go with the last root on them. None is no error.
    package func removeRoot(of container: ContainerID) async throws(ImageError) {
        let storage = try storage()
        let key = try Self.rootKey(container)
        try await storage.removingRoots(keeping: records.images) { () throws(ImageError) in
            try await storage.chores.run { () throws(ImageError) in
                do throws(SnapshotError) {
                    for case .view(let view) in storage.snapshots.list().map(\.kind) where view.owner == container.text {
                        try storage.snapshots.remove(view)
                    }
                    try storage.snapshots.remove(key)
                } catch { throw .storage(error) }
            }
        }
    }

    static func rootKey(_ container: ContainerID) throws(ImageError) -> SnapshotKey {
        do throws(SnapshotError) { return try SnapshotKey(container.text) } catch { throw ImageError(.invalid, "\(error)", cause: error) }
    }

    /// The same of an image that may run.
    private func permittedLayers(of image: Digest) async throws(ImageError) -> [Digest] {
        let chains = try await layers(of: image)
        if settings.signaturePolicy == nil { return chains }
        let (named, signatures) = (try await named(image), signatures)
        try await storage().talks.run { () throws(ImageError) in try signatures.permitRun(named) }
        return chains
    }

    /// The chain ids of an image's layers, the lowest first.
    private func layers(of image: Digest) async throws(ImageError) -> [Digest] {
        try await named(image).image.layers.map(\.chainID)
    }
}
