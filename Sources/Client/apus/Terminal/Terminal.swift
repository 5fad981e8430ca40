// The file of this program that calls termios(3).
internal import Glibc
internal import Synchronization

/// A size in character cells.
struct TerminalSize: Equatable, Sendable {
    let rows: UInt16
    let columns: UInt16
}

extension StandardStream {
    /// Whether a person sits behind it.
    var isTerminal: Bool { isatty(rawValue) == 1 }

    /// The terminal's size; nil where the stream is none. - Source: ioctl_tty(2), TIOCGWINSZ.
    var size: TerminalSize? {
        var size = winsize()
        guard unsafe ioctl(rawValue, UInt(TIOCGWINSZ), &size) == 0 else { return nil }
        return TerminalSize(rows: size.ws_row, columns: size.ws_col)
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
