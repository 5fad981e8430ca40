import CoreTypes
import EngineAPI
import Protobuf
import ShimProtocol

@testable import NameService

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
    read(LegacyCreateOptions.self)
    read(LegacyCheckpointOptions.self)
    read(ApusExec.self)
    read(AttachRequest.self)
    read(AttachMessage.self)
    read(ShimRecord.self)
    read(DescribeResponse.self)
    read(ForwardEventRequest.self)
    read(TaskCreateEvent.self)
    read(CheckpointTaskRequest.self)
    read(CheckpointOptions.self)
    read(HealthCheck.self)
    read(HealthReport.self)
    read(SetRestartRuleRequest.self)
    read(FollowRequest.self)
    read(FollowResponse.self)
    read(LifeRecord.self)
    read(BootstrapParameters.self)
    read(BootstrapResult.self)
    read(RuntimeInformation.self)
    read(StateResponse.self)
    read(StatsResponse.self)
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
    switch choice % 12 {
    case 0: _ = try? EngineJSON.decode(ContainerCreateRequest.self, from: body)
    case 1: _ = try? EngineJSON.decode(ExecCreateRequest.self, from: body)
    case 2: _ = try? EngineJSON.decode(ExecStartRequest.self, from: body)
    case 3: _ = try? AuthConfig(header: String(decoding: body, as: UTF8.self))
    case 4: _ = try? Filters(query: String(decoding: body, as: UTF8.self))
    case 5: _ = try? EngineJSON.decode(HostConfig.self, from: body)
    case 6: _ = try? EngineJSON.decode(ContainerConfig.self, from: body)
    case 7: _ = try? EngineJSON.decode(NetworkCreateRequest.self, from: body)
    case 8: _ = try? EngineJSON.decode(NetworkConnectRequest.self, from: body)
    case 9: _ = try? EngineJSON.decode(NetworkDisconnectRequest.self, from: body)
    case 10: _ = try? EngineJSON.decode(VolumeCreateRequest.self, from: body)
    default:
        _ = try? EngineJSON.decode(SystemCheckRequest.self, from: body)
        _ = try? EngineJSON.decode(AuthConfig.self, from: body)
    }
}

/// A message of DNS: a container's question with every answer that it may get, and a server's answer to it; and the files and orders of the
/// server of names.
func readNames(_ bytes: [UInt8]) {
    var buffer = bytes
    while let message = StreamClient.takeMessage(from: &buffer) { answerNames(message) }
    answerNames(bytes)
    _ = NameOrder(String(decoding: bytes, as: UTF8.self))
    _ = ResolverFile(parsing: bytes)
    guard let entry = try? NameEntry(decoding: bytes) else { return }
    require((try? NameEntry(decoding: entry.encoded())) == entry, "the entry is another one once written")
    var table = NameTable()
    table.insert(entry, of: "one")
    table.insert(entry, of: "two")
    // A container that is called like an address is not found by that name: the question is for the address's names.
    for name in entry.memberships.flatMap(\.names).compactMap({ DomainName($0) }) where name.reverseAddress == nil {
        require(table.find(NameQuestion(name: name, type: .any, recordClass: 1), for: "one") != .unknown, "a name is not found")
    }
    table.remove("one")
    table.remove("two")
    require(table.isEmpty, "something is left of who is gone")
}

private func answerNames(_ bytes: [UInt8]) {
    guard let message = NameMessage(bytes) else { return }
    _ = message.question.name.reverseAddress
    var table = NameTable()
    var entry = NameEntry(namespace: "", memberships: [])
    entry.memberships = [.init(network: "a", networkName: "net", names: ["db"], addresses: [IPAddress(.v4, bits: 1)])]
    table.insert(entry, of: "one")
    _ = table.find(message.question, for: "one")
    // A network's administrator spells a name as he likes.
    let spelled = SpelledName(String(decoding: bytes.dropFirst(NameMessage.headerBytes).prefix(250), as: UTF8.self))
    let pointers = spelled.map { [NameRecord.pointer($0)] } ?? []
    for limit in [512, message.datagramLimitBytes, Int(UInt16.max)] {
        let records = pointers + [NameRecord](repeating: .address([192, 0, 2, 1]), count: 300)
        for code in [ResponseCode.success, .badVersion] {
            let reply = NameReply.make(to: message, of: bytes, code, records, limitBytes: limit)
            let again = NameMessage(reply)
            require(again?.question == message.question && again?.isResponse == true, "the answer does not repeat the question")
            require(reply.count <= max(limit, message.questionEnd + 11), "the answer is larger than it may be")
        }
    }
}
