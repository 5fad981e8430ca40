@testable import EngineAPI
@testable import ShimProtocol

/// A connection's bytes: frames, and in each the request and whichever message it holds.
func readFrames(_ bytes: [UInt8]) {
    var decoder = TtrpcFrameDecoder()
    // In pieces, as a socket gives them.
    for piece in stride(from: 0, to: bytes.count, by: 61) {
        decoder.append(bytes[piece..<min(piece + 61, bytes.count)])
        while let item = decoder.nextItem() {
            if case .frame(let frame) = item { readMessages(frame.payload) }
        }
    }
    readMessages(bytes)
}

private func readMessages(_ bytes: [UInt8]) {
    func read<Message: ProtobufMessage>(_: Message.Type) {
        guard let message = try? Message(decoding: bytes) else { return }
        let again = try? Message(decoding: message.encoded())
        require(again == message, "\(Message.fullName) is another one once it was written")
    }
    if let request = try? TtrpcRequest(decoding: bytes), request.payload.count < bytes.count { readMessages(request.payload) }
    read(TtrpcRequest.self)
    read(TtrpcResponse.self)
    read(CreateTaskRequest.self)
    read(ExecProcessRequest.self)
    read(UpdateTaskRequest.self)
    read(KillRequest.self)
    read(ResizePtyRequest.self)
    read(CloseIORequest.self)
    read(ApusOptions.self)
    read(RuncOptions.self)
    read(ApusExec.self)
    read(AttachRequest.self)
    read(AttachMessage.self)
    read(ShimRecord.self)
    read(DescribeResponse.self)
    read(ForwardEventRequest.self)
    if let envelope = try? EventEnvelope(decoding: bytes) { _ = try? envelope.taskEvent() }
}

/// A log file, forwards and backwards, and the record of an exit.
func readLog(_ bytes: [UInt8]) {
    var decoder = LogDecoder()
    for piece in stride(from: 0, to: bytes.count, by: 509) {
        decoder.append(bytes[piece..<min(piece + 509, bytes.count)])
        while let record = try? decoder.next() {
            var written: [UInt8] = []
            record.encode(into: &written)
            let again = try? LogRecord.decode(written[...])
            require(
                again?.text == record.text && again?.unixNanoseconds == record.unixNanoseconds, "the record is another one once written")
        }
    }
    _ = try? LogRecord.byteCount(trailer: bytes.suffix(4))
    _ = try? ExitRecord(decoding: bytes)
    _ = try? LogFileHeader(decoding: bytes)
}

/// The first byte chooses which document of the Engine API the others are.
func readDockerBodies(_ bytes: [UInt8]) {
    guard let choice = bytes.first else { return }
    let body = Array(bytes.dropFirst())
    switch choice % 6 {
    case 0: _ = try? EngineJSON.decode(ContainerCreateRequest.self, from: body)
    case 1: _ = try? EngineJSON.decode(ExecCreateRequest.self, from: body)
    case 2: _ = try? EngineJSON.decode(ExecStartRequest.self, from: body)
    case 3: _ = try? AuthConfig(header: String(decoding: body, as: UTF8.self))
    case 4: _ = try? Filters(query: String(decoding: body, as: UTF8.self))
    default: _ = try? EngineJSON.decode(HostConfig.self, from: body)
    }
}
