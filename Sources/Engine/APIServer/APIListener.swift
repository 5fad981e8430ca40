package import Engine
package import EngineAPI
package import Logging
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization
package import TLSTransport
package import Tracing

/// Where and how clients are served.
package struct ListeningPlace: Sendable {
    /// Where.
    package enum Address: Sendable {
        /// A stream socket, bound or listening; it is closed at the end.
        case descriptor(Int32)
        /// A host's name or address, and a port.
        case internet(host: String, port: Int)
    }

    let address: Address
    /// Asked for each connection, so that what is renewed serves the next one; nil is no TLS.
    let tls: (@Sendable () -> TLSContext)?
    let routes: [Route]
    let admission: Admission
    /// Of the versions of the API that are spoken there.
    package var oldest = APIVersion.oldest

    /// Serves `routes` there.
    package init(
        _ address: Address, routes: [Route], tls: (@Sendable () -> TLSContext)? = nil, admission: Admission = .everyone
    ) {
        self.address = address
        self.routes = routes
        self.tls = tls
        self.admission = admission
    }
}

/// The Docker Engine API of one engine, on listening sockets.
package struct APIListener: Sendable {
    /// Connections of one place that are served at once; a further one is closed. Who takes all that a port has keeps nobody from the socket.
    package static let maximumConnections = 1024

    private let patience: Connection.Patience
    private let workers: (any TaskExecutor)?
    private let tracer: Tracer?
    private let logger: Logger

    /// Every request that `engine` serves.
    package static func routes(of engine: ContainerEngine) -> [Route] {
        served(by: engine) + LaterRoutes.all
    }

    /// What of it is served, and described.
    package static func served(by engine: ContainerEngine) -> [Route] {
        EngineRoutes(engine: engine).all + MetricsRoutes(engine: engine).all + [APIDescription.route]
    }

    /// - Parameter patience: what connections are served with.
    /// - Parameter workers: serve what takes longer than an event loop may be held up; nil is whatever serves the connection.
    /// - Parameter tracer: where requests begin spans; nil is nowhere.
    package init(
        patience: Connection.Patience = Connection.Patience(), workers: (any TaskExecutor)? = nil, tracer: Tracer? = nil, logger: Logger
    ) {
        self.patience = patience
        self.workers = workers
        self.tracer = tracer
        self.logger = logger
    }

    /// Serves connections until the task is cancelled, and closes them all then.
    /// - Parameter ready: called when every place is listened at.
    package func run(_ places: [ListeningPlace], ready: @Sendable () throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let connectionTasks = EventLoopTasks(group.next())
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                // Nobody is served anywhere before everybody is.
                let listeners = try await listen(at: places, group)
                for listener in listeners { tasks.addTask(executorPreference: connectionTasks) { try await accept(listener) } }
                try ready()
                try await tasks.waitForAll()
            }
        } catch {
            try await group.shutdownGracefully()
            if !(error is CancellationError) { throw error }
            return
        }
        try await group.shutdownGracefully()
    }

    private func listen(at places: [ListeningPlace], _ group: MultiThreadedEventLoopGroup) async throws -> [NIOAsyncChannel<
        Connection, Never
    >] {
        var listeners: [NIOAsyncChannel<Connection, Never>] = []
        do {
            for place in places { listeners.append(try await listen(at: place, group)) }
            return listeners
        } catch {
            for listener in listeners { try await listener.executeThenClose { _ in } }
            throw error
        }
    }

    private func listen(at place: ListeningPlace, _ group: MultiThreadedEventLoopGroup) async throws -> NIOAsyncChannel<Connection, Never> {
        let service = Service(place)
        let bootstrap = ServerBootstrap(group: group).childChannelOption(.allowRemoteHalfClosure, value: true)
        switch place.address {
        case .descriptor(let socket):
            return try await bootstrap.bind(socket) { channel in
                channel.eventLoop.makeCompletedFuture { try configure(channel, for: service) }
            }
        case .internet(let host, let port):
            do {
                return try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1).bind(host: host, port: port) {
                    channel in
                    channel.eventLoop.makeCompletedFuture { try configure(channel, for: service) }
                }
            } catch { throw ListeningError(host: host, port: port, reason: "\(error)") }
        }
    }

    private func accept(_ listener: NIOAsyncChannel<Connection, Never>) async throws {
        try await listener.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    let gate = connection.service.gate
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
    package func configure(_ channel: any Channel, for service: Service) throws -> Connection {
        let queue = InboundQueue()
        let departure = ClientDeparture()
        let pipeline = channel.pipeline.syncOperations
        // A client whose machine sleeps or is gone says so never.
        if channel.localAddress?.protocol != .unix {
            for (option, value) in Self.keepAlive { try channel.syncOptions?.setOption(option, value: value) }
        }
        if let tls = service.tls { try pipeline.addHandler(try TLSHandler(tls(), host: nil)) }
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(
            ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: Self.headerLimits)))
        try pipeline.addHandler(ExchangeHandler())
        try pipeline.addHandler(InboundQueueHandler(queue: queue, departure: departure))
        return Connection(
            channel: channel, queue: queue, departure: departure, service: service, patience: patience, workers: workers, tracer: tracer,
            logger: logger)
    }

    /// Asks a silent client every 15 seconds, as dockerd does, and gives it up after as many questions as the kernel is set to.
    /// - Source: tcp(7); TCP_KEEPIDLE is 4 and TCP_KEEPINTVL 5 in linux/tcp.h.
    private static let keepAlive: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] = [
        (.init(level: .tcp, name: .init(rawValue: 4)), 15), (.init(level: .tcp, name: .init(rawValue: 5)), 15),
        (.init(level: .socket, name: .so_keepalive), 1),
    ]

    /// One header may hold a registry's whole token.
    private static var headerLimits: NIOHTTPDecoderLimitConfiguration {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 64 << 10
        limits.maxHeaderListSize = 256 << 10
        limits.maxHeaderFieldCount = 128
        return limits
    }
}

/// What connections of one place are served with.
package struct Service: Sendable {
    let router: Router
    let tls: (@Sendable () -> TLSContext)?
    let admission: Admission
    let gate = ConnectionGate(limit: APIListener.maximumConnections)

    /// What `place` asks for.
    package init(_ place: ListeningPlace) {
        router = Router(place.routes, oldest: place.oldest)
        tls = place.tls
        admission = place.admission
    }
}

/// Why nobody is served at an address.
package struct ListeningError: Error, CustomStringConvertible {
    let host: String
    let port: Int
    let reason: String

    package var description: String { "cannot serve tcp://\(host):\(port): \(reason)" }
}

/// Counts what is open.
final class ConnectionGate: Sendable {
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
