internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import Synchronization

/// One ttrpc connection to a shim. Calls from any task; bytes move on the reactor's thread.
final class ShimConnection: ReactorSource {
    private static let readChunkBytes = 65_536
    /// Chunks read in one turn, so that one loud container leaves time for the others.
    private static let chunksPerTurn = 8

    private typealias Answer = Result<TtrpcResponse, ShimError>

    private struct Call {
        let continuation: CheckedContinuation<Answer, Never>
        /// On the monotonic clock; nil waits as long as the connection lives.
        let deadline: Int64?
    }

    private struct Sender {
        let continuation: CheckedContinuation<Result<Void, ShimError>, Never>
        /// The byte of the connection after the last one of what is sent.
        let end: UInt64
    }

    private struct State {
        var decoder = TtrpcFrameDecoder()
        var nextStreamID: UInt32 = 1
        var calls: [UInt32: Call] = [:]
        var streams: [UInt32: ShimStream] = [:]
        var outgoing: [UInt8] = []
        var outgoingStart = 0
        /// Bytes that the shim's socket has taken since the connection began.
        var takenByteCount: UInt64 = 0
        var senders: [Sender] = []
        var isReading = true
        var interest: Readiness = .readable
        var failure: ShimError?
    }

    let token: UInt64
    /// For messages: the container's id.
    let name: String
    private let socket: OwnedFD
    private let reactor: ShimReactor
    private let state = Mutex(State())

    init(socket: consuming OwnedFD, token: UInt64, name: String, reactor: ShimReactor) {
        self.socket = socket
        self.token = token
        self.name = name
        self.reactor = reactor
    }

    var descriptor: Int32 { socket.number }

    /// Whether the connection is closed.
    var isClosed: Bool { state.withLock { $0.failure != nil } }

    // MARK: - Calls

    /// One request and its answer.
    /// - Parameter timeout: nil waits as long as the connection lives: for calls that answer when a process ends.
    func call(_ request: TtrpcRequest, timeout: Duration?) async throws(ShimError) -> TtrpcResponse {
        let deadline = timeout.map { monotonicNanoseconds() + $0.nanoseconds }
        if deadline != nil { reactor.callBegan() }
        defer { if deadline != nil { reactor.callEnded() } }
        var timed = request
        timed.timeoutNanoseconds = timeout?.nanoseconds ?? 0
        let sent = timed
        let answer: Answer = await withCheckedContinuation { continuation in
            let failure = state.withLock { state -> ShimError? in
                if let failure = state.failure { return failure }
                let streamID = state.nextStreamID
                state.nextStreamID += 2
                state.calls[streamID] = Call(continuation: continuation, deadline: deadline)
                state.outgoing += TtrpcFrame(streamID: streamID, request: sent).encoded()
                return nil
            }
            if let failure { continuation.resume(returning: .failure(failure)) } else { flush() }
        }
        return try answer.get()
    }

    /// Queues the request that opens a stream, for `flush` to send. The connection serves nothing else from then on, so that its
    /// back-pressure is the stream's.
    func queue(_ stream: ShimStream, _ request: TtrpcRequest) throws(ShimError) {
        let failure = state.withLock { state -> ShimError? in
            if let failure = state.failure { return failure }
            state.nextStreamID = ShimStream.streamID + 2
            state.streams[ShimStream.streamID] = stream
            state.outgoing += TtrpcFrame(streamID: ShimStream.streamID, request: request, streaming: true).encoded()
            return nil
        }
        if let failure { throw failure }
    }

    /// Sends a frame; waits until the shim's socket has all of it.
    /// - Throws: where the connection breaks before that; the shim then has not read the frame, at most a part of it.
    func send(_ frame: TtrpcFrame) async throws(ShimError) {
        let result: Result<Void, ShimError> = await withCheckedContinuation { continuation in
            let failure = state.withLock { state -> ShimError? in
                if let failure = state.failure { return failure }
                state.outgoing += frame.encoded()
                let end = state.takenByteCount + UInt64(state.outgoing.count - state.outgoingStart)
                state.senders.append(Sender(continuation: continuation, end: end))
                return nil
            }
            if let failure { continuation.resume(returning: .failure(failure)) } else { flush() }
        }
        try result.get()
    }

    /// Queues a frame without waiting: for the short ones that end something.
    func enqueue(_ frame: TtrpcFrame) throws(ShimError) {
        if let failure = queue([frame]) { throw failure }
        flush()
    }

    /// Queues frames for `flush` to send. - Returns: why none can be sent any more.
    func queue(_ frames: [TtrpcFrame]) -> ShimError? {
        state.withLock { state in
            if state.failure == nil { for frame in frames { state.outgoing += frame.encoded() } }
            return state.failure
        }
    }

    /// Stops or goes on taking bytes from the shim.
    func setReading(_ isReading: Bool) {
        state.withLock { state in
            guard state.failure == nil, state.isReading != isReading else { return }
            state.isReading = isReading
            updateInterest(&state)
        }
    }

    /// Closes the connection. Everyone who waits for something on it gets `reason`.
    func close(_ reason: ShimError) {
        let ended = state.withLock { state -> State? in
            guard state.failure == nil else { return nil }
            let ended = state
            state = State()
            state.failure = reason
            return ended
        }
        guard let ended else { return }
        reactor.forget(self)
        for call in ended.calls.values { call.continuation.resume(returning: .failure(reason)) }
        for stream in ended.streams.values { stream.end(reason) }
        for sender in ended.senders { sender.continuation.resume(returning: .failure(reason)) }
    }

    // MARK: - The reactor's thread

    func handle(_ readiness: Readiness) {
        if readiness.contains(.writable) { flush() }
        // Nothing more comes from a shim that is gone than what lies in the socket, which is little; and the event would repeat.
        if !readiness.isDisjoint(with: [.failed, .hungUp]) { setReading(true) }
        if !readiness.isDisjoint(with: [.readable, .failed, .hungUp]) { receive() }
    }

    func reactorStopped(_ reason: String) { close(ShimError(.disconnected, reason)) }

    /// Gives up on calls whose time is over.
    func expireCalls(now: Int64) {
        let expired = state.withLock { state -> [Call] in
            let late = state.calls.filter { $0.value.deadline.map { $0 <= now } ?? false }
            for streamID in late.keys { state.calls.removeValue(forKey: streamID) }
            return Array(late.values)
        }
        for call in expired {
            call.continuation.resume(returning: .failure(ShimError(.timedOut, "the shim of \(name) did not answer in time")))
        }
    }

    private func receive() {
        var chunk = [UInt8](repeating: 0, count: Self.readChunkBytes)
        for _ in 0..<Self.chunksPerTurn {
            guard state.withLock({ $0.failure == nil && $0.isReading }) else { return }
            let outcome: ReadOutcome
            do throws(SyscallError) { outcome = try readAvailable(descriptor, into: &chunk) } catch {
                return close(ShimError(.disconnected, "the shim of \(name): \(error)"))
            }
            switch outcome {
            case .wouldBlock: return
            case .end: return close(ShimError(.disconnected, "the shim of \(name) has closed the connection"))
            case .bytes(let count):
                do throws(WireError) { try deliver(chunk[..<count]) } catch {
                    return close(ShimError(.garbled, "the shim of \(name): \(error)"))
                }
            }
        }
    }

    private func deliver(_ bytes: ArraySlice<UInt8>) throws(WireError) {
        var frames: [TtrpcFrame] = []
        var problem: WireError?
        state.withLock { state in
            state.decoder.append(bytes)
            do throws(WireError) { while let frame = try state.decoder.next() { frames.append(frame) } } catch { problem = error }
        }
        for frame in frames { try dispatch(frame) }
        if let problem { throw problem }
    }

    private func dispatch(_ frame: TtrpcFrame) throws(WireError) {
        switch frame.kind {
        case .response:
            let response = try TtrpcResponse(decoding: frame.payload)
            let (call, stream) = state.withLock { state in
                (state.calls.removeValue(forKey: frame.streamID), state.streams.removeValue(forKey: frame.streamID))
            }
            call?.continuation.resume(returning: .success(response))
            if let status = response.status, status.code != .ok { stream?.end(ShimError(status)) } else { stream?.end(nil) }
        case .data:
            guard !frame.flags.contains(.noData) else { return }
            let message = try AttachMessage(decoding: frame.payload)
            state.withLock { $0.streams[frame.streamID] }?.receive(message, from: self)
        case .request: throw WireError(.unsupported, "a request from the shim")
        }
    }

    /// Sends of what is queued as much as the shim takes now.
    func flush() {
        let (failure, sent) = state.withLock { state -> (SyscallError?, ArraySlice<Sender>) in
            var failure: SyscallError?
            do throws(SyscallError) { try writeOutgoing(&state) } catch { failure = error }
            let sent = state.senders.prefix { $0.end <= state.takenByteCount }
            state.senders.removeFirst(sent.count)
            return (failure, sent)
        }
        for sender in sent { sender.continuation.resume(returning: .success(())) }
        if let failure { close(ShimError(.disconnected, "the shim of \(name): \(failure)")) }
    }

    private func writeOutgoing(_ state: inout State) throws(SyscallError) {
        guard state.failure == nil else { return }
        while state.outgoingStart < state.outgoing.count {
            let count = try writeAvailable(state.outgoing[state.outgoingStart...], to: descriptor)
            if count == 0 { break }
            state.outgoingStart += count
            state.takenByteCount += UInt64(count)
        }
        if state.outgoingStart == state.outgoing.count {
            state.outgoing.removeAll(keepingCapacity: state.outgoing.capacity <= Self.readChunkBytes)
            state.outgoingStart = 0
        } else if state.outgoingStart > Self.readChunkBytes {
            state.outgoing.removeFirst(state.outgoingStart)
            state.outgoingStart = 0
        }
        updateInterest(&state)
    }

    private func updateInterest(_ state: inout State) {
        var interest: Readiness = state.isReading ? .readable : []
        if state.outgoingStart < state.outgoing.count { interest.insert(.writable) }
        guard interest != state.interest else { return }
        state.interest = interest
        reactor.setInterest(interest, of: self)
    }
}

extension Duration {
    /// The whole of it in nanoseconds, held at the ends of the range.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? .max : sum
    }
}
