internal import NIOCore
internal import NIOHTTP1

/// One request to the daemon.
public struct EngineRequest: Sendable {
    /// `GET`, `POST`, `DELETE`.
    public let method: String
    /// The path below the version, `/containers/json`.
    public let path: RequestPath
    /// Parameters, unescaped.
    public let query: [(name: String, value: String)]
    /// Headers besides those of the exchange itself.
    public let headers: [(name: String, value: String)]
    /// A JSON document; nil for none.
    public let body: [UInt8]?
    /// A body of any length in place of `body`, chunk by chunk; nil is its end.
    public var upload: (@Sendable () async throws -> [UInt8]?)?

    /// A request with nothing but what is named.
    public init(
        _ method: String, _ path: RequestPath, query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)] = [], body: [UInt8]? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// Path and query as they stand in the request line.
    func target(version: String?) -> String {
        let pairs = query.map { escaped($0.name, keeping: "") + "=" + escaped($0.value, keeping: "") }
        let prefix = version.map { "/v\($0)" } ?? ""
        return prefix + escaped(path.text, keeping: "/:@") + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters and `keeping`.
private func escaped(_ text: String, keeping: String) -> String {
    let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8).union(keeping.utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        if plain.contains(byte) {
            bytes.append(byte)
        } else {
            bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// What comes back over a connection after the head: chunks of body, or of the raw stream after an upgrade.
enum ResponsePart: Sendable {
    case bytes(ByteBuffer)
    /// The body is whole.
    case end
}

/// What goes out: one request's head and body, then, after an upgrade, raw bytes.
enum RequestPart: Sendable {
    case head(HTTPRequestHead)
    case body(ByteBuffer)
    case end
    case raw(ByteBuffer)
}

/// Translates between HTTP parts and ours, and hands the connection over to `RawStreamHandler` when the daemon
/// answers 101: the HTTP decoder leaves last and forwards the bytes that it had read too far.
final class HTTPExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = ResponsePart
    typealias OutboundIn = RequestPart
    typealias OutboundOut = HTTPClientRequestPart

    private let decoder: any RemovableChannelHandler
    private let encoder: any RemovableChannelHandler
    private let head: EventLoopPromise<HTTPResponseHead>
    private let unanswered: EngineClientError?
    /// The head of an upgrade, kept until the connection is raw.
    private var upgradeHead: HTTPResponseHead?
    /// Whether `RawStreamHandler` keeps the promise of a head.
    private var isHandedOver = false

    /// - Parameter head: kept with the answer's head, or broken when none comes: with `unanswered`, or else with how the connection ended.
    init(
        decoder: any RemovableChannelHandler, encoder: any RemovableChannelHandler, head: EventLoopPromise<HTTPResponseHead>,
        unanswered: EngineClientError?
    ) {
        self.decoder = decoder
        self.encoder = encoder
        self.head = head
        self.unanswered = unanswered
    }

    func channelInactive(context: ChannelHandlerContext) {
        lose("the daemon closed the connection")
        context.fireChannelInactive()
    }

    /// A connection that was never made becomes inactive without having been active, which nobody is told.
    func handlerRemoved(context: ChannelHandlerContext) {
        if !isHandedOver { lose("the connection has ended") }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is IOError { lose("\(error)") } else { head.fail(EngineClientError.brokenExchange("\(error)")) }
        context.fireErrorCaught(error)
    }

    private func lose(_ what: String) { head.fail(unanswered ?? .brokenExchange(what)) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            if head.status == .switchingProtocols { upgradeHead = head } else { self.head.succeed(head) }
        case .body(let buffer):
            context.fireChannelRead(wrapInboundOut(.bytes(buffer)))
        case .end:
            if let upgradeHead { becomeRaw(context, upgradeHead) } else { context.fireChannelRead(wrapInboundOut(.end)) }
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body(let buffer): context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: promise)
        case .end: context.write(wrapOutboundOut(.end(nil)), promise: promise)
        case .raw: promise?.fail(EngineClientError.brokenExchange("raw bytes were written before the upgrade"))
        }
    }

    /// The head is given out last: whoever waits for it may write raw bytes at once.
    private func becomeRaw(_ context: ChannelHandlerContext, _ upgradeHead: HTTPResponseHead) {
        let pipeline = context.pipeline.syncOperations
        let raw = RawStreamHandler(decoder: decoder, head: head, upgradeHead: upgradeHead)
        do {
            try pipeline.addHandler(raw, position: .after(self))
            isHandedOver = true
        } catch {
            return context.fireErrorCaught(error)
        }
        pipeline.removeHandler(encoder).assumeIsolated().whenComplete { _ in
            pipeline.removeHandler(context: context).assumeIsolated().whenComplete { _ in raw.begin(pipeline) }
        }
    }
}

/// Passes bytes through once the connection is no longer HTTP.
private final class RawStreamHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ResponsePart
    typealias OutboundIn = RequestPart
    typealias OutboundOut = ByteBuffer

    private let decoder: any RemovableChannelHandler
    private let head: EventLoopPromise<HTTPResponseHead>
    private let upgradeHead: HTTPResponseHead

    init(decoder: any RemovableChannelHandler, head: EventLoopPromise<HTTPResponseHead>, upgradeHead: HTTPResponseHead) {
        self.decoder = decoder
        self.head = head
        self.upgradeHead = upgradeHead
    }

    /// Takes the place of HTTP: the decoder forwards what it had read too far, then the head is given out.
    func begin(_ pipeline: ChannelPipeline.SynchronousOperations) {
        pipeline.removeHandler(decoder, promise: nil)
        head.succeed(upgradeHead)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        head.fail(EngineClientError.brokenExchange("the connection ended with the upgrade"))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(wrapInboundOut(.bytes(unwrapInboundIn(data))))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .raw(let buffer): context.write(wrapOutboundOut(buffer), promise: promise)
        case .head, .body, .end: promise?.fail(EngineClientError.brokenExchange("a request was written after the upgrade"))
        }
    }
}
