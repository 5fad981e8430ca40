internal import Synchronization

/// Tells blocking work that no one waits for it any more. Set once.
package final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    private let parents: [Cancellation]

    package init() { parents = [] }

    /// Part of larger works, whose ends are also its own.
    init(within parents: Cancellation...) { self.parents = parents }

    package var isCancelled: Bool { flag.load(ordering: .acquiring) || parents.contains { $0.isCancelled } }

    package func cancel() { flag.store(true, ordering: .releasing) }
}
