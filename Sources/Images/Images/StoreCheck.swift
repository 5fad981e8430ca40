internal import Archive
internal import ContentStore
package import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
internal import Records
package import Registry
internal import Snapshots
internal import SystemPackage

extension ImageLibrary {
    /// Holds every blob against its digest, every unpacked layer against its blob, and what lies in the folders against the records.
    /// - Parameters:
    ///   - repairs: whether what is damaged or missing is brought again, the blobs alone that are so from where their image was pulled,
    ///     and what nothing needs is removed.
    ///   - credentials: for a registry, `host:port`.
    ///   - secondLook: waits until what nothing needs is looked for once more: what was in the midst of a removal has gone then.
    ///   - inUse: containers whose roots are mounted, or about to be: asked when a layer below them would be replaced.
    package func checkStore(
        repairs: Bool, inUse: @escaping @Sendable () async -> Set<ContainerID>,
        secondLook: @escaping @Sendable () async throws(CancellationError) -> Void,
        credentials: @escaping @Sendable (String) -> RegistryCredentials
    ) async throws(ImageError) -> StoreReport {
        let storage = try storage()
        return try await storage.leasing(keeping: records.images) { (lease) throws(ImageError) in
            try await check(storage, lease, repairs: repairs, inUse: inUse, secondLook: secondLook, credentials: credentials)
        }
    }

    private func check(
        _ storage: ImageStorage, _ lease: LeaseID, repairs: Bool, inUse: @escaping @Sendable () async -> Set<ContainerID>,
        secondLook: @escaping @Sendable () async throws(CancellationError) -> Void,
        credentials: @escaping @Sendable (String) -> RegistryCredentials
    ) async throws(ImageError) -> StoreReport {
        let recovery = BlobRecovery(storage: storage, registry: registry, credentials: credentials)
        // First of all: an image that can be read again is looked at like the others.
        let unreadable = try await RecordRepair(storage: storage, records: records.images, recovery: recovery, lease: lease)
            .run(repairs: repairs)
        let listed = try await list()
        let protected = Set(listed.flatMap(\.image.blobs))
        for blob in protected { storage.blobs.protect(blob, by: lease) }
        let chains = Array(Set(listed.flatMap { $0.image.layers.map(\.chainID) }))
        storage.hold(chains)
        defer { storage.letGo(chains) }
        var check = StoreCheck(storage: storage, records: records.images, recovery: recovery, repairs: repairs, inUse: inUse)
        check.report.findings = unreadable
        // Asked again now that all of them is protected: what has gone since is missing nowhere, and what has come since came whole.
        for image in try await list() where image.image.blobs.isSubset(of: protected) {
            try await check.checkBlobs(of: image)
            try await check.checkLayers(of: image)
        }
        try await check.lookForExtras(secondLook)
        return check.report
    }

    /// Containers that have a root here.
    package func containersWithRoots() throws(ImageError) -> Set<ContainerID> {
        Set(
            try storage().snapshots.list().compactMap { info in
                if case .active(let key) = info.kind { try? ContainerID(key.text) } else { nil }
            })
    }
}

extension ImageStorage {
    /// The layers below the roots of these containers; nil for every container.
    fileprivate func chains(below containers: Set<ContainerID>?) -> Set<Digest> {
        let list = snapshots.list()
        var parents: [Digest: Digest] = [:]
        for info in list { if case .layer(let chain) = info.kind, let parent = info.parent { parents[chain] = parent } }
        let keys = containers.map { Set($0.map(\.text)) }
        var found: Set<Digest> = []
        for info in list {
            switch info.kind {
            case .active(let key), .view(let key): if let keys, !keys.contains(key.owner) { continue }
            case .layer, .layerInProgress: continue
            }
            var next = info.parent
            while let chain = next, found.insert(chain).inserted { next = parents[chain] }
        }
        return found
    }

    /// Layers that no root and no pull needs, and perhaps no record.
    fileprivate func unneededLayers() -> [Digest] {
        let used = chains(below: nil)
        return snapshots.list().compactMap { info in
            guard case .layer(let chain) = info.kind, !used.contains(chain), !isHeld(chain) else { return nil }
            return chain
        }
    }
}

/// One check under way.
private struct StoreCheck {
    let storage: ImageStorage
    let records: ImageRecords
    let recovery: BlobRecovery
    let repairs: Bool
    /// Containers whose roots are mounted, or about to be.
    let inUse: @Sendable () async -> Set<ContainerID>
    var report = StoreReport()
    /// Whether a blob that was looked at is whole, perhaps again.
    private var whole: [Digest: Bool] = [:]
    private var seenLayers: Set<Digest> = []

    init(
        storage: ImageStorage, records: ImageRecords, recovery: BlobRecovery, repairs: Bool,
        inUse: @escaping @Sendable () async -> Set<ContainerID>
    ) {
        (self.storage, self.records, self.recovery, self.repairs) = (storage, records, recovery, repairs)
        self.inUse = inUse
    }

    // MARK: Blobs

    mutating func checkBlobs(of named: NamedImage) async throws(ImageError) {
        var documents = Set(named.repositoryDigests.compactMap(\.digest)).intersection(named.image.blobs)
        documents.formUnion(named.manifestDigests)
        for digest in documents.sorted(by: { $0.description < $1.description }) { try await check(digest, sizeBytes: nil, of: named) }
        let storage = storage
        for digest in named.manifestDigests where whole[digest] == true {
            let manifest = try await storage.talks.run { () throws(ImageError) in try storage.manifest(digest).manifest }
            for part in [manifest.configuration] + manifest.layers { try await check(part.digest, sizeBytes: part.sizeBytes, of: named) }
        }
        guard whole[named.image.manifestDigest] == true else { return }
        for rest in named.image.blobs.sorted(by: { $0.description < $1.description }) where whole[rest] == nil {
            try await check(rest, sizeBytes: nil, of: named)
        }
    }

    /// - Parameter sizeBytes: nil for a manifest or an index.
    private mutating func check(_ digest: Digest, sizeBytes: Int64?, of named: NamedImage) async throws(ImageError) {
        if whole[digest] != nil { return }
        report.blobs += 1
        let storage = storage
        let state = try await storage.unpacks.run { () throws(ImageError) in
            do throws(ContentError) { return try storage.blobs.state(of: digest) } catch { throw .storage(error) }
        }
        let finding: StoreFinding
        switch state {
        case .whole(let found):
            report.readBytes += found
            whole[digest] = true
            return
        case .missing: finding = StoreFinding(kind: .missing, object: .blob, id: digest.description, detail: "", images: names(of: named))
        case .damaged(let found):
            finding = StoreFinding(
                kind: .damaged, object: .blob, id: digest.description, detail: "its bytes are \(found)", images: names(of: named))
        }
        whole[digest] = false
        report.findings.append(finding)
        guard repairs else { return }
        let remark = await recovery.fetch(digest, sizeBytes: sizeBytes, of: named)
        whole[digest] = remark == nil
        settle(remark)
    }

    /// Says of the newest finding how its repair went. - Parameter remark: nil where it went well.
    private mutating func settle(_ remark: String?) {
        let last = report.findings.count - 1
        report.findings[last].isRepaired = remark == nil
        report.findings[last].remark = remark ?? ""
    }

    private func names(of named: NamedImage) -> [String] {
        let names = (named.tags.isEmpty ? named.repositoryDigests : named.tags).map(\.familiar)
        return names.isEmpty ? [named.image.id.description] : names
    }

    // MARK: Layers

    mutating func checkLayers(of named: NamedImage) async throws(ImageError) {
        guard whole[named.image.manifestDigest] == true, whole[named.image.id] == true else { return }
        let plan = try await plan(of: named.image)
        try await checkRecord(of: named, plan)
        for (position, layer) in plan.layers.enumerated() where seenLayers.insert(layer.chainID).inserted {
            report.layers += 1
            if !storage.snapshots.contains(layer: layer.chainID) {
                await report(absent: layer, named)
                if repairs { settle(await provide(Array(plan.layers[...position]))) }
            } else {
                if whole[layer.blob.digest] == true { await compare(layer, named) }
                try await checkName(of: layer.chainID, named)
            }
        }
    }

    /// Holds the record's layers against the configuration's: containers are made of the former.
    private mutating func checkRecord(of named: NamedImage, _ plan: ImagePlan) async throws(ImageError) {
        let sizes = named.image.layers.map(\.size)
        let layers = plan.layers.enumerated().map { position, layer in
            LayerRecord(diffID: layer.diffID, chainID: layer.chainID, size: position < sizes.count ? sizes[position] : ByteCount(0))
        }
        if layers == named.image.layers { return }
        report.findings.append(
            StoreFinding(
                kind: .damaged, object: .record, id: named.image.id.description,
                detail: "the image's record: its layers are not those of its configuration", images: names(of: named)))
        guard repairs else { return }
        do throws(RecordsError) { try await records.correct(layers: layers, of: named.image.id) } catch { throw .storage(error) }
        settle(nil)
    }

    /// Looks at the link by which a layer is mounted.
    private mutating func checkName(of chain: Digest, _ named: NamedImage) async throws(ImageError) {
        let snapshots = storage.snapshots
        let defect = try await storage.talks.run { () throws(ImageError) in
            do throws(SnapshotError) { return try snapshots.nameDefect(ofLayer: chain) } catch { throw .storage(error) }
        }
        guard let defect else { return }
        report.findings.append(
            StoreFinding(
                kind: defect.isThere ? .damaged : .missing, object: .file, id: chain.description,
                detail: "the link that it is mounted by, \(defect.path)", images: names(of: named)))
        guard repairs else { return }
        do throws(ImageError) {
            try await storage.talks.run { () throws(ImageError) in
                do throws(SnapshotError) { try snapshots.restoreName(ofLayer: chain) } catch { throw .storage(error) }
            }
            settle(nil)
        } catch { settle("\(error)") }
    }

    private mutating func report(absent layer: PlannedLayer, _ named: NamedImage) async {
        let defect = storage.snapshots.defect(ofLayer: layer.chainID)
        report.findings.append(
            StoreFinding(
                kind: defect == nil ? .missing : .damaged, object: .layer, id: layer.chainID.description,
                detail: defect?.description ?? "", images: names(of: named)))
    }

    private func plan(of image: ImageRecord) async throws(ImageError) -> ImagePlan {
        let storage = storage
        return try await storage.talks.run { () throws(ImageError) in
            let manifest = try storage.manifest(image.manifestDigest).manifest
            do {
                let bytes = try storage.blobs.readBlob(image.id, limitBytes: DocumentLimits.ceiling.bytes)
                let configuration = try ImageConfiguration.decode(bytes, limits: .ceiling)
                return try ImagePlan(manifest: manifest, digest: image.manifestDigest, configuration: configuration)
            } catch let error as ImageError { throw error } catch { throw .storage(error) }
        }
    }

    private func provide(_ layers: [PlannedLayer]) async -> String? {
        let journal = TransferJournal<PullEvent>()
        let provider = LayerProvider(
            storage: storage, records: records, repository: nil, cancellation: Cancellation(), journal: journal,
            known: Set(layers.map(\.blob.digest)))
        do throws(ImageError) { try await provider.withLayers(layers) { () throws(ImageError) in } } catch { return "\(error)" }
        return nil
    }

    /// Unpacks a layer again beside the one that is there. What keeps that from being done is a finding, too: the check goes on.
    private mutating func compare(_ layer: PlannedLayer, _ named: NamedImage) async {
        let (storage, chain, inUse) = (storage, layer.chainID, inUse)
        let differences: [TreeDifference]
        let obstacle: String?
        do throws(ImageError) {
            (differences, obstacle) = try await storage.layerTurns.withTurn(chain) { () throws(ImageError) in
                try await storage.differences(of: layer, unlessInUse: repairs ? inUse : nil)
            }
        } catch {
            let detail = "it cannot be unpacked to be compared: \(error)"
            report.findings.append(
                StoreFinding(kind: .damaged, object: .layer, id: chain.description, detail: detail, images: names(of: named)))
            if repairs { settle("nothing to compare it with") }
            return
        }
        for difference in differences {
            let kind = StoreFinding.Kind(rawValue: difference.kind.rawValue) ?? .damaged
            let detail = "/\(difference.path)" + (difference.what.isEmpty ? "" : ": \(difference.what)")
            report.findings.append(
                StoreFinding(kind: kind, object: .file, id: chain.description, detail: detail, images: names(of: named)))
            if repairs { settle(obstacle) }
        }
    }

    // MARK: Extras

    /// - Parameter secondLook: waits until what was in the midst of a removal has gone.
    mutating func lookForExtras(_ secondLook: @Sendable () async throws(CancellationError) -> Void) async throws(ImageError) {
        let storage = storage
        let strange = try await storage.chores.run { () throws(ImageError) in
            do { return try storage.blobs.strangers() + storage.snapshots.strangers() } catch { throw .storage(error) }
        }
        var (blobs, layers) = try await unneeded()
        if !blobs.isEmpty || !layers.isEmpty {
            // A removal takes its record away first, and what was on it after that.
            do throws(CancellationError) { try await secondLook() } catch { throw .cancelled }
            let still = try await unneeded()
            blobs.formIntersection(still.blobs)
            layers.formIntersection(still.layers)
        }
        for digest in blobs.sorted(by: { $0.description < $1.description }) { add(extra: .blob, digest.description) }
        for chain in layers.sorted(by: { $0.description < $1.description }) { add(extra: .layer, chain.description) }
        if repairs, !report.findings.filter({ $0.kind == .extra && $0.object != .file }).isEmpty {
            _ = try await storage.sweep(.all, keeping: records)
            try await settleExtras()
        }
        for path in strange {
            add(extra: .file, path.string)
            if repairs { settle(await remove(path)) }
        }
    }

    /// What is here and neither leased, held nor on a record, at a moment when nothing is in the midst of being taken away.
    private func unneeded() async throws(ImageError) -> (blobs: Set<Digest>, layers: Set<Digest>) {
        try await storage.removalGate.looking { () throws(ImageError) in try await unneededNow() }
    }

    private func unneededNow() async throws(ImageError) -> (blobs: Set<Digest>, layers: Set<Digest>) {
        let storage = storage
        let blobs = try await storage.chores.run { () throws(ImageError) in
            do throws(ContentError) { return Set(try storage.blobs.unneeded()) } catch { throw .storage(error) }
        }
        let layers = Set(storage.unneededLayers())
        // Read last: what a pull let go of before that is on record by now.
        let known: (chains: Set<Digest>, blobs: Set<Digest>)
        do throws(RecordsError) { known = try await records.referenced() } catch { throw .storage(error) }
        return (blobs.subtracting(known.blobs).subtracting(storage.loosened), layers.subtracting(known.chains))
    }

    /// What is still there was wanted by somebody before the sweep came to it.
    private mutating func settleExtras() async throws(ImageError) {
        let storage = storage
        for place in report.findings.indices where report.findings[place].kind == .extra && report.findings[place].object != .file {
            let finding = report.findings[place]
            guard let digest = try? Digest(finding.id) else { continue }
            let isThere = try await storage.talks.run { () throws(ImageError) in
                if finding.object == .layer { return storage.snapshots.contains(layer: digest) }
                do throws(ContentError) { return try storage.blobs.contains(digest) } catch { throw .storage(error) }
            }
            report.findings[place].isRepaired = !isThere
            report.findings[place].remark = isThere ? "something needs it by now" : ""
        }
    }

    private mutating func add(extra object: StoreFinding.Object, _ id: String) {
        report.findings.append(StoreFinding(kind: .extra, object: object, id: id, detail: "", images: []))
    }

    private func remove(_ path: FilePath) async -> String? {
        let storage = storage
        do throws(ImageError) {
            try await storage.chores.run { () throws(ImageError) in
                do {
                    if path.starts(with: storage.blobs.root) {
                        try storage.blobs.removeStranger(path)
                    } else {
                        try storage.snapshots.removeStranger(path)
                    }
                } catch { throw .storage(error) }
            }
        } catch { return "\(error)" }
        return nil
    }
}

extension ImageStorage {
    /// What is otherwise in an unpacked layer than in its blob, which is here. Whoever asks holds the layer's turn.
    /// - Parameter inUse: says under which containers no layer gives way to what was unpacked, where they differ; nil where none does.
    /// - Returns: what is otherwise, and why the layer did not give way; nil where it did.
    fileprivate func differences(
        of layer: PlannedLayer, unlessInUse inUse: (@Sendable () async -> Set<ContainerID>)?
    ) async throws(ImageError) -> (found: [TreeDifference], obstacle: String?) {
        let (key, chain, snapshots) = (try newKey(for: layer.chainID), layer.chainID, snapshots)
        let work = LayerWork(
            layer: layer, storage: self, repository: nil, cancellation: Cancellation(), key: key, tell: { _ in },
            limits: limits.ofKnownLayers)
        let found: [TreeDifference]
        var obstacle: String?
        do throws(ImageError) {
            let applied = try await work.perform()
            found = try await unpacks.run { () throws(ImageError) in
                do throws(SnapshotError) { return try snapshots.differences(of: key, from: chain, applied: applied) } catch {
                    throw .storage(error)
                }
            }
            if let inUse, !found.isEmpty { obstacle = try await replace(chain, by: key, unlessInUse: inUse) }
        } catch {
            do throws(ImageError) { try await remove(key) } catch let second {
                throw ImageError(error.code, "\(error.message); and what was unpacked stays: \(second)", cause: error.cause)
            }
            throw error
        }
        try await remove(key)
        return (found, obstacle)
    }

    /// Puts what was unpacked in a layer's place. - Returns: why not; nil where it was done.
    private func replace(
        _ chain: Digest, by key: SnapshotKey, unlessInUse inUse: @Sendable () async -> Set<ContainerID>
    ) async throws(ImageError) -> String? {
        try await layerGate.whileClosed { () throws(ImageError) in
            if chains(below: await inUse()).contains(chain) { return "a running container has the layer mounted" }
            if isHeldByOthers(chain) { return "something is being made of the layer" }
            let snapshots = snapshots
            try await unpacks.run { () throws(ImageError) in
                do throws(SnapshotError) { try snapshots.replaceLayer(chain, by: key) } catch { throw .storage(error) }
            }
            return nil
        }
    }

    private func remove(_ key: SnapshotKey) async throws(ImageError) {
        let snapshots = snapshots
        try await unpacks.run { () throws(ImageError) in
            do throws(SnapshotError) { try snapshots.remove(key) } catch { throw .storage(error) }
        }
    }
}
