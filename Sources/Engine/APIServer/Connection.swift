internal import EngineAPI
internal import Logging
package import NIOCore
internal import NIOHTTP1
internal import Tracing

/// One client's connection: requests one after another, then perhaps a hijack.
package struct Connection: Sendable {
    /// Bytes of a body that is read whole.
    package static let maximumBodyLength = 4 << 20
    /// How long a client may take to leave after the last byte of a hijacked stream.
    static let farewell = Duration.seconds(5)

    /// How long a client may take over its request.
    package struct Patience: Sendable {
        /// From the connection's begin, or the former answer's end, to the end of a request's head: for those who send nothing, and for
        /// those who send it byte by byte.
        package var forHead = TimeAmount.minutes(2)
        /// From the end of the head to that of the body, which is at most `maximumBodyLength`.
        package var forBody = TimeAmount.minutes(2)

        /// What every connection is served with.
        package init() {}
    }

    /// Why a connection is given up whose client stalls.
    private enum Stall: Error {
        case inHead
        case inBody
    }

    let channel: any Channel
    let queue: InboundQueue
    let departure: ClientDeparture
    let service: Service
    let patience: Patience
    /// Serve what is not quick; nil where the connection's own task does.
    let workers: (any TaskExecutor)?
    let tracer: Tracer?
    let logger: Logger

    /// Serves until the client leaves or the task is cancelled, and closes the connection.
    package func run() async {
        await withTaskCancellationHandler {
            await logPeer()
            do {
                while let request = try await nextRequest() {
                    guard try await serve(request) else { break }
                }
            } catch {
                await refuseBrokenRequest(error)
            }
            queue.stopWatching()
            // Already closed is what most clients leave behind.
            try? await channel.close().get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }

    /// Tells who has connected, where that is told.
    private func logPeer() async {
        guard logger.logLevel <= .debug else { return }
        var metadata: Logger.Metadata = [:]
        if let peer = await PeerCredentials(of: channel) {
            metadata = ["peer.pid": "\(peer.process)", "peer.uid": "\(peer.user)", "peer.gid": "\(peer.group)"]
        } else if let address = channel.remoteAddress {
            metadata = ["peer.address": "\(address)"]
        }
        logger.debug("connected", metadata: metadata)
    }

    func next() async throws -> InboundPart? {
        try await queue.next { channel.read() }
    }

    private func nextRequest() async throws -> RawRequest? {
        guard let head = try await nextHead() else { return nil }
        let target = Result { () throws(APIError) in try service.router.target(of: head) }
        if case .success(let target) = target, case .success(let found) = target.found, found.route.takesStream {
            try await invite(head)
            return RawRequest(head: head, target: .success(target), body: [], stream: RequestStream(self))
        }
        try await invite(head)
        guard let body = try await nextBody() else { return nil }
        return RawRequest(head: head, target: target, body: body, stream: nil)
    }

    /// Tells a client that waits for it to send its body.
    private func invite(_ head: HTTPRequestHead) async throws {
        if head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            try await send([.head(HTTPResponseHead(version: head.version, status: .continue))])
        }
    }

    private func nextHead() async throws -> HTTPRequestHead? {
        queue.expect(within: patience.forHead, or: Stall.inHead, on: channel.eventLoop)
        defer { queue.expectNothing() }
        guard let part = try await next() else { return nil }
        guard case .head(let head) = part else { throw APIError.badRequest("a body without a head") }
        try head.checkHost()
        return head
    }

    private func nextBody() async throws -> [UInt8]? {
        queue.expect(within: patience.forBody, or: Stall.inBody, on: channel.eventLoop)
        defer { queue.expectNothing() }
        var body: [UInt8] = []
        while let part = try await next() {
            switch part {
            case .body(let bytes):
                guard body.count + bytes.readableBytes <= Self.maximumBodyLength else {
                    throw APIError(.payloadTooLarge, "the body is longer than \(Self.maximumBodyLength) bytes")
                }
                body += bytes.readableBytesView
            case .end: return body
            case .head, .raw: throw APIError.badRequest("a head inside a body")
            }
        }
        return nil
    }

    /// Answers one request. - Returns: whether the connection goes on.
    private func serve(_ raw: RawRequest) async throws -> Bool {
        let started = ContinuousClock.now
        let exchange = Exchange(connection: self, request: raw)
        let span = tracer.flatMap { RequestSpan($0, raw.head) }
        var status: HTTPResponseStatus?
        defer { span?.end(status) }
        do {
            let (request, route) = try resolve(raw)
            status = try await answer(request, route, exchange, span)
        } catch let error where !exchange.hasAnswered {
            logRefusal(error, raw)
            status = try await exchange.answer(.refusal(APIError(error)))
        } catch {
            // The status is out: all that is left to say is that the body is not whole.
            logger.debug("answer cut off", metadata: ["http.path": "\(raw.head.uri.prefix(200))", "error": "\(error)"])
            return false
        }
        logger.debug(
            "served",
            metadata: [
                "http.method": "\(raw.head.method)", "http.path": "\(raw.head.uri.prefix(200))", "http.status": "\(status?.code ?? 0)",
                "duration": "\(ContinuousClock.now - started)",
            ])
        let isAtEnd = await raw.stream?.drain() ?? true
        return exchange.keepsConnection && isAtEnd
    }

    private func answer(
        _ request: APIRequest, _ route: Route, _ exchange: Exchange, _ span: RequestSpan?
    ) async throws -> HTTPResponseStatus {
        guard let span else { return try await answer(request, route, exchange) }
        return try await span.run(route) { try await answer(request, route, exchange) }
    }

    /// Whatever may take a while, computing or sending piece by piece, has other threads.
    private func answer(_ request: APIRequest, _ route: Route, _ exchange: Exchange) async throws -> HTTPResponseStatus {
        if route.isQuick(request) { return try await exchange.answer(try await route.handler(request)) }
        let response = try await withTaskExecutorPreference(workers) { try await route.handler(request) }
        if case .whole = response { return try await exchange.answer(response) }
        return try await withTaskExecutorPreference(workers) { try await exchange.answer(response) }
    }

    private func resolve(_ raw: RawRequest) throws(APIError) -> (APIRequest, Route) {
        let target = try raw.target.get()
        try service.admission.check(raw.head)
        let (route, captures) = try target.found.get()
        var request = APIRequest(
            method: raw.head.method, path: target.path, version: target.version, query: target.query, headers: raw.head.headers,
            body: raw.body, captures: captures)
        request.stream = raw.stream
        return (request, route)
    }

    private func logRefusal(_ error: any Error, _ raw: RawRequest) {
        let metadata: Logger.Metadata = [
            "http.method": "\(raw.head.method)", "http.path": "\(raw.head.uri.prefix(200))", "error": "\(error)",
        ]
        let isOurs = APIError(error).status.code >= 500 && APIError(error).status != .notImplemented
        logger.log(level: isOurs ? .error : .debug, "refused", metadata: metadata)
    }

    /// What cannot be read as HTTP is answered once and ends the connection.
    private func refuseBrokenRequest(_ error: any Error) async {
        let refusal: APIError
        switch error {
        case let error as APIError: refusal = error
        case Stall.inBody, is RequestStall:
            refusal = APIError(.requestTimeout, "the request's body did not come within \(patience.forBody.nanoseconds / 1_000_000_000) s")
        // Most who are silent here have nothing to ask; and who sends half a head reads no answer.
        case Stall.inHead: return logger.debug("connection ended", metadata: ["error": "no request in time"])
        case HTTPParserError.headerOverflow: refusal = APIError(.requestHeaderFieldsTooLarge, "the headers are too long")
        case let error as HTTPParserError: refusal = .badRequest("malformed HTTP request: \(error)")
        default: return logger.debug("connection ended", metadata: ["error": "\(error)"])
        }
        let exchange = Exchange(connection: self, request: nil)
        do {
            _ = try await exchange.answer(.refusal(refusal))
        } catch {
            logger.debug("connection ended", metadata: ["error": "\(error)"])
        }
    }

    /// Sends parts and returns when the kernel has taken them: a slow client slows the caller.
    func send(_ parts: [OutboundPart]) async throws {
        guard let last = parts.last else { return }
        // All at once: from another thread the event loop is woken once.
        let write: @Sendable () -> EventLoopFuture<Void> = { [channel] in
            for part in parts.dropLast() { channel.write(part, promise: nil) }
            return channel.writeAndFlush(last)
        }
        try await (channel.eventLoop.inEventLoop ? write() : channel.eventLoop.flatSubmit(write)).get()
    }
}

extension HTTPRequestHead {
    /// - Throws: for a request that does not name its host once, in the words of Go's server, which is dockerd's.
    /// - Source: RFC 9112, section 3.2.
    fileprivate func checkHost() throws(APIError) {
        let hosts = headers["host"]
        if hosts.count > 1 { throw .badRequest("too many Host headers") }
        let isOld = version.major < 1 || version.major == 1 && version.minor < 1
        if hosts.isEmpty && !isOld && method != .CONNECT { throw .badRequest("missing required Host header") }
    }
}

/// Who was at the other end of a unix socket when it was connected.
/// - Source: unix(7), SO_PEERCRED: struct ucred.
private struct PeerCredentials: Sendable {
    private static let option = NIOBSDSocket.Option(rawValue: 17)

    let process: Int32
    let user: UInt32
    let group: UInt32

    /// nil for any other socket.
    init?(of channel: any Channel) async {
        guard case .unixDomainSocket? = channel.localAddress, let socket = channel as? any SocketOptionProvider else { return nil }
        do {
            self = try await socket.unsafeGetSocketOption(level: .socket, name: Self.option).get()
        } catch { return nil }
    }
}

/// A request as it came.
struct RawRequest: Sendable {
    let head: HTTPRequestHead
    let target: Result<RequestTarget, APIError>
    let body: [UInt8]
    /// The body, where what serves the request reads it.
    let stream: RequestStream?
}
