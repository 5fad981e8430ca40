import Protobuf
import ShimProtocol

extension EventEnvelope {
    /// The event itself; nil for a topic that is not a task's.
    func taskEvent() throws(WireError) -> TaskEvent? {
        guard let event else { return nil }
        var fields = EventFields()
        var reader = ProtobufReader(event.value[...], subject: event.typeName)
        if topic != "/tasks/create" {
            while let (number, value) = try reader.next() {
                try fields.take(ProtobufField(value: value, number: number, message: event.typeName))
            }
        }
        switch topic {
        case "/tasks/create": return .create(try TaskCreateEvent(decoding: event.value))
        case "/tasks/start": return .start(TaskProcessEvent(containerID: fields.text(1), pid: fields.number(2)))
        case "/tasks/exit":
            return .exit(
                TaskExitEvent(
                    containerID: fields.text(1), processID: fields.text(2), pid: fields.number(3),
                    exitStatus: fields.number(4), exitedAt: try fields.timestamp(5)))
        case "/tasks/delete":
            return .delete(
                TaskExitEvent(
                    containerID: fields.text(1), processID: fields.text(5).isEmpty ? fields.text(1) : fields.text(5),
                    pid: fields.number(2), exitStatus: fields.number(3), exitedAt: try fields.timestamp(4)))
        case "/tasks/oom": return .outOfMemory(containerID: fields.text(1))
        case "/tasks/paused": return .paused(containerID: fields.text(1))
        case "/tasks/resumed": return .resumed(containerID: fields.text(1))
        case "/tasks/exec-added": return .execAdded(TaskProcessEvent(containerID: fields.text(1), execID: fields.text(2)))
        case "/tasks/exec-started":
            return .execStarted(
                TaskProcessEvent(containerID: fields.text(1), execID: fields.text(2), pid: fields.number(3)))
        default: return nil
        }
    }
}

/// Fields 1 to 5 of the small event messages, by number and by wire type.
private struct EventFields {
    private var texts: [Int: String] = [:]
    private var numbers: [Int: UInt32] = [:]
    private var raw: [Int: [UInt8]] = [:]

    mutating func take(_ field: ProtobufField) throws(WireError) {
        switch field.value {
        case .varint: numbers[field.number] = try field.uint32()
        case .bytes(let bytes):
            raw[field.number] = Array(bytes)
            texts[field.number] = String(validating: bytes, as: UTF8.self)
        case .fixed32, .fixed64: break
        }
    }

    func text(_ number: Int) -> String { texts[number] ?? "" }
    func number(_ number: Int) -> UInt32 { numbers[number] ?? 0 }
    func timestamp(_ number: Int) throws(WireError) -> ProtobufTimestamp? {
        guard let bytes = raw[number] else { return nil }
        return try ProtobufTimestamp(decoding: bytes)
    }
}
