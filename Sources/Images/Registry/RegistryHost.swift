/// Where a registry is, and how it may be spoken to.
package struct RegistryHost: Equatable, Sendable {
    /// `host` or `host:port`, as addresses have it.
    package let authority: String
    /// Whether it may be spoken to in plain http, or without proof of who it is.
    package let isInsecure: Bool

    /// - Parameter domain: of an image reference; Docker Hub's has a server of another name.
    package init(domain: String, insecureRegistries: [String]) {
        let authority = domain == "docker.io" ? "registry-1.docker.io" : domain
        self.authority = authority
        let host = Self.host(of: authority)
        isInsecure =
            Self.isLoopback(host)
            || insecureRegistries.contains { entry in
                entry.lowercased() == authority.lowercased() || entry.lowercased() == host
                    || IPv4Block(entry).map { $0.contains(host) } ?? false
            }
    }

    /// The addresses to try, best first: who may be insecure is still asked for TLS before anything else.
    package var schemes: [String] { isInsecure ? ["https", "http"] : ["https"] }

    /// One that a file of settings names.
    init(authority: String, isInsecure: Bool) {
        self.authority = authority
        self.isInsecure = isInsecure
    }

    /// The same registry, which must prove who it is.
    var mustProveItself: RegistryHost { RegistryHost(authority: authority, isInsecure: false) }

    /// Whether a host is this machine: 127.0.0.0/8, ::1, localhost.
    package static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || IPv4Block.address(host).map { $0 >> 24 == 127 } ?? false
    }

    /// The host of `host`, `host:port` or `[v6]:port`, in lower case and without brackets.
    static func host(of authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            return String(authority[authority.index(after: authority.startIndex)..<end]).lowercased()
        }
        return String(authority.prefix { $0 != ":" }).lowercased()
    }
}

/// A block of IPv4 addresses, `10.0.0.0/8`.
struct IPv4Block: Equatable, Sendable {
    let network: UInt32
    let prefixLength: Int

    /// - Returns: nil where the text is no block.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = Self.address(String(parts[0])), let length = Int(parts[1]), (0...32).contains(length)
        else { return nil }
        prefixLength = length
        network = address & Self.mask(length)
    }

    func contains(_ host: String) -> Bool {
        Self.address(host).map { $0 & Self.mask(prefixLength) == network } ?? false
    }

    private static func mask(_ length: Int) -> UInt32 { length == 0 ? 0 : UInt32.max << (32 - length) }

    /// Four decimal numbers with dots and nothing else; other spellings of an address are names here.
    static func address(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard part.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt8(part) else { return nil }
            address = address << 8 | UInt32(number)
        }
        return address
    }
}
