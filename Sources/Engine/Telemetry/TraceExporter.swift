package import Logging
internal import NIOCore
internal import NIOPosix
package import TLSTransport
package import Tracing

/// Sends the spans that have ended, some at a time. Whoever ends a span waits for none of this.
package struct TraceExporter: Sendable {
    /// How often a batch is tried that the collector cannot take just now.
    static let attempts = 4
    /// The longest time between two attempts.
    static let longestPause: Int64 = 30
    /// How long the end of the daemon waits for what is left.
    static let farewell = Duration.seconds(2)

    /// Where spans begin.
    package let tracer: Tracer
    private let settings: TraceSettings
    private let version: String
    private let tls: TLSContext?
    private let logger: Logger

    private typealias Batch = (body: [UInt8], count: Int)

    /// - Parameter now: nanoseconds since 1970.
    /// - Throws: `TLSError` for certificates that cannot be read.
    package init(_ settings: TraceSettings, version: String, logger: Logger, now: @escaping @Sendable () -> UInt64) throws(TLSError) {
        self.settings = settings
        self.version = version
        self.logger = logger
        tls = settings.isSecure ? try TLSContext(isServer: false, verifies: true, settings.files) : nil
        tracer = Tracer(capacity: settings.queueCapacity, now: now)
    }

    /// Sends until the task is cancelled, then what is left, within some seconds.
    package func run() async {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = CollectorClient(settings, tls: tls, group: group)
        var unsent: Batch?
        while !Task.isCancelled {
            await pause()
            while !Task.isCancelled, let batch = takeBatch() { unsent = await send(batch, client) }
            tellDropped()
        }
        await sendRest(unsent, group)
        do { try await group.shutdownGracefully() } catch {
            logger.warning("exporter of traces not ended", metadata: ["error": "\(error)"])
        }
    }

    /// Until the next batch is due: a full one is at once.
    private func pause() async {
        let deadline = ContinuousClock.now + .milliseconds(settings.delayMilliseconds)
        while !Task.isCancelled, ContinuousClock.now < deadline, tracer.count < settings.batchSize {
            // A cancelled sleep is as good as one that is over.
            try? await Task.sleep(for: min(.milliseconds(200), deadline - ContinuousClock.now))
        }
    }

    private func takeBatch() -> Batch? {
        tracer.take(
            settings.batchSize, resource: settings.resource.map { ($0.name, .text($0.value)) }, scope: (name: "apus", version: version))
    }

    /// - Returns: the batch where the task was cancelled meanwhile.
    private func send(_ batch: Batch, _ client: CollectorClient) async -> Batch? {
        for attempt in 1...Self.attempts {
            var pause: Int64 = 1 << (attempt - 1)
            do {
                let answer = try await client.post(batch.body)
                if (200..<300).contains(answer.status) { return nil }
                tell("the collector answered \(answer.status)", attempt)
                // What it refuses otherwise it will refuse again.
                guard [429, 502, 503, 504].contains(answer.status) else { break }
                pause = min(max(answer.retryAfter ?? pause, 0), Self.longestPause)
            } catch { tell("\(error)", attempt) }
            if attempt < Self.attempts { try? await Task.sleep(for: .seconds(pause)) }
            if Task.isCancelled { return batch }
        }
        tracer.drop(batch.count)
        return nil
    }

    /// The daemon's end waits for a collector that answers, and for no other.
    private func sendRest(_ unsent: Batch?, _ group: MultiThreadedEventLoopGroup) async {
        let deadline = ContinuousClock.now + Self.farewell
        var hasty = settings
        hasty.timeoutMilliseconds = min(settings.timeoutMilliseconds, 1_000)
        let client = CollectorClient(hasty, tls: tls, group: group, isForFarewell: true)
        var next = unsent ?? takeBatch()
        while let batch = next {
            var isSent = false
            if ContinuousClock.now < deadline {
                do { isSent = (200..<300).contains(try await client.post(batch.body).status) } catch { tell("\(error)", 1) }
            }
            if !isSent { tracer.drop(batch.count) }
            next = takeBatch()
        }
        tellDropped()
    }

    private func tell(_ why: String, _ attempt: Int) {
        logger.debug(
            "spans not sent", metadata: ["error": "\(why)", "attempt": "\(attempt)", "collector": "\(settings.host):\(settings.port)"])
    }

    private func tellDropped() {
        let dropped = tracer.takeDropped()
        if dropped > 0 {
            logger.warning("spans dropped", metadata: ["count": "\(dropped)", "collector": "\(settings.host):\(settings.port)"])
        }
    }
}
