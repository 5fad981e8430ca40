internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol

/// One client's ttrpc connection.
final class ServerConnection {
    /// Calls of one client that wait for their answer.
    static let maximumCallCount = 1024
    /// Answers waiting to be read before no more requests are taken.
    static let maximumOutboundByteCount = 1 << 20

    private let loop: EventLoop
    private let socket: Descriptor
    private let accept: (TtrpcRequest, ServerCall) -> Void
    private let closed: (ServerConnection) -> Void
    private var watch: Watch?
    private var decoder = TtrpcFrameDecoder()
    private var outbound = OutboundQueue()
    private var calls: [UInt32: ServerCall] = [:]
    private var drainWaiters: [() -> Void] = []
    private var lastStreamID: UInt32?
    private var inputPauses = 0
    private var isOpen = true

    init(
        socket: Descriptor, loop: EventLoop, accept: @escaping (TtrpcRequest, ServerCall) -> Void,
        closed: @escaping (ServerConnection) -> Void
    ) throws(SyscallError) {
        self.loop = loop
        self.socket = socket
        self.accept = accept
        self.closed = closed
        try setNonBlocking(true, of: socket.number)
        watch = try loop.watch(socket.number, for: .readable) { [unowned self] in ready($0) }
    }

    /// Bytes that the client has not taken yet.
    var outboundByteCount: Int { outbound.count }

    /// Calls `action` once, when all outbound bytes were taken or the connection closed.
    func whenDrained(_ action: @escaping () -> Void) {
        if outbound.isEmpty { loop.soon(action) } else { drainWaiters.append(action) }
    }

    /// Takes no more input until `resumeInput` was called as often.
    func pauseInput() {
        inputPauses += 1
        updateInterest()
    }

    func resumeInput() {
        inputPauses -= 1
        if inputPauses == 0 { loop.soon { [weak self] in self?.handleFrames() } }
        updateInterest()
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        watch?.cancel()
        watch = nil
        outbound.removeAll()
        let ended = calls.values
        calls = [:]
        for call in ended { call.connectionClosed() }
        notifyDrained()
        closed(self)
    }

    fileprivate func send(_ frame: TtrpcFrame) {
        guard isOpen else { return }
        outbound.append(frame.encoded())
        flush()
    }

    fileprivate func finish(_ call: ServerCall) { calls[call.streamID] = nil }

    private func ready(_ readiness: Readiness) {
        if readiness.contains(.writable) { flush() }
        if readiness.contains(.readable) && inputPauses == 0 {
            // What a client that has left had sent before is read to its end, which closes.
            if isOpen { read() }
        } else if isOpen && !readiness.isDisjoint(with: [.failed, .hungUp]) {
            close()
        }
    }

    private func read() {
        do throws(SyscallError) {
            switch try loop.read(socket.number) {
            case .wouldBlock: return
            case .end: close()
            case .bytes(let count):
                decoder.append(loop.scratch[..<count])
                handleFrames()
            }
        } catch { close() }
    }

    private func handleFrames() {
        do throws(WireError) {
            while isOpen, inputPauses == 0, outbound.count < Self.maximumOutboundByteCount, let item = decoder.nextItem() {
                switch item {
                case .frame(let frame): try handle(frame)
                case .refused(let streamID, let problem):
                    refuse(streamID, problem.code == .tooLarge ? .resourceExhausted : .invalidArgument, "\(problem)")
                }
            }
        } catch { close() }
    }

    /// Says on the frame's own stream what is wrong with it, as ttrpc's own server does: the others go on.
    private func refuse(_ streamID: UInt32, _ code: TtrpcStatus.Code, _ message: String) {
        send(TtrpcFrame(streamID: streamID, response: TtrpcResponse(status: TtrpcStatus(code, message))))
    }

    private func handle(_ frame: TtrpcFrame) throws(WireError) {
        switch frame.kind {
        case .request: begin(frame)
        case .data:
            // Data for a stream that has just ended may be under way still.
            guard let call = calls[frame.streamID] else { return }
            if !frame.flags.contains(.noData) { call.onData?(frame.payload) }
            if frame.flags.contains(.remoteClosed) { call.onEndOfData?() }
        case .response:
            throw WireError(.malformed, "ttrpc response from a client")
        }
    }

    private func begin(_ frame: TtrpcFrame) {
        guard frame.streamID % 2 == 1, frame.streamID > lastStreamID ?? 0 else {
            return refuse(frame.streamID, .invalidArgument, "stream \(frame.streamID): ids of streams are odd and grow")
        }
        lastStreamID = frame.streamID
        let request: TtrpcRequest
        do throws(WireError) { request = try TtrpcRequest(decoding: frame.payload) } catch {
            return refuse(frame.streamID, .invalidArgument, "\(error)")
        }
        let call = ServerCall(connection: self, streamID: frame.streamID)
        guard calls.count < Self.maximumCallCount else {
            return call.fail(ShimError(.limitReached, "more than \(Self.maximumCallCount) calls on one connection"))
        }
        calls[frame.streamID] = call
        accept(request, call)
    }

    private func flush() {
        do throws(SyscallError) { try outbound.flush(to: socket.number) } catch { return close() }
        updateInterest()
        if outbound.isEmpty { notifyDrained() }
    }

    private func notifyDrained() {
        let waiters = drainWaiters
        drainWaiters = []
        for waiter in waiters { loop.soon(waiter) }
        // Requests may wait that were not taken while too many answers did.
        if isOpen && decoder.pendingByteCount > 0 { loop.soon { [weak self] in self?.handleFrames() } }
    }

    private func updateInterest() {
        var interest: Readiness = []
        if inputPauses == 0 && outbound.count < Self.maximumOutboundByteCount { interest.insert(.readable) }
        if !outbound.isEmpty { interest.insert(.writable) }
        watch?.wait(for: interest)
    }
}

/// One request on its way to an answer, or a stream that is open.
final class ServerCall {
    /// Called with each message of the client on the open stream.
    var onData: (([UInt8]) -> Void)?
    /// Called when the client has no more to say on the open stream.
    var onEndOfData: (() -> Void)?
    /// Called when the client left before the answer.
    var onClosed: (() -> Void)?
    /// nil after the answer, and after the client left.
    private(set) var connection: ServerConnection?
    fileprivate let streamID: UInt32

    fileprivate init(connection: ServerConnection, streamID: UInt32) {
        self.connection = connection
        self.streamID = streamID
    }

    /// Sends one message on the open stream.
    func send(_ message: some ProtobufMessage) {
        let frame = TtrpcFrame(streamID: streamID, data: message)
        if frame.isTooLong { fail(tooLong(frame)) } else { connection?.send(frame) }
    }

    /// Answers, which ends the call.
    func succeed(_ message: some ProtobufMessage = ProtobufEmpty()) {
        let frame = TtrpcFrame(streamID: streamID, response: TtrpcResponse(payload: message))
        if frame.isTooLong { fail(tooLong(frame)) } else { end(with: frame) }
    }

    /// Refuses, which ends the call.
    func fail(_ error: ShimError) { end(with: TtrpcFrame(streamID: streamID, response: TtrpcResponse(status: error.status))) }

    /// Answers with no more than that it was done, or refuses.
    func acknowledge(_ failure: ShimError?) {
        if let failure { fail(failure) } else { succeed() }
    }

    private func tooLong(_ frame: TtrpcFrame) -> ShimError {
        ShimError(.limitReached, "answer", cause: "of \(frame.payload.count) bytes")
    }

    private func end(with frame: TtrpcFrame) {
        guard let connection else { return }
        forget()
        connection.finish(self)
        connection.send(frame)
    }

    fileprivate func connectionClosed() {
        let action = onClosed
        forget()
        action?()
    }

    private func forget() {
        connection = nil
        onData = nil
        onEndOfData = nil
        onClosed = nil
    }
}
