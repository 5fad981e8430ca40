/// Token services that may be shown what is kept for a registry: those of the registry's own domain, and those that somebody named.
package struct TokenServices: Sendable {
    /// Hosts in lower case, without ports.
    private let named: Set<String>

    /// - Parameter named: hosts that may see the passwords of every registry.
    package init(_ named: [String] = []) { self.named = Set(named.map { $0.lowercased() }) }

    /// - Parameter registry: who names the service in its challenge.
    package func mayLearn(_ service: String, secretsOf registry: String) -> Bool {
        if service == registry || named.contains(service) { return true }
        guard let domain = Self.domain(of: registry) else { return false }
        return service == domain || service.hasSuffix(".\(domain)")
    }

    /// Second levels below which many register, in two-letter domains.
    private static let shared: Set<String> = ["ac", "co", "com", "edu", "go", "gov", "mil", "ne", "net", "or", "org"]

    /// What one owner has registered, as far as a name tells; nil for an address and for a name of one word.
    private static func domain(of host: String) -> String? {
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count > 1, !host.contains(":"), IPv4Block.address(host) == nil else { return nil }
        let isShared = labels[labels.count - 1].utf8.count == 2 && shared.contains(String(labels[labels.count - 2]))
        let count = isShared ? 3 : 2
        return labels.count < count ? nil : labels.suffix(count).joined(separator: ".")
    }
}
