internal import Synchronization

/// The connection to a container's shim: another one when another shim has taken a killed one's place.
final class ShimLink: Sendable {
    private struct State {
        /// nil where there was none yet.
        var connection: ShimConnection?
        /// Settles with the connection after this one, or with nil where there will be none.
        var successor = OneShot<ShimConnection?>()
        /// Settles once it is known whether another shim is there at once.
        var firstAttempt = OneShot<Void>()
        /// Somebody will have another shim take the place of this one.
        var isFollowed = false
    }

    private let state: Mutex<State>

    init(_ connection: ShimConnection?) { state = Mutex(State(connection: connection)) }

    var connection: ShimConnection? { state.withLock { $0.connection } }

    /// Whether another shim would take the place of this one.
    var isFollowed: Bool { state.withLock { $0.isFollowed } }

    /// From now on, those who wait for another connection get one or hear that there is none.
    func beginFollowing() { state.withLock { $0.isFollowed = true } }

    /// No other shim will take the place of this one.
    func endFollowing() {
        let (successor, firstAttempt) = state.withLock { state in
            state.isFollowed = false
            return (state.successor, state.firstAttempt)
        }
        successor.settle(nil)
        firstAttempt.settle(())
    }

    /// Another shim may take a while: only those go on waiting who wait for a process's end.
    func expectNoneSoon() { state.withLock { $0.firstAttempt }.settle(()) }

    /// Another shim has taken the place.
    func replace(by connection: ShimConnection) {
        let (successor, firstAttempt) = state.withLock { state in
            defer {
                state.connection = connection
                state.successor = OneShot()
                state.firstAttempt = OneShot()
            }
            return (state.successor, state.firstAttempt)
        }
        successor.settle(connection)
        firstAttempt.settle(())
    }

    /// The connection after one that is closed, once there is one; nil where there will be none.
    /// - Parameters:
    ///   - former: nil means the time before the first one.
    ///   - isPatient: whether to wait longer than the first attempt at another shim takes.
    func connection(after former: ShimConnection?, isPatient: Bool) async -> ShimConnection? {
        let (connection, successor, firstAttempt) = state.withLock { state in
            let isKnown = state.connection !== former
            return (isKnown ? state.connection : nil, !isKnown && state.isFollowed ? state.successor : nil, state.firstAttempt)
        }
        guard connection == nil, let successor else { return connection }
        if isPatient { return await successor.value(within: nil) ?? nil }
        _ = await firstAttempt.value(within: nil)
        return state.withLock { $0.connection !== former ? $0.connection : nil }
    }

    /// The connection, or where that is closed the one after it.
    func liveConnection(isPatient: Bool) async -> ShimConnection? {
        let connection = connection
        if let connection, !connection.isClosed { return connection }
        return await self.connection(after: connection, isPatient: isPatient)
    }
}
