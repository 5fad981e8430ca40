internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking
internal import SystemPackage

/// Joining and leaving networks after the container was made.
extension Container {
    /// Puts the container on a further network: at once where it runs or waits to be started again, otherwise from its next start.
    /// - Throws: `.forbidden` in Docker's words where it runs there already, or can be on none.
    func connect(to word: String, _ settings: EndpointSettings) async throws(EngineError) {
        try await changingNetworks { () throws(EngineError) in try await join(word, settings) }
    }

    private func join(_ word: String, _ settings: EndpointSettings) async throws(EngineError) {
        try refuseChangeOfNetworks()
        let network = try await services.networks.find(word)
        try refuseClosedNetworks(network.name)
        try Networks.refuseConfiguration(network)
        try Networks.check(settings, on: network)
        let former = document.endpoints[network.name]
        guard former == nil || state.supervisedTask == nil else {
            throw EngineError(.forbidden, "endpoint with name \(name) already exists in network \(network.name)")
        }
        document.endpoints[network.name] = settings
        do throws(EngineError) {
            // There is nothing to plug into `none`.
            if state.supervisedTask != nil && network.document.driver != .none { try await plugIn(network.name, settings) }
            try await save()
        } catch {
            document.endpoints[network.name] = former
            throw await takenBack(network.name, after: error)
        }
        if state.supervisedTask != nil && network.document.driver == .none { await tellOfBareNetwork() }
    }

    /// Takes the container off a network that it could not be put on whole.
    private func takenBack(_ network: String, after error: EngineError) async -> EngineError {
        guard let attachment, let endpoint = attachment.endpoints.first(where: { $0.networkName == network }) else { return error }
        do throws(EngineError) {
            try await pullOut(endpoint, of: attachment)
            return error
        } catch let second { return EngineError(error.code, "\(error.message) (and \(second.message))", cause: error) }
    }

    /// Takes the container off a network.
    /// - Throws: `.forbidden` in Docker's words where it is not there.
    func disconnect(from word: String, force: Bool) async throws(EngineError) {
        let found = try? await services.networks.find(word)
        // With force, also off a network that is gone.
        let key = found?.name ?? (force ? word : nil)
        guard let key else { throw Networks.notFound(word) }
        try await changingNetworks { () throws(EngineError) in try await leave(key) }
    }

    private func leave(_ key: String) async throws(EngineError) {
        try refuseChangeOfNetworks()
        guard let settings = document.endpoints[key] else {
            throw EngineError(.forbidden, "container \(id) is not connected to network \(key)")
        }
        document.endpoints[key] = nil
        do throws(EngineError) { try await save() } catch {
            document.endpoints[key] = settings
            throw error
        }
        // Written first: after a crash from here on, the next daemon goes on with it.
        failpoint(.disconnectRecorded)
        if toldNetwork == key { await tellOfEndOfBareNetwork() }
        guard let attachment, let endpoint = attachment.endpoints.first(where: { $0.networkName == key }) else { return }
        do throws(EngineError) { try await pullOut(endpoint, of: attachment) } catch {
            // Once it is out it is, whatever fails behind that.
            if self.attachment?.endpoint(on: endpoint.networkID) != nil {
                document.endpoints[key] = settings
                await saveOrLog()
            }
            throw error
        }
    }

    /// Waits until nobody else changes the container's networks, nor starts it, and lets nobody do so meanwhile.
    func changingNetworks<Value: Sendable>(_ body: () async throws(EngineError) -> Value) async throws(EngineError) -> Value {
        while true {
            try await startDecided()
            await takeNetworkTurn()
            // A start that fails takes its network away in a turn of its own: who has one does not wait for it.
            guard case .starting = state else { break }
            endNetworkTurn()
        }
        defer { endNetworkTurn() }
        return try await body()
    }

    /// Waits, whoever is cancelled meanwhile, until nobody else changes the container's networks.
    func takeNetworkTurn() async {
        guard networkTurns != nil else {
            networkTurns = []
            return
        }
        await withCheckedContinuation { networkTurns?.append($0) }
    }

    func endNetworkTurn() {
        guard var waiting = networkTurns, !waiting.isEmpty else {
            networkTurns = nil
            return
        }
        let next = waiting.removeFirst()
        networkTurns = waiting
        next.resume()
    }

    private func refuseChangeOfNetworks() throws(EngineError) {
        let mode = document.hostConfig.networkMode
        if mode == "host" || mode.hasPrefix("container:") {
            throw EngineError(
                .forbidden, "container sharing network namespace with another container or host cannot be connected to any other network")
        }
        switch state {
        case .created, .running, .paused, .restarting, .exited: return
        case .starting, .stopping, .exiting: throw EngineError(.conflict, "container \(id) is starting or stopping: try again")
        case .removing, .dead: throw EngineError(.conflict, "container \(id) is marked for removal and cannot be connected or disconnected")
        }
    }

    /// Who is on `none` is nowhere else, and who is elsewhere not there; the host's network is for who was made there.
    private func refuseClosedNetworks(_ network: String) throws(EngineError) {
        if network == "host" {
            throw EngineError(.forbidden, "container cannot be disconnected from host network or connected to host network")
        }
        guard document.endpoints["none"] != nil || network == "none" && !document.endpoints.isEmpty else { return }
        throw EngineError(
            .forbidden, "container cannot be connected to multiple networks with one of the networks in private (none) mode")
    }

    func plugIn(_ network: String, _ settings: EndpointSettings) async throws(EngineError) {
        let former = try await ownNetwork()
        let joiner = try joiner([network: settings])
        let taken = Set(former.endpoints.map(\.insideLink))
        let endpoint = try await services.networks.reserve(joiner, on: network, settings, besides: taken)
        var attachment = former
        attachment.endpoints.append(endpoint)
        var opened: [PublishedPort] = []
        failpoint(.connectReserved)
        do throws(EngineError) {
            // Where nothing led to the container before, its ports are published now.
            if (former.ports ?? []).isEmpty { opened = try await services.networks.takePorts(joiner, attachment.endpoints) }
            if !opened.isEmpty { attachment.ports = opened }
            try await writeNetworkRecord(attachment)
            failpoint(.connectRecorded)
            try await services.networks.plug(endpoint, into: attachment, of: id)
            failpoint(.connectPlugged)
        } catch {
            // It may have been spoken with already.
            await services.networks.forgetConversations(of: [endpoint], ports: opened)
            await services.networks.release(endpoint, of: id)
            await services.networks.release(ports: opened)
            // The address may be somebody else's by the time that a daemon reads it there.
            do throws(EngineError) { try await writeNetworkRecord(former) } catch let second {
                throw EngineError(error.code, "\(error.message) (and \(second.message))", cause: error)
            }
            throw error
        }
        self.attachment = attachment
        try await changeNetworkFiles(from: former)
    }

    private func pullOut(_ endpoint: EndpointRecord, of old: NetworkAttachment) async throws(EngineError) {
        var attachment = old
        attachment.endpoints.removeAll { $0.endpointID == endpoint.endpointID }
        let closed = attachment.withdrawPorts()
        try await services.networks.unplug(endpoint, outOf: attachment, of: id, closing: closed)
        await services.networks.release(ports: closed)
        failpoint(.disconnectUnplugged)
        self.attachment = attachment
        try await writeNetworkRecord(attachment)
        failpoint(.disconnectRunRecorded)
        try await changeNetworkFiles(from: old)
    }

    /// Takes an adopted container off the networks that it is not on by its record: a daemon died before it had put it there whole, or
    /// before it had taken it off.
    /// - Parameter all: what there may be of its network.
    func finishDisconnections(_ all: NetworkAttachment) async {
        guard let attachment, attachment != all else { return }
        for endpoint in all.endpoints where !attachment.endpoints.contains(endpoint) {
            do throws(EngineError) { try await services.networks.removeInterrupted(endpoint, outOf: attachment, of: id) } catch {
                logger.error("take the container off network \(endpoint.networkName): \(error)")
            }
        }
        do throws(EngineError) {
            try await writeNetworkRecord(attachment)
            try await changeNetworkFiles(from: all)
        } catch { logger.error("take the container off networks: \(error)") }
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
        try await waitUntilGone([endpoint])
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
        let isOpened = (published[id.text] ?? []).isEmpty
        published[id.text] = attachment.firewallPorts
        cables.insert(endpoint.hostLink)
        if isOpened { await forgetConversations(before: attachment.firewallPorts) }
        tell("connect", endpoint, id)
    }

    /// Takes one endpoint from a container that runs.
    /// - Parameter closed: ports that are published no more.
    func unplug(
        _ endpoint: EndpointRecord, outOf attachment: NetworkAttachment, of id: ContainerID, closing closed: [PublishedPort]
    ) async throws(EngineError) {
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
        forgetConversations(of: [endpoint], ports: closed)
        // It is out, whatever the names say of it for a while.
        do throws(EngineError) { try await announce(attachment, of: id) } catch {
            logger.error("names after a disconnection: \(error)", metadata: ["container.id": "\(id)"])
        }
        release(endpoint, of: id)
        published[id.text] = attachment.firewallPorts
        tell("disconnect", endpoint, id)
    }

    /// Takes away what there may be of an endpoint, before the firewall is made anew as a whole.
    func removeInterrupted(_ endpoint: EndpointRecord, outOf attachment: NetworkAttachment, of id: ContainerID) async throws(EngineError) {
        let (namespace, routes) = (namespace(of: id), Self.routes(attachment.endpoints))
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
