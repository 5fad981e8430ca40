internal import LinuxSyscalls
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// A file that output is added to, by the thread of the disk: what the disk refuses waits, and so does the process.
final class FileSink: OutputSink {
    /// Output waiting for the disk before no more is taken.
    private static let maximumWaitingByteCount = 65_536
    private static let nullDevice = DeviceNumber(major: 1, minor: 3)
    private static let invalidArgument: Int32 = 22
    private static let retryDelay = Duration.seconds(1)

    private let file: AddedFile
    private let context: ShimContext
    private let disk: DiskThread
    private let hasRoom: () -> Void
    private let path: String
    private var waitingByteCount = 0
    /// Of those, what the disk refused.
    private var refusedByteCount = 0
    private var isRetrying = false
    /// Once nobody waits for the file any more, what the disk refuses is lost.
    private var isGivenUp = false
    private var writtenWaiters: [() -> Void] = []

    /// Opens the file, and makes it with its directories where there is none.
    /// - Parameter hasRoom: called when it is saturated no more.
    init(_ path: String, context: ShimContext, hasRoom: @escaping () -> Void) throws(ShimError) {
        do throws(SyscallError) {
            let name = FilePath(path)
            try makeDirectories(name.removingLastComponent(), mode: 0o755)
            file = AddedFile(try Self.open(name))
        } catch { throw ShimError("stdio \(path)", error) }
        disk = try context.diskThread()
        self.path = path
        self.context = context
        self.hasRoom = hasRoom
    }

    /// Opens it without waiting for a reader. What can hold a writer up for as long as it likes is refused: all that the thread of the disk does would wait.
    private static func open(_ name: FilePath) throws(SyscallError) -> OwnedFD {
        let file = try openFile(name, [.writeOnly, .create, .append, .noControllingTerminal, .nonBlocking], mode: 0o644)
        let status = try fileStatus(of: file.number)
        guard status.type == .regular || (status.type == .characterDevice && status.device == nullDevice) else {
            throw SyscallError("open", "\(name): neither a regular file nor /dev/null", errno: invalidArgument)
        }
        try setNonBlocking(false, of: file.number)
        return file
    }

    var isSaturated: Bool { waitingByteCount >= Self.maximumWaitingByteCount }

    func take(_ bytes: ArraySlice<UInt8>, from stream: LogRecord.Stream) {
        waitingByteCount += bytes.count
        write(Array(bytes))
    }

    /// The other stream goes on, and the file is closed with the sink.
    func end(of stream: LogRecord.Stream) {}

    /// Calls `action` when the file has all that was taken, at the latest after `limit`: the rest is lost then, and told of.
    func whenWritten(limit: Duration, _ action: @escaping () -> Void) {
        if waitingByteCount == 0 || isGivenUp { return action() }
        let once = Once(action)
        writtenWaiters.append(once.run)
        context.loop.after(limit) { [self] in
            if waitingByteCount > 0 && !isGivenUp {
                isGivenUp = true
                context.report("stdio \(path): \(waitingByteCount) bytes are not written after \(limit)")
            }
            once.run()
        }
    }

    private func write(_ bytes: [UInt8]) {
        disk.submit(.add(bytes, to: file)) { [self] problem in
            if let problem {
                if refusedByteCount == 0 { context.report("stdio \(path): \(problem)") }
                refusedByteCount += bytes.count
                return retryLater()
            }
            let wasSaturated = isSaturated
            waitingByteCount -= bytes.count + refusedByteCount
            refusedByteCount = 0
            if wasSaturated && !isSaturated { hasRoom() }
            guard waitingByteCount == 0 else { return }
            let waiters = writtenWaiters
            writtenWaiters = []
            for waiter in waiters { waiter() }
        }
    }

    private func retryLater() {
        if isRetrying || isGivenUp { return }
        isRetrying = true
        context.loop.after(Self.retryDelay) { [self] in
            isRetrying = false
            write([])
        }
    }
}

/// The file as the disk's thread has it.
final class AddedFile: Sendable {
    private let file: OwnedFD
    /// What the disk refused so far.
    private let waiting = Mutex<[UInt8]>([])

    init(_ file: consuming OwnedFD) { self.file = file }

    /// Adds bytes after those that were refused. Blocks.
    func add(_ bytes: [UInt8]) throws(SyscallError) {
        try waiting.withLock { waiting throws(SyscallError) in
            waiting += bytes
            while !waiting.isEmpty {
                waiting.removeFirst(try writeAvailable(waiting[...], to: file.number))
            }
        }
    }
}
