internal import Synchronization

/// Where spans begin and, when they have ended, wait to be sent. Nothing here waits: what finds no room is dropped and counted.
package final class Tracer: Sendable {
    private struct State {
        var spans: [EndedSpan] = []
        var dropped: UInt64 = 0
    }

    private let capacity: Int
    private let state = Mutex(State())
    let now: @Sendable () -> UInt64

    /// - Parameter capacity: the most spans that wait.
    /// - Parameter now: nanoseconds since 1970.
    package init(capacity: Int, now: @escaping @Sendable () -> UInt64) {
        self.capacity = capacity
        self.now = now
    }

    /// Begins the span of a request.
    /// - Parameter parent: the span of the client's that asks.
    /// - Returns: nil where the client's trace is not kept.
    package func request(_ name: String, parent: TraceContext?) -> TraceSpan? {
        if let parent, !parent.isSampled { return nil }
        return TraceSpan(name, kind: .server, parent: parent, tracer: self, attributes: [])
    }

    func add(_ span: EndedSpan) {
        state.withLock { state in
            if state.spans.count < capacity { state.spans.append(span) } else { state.dropped += 1 }
        }
    }

    /// How many wait.
    package var count: Int { state.withLock(\.spans.count) }

    /// Counts spans as lost that were taken and could not be sent.
    package func drop(_ count: Int) { state.withLock { $0.dropped += UInt64(count) } }

    /// How many were lost since this was asked last.
    package func takeDropped() -> UInt64 {
        state.withLock { state in
            defer { state.dropped = 0 }
            return state.dropped
        }
    }

    /// Takes the oldest spans out.
    /// - Returns: at most `limit` of them as the body of a request to a collector, and how many they are; nil for none.
    package func take(_ limit: Int, resource: [(String, TraceValue)], scope: (name: String, version: String)) -> (
        body: [UInt8], count: Int
    )? {
        let spans = state.withLock { state in
            let taken = Array(state.spans.prefix(limit))
            state.spans.removeFirst(taken.count)
            return taken
        }
        return spans.isEmpty ? nil : (OTLPTraces.encode(spans, resource: resource, scope: scope), spans.count)
    }
}

/// A span that is over.
struct EndedSpan: Sendable {
    let context: TraceContext
    /// Empty for the root of a trace.
    let parentSpanID: [UInt8]
    let name: String
    let kind: TraceSpan.Kind
    let startNanoseconds: UInt64
    let endNanoseconds: UInt64
    let attributes: [(String, TraceValue)]
    let failure: String?
}
