internal import ShimProtocol
internal import Synchronization

/// Input to a process, over shims that are killed. One that counts input says how much of it was taken, which outlives it; the rest is kept here and sent to the
/// next one. One of an older version does not: what its socket had as a whole is lost with it.
extension ShimStream {
    private enum Step {
        /// It is kept, and the next shim is sent it.
        case kept
        /// To be sent; where it is kept as well, up to that place.
        case send(ShimConnection, place: UInt64?)
        /// Not before that.
        case wait(OneShot<Void>)
    }

    /// Sends input, in pieces as long as the protocol allows; waits while the shim does not take it, or is gone. One task writes.
    func write(_ bytes: [UInt8]) async throws(ShimError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(AttachMessage.maximumDataByteCount)
            rest = rest.dropFirst(piece.count)
            try await send(Array(piece))
        }
    }

    private func send(_ piece: [UInt8]) async throws(ShimError) {
        while true {
            switch try step(piece) {
            case .kept: return
            case .wait(let turn): if await turn.value(within: nil) == nil { throw Self.hasLeft }
            case .send(let connection, let place):
                do throws(ShimError) {
                    try await connection.send(TtrpcFrame(streamID: Self.streamID, data: AttachMessage(.stdin, data: piece)))
                    if let place { state.withLock { $0.input.sent(upTo: place) } }
                    return
                } catch {
                    guard error.code == .disconnected, state.withLock({ $0.join != nil || $0.isInGap }) else { throw error }
                    if place != nil { return }
                }
            }
        }
    }

    private func step(_ piece: [UInt8]) throws(ShimError) -> Step {
        let result = state.withLock { state -> Result<Step, ShimError> in
            if state.hasLeft { return .failure(Self.hasLeft) }
            if let ending = state.ending { return .failure(ending ?? ShimError(.disconnected, "the attachment has ended")) }
            guard let connection = state.connection else {
                return .failure(ShimError(.disconnected, "the attachment has not begun"))
            }
            guard state.countsInput else {
                return .success(state.isJoined ? .send(connection, place: nil) : .wait(state.inputTurn))
            }
            if state.isJoined && state.byteCount > Self.incomingLimitBytes {
                // Nobody knows how much the shim has taken. It has what its socket does not hold, which is far less than what stays.
                if state.input.bytes.count >= Self.unheardLimitBytes { state.input.forget(allBut: Self.unheardLimitBytes / 2) }
            } else if state.input.bytes.count >= Self.untakenLimitBytes {
                return .success(.wait(state.inputTurn))
            }
            state.input.append(piece)
            return .success(state.isJoined ? .send(connection, place: state.input.end) : .kept)
        }
        return try result.get()
    }

    /// Says that no more input comes, to the next shim as well where this one has not heard it.
    func closeInput() throws(ShimError) {
        let connection = state.withLock { state in
            state.hasClosedInput = true
            return state.isJoined ? state.connection : nil
        }
        try connection?.enqueue(TtrpcFrame(endOfDataOn: Self.streamID))
    }

    /// A shim has answered: queues what it is to have of the input before it.
    func goOnWithInput(_ hello: AttachMessage, _ state: inout State) -> Bool {
        (state.isJoined, state.countsInput) = (true, hello.countsStdin)
        if hello.countsStdin { state.input.resume(at: hello.stdinPlace) }
        var rest = hello.countsStdin ? state.input.bytes[...] : state.input.takeUnsent()[...]
        var frames: [TtrpcFrame] = []
        while !rest.isEmpty {
            let piece = rest.prefix(AttachMessage.maximumDataByteCount)
            rest = rest.dropFirst(piece.count)
            frames.append(TtrpcFrame(streamID: Self.streamID, data: AttachMessage(.stdin, data: Array(piece))))
        }
        if state.hasClosedInput { frames.append(TtrpcFrame(endOfDataOn: Self.streamID)) }
        Self.turnInput(&state)
        // A connection that has broken meanwhile says so itself, and the next shim is sent it.
        guard let connection = state.connection, !frames.isEmpty, connection.queue(frames) == nil else { return false }
        state.input.sent(upTo: state.input.end)
        return true
    }

    /// Lets whoever writes look again.
    static func turnInput(_ state: inout State) {
        state.inputTurn.settle(())
        state.inputTurn = OneShot()
    }
}
