internal import CoreTypes
internal import EngineAPI
internal import Images
internal import OCISpec
internal import Records
internal import ShimProtocol
internal import Snapshots
internal import SystemPackage

/// Makes a container: checks first, then its files and root, and last the record, from which on there is a container.
struct ContainerCreation {
    /// Made-up names tried before we give up.
    private static let nameAttempts = 10

    let parts: ContainerEngine.Parts
    let request: ContainerCreateRequest
    let platform: String
    let habits: ClientHabits

    private var services: ContainerServices { parts.services }

    func run(name wanted: String?) async throws(EngineError) -> ContainerCreateResponse {
        try Refusal.check(request)
        if services.configuration.isRootless { try Refusal.checkRootless(request) }
        let endpoints = try await services.networks.wishes(of: request)
        let image = try await image()
        let imageConfig = ImageConfig(try await ImageConfiguration.load(image, from: services.images).execution)
        var document = ContainerDocument(
            config: try ImageDefaults.merge(request.config, over: imageConfig), hostConfig: request.hostConfig, endpoints: endpoints,
            platform: image.image.platform.description)
        document.readsOnlyTop = habits.readsOnlyTop
        try SecurityProfile.settle(&document.hostConfig, usual: services.configuration.securityProfile)
        if services.configuration.forbidsNewPrivileges { try SecurityOptions.forbidNewPrivileges(in: &document.hostConfig) }
        let id = try Self.newID()
        let warnings = try ContainerChecks.adjust(&document, request: request.config, facts: services.facts)
        try complete(&document, id: id)
        try await checkLinks(document.hostConfig)
        let volumes = try await volumePlan(document)
        document.inheritedBinds = volumes.inheritedBinds
        try check(document, id: id)
        try await LogSettings(document.hostConfig.logConfig, defaults: services.configuration.log).checkServer()
        try await checkSources(document.hostConfig)
        if try UserNamespaceChoice.isOwn(document.hostConfig, in: services.configuration) {
            document.userNamespace = try services.userNamespaces.take(for: id)
        }
        services.index.beginMaking(id, of: image.image.id)
        defer { services.index.endMaking(id) }
        do throws(EngineError) {
            // From here on no removal overlooks that it is used: it is there still, or was gone before.
            do throws(ImageError) { try await services.images.confirm(image.image.id) } catch { throw EngineError(error) }
            try await make(id, name: wanted, document: document, volumes: volumes, image: image.image.id)
        } catch {
            services.userNamespaces.release(id)
            throw error
        }
        var answer = ContainerCreateResponse()
        answer.id = id.text
        answer.warnings = warnings + self.warnings(image)
        return answer
    }

    private func make(
        _ id: ContainerID, name wanted: String?, document: ContainerDocument, volumes: VolumePlan, image: Digest
    ) async throws(EngineError) {
        let name = try reserveName(wanted, for: id)
        failpoint(.createNameReserved)
        do throws(EngineError) {
            try await make(id, name: name, document: document, volumes: volumes, image: image)
        } catch {
            services.index.release(name: name, for: id)
            throw error
        }
    }

    // MARK: - Checks

    private func image() async throws(EngineError) -> NamedImage {
        guard !request.config.image.isEmpty else { throw EngineError(.invalidParameter, "no image specified") }
        let found: NamedImage
        do throws(ImageError) { found = try await services.images.lookUp(request.config.image) } catch { throw EngineError(error) }
        guard !platform.isEmpty else { return found }
        let wanted: CoreTypes.Platform
        do throws(InvalidPlatform) { wanted = try CoreTypes.Platform(parsing: platform) } catch {
            throw EngineError(.invalidParameter, "\(error)", cause: error)
        }
        try found.check(wanted, as: request.config.image)
        return found
    }

    private func volumePlan(_ document: ContainerDocument) async throws(EngineError) -> VolumePlan {
        for destination in request.config.volumes.keys.sorted() { try VolumeRequest.refuseFolder(destination) }
        var sources: [(from: VolumesFrom, document: ContainerDocument)] = []
        for text in document.hostConfig.volumesFrom {
            let from = try VolumesFrom(parsing: text)
            let other = try Self.asParameter { () throws(EngineError) in try services.index.find(from.container) }
            sources.append((from, await other.document))
        }
        let plan = try VolumePlan(config: document.config, host: document.hostConfig, sources: sources)
        // As Docker, it is looked for when it is to make something.
        if !plan.requests.isEmpty { try ContainerEngine.checkVolumeDriver(document.hostConfig.volumeDriver) }
        return plan
    }

    /// Docker writes some defaults into the container, where inspect shows them.
    private func complete(_ document: inout ContainerDocument, id: ContainerID) throws(EngineError) {
        let facts = services.facts
        document.config.hostname = Specification.hostname(
            of: document.config, document.hostConfig, id: id, hostName: facts.hostName)
        if document.config.image.isEmpty { document.config.image = request.config.image }
        var host = document.hostConfig
        if host.networkMode.isEmpty { host.networkMode = "default" }
        let settings = services.configuration.current.value
        if host.shmSize == 0 { host.shmSize = settings.sharedMemoryBytes }
        if host.runtime.isEmpty { host.runtime = services.configuration.defaultRuntime }
        if host.restartPolicy.name.isEmpty { host.restartPolicy.name = "no" }
        host.logConfig = services.configuration.completed(host.logConfig)
        if host.ipcMode.isEmpty { host.ipcMode = settings.ipcMode }
        if host.cgroupnsMode.isEmpty {
            let isUnified = parts.host.isUnifiedCgroup
            let isHost = !isUnified && (host.privileged || habits.usesHostCgroupNamespace)
            let usual = services.configuration.defaults.cgroupNamespace(isUnified: isUnified, try SecurityProfile(host))
            host.cgroupnsMode = isHost ? "host" : usual
        }
        if host.cgroupParent.isEmpty { host.cgroupParent = services.configuration.defaults.cgroupParent }
        // A name may be another's by the time of the start.
        for mode in [\HostConfig.pidMode, \.ipcMode] { host[keyPath: mode] = try byIdentifier(host[keyPath: mode]) }
        // The network of one that is not there yet is waited for, as by Docker.
        host.networkMode = (try? byIdentifier(host.networkMode)) ?? host.networkMode
        if host.oomKillDisable == nil && facts.limits.has(.oomKillDisable) { host.oomKillDisable = false }
        if host.memory > 0 && host.memorySwap == 0 && facts.countsSwap {
            host.memorySwap = host.memory.multipliedReportingOverflow(by: 2).overflow ? -1 : host.memory * 2
        }
        try SecurityOptions.noteUnlabelled(in: &host)
        if !host.privileged {
            let masked = DefaultPaths.masked(try SecurityProfile(host))
            host.maskedPaths = host.maskedPaths ?? masked
            host.readonlyPaths = host.readonlyPaths ?? DefaultPaths.readOnly
        }
        document.hostConfig = host
    }

    /// `container:NAME` with the container's id in place of its name; any other mode as it is.
    /// - Throws: `.invalidParameter` for a container that is not there.
    private func byIdentifier(_ mode: String) throws(EngineError) -> String {
        guard mode.hasPrefix("container:") else { return mode }
        let name = String(mode.dropFirst("container:".count))
        return "container:\(try Self.asParameter { () throws(EngineError) in try services.index.find(name) }.id)"
    }

    /// Looks for what a request names beside its own subject. Told as not found, clients would take it for the image, and pull that.
    private static func asParameter<Value>(_ body: () throws(EngineError) -> Value) throws(EngineError) -> Value {
        do throws(EngineError) { return try body() } catch {
            throw error.code == .notFound ? EngineError(.invalidParameter, error.message, cause: error.cause) : error
        }
    }

    /// Links are passed over, but name containers that are there.
    private func checkLinks(_ host: HostConfig) async throws(EngineError) {
        guard ["default", "bridge", "none", ""].contains(host.networkMode) else { return }
        for text in host.links {
            let name = try ContainerLink(parsing: text).container
            let other: Container
            do throws(EngineError) {
                other = try Self.asParameter { () throws(EngineError) in try services.index.find(name) }
            } catch { throw EngineError(error.code, "could not get container for \(name): \(error.message)", cause: error) }
            guard await other.document.hostConfig.networkMode != "host" else {
                throw ContainerChecks.invalid(
                    "conflicting options: host type networking can't be used with links. This would result in undefined behavior")
            }
        }
    }

    /// Refuses a tag of the log that could not be filled. The name and the image's id are as long as they may be.
    private func checkTag(_ document: ContainerDocument, id: ContainerID) throws(EngineError) {
        let options = document.hostConfig.logConfig.config
        guard let tag = options["tag"] else { return }
        _ = try LogTag(
            containerID: id.text, containerName: id.text, imageID: "sha256:\(id.text)", created: .now, config: document.config,
            options: options, logPath: "", hostName: services.facts.hostName
        ).filled(tag)
    }

    /// Everything that the start would refuse and that can be known before.
    private func check(_ document: ContainerDocument, id: ContainerID) throws(EngineError) {
        try HealthRequests.check(document.config, document.hostConfig)
        try Refusal.checkRestarts(document.hostConfig)
        _ = try LogSettings(document.hostConfig.logConfig, defaults: services.configuration.log)
        _ = try LogAttributes.chosen(document.hostConfig.logConfig.config, config: document.config)
        try checkTag(document, id: id)
        let rule = try RestartRule(document.hostConfig.restartPolicy)
        if document.hostConfig.autoRemove && rule.kind != .never {
            throw EngineError(.invalidParameter, "can't create 'AutoRemove' container with restart policy")
        }
        _ = try services.configuration.runtimePath(named: document.hostConfig.runtime)
        let request = SpecificationRequest(
            id: id, config: document.config, host: services.configuration.defaults.applied(to: document.hostConfig),
            mounts: try document.mountPlan(in: services.volumes.folder), user: UserConfiguration(),
            files: NetworkFiles(hosts: "/", hostname: "/", resolver: "/"),
            seccomp: try SeccompProfiles.configuration(
                for: document.hostConfig, usual: services.configuration.defaults.seccomp, facts: services.facts),
            initPath: services.configuration.initPath.string, facts: services.facts)
        for bind in request.mounts.binds { try bind.checkPropagation(where: services.volumes.folder.daemonRoot) }
        let configuration = try Specification.configuration(for: request)
        do throws(SpecProblem) { try configuration.validate() } catch { throw EngineError(.invalidParameter, "\(error)", cause: error) }
    }

    /// A bind in the long form is of what is there already.
    private func checkSources(_ host: HostConfig) async throws(EngineError) {
        let sources = try MountPlan(host).binds.filter { !$0.makesSource }.map(\.source)
        guard !sources.isEmpty else { return }
        try await BlockingWork.run(.trees) { () throws(EngineError) in
            for source in sources { try Bundle.checkSource(source) }
        }
    }

    private static func newID() throws(EngineError) -> ContainerID {
        do throws(InvalidContainerID) { return try ContainerID(Identifiers.random()) } catch { throw .system("make an id", error) }
    }

    private func reserveName(_ wanted: String?, for id: ContainerID) throws(EngineError) -> String {
        if let wanted, !wanted.isEmpty {
            let name = try ContainerNames.validated(wanted)
            try services.index.reserve(name: name, for: id)
            return name
        }
        var generator = SystemRandomNumberGenerator()
        var attempt = 0
        while true {
            let name = ContainerNames.random(attempt: attempt, using: &generator)
            do throws(EngineError) {
                try services.index.reserve(name: name, for: id)
                return name
            } catch {
                attempt += 1
                if attempt == Self.nameAttempts { throw error }
            }
        }
    }

    /// What the request did not ask for in so many words, and what it will not get.
    private func warnings(_ image: NamedImage) -> [String] {
        var warnings: [String] = []
        if platform.isEmpty, let warning = image.foreignPlatformWarning { warnings.append(warning) }
        if request.hostConfig.networkMode == "host" && request.hostConfig.portBindings.contains(where: { $0.value?.isEmpty == false }) {
            warnings.append("Published ports are discarded when using host network mode")
        }
        if !request.hostConfig.cgroup.isEmpty {
            warnings.append("HostConfig.Cgroup is discarded: HostConfig.CgroupParent says in which cgroup the container's is made")
        }
        return warnings
    }

    // MARK: - Effects

    private func make(
        _ id: ContainerID, name: String, document wanted: ContainerDocument, volumes: VolumePlan, image: Digest
    ) async throws(EngineError) {
        var document = wanted
        let taken = try await services.volumes.take(volumes, for: id)
        document.volumes = taken.mounts
        failpoint(.createVolumesTaken)
        do throws(EngineError) {
            try await make(id, name: name, document: document, image: image)
        } catch {
            await services.volumes.release(taken.mounts, of: id, removing: taken.made)
            throw error
        }
    }

    private func make(_ id: ContainerID, name: String, document: ContainerDocument, image: Digest) async throws(EngineError) {
        let created = Timestamp.now
        let container = Container(
            id: id, name: name, created: created, imageID: image, document: document, state: .created, services: services)
        do throws(EngineError) {
            let (facts, paths, network) = (
                services.facts, container.paths, NetworkFileFacts(services.configuration)
            )
            try await BlockingWork.run { () throws(EngineError) in
                try Bundle.createFiles(id: id, document: document, facts: facts, network: network, paths: paths)
            }
            failpoint(.createFilesWritten)
            let root: [SnapshotMount]
            do throws(ImageError) { root = try await services.images.prepareRoot(of: id, image: image) } catch { throw EngineError(error) }
            failpoint(.createRootMade)
            if let bytes = try LocalVolumeDriver.sizeLimit(document.hostConfig.storageOpt) {
                do throws(ImageError) { try await services.images.limitRoot(of: id, toBytes: bytes) } catch { throw EngineError(error) }
            }
            try await BlockingWork.run { () throws(EngineError) in try InitialFiles.make(in: root) }
            try await makeWorkingDirectory(of: document, in: root)
            try await prepareImages(of: document, for: id)
            failpoint(.createRootPrepared)
            try await services.volumes.fill(document.volumes, of: id, from: root)
            failpoint(.createVolumesFilled)
            // The record is last: what a crash leaves without one, the next daemon takes away.
            let record = try await container.firstRecord()
            do throws(RecordsError) { try await services.records.insert(record) } catch { throw Self.refusal(error, name: name) }
            failpoint(.createRecorded)
            // Before anybody can remove it, and leave them.
            await services.volumes.confirm(document.volumes)
        } catch {
            throw await undo(container, after: error)
        }
        services.index.insert(container, name: name)
        await container.tellCreation()
        failpoint(.createTold)
    }

    private func makeWorkingDirectory(of document: ContainerDocument, in root: [SnapshotMount]) async throws(EngineError) {
        guard let directory = WorkingDirectory(document.config, beside: try document.mountPlan(in: services.volumes.folder)) else { return }
        let scratch = services.configuration.execRoot.appending("bundles")
        try await BlockingWork.run(.trees) { () throws(EngineError) in try directory.make(in: root, scratch: scratch) }
    }

    /// Makes the trees of the images that the container shows beside its own.
    private func prepareImages(of document: ContainerDocument, for id: ContainerID) async throws(EngineError) {
        for (number, mount) in try document.mountPlan(in: services.volumes.folder).images.enumerated() {
            do throws(ImageError) {
                let image = try await services.images.lookUp(mount.reference).image.id
                try await services.images.prepareView(number, of: id, image: image)
            } catch { throw EngineError(error) }
        }
    }

    /// A name may be taken by a container whose record could not be read, and which is in no list therefore.
    private static func refusal(_ error: RecordsError, name: String) -> EngineError {
        guard case .nameInUse(_, let owner) = error.code else { return .system("create container \(name)", error) }
        return ContainerIndex.nameInUse(name, by: owner.text)
    }

    /// Takes back what was made; a failure of that is told beside the first error.
    private func undo(_ container: Container, after error: EngineError) async -> EngineError {
        var message = error.message
        do {
            try await services.images.removeRoot(of: container.id)
            let paths = container.paths
            try await BlockingWork.run { () throws(EngineError) in try Bundle.removeFiles(paths) }
        } catch let second { message += "; then: \(second)" }
        return EngineError(error.code, message, cause: error.cause)
    }
}
