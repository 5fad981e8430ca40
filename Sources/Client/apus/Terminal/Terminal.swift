// The one file of this program that calls termios(3), sigwait(3), and read(2) and write(2) on the standard streams.
internal import Dispatch
internal import Glibc
internal import Synchronization

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
        Self.current.withLock { $0 = self }
    }

    /// The mode that an end of the program must take back, whatever brings it.
    private static let current = Mutex<RawMode?>(nil)

    /// Restores the terminal that is in raw mode, if one is.
    static func restoreCurrent() { current.withLock(\.self)?.restore() }

    /// Gives the terminal the settings that it had.
    func restore() {
        var settings = saved
        _ = unsafe tcsetattr(stream.rawValue, TCSADRAIN, &settings)
        Self.current.withLock { $0 = nil }
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

/// Lets write(2) fail where nobody reads any more, in place of SIGPIPE. - Source: signal(7).
func ignoreBrokenPipes() {
    _ = signal(SIGPIPE, SIG_IGN)
}

/// Blocks `signals` in this thread and those it starts: `nextSignal` takes them instead.
/// To be called before there is a second thread. - Source: pthread_sigmask(3).
func blockSignals(_ signals: [Int32]) {
    var blocked = signalSet(signals)
    _ = unsafe pthread_sigmask(SIG_BLOCK, &blocked, nil)
}

/// Waits for one of `signals`, which must be blocked. - Source: sigwait(3).
func nextSignal(of signals: [Int32]) -> Int32 {
    var awaited = signalSet(signals)
    var number: Int32 = 0
    while unsafe sigwait(&awaited, &number) != 0 {}
    return number
}

private func signalSet(_ signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    _ = unsafe sigemptyset(&set)
    for number in signals { _ = unsafe sigaddset(&set, number) }
    return set
}

/// A file that takes its name once it is whole. - Source: open(2), rename(2).
final class NewFile: Sendable {
    private let path: String
    private let temporary: String
    private let descriptor: Int32

    /// - Throws: `Complaint` where no file can be made beside the old one, or where a device, pipe or socket has the name: it would go.
    init(replacing path: String) throws(Complaint) {
        if let kind = Self.special(at: path) { throw Complaint("cannot write to a \(kind) file: \(path)") }
        self.path = path
        temporary = "\(path).\(getpid()).tmp"
        descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw Self.complaint("open", path) }
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) throws(Complaint) {
        var offset = 0
        while offset < bytes.count {
            let written = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + offset }, buffer.count - offset)
            }
            if written >= 0 { offset += written } else if errno != EINTR { throw Self.complaint("write", path) }
        }
    }

    /// What a path leads to, in docker's words; nil where it is a file or a directory, or nothing is there.
    private static func special(at path: String) -> String? {
        var status = Glibc.stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return switch status.st_mode & S_IFMT {
        case S_IFCHR: "character device"
        case S_IFBLK: "block device"
        case S_IFIFO: "named pipe"
        case S_IFSOCK: "socket"
        default: nil
        }
    }

    func finish() throws(Complaint) {
        if unsafe rename(temporary, path) != 0 { throw Self.complaint("rename", path) }
    }

    /// Leaves nothing behind.
    func discard() { _ = unsafe unlink(temporary) }

    private static func complaint(_ call: String, _ path: String) -> Complaint {
        Complaint("\(call) \(path): \(unsafe String(cString: strerror(errno)))")
    }
}

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

    /// The next bytes; nil at the end.
    func next() throws(Complaint) -> [UInt8]? {
        while true {
            var failed = false
            let chunk = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { buffer, count in
                let length = unsafe read(descriptor, buffer.baseAddress, buffer.count)
                failed = length < 0
                count = max(0, length)
            }
            if !failed { return chunk.isEmpty ? nil : chunk }
            if errno != EINTR { throw complaint("read") }
        }
    }

    private func complaint(_ call: String) -> Complaint {
        let reason = errno == ENOENT ? "no such file or directory" : unsafe String(cString: strerror(errno)).lowercased()
        return Complaint("\(call) \(path): \(reason)")
    }
}
