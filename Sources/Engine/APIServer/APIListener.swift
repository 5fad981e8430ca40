package import Engine
internal import EngineAPI
package import Logging
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// The Docker Engine API of one engine, on listening sockets.
package struct APIListener: Sendable {
    /// Connections that are served at once; a further one is closed.
    package static let maximumConnections = 1024

    private let router: Router
    private let patience: Connection.Patience
    private let logger: Logger

    /// Serves `engine`.
    package init(engine: ContainerEngine, logger: Logger) {
        self.init(routes: EngineRoutes(engine: engine).all + LaterRoutes.all, logger: logger)
    }

    /// Serves `routes`.
    package init(routes: [Route], patience: Connection.Patience = Connection.Patience(), logger: Logger) {
        router = Router(routes)
        self.patience = patience
        self.logger = logger
    }

    /// Serves connections of bound sockets until the task is cancelled, and closes them all then.
    /// - Parameter sockets: stream sockets, bound or listening; they are closed at the end.
    package func run(sockets: [Int32]) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for socket in sockets {
                    let listener = try await ServerBootstrap(group: group)
                        .childChannelOption(.allowRemoteHalfClosure, value: true)
                        .bind(socket) { channel in
                            channel.eventLoop.makeCompletedFuture { try configure(channel) }
                        }
                    tasks.addTask { try await accept(listener) }
                }
                try await tasks.waitForAll()
            }
        } catch {
            try await group.shutdownGracefully()
            if !(error is CancellationError) { throw error }
            return
        }
        try await group.shutdownGracefully()
    }

    private func accept(_ listener: NIOAsyncChannel<Connection, Never>) async throws {
        try await listener.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                let gate = ConnectionGate(limit: Self.maximumConnections)
                for try await connection in connections {
                    guard gate.enter() else {
                        logger.warning("too many connections", metadata: ["limit": "\(Self.maximumConnections)"])
                        connection.channel.close(promise: nil)
                        continue
                    }
                    group.addTask {
                        await connection.run()
                        gate.leave()
                    }
                }
            }
        }
    }

    /// Prepares a new connection's pipeline; runs on its event loop.
    package func configure(_ channel: any Channel) throws -> Connection {
        let queue = InboundQueue()
        let departure = ClientDeparture()
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(
            ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: Self.headerLimits)))
        try pipeline.addHandler(ExchangeHandler())
        try pipeline.addHandler(InboundQueueHandler(queue: queue, departure: departure))
        return Connection(channel: channel, queue: queue, departure: departure, router: router, patience: patience, logger: logger)
    }

    /// One header may hold a registry's whole token.
    private static var headerLimits: NIOHTTPDecoderLimitConfiguration {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 64 << 10
        limits.maxHeaderListSize = 256 << 10
        limits.maxHeaderFieldCount = 128
        return limits
    }
}

/// Counts what is open.
private final class ConnectionGate: Sendable {
    private let limit: Int
    private let count = Mutex(0)

    init(limit: Int) { self.limit = limit }

    /// Whether there was room.
    func enter() -> Bool {
        count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
    }

    func leave() { count.withLock { $0 -= 1 } }
}
