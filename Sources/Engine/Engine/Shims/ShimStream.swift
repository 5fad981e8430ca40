internal import ShimProtocol
internal import Synchronization

/// Bytes of a process's streams since they began.
struct StreamPlaces: Sendable {
    var stdout: UInt64 = 0
    var stderr: UInt64 = 0

    /// Counts what comes.
    mutating func note(_ message: AttachMessage) {
        switch message.kind {
        case .attached: (stdout, stderr) = (message.stdoutPlace, message.stderrPlace)
        case .stdout: stdout &+= UInt64(message.data.count)
        case .stderr: stderr &+= UInt64(message.data.count)
        case .stdin, .exited, .unknown: break
        }
    }
}

/// An attachment to a process: messages from the shim, and input to it. It is alone on its connection.
final class ShimStream: Sendable {
    /// Bytes received and not asked for above which the connection is read no further; the shim then holds the process back.
    static let incomingLimitBytes = 262_144
    /// What a message is counted as beside its data, so that many small ones do not pile up.
    static let messageOverheadBytes = 128

    private struct State {
        var messages: [AttachMessage] = []
        var byteCount = 0
        var reader: CheckedContinuation<Result<AttachMessage?, ShimError>, Never>?
        /// Bytes of each stream that came, and those before them.
        var places = StreamPlaces()
        /// nil while open; then why the stream ended, nil inside for its regular end.
        var ending: ShimError??
    }

    private let connection: ShimConnection
    private let whenBroken = Mutex<(@Sendable () async -> ShimStream?)?>(nil)
    private let streamID: UInt32
    private let state = Mutex(State())

    init(connection: ShimConnection, streamID: UInt32) {
        self.connection = connection
        self.streamID = streamID
    }

    /// Says how the process is joined again when the shim is killed.
    func onBreak(_ join: @escaping @Sendable () async -> ShimStream?) { whenBroken.withLock { $0 = join } }

    /// Joins the process again, after the stream broke; nil where that cannot be.
    func joinAgain() async -> ShimStream? {
        guard let join = whenBroken.withLock({ $0 }) else { return nil }
        return await join()
    }

    /// How far each stream has come.
    var places: StreamPlaces { state.withLock { $0.places } }

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
        if wasFull && state.byteCount <= Self.incomingLimitBytes { connection.setReading(true) }
        return message
    }

    private func put(_ message: AttachMessage, in state: inout State) {
        state.messages.append(message)
        let wasFull = state.byteCount > Self.incomingLimitBytes
        state.byteCount += message.data.count + Self.messageOverheadBytes
        if !wasFull && state.byteCount > Self.incomingLimitBytes { connection.setReading(false) }
    }

    /// Sends input, in pieces as long as the protocol allows; waits while the shim does not take it.
    func write(_ bytes: [UInt8]) async throws(ShimError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(AttachMessage.maximumDataByteCount)
            rest = rest.dropFirst(piece.count)
            try await connection.send(TtrpcFrame(streamID: streamID, data: AttachMessage(.stdin, data: Array(piece))))
        }
    }

    /// Says that no more input comes.
    func closeInput() throws(ShimError) { try connection.enqueue(TtrpcFrame(endOfDataOn: streamID)) }

    /// Leaves: the connection closes, and the shim forgets this client.
    func leave() { connection.close(ShimError(.disconnected, "the client has left")) }

    // MARK: - For the connection

    func receive(_ message: AttachMessage) {
        let reader = state.withLock { state -> CheckedContinuation<Result<AttachMessage?, ShimError>, Never>? in
            state.places.note(message)
            guard let reader = state.reader else {
                put(message, in: &state)
                return nil
            }
            state.reader = nil
            return reader
        }
        reader?.resume(returning: .success(message))
    }

    func end(_ reason: ShimError?) {
        let reader = state.withLock { state -> CheckedContinuation<Result<AttachMessage?, ShimError>, Never>? in
            guard state.ending == nil else { return nil }
            state.ending = .some(reason)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: reason.map { .failure($0) } ?? .success(nil))
    }
}
