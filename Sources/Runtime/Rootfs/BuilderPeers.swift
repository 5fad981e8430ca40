internal import LinuxSyscalls

/// A bind that is a peer of the host's mount.
struct PeerBind {
    let mount: HeldMount
    /// What the mount and those inside it are called in the mount table, all of which can be the host's peers.
    let mounts: Set<UInt64>
    /// What its step makes of it.
    let propagation: [PropagationChange]
}

extension RootfsBuilder {
    /// Remembers a bind that stays a peer of the host's mount. While the host's procfs is in sight.
    mutating func remember(peer mount: HeldMount, _ propagation: [PropagationChange]) throws(SyscallError) {
        var mounts: Set<UInt64> = [try mountPlace(of: mount.descriptor.number).mount]
        // Mounts that moved can stand before what they lie in.
        let table = try mountTable()
        var known = 0
        while known != mounts.count {
            known = mounts.count
            for entry in table where mounts.contains(UInt64(entry.parentID)) { mounts.insert(UInt64(entry.id)) }
        }
        peers.append(PeerBind(mount: mount, mounts: mounts, propagation: propagation))
    }

    /// Takes the bind that a place lies in, by whatever way it was reached, out of the host's peer group before something is mounted there:
    /// the host would have it too, and keep it when the container is gone. What the host mounts still comes in.
    mutating func leavePeers(at place: Int32) throws(SyscallError) {
        if peers.isEmpty { return }
        let mount = try mountPlace(of: place).mount
        guard let index = peers.firstIndex(where: { $0.mounts.contains(mount) }) else { return }
        let peer = peers.remove(at: index)
        try changePropagation(of: peer.mount.descriptor.number, to: .slave, recursive: true)
        try change(propagation: peer.propagation, of: peer.mount.descriptor.number)
    }

    /// Makes the changes of a mount's options, in their order.
    func change(propagation changes: [PropagationChange], of mount: Int32) throws(SyscallError) {
        for change in changes {
            try changePropagation(of: mount, to: change.propagation, recursive: change.recursive)
        }
    }
}
