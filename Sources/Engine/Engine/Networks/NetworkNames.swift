internal import CoreTypes
internal import EngineAPI
internal import NameService
internal import Networking
internal import SystemPackage

/// What containers are called on their networks.
extension Networks {
    /// Whether a container on these networks finds others by name: on the default network nobody does.
    func hasNames(_ attachment: NetworkAttachment) -> Bool { attachment.endpoints.contains { isUserNetwork(id: $0.networkID) } }

    private func isUserNetwork(id: String) -> Bool { networks[id].map { !$0.document.isPredefined } ?? false }

    /// What the server of names is told; nil for a container that has nothing to do with it.
    func nameEntry(_ attachment: NetworkAttachment, of id: ContainerID) -> NameEntry? {
        let endpoints = attachment.endpoints.byPrecedence.filter { isUserNetwork(id: $0.networkID) }
        let hasPorts = attachment.ports?.contains { $0.transport != .sctp } == true
        guard !endpoints.isEmpty || hasPorts else { return nil }
        var entry = NameEntry(
            namespace: endpoints.isEmpty ? "" : namespace(of: id).path.string,
            memberships: endpoints.map { endpoint in
                NameEntry.Membership(
                    network: endpoint.networkID, networkName: endpoint.networkName, names: endpoint.dnsNames,
                    addresses: endpoint.interfaceAddresses.map(\.address), links: endpoint.links ?? [:])
            })
        entry.forwardedPorts = attachment.forwardedPorts
        entry.servers = (attachment.nameServers ?? []).compactMap { IPAddress($0) }
        // An internal network leads nowhere, and so do questions from there.
        entry.asksHost = attachment.endpoints.contains { !$0.isInternal }
        return entry
    }

    /// Makes known what a container is called now.
    func announce(_ attachment: NetworkAttachment, of id: ContainerID) async throws(EngineError) {
        let (names, entry) = (names, nameEntry(attachment, of: id))
        try await BlockingWork.run { () throws(EngineError) in
            if let entry { try names.put(entry, of: id) } else { names.drop(id) }
        }
    }

    /// A container is not called anything any more.
    func silence(_ id: ContainerID) async {
        let names = names
        // Tells of its failures itself.
        try? await BlockingWork.run { () throws(EngineError) in names.drop(id) }
    }

    /// Gives a running container another name on its networks.
    func rename(_ attachment: NetworkAttachment, of id: ContainerID, to name: String) async throws(EngineError) {
        for endpoint in attachment.endpoints {
            networks[endpoint.networkID]?.members[id.text] = NetworkMember(containerName: name, endpoint: endpoint)
        }
        try await announce(attachment, of: id)
    }

    /// `name:alias` or `name`, as `--link` has them.
    static func links(_ words: [String]) -> [String: String]? {
        var links: [String: String] = [:]
        for word in words {
            let parts = word.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            let target = parts[0].hasPrefix("/") ? String(parts[0].dropFirst()) : parts[0]
            links[parts.count > 1 ? parts[1] : target] = target
        }
        return links.isEmpty ? nil : links
    }
}
