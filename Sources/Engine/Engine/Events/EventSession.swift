package import EngineAPI
internal import Synchronization

/// A client's listening to events.
package final class EventSession: Sendable {
    private let log: EventLog
    private let number: Int
    private let filter: EventFilter
    private let until: Int64?
    private let kept: Mutex<ArraySlice<EventMessage>>
    private let coming: AsyncStream<EventMessage>
    /// Ends the stream when `until` has come. Owned by the session, and cancelled with it.
    private let alarm: Task<Void, Never>?

    /// - Parameters:
    ///   - since: nanoseconds since 1970 of the first kept event that is wanted; nil wants none.
    ///   - until: nanoseconds since 1970 of the end; nil is none.
    init(_ log: EventLog, since: Int64?, until: Int64?, filter: EventFilter) {
        self.log = log
        self.filter = filter
        self.until = until
        let listening = log.listen()
        number = listening.number
        coming = listening.coming
        kept = Mutex(since.map { since in listening.kept.filter { $0.timeNano >= since } }?[...] ?? [])
        guard let until else {
            alarm = nil
            return
        }
        let end = listening.end
        alarm = Task {
            let rest = until.subtractingReportingOverflow(Clock.unixNanoseconds)
            if !rest.overflow && rest.partialValue > 0 {
                // Cancelled when the client has left before.
                try? await Task.sleep(for: .nanoseconds(rest.partialValue))
            }
            end.finish()
        }
    }

    deinit {
        alarm?.cancel()
        log.stopListening(number)
    }

    /// The next event; nil when the time is over, when the task is cancelled, and when this client fell too far behind. One task asks.
    package func next() async -> EventMessage? {
        while let message = kept.withLock({ $0.popFirst() }) {
            if isInTime(message) && filter.accepts(message) { return message }
        }
        for await message in coming {
            guard isInTime(message) else { return nil }
            if filter.accepts(message) { return message }
        }
        return nil
    }

    private func isInTime(_ message: EventMessage) -> Bool { until.map { message.timeNano <= $0 } ?? true }
}

/// `filters` of a client that listens: AND across keys, OR within one, labels all. Keys that are none are passed over, as Docker does.
struct EventFilter: Sendable {
    private let filters: Filters

    init(_ filters: Filters) { self.filters = filters }

    func accepts(_ message: EventMessage) -> Bool {
        // `exec_create: sh -c true` is met by `exec_create` and by itself.
        let action = message.action
        let verb = String(action.prefix { $0 != ":" })
        return any("type") { $0 == message.type } && any("scope") { $0 == message.scope } && any("event") { $0 == action || $0 == verb }
            && any("container") { Self.matchesContainer($0, message) } && any("image") { Self.matchesImage($0, message) }
            && ["daemon", "network", "volume", "plugin", "service", "node", "secret", "config"].allSatisfy { filters[$0].isEmpty }
            && filters.matchesLabels(message.actor.attributes)
    }

    private func any(_ key: String, _ holds: (String) -> Bool) -> Bool { filters[key].isEmpty || filters[key].contains(where: holds) }

    /// By the beginning of its id or name.
    private static func matchesContainer(_ word: String, _ message: EventMessage) -> Bool {
        message.type == EventLog.Subject.container.rawValue
            && (message.actor.id.hasPrefix(word) || message.actor.attributes["name"]?.hasPrefix(word) == true)
    }

    /// By the name of the image, or that of a container's image, with its tag or without.
    private static func matchesImage(_ word: String, _ message: EventMessage) -> Bool {
        let isImage = message.type == EventLog.Subject.image.rawValue
        let name = message.actor.attributes[isImage ? "name" : "image"] ?? ""
        return [message.actor.id, name, withoutTag(message.actor.id), withoutTag(name)].contains(word)
    }

    private static func withoutTag(_ name: String) -> String {
        let slash = name.lastIndex(of: "/") ?? name.startIndex
        guard let colon = name[slash...].firstIndex(of: ":") else { return name }
        return String(name[..<colon])
    }
}
