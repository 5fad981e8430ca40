internal import CoreTypes
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// The host's ids that containers' user namespaces are made of: a share for each container, as long as there are enough; then the shares
/// are used again, from those on that the fewest have.
final class UserNamespacePool: Sendable {
    /// Ids of one container.
    static let shareCount: UInt32 = 65536
    /// Ids that nobody else uses, where the machine has set none aside: 4096 shares. - Source: systemd's UIDS-GIDS, which leaves them free.
    static let ownBlock = SubordinateIDs.Block(first: 0x7000_0000, count: 0x1000_0000)

    private struct State {
        /// How many containers have each share.
        var counts: [Int]
        var holders: [ContainerID: Int] = [:]
    }

    private let shares: [UserNamespaceIDs]
    private let state: Mutex<State>

    init(users: SubordinateIDs, groups: SubordinateIDs) {
        shares = zip(users.shares(of: Self.shareCount), groups.shares(of: Self.shareCount)).map { UserNamespaceIDs(users: $0, groups: $1) }
        state = Mutex(State(counts: Array(repeating: 0, count: shares.count)))
    }

    /// Blocks.
    /// - Throws: `.invalidParameter` for a user that was named and has no ids to lend.
    static func open(for remap: UserRemap) throws(EngineError) -> UserNamespacePool {
        let (users, groups): (SubordinateIDs, SubordinateIDs)
        do throws(SyscallError) {
            users = try SubordinateIDs.read("/etc/subuid", of: [remap.user])
            groups = try SubordinateIDs.read("/etc/subgid", of: [remap.group])
        } catch { throw .system("read which ids \(remap.user) has to lend", error) }
        if !users.blocks.isEmpty && !groups.blocks.isEmpty { return UserNamespacePool(users: users, groups: groups) }
        guard remap.isUsual else {
            let (name, file) = users.blocks.isEmpty ? (remap.user, "/etc/subuid") : (remap.group, "/etc/subgid")
            throw EngineError(
                .invalidParameter,
                "userns-remap: no subordinate ids of \(name) in \(file): add a line like \(name):100000:65536, or say \"default\"")
        }
        let own = SubordinateIDs(blocks: [Self.ownBlock])
        return UserNamespacePool(users: own, groups: own)
    }

    /// Takes a share for a container.
    func take(for id: ContainerID) throws(EngineError) -> UserNamespaceIDs {
        let index = state.withLock { state -> Int? in
            guard let least = state.counts.min(), let index = state.counts.firstIndex(of: least) else { return nil }
            state.counts[index] += 1
            state.holders[id] = index
            return index
        }
        guard let index else { throw EngineError(.system, "there are no ids for a user namespace") }
        return shares[index]
    }

    /// Learns of a container of a former daemon's. Ids that are no share any more, because the machine's files have changed, stay as they are.
    func adopt(_ ids: UserNamespaceIDs, of id: ContainerID) {
        guard let index = shares.firstIndex(of: ids) else { return }
        state.withLock { state in
            state.counts[index] += 1
            state.holders[id] = index
        }
    }

    /// Gives back what a container had, if it had any.
    func release(_ id: ContainerID) {
        state.withLock { state in
            if let index = state.holders.removeValue(forKey: id) { state.counts[index] -= 1 }
        }
    }
}
