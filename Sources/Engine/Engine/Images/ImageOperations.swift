package import CoreTypes
package import EngineAPI
internal import Images
internal import Logging
internal import OCISpec
internal import Records
internal import Registry
internal import Tracing

/// What the API does with images.
extension ContainerEngine {
    /// Fetches an image, or all that a repository has tags for, one after the other, and makes them ready to run.
    /// - Parameter reference: `name:tag`, `name@digest`, or `name` for all its tags, as users write it.
    /// - Parameter platform: `os/arch[/variant]`; empty is the host's.
    /// - Parameter progress: takes each message in order; the transfer waits for it.
    package func pullImages(
        _ reference: String, platform: String, credentials: AuthConfig?,
        progress: @escaping @Sendable (ProgressMessage) async -> Void
    ) async throws(EngineError) {
        let name: ImageReference
        do throws(InvalidImageReference) { name = try ImageReference(reference) } catch {
            throw EngineError(.invalidParameter, "\(error)", cause: error)
        }
        try Self.refuse(reserved: name, as: .forbidden)
        var wanted: CoreTypes.Platform?
        do throws(InvalidPlatform) { wanted = platform.isEmpty ? nil : try CoreTypes.Platform(parsing: platform) } catch {
            throw EngineError(.invalidParameter, "\(error)", cause: error)
        }
        let services = try parts().services
        let library = services.images
        let registryCredentials = RegistryCredentials(credentials)
        do throws(ImageError) {
            try name.refuseAsID()
            let isNamed = name.tag != nil || name.digest != nil
            let images = isNamed ? [name] : try await library.tags(of: name, credentials: registryCredentials)
            var isNew = false
            for image in images {
                let result = try await traced("pull", [("image.name", .text(image.familiar))]) { () throws(ImageError) in
                    try await library.pull(image, platform: wanted, credentials: registryCredentials) { event in
                        // Of many, the end is told once.
                        if case .complete = event, !isNamed { return }
                        await progress(ProgressMessage(event))
                    }
                }
                isNew = isNew || result.isNew
                if let warning = result.warning { services.logger.warning("\(warning)") }
            }
            if !isNamed { await progress(ProgressMessage(PullEvent.complete(name, isNew: isNew))) }
        } catch { throw EngineError(error) }
        await services.tell("pull", image: name.familiar, name: name.familiarName)
    }

    /// - Throws: for `scratch`, by which Dockerfiles say that there is no image.
    static func refuse(reserved name: ImageReference, as code: EngineError.Code) throws(EngineError) {
        if name.familiarName == "scratch" { throw EngineError(code, "'scratch' is a reserved name") }
    }

    /// `GET /images/json`, newest first. Filters: `dangling`, `label`, `before`, `since`, `until`, `reference`.
    /// - Parameter withManifests: shows what is here of each image's manifest.
    package func images(all: Bool, filters: Filters, withManifests: Bool = false) async throws(EngineError) -> [ImageSummary] {
        try await ImageListing(parts: try parts(), filters: filters, withManifests: withManifests).run()
    }

    /// `GET /images/{name}/json`.
    /// - Parameter platform: what the image must be of; nil is any.
    /// - Parameter withManifests: shows what is here of its manifest.
    package func inspectImage(
        _ name: String, platform: CoreTypes.Platform? = nil, withManifests: Bool = false
    ) async throws(EngineError) -> ImageInspect {
        let library = try parts().services.images
        let image = try await lookUp(name, of: platform)
        let configuration = try await ImageConfiguration.load(image, from: library)
        var answer = ImageInspect()
        answer.id = image.image.id.description
        answer.repoTags = image.tags.map(\.familiar)
        answer.repoDigests = image.repositoryDigests.map(\.familiar)
        answer.comment = configuration.history.last?.comment ?? ""
        answer.created = configuration.created?.description
        answer.container = configuration.container
        answer.containerConfig = configuration.containerConfig.flatMap { try? EngineJSON.decode(ContainerConfig.self, from: $0) }
        answer.dockerVersion = configuration.dockerVersion ?? ""
        answer.author = configuration.author ?? ""
        answer.config = ImageConfig(configuration.execution)
        answer.architecture = configuration.platform.architecture
        answer.variant = configuration.platform.variant ?? ""
        answer.os = configuration.platform.operatingSystem
        answer.size = Int64(clamping: image.image.size.bytes)
        answer.graphDriver.name = library.storageDriver ?? ""
        answer.rootFS.type = "layers"
        answer.rootFS.layers = image.image.layers.map(\.diffID.description)
        if withManifests {
            let digest = image.manifest(by: ImageWord(name))
            answer.manifests = [try await parts().manifestSummary(of: image.image, manifest: digest)]
        }
        return answer
    }

    /// Gives an image one more name. An empty tag is `latest`.
    package func tagImage(_ name: String, repository: String, tag: String) async throws(EngineError) {
        let services = try parts().services
        let wanted: ImageReference
        do throws(InvalidImageReference) {
            wanted = try ImageReference(tag.isEmpty ? repository : "\(repository):\(tag)")
        } catch { throw EngineError(.invalidParameter, "\(error)", cause: error) }
        let image = try await lookUp(name)
        do throws(ImageError) { try await services.images.tag(name, as: wanted) } catch { throw EngineError(error) }
        services.tell(
            "tag", image: image.image.id.description, name: wanted.withDefaultTag.familiar, labels: await services.labels(of: image))
    }

    /// Takes a name from an image, and the image away with its last one.
    /// - Parameter prune: whether layers that nothing needs any more go, too. They go with their image in any case.
    /// - Parameter platforms: what is to go of it: where one of them is another than what is here, nothing goes. Empty is all.
    package func removeImage(
        _ name: String, force: Bool, prune: Bool, platforms: [CoreTypes.Platform] = []
    ) async throws(EngineError) -> [ImageDeleteItem] {
        try await removing { () throws(EngineError) in try await remove(name, force: force, platforms) }
    }

    private func remove(_ name: String, force: Bool, _ platforms: [CoreTypes.Platform]) async throws(EngineError) -> [ImageDeleteItem] {
        let parts = try parts()
        let image = try await lookUp(name)
        for platform in platforms { try image.check(platform, as: name) }
        let (id, labels) = (image.image.id, await parts.services.labels(of: image))
        do throws(ImageError) {
            let index = parts.services.index
            let steps = try await parts.services.images.remove(name, force: force) { image in
                var users: [ImageUser] = []
                for id in index.users(of: image) {
                    users.append(ImageUser(container: id, isRunning: await Self.mayRun(id, index)))
                }
                return users
            } isUsed: { image, known in
                !index.users(of: image).isSubset(of: known)
            }
            parts.services.tell(steps, of: id, labels: labels)
            return steps.map(ImageDeleteItem.init)
        } catch { throw EngineError(error) }
    }

    private static func mayRun(_ id: ContainerID, _ index: ContainerIndex) async -> Bool {
        switch try? index.look(for: id.text) {
        case .container(let container): await container.isRunning
        // Nobody knows.
        case .unreadable: true
        // One that is still being made does not run yet.
        case nil: false
        }
    }

    func lookUp(_ word: String) async throws(EngineError) -> NamedImage {
        let library = try parts().services.images
        do throws(ImageError) { return try await library.lookUp(word) } catch { throw EngineError(error) }
    }
}

extension Container {
    /// Whether a process runs.
    var isRunning: Bool { state.phase == .running }
}

extension ProgressMessage {
    init(_ event: some TransferEvent) {
        self.init()
        id = event.id
        status = event.status
        if let detail = event.detail {
            var progress = ProgressDetail()
            progress.current = Int64(clamping: detail.current)
            progress.total = Int64(clamping: detail.total)
            progressDetail = progress
        } else if event.isAboutLayer {
            progressDetail = ProgressDetail()
        }
    }
}

extension RegistryCredentials {
    init(_ config: AuthConfig?) {
        guard let config else {
            self = .anonymous
            return
        }
        if !config.identitytoken.isEmpty {
            self = .identityToken(config.identitytoken)
        } else if !config.registrytoken.isEmpty {
            self = .registryToken(config.registrytoken)
        } else if !config.username.isEmpty {
            self = .password(user: config.username, password: config.password)
        } else {
            self = .anonymous
        }
    }
}
