internal import Glibc

/// A file, or the standard input, read from its beginning to its end. Used by one task. - Source: open(2), read(2).
final class ByteFile: Sendable {
    private static let chunkBytes = 256 << 10
    private let path: String
    private let descriptor: Int32

    /// - Parameter path: nil is the standard input.
    /// - Throws: `Complaint` that names the file and what keeps it from being read.
    init(_ path: String?) throws(Complaint) {
        self.path = path ?? "standard input"
        descriptor = if let path { unsafe open(path, O_RDONLY | O_CLOEXEC) } else { dup(0) }
        if descriptor < 0 { throw complaint("open") }
    }

    deinit { close(descriptor) }

    /// The next bytes; nil at the end.
    func next() throws(Complaint) -> [UInt8]? {
        while true {
            var failed = false
            let chunk = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { buffer, count in
                let length = unsafe read(descriptor, buffer.baseAddress, buffer.count)
                failed = length < 0
                count = max(0, length)
            }
            if !failed { return chunk.isEmpty ? nil : chunk }
            if errno != EINTR { throw complaint("read") }
        }
    }

    private func complaint(_ call: String) -> Complaint {
        let reason = errno == ENOENT ? "no such file or directory" : unsafe String(cString: strerror(errno)).lowercased()
        return Complaint("\(call) \(path): \(reason)")
    }
}
