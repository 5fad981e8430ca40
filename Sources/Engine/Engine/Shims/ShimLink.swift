internal import Synchronization

/// The connection to a container's shim: another one when another shim has taken a killed one's place.
final class ShimLink: Sendable {
    private struct State {
        var connection: ShimConnection
        /// Settles with the connection after this one, or with nil where there will be none.
        var successor = OneShot<ShimConnection?>()
        /// Somebody will have another shim take the place of this one.
        var isFollowed = false
    }

    private let state: Mutex<State>

    init(_ connection: ShimConnection) { state = Mutex(State(connection: connection)) }

    var connection: ShimConnection { state.withLock { $0.connection } }

    /// From now on, those who wait for another connection get one or hear that there is none.
    func beginFollowing() { state.withLock { $0.isFollowed = true } }

    /// No other shim will take the place of this one.
    func endFollowing() {
        let successor = state.withLock { state in
            state.isFollowed = false
            return state.successor
        }
        successor.settle(nil)
    }

    /// Another shim has taken the place.
    func replace(by connection: ShimConnection) {
        let successor = state.withLock { state in
            defer {
                state.connection = connection
                state.successor = OneShot()
            }
            return state.successor
        }
        successor.settle(connection)
    }

    /// The connection after one that is closed, once there is one; nil where there will be none.
    func connection(after former: ShimConnection) async -> ShimConnection? {
        let known = state.withLock { state -> (connection: ShimConnection?, successor: OneShot<ShimConnection?>?) in
            if state.connection !== former { return (state.connection, nil) }
            return (nil, state.isFollowed ? state.successor : nil)
        }
        if let connection = known.connection { return connection }
        return await known.successor?.value(within: nil) ?? nil
    }

    /// The connection, or where that is closed the one after it.
    func liveConnection() async -> ShimConnection? {
        let connection = connection
        return connection.isClosed ? await self.connection(after: connection) : connection
    }
}
