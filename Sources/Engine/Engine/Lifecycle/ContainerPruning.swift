internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Logging

/// `POST /containers/prune`: removes what does not run.
struct ContainerPruning {
    let parts: ContainerEngine.Parts
    private let choice: PruneFilter

    /// - Throws: `.invalidParameter` in Docker's words.
    init(parts: ContainerEngine.Parts, filters: Filters) throws(EngineError) {
        self.parts = parts
        choice = try PruneFilter(filters)
    }

    func run() async throws(EngineError) -> ContainersPruneResponse {
        var answer = ContainersPruneResponse()
        for container in parts.services.index.all.reversed() {
            let listed = await container.listed()
            guard isWanted(listed) else { continue }
            do throws(EngineError) {
                let sizes = try await ContainerSizes.measure(container, parts)
                try await container.remove(force: false)
                answer.containersDeleted.append(container.id.text)
                answer.spaceReclaimed += UInt64(clamping: sizes.written)
            } catch {
                // Started, or removed by somebody else, meanwhile: Docker goes on as well.
                let isHarmless = error.code == .conflict || error.code == .notFound
                parts.services.logger.log(
                    level: isHarmless ? .debug : .warning, "not pruned: \(error)", metadata: ["container.id": "\(container.id)"])
            }
            if Task.isCancelled { throw EngineError(.unavailable, "the prune was cancelled") }
        }
        parts.services.events.publish(.container, "prune", id: "", attributes: ["reclaimed": "\(answer.spaceReclaimed)"])
        return answer
    }

    private func isWanted(_ container: ListedContainer) -> Bool {
        switch container.phase {
        case .created, .exited, .dead: break
        case .running, .removing: return false
        }
        return choice.accepts(created: container.created, labels: container.summary.labels)
    }
}

/// What a prune is confined to: `until`, `label`, `label!`.
struct PruneFilter: Sendable {
    private let filters: Filters
    /// Only what was made before; nil is all.
    private let until: Timestamp?

    /// - Throws: `.invalidParameter` in Docker's words.
    init(_ filters: Filters) throws(EngineError) {
        self.filters = filters
        if let unknown = filters.unknownKey(besides: ["until", "label", "label!"]) {
            throw EngineError(.invalidParameter, "invalid filter '\(unknown)'")
        }
        guard filters["until"].count <= 1 else { throw EngineError(.invalidParameter, "more than one until filter specified") }
        until = try filters["until"].first.map { text throws(EngineError) in try Self.moment(text) }
    }

    func accepts(created: Timestamp, labels: [String: String]) -> Bool {
        (until.map { created < $0 } ?? true) && filters.matchesLabels(labels)
            && !filters["label!"].contains { Filters(["label": [$0]]).matchesLabels(labels) }
    }

    /// A moment, or how long it is ago; `0` is no span of time, but the epoch. - Source: moby, api/types/time/timestamp.go.
    static func moment(_ text: String) throws(EngineError) -> Timestamp {
        if text == "0" { return Timestamp(unixNanoseconds: 0) }
        if let ago = SpanText.nanoseconds(text) {
            return Timestamp(unixNanoseconds: Clock.unixNanoseconds.subtractingReportingOverflow(ago).partialValue)
        }
        if let moment = try? Timestamp(text) { return moment }
        do throws(InvalidTimestamp) { return try Timestamp(secondsSinceEpoch: text) } catch {
            throw EngineError(.invalidParameter, "failed to parse value as time or duration: \"\(text)\"", cause: error)
        }
    }
}
