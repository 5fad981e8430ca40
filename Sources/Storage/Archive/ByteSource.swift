package import LinuxSyscalls
internal import Synchronization

/// Bytes that come in chunks; `next` blocks until there is one. Used by one thread at a time.
package protocol ByteSource: Sendable {
    /// The next chunk; an empty one is the end.
    func next() throws(ArchiveError) -> [UInt8]
}

/// The bytes of an open file, from its offset on.
package final class FileSource: ByteSource {
    private let file: OwnedFD
    private let subject: String
    /// Large enough to amortise the call, small enough to stay in the cache.
    private static let chunkBytes = 256 << 10

    /// - Parameter subject: how errors call the file.
    package init(_ file: consuming OwnedFD, subject: String) {
        self.file = file
        self.subject = subject
    }

    package func next() throws(ArchiveError) -> [UInt8] {
        try ArchiveError.wrapping("read", subject) { () throws(SyscallError) in
            try readChunk(file.number, limitBytes: Self.chunkBytes, subject: subject)
        }
    }
}

/// Bytes that are in memory already.
package final class MemorySource: ByteSource {
    private let chunks: Mutex<ArraySlice<[UInt8]>>

    package init(_ bytes: [UInt8]) { chunks = Mutex([bytes][...]) }

    /// The given chunks one by one, for who cares where a stream is cut.
    package init(chunks: [[UInt8]]) { self.chunks = Mutex(chunks.filter { !$0.isEmpty }[...]) }

    package func next() throws(ArchiveError) -> [UInt8] { chunks.withLock { $0.popFirst() ?? [] } }
}
