/// Output of deleted processes that the readers of their FIFOs have not taken yet: a client may delete an exec first, and read then.
final class UnreadOutput {
    /// Processes at once; the oldest one's output is lost for one more, as nobody may ever read it.
    static let maximumCount = 64

    private var processes: [ProcessStdio] = []

    /// Keeps what a process wrote until the FIFOs have it.
    func take(_ stdio: ProcessStdio) {
        guard !stdio.isDelivered else { return }
        if processes.count == Self.maximumCount { processes.removeFirst() }
        processes.append(stdio)
        stdio.whenDelivered { [weak self, unowned stdio] in self?.processes.removeAll { $0 === stdio } }
    }
}
