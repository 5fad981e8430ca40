package import LinuxSyscalls
package import SystemPackage

/// Where the daemon and the server of names meet: `EXEC-ROOT/names`.
package struct NameFolder: Sendable {
    /// More than an entry of a hundred networks takes.
    package static let entryLimitBytes = 1 << 20

    package let path: FilePath

    package init(path: FilePath) { self.path = path }

    /// One file for each container, by its id.
    package var entries: FilePath { path.appending("entries") }
    /// Where the server takes orders.
    package var socket: FilePath { path.appending("control.sock") }
    /// The same by way of the open folder: an address has room for 107 bytes only, and a folder may lie deep.
    package func socket(through folder: borrowing OwnedFD) -> FilePath {
        FilePath("/proc/self/fd/\(folder.number)").appending(socket.components.suffix(1))
    }
    /// What a file is called until it is whole.
    package var half: FilePath { path.appending("half") }
    /// What the server has to say that nobody asked for.
    package var log: FilePath { path.appending("log") }
}

/// What the daemon tells the server: one message each, answered by one.
package enum NameOrder: Equatable, Sendable {
    /// Read a container's file.
    case load(String)
    /// Forget a container, whose file is gone.
    case drop(String)
    /// Make everything as the files say.
    case reload
    /// Say where published ports of `::1` lead: to this port, if it is free. The kernel goes on leading datagrams where it began to.
    case loopback(wish: UInt16?)
    /// Keep this connection open: its end is the server's.
    case watch

    /// The first word of every order.
    private static let version = "1"
    package static let limitBytes = 1024
    /// The answer to an order that was carried out.
    package static let done = "done"

    private static let portWord = "port "

    /// The answer to `loopback`; nil where there is none.
    static func answer(port: UInt16?) -> String { portWord + String(port ?? 0) }

    /// The port of such an answer; nil for another one, or where there is none.
    package static func port(in answer: String) -> UInt16? {
        guard answer.hasPrefix(portWord), let port = UInt16(answer.dropFirst(portWord.count)) else { return nil }
        return port == 0 ? nil : port
    }

    package var text: String {
        switch self {
        case .load(let id): "\(Self.version) load \(id)"
        case .drop(let id): "\(Self.version) drop \(id)"
        case .reload: "\(Self.version) reload"
        case .loopback(let wish): "\(Self.version) loopback" + (wish.map { " \($0)" } ?? "")
        case .watch: "\(Self.version) watch"
        }
    }

    /// nil for what is no order of this version.
    package init?(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count >= 2, words[0] == Self.version else { return nil }
        switch (words[1], words.count) {
        case ("load", 3): self = .load(words[2])
        case ("drop", 3): self = .drop(words[2])
        case ("reload", 2): self = .reload
        case ("loopback", 2): self = .loopback(wish: nil)
        case ("loopback", 3):
            guard let wish = UInt16(words[2]) else { return nil }
            self = .loopback(wish: wish)
        case ("watch", 2): self = .watch
        default: return nil
        }
    }
}
