internal import CoreTypes
internal import Engine
internal import EngineAPI
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// One request and its answer on the wire.
final class Exchange: Sendable {
    private let connection: Connection
    private let request: RawRequest?
    private let answered = Mutex(false)
    private let isHijacked = Mutex(false)
    /// Whether the body's end is that of the connection: HTTP/1.0 has no other for one whose length is not known.
    private let endsWithConnection = Mutex(false)

    /// - Parameter request: nil when none could be read.
    init(connection: Connection, request: RawRequest?) {
        self.connection = connection
        self.request = request
    }

    /// Whether the head has gone out.
    var hasAnswered: Bool { answered.withLock { $0 } }

    /// Whether another request may follow.
    var keepsConnection: Bool {
        guard let head = request?.head else { return false }
        // The parser stopped at an upgrade, whether we took it or not.
        return head.isKeepAlive && !head.headers.contains(name: "upgrade") && !isHijacked.withLock { $0 }
            && !endsWithConnection.withLock { $0 }
    }

    /// Whether the client speaks HTTP/1.0, where a connection ends after an answer unless both sides say otherwise.
    private var isOfOldProtocol: Bool { request?.head.version == .http1_0 }

    /// Sends an answer, to its end. - Returns: the status that went out.
    func answer(_ response: APIResponse) async throws -> HTTPResponseStatus {
        switch response {
        case .whole(let status, let headers, let body):
            try await sendWhole(status, headers, body)
            return status
        case .streamed(let contentType, let headAtOnce, let body):
            try await sendStream(contentType, headAtOnce: headAtOnce, body)
            return .ok
        case .hijacked(let contentType, let unheard, let session):
            return try await hijack(contentType, unheard, session)
        case .upgraded(let head, let unheard, let session):
            try await hijack(opening: head, unheard, session)
            return .switchingProtocols
        }
    }

    private func sendWhole(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, _ body: [UInt8]) async throws {
        var headers = headers
        if status != .notModified && status != .noContent { headers.replaceOrAdd(name: "Content-Length", value: "\(body.count)") }
        answered.withLock { $0 = true }
        var parts: [OutboundPart] = [.head(head(status, headers))]
        if !body.isEmpty && request?.head.method != .HEAD { parts.append(.body(ByteBuffer(bytes: body))) }
        try await connection.send(parts + [.end])
    }

    private func sendStream(
        _ contentType: String, headAtOnce: Bool, _ body: @escaping @Sendable (BodyWriter) async throws -> Void
    ) async throws {
        if isOfOldProtocol { endsWithConnection.withLock { $0 = true } }
        let writer = BodyWriter { parts, added in
            let isFirst = self.answered.withLock { answered in
                defer { answered = true }
                return !answered
            }
            var headers: HTTPHeaders = ["Content-Type": contentType]
            headers.add(contentsOf: added)
            let opening = isFirst ? [OutboundPart.head(self.head(.ok, headers))] : []
            try await self.connection.send(opening + parts)
        }
        if headAtOnce { try await writer.flushHead() }
        try await untilClientLeaves { try await body(writer) }
        try await writer.end()
    }

    /// Runs a producer, and cancels it when the client is gone: one that is silent would not notice otherwise.
    private func untilClientLeaves(_ operation: @escaping @Sendable () async throws -> Void) async throws {
        let departure = connection.departure
        try await withThrowingTaskGroup(of: Bool.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                try await operation()
                return true
            }
            group.addTask {
                await departure.inputEnded.wait()
                return false
            }
            guard try await group.next() == false else { return }
            // A write that waits for a client without ears would wait on.
            connection.channel.close(promise: nil)
            throw ChannelError.eof
        }
    }

    private func hijack(
        _ contentType: String, _ unheard: @Sendable () -> Void, _ session: @escaping @Sendable (HijackedStream) async -> Void
    ) async throws -> HTTPResponseStatus {
        let upgrades = request?.head.headers.contains(name: "upgrade") ?? false
        let opening =
            upgrades
            ? "HTTP/1.1 101 UPGRADED\r\nContent-Type: \(contentType)\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            : "HTTP/1.1 200 OK\r\nContent-Type: \(StreamMediaType.raw)\r\n"
        try await hijack(opening: opening, unheard, session)
        return upgrades ? .switchingProtocols : .ok
    }

    private func hijack(
        opening: String, _ unheard: @Sendable () -> Void, _ session: @escaping @Sendable (HijackedStream) async -> Void
    ) async throws {
        answered.withLock { $0 = true }
        isHijacked.withLock { $0 = true }
        let rest = ServerIdentity.headers.map { "\($0.name): \($0.value)\r\n" }.joined()
        do {
            try await connection.send([.hijack(ByteBuffer(string: opening + rest + "\r\n"))])
        } catch {
            unheard()
            throw error
        }
        let stream = HijackedStream(connection: connection)
        await session(stream)
        await stream.finish()
    }

    private func head(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) -> HTTPResponseHead {
        var all = ServerIdentity.headers
        all.add(contentsOf: headers)
        if !keepsConnection {
            all.replaceOrAdd(name: "Connection", value: "close")
        } else if isOfOldProtocol {
            all.replaceOrAdd(name: "Connection", value: "keep-alive")
        }
        return HTTPResponseHead(version: request?.head.version ?? .http1_1, status: status, headers: all)
    }
}

/// What this server says of itself in every answer.
enum ServerIdentity {
    static let headers: HTTPHeaders = [
        "Api-Version": "\(APIVersion.newest)", "Docker-Experimental": "false", "Ostype": "linux",
        "Server": "Apus/\(Product.version) (linux)",
    ]
}

/// A streamed body. Writes come from one task at a time.
package final class BodyWriter: Sendable {
    private let send: @Sendable ([OutboundPart], HTTPHeaders) async throws -> Void
    private let added = Mutex<HTTPHeaders>([:])

    init(send: @escaping @Sendable ([OutboundPart], HTTPHeaders) async throws -> Void) { self.send = send }

    /// Adds to the head, which goes out with the first bytes.
    func add(headers: HTTPHeaders) { added.withLock { $0.add(contentsOf: headers) } }

    /// Sends bytes and returns when the kernel has taken them.
    package func write(_ bytes: [UInt8]) async throws {
        if !bytes.isEmpty { try await send(.body(ByteBuffer(bytes: bytes))) }
    }

    /// Sends the head, if it has not gone out.
    func flushHead() async throws { try await send(.body(ByteBuffer())) }

    fileprivate func end() async throws { try await send(.end) }

    private func send(_ part: OutboundPart) async throws { try await send([part], added.withLock { $0 }) }
}

/// A connection of raw bytes, both ways.
package struct HijackedStream: Sendable {
    fileprivate let connection: Connection

    /// What the client sent; nil when it will send no more, or the task is cancelled.
    package func read() async throws -> [UInt8]? {
        while let part = try await connection.next() {
            if case .raw(let bytes) = part { return Array(bytes.readableBytesView) }
        }
        return nil
    }

    /// Sends bytes and returns when the kernel has taken them.
    package func write(_ bytes: [UInt8]) async throws {
        try await connection.send([.raw(ByteBuffer(bytes: bytes))])
    }

    /// Returns when the connection is closed, or the task is cancelled.
    func waitForClose() async { await connection.departure.closed.wait() }

    /// Ends our side, and lets the client end its own: closing over bytes that it still sends would take from it what we
    /// sent last.
    fileprivate func finish() async {
        // The client may have closed before us.
        try? await connection.channel.close(mode: .output).get()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { while let part = try? await read(), !part.isEmpty {} }
            group.addTask { try? await Pause.wait(for: Connection.farewell) }
            await group.next()
            group.cancelAll()
        }
    }
}
