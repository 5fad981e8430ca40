internal import Glibc
internal import LinuxSyscalls

/// A descriptor with several holders: what one process lends to another over a clone, and closes for itself.
final class HeldDescriptor {
    private var owned: OwnedFD?
    let number: Int32

    init(_ descriptor: consuming OwnedFD) {
        number = descriptor.number
        owned = .some(descriptor)
    }

    /// A second descriptor of the same, owned by the caller; close-on-exec.
    func duplicate() throws(SyscallError) -> Int32 {
        switch owned {
        case .some(let owned): return try owned.duplicate().release()
        case .none: throw SyscallError("dup", "a closed descriptor", errno: EBADF)
        }
    }

    /// Closes it in this process; the number is not to be used any more.
    func close() { owned = nil }
}

/// A hold on a process with several holders.
final class HeldProcess {
    let handle: ProcessHandle

    init(_ handle: consuming ProcessHandle) { self.handle = handle }
}

/// One end of the connection between the runtime and the process that becomes the payload: a socket of packets that execve closes.
struct StageChannel {
    let socket: HeldDescriptor

    init(_ socket: consuming OwnedFD) { self.socket = HeldDescriptor(socket) }

    /// Both ends.
    static func pair() throws(RuntimeError) -> (StageChannel, StageChannel) {
        let pair: SocketPair
        do { pair = try SocketPair(.packets) } catch { throw RuntimeError(doing: "making the stage channel", error) }
        return pair.split { (StageChannel($0), StageChannel($1)) }
    }

    /// To an end that is closed a message is lost, and that is no error yet: what it said before, such as why it gave up, is still to be
    /// received.
    func send(_ message: StageMessage, descriptors: [Int32] = []) throws(RuntimeError) {
        do {
            _ = try sendMessage(message.encoded, descriptors: descriptors, to: socket.number, subject: "stage channel")
        } catch {
            if error.errno == EPIPE { return }
            // A filter that was loaded just now may deny sendmsg(2), and mostly lets write(2) through.
            if descriptors.isEmpty, (try? writeAll(message.encoded, to: socket.number, subject: "stage channel")) != nil { return }
            throw RuntimeError(doing: "talking to the other stage", error)
        }
    }

    /// Says that a listener is there and waits until it was taken, with write(2) and read(2) alone.
    func handOver(listener descriptor: Int32) throws(RuntimeError) {
        var answer = [UInt8](repeating: 0, count: 16)
        let count = try during("handing the seccomp listener over") { () throws(SyscallError) in
            try writeAll(StageMessage.listening(descriptor: descriptor).encoded, to: socket.number, subject: "stage channel")
            return try readBytes(socket.number, into: &answer)
        }
        guard StageMessage(Array(answer[..<count])) == .proceed else {
            throw RuntimeError(.lost, doing: "handing the seccomp listener over", "the runtime did not take it")
        }
    }

    /// A message with the descriptors that came along.
    struct Received {
        let message: StageMessage
        let descriptors: [Int32]
    }

    /// What comes out of the channel. No optional: its metadata would be made at run time, by processes that live a millisecond.
    enum Reception {
        case message(Received)
        /// The other end is closed.
        case end
        /// It was closed before all that was said to it had been heard, or nobody ever had it.
        case unheard
    }

    /// The next message.
    func receive(limitBytes: Int = StageMessage.limitBytes) throws(RuntimeError) -> Reception {
        var wasReset = false
        let received = try during("listening to the other stage") { () throws(SyscallError) in
            try receiveOnceMoreAfterReset(limitBytes: limitBytes, &wasReset)
        }
        if received.bytes.isEmpty { return wasReset ? .unheard : .end }
        guard let message = StageMessage(received.bytes) else {
            for descriptor in received.descriptors { _ = OwnedFD(owning: descriptor) }
            throw RuntimeError(.lost, doing: "listening to the other stage", "a message of kind \(received.bytes[0]) makes no sense")
        }
        return .message(Received(message: message, descriptors: received.descriptors))
    }

    /// That the other end was closed with messages of ours unread is told once, and before what it had said, which is still to be received.
    /// - Source: unix(7); the kernel's __skb_try_recv_datagram() looks at the socket's error first.
    private func receiveOnceMoreAfterReset(limitBytes: Int, _ wasReset: inout Bool) throws(SyscallError) -> ReceivedMessage {
        func receive() throws(SyscallError) -> ReceivedMessage {
            try receiveMessage(from: socket.number, limitBytes: limitBytes, subject: "stage channel")
        }
        do { return try receive() } catch  where error.errno == ECONNRESET {
            wasReset = true
            return try receive()
        }
    }

    /// For the runtime: waits until only the last steps before the payload are left.
    /// - Parameter mounted: what is done when the root is mounted and not yet changed to.
    func awaitPrepared(
        _ process: Int32, _ journal: Journal,
        mounted: () throws(RuntimeError) -> Void = { () throws(RuntimeError) in throw Self.unexpected(.rootMounted) }
    ) throws(RuntimeError) {
        while case .message(let received) = try receive() {
            switch received.message {
            case .prepared: return
            case .remark(let text): journal.warn(text)
            case .failed(let error): throw error
            case .rootMounted: try mounted()
            case .forked, .identityReady, .cgroupReady, .hooksDone, .proceed, .listening, .serving, .namespaces:
                throw Self.unexpected(received.message)
            }
        }
        throw lostProcess(process)
    }

    private static func unexpected(_ message: StageMessage) -> RuntimeError {
        RuntimeError(.lost, doing: "listening to the process", "unexpected \(message)")
    }

    /// For the process that becomes the payload: waits for one certain message.
    func await(_ expected: StageMessage) throws(RuntimeError) {
        let received = try receiveInstruction()
        guard received.message == expected else {
            throw RuntimeError(.lost, doing: "listening to the runtime", "expected \(expected), received \(received.message)")
        }
    }

    /// For init: waits until its cgroup stands. - Returns: what to enter it by.
    func awaitCgroup() throws(RuntimeError) -> [Int32] {
        let received = try receiveInstruction()
        guard received.message == .cgroupReady else {
            throw RuntimeError(.lost, doing: "listening to the runtime", "expected a cgroup, received \(received.message)")
        }
        return received.descriptors
    }

    /// When the runtime is gone there is nothing left to do.
    private func receiveInstruction() throws(RuntimeError) -> Received {
        guard case .message(let received) = try receive(limitBytes: StageMessage.instructionLimitBytes) else { exitAtOnce(1) }
        return received
    }
}
