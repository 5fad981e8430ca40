internal import EngineAPI
internal import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import TLSTransport

/// A client of the Docker Engine API. Each request has a connection of its own: on a unix socket one costs nothing,
/// and a stream never holds up another request.
public struct Client: Sendable {
    /// Where the daemon listens.
    public let endpoint: EngineEndpoint
    /// The API version that paths carry, `1.51`; nil for none.
    public let version: String?
    /// Headers that each request has besides its own.
    private let headers: [(name: String, value: String)]
    /// Makes the connection of an `ssh://`: a stream socket, which becomes the client's.
    private let dial: (@Sendable (SSHDestination) throws -> Int32)?

    /// A client of the daemon at `endpoint`; nothing is sent yet.
    /// - Parameters:
    ///   - headers: go with each request, but for those that it has itself.
    ///   - dial: makes the connection of an `ssh://`: a stream socket, whose other end a program has that ssh started.
    public init(
        endpoint: EngineEndpoint, version: String? = nil, headers: [(name: String, value: String)] = [],
        dial: (@Sendable (SSHDestination) throws -> Int32)? = nil
    ) {
        self.endpoint = endpoint
        self.version = version
        self.headers = headers
        self.dial = dial
    }

    /// Sends a request and lends its answer to `body`; the connection ends with it.
    /// - Parameter upgrading: asks for a raw stream in place of HTTP after the answer's head.
    /// - Throws: `EngineClientError`, a refusal (status 400 and above) included; and what `body` throws.
    public func withAnswer<Result: Sendable>(
        to request: EngineRequest, upgrading: Bool = false, _ body: @Sendable (Answer) async throws -> Result
    ) async throws -> Result {
        if request.path.lacksName { throw EngineClientError.emptyName(kind: request.path.kind) }
        let (channel, coming) = try await connect()
        return try await channel.executeThenClose { inbound, outbound in
            do {
                try await send(request, upgrading: upgrading, over: outbound)
            } catch let error where error is IOError || error as? ChannelError == .ioOnClosedChannel {
                // A daemon that wants no more of an upload has answered before, and one that refuses a client has said why: the head
                // tells.
            }
            let head = try await withTaskCancellationHandler {
                try await coming.get()
            } onCancel: {
                // Whoever waits for the head of a daemon that does not answer waits no more.
                channel.channel.close(promise: nil)
            }
            let answer = Answer(head: head, inbound: inbound, outbound: outbound)
            if answer.status >= 400 { throw try await refusal(answer) }
            return try await body(answer)
        }
    }

    /// Sends a request and collects its whole answer.
    /// - Throws: as `withAnswer`; and when the answer is longer than `limitBytes`.
    public func answer(to request: EngineRequest, limitBytes: Int = 64 << 20) async throws -> [UInt8] {
        try await withAnswer(to: request) { try await $0.collect(limitBytes: limitBytes) }
    }

    private typealias Connection = (channel: NIOAsyncChannel<ResponsePart, RequestPart>, head: EventLoopFuture<HTTPResponseHead>)

    private func connect() async throws -> Connection {
        let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).channelOption(.allowRemoteHalfClosure, value: true)
        do {
            switch endpoint.place {
            case .unix(let path):
                return try await bootstrap.connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture { try Self.prepare(channel) }
                }
            case .tcp(let host, let port): return try await connect(bootstrap, host, port)
            case .ssh(let destination):
                guard let dial else {
                    throw EngineClientError.unsupportedEndpoint("\(endpoint)", reason: "this program does not speak ssh")
                }
                return try await bootstrap.withConnectedSocket(try dial(destination)) { [endpoint] channel in
                    channel.eventLoop.makeCompletedFuture {
                        try Self.prepare(channel, unanswered: .cannotConnect(endpoint, .dialEnded))
                    }
                }
            }
        } catch let error as IOError {
            throw EngineClientError.cannotConnect(endpoint, .init(errno: error.errnoCode))
        } catch let error as NIOConnectionError {
            throw EngineClientError.cannotConnect(endpoint, .unreachable("\(error)"))
        }
    }

    private func connect(_ bootstrap: ClientBootstrap, _ host: String, _ port: Int) async throws -> Connection {
        guard let security = endpoint.security else {
            return try await bootstrap.connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture { try Self.prepare(channel) }
            }
        }
        do {
            let files = TLSContext.Files(authorities: security.authorities, certificate: security.certificate, key: security.key)
            let context = try TLSContext(isServer: false, verifies: security.verifies, files)
            let (connection, secured) = try await bootstrap.connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let secured = channel.eventLoop.makePromise(of: Void.self)
                    try channel.pipeline.syncOperations.addHandler(try TLSHandler(context, host: host, secured: secured))
                    return (try Self.prepare(channel), secured.futureResult)
                }
            }
            // Where the other side is not whom it should be, nothing of the request goes out.
            do { try await secured.get() } catch {
                try? await connection.channel.executeThenClose { _, _ in }
                throw error
            }
            return connection
        } catch let error as TLSError { throw EngineClientError.insecure(endpoint, reason: error.description) }
    }

    /// - Parameter unanswered: what a connection has come to that ends before the answer's head; nil leaves it to how it ends.
    private static func prepare(_ channel: any Channel, unanswered: EngineClientError? = nil) throws -> Connection {
        let encoder = HTTPRequestEncoder()
        let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
        let head = channel.eventLoop.makePromise(of: HTTPResponseHead.self)
        try channel.pipeline.syncOperations.addHandlers([
            encoder, decoder, HTTPExchangeHandler(decoder: decoder, encoder: encoder, head: head, unanswered: unanswered),
        ])
        let connection = try NIOAsyncChannel<ResponsePart, RequestPart>(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        return (connection, head.futureResult)
    }

    private func send(
        _ request: EngineRequest, upgrading: Bool, over outbound: NIOAsyncChannelOutboundWriter<RequestPart>
    ) async throws {
        var headers = HTTPHeaders([("Host", "apus"), ("User-Agent", "apus")])
        for (name, value) in request.headers { headers.add(name: name, value: value) }
        if request.upload != nil {
            headers.add(name: "Transfer-Encoding", value: "chunked")
            headers.add(name: "Content-Type", value: "application/x-tar")
        } else {
            headers.add(name: "Content-Length", value: String(request.body?.count ?? 0))
        }
        if request.body != nil { headers.add(name: "Content-Type", value: "application/json") }
        if upgrading {
            headers.add(name: "Connection", value: "Upgrade")
            headers.add(name: "Upgrade", value: "tcp")
        }
        for (name, value) in self.headers where !headers.contains(name: name) && !Self.framing.contains(name.lowercased()) {
            headers.add(name: name, value: value)
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: .init(rawValue: request.method), uri: request.target(version: version), headers: headers)
        var parts: [RequestPart] = [.head(head)]
        if let body = request.body { parts.append(.body(ByteBuffer(bytes: body))) }
        if let upload = request.upload {
            try await outbound.write(contentsOf: parts)
            while let chunk = try await upload() { try await outbound.write(.body(ByteBuffer(bytes: chunk))) }
            parts = []
        }
        try await outbound.write(contentsOf: parts + [.end])
    }

    /// Headers that are the exchange's alone: they say where a body ends, and who goes on with the connection.
    private static let framing: Set<String> = ["connection", "content-length", "transfer-encoding", "upgrade"]

    private func refusal(_ answer: Answer) async throws -> EngineClientError {
        let bytes = try await answer.collect(limitBytes: 1 << 20)
        return .refused(status: answer.status, message: errorMessage(in: bytes, status: answer.status))
    }
}

/// What the daemon answers to one request, while the connection lasts.
public struct Answer: Sendable {
    private let head: HTTPResponseHead
    private let outbound: NIOAsyncChannelOutboundWriter<RequestPart>
    /// The rest of the answer: the body of a plain answer, or the raw stream after an upgrade. To be iterated once.
    public let bytes: AnswerBytes

    init(
        head: HTTPResponseHead, inbound: NIOAsyncChannelInboundStream<ResponsePart>,
        outbound: NIOAsyncChannelOutboundWriter<RequestPart>
    ) {
        self.head = head
        self.outbound = outbound
        bytes = AnswerBytes(parts: inbound)
    }

    /// The HTTP status.
    public var status: Int { Int(head.status.code) }

    /// The first header of that name, whatever its case.
    public func header(_ name: String) -> String? { head.headers.first(name: name) }

    /// Writes to the raw stream; returns when the connection takes more.
    public func write(_ bytes: [UInt8]) async throws {
        try await outbound.write(.raw(ByteBuffer(bytes: bytes)))
    }

    /// Ends this side of the raw stream; the other side goes on.
    public func finishWriting() { outbound.finish() }

    /// Reads the answer to its end.
    public func collect(limitBytes: Int) async throws -> [UInt8] {
        var collected: [UInt8] = []
        for try await chunk in bytes {
            collected += chunk
            if collected.count > limitBytes { throw EngineClientError.brokenExchange("more than \(limitBytes) bytes came") }
        }
        return collected
    }
}

/// The bytes of an answer as they come, with back-pressure: what is not asked for stays in the daemon. They can be
/// gone through once.
public struct AnswerBytes: AsyncSequence, Sendable {
    let parts: NIOAsyncChannelInboundStream<ResponsePart>

    /// The one iterator.
    public func makeAsyncIterator() -> Iterator { Iterator(parts: parts.makeAsyncIterator()) }

    /// Hands out chunks until the answer ends.
    public struct Iterator: AsyncIteratorProtocol {
        var parts: NIOAsyncChannelInboundStream<ResponsePart>.AsyncIterator

        /// - Returns: nil at the end, which for a raw stream is the daemon's closing of its side.
        public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws -> [UInt8]? {
            let part: ResponsePart?
            do { part = try await parts.next(isolation: actor) } catch is HTTPParserError {
                // Of all that can be wrong with the framing, the one that is met: the daemon is gone.
                throw EngineClientError.brokenExchange("the daemon closed the connection")
            }
            return switch part {
            case .bytes(let buffer)?: Array(buffer.readableBytesView)
            case .end?, nil: nil
            }
        }
    }
}
