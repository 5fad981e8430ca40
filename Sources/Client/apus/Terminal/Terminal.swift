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

/// A terminal with other settings for a while: in raw mode, or without showing what is typed. - Source: termios(3), cfmakeraw, ECHO.
final class RawMode: Sendable {
    private let stream: StandardStream
    private let saved: termios

    /// - Parameter isSilent: lines are read as ever, and not shown, in place of raw mode.
    /// - Returns: nil where the stream is no terminal.
    init?(_ stream: StandardStream, isSilent: Bool = false) {
        var settings = termios()
        guard unsafe tcgetattr(stream.rawValue, &settings) == 0 else { return nil }
        self.stream = stream
        saved = settings
        if isSilent { settings.c_lflag &= ~tcflag_t(ECHO) } else { unsafe cfmakeraw(&settings) }
        Self.current.withLock { $0 = self }
        guard unsafe tcsetattr(stream.rawValue, TCSADRAIN, &settings) == 0 else {
            Self.current.withLock { $0 = nil }
            return nil
        }
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

/// Reads one line without showing it, for a password.
func readWithoutEcho() -> String? {
    let mode = RawMode(.input, isSilent: true)
    defer { mode?.restore() }
    return readLine()
}
