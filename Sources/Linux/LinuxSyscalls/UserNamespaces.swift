internal import CLinux
internal import SystemPackage

/// Ids in a row that mean others outside, as a line of /proc/PID/uid_map says it. - Source: user_namespaces(7).
package struct IDRange: Equatable, Hashable, Sendable {
    package let inside: UInt32
    package let outside: UInt32
    package let count: UInt32

    package init(inside: UInt32, outside: UInt32, count: UInt32) {
        self.inside = inside
        self.outside = outside
        self.count = count
    }

    /// Reads `INSIDE:OUTSIDE:COUNT`.
    package init?(parsing text: some StringProtocol) {
        let numbers = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
        guard numbers.count == 3, let inside = numbers[0], let outside = numbers[1], let count = numbers[2], count > 0 else { return nil }
        self.init(inside: inside, outside: outside, count: count)
    }

    /// A line of /proc/PID/uid_map. - Source: user_namespaces(7).
    package var line: String { "\(inside) \(outside) \(count)\n" }

    /// What the id is outside; nil for one that is not among these.
    package func outside(of id: UInt32) -> UInt32? { id >= inside && id - inside < count ? outside + (id - inside) : nil }

    /// What an id of the outside is inside; nil for one that is not among these.
    package func inside(of id: UInt32) -> UInt32? { id >= outside && id - outside < count ? inside + (id - outside) : nil }
}

/// Makes namespaces that belong to a user namespace, and hands `body` the process that is in them: they are gone afterwards unless something
/// keeps them, a mount of their files or a descriptor. The caller may have threads.
/// - Parameter userNamespace: a descriptor; nil is the caller's.
package func withNewNamespaces<Value: ~Copyable>(
    _ types: NamespaceTypes, of userNamespace: Int32? = nil, _ body: (_ process: Int32) throws(SyscallError) -> Value
) throws(SyscallError) -> Value {
    var hold: Int32 = -1
    let process = try checked("unshare", "for another process") {
        unsafe clinux_hold_namespaces(userNamespace ?? -1, types.rawValue, &hold)
    }
    defer { clinux_release_namespaces(process, hold) }
    return try body(process)
}

/// Makes a user namespace in which ids mean these of the host. It lives as long as its descriptor, or what else keeps it.
package func makeUserNamespace(users: [IDRange], groups: [IDRange]) throws(SyscallError) -> OwnedFD {
    try withNewNamespaces(.user) { process throws(SyscallError) in
        for (name, ranges) in [("uid_map", users), ("gid_map", groups)] {
            let file = try openFile(FilePath("/proc/\(process)/\(name)"), .writeOnly)
            let lines = ranges.map(\.line).joined()
            try writeAll(Array(lines.utf8), to: file.number, subject: name)
        }
        return try openFile(FilePath("/proc/\(process)/ns/user"), .readOnly)
    }
}

/// The calling thread as another user towards file systems, who makes files of their own, with the thread's capabilities all the same: where
/// root has no meaning, a file can be made only so. - Source: setfsuid(2), capabilities(7).
package struct FileSystemIdentity: ~Copyable {
    private let user: UInt32
    private let group: UInt32

    /// Lasts until `end()`, on this thread.
    package init(user: UInt32, group: UInt32) throws(SyscallError) {
        let capabilities = try threadCapabilities()
        let groupBefore = try Self.set(group: group)
        let userBefore: UInt32
        do throws(SyscallError) { userBefore = try Self.set(user: user) } catch {
            Self.restore(user: nil, group: groupBefore)
            throw error
        }
        // Who stops being root there loses what overrides permissions.
        do throws(SyscallError) { try setThreadCapabilities(capabilities) } catch {
            Self.restore(user: userBefore, group: groupBefore)
            throw error
        }
        (self.user, self.group) = (userBefore, groupBefore)
    }

    /// Back to who the thread was.
    package consuming func end() { Self.restore(user: user, group: group) }

    private static func set(user: UInt32) throws(SyscallError) -> UInt32 {
        var before: UInt32 = 0
        try checked("setfsuid", "\(user)") { unsafe clinux_setfsuid(user, &before) }
        return before
    }

    private static func set(group: UInt32) throws(SyscallError) -> UInt32 {
        var before: UInt32 = 0
        try checked("setfsgid", "\(group)") { unsafe clinux_setfsgid(group, &before) }
        return before
    }

    /// An identity that the thread has had can always be had again; a thread that kept the other one would make others' files with it.
    private static func restore(user: UInt32?, group: UInt32) {
        do throws(SyscallError) {
            if let user { _ = try set(user: user) }
            _ = try set(group: group)
        } catch { preconditionFailure("no way back to who the thread was: \(error)") }
    }
}
