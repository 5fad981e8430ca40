internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking
internal import Records

/// What clients are told of networks, and their end.
extension Networks {
    /// `GET /networks`, oldest first. Filters as Docker's.
    func list(_ filters: Filters) throws(EngineError) -> [NetworkResource] {
        let filter = try NetworkFilter(filters)
        return networks.values.filter { filter.accepts($0) }.map(\.document.resource).sorted { ($0.created, $0.id) < ($1.created, $1.id) }
    }

    /// `GET /networks/{id}`.
    func inspect(_ word: String) throws(EngineError) -> NetworkResource {
        let network = try find(word)
        var resource = network.document.resource
        resource.containers = network.members.mapValues { member in
            var container = NetworkContainer()
            container.name = member.containerName
            container.endpointID = member.endpoint.endpointID
            container.macAddress = member.endpoint.macAddress
            container.ipv4Address = Self.text(member.endpoint.ipv4)
            container.ipv6Address = Self.text(member.endpoint.ipv6)
            return container
        }
        return resource
    }

    private static func text(_ part: EndpointAddress) -> String { part.address.isEmpty ? "" : "\(part.address)/\(part.prefixLength)" }

    /// Takes a network away.
    /// - Throws: `.forbidden` in Docker's words for one that is always there, or that containers run on.
    func remove(_ word: String) async throws(EngineError) {
        if let (name, known) = unreadable.first(where: { $0.key == word || $0.value.id == word }) { return try await remove(known, name) }
        let network = try find(word)
        if network.document.isPredefined {
            throw EngineError(.forbidden, "\(network.name) is a pre-defined network and cannot be removed")
        }
        let isConfiguration = network.document.resource.configOnly
        if isConfiguration, networks.values.contains(where: { $0.document.resource.configFrom.network == network.name }) {
            throw EngineError(.forbidden, "configuration network \"\(network.name)\" is in use")
        }
        guard network.members.isEmpty else {
            let who = network.members.values.map { "name:\"\($0.containerName)\" id:\"\($0.endpoint.endpointID.shortID)\"" }.sorted()
            throw EngineError(
                .forbidden,
                "error while removing network: network \(network.name) has active endpoints (\(who.joined(separator: ", ")))")
        }
        beginLeaving(network.document)
        reservedNames.insert(network.name)
        defer {
            leaving[network.id] = nil
            reservedNames.remove(network.name)
        }
        do throws(EngineError) {
            // Before its record goes: who knows of no network takes its bridge away, without which a cable would lead to the host itself, past what
            // the firewall asks of bridges.
            try await waitUntilCablesAreGone(of: network.document)
            failpoint(.networkCablesGone)
            do { try await records.remove(network.id) } catch {
                throw .system("remove the record of network \(network.name)", error)
            }
        } catch {
            insert(Network(network.document))
            throw error
        }
        failpoint(.networkForgotten)
        await takeLinkAway(network.document)
        failpoint(.networkLinkRemoved)
        events.publish(.network, "destroy", id: network.id, attributes: ["name": network.name, "type": network.document.resource.driver])
    }

    /// Takes away a network whose record cannot be read, and what it is known to have had: its bridge, where that has the name that we give.
    private func remove(_ network: UnreadableNetwork, _ name: String) async throws(EngineError) {
        guard !NetworkResource.predefinedNames.contains(name) else {
            throw EngineError(.forbidden, "\(name) is a pre-defined network and cannot be removed")
        }
        // Those of containers that are gone hold nobody up.
        await waitUntilCablesAreGone()
        let (link, made, firewall) = (Self.usualLink(of: network.id), settings.madeLinks, firewall)
        let others = unreadable.filter { $0.key != name }.map { Self.usualLink(of: $0.value.id) }
        let known = Set(claims.map(\.link) + others)
        // Its link may have a name of its own, which only the record says: none that may be its is to lose a container.
        let used: (link: String, cables: [String])? = try await onThread { () throws(NetworkingError) in
            for other in try made.all() where !known.contains(other) {
                let cables = try HostNetwork.ports(of: other)
                if !cables.isEmpty { return (link: other, cables: cables) }
            }
            return nil
        }
        if let used {
            throw EngineError(
                .forbidden,
                "error while removing network: network \(name) has active endpoints (\(used.cables.joined(separator: ", ")) on bridge \(used.link))"
            )
        }
        guard unreadable.removeValue(forKey: name) != nil else { throw Self.notFound(name) }
        reservedNames.insert(name)
        defer { reservedNames.remove(name) }
        do { try await records.remove(network.id) } catch {
            unreadable[name] = network
            throw .system("remove the record of network \(name)", error)
        }
        var part = Firewall.Part()
        part.add(Self.closed(link))
        let removed = part
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                try made.remove(link)
                try firewall.remove(removed)
            }
        } catch { logger.error("take the bridge of network \(name) away: \(error)") }
        // Whatever is left now is nobody's.
        if knowsAllNetworks { await takeStrayLinksAway() }
        events.publish(.network, "destroy", id: network.id, attributes: ["name": name, "type": NetworkDriver.bridge.rawValue])
    }

    /// Removes networks that no container wants. Filters: `until`, `label`, `label!`.
    /// - Parameter wanted: names of networks that containers, running or not, are to be on.
    func prune(_ filters: Filters, wanted: Set<String>) async throws(EngineError) -> NetworksPruneResponse {
        let choice = try PruneFilter(filters)
        var answer = NetworksPruneResponse()
        for network in networks.values.sorted(by: { $0.document.resource.created < $1.document.resource.created })
        where !network.document.isPredefined && !network.document.resource.configOnly && network.members.isEmpty
            && !wanted.contains(network.name)
            && choice.accepts(created: network.document.resource.created, labels: network.document.resource.labels)
        {
            do throws(EngineError) { try await remove(network.id) } catch {
                // Somebody has joined or removed it meanwhile: Docker goes on as well.
                if error.code == .forbidden || error.code == .notFound { continue }
                throw error
            }
            answer.networksDeleted.append(network.name)
        }
        events.publish(.network, "prune", id: "", attributes: ["reclaimed": "0"])
        return answer
    }
}

/// `filters` of a list of networks: AND across keys, OR within one, labels all.
struct NetworkFilter: Sendable {
    private static let known: Set<String> = ["dangling", "driver", "id", "label", "name", "scope", "type"]
    private let filters: Filters
    private let dangling: Bool?
    /// Regular expressions, as Docker's.
    private let (names, ids): ([NamePattern], [NamePattern])

    /// - Throws: `.invalidParameter` in Docker's words.
    init(_ filters: Filters) throws(EngineError) {
        if let unknown = filters.unknownKey(besides: Self.known) { throw EngineError(.invalidParameter, "invalid filter '\(unknown)'") }
        for type in filters["type"] where type != "builtin" && type != "custom" {
            throw EngineError(.invalidParameter, "invalid filter: 'type'='\(type)'")
        }
        do throws(DocumentError) { dangling = try filters.flag("dangling") } catch {
            throw EngineError(.invalidParameter, error.reason, cause: error)
        }
        self.filters = filters
        (names, ids) = (try Self.patterns(filters["name"]), try Self.patterns(filters["id"]))
    }

    private static func patterns(_ words: [String]) throws(EngineError) -> [NamePattern] {
        var patterns: [NamePattern] = []
        for word in words { patterns.append(try NamePattern(word)) }
        return patterns
    }

    func accepts(_ network: Network) -> Bool {
        let resource = network.document.resource
        func matches(_ key: String, _ test: (String) -> Bool) -> Bool { filters[key].isEmpty || filters[key].contains(where: test) }
        func fits(_ patterns: [NamePattern], _ text: String) -> Bool { patterns.isEmpty || patterns.contains { $0.matches(text) } }
        return matches("driver") { $0 == resource.driver } && fits(ids, resource.id) && fits(names, resource.name)
            && matches("scope") { $0 == resource.scope }
            && matches("type") { ($0 == "builtin") == network.document.isPredefined } && filters.matchesLabels(resource.labels)
            && (dangling.map { $0 == (network.members.isEmpty && !network.document.isPredefined) } ?? true)
    }
}
