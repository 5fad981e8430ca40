internal import LinuxSyscalls

/// The keeper as one shim has it: a process that holds what must stay open while a shim is killed and another one takes its place.
/// One keeper serves all shims of an exec root, and ends with the last of them.
final class Keeper {
    private static let retryDelay = Duration.milliseconds(100)

    private let context: ShimContext
    private var connection: Descriptor?
    private var watch: Watch?
    /// What the keeper has from here: all of it again for another one when it is killed.
    private var kept: [String: KeptDescriptors] = [:]

    /// - Parameter connection: to the keeper.
    init(_ connection: Descriptor, context: ShimContext) {
        self.context = context
        take(connection)
    }

    /// Has the descriptors of a process kept, in place of those before.
    func keep(_ descriptors: KeptDescriptors, of name: String) {
        kept[name] = descriptors
        send(descriptors, of: name)
    }

    /// They are needed no more, nor those of names below.
    func drop(_ name: String) {
        kept = kept.filter { !KeeperPacket.covers(name, $0.key) }
        send(.drop(name), [])
    }

    private func send(_ descriptors: KeptDescriptors, of name: String) {
        let roles = KeptRole.allCases.filter { descriptors[$0] != nil }
        send(.keep(name, roles: roles), roles.compactMap { descriptors[$0]?.number })
    }

    private func send(_ packet: KeeperPacket, _ descriptors: [Int32]) {
        guard let connection else { return }
        // A keeper that is gone is noticed by its hanging up.
        do throws(SyscallError) { try sendMessage(packet.bytes, descriptors: descriptors, to: connection.owned, subject: "keeper") } catch {
            if !error.isPeerGone { context.report("\(error)") }
        }
    }

    private func take(_ connection: Descriptor) {
        do throws(SyscallError) {
            try setNonBlocking(true, of: connection.number)
            watch = try context.loop.watch(connection.number, for: []) { [unowned self] _ in hungUp() }
            self.connection = connection
        } catch { context.report("\(error)") }
    }

    private func hungUp() {
        watch?.cancel()
        watch = nil
        connection = nil
        connectAgain()
    }

    private func connectAgain() {
        do throws(SyscallError) {
            if let connection = try KeeperSocket(context.configuration).connectOrStart() {
                take(connection)
                for (name, descriptors) in kept { send(descriptors, of: name) }
                return
            }
        } catch { context.report("\(error)") }
        context.loop.after(Self.retryDelay) { [weak self] in self?.connectAgain() }
    }
}
