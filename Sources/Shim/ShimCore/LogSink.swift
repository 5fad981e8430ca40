internal import LinuxSyscalls
internal import ShimProtocol

/// The container's log at the end of one pump's spool; wakes the pump when the disk takes output again.
final class LogSink {
    private let disk: DiskThread
    private weak var pump: OutputPump?
    private var isWaiting = false

    init(_ disk: DiskThread, pump: OutputPump) {
        self.disk = disk
        self.pump = pump
    }

    var isSaturated: Bool {
        guard disk.isSaturated else { return false }
        if !isWaiting {
            isWaiting = true
            disk.whenRoom { [self] in
                isWaiting = false
                pump?.update()
            }
        }
        return true
    }

    /// So many bytes more lie in the stream's spool.
    func take(_ byteCount: Int, from stream: LogRecord.Stream) {
        disk.log(byteCount, from: stream, unixNanoseconds: unixNanoseconds())
    }

    func end(of stream: LogRecord.Stream) {
        disk.logEnd(of: stream, unixNanoseconds: unixNanoseconds())
    }
}
