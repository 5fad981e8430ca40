// The file of this program that calls read(2) and write(2) on the standard streams.
internal import Dispatch
internal import Glibc

/// One of the program's three standard streams.
enum StandardStream: Int32, Sendable {
    case input = 0
    case output = 1
    case error = 2

    /// Writes all of `bytes`. A reader that has left ends the program, as it ends any filter, and so does a full disk; the
    /// terminal is given back first.
    func write(_ bytes: some Collection<UInt8>) {
        let contiguous = ContiguousArray(bytes)
        var offset = 0
        while offset < contiguous.count {
            let written = unsafe contiguous.withUnsafeBytes { buffer in
                unsafe Glibc.write(rawValue, buffer.baseAddress.map { unsafe $0 + offset }, buffer.count - offset)
            }
            if written >= 0 {
                offset += written
            } else if errno == EAGAIN {
                waitUntilWritable()
            } else if errno != EINTR {
                leave(errno)
            }
        }
    }

    func write(_ text: String) { write(Array(text.utf8)) }

    private func leave(_ number: Int32) -> Never {
        RawMode.restoreCurrent()
        if number != EPIPE, self != .error { Self.error.write("write \(self): \(unsafe String(cString: strerror(number)))\n") }
        exit(number == EPIPE ? 128 + SIGPIPE : 1)
    }

    private func waitUntilWritable() {
        var descriptor = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&descriptor, 1, -1)
    }
}

/// Reads what comes on standard input, a chunk at a time, on a thread that may wait for ever.
/// - Returns: nil at its end, and where it cannot be read.
func readStandardInput() async -> [UInt8]? {
    await withCheckedContinuation { continuation in
        inputQueue.async {
            var buffer = [UInt8](repeating: 0, count: 32_768)
            while true {
                let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(0, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                return continuation.resume(returning: count > 0 ? Array(buffer[..<count]) : nil)
            }
        }
    }
}

private let inputQueue = DispatchQueue(label: "standard input")
