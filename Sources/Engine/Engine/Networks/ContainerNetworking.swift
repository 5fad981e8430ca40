internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import Logging
internal import Networking
internal import OCISpec
internal import SystemPackage

/// A container's own network, from before its first instruction to after its last.
extension Container {
    /// Whether the container may have links of its own: not where its network is the host's, another container's, or none. One that was
    /// taken off all its networks may get some while it runs.
    private var hasOwnNetwork: Bool {
        Networks.networkName(ofMode: document.hostConfig.networkMode) != nil
            && !["host", "none"].contains { document.endpoints[$0] != nil }
    }

    /// Finds addresses for a run. - Returns: nil for a container that has no links of its own.
    func reserveNetwork() async throws(EngineError) -> NetworkAttachment? {
        guard hasOwnNetwork else { return nil }
        var joiner = try joiner(document.endpoints)
        let defaults = services.configuration.defaults
        joiner.nameServers = document.hostConfig.dns.isEmpty ? defaults.nameServers : document.hostConfig.dns
        return try await services.networks.reserve(joiner)
    }

    /// The container, as one that wants to be on networks.
    func joiner(_ endpoints: [String: EndpointSettings]) throws(EngineError) -> Networks.Joiner {
        var joiner = Networks.Joiner(id: id, name: name, config: document.config, endpoints: endpoints)
        joiner.ports = try PortRequest.all(document.config, document.hostConfig, runs: document.portRuns)
        // Of two spellings of one name the last counts, as in the container's configuration.
        joiner.sysctls = Dictionary(
            document.hostConfig.sysctls.sorted { $0.key < $1.key }.map { (SysctlName($0.key)?.dotted ?? $0.key, $0.value) },
            uniquingKeysWith: { _, last in last })
        return joiner
    }

    /// Writes the files that stand for those in `/etc`, for this run.
    func writeNetworkFiles() async throws(EngineError) {
        let known = await fileFacts(attachment)
        if known.hostGateway == nil, document.hostConfig.extraHosts.contains(where: { ExtraHost($0)?.address == ExtraHost.hostGateway }) {
            throw EngineError(.system, "unable to derive the IP value for host-gateway: there is no default network")
        }
        let (id, document, facts, paths) = (id, document, services.facts, paths)
        try await BlockingWork.run { () throws(EngineError) in
            try Bundle.writeNetworkFiles(id: id, document: document, facts: facts, network: known, paths: paths)
        }
    }

    private func fileFacts(_ attachment: NetworkAttachment?) async -> NetworkFileFacts {
        var network = NetworkFileFacts(services.configuration)
        if network.hostGateway == nil { network.hostGateway = await services.networks.hostGateway }
        if let attachment {
            network.addresses = attachment.endpoints.flatMap { $0.interfaceAddresses.map(\.address.description) }
            network.hasNames = await services.networks.hasNames(attachment)
        }
        return network
    }

    /// Changes those files where a running container's networks have changed.
    func changeNetworkFiles(from old: NetworkAttachment) async throws(EngineError) {
        let (before, now) = (await fileFacts(old), await fileFacts(attachment))
        let (id, document, facts, paths) = (id, document, services.facts, paths)
        try await BlockingWork.run { () throws(EngineError) in
            try Bundle.changeNetworkFiles(id: id, document: document, facts: facts, from: before, to: now, paths: paths)
        }
    }

    /// Makes the networks call a running container by its new name. What fails is logged: the container has that name in any case.
    func renameOnNetworks() async {
        // Who starts it announces it by the name that it began with, and by this one afterwards.
        if startingName != nil { return }
        await takeNetworkTurn()
        defer { endNetworkTurn() }
        if let toldNetwork { await services.networks.note(id, called: name, onBare: toldNetwork) }
        guard var attachment else { return }
        let joiner = Networks.Joiner(id: id, name: name, config: document.config, endpoints: document.endpoints)
        for (index, endpoint) in attachment.endpoints.enumerated() {
            attachment.endpoints[index].dnsNames = Networks.dnsNames(
                of: joiner, document.endpoints[endpoint.networkName] ?? EndpointSettings())
        }
        self.attachment = attachment
        do throws(EngineError) {
            try await writeNetworkRecord(attachment)
            try await services.networks.rename(attachment, of: id, to: name)
        } catch { logger.error("call the container by its new name: \(error)") }
    }

    /// Where the container got another name while its network was made, makes that known.
    func renameAfterStart() async {
        let began = startingName
        startingName = nil
        if began != name { await renameOnNetworks() }
    }

    /// Where nothing was made for the container: `host` or `none`.
    private var bareNetwork: String? { ["host", "none"].first { document.endpoints[$0] != nil } }

    /// Tells that a run is on a network for which there was nothing to make.
    func tellOfBareNetwork() async {
        guard let name = bareNetwork else { return }
        toldNetwork = name
        await services.networks.enter(id, called: self.name, bare: name)
    }

    /// The same of its end.
    func tellOfEndOfBareNetwork() async {
        guard let name = toldNetwork else { return }
        toldNetwork = nil
        await services.networks.leave(id, bare: name)
    }

    /// Takes the network of a run away, if there is one.
    func leaveNetworks() async {
        // Who puts the container on a network just now ends that first, so that it is taken away with the others.
        await takeNetworkTurn()
        defer { endNetworkTurn() }
        await tellOfEndOfBareNetwork()
        guard let attachment else { return await removeUnrecordedNamespace() }
        self.attachment = nil
        await services.networks.unplug(attachment, of: id)
    }

    /// Learns what network a run has that another daemon began.
    func adoptNetwork() async {
        let (path, logger) = (paths.networkRecord, logger)
        let read: NetworkAttachment?
        do throws(EngineError) { read = try await BlockingWork.run { () throws(EngineError) in try NetworkRecordFile.read(path) } } catch {
            return logger.error("\(error)")
        }
        toldNetwork = bareNetwork
        if let toldNetwork { await services.networks.note(id, called: name, onBare: toldNetwork) }
        guard let read else { return }
        // Addresses of what is not its own any more may be others'.
        var own = read
        own.endpoints.removeAll { document.endpoints[$0.networkName] == nil }
        // It has them anew with the next network that they lead to.
        _ = own.withdrawPorts()
        attachment = own
        await services.networks.adopt(own, id: id, name: name)
        await finishDisconnections(read)
    }
}

/// The file in a bundle that says what a run's network is.
enum NetworkRecordFile {
    /// More than any container's networks take.
    private static let limitBytes = 1 << 20

    static func write(_ attachment: NetworkAttachment, to path: FilePath) throws(EngineError) {
        let text: [UInt8]
        do throws(DocumentError) { text = try EngineJSON.encode(attachment) } catch { throw .system("write a container's network", error) }
        // It lies in memory: a rename is all the durability that there is.
        let half = FilePath("\(path.string).half")
        do throws(SyscallError) {
            try writeAll(text, toFile: half)
            try renameFile(half, to: path)
        } catch { throw .system("write a container's network", error) }
    }

    /// nil where there is none.
    static func read(_ path: FilePath) throws(EngineError) -> NetworkAttachment? {
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile(path, limitBytes: limitBytes) } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return nil }
            throw .system("read a container's network", error)
        }
        let attachment: NetworkAttachment
        do throws(DocumentError) { attachment = try EngineJSON.decode(NetworkAttachment.self, from: bytes) } catch {
            throw .system("read \(path)", error)
        }
        guard attachment.version <= NetworkAttachment.currentVersion else {
            throw EngineError(.system, "\(path) has version \(attachment.version), written by a newer engine")
        }
        guard (attachment.ports ?? []).allSatisfy(\.isSound) else { throw EngineError(.system, "\(path) names ports that are none") }
        return attachment
    }
}
