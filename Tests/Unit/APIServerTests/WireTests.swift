import APIServer
import EngineAPI
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

/// A connection without a socket: bytes in, bytes out.
private struct Wire: Sendable {
    let channel = NIOAsyncTestingChannel()
    let serving: Task<Void, Never>

    /// Serves `routes`. The task ends with the connection.
    init(_ routes: [Route]) async throws {
        let channel = channel
        let listener = APIListener(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let service = Service(ListeningPlace(.descriptor(-1), routes: routes))
        let connection = try await channel.testingEventLoop.executeInContext { try listener.configure(channel, for: service) }
        try await channel.connect(to: SocketAddress(unixDomainSocketPath: "/nowhere"))
        serving = Task { await connection.run() }
    }

    func send(_ text: String) async throws { try await channel.writeInbound(ByteBuffer(string: text)) }

    /// Reads until the answer holds `end`.
    func receive(until end: String) async throws -> String {
        var text = ""
        while !text.contains(end) {
            let bytes = try await channel.waitForOutboundWrite(as: ByteBuffer.self)
            text += String(buffer: bytes)
        }
        return text
    }

    func close() async throws {
        try await channel.close()
        await serving.value
    }

    /// Lets minute after minute pass until the server has ended the connection.
    func letTimePass() async {
        // Ends when it is cancelled below.
        let clock = Task { while !Task.isCancelled { await channel.testingEventLoop.advanceTime(by: .minutes(1)) } }
        await serving.value
        clock.cancel()
        await clock.value
    }
}

@Suite("HTTP on the wire", .timeLimit(.minutes(1)))
struct WireTests {
    private let ping = Route(.GET, "/_ping") { request in
        .whole(.ok, ["Content-Type": "text/plain"], Array("OK \(request.version)".utf8))
    }

    @Test("requests of one connection are answered one after another, with the server's headers")
    func keepAlive() async throws {
        let wire = try await Wire([ping])
        try await wire.send("GET /v1.41/_ping HTTP/1.1\r\nHost: d\r\n\r\nGET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        let answers = try await wire.receive(until: "OK 1.51")
        #expect(answers.contains("OK 1.41"))
        for header in ["Api-Version: 1.51", "Ostype: linux", "Docker-Experimental: false", "Server: Apus/"] {
            #expect(answers.contains(header))
        }
        try await wire.close()
    }

    @Test("errors are docker's JSON, and a state that is so already has no body")
    func errors() async throws {
        let wire = try await Wire([Route(.POST, "/a") { _ in throw APIError(.notModified, "") }])
        try await wire.send("GET /b HTTP/1.1\r\nHost: d\r\n\r\n")
        #expect(try await wire.receive(until: "}").hasSuffix("{\"message\":\"page not found\"}\n") == true)
        try await wire.send("POST /a HTTP/1.1\r\nHost: d\r\n\r\n")
        let answer = try await wire.receive(until: "\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 304") && answer.hasSuffix("\r\n\r\n"))
        try await wire.close()
    }

    @Test("a body above the limit is refused before it is read whole")
    func bodyLimit() async throws {
        let wire = try await Wire([ping])
        try await wire.send("POST /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: \(Connection.maximumBodyLength + 1)\r\n\r\n")
        let piece = String(repeating: "x", count: Connection.maximumBodyLength / 4)
        for _ in 0..<4 { try await wire.send(piece) }
        try await wire.send("x")
        #expect(try await wire.receive(until: "}").hasPrefix("HTTP/1.1 413"))
        await wire.serving.value
    }

    @Test("a client that stalls inside its request's body is told so, and cut off")
    func stalledBody() async throws {
        let wire = try await Wire([ping])
        try await wire.send("POST /_ping HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
        _ = try await wire.receive(until: "100 Continue\r\n\r\n")
        try await wire.send("abc")
        async let answer = wire.receive(until: "}")
        await wire.letTimePass()
        #expect(try await answer.hasPrefix("HTTP/1.1 408"))
    }

    @Test("a client that sends nothing, or half a head, is cut off without an answer", arguments: ["", "GET /_ping HTTP/1.1\r\nHost"])
    func stalledHead(sent: String) async throws {
        let wire = try await Wire([ping])
        if !sent.isEmpty { try await wire.send(sent) }
        await wire.letTimePass()
        #expect(try await wire.channel.readOutbound(as: ByteBuffer.self) == nil)
    }

    @Test("a connection that has been answered may be silent for as long, and no longer")
    func idle() async throws {
        let wire = try await Wire([ping])
        try await wire.send("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        _ = try await wire.receive(until: "OK 1.51")
        await wire.letTimePass()
    }

    @Test("time spent on an answer is not the client's")
    func longAnswer() async throws {
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let wire = try await Wire([waiting(for: gate)])
        try await wire.send("POST /wait HTTP/1.1\r\nHost: d\r\n\r\n")
        _ = try await wire.receive(until: "\r\n\r\n")
        await wire.channel.testingEventLoop.advanceTime(by: .hours(1))
        opener.finish()
        #expect(try await wire.receive(until: "0\r\n\r\n").contains("done"))
        try await wire.close()
    }

    @Test("what is no HTTP is answered once and ends the connection")
    func malformed() async throws {
        let wire = try await Wire([ping])
        // The decoder's error also comes out of the write.
        try? await wire.send("\u{16}\u{3}\u{1} hello\r\n\r\n")
        #expect(try await wire.receive(until: "}").hasPrefix("HTTP/1.1 400"))
        await wire.serving.value
    }

    @Test(
        "a request names its host once, or is an old one",
        arguments: [
            ("HTTP/1.1\r\n", "400", "missing required Host header"), ("HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "400", "too many Host headers"),
            ("HTTP/1.1\r\nHost:\r\n", "200", "OK 1.51"), ("HTTP/1.0\r\n", "200", "OK 1.51"),
        ])
    func host(head: String, status: String, words: String) async throws {
        let wire = try await Wire([ping])
        try await wire.send("GET /_ping \(head)\r\n")
        let answer = try await wire.receive(until: words)
        #expect(answer.split(separator: " ")[1] == status)
        if status == "200" && head.hasPrefix("HTTP/1.1") { try await wire.close() } else { await wire.serving.value }
    }

    /// Answers with the head at once, and with the body when the gate opens.
    private func waiting(for gate: AsyncStream<Void>) -> Route {
        Route(.POST, "/wait") { _ in
            .streamed(contentType: "application/json", headAtOnce: true) { writer in
                for await _ in gate {}
                try await writer.write(Array("done".utf8))
            }
        }
    }

    @Test("a streamed body's head can go out long before its first byte")
    func headFirst() async throws {
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let wire = try await Wire([waiting(for: gate)])
        try await wire.send("POST /wait HTTP/1.1\r\nHost: d\r\n\r\n")
        let head = try await wire.receive(until: "\r\n\r\n")
        #expect(head.hasPrefix("HTTP/1.1 200") && head.lowercased().contains("transfer-encoding: chunked"))
        opener.finish()
        #expect(try await wire.receive(until: "0\r\n\r\n").contains("done"))
        try await wire.close()
    }

    @Test("a producer that fails before its first byte is answered with the error's status, later by cutting the body off")
    func lateFailure() async throws {
        let early = Route(.GET, "/early") { _ in
            .streamed(contentType: "application/json", headAtOnce: false) { _ in throw APIError(.notFound, "gone") }
        }
        let late = Route(.GET, "/late") { _ in
            .streamed(contentType: "application/json", headAtOnce: false) { writer in
                try await writer.write([0x61])
                throw APIError(.notFound, "gone")
            }
        }
        let wire = try await Wire([early, late])
        try await wire.send("GET /early HTTP/1.1\r\nHost: d\r\n\r\n")
        #expect(try await wire.receive(until: "}").hasPrefix("HTTP/1.1 404"))
        try await wire.send("GET /late HTTP/1.1\r\nHost: d\r\n\r\n")
        #expect(try await wire.receive(until: "a").hasPrefix("HTTP/1.1 200"))
        await wire.serving.value
    }

    @Test("a client that leaves ends a stream that has nothing to say")
    func departure() async throws {
        let route = Route(.GET, "/silence") { _ in
            .streamed(contentType: "application/json", headAtOnce: true) { _ in try await Task.sleep(for: .seconds(3600)) }
        }
        let wire = try await Wire([route])
        try await wire.send("GET /silence HTTP/1.1\r\nHost: d\r\n\r\n")
        _ = try await wire.receive(until: "\r\n\r\n")
        try await wire.channel.testingEventLoop.executeInContext {
            wire.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        await wire.serving.value
    }

    /// Answers every piece in upper case until the client ends, then says so.
    private let echo = Route(.POST, "/attach") { _ in
        .hijacked(contentType: StreamMediaType.multiplexed) { stream in
            do {
                while let bytes = try await stream.read() {
                    try await stream.write(Array(String(decoding: bytes, as: UTF8.self).uppercased().utf8))
                }
                try await stream.write(Array("END".utf8))
            } catch {
                Issue.record(error)
            }
        }
    }

    @Test("an upgrade is answered with 101 and turns the connection into bytes, those sent along included")
    func upgrade() async throws {
        let wire = try await Wire([echo])
        try await wire.send(
            "POST /attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}early ")
        var text = try await wire.receive(until: "EARLY ")
        #expect(text.hasPrefix("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"))
        try await wire.send("GET / HTTP/1.1\r\n\r\n")
        text = try await wire.receive(until: "HTTP/1.1\r\n\r\n")
        #expect(text == "GET / HTTP/1.1\r\n\r\n")
        try await endInput(of: wire)
        #expect(try await wire.receive(until: "END") == "END")
        await wire.serving.value
    }

    @Test("without an upgrade the head is 200 and the bytes are raw, as docker's oldest clients expect")
    func hijackWithoutUpgrade() async throws {
        let wire = try await Wire([echo])
        try await wire.send("POST /attach HTTP/1.1\r\nHost: d\r\n\r\n")
        let head = try await wire.receive(until: "\r\n\r\n")
        #expect(head.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"))
        #expect(!head.lowercased().contains("transfer-encoding"))
        try await wire.send("abc")
        #expect(try await wire.receive(until: "ABC") == "ABC")
        try await endInput(of: wire)
        _ = try await wire.receive(until: "END")
        await wire.serving.value
    }

    private func endInput(of wire: Wire) async throws {
        try await wire.channel.testingEventLoop.executeInContext {
            wire.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
    }

    @Test("output types follow the client's version")
    func mediaTypes() {
        #expect(StreamMediaType.of(isTerminal: false, for: APIVersion(1, 41)) == StreamMediaType.raw)
        #expect(StreamMediaType.of(isTerminal: false, for: APIVersion(1, 42)) == StreamMediaType.multiplexed)
        #expect(StreamMediaType.of(isTerminal: true, for: APIVersion(1, 50)) == StreamMediaType.raw)
    }
}
