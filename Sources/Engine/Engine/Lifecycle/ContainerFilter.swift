internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Networking
internal import Records

/// `filters` of a list of containers: AND across keys, OR within one, labels all.
struct ContainerFilter: Sendable {
    private static let known: Set<String> = [
        "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network", "publish", "since",
        "status", "volume",
    ]
    private static let statuses: Set<String> = ["created", "restarting", "running", "removing", "paused", "exited", "dead"]

    private let filters: Filters
    private let names: [NamePattern]
    private let exitCodes: Set<Int>?
    /// Ids of the images that `ancestor` names, and of those that are built on them.
    private let ancestors: Set<Digest>?
    private let published: [PortFilter]
    private let exposed: [PortFilter]
    private let before: [Timestamp]
    private let since: [Timestamp]

    /// Whether the filter itself asks for containers that do not run.
    var namesStatus: Bool { !filters["status"].isEmpty }

    /// - Throws: `.invalidParameter` in Docker's words.
    init(_ filters: Filters, resolvingWith parts: ContainerEngine.Parts) async throws(EngineError) {
        if let unknown = filters.unknownKey(besides: Self.known) { throw EngineError(.invalidParameter, "invalid filter '\(unknown)'") }
        for status in filters["status"] where !Self.statuses.contains(status) {
            throw EngineError(.invalidParameter, "invalid filter 'status=\(status)'")
        }
        for health in filters["health"] where !["none", "starting", "healthy", "unhealthy"].contains(health) {
            throw EngineError(.invalidParameter, "unrecognised filter value for health: \(health)")
        }
        self.filters = filters
        var names: [NamePattern] = []
        for text in filters["name"] { names.append(try NamePattern(text)) }
        self.names = names
        var codes: Set<Int> = []
        for text in filters["exited"] {
            guard let code = Int(text) else { throw EngineError(.invalidParameter, "invalid filter 'exited=\(text)'") }
            codes.insert(code)
        }
        exitCodes = codes.isEmpty ? nil : codes
        ancestors = filters["ancestor"].isEmpty ? nil : try await Self.descendants(of: filters["ancestor"], parts.services.images)
        published = try PortFilter.read("publish", filters)
        exposed = try PortFilter.read("expose", filters)
        for value in filters["is-task"] where !["true", "1", "false", "0"].contains(value) {
            throw EngineError(.invalidParameter, "invalid filter 'is-task=\(value)'")
        }
        var moments: [String: [Timestamp]] = [:]
        for key in ["before", "since"] {
            for word in filters[key] { moments[key, default: []].append(try parts.services.index.find(word).created) }
        }
        before = moments["before"] ?? []
        since = moments["since"] ?? []
    }

    /// Images by their words, and those whose lowest layers are all of one of them.
    private static func descendants(of words: [String], _ images: ImageLibrary) async throws(EngineError) -> Set<Digest> {
        var (found, tops): (Set<Digest>, Set<Digest>) = ([], [])
        for word in words {
            do throws(ImageError) {
                let image = try await images.lookUp(word).image
                found.insert(image.id)
                if let top = image.layers.last { tops.insert(top.chainID) }
            } catch {
                // What names no image that is here has no containers.
                guard [.notFound, .invalid, .ambiguous].contains(error.code) else { throw EngineError(error) }
            }
        }
        if tops.isEmpty { return found }
        do throws(ImageError) {
            // A chain's id says what lies below, too.
            for named in try await images.list() where named.image.layers.contains(where: { tops.contains($0.chainID) }) {
                found.insert(named.image.id)
            }
        } catch { throw EngineError(error) }
        return found
    }

    func accepts(_ container: ListedContainer) -> Bool {
        accepts(identityOf: container) && accepts(stateOf: container) && accepts(configurationOf: container)
    }

    private func accepts(identityOf container: ListedContainer) -> Bool {
        let ids = filters["id"]
        return (ids.isEmpty || ids.contains { !$0.isEmpty && container.id.hasPrefix($0) })
            && (names.isEmpty || names.contains { $0.matches(container.name) })
            && before.allSatisfy { container.created < $0 } && since.allSatisfy { container.created > $0 }
    }

    private func accepts(stateOf container: ListedContainer) -> Bool {
        let statuses = filters["status"]
        let health = filters["health"]
        return (statuses.isEmpty || statuses.contains(container.summary.state))
            && (exitCodes.map { container.hasRun && container.phase != .running && $0.contains(container.exitCode) } ?? true)
            && (health.isEmpty || health.contains(container.health))
    }

    private func accepts(imageOf container: ListedContainer) -> Bool {
        guard let ancestors else { return true }
        return container.imageID.map(ancestors.contains) ?? false
    }

    private func accepts(configurationOf container: ListedContainer) -> Bool {
        let networks = filters["network"]
        let volumes = filters["volume"].map { $0.hasPrefix("/") ? cleanedPath($0) : $0 }
        let tasks = filters["is-task"]
        return filters.matchesLabels(container.summary.labels) && accepts(imageOf: container)
            && (networks.isEmpty
                || networks.contains { word in
                    container.networks.contains { $0 == word || (Identifiers.isIdentifier($0) && $0.hasPrefix(word)) }
                })
            && (volumes.isEmpty
                || container.summary.mounts.contains { mount in
                    volumes.contains(mount.destination) || volumes.contains(mount.name.isEmpty ? mount.source : mount.name)
                })
            && accepts(portsOf: container) && (tasks.isEmpty || tasks.contains { ["false", "0"].contains($0) })
    }

    /// One that is published at the host's, or that is exposed: either key will do.
    private func accepts(portsOf container: ListedContainer) -> Bool {
        if published.isEmpty && exposed.isEmpty { return true }
        return container.summary.ports.contains { port in
            port.publicPort != 0 && published.contains { $0.accepts(port.publicPort, port.type) }
                || exposed.contains { $0.accepts(port.privatePort, port.type) }
        } || container.exposedPorts.contains { key in exposed.contains { $0.accepts(key) } }
    }
}

/// Ports that a filter names: `80`, `80/udp`, `8000-8080/tcp`.
struct PortFilter: Sendable {
    private let numbers: ClosedRange<UInt16>
    private let transport: TransportProtocol

    /// - Throws: `.invalidParameter` in Docker's words.
    static func read(_ key: String, _ filters: Filters) throws(EngineError) -> [PortFilter] {
        var result: [PortFilter] = []
        for value in filters[key] {
            if value.contains(":") {
                throw EngineError(.invalidParameter, "filter for '\(key)' should not contain ':': \(value)")
            }
            do throws(EngineError) {
                let (numbers, transport) = try PortRequest.ports(value)
                result.append(PortFilter(numbers: numbers, transport: transport))
            } catch { throw EngineError(.invalidParameter, "error while looking up for \(key) \(value): \(error.message)") }
        }
        return result
    }

    func accepts(_ number: UInt16, _ type: String) -> Bool { transport.rawValue == type && numbers.contains(number) }

    /// The same of `80/tcp`.
    func accepts(_ key: String) -> Bool {
        guard let (number, transport) = try? PortRequest.port(key) else { return false }
        return accepts(number, transport.rawValue)
    }
}

/// A name filter: a regular expression over the name, with or without its slash, found anywhere unless it is anchored. What is no expression
/// is a name, as with Docker.
struct NamePattern: Sendable {
    /// The longest expression taken.
    static let maximumByteCount = 256
    private let text: String
    private let expression: TextExpression?

    /// - Throws: `.invalidParameter` for one that is too long.
    init(_ text: String) throws(EngineError) {
        guard text.utf8.count <= Self.maximumByteCount else {
            throw EngineError(.invalidParameter, "a name filter has at most \(Self.maximumByteCount) bytes")
        }
        self.text = text
        expression = try? TextExpression(text)
    }

    func matches(_ name: String) -> Bool {
        // Clients may write the slash that names have in the API.
        [name, "/\(name)"].contains { $0 == text || expression?.matches($0) ?? false }
    }
}
