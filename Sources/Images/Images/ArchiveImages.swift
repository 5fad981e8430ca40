internal import Archive
internal import ContentStore
internal import CoreTypes
internal import JSON
internal import OCISpec
internal import Registry

/// Finds the images of an archive that has been taken in: an OCI layout, or what Docker writes. Blocks.
struct ArchiveImages {
    let contents: ArchiveIntake.Contents
    let blobs: BlobStore
    let lease: LeaseID
    let platform: Platform?
    /// What is taken of an archive.
    let limits: ImageLimits

    /// One image of the archive.
    struct Found: Sendable {
        let plan: ImagePlan
        /// Indexes, manifest and configuration.
        let documents: Set<Digest>
        var names: [ImageReference]
    }

    /// - Throws: `.badContent` for an archive of neither kind, or one that does not hold what it lists.
    func run() throws(ImageError) -> [Found] {
        if let marker = contents.member(ImageLayout.markerFileName), let index = contents.member(ImageLayout.indexFileName) {
            let bytes = try read(marker, limitBytes: limits.markerBytes)
            do throws(SpecProblem) { try ImageLayout.checkMarker(bytes) } catch { throw bad("oci-layout: \(error)") }
            return try layout(index)
        }
        guard let list = contents.member(DockerArchiveItem.fileName) else {
            throw bad("it holds neither an OCI layout (oci-layout, index.json) nor Docker's manifest.json")
        }
        return try docker(list)
    }

    private func bad(_ problem: String) -> ImageError { ImageError(.badContent, "invalid archive: \(problem)") }

    private func read(_ member: ArchiveIntake.Member, limitBytes: Int) throws(ImageError) -> [UInt8] {
        guard member.sizeBytes <= limitBytes else { throw bad("a document of \(member.sizeBytes) bytes, at most \(limitBytes) are read") }
        do throws(ContentError) { return try blobs.readBlob(member.digest, limitBytes: limitBytes) } catch { throw .storage(error) }
    }

    // MARK: - OCI

    private func layout(_ member: ArchiveIntake.Member) throws(ImageError) -> [Found] {
        let bytes = try read(member, limitBytes: limits.manifestBytes)
        guard case .index(let index) = try decode(bytes, "index.json", as: .ociIndex) else { throw bad("index.json is no index") }
        var found: [Found] = []
        for descriptor in index.manifests where !descriptor.isAttestation {
            guard let image = try image(descriptor) else { continue }
            if let known = found.firstIndex(where: { $0.plan.id == image.plan.id && $0.plan.manifestDigest == image.plan.manifestDigest }) {
                found[known].names += image.names
            } else {
                found.append(image)
            }
            if found.count > limits.archiveImages { throw bad("more than \(limits.archiveImages) images") }
        }
        if found.isEmpty { throw ImageError(.notFound, "the archive holds no image for \(platform ?? .host)") }
        return found
    }

    /// - Returns: nil for what is no image of the wanted platform.
    private func image(_ top: Descriptor) throws(ImageError) -> Found? {
        var documents: Set<Digest> = []
        var descriptor = top
        for _ in 0...limits.nestedIndexes {
            let bytes = try read(try blob(descriptor), limitBytes: limits.manifestBytes)
            documents.insert(descriptor.digest)
            switch try decode(bytes, descriptor.digest.description, as: descriptor.mediaType) {
            case .index(let index):
                // An archive need not hold every platform of an index.
                let here = ImageIndex(manifests: index.manifests.filter { contents.member(ImageLayout.path(of: $0.digest)) != nil })
                guard let chosen = here.best(for: platform ?? .host) else { return nil }
                descriptor = chosen
            case .manifest(let manifest):
                guard manifest.configuration.mediaType.isConfiguration else { return nil }
                guard let plan = try plan(manifest, descriptor.digest, isChosen: descriptor != top) else { return nil }
                return Found(plan: plan, documents: documents.union([plan.id]), names: try names(in: top))
            }
        }
        throw bad("indexes within indexes")
    }

    private func plan(_ manifest: ImageManifest, _ digest: Digest, isChosen: Bool) throws(ImageError) -> ImagePlan? {
        for layer in manifest.layers { _ = try blob(layer) }
        let configuration = try configuration(try blob(manifest.configuration))
        if let platform, !isChosen, platform.distance(to: configuration.platform) == nil { return nil }
        return try ImagePlan(manifest: manifest, digest: digest, configuration: configuration, layerLimit: limits.layers)
    }

    /// A blob where the layout says that it lies, and of the digest and size that its name promises.
    private func blob(_ descriptor: Descriptor) throws(ImageError) -> ArchiveIntake.Member {
        let path = ImageLayout.path(of: descriptor.digest)
        guard let member = contents.member(path) else { throw bad("\(path) is missing") }
        guard member.digest == descriptor.digest else { throw bad("\(path) is \(member.digest)") }
        guard member.sizeBytes == descriptor.sizeBytes else {
            throw bad("\(path) has \(member.sizeBytes) bytes, not \(descriptor.sizeBytes)")
        }
        return member
    }

    /// containerd's whole name, or the layout's where that is one with a repository.
    private func names(in descriptor: Descriptor) throws(ImageError) -> [ImageReference] {
        if let whole = descriptor.annotations[ImageLayout.nameAnnotation] { return [try name(whole)] }
        guard let text = descriptor.annotations[ImageLayout.tagAnnotation], text.contains(where: { ":/".contains($0) }) else { return [] }
        return [try name(text)]
    }

    private func name(_ text: String) throws(ImageError) -> ImageReference {
        let name: ImageReference
        do throws(InvalidImageReference) { name = try ImageReference(text) } catch {
            throw bad("the name \(text.prefix(200).debugDescription): \(error)")
        }
        guard name.digest == nil else { throw bad("the name \(text.prefix(200).debugDescription) has a digest") }
        try name.refuseAsID()
        return name.withDefaultTag
    }

    // MARK: - Docker

    private func docker(_ member: ArchiveIntake.Member) throws(ImageError) -> [Found] {
        let bytes = try read(member, limitBytes: limits.manifestBytes)
        let items: [DockerArchiveItem]
        do throws(JSONError) { items = try DockerArchiveItem.decode(bytes, limits: limits.manifest) } catch {
            throw bad("manifest.json: \(error)")
        }
        guard items.count <= limits.archiveImages else { throw bad("more than \(limits.archiveImages) images") }
        var found: [Found] = []
        for item in items { found.append(try image(item)) }
        return found
    }

    /// Its manifest is made here: the archive has none.
    private func image(_ item: DockerArchiveItem) throws(ImageError) -> Found {
        guard let config = contents.member(Self.tidy(item.configuration)) else {
            throw bad("\(item.configuration.debugDescription) is missing")
        }
        let configuration = try configuration(config)
        guard item.layers.count == configuration.diffIDs.count else {
            throw bad("\(item.layers.count) layers, but \(configuration.diffIDs.count) in the configuration")
        }
        guard item.names.count <= limits.archiveImages else { throw bad("more than \(limits.archiveImages) names") }
        var layers: [Descriptor] = []
        for path in item.layers {
            guard let member = contents.member(Self.tidy(path)) else { throw bad("layer \(path.debugDescription) is missing") }
            let compression = try blobs.compression(of: member.digest)
            guard let type = compression.layerType else {
                throw bad("layer \(path.debugDescription) is packed with \(compression.rawValue), which no layer is")
            }
            layers.append(Descriptor(mediaType: type, digest: member.digest, sizeBytes: member.sizeBytes))
        }
        let manifest = ImageManifest(
            configuration: Descriptor(mediaType: .ociConfiguration, digest: config.digest, sizeBytes: config.sizeBytes), layers: layers)
        let digest = try storage(manifest.encode())
        let plan = try ImagePlan(manifest: manifest, digest: digest, configuration: configuration, layerLimit: limits.layers)
        var names: [ImageReference] = []
        for text in item.names { names.append(try name(text)) }
        return Found(plan: plan, documents: [digest, config.digest], names: names)
    }

    /// Paths in manifest.json are said as they are in the archive, or with `./` before them.
    private static func tidy(_ path: String) -> String {
        path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    private func storage(_ bytes: [UInt8]) throws(ImageError) -> Digest {
        blobs.protect(Digest(of: bytes), by: lease)
        do throws(ContentError) { return try blobs.addBlob(bytes) } catch { throw .storage(error) }
    }

    // MARK: - Documents

    private func configuration(_ member: ArchiveIntake.Member) throws(ImageError) -> ImageConfiguration {
        let bytes = try read(member, limitBytes: limits.configurationBytes)
        let configuration: ImageConfiguration
        do throws(SpecProblem) { configuration = try ImageConfiguration.decode(bytes, limits: limits.configuration) } catch {
            throw bad("configuration \(member.digest): \(error)")
        }
        guard configuration.platform.isOfHostSystem else {
            let (its, here) = (configuration.platform.operatingSystem, Platform.host.operatingSystem)
            throw ImageError(.badContent, "cannot load \(its) image on \(here)")
        }
        return configuration
    }

    private func decode(_ bytes: [UInt8], _ what: String, as type: MediaType) throws(ImageError) -> ImageDocument {
        do throws(SpecProblem) { return try ImageDocument.decode(bytes, declaredType: type, limits: limits.manifest) } catch {
            throw bad("\(what): \(error)")
        }
    }
}
