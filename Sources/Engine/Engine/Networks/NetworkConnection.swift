internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking

/// Joining and leaving networks after the container was made.
extension Container {
    /// Puts the container on a further network: at once where it runs, otherwise from its next start.
    /// - Throws: `.forbidden` in Docker's words where it is there already, or can be on none.
    func connect(to word: String, _ settings: EndpointSettings) async throws(EngineError) {
        try await startDecided()
        try refuseChangeOfNetworks()
        let network = try await services.networks.find(word)
        try Networks.check(settings, on: network)
        guard document.endpoints[network.name] == nil else {
            throw EngineError(.forbidden, "endpoint with name \(name) already exists in network \(network.name)")
        }
        document.endpoints[network.name] = settings
        do throws(EngineError) {
            if state.runningTask != nil { try await plugIn(network.name, settings) }
            try await save()
        } catch {
            document.endpoints[network.name] = nil
            throw error
        }
    }

    /// Takes the container off a network.
    /// - Throws: `.forbidden` in Docker's words where it is not there.
    func disconnect(from word: String, force: Bool) async throws(EngineError) {
        let networks = services.networks
        let found = try? await networks.find(word)
        // With force, also off a network that is gone.
        let key = found?.name ?? (force ? word : nil)
        guard let key else { throw Networks.notFound(word) }
        try await startDecided()
        try refuseChangeOfNetworks()
        guard let settings = document.endpoints[key] else {
            throw EngineError(.forbidden, "container \(id) is not connected to network \(key)")
        }
        document.endpoints[key] = nil
        do throws(EngineError) {
            // Written first: after a crash from here on, the next daemon goes on with it.
            try await save()
            failpoint(.disconnectRecorded)
            if let attachment, let endpoint = attachment.endpoints.first(where: { $0.networkName == key }) {
                try await pullOut(endpoint, of: attachment)
            }
        } catch {
            document.endpoints[key] = settings
            await saveOrLog()
            throw error
        }
    }

    private func refuseChangeOfNetworks() throws(EngineError) {
        let mode = document.hostConfig.networkMode
        if mode == "host" || mode.hasPrefix("container:") {
            throw EngineError(
                .forbidden, "container sharing network namespace with another container or host cannot be connected to any other network")
        }
        if document.endpoints["none"] != nil {
            throw EngineError(
                .forbidden, "container cannot be connected to multiple networks with one of the networks in private (none) mode")
        }
        switch state {
        case .created, .running, .paused, .exited: return
        case .starting, .restarting, .stopping, .exiting: throw EngineError(.conflict, "container \(id) is starting or stopping: try again")
        case .removing, .dead: throw EngineError(.conflict, "container \(id) is marked for removal and cannot be connected or disconnected")
        }
    }

    private func plugIn(_ network: String, _ settings: EndpointSettings) async throws(EngineError) {
        guard var attachment else {
            throw EngineError(.forbidden, "container \(id) was started without networks: restart it to connect it to one")
        }
        let joiner = Networks.Joiner(id: id, name: name, config: document.config, endpoints: [network: settings])
        let taken = Set(attachment.endpoints.map(\.insideLink))
        let endpoint = try await services.networks.reserve(joiner, on: network, settings, besides: taken)
        attachment.endpoints.append(endpoint)
        failpoint(.connectReserved)
        do throws(EngineError) {
            try await writeNetworkRecord(attachment)
            failpoint(.connectRecorded)
            try await services.networks.plug(endpoint, into: attachment, of: id)
            failpoint(.connectPlugged)
        } catch {
            await services.networks.release(endpoint, of: id)
            throw error
        }
        self.attachment = attachment
        try await writeNetworkFiles()
    }

    private func pullOut(_ endpoint: EndpointRecord, of old: NetworkAttachment) async throws(EngineError) {
        var attachment = old
        attachment.endpoints.removeAll { $0.endpointID == endpoint.endpointID }
        try await services.networks.unplug(endpoint, outOf: attachment, of: id)
        failpoint(.disconnectUnplugged)
        self.attachment = attachment
        try await writeNetworkRecord(attachment)
        failpoint(.disconnectRunRecorded)
        try await writeNetworkFiles()
    }

    /// Takes an adopted container off the networks that it is not on by its record: a daemon died before it had put it there whole, or
    /// before it had taken it off.
    func finishDisconnections() async {
        while let old = attachment, let endpoint = old.endpoints.first(where: { document.endpoints[$0.networkName] == nil }) {
            let rest = old.without(endpoint)
            attachment = rest
            do throws(EngineError) {
                try await services.networks.removeInterrupted(endpoint, outOf: rest, of: id)
                try await writeNetworkRecord(rest)
                try await writeNetworkFiles()
            } catch { logger.error("take the container off network \(endpoint.networkName): \(error)") }
        }
    }

    func writeNetworkRecord(_ attachment: NetworkAttachment) async throws(EngineError) {
        let path = paths.networkRecord
        try await BlockingWork.run { () throws(EngineError) in try NetworkRecordFile.write(attachment, to: path) }
    }
}

extension Networks {
    /// Adds one endpoint to a container that runs; the default route goes where precedence says. On failure nothing of it is left.
    func plug(_ endpoint: EndpointRecord, into attachment: NetworkAttachment, of id: ContainerID) async throws(EngineError) {
        var cable = try cable(endpoint, among: attachment.endpoints)
        cable.gateways = []
        // The ports go where precedence says, too.
        let (before, guarded) = (part(attachment.without(endpoint)), part([endpoint]))
        let (namespace, firewall, after, plan) = (namespace(of: id), firewall, part(attachment), cable)
        let routes = Self.routes(attachment.endpoints)
        try await onThread { () throws(NetworkingError) in
            // Who runs already may speak as soon as there is a cable: the firewall knows by then as whom.
            try firewall.add(guarded)
            failpoint(.connectGuarded)
            do throws(NetworkingError) {
                try Sandbox.add(plan, to: namespace)
                failpoint(.connectCableMade)
                try firewall.exchange(removing: before, adding: after)
                failpoint(.connectFirewallOpened)
                try Sandbox.setRoutes(routes, in: namespace)
                failpoint(.connectRouted)
            } catch {
                throw error.followed { () throws(NetworkingError) in try Sandbox.remove(plan.insideLink, from: namespace) }
                    .followed { () throws(NetworkingError) in try firewall.exchange(removing: after, adding: before) }
            }
        }
        do throws(EngineError) { try await announce(attachment, of: id) } catch {
            let cause = error
            do throws(EngineError) {
                try await onThread { () throws(NetworkingError) in
                    do throws(NetworkingError) { try Sandbox.remove(plan.insideLink, from: namespace) } catch {
                        throw error.followed { () throws(NetworkingError) in try firewall.exchange(removing: after, adding: before) }
                    }
                    try firewall.exchange(removing: after, adding: before)
                }
            } catch { throw EngineError(cause.code, "\(cause.message); then \(error.message)", cause: cause.cause) }
            throw cause
        }
        failpoint(.connectNamed)
        published[id.text] = attachment.firewallPorts
        cables.insert(endpoint.hostLink)
        tell("connect", endpoint, id)
    }

    /// Takes one endpoint from a container that runs.
    func unplug(_ endpoint: EndpointRecord, outOf attachment: NetworkAttachment, of id: ContainerID) async throws(EngineError) {
        var before = part(attachment.endpoints + [endpoint])
        for port in published[id.text] ?? [] { before.add(port) }
        let (namespace, firewall, old, after) = (namespace(of: id), firewall, before, part(attachment))
        let routes = Self.routes(attachment.endpoints)
        cables.remove(endpoint.hostLink)
        try await onThread { () throws(NetworkingError) in
            try Sandbox.remove(endpoint.insideLink, from: namespace)
            failpoint(.disconnectCableGone)
            try firewall.exchange(removing: old, adding: after)
            failpoint(.disconnectFirewallClosed)
            try Sandbox.setRoutes(routes, in: namespace)
            failpoint(.disconnectRouted)
        }
        try await announce(attachment, of: id)
        release(endpoint, of: id)
        published[id.text] = attachment.firewallPorts
        tell("disconnect", endpoint, id)
    }

    /// Takes away what there may be of an endpoint, before the firewall is made anew as a whole.
    func removeInterrupted(_ endpoint: EndpointRecord, outOf attachment: NetworkAttachment, of id: ContainerID) async throws(EngineError) {
        let (namespace, routes) = (namespace(of: id), Self.routes(attachment.endpoints))
        published[id.text] = attachment.firewallPorts
        release(endpoint, of: id)
        try await onThread { () throws(NetworkingError) in
            try Sandbox.remove(endpoint.insideLink, from: namespace)
            if !endpoint.hostLink.isEmpty { try HostNetwork.removeLink(endpoint.hostLink) }
            try Sandbox.setRoutes(routes, in: namespace)
        }
    }

    static func routes(_ endpoints: [EndpointRecord]) -> [DefaultRoute] {
        endpoints.map { DefaultRoute(link: $0.insideLink, gateways: endpoints.gateways(through: $0)) }.filter { !$0.gateways.isEmpty }
    }
}
