internal import NIOCore
internal import NIOHTTP1

/// What a client sends, in either life of a connection.
enum InboundPart: Sendable {
    case head(HTTPRequestHead)
    case body(ByteBuffer)
    case end
    /// Bytes after the connection stopped being HTTP.
    case raw(ByteBuffer)
}

/// What a client is sent, in either life of a connection.
enum OutboundPart: Sendable {
    case head(HTTPResponseHead)
    case body(ByteBuffer)
    case end
    /// The last head, byte for byte; the connection stops being HTTP behind it.
    case hijack(ByteBuffer)
    /// Bytes after the connection stopped being HTTP.
    case raw(ByteBuffer)
}

/// Speaks HTTP in parts until a hijack, at which it takes the HTTP handlers and itself out of the pipeline.
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = InboundPart
    typealias OutboundIn = OutboundPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): context.fireChannelRead(wrapInboundOut(.head(head)))
        case .body(let bytes): context.fireChannelRead(wrapInboundOut(.body(bytes)))
        case .end: context.fireChannelRead(wrapInboundOut(.end))
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body(let bytes): context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: promise)
        case .end: context.write(wrapOutboundOut(.end(nil)), promise: promise)
        case .hijack(let head): hijack(context: context, head: head, promise: promise)
        case .raw: promise?.fail(ChannelError.inappropriateOperationForState)
        }
    }

    /// The encoder goes first, so that the head is written as it is. The decoder goes last, because it hands on what
    /// it holds of the client's bytes to whoever stands behind it then.
    private func hijack(context: ChannelHandlerContext, head: ByteBuffer, promise: EventLoopPromise<Void>?) {
        do {
            let pipeline = context.pipeline.syncOperations
            let encoder = try pipeline.context(handlerType: HTTPResponseEncoder.self)
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
            pipeline.removeHandler(context: encoder, promise: nil)
            try pipeline.addHandler(RawHandler(), position: .after(self))
            context.writeAndFlush(NIOAny(head), promise: promise)
            pipeline.removeHandler(context: context, promise: nil)
            pipeline.removeHandler(context: decoder, promise: nil)
        } catch {
            promise?.fail(error)
            context.close(promise: nil)
        }
    }
}

/// Passes bytes through, in the types of `ExchangeHandler`, after a hijack.
private final class RawHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = InboundPart
    typealias OutboundIn = OutboundPart
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(wrapInboundOut(.raw(unwrapInboundIn(data))))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .raw(let bytes) = unwrapOutboundIn(data) else {
            promise?.fail(ChannelError.inappropriateOperationForState)
            return
        }
        context.write(wrapOutboundOut(bytes), promise: promise)
    }
}
