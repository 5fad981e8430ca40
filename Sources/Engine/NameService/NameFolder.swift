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
    /// Say where published ports lead that the kernel cannot lead on: to this port, if it is free. It goes on leading datagrams where it began to.
    case forwarder(wish: UInt16?)
    /// Keep this connection open: its end is the server's.
    case watch
    /// Say which version of entries and orders is known.
    case version

    /// The first word of every order. It stays what it is, so that servers of all versions say at least that they do not know an order.
    private static let firstWord = "1"
    /// What a server answers that knows all that an entry may say, and these orders. Grows with either: a daemon replaces a server that
    /// answers otherwise. 3: ports of other addresses than `::1`.
    package static let currentVersion = "version 3"
    package static let limitBytes = 1024
    /// The answer to an order that was carried out.
    package static let done = "done"

    private static let portWord = "port "

    /// The answer to `forwarder`; nil where there is none.
    static func answer(port: UInt16?) -> String { portWord + String(port ?? 0) }

    /// The port of such an answer; nil for another one, or where there is none.
    package static func port(in answer: String) -> UInt16? {
        guard answer.hasPrefix(portWord), let port = UInt16(answer.dropFirst(portWord.count)) else { return nil }
        return port == 0 ? nil : port
    }

    package var text: String {
        switch self {
        case .load(let id): "\(Self.firstWord) load \(id)"
        case .drop(let id): "\(Self.firstWord) drop \(id)"
        case .reload: "\(Self.firstWord) reload"
        case .forwarder(let wish): "\(Self.firstWord) loopback" + (wish.map { " \($0)" } ?? "")
        case .watch: "\(Self.firstWord) watch"
        case .version: "\(Self.firstWord) version"
        }
    }

    /// nil for what is no order of this version.
    package init?(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count >= 2, words[0] == Self.firstWord else { return nil }
        switch (words[1], words.count) {
        case ("load", 3): self = .load(words[2])
        case ("drop", 3): self = .drop(words[2])
        case ("reload", 2): self = .reload
        case ("loopback", 2): self = .forwarder(wish: nil)
        case ("loopback", 3):
            guard let wish = UInt16(words[2]) else { return nil }
            self = .forwarder(wish: wish)
        case ("watch", 2): self = .watch
        case ("version", 2): self = .version
        default: return nil
        }
    }
}
