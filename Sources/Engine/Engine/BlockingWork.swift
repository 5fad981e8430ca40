internal import Dispatch

/// Runs what blocks (files, processes) on threads of its own, so that the few threads that serve all tasks never wait for a disk.
enum BlockingWork {
    private static let queue = DispatchQueue(label: "engine blocking work", attributes: .concurrent)

    static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        let result: Result<Value, EngineError> = await withCheckedContinuation { continuation in
            queue.async {
                let result: Result<Value, EngineError>
                do throws(EngineError) { result = .success(try body()) } catch { result = .failure(error) }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }
}
