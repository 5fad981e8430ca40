internal import Registry

/// Runs what blocks (files, processes) on threads of its own, so that the few threads that serve all tasks never wait for a disk. Each
/// kind has threads of its own, too: what is stuck holds up nothing of another kind.
enum BlockingWork {
    /// What a call may be held up by.
    enum Kind {
        /// Short calls about files of the daemon's own, and of the kernel's.
        case files
        /// Programs of ours that are waited for.
        case programs
        /// Trees that others make, and mount in, and archives that go at their client's pace: for as long as these like.
        case trees
    }

    private static let files = BlockingPool(name: "apus.engine.files", width: 64)
    private static let programs = BlockingPool(name: "apus.engine.programs", width: 256)
    private static let trees = BlockingPool(name: "apus.engine.trees", width: 1024)

    static func run<Value: Sendable>(
        _ kind: Kind = .files, _ body: @escaping @Sendable () throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        let pool =
            switch kind {
            case .files: files
            case .programs: programs
            case .trees: trees
            }
        return try await pool.run(body)
    }

    /// A short call about files that is begun now and that nobody waits for: the threads' own, until it has ended.
    static func start(_ body: @escaping @Sendable () -> Void) { files.start(body) }
}
