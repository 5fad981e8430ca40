internal import Archive
internal import ContentStore
internal import CoreTypes
internal import Registry
internal import Synchronization

/// Takes a blob from the registry into the content store, and to the unpacker where one is waiting.
final class LayerSink: BlobSink {
    private let ingest: Ingest
    private let storage: ImageStorage
    private let pipe: BytePipe?
    private let totalBytes: UInt64
    private let tell: @Sendable (LayerProgress) -> Void
    private let state: Mutex<State>

    private struct State {
        var storeFailure: ContentError?
        var unpackerLeft = false
        var lastTold: ContinuousClock.Instant?
        /// Bytes since the free space was last looked at.
        var unchecked: Int64 = 0
    }

    /// Between two counts.
    private static let tellInterval = Duration.milliseconds(100)

    init(_ ingest: Ingest, in storage: ImageStorage, pipe: BytePipe?, totalBytes: UInt64, tell: @escaping @Sendable (LayerProgress) -> Void)
    {
        self.ingest = ingest
        self.storage = storage
        self.pipe = pipe
        self.totalBytes = totalBytes
        self.tell = tell
        state = Mutex(State())
    }

    /// Why the store took no more; nil where it was not the store.
    var storeFailure: ContentError? { state.withLock { $0.storeFailure } }

    var receivedBytes: Int64 { ingest.receivedBytes }

    func append(_ bytes: [UInt8]) throws(RegistryError) {
        do throws(ContentError) {
            try checkRoom(bytes.count)
            try ingest.append(bytes)
        } catch {
            state.withLock { $0.storeFailure = error }
            throw RegistryError(.receiverStopped, doing: "", cause: "\(error)")
        }
        feedUnpacker(bytes)
        let now = ContinuousClock.now
        let isDue = state.withLock { state in
            if let last = state.lastTold, now - last < Self.tellInterval { return false }
            state.lastTold = now
            return true
        }
        if isDue { tell(.downloading(current: UInt64(clamping: ingest.receivedBytes), total: totalBytes)) }
    }

    /// There was room when the download began; others write meanwhile.
    private func checkRoom(_ count: Int) throws(ContentError) {
        let isDue = state.withLock { state in
            state.unchecked += Int64(count)
            if state.unchecked < IntakeBlob.bytesBetweenChecks { return false }
            state.unchecked = 0
            return true
        }
        if isDue {
            try storage.blobs.checkReserve(storage.limits.reservedFreeBytes, beside: 0, doing: "fetch blob \(ingest.digest)")
        }
    }

    /// An unpacker that gave up does not end the download, but for what goes beyond a limit: only the whole blob shows whether the bytes were wrong
    /// or the layer.
    private func feedUnpacker(_ bytes: [UInt8]) {
        guard let pipe, !state.withLock({ $0.unpackerLeft }) else { return }
        do throws(ArchiveError) { try pipe.send(bytes) } catch {
            pipe.fail("\(error)")
            state.withLock { $0.unpackerLeft = true }
        }
    }
}

/// Counts what an unpacker takes, and ends when no one waits for it any more.
final class WatchedSource: ByteSource {
    private let source: any ByteSource
    private let cancellation: Cancellation
    private let totalBytes: UInt64
    private let tell: @Sendable (LayerProgress) -> Void
    private let progress = Mutex<(bytes: UInt64, lastTold: ContinuousClock.Instant?)>((0, nil))

    /// Between two counts; more often, and a fast disk is slowed by its own reports.
    private static let tellInterval = Duration.milliseconds(100)

    init(
        _ source: any ByteSource, totalBytes: UInt64, cancellation: Cancellation, tell: @escaping @Sendable (LayerProgress) -> Void
    ) {
        self.source = source
        self.totalBytes = totalBytes
        self.cancellation = cancellation
        self.tell = tell
    }

    func next() throws(ArchiveError) -> [UInt8] {
        if cancellation.isCancelled { throw ArchiveError(.cancelled, doing: "unpack layer") }
        let chunk = try source.next()
        let now = ContinuousClock.now
        let due: UInt64? = progress.withLock { progress in
            progress.bytes += UInt64(chunk.count)
            if let last = progress.lastTold, now - last < Self.tellInterval, !chunk.isEmpty { return nil }
            progress.lastTold = now
            return progress.bytes
        }
        if let due { tell(.extracting(current: due, total: totalBytes)) }
        return chunk
    }
}

/// Computes a layer's diffID while it is unpacked.
final class DiffIDObserver: ByteObserver {
    private var hasher: DigestHasher?

    init(_ algorithm: Digest.Algorithm) { hasher = DigestHasher(algorithm) }

    func observe(_ bytes: Span<UInt8>) { hasher?.update(bytes) }

    /// The digest of everything observed. Asked once.
    func finish() -> Digest? { hasher.take()?.finish() }
}
