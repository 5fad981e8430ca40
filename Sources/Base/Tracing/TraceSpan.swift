internal import Synchronization

/// A value of an attribute.
package enum TraceValue: Equatable, Sendable, ExpressibleByStringLiteral {
    case text(String)
    case number(Int64)

    package init(stringLiteral value: String) { self = .text(value) }
}

/// Something that takes time and is told to a collector when it has ended.
///
/// Where nobody asked for traces there is no span: a task has none, and whatever would begin one below it does nothing.
package final class TraceSpan: Sendable {
    /// What a span is to whoever reads it, by OTLP's numbers.
    package enum Kind: UInt8, Sendable {
        case inside = 1
        case server = 2
    }

    /// The span in which the task is.
    @TaskLocal package static var current: TraceSpan?

    let tracer: Tracer
    let context: TraceContext
    let parent: TraceContext?
    let kind: Kind
    private let name: Mutex<String>
    private let startNanoseconds: UInt64
    private let begun = ContinuousClock.now
    private let attributes: Mutex<[(String, TraceValue)]>

    init(_ name: String, kind: Kind, parent: TraceContext?, tracer: Tracer, attributes: [(String, TraceValue)]) {
        self.tracer = tracer
        self.kind = kind
        self.parent = parent
        context = parent?.child() ?? .root()
        startNanoseconds = tracer.now()
        self.name = Mutex(name)
        self.attributes = Mutex(attributes)
    }

    /// Adds to what is known of it.
    package func add(_ key: String, _ value: TraceValue) { attributes.withLock { $0.append((key, value)) } }

    /// Gives it another name, once more is known.
    package func rename(_ name: String) { self.name.withLock { $0 = name } }

    /// Begins a span below this one, which whoever began it ends.
    package func child(_ name: String, _ attributes: [(String, TraceValue)] = []) -> TraceSpan {
        TraceSpan(name, kind: .inside, parent: context, tracer: tracer, attributes: attributes)
    }

    /// Ends it: it is queued, or dropped where the queue is full. Called once.
    /// - Parameter failure: what went wrong; nil for nothing.
    package func end(failure: String? = nil) {
        // The wall clock may have been set meanwhile.
        let (seconds, attoseconds) = (ContinuousClock.now - begun).components
        let taken = UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
        tracer.add(
            EndedSpan(
                context: context, parentSpanID: parent?.spanID ?? [], name: name.withLock { $0 }, kind: kind,
                startNanoseconds: startNanoseconds, endNanoseconds: startNanoseconds &+ taken, attributes: attributes.withLock { $0 },
                failure: failure))
    }

    /// Runs something in a span below this one, on a thread that belongs to no task.
    package func measure<Result, Failure: Error>(
        _ name: String, _ attributes: [(String, TraceValue)] = [], _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let span = child(name, attributes)
        do throws(Failure) {
            let result = try body()
            span.end()
            return result
        } catch {
            span.end(failure: "\(error)")
            throw error
        }
    }

    /// Runs something with this as the task's span, and ends the span with it.
    package func run<Result, Failure: Error>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        let outcome: Swift.Result<Result, Failure> = await Self.$current.withValue(self) {
            do throws(Failure) { return .success(try await body()) } catch { return .failure(error) }
        }
        switch outcome {
        case .success(let result):
            end()
            return result
        case .failure(let error):
            end(failure: "\(error)")
            throw error
        }
    }
}

/// Runs something in a span below the task's; where the task has none it is run, and nothing else.
package func traced<Result, Failure: Error>(
    _ name: @autoclosure () -> String, _ attributes: @autoclosure () -> [(String, TraceValue)] = [],
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws(Failure) -> Result
) async throws(Failure) -> Result {
    guard let parent = TraceSpan.current else { return try await body() }
    return try await parent.child(name(), attributes()).run(body)
}
