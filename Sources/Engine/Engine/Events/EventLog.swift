internal import EngineAPI
internal import Synchronization

/// What happens in the engine: told to everyone who listens, and kept for a while.
final class EventLog: Sendable {
    /// Events kept for clients that ask for what was, as many as Docker keeps.
    static let keptCount = 256
    /// Events that may wait for one client; who takes them more slowly is cut off.
    static let backlogCount = 1024

    /// What an event happens to.
    enum Subject: String, Sendable {
        case container, image, network, volume
    }

    private struct State {
        var kept: [EventMessage] = []
        var listeners: [Int: AsyncStream<EventMessage>.Continuation] = [:]
        var nextNumber = 0
    }

    private let state = Mutex(State())

    /// Tells an event, stamped with this moment.
    /// - Parameter from: a container's image.
    func publish(_ subject: Subject, _ action: String, id: String, attributes: [String: String], from: String = "") {
        var message = EventMessage()
        message.status = action
        message.id = id
        message.from = from
        message.type = subject.rawValue
        message.action = action
        message.actor.id = id
        message.actor.attributes = attributes
        message.scope = "local"
        let cutOff = state.withLock { state -> [AsyncStream<EventMessage>.Continuation] in
            // Under the lock, so that times are in the order of events.
            let now = Clock.unixNanoseconds
            message.time = now / 1_000_000_000
            message.timeNano = now
            if state.kept.count == Self.keptCount { state.kept.removeFirst() }
            state.kept.append(message)
            var cutOff: [AsyncStream<EventMessage>.Continuation] = []
            for (number, listener) in state.listeners {
                guard case .dropped = listener.yield(message) else { continue }
                state.listeners.removeValue(forKey: number)
                cutOff.append(listener)
            }
            return cutOff
        }
        for listener in cutOff { listener.finish() }
    }

    /// Begins to listen. - Returns: what is kept, and what comes from now on, without a gap between them.
    func listen() -> (kept: [EventMessage], number: Int, coming: AsyncStream<EventMessage>, end: AsyncStream<EventMessage>.Continuation) {
        let (coming, end) = AsyncStream.makeStream(of: EventMessage.self, bufferingPolicy: .bufferingOldest(Self.backlogCount))
        return state.withLock { state in
            state.nextNumber += 1
            state.listeners[state.nextNumber] = end
            return (state.kept, state.nextNumber, coming, end)
        }
    }

    /// Ends what `listen` began.
    func stopListening(_ number: Int) {
        state.withLock { state in state.listeners.removeValue(forKey: number) }?.finish()
    }
}
