internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import TLSTransport

/// One request at a time to a collector, each on a connection of its own: there is one in some seconds.
struct CollectorClient: Sendable {
    /// What a collector answered.
    struct Answer: Sendable {
        let status: Int
        /// Seconds after which it may be asked again; nil where it does not say.
        let retryAfter: Int64?
    }

    private let settings: TraceSettings
    private let group: MultiThreadedEventLoopGroup
    private let tls: TLSContext?
    private let isForFarewell: Bool

    /// - Parameter isForFarewell: whether it goes on though its task is cancelled.
    init(_ settings: TraceSettings, tls: TLSContext?, group: MultiThreadedEventLoopGroup, isForFarewell: Bool = false) {
        self.settings = settings
        self.group = group
        self.tls = tls
        self.isForFarewell = isForFarewell
    }

    /// Sends a body.
    /// - Throws: what kept it from an answer, at the latest when the time is over.
    func post(_ body: [UInt8]) async throws -> Answer {
        let answer = group.next().makePromise(of: Answer.self)
        if isForFarewell { return try await post(body, answer) }
        return try await withTaskCancellationHandler {
            try await post(body, answer)
        } onCancel: {
            answer.fail(CancellationError())
        }
    }

    private func post(_ body: [UInt8], _ answer: EventLoopPromise<Answer>) async throws -> Answer {
        let (tls, host) = (tls, settings.host)
        let timeout = TimeAmount.milliseconds(settings.timeoutMilliseconds)
        let connecting = ClientBootstrap(group: group).connectTimeout(timeout).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                if let tls { try pipeline.addHandler(try TLSHandler(tls, host: host)) }
                try pipeline.addHTTPClientHandlers()
                try pipeline.addHandler(AnswerHandler(answer))
            }
        }
        let channel: any Channel
        // Connecting has the bootstrap's own deadline, which is no longer.
        do { channel = try await connecting.connect(host: settings.host, port: settings.port).get() } catch {
            answer.fail(error)
            return try await answer.futureResult.get()
        }
        // The answer's time runs from here on, whether the collector reads, answers or does neither.
        let alarm = channel.eventLoop.scheduleTask(in: timeout) { answer.fail(CollectorSilence()) }
        defer {
            alarm.cancel()
            channel.close(promise: nil)
        }
        channel.write(HTTPClientRequestPart.head(head(bodyLength: body.count)), promise: nil)
        channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        return try await answer.futureResult.get()
    }

    private func head(bodyLength: Int) -> HTTPRequestHead {
        let name = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
        var headers: HTTPHeaders = [
            "Host": "\(name):\(settings.port)", "Content-Type": "application/x-protobuf", "Content-Length": "\(bodyLength)",
            "User-Agent": "OTel-OTLP-Exporter-Apus", "Connection": "close",
        ]
        for header in settings.headers { headers.replaceOrAdd(name: header.name, value: header.value) }
        return HTTPRequestHead(version: .http1_1, method: .POST, uri: settings.path, headers: headers)
    }
}

/// The collector took the request, or did not, and said nothing.
struct CollectorSilence: Error, CustomStringConvertible {
    let description = "no answer in time"
}

/// Waits for the head of the answer; of its body nothing is needed.
private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let answer: EventLoopPromise<CollectorClient.Answer>

    init(_ answer: EventLoopPromise<CollectorClient.Answer>) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data) else { return }
        answer.succeed(
            CollectorClient.Answer(
                status: Int(head.status.code), retryAfter: head.headers.first(name: "retry-after").flatMap { Int64($0) }))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        answer.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { answer.fail(ChannelError.eof) }
}
