internal import Dispatch
internal import Glibc
internal import Synchronization

/// What `run`, `start -a` and `attach` pass on to the container's process: all but what the kernel says of this one (faults, ends of its children, broken
/// pipes, urgent data) and what a shell does with it.
let proxiedSignals: [Int32] =
    [
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGXCPU, SIGXFSZ, SIGWINCH,
    ] + realTimeSignals

/// Those that the C library leaves to programs. - Source: signal(7).
private let realTimeSignals = Array(Int32(34)...64)

/// The signals that this program is sent, taken by a thread of its own: given to a listener while there is one, else
/// doing what they do to any program.
final class SignalTap: Sendable {
    /// As many of those that end programs end this one, whatever becomes of who was to be told of them.
    private static let maximumEndings = 3

    private struct Listener {
        let wanted: Set<Int32>
        let continuation: AsyncStream<Int32>.Continuation
        /// Of SIGINT and SIGTERM.
        var endings = 0
    }

    /// Those that end this program also while it has a container in the foreground that is not sent them.
    private static let ending: Set<Int32> = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]

    /// Those that end this program no more than any other that was begun so; `sigwait` takes them all the same.
    private let ignored = Set(proxiedSignals.filter(isIgnored))
    private let listener = Mutex<Listener?>(nil)
    private let queue = DispatchQueue(label: "signals")

    /// Begins to take signals. To be called before the program has a second thread.
    init() {
        // A reader that leaves is found out by write(2), which can give the terminal back first.
        ignoreBrokenPipes()
        blockSignals(proxiedSignals)
        queue.async { [self] in
            while true { deliver(nextSignal(of: proxiedSignals)) }
        }
    }

    /// The signals among `wanted` as they come, from now to the end of the program.
    func listen(for wanted: [Int32]) -> AsyncStream<Int32> {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        listener.withLock { $0 = Listener(wanted: Set(wanted), continuation: continuation) }
        return stream
    }

    private func deliver(_ number: Int32) {
        let endings = listener.withLock { listener -> Int? in
            guard listener?.wanted.contains(number) == true else { return nil }
            listener?.continuation.yield(number)
            if [SIGINT, SIGTERM].contains(number) { listener?.endings += 1 }
            return listener?.endings
        }
        if let endings {
            if endings < Self.maximumEndings { return }
            RawMode.restoreCurrent()
            StandardStream.error.write("\ngot \(endings) SIGTERM/SIGINTs, forcefully exiting\n")
            exit(1)
        }
        if number == SIGWINCH || number == SIGCONT || ignored.contains(number) { return }
        if !Self.ending.contains(number), listener.withLock({ $0 != nil }) { return }
        RawMode.restoreCurrent()
        exit(128 + number)
    }
}

/// The name that the API takes for a signal, `TERM`; its number where it has none here.
func signalName(_ number: Int32) -> String {
    switch number {
    case SIGHUP: "HUP"
    case SIGINT: "INT"
    case SIGQUIT: "QUIT"
    case SIGTERM: "TERM"
    case SIGUSR1: "USR1"
    case SIGUSR2: "USR2"
    case SIGCONT: "CONT"
    case SIGWINCH: "WINCH"
    case SIGALRM: "ALRM"
    default: String(number)
    }
}
