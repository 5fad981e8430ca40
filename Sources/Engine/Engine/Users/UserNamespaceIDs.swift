internal import Archive
internal import LinuxSyscalls
internal import OCISpec

/// Which ids of the host those of a container's own user namespace are.
struct UserNamespaceIDs: Codable, Equatable, Sendable {
    /// Ids in a row.
    struct Run: Codable, Equatable, Sendable {
        var inside: UInt32
        var outside: UInt32
        var count: UInt32
    }

    var users: [Run]
    var groups: [Run]

    /// Who the container's root is on the host.
    var rootUser: UInt32 { Self.root(users) }
    var rootGroup: UInt32 { Self.root(groups) }

    private static func root(_ runs: [Run]) -> UInt32 { runs.first { $0.inside == 0 }?.outside ?? 0 }

    /// Options of a mount that shows files of the disk, which bear the container's ids, with the host's.
    var mountWords: [String] {
        users.map { "uidmap=\($0.inside):\($0.outside):\($0.count)" } + groups.map { "gidmap=\($0.inside):\($0.outside):\($0.count)" }
    }

    /// Between archives, with the container's ids, and files as they are seen from the host while the container runs.
    var shift: OwnerShift { OwnerShift(users: users.map(\.range), groups: groups.map(\.range)) }

    var userMappings: [IDMapping] { users.map(\.mapping) }
    var groupMappings: [IDMapping] { groups.map(\.mapping) }

    /// The groups from 0 on that ping_group_range may name.
    var firstGroupCount: UInt32 { groups.first { $0.inside == 0 }?.count ?? 1 }
}

extension UserNamespaceIDs.Run {
    var range: IDRange { IDRange(inside: inside, outside: outside, count: count) }
    fileprivate var mapping: IDMapping { IDMapping(containerID: inside, hostID: outside, size: count) }
}
