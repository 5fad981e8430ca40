internal import LinuxSyscalls

/// Reads pipes whose process is gone and that others still write to, such as a service that an exec has begun: nobody wants what they write, but
/// they would wait for ever for room, as a payload's end of a pipe has itself as a reader.
final class OutputDrain {
    /// Pipes at once; the oldest is let go for one more.
    static let maximumCount = 64

    private let loop: EventLoop
    private var pipes: [(source: Descriptor, watch: Watch)] = []

    init(loop: EventLoop) { self.loop = loop }

    /// Takes a pipe that never blocks, until nobody has its other end.
    func take(_ source: Descriptor) {
        if pipes.count == Self.maximumCount { forget(pipes[0].source) }
        let number = source.number
        // Without room for one more watch its writers wait, as nobody can be told.
        guard let watch = try? loop.watch(number, for: .readable, { [weak self, unowned source] _ in self?.read(source) }) else { return }
        pipes.append((source, watch))
    }

    private func read(_ source: Descriptor) {
        // Once in a turn: what writes without end leaves the rest of the turn to others.
        do throws(SyscallError) {
            if case .end = try loop.read(source.number) { forget(source) }
        } catch { forget(source) }
    }

    private func forget(_ source: Descriptor) {
        guard let place = pipes.firstIndex(where: { $0.source === source }) else { return }
        pipes.remove(at: place).watch.cancel()
    }
}
