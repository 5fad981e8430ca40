package import NIOCore

/// Puts TLS between a channel's socket and the rest of its pipeline. The peer's end of its side is passed on as the end of the input, and
/// ours is told to it, so that half-closed connections work as they do without.
package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let session: TLSSession
    private var isSecure = false
    private var hasPeerEnded = false
    private var hasFailed = false
    private var waiting: [(bytes: [UInt8], promise: EventLoopPromise<Void>?)] = []
    /// Kept when the handshake ends: with its error, if it failed.
    private let secured: EventLoopPromise<Void>?

    /// - Parameters:
    ///   - host: whom a client means to reach; nil for a server.
    ///   - secured: kept when the peer is known.
    package init(_ context: TLSContext, host: String?, secured: EventLoopPromise<Void>? = nil) throws(TLSError) {
        session = try TLSSession(context, host: host)
        self.secured = secured
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { proceed(context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        proceed(context)
        context.fireChannelActive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasFailed else { return }
        do throws(TLSError) {
            try session.receive(Array(unwrapInboundIn(data).readableBytesView))
        } catch { return fail(context, error) }
        proceed(context)
    }

    /// Goes on with the handshake, then hands on what the peer said.
    private func proceed(_ context: ChannelHandlerContext) {
        do throws(TLSError) {
            if !isSecure {
                isSecure = try session.handshake()
                flush(context)
                guard isSecure else { return }
                secured?.succeed()
                for (bytes, promise) in waiting { try put(context, bytes, promise) }
                waiting = []
                context.flush()
            }
            try handOn(context)
        } catch { fail(context, error) }
    }

    private func handOn(_ context: ChannelHandlerContext) throws(TLSError) {
        while !hasPeerEnded {
            switch try session.read() {
            case .bytes(let bytes): context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: bytes)))
            case .nothing: return flush(context)
            case .end:
                hasPeerEnded = true
                context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            }
        }
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = Array(unwrapOutboundIn(data).readableBytesView)
        guard isSecure else { return waiting.append((bytes, promise)) }
        do throws(TLSError) { try put(context, bytes, promise) } catch {
            promise?.fail(error)
            fail(context, error)
        }
    }

    private func put(_ context: ChannelHandlerContext, _ bytes: [UInt8], _ promise: EventLoopPromise<Void>?) throws(TLSError) {
        try session.write(bytes)
        context.write(wrapOutboundOut(ByteBuffer(bytes: session.outgoing())), promise: promise)
    }

    private func flush(_ context: ChannelHandlerContext) {
        let bytes = session.outgoing()
        if !bytes.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if isSecure, !hasFailed, mode != .input {
            session.close()
            flush(context)
        }
        context.close(mode: mode, promise: promise)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            // Told already; or cut off, which is not the end that the peer meant.
            if !hasPeerEnded { fail(context, TLSError(isSecure ? "the connection was cut off" : "the peer hung up in the handshake")) }
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        abandon(TLSError("the peer hung up"))
        context.fireChannelInactive()
    }

    /// A connection that was never made becomes inactive without having been active, which nobody is told.
    package func handlerRemoved(context: ChannelHandlerContext) { abandon(TLSError("the connection was not made")) }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        abandon(error)
        context.fireErrorCaught(error)
    }

    private func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
        guard !hasFailed else { return }
        hasFailed = true
        // An alert that says why, if there is one.
        flush(context)
        abandon(error)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    private func abandon(_ error: any Error) {
        if !isSecure { secured?.fail(error) }
        for (_, promise) in waiting { promise?.fail(error) }
        waiting = []
    }
}
