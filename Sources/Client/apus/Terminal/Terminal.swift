// The one file of this program that calls termios(3), sigwait(3), and read(2) and write(2) on the standard streams.
internal import Dispatch
internal import Glibc

/// A size in character cells.
struct TerminalSize: Equatable, Sendable {
    let rows: UInt16
    let columns: UInt16
}

/// One of the program's three standard streams.
enum StandardStream: Int32, Sendable {
    case input = 0
    case output = 1
    case error = 2

    /// Whether a person sits behind it.
    var isTerminal: Bool { isatty(rawValue) == 1 }

    /// The terminal's size; nil where the stream is none. - Source: ioctl_tty(2), TIOCGWINSZ.
    var size: TerminalSize? {
        var size = winsize()
        guard unsafe ioctl(rawValue, UInt(TIOCGWINSZ), &size) == 0 else { return nil }
        return TerminalSize(rows: size.ws_row, columns: size.ws_col)
    }

    /// Writes all of `bytes`. A reader that has left ends the program, as it ends any filter.
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
                exit(1)
            }
        }
    }

    func write(_ text: String) { write(Array(text.utf8)) }

    private func waitUntilWritable() {
        var descriptor = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&descriptor, 1, -1)
    }
}

/// Puts a terminal into raw mode and back. - Source: termios(3), cfmakeraw.
final class RawMode: Sendable {
    private let stream: StandardStream
    private let saved: termios

    /// - Returns: nil where the stream is no terminal.
    init?(_ stream: StandardStream) {
        var settings = termios()
        guard unsafe tcgetattr(stream.rawValue, &settings) == 0 else { return nil }
        self.stream = stream
        saved = settings
        unsafe cfmakeraw(&settings)
        guard unsafe tcsetattr(stream.rawValue, TCSADRAIN, &settings) == 0 else { return nil }
    }

    /// Gives the terminal the settings that it had.
    func restore() {
        var settings = saved
        _ = unsafe tcsetattr(stream.rawValue, TCSADRAIN, &settings)
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

/// Reads one line without showing it, for a password. - Source: termios(3), ECHO.
func readWithoutEcho() -> String? {
    var settings = termios()
    let isTerminal = unsafe tcgetattr(0, &settings) == 0
    let saved = settings
    if isTerminal {
        settings.c_lflag &= ~tcflag_t(ECHO)
        _ = unsafe tcsetattr(0, TCSANOW, &settings)
    }
    defer {
        if isTerminal {
            var restored = saved
            _ = unsafe tcsetattr(0, TCSANOW, &restored)
        }
    }
    return readLine()
}

/// Takes over `signals` for the rest of the program: they come as a stream instead of doing what they would.
/// To be called before the program has threads that would take them. - Source: sigwait(3).
func receivedSignals(_ signals: [Int32]) -> AsyncStream<Int32> {
    var awaited = sigset_t()
    _ = unsafe sigemptyset(&awaited)
    for number in signals { _ = unsafe sigaddset(&awaited, number) }
    _ = unsafe pthread_sigmask(SIG_BLOCK, &awaited, nil)
    let mask = awaited
    return AsyncStream { continuation in
        signalQueue.async {
            var mask = mask
            while true {
                var number: Int32 = 0
                if unsafe sigwait(&mask, &number) == 0 { continuation.yield(number) }
            }
        }
    }
}

private let signalQueue = DispatchQueue(label: "signals")
