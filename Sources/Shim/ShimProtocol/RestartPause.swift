/// The pauses before a container is started again, whoever does it: its shim or, where that is gone, the daemon.
package enum RestartPause {
    /// Before the first restart; doubles from one to the next.
    package static let first = Duration.milliseconds(100)
    package static let longest = Duration.seconds(60)
    /// After a run of this length the pauses begin anew.
    package static let steadyRun = Duration.seconds(10)
    /// More doublings make it no longer.
    private static let maximumDoublingCount = 16

    /// The pause after another one; nil is the first.
    package static func next(after last: Duration?) -> Duration { min(last.map { $0 * 2 } ?? first, longest) }

    /// The pause after as many restarts, none of which was followed by a steady run.
    package static func after(restarts count: Int) -> Duration { min(first * (1 << min(max(count, 0), maximumDoublingCount)), longest) }
}
