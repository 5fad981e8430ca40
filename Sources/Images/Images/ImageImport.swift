internal import Archive
internal import ContentStore
package import CoreTypes
package import OCISpec
internal import Records
package import Registry

extension ImageLibrary {
    /// Makes an image of one layer from a tar of a root file system, plain or compressed.
    /// - Parameter next: the tar chunk by chunk; nil is its end.
    /// - Parameter name: completed with the default tag; nil for none.
    /// - Parameter configure: makes the configuration; called once the tar is here.
    /// - Returns: the image's id.
    package func importImage(
        from next: @escaping @Sendable () async throws -> [UInt8]?, name: ImageReference?,
        configure: @escaping @Sendable (_ diffIDs: [Digest]) -> ImageConfiguration
    ) async throws(ImageError) -> Digest {
        let storage = try storage()
        return try await storage.takingIn(records.images) { lease throws(ImageError) in
            let made = try await storage.feeding(next) { source throws(ImageError) in
                let blob = try storage.takeLayer(source, lease: lease)
                return try storage.makeImage(configuration: configure([blob.diffID]), layers: [blob.descriptor], lease: lease)
            }
            try await install(made, name: name)
            return made.plan.id
        }
    }

    /// The same of a tar that lies at an address of http or https, which the caller chose.
    /// - Parameter progress: called from one task, in order.
    package func importImage(
        at address: WebAddress, name: ImageReference?, progress: @escaping @Sendable (ImportEvent) async -> Void,
        configure: @escaping @Sendable (_ diffIDs: [Digest]) -> ImageConfiguration
    ) async throws(ImageError) -> Digest {
        let storage = try storage()
        return try await storage.takingIn(records.images) { lease throws(ImageError) in
            let blob = try await fetchLayer(address, lease: lease, progress: progress)
            let made = try await storage.intakes.run { () throws(ImageError) in
                try storage.makeImage(configuration: configure([blob.diffID]), layers: [blob.descriptor], lease: lease)
            }
            try await install(made, name: name)
            return made.plan.id
        }
    }

    /// Ends within a second of the task's cancellation.
    private func fetchLayer(
        _ address: WebAddress, lease: LeaseID, progress: @escaping @Sendable (ImportEvent) async -> Void
    ) async throws(ImageError) -> MadeLayer {
        let (storage, registry, cancellation, journal) = (try storage(), registry, Cancellation(), TransferJournal<ImportEvent>())
        async let reported: Void = journal.report(to: progress)
        let result: Result<MadeLayer, ImageError> = await withTaskCancellationHandler {
            do throws(ImageError) {
                return .success(
                    try await storage.intakes.run { () throws(ImageError) in
                        let sink = ArchiveSink(storage, address, journal)
                        do throws(RegistryError) { try registry.download(address, into: sink, cancellation: cancellation) } catch {
                            throw sink.failure.map { .storage($0) } ?? .registry(error)
                        }
                        return try storage.finishLayer(sink.blob, lease: lease)
                    })
            } catch { return .failure(error) }
        } onCancel: {
            cancellation.cancel()
        }
        journal.finish()
        await reported
        return try result.get()
    }

    /// Unpacks and names an image that was made here.
    func install(_ made: MadeImage, known: Set<Digest> = [], name: ImageReference?) async throws(ImageError) {
        try await provide(made.plan, known: known, progress: { _ in }) { storage throws(ImageError) in
            try await storage.record(
                made.plan, documents: made.documents, names: name.map { [$0.withDefaultTag] } ?? [], in: records.images)
        }
    }
}

/// One thing that an import from an address tells about itself, in Docker's words.
package enum ImportEvent: TransferEvent {
    /// The server has it.
    case downloading(from: WebAddress)
    case importing(current: UInt64, total: UInt64)

    package var id: String { "" }

    package var status: String {
        switch self {
        case .downloading(let address): "Downloading from \(address.withoutQuery)"
        case .importing: "Importing"
        }
    }

    package var isAboutLayer: Bool { false }

    package var detail: (current: UInt64, total: UInt64)? {
        if case .importing(let current, let total) = self, total > 0 { (current, total) } else { nil }
    }
}

/// Brings what lies at an address into the content store.
private final class ArchiveSink: DownloadSink {
    private let storage: ImageStorage
    private let address: WebAddress
    private let journal: TransferJournal<ImportEvent>
    private var sizeBytes: Int64?
    private var receivedBytes: Int64 = 0
    private(set) var blob: IntakeBlob?
    /// Why it would take no more.
    private(set) var failure: ContentError?

    init(_ storage: ImageStorage, _ address: WebAddress, _ journal: TransferJournal<ImportEvent>) {
        (self.storage, self.address, self.journal) = (storage, address, journal)
    }

    func begin(sizeBytes: Int64?) throws(RegistryError) {
        try storing { () throws(ContentError) in blob = try storage.newLayer(announcedBytes: sizeBytes ?? 0) }
        self.sizeBytes = sizeBytes
        journal.add(.downloading(from: address))
    }

    func append(_ bytes: [UInt8]) throws(RegistryError) {
        try storing { () throws(ContentError) in try blob?.append(bytes.span) }
        receivedBytes += Int64(bytes.count)
        guard let sizeBytes else { return }
        journal.add(.importing(current: UInt64(clamping: receivedBytes), total: UInt64(clamping: sizeBytes)))
    }

    private func storing(_ body: () throws(ContentError) -> Void) throws(RegistryError) {
        do throws(ContentError) { try body() } catch {
            failure = error
            throw RegistryError(.receiverStopped, doing: "", cause: "\(error)")
        }
    }
}

/// An image that was made here; its blobs are in the store, under a lease.
struct MadeImage: Sendable {
    let plan: ImagePlan
    let documents: Set<Digest>
}

/// A layer's blob, and what it is unpacked.
struct MadeLayer: Sendable {
    let descriptor: Descriptor
    let diffID: Digest
}

extension ImageStorage {
    /// Takes in a tar as it comes, and finds out what it is unpacked. Blocks.
    fileprivate func takeLayer(_ source: any ByteSource, lease: LeaseID) throws(ImageError) -> MadeLayer {
        do {
            let blob = try newLayer(announcedBytes: 0)
            while true {
                let chunk = try source.next()
                if chunk.isEmpty { break }
                try blob.append(chunk.span)
            }
            return try finishLayer(blob, lease: lease)
        } catch let error as ImageError {
            throw error
        } catch let error as ArchiveError {
            throw .archive(error, in: "the archive")
        } catch { throw .storage(error) }
    }

    fileprivate func newLayer(announcedBytes: Int64) throws(ContentError) -> IntakeBlob {
        try IntakeBlob(in: blobs, limits: limits, announcedBytes: announcedBytes, doing: "store the layer")
    }

    /// Finds out what a tar that came whole is unpacked. Blocks.
    /// - Parameter blob: nil where nothing came.
    fileprivate func finishLayer(_ blob: IntakeBlob?, lease: LeaseID) throws(ImageError) -> MadeLayer {
        guard let blob else { throw ImageError(.badContent, "the archive cannot be read: nothing came") }
        do {
            let (digest, sizeBytes) = try blob.commit(protectedBy: lease)
            let descriptor = try blobs.layer(digest, sizeBytes: sizeBytes, limits: limits, lease: lease)
            return MadeLayer(descriptor: descriptor, diffID: try diffID(of: descriptor.digest, .sha256, limits: limits))
        } catch let error as ImageError {
            throw error
        } catch let error as ArchiveError {
            throw .archive(error, in: "the archive")
        } catch { throw .storage(error) }
    }

    /// What a layer's blob is unpacked. Blocks.
    func diffID(of blob: Digest, _ algorithm: Digest.Algorithm, limits: ArchiveLimits) throws(ImageError) -> Digest {
        let observer = DiffIDObserver(algorithm)
        do {
            _ = try observeUnpacked(FileSource(try blobs.openBlob(blob), subject: blob.description), by: observer, limits: limits)
        } catch let error as ArchiveError {
            throw .archive(error, layer: blob)
        } catch { throw .storage(error) }
        guard let found = observer.finish() else { throw ImageError(.storage, "the layer's digest was asked for twice") }
        return found
    }

    /// Stores the documents of an image. Blocks.
    func makeImage(configuration: ImageConfiguration, layers: [Descriptor], lease: LeaseID) throws(ImageError) -> MadeImage {
        let bytes = configuration.encode()
        let id = try keepDocument(bytes, lease: lease)
        let manifest = ImageManifest(
            configuration: Descriptor(mediaType: .ociConfiguration, digest: id, sizeBytes: Int64(bytes.count)), layers: layers)
        let digest = try keepDocument(manifest.encode(), lease: lease)
        return MadeImage(
            plan: try ImagePlan(manifest: manifest, digest: digest, configuration: configuration), documents: [id, digest])
    }

    /// Stores a document under a lease. Blocks.
    func keepDocument(_ bytes: [UInt8], lease: LeaseID) throws(ImageError) -> Digest {
        blobs.protect(Digest(of: bytes), by: lease)
        do throws(ContentError) { return try blobs.addBlob(bytes) } catch { throw .storage(error) }
    }
}
