internal import Glibc
internal import LinuxSyscalls
package import OCISpec
internal import SystemPackage

/// How the ids of a container's new user namespace come to mean ids of the host.
///
/// Root writes any mapping. An ordinary user may map their own id alone, and only after giving up setgroups(2); for more there are
/// newuidmap and newgidmap, which know whom /etc/subuid and /etc/subgid have given what. - Source: user_namespaces(7).
package struct IdentityMapping: Equatable {
    /// Who writes the mappings.
    package enum Way: Equatable {
        case writing(denyingGroups: Bool)
        case helpers
    }

    package let users: [IDMapping]
    package let groups: [IDMapping]
    package let way: Way

    private static let helperTimeoutSeconds: Int64 = 10
    /// The kernel takes 340 lines.
    private static let mapLimitBytes = 340 * 34

    /// - Parameters userID, groupID: the caller's.
    /// - Throws: `invalidConfiguration` naming the field of an id of the container that has no meaning.
    package init(
        _ linux: LinuxConfiguration?, for user: UserConfiguration, userID: UInt32, groupID: UInt32
    ) throws(RuntimeError) {
        users = linux?.uidMappings ?? []
        groups = linux?.gidMappings ?? []
        if userID == 0 {
            way = .writing(denyingGroups: false)
        } else {
            let isOwn = users.areOnly(userID) && groups.areOnly(groupID)
            way = isOwn ? .writing(denyingGroups: true) : .helpers
        }
        try Self.requireMapped(user, users: users, groups: groups)
        // Other devices are the host's own nodes, bound: whose they are there stays as it is, and their ids are not asked for.
        for (index, device) in (linux?.devices ?? []).enumerated() where device.kind == .fifo {
            try Self.requireMapped(device.uid, in: users, "linux.devices[\(index)].uid")
            try Self.requireMapped(device.gid, in: groups, "linux.devices[\(index)].gid")
        }
        if deniesGroups && !user.additionalGIDs.isEmpty {
            throw RuntimeError(
                .invalidConfiguration, doing: "process.user.additionalGids",
                "an ordinary user whose own group alone is mapped cannot give any")
        }
    }

    /// Whether the container's processes may not change their supplementary groups.
    package var deniesGroups: Bool { way == .writing(denyingGroups: true) }

    /// - Throws: `invalidConfiguration` naming the field of an id of a process that a container's user namespace does not map.
    static func requireMapped(_ user: UserConfiguration, users: [IDMapping], groups: [IDMapping]) throws(RuntimeError) {
        let groupIDs = user.additionalGIDs.enumerated().map { ("process.user.additionalGids[\($0.offset)]", $0.element, groups) }
        for (field, id, mappings) in [("process.user.uid", user.uid, users), ("process.user.gid", user.gid, groups)] + groupIDs {
            try requireMapped(id, in: mappings, field)
        }
    }

    private static func requireMapped(
        _ id: UInt32?, in mappings: [IDMapping], _ field: @autoclosure () -> String
    ) throws(RuntimeError) {
        guard let id, !mappings.include(id) else { return }
        throw RuntimeError(.invalidConfiguration, doing: field(), "\(id) is not mapped by the container's user namespace")
    }

    /// The same of the user namespace of a process that lives.
    static func requireMapped(_ user: UserConfiguration, inNamespaceOf process: Int32) throws(RuntimeError) {
        let (users, groups) = try during("reading the user namespace's mappings") { () throws(SyscallError) in
            (try mappings(in: "uid_map", of: process), try mappings(in: "gid_map", of: process))
        }
        try requireMapped(user, users: users, groups: groups)
    }

    /// Of lines `inside outside count`. - Source: user_namespaces(7).
    private static func mappings(in name: String, of process: Int32) throws(SyscallError) -> [IDMapping] {
        let text = String(decoding: try readFile(FilePath("/proc/\(process)/\(name)"), limitBytes: mapLimitBytes), as: UTF8.self)
        return text.split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { UInt32($0) }
            return numbers.count == 3 ? IDMapping(containerID: numbers[0], hostID: numbers[1], size: numbers[2]) : nil
        }
    }

    /// Writes the mappings of a process that has just been cloned into its user namespace.
    /// - Parameter searchPath: where newuidmap and newgidmap are looked for.
    func write(of process: Int32, searchPath: String) throws(RuntimeError) {
        switch way {
        case .writing(let denyingGroups):
            try during("mapping the user namespace's ids") { () throws(SyscallError) in
                if denyingGroups { try write("deny", to: "setgroups", of: process) }
                for (name, mappings) in [("uid_map", users), ("gid_map", groups)] where !mappings.isEmpty {
                    try write(mappings.map(\.line).joined(), to: name, of: process)
                }
            }
        case .helpers:
            for (name, mappings, field) in [("newuidmap", users, "uidMappings"), ("newgidmap", groups, "gidMappings")] {
                guard let helper = HostProgram.find(name, path: searchPath) else {
                    throw RuntimeError(
                        .unsupported, doing: "mapping linux.\(field)",
                        "an ordinary user maps more than their own id by \(name), which is not installed (Debian: uidmap)")
                }
                let numbers = mappings.flatMap { [String($0.containerID), String($0.hostID), String($0.size)] }
                try helper.run([String(process)] + numbers, timeoutSeconds: Self.helperTimeoutSeconds)
            }
        }
    }

    private func write(_ text: String, to name: String, of process: Int32) throws(SyscallError) {
        let file = try openFile(FilePath("/proc/\(process)/\(name)"), .writeOnly)
        try writeAll(Array(text.utf8), to: file.number, subject: name)
    }
}

/// Makes the calling process root of the user namespace that it is in or, where that knows no root, another of its users: what counts are the
/// rights that it has there, which no change of user takes from it then, and that what it makes has an owner.
/// - Source: setuid(2), EINVAL; user_namespaces(7), "Interaction with system calls that change process UIDs or GIDs".
func becomeRoot(orElse user: UserConfiguration) throws(SyscallError) {
    do throws(SyscallError) { try setGroup(0) } catch  where error.errno == EINVAL { try setGroup(user.gid) }
    do throws(SyscallError) { try setUser(0) } catch  where error.errno == EINVAL { try setUser(user.uid) }
}

extension [IDMapping] {
    /// Whether a container's id means something.
    fileprivate func include(_ id: UInt32) -> Bool { contains { $0.containerID <= id && id - $0.containerID < $0.size } }

    fileprivate func areOnly(_ id: UInt32) -> Bool { count == 1 && self[0].hostID == id && self[0].size == 1 }
}
