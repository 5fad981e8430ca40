internal import Archive
internal import ContentStore
internal import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
internal import Records
internal import Registry
internal import Snapshots
internal import Synchronization
internal import SystemPackage

/// What lies on the disk for images, and the threads that work on it.
final class ImageStorage: Sendable {
    let blobs: BlobStore
    let snapshots: any Snapshotter
    let downloads: BlockingPool
    let unpacks: BlockingPool
    let uploads: BlockingPool
    /// For archives on their way in, each of which waits for its client.
    let intakes = BlockingPool(name: "apus.images.intake", width: 64)
    /// For layers of what containers have written.
    let commits = BlockingPool(name: "apus.images.commit", width: 4)
    /// For questions to registries, each of which may take as long as a registry that says nothing is waited for.
    let questions = BlockingPool(name: "apus.images.question", width: 16)
    /// For short calls to the disk; nobody waits for a network on these.
    let talks = BlockingPool(name: "apus.images.talk", width: 16)
    /// For what takes as long as a tree is large: making one durable, measuring it, taking it away.
    let chores = BlockingPool(name: "apus.images.chore", width: 16)
    /// One pull at a time works on a layer, and on a blob.
    let layerTurns = KeyedTurns<Digest>()
    let blobTurns = KeyedTurns<Digest>()
    /// One push at a time sends a blob: the next one finds it there.
    let uploadTurns = KeyedTurns<Digest>()
    /// One pull at a time fetches a manifest or a configuration.
    let documentTurns = DocumentTurns()
    let news = LayerNews()
    let layerGate = LayerGate()
    /// Whoever ends a record or a lease, and takes away after that what was on it, does both within this.
    let removalGate = RemovalGate()
    /// Blobs that records have let go of, until a sweep has taken them: one that is leased waits for the lease's end. Each with the number
    /// of the time that it was let go of last: a sweep that began before that has not looked at it.
    private let loose = Mutex<(times: UInt64, blobs: [Digest: UInt64])>((0, [:]))
    /// Whether layers are here that are on no record: under containers whose image was removed, or on their way in. Of two who look at once
    /// the one counts that has begun last.
    private let strayLayers = Mutex<(looks: UInt64, last: UInt64, areHere: Bool)>((0, 0, false))
    /// What a layer may cost.
    let limits: ArchiveLimits
    /// What is not as usual of how layers are kept, as a sentence; nil where overlayfs has all of them.
    let warning: String?
    private let held = Mutex<[Digest: Int]>([:])
    private let nextKey = Atomic<UInt64>(0)

    /// Opens both stores. Blocks.
    init(settings: LibrarySettings) throws(ImageError) {
        do throws(ContentError) { blobs = try BlobStore(openingAt: settings.dataRoot.appending("content")) } catch { throw .storage(error) }
        var reason: SnapshotError?
        do throws(SnapshotError) {
            snapshots = try openSnapshotter(at: settings.dataRoot.appending("snapshots"), backEnd: settings.snapshotBackEnd) { reason = $0 }
        } catch { throw .storage(error) }
        let isCopying = snapshots.name == SnapshotBackEnd.copy.rawValue
        warning = reason.map { isCopying ? "overlayfs is not used, so every container has a whole copy of its image: \($0)" : "\($0)" }
        limits = settings.limits
        downloads = BlockingPool(name: "apus.images.download", width: settings.maximumDownloads)
        unpacks = BlockingPool(name: "apus.images.unpack", width: settings.maximumUnpacks)
        uploads = BlockingPool(name: "apus.images.upload", width: settings.maximumUploads)
    }

    /// A name for a layer in the making that no other has in this process; a restart removes them all.
    func newKey(for chain: Digest) throws(ImageError) -> SnapshotKey {
        let number = nextKey.wrappingAdd(1, ordering: .relaxed).newValue
        do throws(SnapshotError) { return try SnapshotKey("layer-\(chain.short)-\(number)") } catch { throw .storage(error) }
    }

    /// Reads the manifest of one image. Blocks.
    func manifest(_ digest: Digest) throws(ImageError) -> (bytes: [UInt8], manifest: ImageManifest) {
        let document: ImageDocument
        let bytes: [UInt8]
        do {
            bytes = try blobs.readBlob(digest, limitBytes: DocumentLimits.ceiling.bytes)
            document = try ImageDocument.decode(bytes, limits: .ceiling)
        } catch { throw .storage(error) }
        guard case .manifest(let manifest) = document else { throw ImageError(.badContent, "\(digest) is no manifest of one image") }
        return (bytes, manifest)
    }

    /// Writes an image down, last of all; its layers are held.
    /// - Parameters:
    ///   - documents: indexes, manifest and configuration.
    ///   - isPulled: whether a registry said that the names stand for it.
    func record(
        _ plan: ImagePlan, documents: Set<Digest>, names: [ImageReference], isPulled: Bool = false, in records: ImageRecords
    ) async throws(ImageError) {
        let snapshots = snapshots
        let layers = try await talks.run { () throws(ImageError) -> [LayerRecord] in
            var layers: [LayerRecord] = []
            do throws(SnapshotError) {
                for layer in plan.layers {
                    let bytes = try snapshots.usage(ofLayer: layer.chainID).bytes
                    layers.append(LayerRecord(diffID: layer.diffID, chainID: layer.chainID, size: ByteCount(UInt64(clamping: bytes))))
                }
            } catch { throw .storage(error) }
            return layers
        }
        let image = ImageRecord(plan, layers: layers, documents: documents)
        try await removalGate.removing { () throws(ImageError) in
            do throws(RecordsError) { loosen(try await records.store(image, names: names, isPulled: isPulled)) } catch {
                throw .storage(error)
            }
        }
    }

    /// Notes what records have let go of. Called within the gate of removals.
    func loosen(_ released: Set<Digest>) {
        loose.withLock { state in
            state.times += 1
            for digest in released { state.blobs[digest] = state.times }
        }
    }

    /// What records have let go of and is here yet.
    var loosened: Set<Digest> { loose.withLock { Set($0.blobs.keys) } }

    /// Removes what records have let go of. What cannot be removed is found by the next sweep: what was asked for is done.
    func sweepLoose(keeping records: ImageRecords) async {
        if loose.withLock({ $0.blobs.isEmpty }) { return }
        _ = try? await removalGate.removing { () throws(ImageError) in try await sweep(.among([]), keeping: records) }
    }

    /// Keeps layers from the sweep, there or yet to come, until `letGo`.
    func hold(_ chains: [Digest]) {
        held.withLock { held in for chain in chains { held[chain, default: 0] += 1 } }
    }

    func letGo(_ chains: [Digest]) {
        held.withLock { held in
            for chain in chains {
                let count = (held[chain] ?? 1) - 1
                held[chain] = count > 0 ? count : nil
            }
        }
    }

    /// Runs `body` with a lease; what records let go of meanwhile is removed after it.
    func leasing<Value, Failure: Error>(
        keeping records: ImageRecords, _ body: (LeaseID) async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let lease = blobs.takeLease()
        let result: Result<Value, Failure>
        do throws(Failure) { result = .success(try await body(lease)) } catch { result = .failure(error) }
        end(lease)
        await sweepLoose(keeping: records)
        return try result.get()
    }

    /// Ends a lease. After the last one nothing large is under way: what it took of memory, program text included, goes back to the kernel.
    /// - Returns: what it protected.
    @discardableResult
    func end(_ lease: LeaseID) -> Set<Digest> {
        let blobs = blobs
        let protected = blobs.endLease(lease)
        // Where every thread has other things to do, the next lease's end will do it.
        if !blobs.isLeased { _ = talks.runIfIdle { if !blobs.isLeased { try? releaseUnusedMemory() } } }
        return protected
    }

    func isHeld(_ chain: Digest) -> Bool { held.withLock { $0[chain] != nil } }

    /// Whether others hold a layer than who asks, and holds it once.
    func isHeldByOthers(_ chain: Digest) -> Bool { held.withLock { $0[chain] ?? 0 > 1 } }

    /// Removes layers that no record, no pull and no other snapshot needs, from the top down, and then such blobs of `scope`, and of
    /// those that records have let go of.
    func sweep(_ scope: SweepScope, keeping records: ImageRecords) async throws(ImageError) -> Swept {
        var swept = try await sweepLayers(keeping: records)
        let blobs = blobs
        blobs.beginSweep()
        defer { blobs.endSweep() }
        let times = loose.withLock { $0.blobs }
        let released = Set(times.keys)
        let scopes: [SweepScope] =
            switch scope {
            case .all: [.all]
            case .among(let digests): [.among(digests.union(released))]
            case .idle: [scope, .among(released)]
            }
        let referenced = try await references(records)
        let (freedBytes, spared) = try await chores.run { () throws(ImageError) in
            do throws(ContentError) {
                var freedBytes: Int64 = 0
                for scope in scopes { freedBytes += try blobs.sweep(scope, keeping: referenced.blobs).freedBytes }
                var spared: Set<Digest> = []
                for digest in released.subtracting(referenced.blobs) where try blobs.contains(digest) { spared.insert(digest) }
                return (freedBytes, spared)
            } catch { throw .storage(error) }
        }
        swept.freedBytes = swept.freedBytes.addingClamped(freedBytes)
        loose.withLock { state in
            for (digest, time) in times where !spared.contains(digest) && state.blobs[digest] == time { state.blobs[digest] = nil }
        }
        return swept
    }

    /// Removes layers that no record, no pull and no other snapshot needs, from the top down.
    private func sweepLayers(keeping records: ImageRecords) async throws(ImageError) -> Swept {
        var swept = Swept()
        var mayGo = true
        while mayGo {
            mayGo = false
            for chain in try await unreferencedLeaves(records) {
                guard let bytes = try await removeUnlessNeeded(chain, records) else { continue }
                swept.layers.append(chain)
                swept.freedBytes = swept.freedBytes.addingClamped(bytes)
                mayGo = true
            }
        }
        try await lookForStrayLayers(records)
        return swept
    }

    private func lookForStrayLayers(_ records: ImageRecords) async throws(ImageError) {
        let look = strayLayers.withLock { state in
            state.looks += 1
            return state.looks
        }
        let known = try await references(records).chains
        let areHere = snapshots.list().contains { info in if case .layer(let chain) = info.kind { !known.contains(chain) } else { false } }
        strayLayers.withLock { if look > $0.last { ($0.last, $0.areHere) = (look, areHere) } }
    }

    /// Runs what removes roots, and takes away the layers that nothing but these roots needed.
    func removingRoots(keeping records: ImageRecords, _ body: () async throws(ImageError) -> Void) async throws(ImageError) {
        // The roots are gone, which is what was asked for; what stays of layers is found by the next sweep.
        if strayLayers.withLock({ $0.areHere }) {
            return try await removalGate.removing { () throws(ImageError) in
                try await body()
                _ = try? await sweepLayers(keeping: records)
            }
        }
        try await body()
        // An image that was removed meanwhile has left its layers to these roots.
        guard strayLayers.withLock({ $0.areHere }) else { return }
        _ = try? await removalGate.removing { () throws(ImageError) in try await sweepLayers(keeping: records) }
    }

    /// What a sweep took away.
    struct Swept: Equatable, Sendable {
        /// Chain ids, the uppermost first.
        var layers: [Digest] = []
        /// Bytes of layers and blobs.
        var freedBytes: Int64 = 0
    }

    private func references(_ records: ImageRecords) async throws(ImageError) -> (chains: Set<Digest>, blobs: Set<Digest>) {
        do throws(RecordsError) { return try await records.referenced() } catch { throw .storage(error) }
    }

    /// Layers that no record knows and on which nothing is built.
    private func unreferencedLeaves(_ records: ImageRecords) async throws(ImageError) -> [Digest] {
        let list = snapshots.list()
        let parents = Set(list.compactMap(\.parent))
        let known = try await references(records).chains
        return list.compactMap { info in
            guard case .layer(let chain) = info.kind, !parents.contains(chain), !known.contains(chain) else { return nil }
            return chain
        }
    }

    /// A pull holds a layer before it takes the layer's turn to look for it: here it is asked in the other order, and before, too: a pull
    /// has its turn for as long as a download takes.
    /// - Returns: the bytes that it took; nil where it stays.
    private func removeUnlessNeeded(_ chain: Digest, _ records: ImageRecords) async throws(ImageError) -> Int64? {
        if isHeld(chain) { return nil }
        return try await layerTurns.withTurn(chain) { () throws(ImageError) in
            if isHeld(chain) { return nil }
            // A pull that has let go since the leaves were listed has written its record before that.
            if try await references(records).chains.contains(chain) { return nil }
            if isHeld(chain) { return nil }
            let snapshots = snapshots
            return try await chores.run { () throws(ImageError) in
                do throws(SnapshotError) {
                    let bytes = try snapshots.usage(ofLayer: chain).bytes
                    try snapshots.remove(layer: chain)
                    return bytes
                } catch {
                    if error.code == .inUse || error.code == .notFound { return nil }
                    throw .storage(error)
                }
            }
        }
    }
}
