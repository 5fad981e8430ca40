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
                wait(for: rawValue, to: POLLOUT)
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
}

/// Waits until something can be done with a descriptor that does not wait itself: whoever shares a pipe or a terminal may have asked for that.
/// - Parameter action: POLLIN or POLLOUT. - Source: poll(2).
func wait(for descriptor: Int32, to action: Int32) {
    var awaited = pollfd(fd: descriptor, events: Int16(action), revents: 0)
    _ = unsafe poll(&awaited, 1, -1)
}

/// Reads what comes on standard input, a chunk at a time, on a thread that may wait for ever.
/// - Returns: nil at its end.
/// - Throws: `Complaint` that says what keeps it from being read.
func readStandardInput() async throws -> [UInt8]? {
    try await withCheckedThrowingContinuation { continuation in
        inputQueue.async { continuation.resume(with: Result { try input.get().next(limitBytes: 32 << 10) }) }
    }
}

private let input = Result { () throws(Complaint) in try ByteFile(nil) }
private let inputQueue = DispatchQueue(label: "standard input")
