internal import CLinux
internal import Glibc

/// The size of a terminal in character cells.
package struct WindowSize: Equatable, Sendable {
    package var rows: UInt16
    package var columns: UInt16

    package init(rows: UInt16, columns: UInt16) {
        self.rows = rows
        self.columns = columns
    }
}

/// Opens the other end of a pseudo-terminal master without walking a path. - Source: ioctl_tty(2), TIOCSPTLCK, TIOCGPTPEER, Linux 4.13.
package func openTerminalPeer(of master: borrowing OwnedFD) throws(SyscallError) -> OwnedFD {
    let number = master.number
    try checked("ioctl TIOCSPTLCK", "ptmx") { clinux_unlock_terminal(number) }
    return OwnedFD(
        owning: try checked("ioctl TIOCGPTPEER", "ptmx") { clinux_terminal_peer(number, O_RDWR | O_NOCTTY | O_CLOEXEC) })
}

/// Makes a terminal the controlling one of the calling session leader. - Source: ioctl_tty(2), TIOCSCTTY.
package func takeControllingTerminal(_ descriptor: Int32) throws(SyscallError) {
    try checked("ioctl TIOCSCTTY") { clinux_take_terminal(descriptor) }
}

/// Sets a terminal's size. - Source: ioctl_tty(2), TIOCSWINSZ.
package func setWindowSize(_ size: WindowSize, of descriptor: Int32) throws(SyscallError) {
    try checked("ioctl TIOCSWINSZ") { clinux_set_window_size(descriptor, size.rows, size.columns) }
}

/// A terminal's size. - Throws: ENOTTY where the descriptor is none. - Source: ioctl_tty(2), TIOCGWINSZ.
package func windowSize(of descriptor: Int32) throws(SyscallError) -> WindowSize {
    var size = WindowSize(rows: 0, columns: 0)
    try checked("ioctl TIOCGWINSZ") { unsafe clinux_get_window_size(descriptor, &size.rows, &size.columns) }
    return size
}

/// Whether a descriptor is a terminal. - Source: isatty(3).
package func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

/// A terminal's settings, kept to be put back.
package struct TerminalSettings: Sendable {
    private let saved: termios

    private init(_ saved: termios) { self.saved = saved }

    /// Switches a terminal to raw mode and returns what was set before. - Source: termios(3), cfmakeraw.
    package static func makeRaw(_ descriptor: Int32) throws(SyscallError) -> TerminalSettings {
        var settings = termios()
        try retryingInterrupted("tcgetattr") { unsafe tcgetattr(descriptor, &settings) }
        let saved = TerminalSettings(settings)
        unsafe cfmakeraw(&settings)
        try retryingInterrupted("tcsetattr") { unsafe tcsetattr(descriptor, TCSANOW, &settings) }
        return saved
    }

    /// Puts the settings back once output has drained. - Source: termios(3).
    package func restore(to descriptor: Int32) throws(SyscallError) {
        var settings = saved
        try retryingInterrupted("tcsetattr") { unsafe tcsetattr(descriptor, TCSADRAIN, &settings) }
    }
}
