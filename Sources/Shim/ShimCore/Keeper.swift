internal import LinuxSyscalls

/// The keeper as one shim has it: a process that holds what must stay open while a shim is killed and another one takes its place.
/// One keeper serves all shims of an exec root, and ends with the last of them.
final class Keeper {
    private static let retryDelay = Duration.milliseconds(100)
    private static let longestRetryDelay = Duration.seconds(5)
    /// A keeper that hangs up after less than this lacks something that another connection would lack as well.
    private static let shortNanoseconds: Int64 = 1_000_000_000

    private let context: ShimContext
    private var connection: Descriptor?
    private var watch: Watch?
    /// What the keeper has from here: all of it again for another one when it is killed.
    private var kept: [String: KeptDescriptors] = [:]
    /// Names of which the keeper has not been told the last yet, because it takes nothing just now.
    private var untold: [String] = []
    private var connectedAt: Int64 = 0
    /// Before it is connected to again, where it hangs up on whoever comes; nil where it has not done so.
    private var hangUpDelay: Duration?

    /// - Parameter connection: to the keeper.
    init(_ connection: Descriptor, context: ShimContext) {
        self.context = context
        take(connection)
    }

    /// Has the descriptors of a process kept, in place of those before.
    func keep(_ descriptors: KeptDescriptors, of name: String) {
        kept[name] = descriptors
        tell([name])
    }

    /// Whether something is kept under a name.
    func keeps(_ name: String) -> Bool { kept[name] != nil }

    /// They are needed no more, nor those of names below.
    func drop(_ name: String) {
        let below = kept.keys.filter { $0 != name && KeeperPacket.covers(name, $0) }
        kept = kept.filter { !KeeperPacket.covers(name, $0.key) }
        // By their names as well: the first one may be kept again before the keeper hears of this.
        tell([name] + below)
    }

    private func tell(_ names: [String]) {
        untold.removeAll(where: names.contains)
        untold += names
        flush()
    }

    /// Tells the keeper as much as it takes; nothing waits for it.
    private func flush() {
        guard let connection, let watch else { return }
        while let name = untold.first {
            do throws(SyscallError) { try send(name, to: connection) } catch {
                if error.isWouldBlock { return watch.wait(for: .writable) }
                // It is noticed by its hanging up, and another one is told all.
                if error.isPeerGone { return }
                context.report("\(error)")
                context.loop.after(Self.retryDelay) { [weak self] in self?.flush() }
                return
            }
            untold.removeFirst()
        }
        watch.wait(for: [])
    }

    private func send(_ name: String, to connection: Descriptor) throws(SyscallError) {
        let descriptors = kept[name] ?? [:]
        let roles = KeptRole.allCases.filter { descriptors[$0] != nil }
        let packet: KeeperPacket = descriptors.isEmpty ? .drop(name) : .keep(name, roles: roles)
        try sendMessage(packet.bytes, descriptors: roles.compactMap { descriptors[$0]?.number }, to: connection.owned, subject: "keeper")
    }

    private func take(_ connection: Descriptor) {
        do throws(SyscallError) {
            try setNonBlocking(true, of: connection.number)
            watch = try context.loop.watch(connection.number, for: []) { [unowned self] readiness in
                if readiness.isDisjoint(with: [.failed, .hungUp]) { flush() } else { hungUp() }
            }
            self.connection = connection
            connectedAt = monotonicNanoseconds()
        } catch { context.report("\(error)") }
    }

    private func hungUp() {
        watch?.cancel()
        watch = nil
        connection = nil
        guard monotonicNanoseconds() - connectedAt < Self.shortNanoseconds else {
            hangUpDelay = nil
            return connectAgain()
        }
        guard let delay = hangUpDelay else {
            // One that was killed is replaced at once: until then nobody else has what the container's process needs.
            hangUpDelay = Self.retryDelay
            return connectAgain()
        }
        // Told once: what it lacks it may lack for long.
        if delay == Self.retryDelay { context.report("keeper: it hangs up, and has not all of \(context.configuration.id)") }
        context.loop.after(delay) { [weak self] in self?.connectAgain() }
        hangUpDelay = min(delay * 2, Self.longestRetryDelay)
    }

    private func connectAgain() {
        do throws(SyscallError) {
            if let connection = try KeeperSocket(context.configuration).connectOrStart() {
                take(connection)
                // Names below another first: what was taken of an input is known no later than the process is.
                untold = kept.keys.sorted(by: >)
                flush()
                return
            }
        } catch { context.report("\(error)") }
        context.loop.after(Self.retryDelay) { [weak self] in self?.connectAgain() }
    }
}
