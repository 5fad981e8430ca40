internal import LinuxSyscalls

/// Bytes that wait for a non-blocking descriptor to take them.
struct OutboundQueue {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }
    var isEmpty: Bool { start == bytes.count }

    mutating func append(_ more: some Collection<UInt8>) {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes.append(contentsOf: more)
    }

    mutating func removeAll() {
        bytes = []
        start = 0
    }

    /// Writes as much as the descriptor takes.
    mutating func flush(to descriptor: Int32) throws(SyscallError) {
        while !isEmpty {
            let written = try writeAvailable(bytes[start...], to: descriptor)
            if written == 0 { return }
            start += written
        }
        removeAll()
    }
}
