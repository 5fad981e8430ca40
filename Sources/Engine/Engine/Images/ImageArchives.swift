package import CoreTypes
package import EngineAPI
internal import Images
internal import OCISpec
internal import Records
internal import Registry

/// What `POST /images/create` with an archive asks for.
package struct ImageImportRequest: Sendable {
    /// Where the archive comes from: `-` is the request itself, anything else an address.
    package let source: String
    /// Empty for no name.
    package let repository: String
    package let tag: String
    /// What the image's history says; empty for Docker's own words.
    package let message: String
    /// Instructions of a Dockerfile.
    package let changes: [String]
    /// `os/arch[/variant]` of what is in the archive; empty is the host's.
    package let platform: String

    package init(source: String, repository: String, tag: String, message: String, changes: [String], platform: String) {
        self.source = source
        (self.repository, self.tag, self.message, self.changes) = (repository, tag, message, changes)
        self.platform = platform
    }
}

extension ContainerEngine {
    /// Writes images as an archive.
    /// - Parameter platform: what each of them must be of; nil is any.
    /// - Parameter write: takes the archive chunk by chunk; the next one waits for it.
    /// - Throws: `EngineError`; what `write` throws.
    package func exportImages(_ names: [String], platform: CoreTypes.Platform?, to write: ([UInt8]) async throws -> Void) async throws {
        let services = try parts().services
        if let platform {
            for name in names { try await check(word: name, platform) }
        }
        do { try await services.images.export(names, to: write) } catch let error as ImageError { throw EngineError(error) }
        for name in names {
            // One that was removed meanwhile was saved all the same.
            let image = try? await lookUp(name)
            let id = image?.image.id.description ?? name
            let labels = if let image { await services.labels(of: image) } else { [String: String]() }
            services.tell("save", image: id, name: id, labels: labels)
        }
    }

    /// All that a word brings into an archive must be of a platform: a name without a tag is every tag of the repository.
    private func check(word: String, _ platform: CoreTypes.Platform) async throws(EngineError) {
        if case .name = ImageWord(word), let name = try? ImageReference(word), name.digest == nil, try await check(name, platform) {
            return
        }
        _ = try await lookUp(word, of: platform)
    }

    /// Takes in an archive of images.
    /// - Parameter next: the archive chunk by chunk; nil is its end.
    /// - Parameter platform: nil is the host's.
    /// - Parameter quiet: says nothing of layers.
    package func loadImages(
        from next: @escaping @Sendable () async throws -> [UInt8]?, platform: CoreTypes.Platform?, quiet: Bool,
        progress: @escaping @Sendable (ProgressMessage) async -> Void
    ) async throws(EngineError) {
        let services = try parts().services
        do throws(ImageError) {
            try await services.images.load(from: next, platform: platform) { event in
                switch event {
                case .layer(let event): if !quiet { await progress(ProgressMessage(loading: event)) }
                case .renamed(let name, let id):
                    let sentence = "The image \(name.familiar) already exists, renaming the old one with ID \(id) to empty string\n"
                    await progress(ProgressMessage(sentence: sentence))
                case .loaded(let id, let name):
                    await services.tell("load", image: id.description, name: id.description)
                    let sentence = name.map { "Loaded image: \($0.familiar)\n" } ?? "Loaded image ID: \(id)\n"
                    await progress(ProgressMessage(sentence: sentence))
                }
            }
        } catch { throw EngineError(ofArchive: error) }
    }

    /// Makes an image of a tar of a root file system.
    /// - Parameter next: the tar chunk by chunk, unless it lies at an address; nil is its end.
    package func importImage(
        _ request: ImageImportRequest, from next: @escaping @Sendable () async throws -> [UInt8]?,
        progress: @escaping @Sendable (ProgressMessage) async -> Void
    ) async throws(EngineError) {
        let (name, address) = (try Self.imageName(request.repository, tag: request.tag), try Self.address(of: request))
        let platform = try Self.platform(request.platform) ?? .host
        guard platform.isOfHostSystem else { throw EngineError(.invalidParameter, "operating system is not supported") }
        var config = ContainerConfig()
        try ConfigurationChange.apply(request.changes, to: &config)
        let (execution, services) = (ImageConfiguration.Execution(config), try parts().services)
        do throws(ImageError) {
            let configure = { @Sendable (diffIDs: [Digest]) in
                var configuration = ImageConfiguration(platform: platform, diffIDs: diffIDs)
                configuration.created = .now
                configuration.execution = execution
                var step = ImageConfiguration.HistoryEntry()
                step.created = configuration.created
                // An address may hold a secret in its query.
                let source = request.source.prefix { $0 != "?" && $0 != "#" }
                step.comment = request.message.isEmpty ? "Imported from \(source)" : request.message
                configuration.history = [step]
                return configuration
            }
            let images = services.images
            let id =
                if let address {
                    try await images.importImage(
                        at: address, name: name, progress: { await progress(ProgressMessage($0)) }, configure: configure)
                } else {
                    try await images.importImage(from: next, name: name, configure: configure)
                }
            if let name { services.tell("tag", image: id.description, name: name.familiar, labels: execution.labels) }
            services.tell("import", image: id.description, name: id.description, labels: execution.labels)
            var message = ProgressMessage()
            message.status = id.description
            await progress(message)
        } catch { throw EngineError(ofArchive: error) }
    }

    /// Where the archive lies; nil for the request itself. As with dockerd, one without a scheme is of http.
    private static func address(of request: ImageImportRequest) throws(EngineError) -> WebAddress? {
        if request.source == "-" { return nil }
        guard let address = WebAddress(request.source.contains("://") ? request.source : "http://\(request.source)") else {
            // What it is may hold a password.
            throw EngineError(.invalidParameter, "fromSrc must be - or an address of http or https without a user's name and password")
        }
        return address
    }

    /// The name of an image to be made; nil for none.
    static func imageName(_ repository: String, tag: String) throws(EngineError) -> ImageReference? {
        if repository.isEmpty { return nil }
        let name: ImageReference
        do throws(InvalidImageReference) { name = try ImageReference(tag.isEmpty ? repository : "\(repository):\(tag)") } catch {
            throw EngineError(.invalidParameter, "\(error)", cause: error)
        }
        guard name.digest == nil else { throw EngineError(.invalidParameter, "cannot import digest reference") }
        do throws(ImageError) { try name.refuseAsID() } catch { throw EngineError(error) }
        return name.withDefaultTag
    }

    /// nil for an empty text.
    static func platform(_ text: String) throws(EngineError) -> CoreTypes.Platform? {
        do throws(InvalidPlatform) { return text.isEmpty ? nil : try CoreTypes.Platform(parsing: text) } catch {
            throw EngineError(.invalidParameter, "\(error)", cause: error)
        }
    }
}

extension ProgressMessage {
    fileprivate init(sentence: String) {
        self.init()
        stream = sentence
    }

    /// A pull's event in the words of a load.
    fileprivate init(loading event: PullEvent) {
        self.init(event)
        if status == "Extracting" { status = "Loading layer" }
    }
}
