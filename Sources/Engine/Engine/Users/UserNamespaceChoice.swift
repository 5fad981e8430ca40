internal import EngineAPI

/// Whether a container gets a user namespace of its own.
enum UserNamespaceChoice {
    static func isOwn(_ host: HostConfig, in configuration: EngineConfiguration) throws(EngineError) -> Bool {
        // An ordinary user's containers are in the namespace of their daemon, who has no ids for further ones.
        let isStrict = try SecurityProfile(host) == .strict && !configuration.isRootless
        guard isStrict && host.usernsMode.isEmpty && !configuration.remapsUsers else {
            return try isOwn(host, isUsual: configuration.remapsUsers)
        }
        do throws(EngineError) { return try isOwn(host, isUsual: true) } catch {
            throw EngineError(
                error.code, "\(error.message): security profile strict gives the container one of its own, unless it says --userns host",
                cause: error.cause)
        }
    }

    /// - Parameter isUsual: whether containers get one that do not ask.
    /// - Throws: `.invalidParameter`, in Docker's words where it has some, for what a user namespace has no rights to.
    static func isOwn(_ host: HostConfig, isUsual: Bool) throws(EngineError) -> Bool {
        guard host.usernsMode == "private" || (host.usernsMode.isEmpty && isUsual) else {
            // One that joins another's may find its user namespace there.
            if try NamespaceModes(host).joinedContainers.isEmpty { try refuseOwnMapping(host) }
            return false
        }
        try check(host)
        // The other's is joined with what else it has, at the start.
        return try NamespaceModes(host).joinedContainers.isEmpty
    }

    /// A bind whose owners are to be shown as those of the container's own user namespace needs one.
    private static func refuseOwnMapping(_ host: HostConfig) throws(EngineError) {
        for bind in try MountPlan(host).binds where bind.ownerMapping == MountWords.ownNamespace {
            throw ContainerChecks.invalid(
                "invalid mode: \(MountWords.ownNamespace) of \(bind.destination): the container has no user namespace of its own: "
                    + "ask for one (--userns private), or name the ids (idmap=uids=FILE-SHOWN-COUNT;gids=FILE-SHOWN-COUNT)")
        }
    }

    /// What is the host's own, and what takes rights over the host.
    static func check(_ host: HostConfig) throws(EngineError) {
        if host.privileged {
            throw ContainerChecks.invalid(
                "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running "
                    + "privileged mode")
        }
        let modes = try NamespaceModes(host)
        if modes.network == .host {
            throw ContainerChecks.invalid("cannot share the host's network namespace when user namespaces are enabled")
        }
        if modes.process == .host { throw ContainerChecks.invalid("cannot share the host PID namespace when user namespaces are enabled") }
        if modes.ipc == .host { throw ContainerChecks.invalid("cannot share the host's IPC namespace when user namespaces are enabled") }
    }
}
