internal import EngineAPI
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// The user namespace of a run: the host's, the container's own, or that of the container whose other namespaces it joins, for they belong to
/// that one.
extension Container {
    /// Containers one of which joins the next.
    static let chainLimit = 16

    /// The ids of the container's user namespace; nil is the host's.
    /// - Throws: `.conflict` for containers that do not go together.
    func userNamespaceIDs(depth: Int = 0) async throws(EngineError) -> UserNamespaceIDs? {
        let host = document.hostConfig
        guard host.usernsMode != "host" else { return nil }
        let joined = try NamespaceModes(host).joinedContainers
        guard !joined.isEmpty else { return document.userNamespace }
        guard depth < Self.chainLimit else { throw EngineError(.invalidParameter, "containers join each other's namespaces in a circle") }
        var found: [UserNamespaceIDs?] = []
        for (_, name) in joined {
            let other = try services.index.find(name)
            if other === self { throw EngineError(.invalidParameter, "cannot join own namespaces") }
            let ids = try await other.userNamespaceIDs(depth: depth + 1)
            if host.usernsMode == "private" && ids == nil {
                throw EngineError(
                    .conflict,
                    "a user namespace of its own does not go with namespaces of container \(name), which has the host's: say --userns=host, "
                        + "or run \(name) with --userns=private")
            }
            found.append(ids)
        }
        guard let ids = found.first, found.allSatisfy({ $0 == ids }) else {
            throw EngineError(
                .conflict,
                "containers \(joined.map(\.name).joined(separator: ", ")) are in different user namespaces: join those of one of them")
        }
        return ids
    }

    /// Finds out which user namespace a start is in, and holds that of another container open.
    func joinUserNamespace(_ modes: NamespaceModes, into joined: inout JoinedParts) async throws(EngineError) {
        guard let ids = try await userNamespaceIDs() else { return }
        joined.userNamespace = ids
        guard let (_, name) = modes.joinedContainers.first else {
            joined.namespaces[.user] = paths.userNamespace.string
            return
        }
        try UserNamespaceChoice.check(document.hostConfig)
        let other = try services.index.find(name)
        guard let task = await other.state.runningTask else { throw await other.notRunning }
        joined.hold(try await other.heldNamespace(.user, of: task), as: .user)
    }
}

/// The file in a bundle that keeps a run's user namespace, at each start that the shim makes.
enum UserNamespacePin {
    static func make(_ ids: UserNamespaceIDs, at place: FilePath) throws(SyscallError) {
        let namespace = try makeUserNamespace(users: ids.users.map(\.range), groups: ids.groups.map(\.range))
        try makeDirectories(place.removingLastComponent(), mode: 0o700)
        _ = try openFile(place, [.writeOnly, .create, .exclusive], mode: 0o444)
        try mount("/proc/self/fd/\(namespace.number)", onto: place, flags: .bind)
    }
}
