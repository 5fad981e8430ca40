package import LinuxSyscalls

/// The ids of a user namespace, by which a tree that is looked at from outside of it means others than those inside.
package struct OwnerShift: Equatable, Sendable {
    /// Who owns what is nobody's inside. - Source: /proc/sys/kernel/overflowuid.
    private static let nobody: UInt32 = 65534

    package let users: [IDRange]
    package let groups: [IDRange]

    package init(users: [IDRange], groups: [IDRange]) {
        self.users = users
        self.groups = groups
    }

    /// Who the root of the inside is outside.
    var root: (user: UInt32, group: UInt32) { outside(user: 0, group: 0) ?? (0, 0) }

    /// nil where one of them has no meaning.
    func outside(user: UInt32, group: UInt32) -> (user: UInt32, group: UInt32)? {
        guard let user = users.lazy.compactMap({ $0.outside(of: user) }).first,
            let group = groups.lazy.compactMap({ $0.outside(of: group) }).first
        else { return nil }
        return (user, group)
    }

    func inside(user: Int64) -> Int64 { Self.inside(user, users) }
    func inside(group: Int64) -> Int64 { Self.inside(group, groups) }

    private static func inside(_ id: Int64, _ ranges: [IDRange]) -> Int64 {
        let known = UInt32(exactly: id).flatMap { id in ranges.lazy.compactMap { $0.inside(of: id) }.first }
        return Int64(known ?? nobody)
    }
}
