internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import Logging
internal import Networking
internal import OCISpec
internal import SystemPackage

/// The network of a run that began without any.
extension Container {
    /// The network of the run. Of a container that was started on none it is made here, of the namespace that the runtime made; of one that waits to be
    /// started again there is no such namespace, and a new one is made, which its next start joins.
    func ownNetwork() async throws(EngineError) -> NetworkAttachment {
        if let attachment { return attachment }
        guard let task = state.supervisedTask else { throw notRunning }
        let namespace = services.networks.namespace(of: id)
        if state.isRestarting {
            isNetworkMadeAhead = true
            try await makeNamespace(namespace)
        } else {
            let held = try await heldNamespace(.network, of: task)
            try await services.networks.onThread { () throws(NetworkingError) in try namespace.pin(held.path) }
        }
        failpoint(.ownNamespacePinned)
        let made = NetworkAttachment(sandboxID: Identifiers.random(), endpoints: [])
        do throws(EngineError) {
            try await noteInBundle(namespace: namespace.path.string)
            failpoint(.ownNamespaceNoted)
            try await writeNetworkRecord(made)
            failpoint(.ownNamespaceRecorded)
        } catch {
            let cause = error
            do throws(EngineError) {
                // The next start shall not look for what is taken away.
                try await noteInBundle(namespace: nil)
                try await services.networks.onThread { () throws(NetworkingError) in try namespace.remove() }
            } catch { throw EngineError(cause.code, "\(cause.message) (and \(error.message))", cause: cause) }
            throw cause
        }
        attachment = made
        return made
    }

    /// Takes the namespace of a run away that a daemon had just pinned when it died, and not written down yet.
    func removeUnrecordedNamespace() async {
        let namespace = services.networks.namespace(of: id)
        guard (try? fileStatus(namespace.path)) != nil else { return }
        do throws(EngineError) {
            try await services.networks.onThread { () throws(NetworkingError) in try namespace.remove() }
        } catch { logger.error("take the container's network away: \(error)") }
    }

    /// - Parameter path: nil for one that the runtime makes.
    private func noteInBundle(namespace path: String?) async throws(EngineError) {
        try await changeBundle("note the network in the bundle") { configuration in
            guard let place = configuration.linux?.namespaces.firstIndex(where: { $0.kind == .network }) else { return }
            configuration.linux?.namespaces[place].path = path
        }
    }

    private func makeNamespace(_ namespace: PinnedNamespace) async throws(EngineError) {
        let own = paths.userNamespace
        try await services.networks.onThread { () throws(NetworkingError) in
            // What an attempt left that was cut off.
            try namespace.remove()
            try Sandbox.make(namespace, of: (try? fileStatus(own)) == nil ? nil : own, cables: [])
        }
    }

    /// What waited for its restart runs again. Where its network was made meanwhile and came too late for this start, the process has another
    /// namespace, and is put on its networks there.
    func settleOnNetworkMadeAhead(_ task: RunningTask) async {
        await takeNetworkTurn()
        defer { endNetworkTurn() }
        guard isNetworkMadeAhead else { return }
        guard let made = attachment else {
            isNetworkMadeAhead = false
            return
        }
        let (networks, namespace) = (services.networks, services.networks.namespace(of: id))
        let held: HeldNamespace
        // Once more it has ended, or its shim does not answer: the next start, which finds the bundle as it is now, is looked at.
        do throws(EngineError) { held = try await heldNamespace(.network, of: task) } catch { return }
        isNetworkMadeAhead = false
        do throws(EngineError) {
            let isThere: Bool
            do throws(SyscallError) {
                isThere = try fileStatus(FilePath(held.path), followingLinks: true).inode == fileStatus(namespace.path).inode
            } catch { throw EngineError.system("look at the container's network", error) }
            if isThere { return }
            try await BlockingWork.run { () throws(EngineError) in networks.noteParting(of: made) }
            attachment = nil
            await networks.unplug(made, of: id)
            // Where the process has ended by now, this is what its next start joins: the bundle names it.
            try await networks.onThread { () throws(NetworkingError) in try namespace.pin(held.path) }
            let bare = NetworkAttachment(sandboxID: made.sandboxID, endpoints: [])
            attachment = bare
            try await writeNetworkRecord(bare)
            try await changeNetworkFiles(from: made)
            for endpoint in made.endpoints {
                let name = endpoint.networkName
                do throws(EngineError) { try await plugIn(name, document.endpoints[name] ?? EndpointSettings()) } catch {
                    logger.error("put the container on network \(name): \(error)")
                }
            }
        } catch { logger.error("put the container on its networks: \(error)") }
    }
}
