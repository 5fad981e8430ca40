internal import LinuxSyscalls

/// SIGTERM, SIGINT and SIGPWR. The main thread waits for them, the daemon is told. SIGHUP, which it is told, too, ends nothing: settings
/// are read again, and that the terminal goes away from which the daemon was started does no harm.
///
/// An asynchronous `main` would end in libdispatch, which unblocks every signal in the main thread.
struct StopSignals: ~Copyable {
    static let hangUp: Int32 = 1
    private static let interrupt: Int32 = 2
    private static let terminate: Int32 = 15
    /// SIGPWR, which init systems send where the machine is to go down: containers are stopped before the daemon ends.
    static let powerFailure: Int32 = 30

    /// The numbers of the signals that came.
    let arrivals: AsyncStream<Int32>
    private let continuation: AsyncStream<Int32>.Continuation
    private let descriptor: OwnedFD

    /// Blocks the signals in this thread, and in those that it makes from now on: there may be no other yet.
    init() throws(SyscallError) {
        let signals = SignalSet(Self.hangUp, Self.interrupt, Self.terminate, Self.powerFailure)
        try setSignalMask(signals)
        descriptor = try openSignals(signals)
        (arrivals, continuation) = AsyncStream.makeStream()
    }

    /// Hands signals on until the process ends.
    func forward() throws(SyscallError) {
        while true {
            _ = try waitUntilReadable([descriptor.number])
            if let signal = try nextSignal(of: descriptor) { continuation.yield(signal) }
        }
    }
}
