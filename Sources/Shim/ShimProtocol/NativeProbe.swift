package import Protobuf

/// A health check that runs no program: `http://ADDRESS[:PORT][/PATH]`, `tcp://ADDRESS:PORT` or `file:/PATH`.
/// An address is numeric, or `localhost`; it is the container's network that is asked, and the container's root that is looked into.
package enum NativeProbe: Equatable, Sendable {
    /// Well when a GET is answered with a status of 200 to 399.
    case http(NetworkPlace, path: String)
    /// Well when something listens.
    case tcp(NetworkPlace)
    /// Well when there is such a file.
    case file(path: String)

    /// An address in the container's network.
    package struct NetworkPlace: Equatable, Sendable {
        /// `127.0.0.1`, `::1`.
        package let address: String
        package let port: UInt16

        package init(address: String, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    /// The longest that is taken.
    package static let maximumByteCount = 4096
    private static let httpPort: UInt16 = 80

    /// Whether a health check's command is meant as such a probe.
    package static func isMeant(by command: String) -> Bool {
        ["http://", "tcp://", "file:/"].contains(where: command.hasPrefix)
    }

    /// - Throws: `WireError.malformed` with what is wrong.
    package init(_ text: String) throws(WireError) {
        // It becomes part of a request's head, where a line break would begin another.
        guard text.utf8.count <= Self.maximumByteCount, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
            throw WireError(.malformed, "a space or a control character in it, or more than \(Self.maximumByteCount) bytes")
        }
        if text.hasPrefix("file:/") {
            let rest = text.dropFirst("file:".count)
            self = .file(path: rest.hasPrefix("///") ? String(rest.dropFirst(2)) : String(rest))
        } else if text.hasPrefix("tcp://") {
            self = .tcp(try Self.place(text.dropFirst("tcp://".count), defaultPort: nil))
        } else if text.hasPrefix("http://") {
            let rest = text.dropFirst("http://".count)
            let end = rest.firstIndex(of: "/") ?? rest.endIndex
            let path = rest[end...].prefix { $0 != "#" }
            self = .http(try Self.place(rest[..<end], defaultPort: Self.httpPort), path: path.isEmpty ? "/" : String(path))
        } else {
            throw WireError(.malformed, "it begins with none of http://, tcp://, file:/")
        }
    }

    private static func place(_ text: Substring, defaultPort: UInt16?) throws(WireError) -> NetworkPlace {
        var address = text
        var port: Substring?
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            address = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw WireError(.malformed, "\"\(rest)\" after the address") }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            address = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard let number = port.map({ UInt16($0) }) ?? defaultPort, number > 0 else {
            throw WireError(.malformed, "\"\(port ?? "")\" is no port, 1 to 65535")
        }
        let host = address == "localhost" ? "127.0.0.1" : String(address)
        guard host.utf8.allSatisfy(isOfAddress), host.contains(".") || host.contains(":") else {
            throw WireError(.malformed, "\"\(host)\" is no numeric address; names are not looked up")
        }
        return NetworkPlace(address: host, port: number)
    }

    private static func isOfAddress(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"),
            UInt8(ascii: "."), UInt8(ascii: ":"):
            true
        default: false
        }
    }
}
