internal import LinuxSyscalls
internal import ShimProtocol

/// One client that is attached to a process.
final class AttachSession: OutputSink {
    /// Output that waits for this client before the payload waits as well.
    static let maximumQueuedByteCount = 262_144

    let request: AttachRequest
    private let call: ServerCall
    private unowned let process: SupervisedProcess
    private var isWaitingForRoom = false
    private var sentInput = false

    /// Registers the client, then confirms that.
    static func begin(_ request: AttachRequest, call: ServerCall, process: SupervisedProcess) {
        let session = AttachSession(request, call: call, process: process)
        call.onData = { [unowned session] in session.input($0) }
        call.onEndOfData = { [unowned session] in session.inputEnded() }
        call.onClosed = { [unowned session] in session.clientLeft() }
        call.send(AttachMessage(.attached))
        process.add(session)
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
                if call.connection != nil { process.stdio?.update() }
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
        guard request.stdin, let input = process.stdio?.attachableInput else { return }
        let message: AttachMessage
        do throws(WireError) { message = try AttachMessage(decoding: payload) } catch {
            let connection = call.connection
            call.fail(ShimError("attach", error))
            connection?.close()
            return
        }
        guard message.kind == .stdin, message.data.count <= AttachMessage.maximumDataByteCount else { return }
        sentInput = true
        input.write(message.data)
        guard input.isSaturated, let connection = call.connection else { return }
        connection.pauseInput()
        input.whenRoom { connection.resumeInput() }
    }

    private func inputEnded() {
        if request.stdin && process.stdinOnce { process.stdio?.closeInput() }
    }

    private func clientLeft() {
        inputEnded()
        process.remove(self)
    }
}
