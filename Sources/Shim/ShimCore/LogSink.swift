internal import LinuxSyscalls
internal import ShimProtocol

/// The container's log as one pump's sink; wakes the pump when the disk takes output again.
final class LogSink: OutputSink {
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

    func take(_ bytes: ArraySlice<UInt8>, from stream: LogRecord.Stream) {
        disk.log(bytes, from: stream, unixNanoseconds: unixNanoseconds())
    }

    func end(of stream: LogRecord.Stream) {
        disk.logEnd(of: stream, unixNanoseconds: unixNanoseconds())
    }
}
