internal import Synchronization

/// Tells blocking work that no one waits for it any more. Set once.
package final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    private let parent: Cancellation?

    package init() { parent = nil }

    /// Part of a larger work, whose end is also its own.
    init(within parent: Cancellation) { self.parent = parent }

    package var isCancelled: Bool { flag.load(ordering: .acquiring) || parent?.isCancelled ?? false }

    package func cancel() { flag.store(true, ordering: .releasing) }
}
