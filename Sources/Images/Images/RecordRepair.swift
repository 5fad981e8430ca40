internal import ContentStore
internal import CoreTypes
internal import OCISpec
internal import Records
internal import Registry
internal import Snapshots

/// Finds images whose records cannot be read, and writes these anew from the manifests, which say all that a record does but for the names.
struct RecordRepair: Sendable {
    let storage: ImageStorage
    let records: ImageRecords
    let recovery: BlobRecovery
    /// Keeps from the sweep what is fetched again.
    let lease: LeaseID

    /// - Parameter repairs: whether a record is written anew, or dropped where nobody has the manifest or the configuration any more.
    func run(repairs: Bool) async throws(ImageError) -> [StoreFinding] {
        let unreadable: [UnreadableImage]
        do throws(RecordsError) { unreadable = try await records.unreadable() } catch { throw .storage(error) }
        var findings: [StoreFinding] = []
        for image in unreadable {
            var finding = StoreFinding(
                kind: .unreadable, object: .record, id: image.id, detail: "the image's record: \(image.reason)",
                images: image.names.map(\.familiar))
            if repairs {
                do throws(ImageError) {
                    finding.detail += "; \(try await repair(image))"
                    finding.isRepaired = true
                } catch {
                    if error.code == .cancelled { throw error }
                    finding.remark = "\(error)"
                }
            }
            findings.append(finding)
        }
        return findings
    }

    /// - Returns: what was done.
    /// - Throws: where somebody may have what is missing, but does not give it now: the record stays as it is.
    private func repair(_ image: UnreadableImage) async throws(ImageError) -> String {
        var obstacle = "no manifest of it is known"
        for manifest in image.manifests {
            let record: ImageRecord
            do throws(ImageError) { record = try await self.record(of: image, by: manifest) } catch {
                guard error.code == .badContent else { throw error }
                obstacle = "\(error)"
                continue
            }
            try await letGo { () throws(RecordsError) in try await records.rebuild(image, as: record) }
            return "it was written anew"
        }
        try await letGo { () throws(RecordsError) in try await records.drop(image) }
        return "it was dropped (\(obstacle)): pull or load the image once more"
    }

    /// Takes away what nothing refers to after a change of the records.
    private func letGo(after change: () async throws(RecordsError) -> Set<Digest>?) async throws(ImageError) {
        try await storage.removalGate.removing { () throws(ImageError) in
            do throws(RecordsError) { storage.loosen(try await change() ?? []) } catch { throw .storage(error) }
            _ = try await storage.sweep(.among([]), keeping: records)
        }
    }

    /// What a manifest says of the image. What the disk has lost of it is fetched again.
    private func record(of image: UnreadableImage, by manifest: Digest) async throws(ImageError) -> ImageRecord {
        try await provide(manifest, sizeBytes: nil, of: image)
        let storage = storage
        let document = try await storage.talks.run { () throws(ImageError) in try storage.manifest(manifest).manifest }
        let id = document.configuration.digest
        if let known = try? Digest(image.id), known != id { throw ImageError(.badContent, "\(manifest) is another image's manifest") }
        try await provide(id, sizeBytes: document.configuration.sizeBytes, of: image)
        return try await storage.talks.run { () throws(ImageError) in
            do {
                let bytes = try storage.blobs.readBlob(id, limitBytes: DocumentLimits.ceiling.bytes)
                let configuration = try ImageConfiguration.decode(bytes, limits: .ceiling)
                let plan = try ImagePlan(manifest: document, digest: manifest, configuration: configuration)
                let documents = (image.blobs[manifest] ?? []).union([manifest, id])
                return ImageRecord(plan, layers: try layers(of: plan, knownSizes: image.layerSizes), documents: documents)
            } catch let error as ImageError { throw error } catch { throw .storage(error) }
        }
    }

    /// A layer that is missing has the size that the record had of it: the check that follows brings the layer.
    private func layers(of plan: ImagePlan, knownSizes: [ByteCount]) throws(SnapshotError) -> [LayerRecord] {
        var layers: [LayerRecord] = []
        for (position, layer) in plan.layers.enumerated() {
            var size = position < knownSizes.count ? knownSizes[position] : ByteCount(0)
            if storage.snapshots.contains(layer: layer.chainID) {
                size = ByteCount(UInt64(clamping: try storage.snapshots.usage(ofLayer: layer.chainID).bytes))
            }
            layers.append(LayerRecord(diffID: layer.diffID, chainID: layer.chainID, size: size))
        }
        return layers
    }

    private func provide(_ digest: Digest, sizeBytes: Int64?, of image: UnreadableImage) async throws(ImageError) {
        let blobs = storage.blobs
        blobs.protect(digest, by: lease)
        let state = try await storage.chores.run { () throws(ImageError) in
            do throws(ContentError) { return try blobs.state(of: digest) } catch { throw .storage(error) }
        }
        if case .whole = state { return }
        let sources = image.names.filter { $0.digest != nil }
        if let remark = await recovery.fetch(digest, sizeBytes: sizeBytes, from: sources) {
            if Task.isCancelled { throw .cancelled }
            // Somebody has it perhaps.
            let code: ImageError.Code = sources.isEmpty ? .badContent : .registry
            throw ImageError(code, "\(digest) is lost, and cannot be fetched again: \(remark)")
        }
    }
}

extension ImageRecord {
    /// - Parameter documents: indexes, manifest and configuration.
    init(_ plan: ImagePlan, layers: [LayerRecord], documents: Set<Digest>) {
        self.init(
            id: plan.id, manifestDigest: plan.manifestDigest, created: plan.configuration.created ?? .zero,
            platform: plan.configuration.platform, size: layers.size, layers: layers,
            blobs: documents.union(plan.layers.map(\.blob.digest)))
    }
}
