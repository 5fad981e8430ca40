internal import Registry
internal import Synchronization

/// Keeps a blob whose size was judged before it was asked for.
final class MemorySink: BlobSink {
    private let content = Mutex<[UInt8]>([])

    var bytes: [UInt8] { content.withLock { $0 } }

    var receivedBytes: Int64 { content.withLock { Int64($0.count) } }

    func append(_ bytes: [UInt8]) throws(RegistryError) { content.withLock { $0 += bytes } }
}
