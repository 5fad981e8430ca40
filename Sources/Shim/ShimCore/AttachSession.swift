internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol

/// One client that is attached to a process. The client's call holds it until one of the two ends.
final class AttachSession: OutputSink {
    /// Output that waits for this client before the payload waits as well.
    static let maximumQueuedByteCount = 262_144
    /// A client that counts its input is told how much of it was taken, after so many bytes at the latest.
    static let toldByteCount: UInt64 = 32_768

    let request: AttachRequest
    private let call: ServerCall
    private let process: SupervisedProcess
    private var isWaitingForRoom = false
    /// Of a client that counts its input: how much of it came, and how much it was told of.
    private var takenByteCount: UInt64 = 0
    private var toldByteCount: UInt64 = 0

    /// Registers the client, then confirms that.
    static func begin(_ request: AttachRequest, call: ServerCall, process: SupervisedProcess) {
        let session = AttachSession(request, call: call, process: process)
        call.onData = { session.input($0) }
        call.onEndOfData = { session.inputEnded() }
        call.onClosed = { session.clientLeft() }
        let stdio = process.stdio
        // What a killed shim took from the streams, and this client has not.
        let (output, error) =
            request.resumes ? (stdio.taken(.stdout, from: request.stdoutFrom), stdio.taken(.stderr, from: request.stderrFrom)) : ([], [])
        var hello = AttachMessage(.attached)
        hello.stdoutPlace = stdio.place(of: .stdout) - UInt64(output.count)
        hello.stderrPlace = stdio.place(of: .stderr) - UInt64(error.count)
        if request.stdin && request.stdinID != 0 {
            session.takenByteCount = stdio.attachableInput?.place(of: request.stdinID) ?? 0
            session.toldByteCount = session.takenByteCount
            (hello.stdinPlace, hello.countsStdin) = (session.takenByteCount, true)
        }
        call.send(hello)
        if request.stdout { session.takeAll(output, from: .stdout) }
        if request.stderr { session.takeAll(error, from: .stderr) }
        process.add(session)
        process.stdio.clientCame()
    }

    private func takeAll(_ bytes: [UInt8], from stream: LogRecord.Stream) {
        var rest = bytes[...]
        while !rest.isEmpty {
            take(rest.prefix(AttachMessage.maximumDataByteCount), from: stream)
            rest = rest.dropFirst(AttachMessage.maximumDataByteCount)
        }
    }

    private init(_ request: AttachRequest, call: ServerCall, process: SupervisedProcess) {
        self.request = request
        self.call = call
        self.process = process
    }

    var isSaturated: Bool {
        guard let connection = call.connection, connection.outboundByteCount >= Self.maximumQueuedByteCount else { return false }
        if !isWaitingForRoom {
            isWaitingForRoom = true
            connection.whenDrained { [weak self] in
                guard let self else { return }
                isWaitingForRoom = false
                if call.connection != nil { process.stdio.update() }
            }
        }
        return true
    }

    func take(_ bytes: ArraySlice<UInt8>, from stream: LogRecord.Stream) {
        call.send(AttachMessage(stream == .stdout ? .stdout : .stderr, data: Array(bytes)))
    }

    func end(of stream: LogRecord.Stream) {}

    /// The process has ended and all of its output was sent.
    func finish(_ exit: ExitNotice) {
        call.send(AttachMessage(.exited, exit: exit))
        call.succeed()
    }

    /// There never was a process.
    func fail(_ error: ShimError) { call.fail(error) }

    private func input(_ payload: [UInt8]) {
        guard request.stdin else { return }
        let message: AttachMessage
        do throws(WireError) { message = try AttachMessage(decoding: payload) } catch { return refuse(ShimError("attach", error)) }
        // Kinds of a later version are no input.
        guard message.kind == .stdin else { return }
        guard message.data.count <= AttachMessage.maximumDataByteCount else {
            return refuse(ShimError(.limitReached, "attach", cause: "\(message.data.count) bytes of input in one message"))
        }
        takenByteCount += UInt64(message.data.count)
        guard let input = process.stdio.attachableInput else { return tellTaken() }
        do throws(SyscallError) { try input.take(message.data, from: request.stdinID) } catch { return refuse(ShimError("input", error)) }
        tellTaken()
        guard input.isSaturated, let connection = call.connection else { return }
        connection.pauseInput()
        input.whenRoom { connection.resumeInput() }
    }

    private func tellTaken() {
        guard request.stdinID != 0, takenByteCount - toldByteCount >= Self.toldByteCount else { return }
        toldByteCount = takenByteCount
        var message = AttachMessage(.taken)
        message.stdinPlace = takenByteCount
        call.send(message)
    }

    /// Says what is wrong, and lets the client go: input without a part of it is worse than none.
    private func refuse(_ error: ShimError) {
        inputEnded()
        process.remove(self)
        call.fail(error)
    }

    private func inputEnded() {
        if request.stdin && process.stdinOnce { process.stdio.closeInput() }
    }

    private func clientLeft() {
        inputEnded()
        process.remove(self)
    }
}
