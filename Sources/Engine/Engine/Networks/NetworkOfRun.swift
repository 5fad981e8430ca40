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
        let made = NetworkAttachment(sandboxID: Identifiers.random(), endpoints: [])
        do throws(EngineError) {
            let path = namespace.path.string
            try await changeBundle("note the network in the bundle") { configuration in
                guard let place = configuration.linux?.namespaces.firstIndex(where: { $0.kind == .network }) else { return }
                configuration.linux?.namespaces[place].path = path
            }
            try await writeNetworkRecord(made)
        } catch {
            let cause = error
            do throws(EngineError) {
                try await services.networks.onThread { () throws(NetworkingError) in try namespace.remove() }
            } catch { throw EngineError(cause.code, "\(cause.message) (and \(error.message))", cause: cause) }
            throw cause
        }
        attachment = made
        return made
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
        isNetworkMadeAhead = false
        guard let made = attachment else { return }
        let pinned = services.networks.namespace(of: id).path
        do throws(EngineError) {
            let held: HeldNamespace
            // Once more it has ended: its next start finds the bundle as it is now.
            do throws(EngineError) { held = try await heldNamespace(.network, of: task) } catch { return }
            let isThere: Bool
            do throws(SyscallError) {
                isThere = try fileStatus(FilePath(held.path), followingLinks: true).inode == fileStatus(pinned).inode
            } catch { throw EngineError.system("look at the container's network", error) }
            if isThere { return }
            attachment = nil
            await services.networks.unplug(made, of: id)
            for endpoint in made.endpoints {
                try await plugIn(endpoint.networkName, document.endpoints[endpoint.networkName] ?? EndpointSettings())
            }
        } catch { logger.error("put the container on its networks: \(error)") }
    }
}
