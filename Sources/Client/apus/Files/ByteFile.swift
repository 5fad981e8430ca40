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

    /// The next bytes; nil at the end. Where there are none yet, waits for them.
    func next(limitBytes: Int = ByteFile.chunkBytes) throws(Complaint) -> [UInt8]? {
        while true {
            var failed = false
            let chunk = unsafe [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
                let length = unsafe read(descriptor, buffer.baseAddress, buffer.count)
                failed = length < 0
                count = max(0, length)
            }
            if !failed { return chunk.isEmpty ? nil : chunk }
            switch errno {
            case EINTR: continue
            case EAGAIN: wait(for: descriptor, to: POLLIN)
            default: throw complaint("read")
            }
        }
    }

    /// All that is left.
    /// - Throws: for more than `limitBytes` as well, of which no more is read.
    func rest(limitBytes: Int) throws(Complaint) -> [UInt8] {
        var bytes: [UInt8] = []
        while let chunk = try next() {
            bytes += chunk
            if bytes.count > limitBytes { throw Complaint("read \(path): larger than \(humanBinarySize(Int64(limitBytes)))") }
        }
        return bytes
    }

    private func complaint(_ call: String) -> Complaint { Complaint("\(call) \(path): \(errnoWords(errno))") }
}

/// What the kernel says of an error, as Go writes it: `no such file or directory`.
func errnoWords(_ number: Int32) -> String { unsafe String(cString: strerror(number)).lowercased() }
