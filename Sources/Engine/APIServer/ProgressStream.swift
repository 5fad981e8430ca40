internal import EngineAPI
internal import Synchronization

/// A body of JSON objects, one to a line. What goes wrong on the way to the client is kept, because the producer's
/// work may go on without one.
final class ProgressStream: Sendable {
    private struct State {
        var hasStarted = false
        var failure: (any Error)?
    }

    private let writer: BodyWriter
    private let state = Mutex(State())

    init(_ writer: BodyWriter) { self.writer = writer }

    /// Whether an object was sent, and the status with it.
    var hasStarted: Bool { state.withLock { $0.hasStarted } }

    /// Sends an object, and returns when the kernel has it. After a failure it does nothing.
    func send(_ message: ProgressMessage) async {
        let isUsable = state.withLock { state in
            state.hasStarted = true
            return state.failure == nil
        }
        guard isUsable else { return }
        do {
            try await writer.write(EngineJSON.encode(message).dropLast() + [0x0D, 0x0A])
        } catch {
            state.withLock { $0.failure = error }
        }
    }

    /// Throws what kept an object from the client.
    func throwFailure() throws {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }
}
