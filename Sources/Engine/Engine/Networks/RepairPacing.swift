/// How soon what somebody takes away again and again is put back: at once so often, and then after longer and longer rests. A value: the actor
/// of the networks owns it.
struct RepairPacing: Sendable {
    /// So many within the calm are made at once.
    static let promptRepairs = 10
    /// After so long without one it is as if there had been none.
    static let calm: Duration = .seconds(60)
    private static let longestRestSeconds = 32

    private struct History {
        var repairs = 0
        var last: Int64 = 0
        var isResting = false
    }

    private var histories: [String: History] = [:]

    init() {}

    func isResting(_ subject: String) -> Bool { histories[subject]?.isResting == true }

    /// Notes a repair that was made. - Parameter now: of the clock that is never set, in nanoseconds.
    /// - Returns: how long the next one has to wait; nil for not at all. Who is told so ends the rest.
    mutating func repaired(_ subject: String, now: Int64) -> Duration? {
        let calm = Self.calm.components.seconds * 1_000_000_000
        // What is calm again is not kept: names of links come and go.
        histories = histories.filter { $0.value.isResting || now - $0.value.last < calm }
        var history = histories[subject] ?? History()
        history.repairs += 1
        history.last = now
        let beyond = history.repairs - Self.promptRepairs
        history.isResting = beyond >= 0
        histories[subject] = history
        return beyond < 0 ? nil : .seconds(min(1 << min(beyond, 5), Self.longestRestSeconds))
    }

    mutating func endRest(of subject: String) { histories[subject]?.isResting = false }
}
