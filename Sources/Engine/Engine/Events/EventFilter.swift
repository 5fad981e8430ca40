internal import EngineAPI

/// `filters` of a client that listens: AND across keys, OR within one, labels all. Keys that are none are passed over, as Docker does.
struct EventFilter: Sendable {
    /// Kinds of objects that are filtered by the beginning of their id or name.
    private static let kinds = ["container", "daemon", "network", "volume", "plugin", "service", "node", "secret", "config"]

    private let filters: Filters

    init(_ filters: Filters) { self.filters = filters }

    /// Whether there is nothing to look at.
    var acceptsAll: Bool { filters.values.isEmpty }

    func accepts(_ message: EventMessage) -> Bool {
        // `exec_create: sh -c true` is met by `exec_create` and by itself.
        let action = message.action
        let verb = String(action.prefix { $0 != ":" })
        return any("type") { $0 == message.type } && any("scope") { $0 == message.scope } && any("event") { $0 == action || $0 == verb }
            && Self.kinds.allSatisfy { kind in any(kind) { Self.matches($0, message, kind) } }
            && any("image") { Self.matchesImage($0, message) } && filters.matchesLabels(message.actor.attributes)
    }

    private func any(_ key: String, _ holds: (String) -> Bool) -> Bool { filters[key].isEmpty || filters[key].contains(where: holds) }

    private static func matches(_ word: String, _ message: EventMessage, _ kind: String) -> Bool {
        message.type == kind && (message.actor.id.hasPrefix(word) || message.actor.attributes["name"]?.hasPrefix(word) == true)
    }

    /// By the name of the image, or that of a container's image, with its tag or without.
    private static func matchesImage(_ word: String, _ message: EventMessage) -> Bool {
        let isImage = message.type == EventJournal.Subject.image.rawValue
        let name = message.actor.attributes[isImage ? "name" : "image"] ?? ""
        return [message.actor.id, name, withoutTag(message.actor.id), withoutTag(name)].contains(word)
    }

    private static func withoutTag(_ name: String) -> String {
        let slash = name.lastIndex(of: "/") ?? name.startIndex
        guard let colon = name[slash...].firstIndex(of: ":") else { return name }
        return String(name[..<colon])
    }
}
