internal import Archive
internal import ContentStore
internal import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
internal import Registry
internal import Snapshots
internal import Synchronization
internal import Tracing

/// Fetches and unpacks one layer for one pull. Whoever runs it holds the layer's turn.
struct LayerWork: Sendable {
    let layer: PlannedLayer
    let storage: ImageStorage
    /// nil where the blob must be in the store.
    let repository: MirroredRepository?
    let cancellation: Cancellation
    /// The directory in the making; removed by whoever began it, unless it was committed.
    let key: SnapshotKey
    let tell: @Sendable (LayerProgress) -> Void
    /// What the layer may cost.
    let limits: ArchiveLimits
    /// The span of whoever asked; downloads and unpackers have threads of their own.
    let trace = TraceSpan.current

    /// How long the two ends of a stream wait for each other: a stalled disk, or a stalled registry that is not yet idle.
    private static let pipeTimeout = Duration.seconds(300)

    private var totalBytes: UInt64 { UInt64(clamping: layer.blob.sizeBytes) }

    /// Brings the blob here, verified, and unpacks it into the directory in the making.
    func perform() async throws(ImageError) -> AppliedLayer {
        if try await hasBlob() {
            do throws(ImageError) { return try await unpackBlob() } catch {
                guard repository != nil, try await wasDamaged() else { throw error }
            }
        }
        let unpacking = try await storage.downloads.run { () throws(ImageError) -> Delivery<UnpackResult>? in try download() }
        if let unpacking { return try await unpacking.value.get() }
        return try await unpackBlob()
    }

    /// Brings the blob here, verified, of a layer that is unpacked already.
    /// - Parameter isVerified: whether one that is here is known to unpack to the layer.
    /// - Returns: false where it was here.
    func provideBlob(isVerified: Bool) async throws(ImageError) -> Bool {
        if try await hasBlob() {
            if isVerified { return false }
            let found = try await storage.unpacks.run { () throws(ImageError) in
                try storage.diffID(of: layer.blob.digest, layer.diffID.algorithm, limits: limits)
            }
            // It may well be another image's, under another layer's name.
            guard found == layer.diffID else { throw isAnother }
            return false
        }
        let found = try await storage.downloads.run { () throws(ImageError) in
            _ = try download(unpacks: false)
            return try storage.diffID(of: layer.blob.digest, layer.diffID.algorithm, limits: limits)
        }
        if found == layer.diffID { return true }
        let (blobs, digest) = (storage.blobs, layer.blob.digest)
        try await storage.talks.run { () throws(ImageError) in
            do throws(ContentError) { try blobs.removeBlob(digest) } catch { throw .storage(error) }
        }
        throw isAnother
    }

    private var isAnother: ImageError {
        ImageError(.badContent, "failed to register layer: \(layer.blob.digest) is not the \(layer.diffID) of the image's configuration")
    }

    /// Whether the disk lost bytes of the blob that could not be unpacked: the registry still has them, and what is here makes room.
    private func wasDamaged() async throws(ImageError) -> Bool {
        try await storage.unpacks.run { () throws(ImageError) in
            do {
                guard case .damaged = try storage.blobs.state(of: layer.blob.digest) else { return false }
                try storage.snapshots.remove(key)
                try storage.blobs.removeBlob(layer.blob.digest)
                return true
            } catch { throw .storage(error) }
        }
    }

    typealias UnpackResult = Result<AppliedLayer, ImageError>

    private func hasBlob() async throws(ImageError) -> Bool {
        let (blobs, blob) = (storage.blobs, layer.blob)
        return try await storage.talks.run { () throws(ImageError) in
            do throws(ContentError) { return try blobs.size(of: blob.digest) == blob.sizeBytes } catch { throw .storage(error) }
        }
    }

    private func unpackBlob() async throws(ImageError) -> AppliedLayer {
        try await storage.unpacks.run { () throws(ImageError) in
            let source: FileSource
            do throws(ContentError) {
                source = FileSource(try storage.blobs.openBlob(layer.blob.digest), subject: layer.blob.digest.description)
            } catch { throw .storage(error) }
            return try unpack(source)
        }
    }

    // MARK: - On a download's thread

    /// - Returns: what unpacks meanwhile; nil where nothing does, and the blob is to be unpacked from the disk.
    private func download(unpacks: Bool = true) throws(ImageError) -> Delivery<UnpackResult>? {
        var wrong: ContentError?
        // What an earlier pull left may not be the beginning of this blob: it is gone then. Bytes that are wrong from the start are asked
        // for once more, elsewhere where there is another server.
        var attempts = FetchAttempts()
        while attempts.goOn {
            switch try attempt(unpacks: unpacks) {
            case .complete(let unpacking): return unpacking
            case .wrongBytes(let error, let isResumed):
                wrong = error
                if attempts.failed(isResumed: isResumed) { repository?.distrust(sourceOf: layer.blob.digest) }
            case .overLimit(let error):
                // They may be nobody's but that server's.
                _ = attempts.failed(isResumed: false)
                guard attempts.goOn, try hasOtherSource() else { throw error }
                repository?.distrust(sourceOf: layer.blob.digest)
            }
        }
        let found = wrong?.subject.split(separator: " ").last.map { ": found \($0)" } ?? ""
        throw ImageError(.badContent, "filesystem layer verification failed for digest \(layer.blob.digest)\(found)", cause: wrong)
    }

    private enum Attempt {
        case complete(Delivery<UnpackResult>?)
        /// What is resumed may have had a wrong beginning.
        case wrongBytes(ContentError, isResumed: Bool)
        /// What came of it went beyond a limit, and nothing more was asked for; of what came nothing is left.
        case overLimit(ImageError)
    }

    private func hasOtherSource() throws(ImageError) -> Bool {
        do throws(RegistryError) { return try repository?.hasOtherSource(of: layer.blob.digest) ?? false } catch { throw .registry(error) }
    }

    private func attempt(unpacks: Bool) throws(ImageError) -> Attempt {
        guard let trace else { return try download(unpackingBeside: unpacks) }
        return try trace.measure("layer download", traced) { () throws(ImageError) in try download(unpackingBeside: unpacks) }
    }

    private var traced: [(String, TraceValue)] {
        [("layer.digest", .text(layer.blob.digest.description)), ("layer.size", .number(layer.blob.sizeBytes))]
    }

    private func download(unpackingBeside unpacks: Bool) throws(ImageError) -> Attempt {
        let ingest = try storage.beginIngest(of: layer.blob.digest, sizeBytes: layer.blob.sizeBytes, cancellation)
        let isResumed = ingest.receivedBytes > 0
        let stream = isResumed || !unpacks ? nil : startUnpacker()
        let sink = LayerSink(ingest, in: storage, pipe: stream?.pipe, totalBytes: totalBytes, tell: tell)
        let wrong: ContentError?
        do throws(ImageError) {
            try fetch(into: sink, until: stream?.isOverLimit)
            tell(.verifyingChecksum)
            wrong = try commit(ingest)
        } catch {
            stream?.pipe.fail("the download failed")
            // The directory may be removed only once nobody writes into it; the thread ends at its next read.
            stream?.ended.wait()
            if let refusal = stream?.refusal, !cancellation.isCancelled {
                try forget(ingest)
                return .overLimit(refusal)
            }
            throw ingest.withoutEmpty(error)
        }
        if let wrong {
            try abandon(stream)
            return .wrongBytes(wrong, isResumed: isResumed)
        }
        stream?.pipe.finish()
        tell(.downloadComplete)
        return .complete(stream?.result)
    }

    /// Ends an unpacker whose bytes were wrong, and takes away what it made of them: the next attempt begins anew.
    private func abandon(_ stream: Stream?) throws(ImageError) {
        guard let stream else { return }
        stream.pipe.fail("the bytes are not those of the digest")
        stream.ended.wait()
        do throws(SnapshotError) { try storage.snapshots.remove(key) } catch { throw .storage(error) }
    }

    /// Takes away what came of a blob that is not wanted any more, and what its unpacker, which has ended, made of it.
    private func forget(_ ingest: Ingest) throws(ImageError) {
        do {
            try ingest.discard()
            try storage.snapshots.remove(key)
        } catch { throw .storage(error) }
    }

    /// - Parameter end: when the rest is of no use.
    private func fetch(into sink: LayerSink, until end: Cancellation?) throws(ImageError) {
        guard let repository else { throw ImageError(.storage, "the content store lost \(layer.blob.digest)") }
        do throws(RegistryError) {
            try repository.fetchBlob(layer.blob.digest, sizeBytes: layer.blob.sizeBytes, into: sink, until: end)
        } catch {
            if let failure = sink.storeFailure { throw .storage(failure) }
            throw .registry(error)
        }
    }

    /// - Returns: nil where it is there now; else that the digest is wrong.
    private func commit(_ ingest: Ingest) throws(ImageError) -> ContentError? {
        do throws(ContentError) { try ingest.commit() } catch {
            if error.code == .digestMismatch { return error }
            throw .storage(error)
        }
        return nil
    }

    /// A layer that is unpacked while it arrives.
    private final class Stream: Sendable {
        let pipe = BytePipe(timeout: LayerWork.pipeTimeout)
        let result = Delivery<UnpackResult>()
        let ended = DispatchEnd()
        /// Ends the download: nobody wants the rest.
        let isOverLimit = Cancellation()
        private let found = Mutex<ImageError?>(nil)

        /// Which limit it went beyond; nil where it did not. Known when `ended` is.
        var refusal: ImageError? { found.withLock { $0 } }

        func refuse(_ error: ImageError) {
            found.withLock { $0 = error }
            isOverLimit.cancel()
        }
    }

    /// Starts to unpack what will arrive, if a thread is idle: one that waits in line would hold up the download.
    private func startUnpacker() -> Stream? {
        let stream = Stream()
        let started = storage.unpacks.runIfIdle {
            let result: UnpackResult
            do throws(ImageError) { result = .success(try unpack(stream.pipe)) } catch {
                stream.pipe.abandon()
                if (error.cause as? ArchiveError)?.code == .overLimit { stream.refuse(error) }
                result = .failure(error)
            }
            stream.ended.signal()
            stream.result.deliver(result)
        }
        return started ? stream : nil
    }

    // MARK: - On an unpacker's thread

    private func unpack(_ source: any ByteSource) throws(ImageError) -> AppliedLayer {
        guard let trace else { return try apply(source) }
        return try trace.measure("layer unpack", traced) { () throws(ImageError) in try apply(source) }
    }

    private func apply(_ source: any ByteSource) throws(ImageError) -> AppliedLayer {
        let watched = WatchedSource(source, totalBytes: totalBytes, cancellation: cancellation, tell: tell)
        let observer = DiffIDObserver(layer.diffID.algorithm)
        let applied: AppliedLayer
        do {
            let directory = try storage.snapshots.beginLayer(key)
            let root = try openFile(directory, [.readOnly, .directory, .noFollow])
            applied = try LayerApplier(limits: limits).apply(watched, onto: root, observer: observer)
        } catch let error as ArchiveError {
            throw .archive(error, layer: layer.blob.digest)
        } catch {
            throw .storage(error)
        }
        guard let found = observer.finish(), found == layer.diffID else {
            throw ImageError(
                .badContent,
                "failed to register layer: the unpacked \(layer.blob.digest) is not the \(layer.diffID) of the image's configuration")
        }
        return applied
    }
}
