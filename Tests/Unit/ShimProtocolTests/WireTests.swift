import Protobuf
import ShimProtocol
import Testing

@Suite("Protobuf and ttrpc")
struct WireTests {
    @Test("A message comes back as it was, unknown fields aside")
    func roundTrip() throws {
        var request = CreateTaskRequest()
        request.id = "box"
        request.bundle = "/run/bundle"
        request.rootfs = [RootMount(type: "overlay", source: "overlay", options: ["lowerdir=/a:/b", "", "ro"])]
        request.stdio.terminal = true
        request.stdio.stdout = "/fifo"
        var options = ApusOptions()
        options.logFileByteLimit = .max
        options.stdinOnce = true
        request.options = ProtobufAny(wrapping: options)
        var bytes = request.encoded()
        bytes += [0xf8, 0x07, 0x01, 0xfa, 0x07, 0x02, 0xff, 0xfe]
        let decoded = try CreateTaskRequest(decoding: bytes)
        #expect(decoded == request)
        #expect(try decoded.options?.unwrap(ApusOptions.self) == options)
        #expect(try decoded.options?.unwrap(RuncOptions.self) == nil)
    }

    @Test("A shim that says no version of its protocol is not taken for one of this version")
    func absentVersion() throws {
        #expect(try DescribeResponse(decoding: [UInt8]()).protocolVersion == 0)
        var description = DescribeResponse()
        description.protocolVersion = SupervisionMethod.version
        #expect(try DescribeResponse(decoding: description.encoded()) == description)
    }

    @Test("Bytes are those that protoc's own encoder makes")
    func knownBytes() throws {
        #expect(KillRequest(id: "a", signal: 300, all: true).encoded() == [0x0a, 1, 0x61, 0x18, 0xac, 0x02, 0x20, 1])
        #expect(
            ProtobufTimestamp(unixNanoseconds: -1).encoded() == [0x08] + [UInt8](repeating: 0xff, count: 9) + [
                1, 0x10, 0xff, 0x93, 0xeb, 0xdc, 3,
            ])
        #expect(ProtobufEmpty().encoded() == [])
    }

    @Test("An Any with a host before its type's name is unwrapped as well")
    func typeURLWithHost() throws {
        let any = ProtobufAny(
            typeURL: "type.googleapis.com/apus.shim.v1.Exec", value: ApusExec(processJSON: [1], openStdin: true).encoded())
        #expect(try any.unwrap(ApusExec.self)?.openStdin == true)
    }

    @Test(
        "Bytes that are no message are refused",
        arguments: [
            [0x0a], [0x0a, 0x05, 0x61], [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], [0x0b], [0x00, 0x00],
            [0x0a, 0x01, 0xff], [0x0a, 0x01, 0x00], [0x08, 0x01], [0x1a, 0x01, 0x61],
            [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        ] as [[UInt8]])
    func malformed(bytes: [UInt8]) {
        #expect(throws: WireError.self) { try KillRequest(decoding: bytes) }
    }

    @Test("Every prefix of a message is refused or is a shorter message, and none is a trap")
    func prefixes() {
        var exec = ExecProcessRequest()
        exec.id = "box"
        exec.spec = ProtobufAny(wrapping: ApusExec(processJSON: Array("{}".utf8), openStdin: true))
        let bytes = exec.encoded()
        for count in bytes.indices { _ = try? ExecProcessRequest(decoding: bytes.prefix(count)) }
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                _ = try? ExecProcessRequest(decoding: changed)
            }
        }
    }

    @Test("Timestamps keep nanoseconds on both sides of 1970", arguments: [0, 1, -1, 1_795_225_577_939_630_024, -1_000_000_000, Int64.max])
    func timestamps(nanoseconds: Int64) {
        #expect(ProtobufTimestamp(unixNanoseconds: nanoseconds).unixNanoseconds == nanoseconds)
    }

    @Test("Frames come out of a stream whatever the pieces it arrives in", arguments: [1, 3, 10, 11, 1000])
    func frames(pieceSize: Int) throws {
        let sent = [
            TtrpcFrame(streamID: 1, request: TtrpcRequest(service: "s", method: "m", payload: ContainerRequest(id: "box"))),
            TtrpcFrame(streamID: 3, data: AttachMessage(.stdin, data: [1, 2, 3])), TtrpcFrame(endOfDataOn: 3),
            TtrpcFrame(streamID: 1, response: TtrpcResponse(status: TtrpcStatus(.notFound, "no"))),
        ]
        let bytes = sent.flatMap { $0.encoded() }
        var decoder = TtrpcFrameDecoder()
        var received: [TtrpcFrame] = []
        for start in stride(from: 0, to: bytes.count, by: pieceSize) {
            decoder.append(bytes[start..<min(start + pieceSize, bytes.count)])
            while let frame = try decoder.next() { received.append(frame) }
        }
        #expect(received == sent && decoder.pendingByteCount == 0)
    }

    @Test("A frame that is too long is refused by its header alone")
    func longFrame() {
        var decoder = TtrpcFrameDecoder()
        decoder.append([0x00, 0x40, 0x00, 0x01, 0, 0, 0, 1, 1, 0])
        #expect(throws: WireError(.tooLarge, "ttrpc frame of 4194305 bytes")) { try decoder.next() }
    }

    @Test("A server passes over what it cannot take, and goes on with the next frame", arguments: [1, 7, 10, 100_000, 5_000_000])
    func refusedFrames(pieceSize: Int) {
        let good = TtrpcFrame(streamID: 5, request: TtrpcRequest(service: "s", method: "m", payload: ProtobufEmpty()))
        let long: [UInt8] = [0x00, 0x00, 0x01, 0x2c, 0, 0, 0, 1, 1, 0] + [UInt8](repeating: 0xff, count: 300)
        let unknown: [UInt8] = [0, 0, 0, 2, 0, 0, 0, 3, 9, 0, 0xff, 0xff]
        let bytes = long + unknown + good.encoded() + long
        var decoder = TtrpcFrameDecoder(maximumPayloadByteCount: 299)
        var items: [TtrpcFrameDecoder.Item] = []
        for start in stride(from: 0, to: bytes.count, by: pieceSize) {
            decoder.append(bytes[start..<min(start + pieceSize, bytes.count)])
            while let item = decoder.nextItem() { items.append(item) }
        }
        let tooLong = TtrpcFrameDecoder.Item.refused(streamID: 1, WireError(.tooLarge, "ttrpc frame of 300 bytes"))
        #expect(
            items == [tooLong, .refused(streamID: 3, WireError(.malformed, "ttrpc frame of type 9")), .frame(good), tooLong])
        #expect(decoder.pendingByteCount == 0)
    }

    @Test("Counters without a value are left out, and so is a part with nothing in it")
    func counters() {
        var message = CounterMessage()
        message.number(1, 300)
        message.number(2, nil)
        message.part(3) { $0.number(1, 0) }
        message.part(4) { $0.text(1, "a") }
        #expect(message.packed(as: "x") == ProtobufAny(typeURL: "x", value: [0x08, 0xac, 0x02, 0x22, 3, 0x0a, 1, 0x61]))
    }

    @Test("A refusal is thrown as the status that it carries")
    func refusal() {
        let response = TtrpcResponse(status: TtrpcStatus(.alreadyExists, "container box"))
        #expect(throws: TtrpcStatus(.alreadyExists, "container box")) { try response.result(ProtobufEmpty.self) }
    }

    @Test("Events keep their contents through containerd's differing field numbers")
    func events() throws {
        let exit = TaskExitEvent(
            containerID: "box", processID: "one", pid: 5, exitStatus: 137, exitedAt: ProtobufTimestamp(unixNanoseconds: 7))
        let process = TaskProcessEvent(containerID: "box", execID: "one", pid: 5)
        let all: [TaskEvent] = [
            .create(TaskCreateEvent()), .start(TaskProcessEvent(containerID: "box", pid: 5)), .exit(exit), .delete(exit),
            .outOfMemory(containerID: "box"), .execAdded(TaskProcessEvent(containerID: "box", execID: "one")), .execStarted(process),
            .paused(containerID: "box"), .resumed(containerID: "box"),
        ]
        for event in all {
            let envelope = EventEnvelope(timestamp: ProtobufTimestamp(unixNanoseconds: 1), namespace: "n", event: event)
            #expect(try EventEnvelope(decoding: envelope.encoded()).taskEvent() == event)
        }
    }
}
