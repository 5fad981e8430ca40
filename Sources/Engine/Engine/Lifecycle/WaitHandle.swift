/// What a client of `wait` waits for.
package enum WaitCondition: String, Sendable {
    /// That the container does not run, which may be so already.
    case notRunning = "not-running"
    /// The next exit after this moment.
    case nextExit = "next-exit"
    /// That the container is gone.
    case removed
}

/// How a container ended.
package struct WaitResult: Sendable, Equatable {
    /// The exit code, 128 plus the number for a signal.
    package var exitCode: Int
    /// Why waiting ended without an exit code of the container's own.
    package var error: String?
}

/// A wait that is registered: what happens from here on is not missed.
package struct WaitHandle: Sendable {
    let outcome: OneShot<WaitResult>

    /// The result, as soon as the condition holds.
    /// - Throws: `CancellationError` when the waiting task is cancelled, which also withdraws it.
    package func result() async throws(CancellationError) -> WaitResult {
        try await outcome.value()
    }
}
