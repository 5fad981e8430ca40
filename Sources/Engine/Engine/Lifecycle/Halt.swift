internal import Logging
internal import Synchronization

/// Whether the machine goes down: then nothing is started any more.
final class Halt: Sendable {
    private let begun = Mutex(false)

    var isUnderWay: Bool { begun.withLock { $0 } }
    func begin() { begun.withLock { $0 = true } }
}

extension ContainerEngine {
    /// Stops every container before the machine goes down, those first that need others; each has its own time to end.
    /// Nobody has stopped them by hand: what a restart policy wants runs again with the next daemon.
    package func stopContainers() async {
        guard let services = try? parts().services else { return }
        services.halt.begin()
        for wave in await services.index.order().reversed() {
            await withTaskGroup(of: Void.self) { group in
                for container in wave { group.addTask { await container.stopForHalt() } }
            }
        }
    }
}

extension Container {
    fileprivate func stopForHalt() async {
        do throws(EngineError) { try await stop(signal: nil, timeoutSeconds: nil, isByHand: false) } catch {
            if error.code != .notModified { logger.error("not stopped: \(error)") }
        }
    }
}
