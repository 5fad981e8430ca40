internal import ShimProtocol
internal import Synchronization

/// Bytes of a process's streams since they began.
struct StreamPlaces: Sendable {
    var stdout: UInt64 = 0
    var stderr: UInt64 = 0

    /// Where they are once a message has come.
    func after(_ message: AttachMessage) -> StreamPlaces {
        var places = self
        switch message.kind {
        case .attached: (places.stdout, places.stderr) = (message.stdoutPlace, message.stderrPlace)
        case .stdout: places.stdout &+= UInt64(message.data.count)
        case .stderr: places.stderr &+= UInt64(message.data.count)
        case .stdin, .exited, .taken, .unknown: break
        }
        return places
    }
}

/// An attachment to a process: messages from the shim, and input to it.
///
/// It is alone on its connection, and has another one at once when the shim is killed, whether anybody reads or not: the next shim waits
/// for the clients of the last one for two seconds only.
final class ShimStream: Sendable {
    /// Begins the attachment again with another shim, after the one that is gone.
    /// - Parameter places: how far the streams have come; nil where the attachment had not begun.
    /// - Returns: whether there is another shim.
    typealias Join = @Sendable (_ stream: ShimStream, _ places: StreamPlaces?) async -> Bool

    /// The first of a connection.
    static let streamID: UInt32 = 1
    /// Bytes received and not asked for above which the connection is read no further; the shim then holds the process back.
    static let incomingLimitBytes = 262_144
    /// Those above which no other shim is joined: each one that is killed leaves what its socket held.
    private static let backlogLimitBytes = 8_388_608
    /// What a message is counted as beside its data, so that many small ones do not pile up.
    static let messageOverheadBytes = 128
    /// Input that no shim has said to have taken above which no more is sent; and, while what the shim says is not read, above which half of it is kept.
    static let untakenLimitBytes = 262_144
    static let unheardLimitBytes = 8_388_608

    struct State {
        /// nil before the first one.
        var connection: ShimConnection?
        /// Whether the shim at its other end has answered.
        var isJoined = false
        /// Whether the shim that answered last counts input.
        var countsInput = false
        /// Where it does: what it has not said to have taken.
        var input = UntakenInput()
        /// Settles when more input can be sent perhaps: a shim has answered or taken some, or the stream has ended.
        var inputTurn = OneShot<Void>()
        var join: Join?
        /// The connection has broken, and no other shim is joined yet; none will be where the stream ended so.
        var isInGap = false
        var hasClosedInput = false
        var hasLeft = false
        var messages: [AttachMessage] = []
        var byteCount = 0
        var reader: CheckedContinuation<Result<AttachMessage?, ShimError>, Never>?
        /// Bytes of each stream that came, and those before them; nil before the attachment has begun.
        var places: StreamPlaces?
        /// nil while open; then why the stream ended, nil inside for its regular end.
        var ending: ShimError??
    }

    let state = Mutex(State())

    /// Asks for the attachment on a connection that has nothing else.
    /// - Parameter join: for when this connection breaks.
    func begin(on connection: ShimConnection, _ request: TtrpcRequest, join: @escaping Join) throws(ShimError) {
        let failure = state.withLock { state -> ShimError? in
            if state.hasLeft { return Self.hasLeft }
            do throws(ShimError) {
                try connection.queue(self, request)
            } catch { return error }
            (state.connection, state.isJoined) = (connection, false)
            state.join = join
            if state.byteCount > Self.incomingLimitBytes { connection.setReading(false) }
            state.isInGap = false
            return nil
        }
        if let failure {
            connection.close(failure)
            throw failure
        }
        connection.flush()
    }

    /// Whether the client has left.
    var hasLeft: Bool { state.withLock { $0.hasLeft } }

    /// The next message; nil at the regular end. One task reads.
    func next() async throws(ShimError) -> AttachMessage? {
        let result: Result<AttachMessage?, ShimError> = await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> Result<AttachMessage?, ShimError>? in
                if !state.messages.isEmpty { return .success(take(&state)) }
                if let ending = state.ending { return ending.map { .failure($0) } ?? .success(nil) }
                precondition(state.reader == nil, "two tasks read one attachment")
                state.reader = continuation
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
        return try result.get()
    }

    // Reading stops and goes on under the lock: else the one could overtake the other.

    private func take(_ state: inout State) -> AttachMessage {
        let message = state.messages.removeFirst()
        let wasFull = state.byteCount > Self.incomingLimitBytes
        state.byteCount -= message.data.count + Self.messageOverheadBytes
        if wasFull && state.byteCount <= Self.incomingLimitBytes { state.connection?.setReading(true) }
        return message
    }

    private func put(_ message: AttachMessage, in state: inout State) {
        state.messages.append(message)
        let wasFull = state.byteCount > Self.incomingLimitBytes
        state.byteCount += message.data.count + Self.messageOverheadBytes
        if !wasFull && state.byteCount > Self.incomingLimitBytes {
            state.connection?.setReading(false)
            // The shim says in vain now what it has taken.
            Self.turnInput(&state)
        }
    }

    /// Leaves: the connection closes, and the shim forgets this client.
    func leave() {
        let (connection, isInGap) = state.withLock { state in
            state.hasLeft = true
            if state.isInGap { (state.messages, state.byteCount) = ([], 0) }
            return (state.connection, state.isInGap)
        }
        connection?.close(Self.hasLeft)
        // Where it is closed already, nobody else says so before there is another shim.
        if isInGap { finish(Self.hasLeft) }
    }

    static let hasLeft = ShimError(.disconnected, "the client has left")

    // MARK: - For the connection

    /// Takes a message, unless its connection has broken meanwhile: the next shim sends it again then.
    func receive(_ message: AttachMessage, from connection: ShimConnection) {
        var queuesInput = false
        let reader = state.withLock { state -> CheckedContinuation<Result<AttachMessage?, ShimError>, Never>? in
            guard state.connection === connection, !state.isInGap else { return nil }
            if message.kind == .attached { queuesInput = goOnWithInput(message, &state) }
            if message.kind == .taken {
                state.input.taken(upTo: message.stdinPlace)
                Self.turnInput(&state)
                return nil
            }
            state.places = (state.places ?? StreamPlaces()).after(message)
            guard let reader = state.reader else {
                put(message, in: &state)
                return nil
            }
            state.reader = nil
            return reader
        }
        if queuesInput { connection.flush() }
        reader?.resume(returning: .success(message))
    }

    /// The shim says that nothing more comes, or the connection broke: then another shim is joined if one takes the place.
    func end(_ reason: ShimError?) {
        let again = state.withLock { state -> (join: Join, places: StreamPlaces?)? in
            guard reason?.code == .disconnected, !state.hasLeft, state.byteCount <= Self.backlogLimitBytes else { return nil }
            guard let join = state.join else { return nil }
            state.join = nil
            (state.isInGap, state.isJoined) = (true, false)
            return (join, state.places)
        }
        guard let again else { return finish(reason) }
        // Belongs to the stream; ends when another shim has the container, or none will.
        Task(executorPreference: TaskThreads.daemon) { if !(await again.join(self, again.places)) { self.finish(reason) } }
    }

    private func finish(_ reason: ShimError?) {
        let reader = state.withLock { state -> CheckedContinuation<Result<AttachMessage?, ShimError>, Never>? in
            guard state.ending == nil else { return nil }
            state.ending = .some(reason)
            state.join = nil
            Self.turnInput(&state)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: reason.map { .failure($0) } ?? .success(nil))
    }
}
