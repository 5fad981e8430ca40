import OCISpec
import RuntimeCore
import Testing

@Suite("Messages between the runtime and its stages")
struct StageMessageTests {
    @Test(
        "every message is read as it was written",
        arguments: [
            .forked(process: 7), .identityReady, .cgroupReady, .rootMounted, .hooksDone, .prepared, .proceed, .listening(descriptor: 0),
            .serving, .namespaces([.mount, .user]), .namespaces([]), .remark("a: b"),
            .failed(RuntimeError(.payload, doing: "executing /bin/x", "no such file")), .failed(RuntimeError(.lost, "gone")),
        ] as [StageMessage])
    func roundTrip(_ message: StageMessage) { #expect(StageMessage(message.encoded) == message) }

    @Test("the first byte is the kind's number, which another version's container still understands")
    func numbers() {
        let kinds: [StageMessage] = [
            .forked(process: 1), .identityReady, .rootMounted, .hooksDone, .prepared, .proceed, .remark(""),
            .failed(RuntimeError(.hook, "")), .cgroupReady, .listening(descriptor: 3), .serving, .namespaces([]),
        ]
        #expect(kinds.map { $0.encoded[0] } == Array(1...12))
    }

    @Test(
        "bytes that are no message are none",
        arguments: [
            [], [0], [13], [255], [1], [1, 0x30], [1, 0x2d, 0x31], [1, 0x61], [10], [10, 0x2d, 0x31], [8], [8, 1], [8, 0, 0x61, 0],
            [12, 0x61], [12, 0x2c, 0x70, 0x69, 0x64, 0x2c, 0x78],
        ] as [[UInt8]])
    func malformed(_ bytes: [UInt8]) { #expect(StageMessage(bytes) == nil) }

    @Test("a text that is longer than a message loses its end, and nothing else")
    func long() throws {
        let message = StageMessage.remark(String(repeating: "x", count: StageMessage.limitBytes + 5))
        #expect(message.encoded.count == StageMessage.limitBytes)
        guard case .remark(let text) = StageMessage(message.encoded) else { throw RuntimeError(.lost, "no remark") }
        #expect(text.utf8.count == StageMessage.limitBytes - 1 && text.allSatisfy { $0 == "x" })
    }
}
