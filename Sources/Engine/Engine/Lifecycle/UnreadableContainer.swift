internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Logging
internal import Records

/// A container whose record cannot be read: a newer engine wrote it, or somebody damaged it, or an older copy of the records was put back, and it
/// is on none. An engine that can read it goes on with the container as it finds it, running or not; so this one takes nothing of it away, unless
/// somebody forces its removal.
struct UnreadableContainer: Sendable {
    let id: ContainerID
    let name: String
    let created: Timestamp
    let imageID: Digest?
    /// Why its record cannot be read.
    let reason: String
    /// What has it be read again.
    let wayBack: String
    private let remains: Remains
    /// Names of networks that it is to be on, as far as they are known.
    var networks: Set<String> { remains.networks }
    /// Whether it may have volumes that nobody knows of, and so any.
    var mayHaveAnyVolume: Bool { remains.volumes == nil }

    init(_ record: ContainerRecord, because error: EngineError) {
        (id, name, created, imageID, reason) = (record.id, record.name, record.created, record.imageID, error.message)
        wayBack = "an engine of the version that wrote it can read it"
        remains = (try? EngineJSON.decode(Remains.self, from: record.document)) ?? Remains()
    }

    /// One that has run, and that there is no record of.
    /// - Parameter changed: when its files were.
    init(withoutRecord id: ContainerID, changed: Timestamp) {
        (self.id, name, created, imageID) = (id, id.text, changed, nil)
        reason = "there is no record of it, as where an older copy of engine.sqlite was put back"
        wayBack = "an engine with the records that it is on goes on with it"
        remains = Remains()
    }

    /// What anybody is told who asks something of it.
    var complaint: EngineError {
        EngineError(.system, "container \(name) is out of reach: \(reason); only its forced removal, rm -f, is served")
    }

    /// A line of `GET /containers/json`.
    var listed: ListedContainer {
        var line = ContainerSummary()
        line.id = id.text
        line.names = ["/\(name)"]
        line.image = imageID?.description ?? ""
        line.imageID = imageID?.description ?? ""
        line.created = created.seconds
        line.state = "dead"
        line.status = "Dead (its record cannot be read)"
        return ListedContainer(
            summary: line, id: id.text, name: name, created: created, imageID: imageID, phase: .dead, exitCode: 0, hasRun: false,
            exposedPorts: [], networks: [], health: "none")
    }

    /// Keeps what is known to be its own from others, as if it ran: whether it does is for who can read its record.
    func keepBelongings(_ services: ContainerServices) async {
        await services.volumes.adopt(remains.volumes ?? [], of: id)
        if let ids = remains.userNamespace { services.userNamespaces.adopt(ids, of: id) }
    }

    /// The same for addresses and ports, as soon as there are networks.
    func keepNetwork(_ services: ContainerServices) async {
        if let attachment = await attachment(services) { await services.networks.adopt(attachment, id: id, name: name) }
    }

    private func attachment(_ services: ContainerServices) async -> NetworkAttachment? {
        let path = ContainerPaths(configuration: services.configuration, id: id).networkRecord
        do throws(EngineError) { return try await BlockingWork.run { () throws(EngineError) in try NetworkRecordFile.read(path) } } catch {
            services.logger.error("\(error)", metadata: ["container.id": "\(id)"])
            return nil
        }
    }

    /// Takes it away: its process, its root, its files, its record.
    /// - Parameter withVolumes: those of its volumes that nobody named go, too, as far as they are known.
    /// - Throws: `.conflict` unless `force` is set, as nobody knows whether it runs.
    func remove(force: Bool, withVolumes: Bool, _ services: ContainerServices) async throws(EngineError) {
        guard force else {
            throw EngineError(
                .conflict,
                "cannot remove container \"/\(name)\": \(reason): force remove takes it away with all that it wrote, running or not")
        }
        guard services.index.beginRemoval(of: self) else {
            throw EngineError(.conflict, "removal of container \(name) is already in progress")
        }
        let destruction: DestroyedContainer
        do throws(EngineError) { destruction = try await takeAway(withVolumes: withVolumes, services) } catch {
            services.index.endRemoval(of: self)
            throw error
        }
        services.index.remove(self)
        services.userNamespaces.release(id)
        services.destroyed.tell(id, destruction)
        services.logger.notice("a container was removed whose record could not be read: \(reason)", metadata: ["container.id": "\(id)"])
    }

    /// In an order in which the next daemon, or the next removal, can go on from anywhere: the record goes last.
    private func takeAway(withVolumes: Bool, _ services: ContainerServices) async throws(EngineError) -> DestroyedContainer {
        let (id, attachment) = (id, await attachment(services))
        try await BlockingWork.run(.programs) { () throws(EngineError) in
            services.networks.noteParting(of: attachment)
            try Leftovers.remove(id, services)
        }
        if let attachment { await services.networks.unplug(attachment, of: id) }
        do throws(ImageError) { try await services.images.removeRoot(of: id) } catch { throw EngineError(error) }
        let volumes = remains.volumes ?? []
        let unnamed = await withVolumes ? services.volumes.unnamed(volumes) : []
        await services.volumes.release(volumes, of: id, removing: unnamed)
        let image = imageID?.description ?? ""
        let event = ContainerDocument.UntoldEvent(
            action: "destroy", attributes: ["image": image, "name": name], time: Clock.unixNanoseconds, journalNumber: services.events.end)
        let destruction = DestroyedContainer(event: event, image: image)
        try await services.destroyed.remove(id, leaving: destruction)
        return destruction
    }
}

/// What can be read of a document that cannot be read: each part for itself.
private struct Remains: Decodable, Sendable {
    /// nil where nobody knows them.
    var volumes: [VolumeMount]?
    var userNamespace: UserNamespaceIDs?
    var networks: Set<String> = []

    private enum CodingKeys: CodingKey {
        case volumes, userNamespace, networkEndpoints
    }

    init() {}

    init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        volumes = members.contains(.volumes) ? try? members.decode([VolumeMount].self, forKey: .volumes) : []
        userNamespace = try? members.decode(UserNamespaceIDs.self, forKey: .userNamespace)
        networks = Set(((try? members.decode([String: EndpointSettings].self, forKey: .networkEndpoints)) ?? [:]).keys)
    }
}
