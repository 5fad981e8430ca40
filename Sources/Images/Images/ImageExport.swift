internal import Archive
internal import ContentStore
internal import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
internal import Records
internal import Registry
internal import Synchronization

extension ImageLibrary {
    /// Writes images as a tar: an OCI image layout with Docker's manifest.json beside it. Blobs are what the registry served, byte for
    /// byte, each of them once, and verified on their way.
    /// - Parameter words: names, ids or beginnings of ids. A name without a tag is all tags of the repository.
    /// - Parameter write: takes the archive chunk by chunk; the next one waits for it.
    /// - Throws: `ImageError`; what `write` throws.
    package func export(_ words: [String], to write: ([UInt8]) async throws -> Void) async throws {
        let storage = try storage()
        try await storage.leasing(keeping: records.images) { lease in
            let chosen = try await choose(words, lease)
            // Before the first byte is written: what shows that the disk has lost it is fetched again, or the archive is none. What shows it
            // only when it is read ends the archive, and is fetched for the next one.
            let recovery = BlobRecovery(storage: storage, registry: registry, credentials: { _ in .anonymous })
            for image in chosen { try await recovery.restoreAll(of: image.named, manifest: image.manifest) }
            let archive = try await storage.talks.run { () throws(ImageError) in try ImageArchive(chosen, storage: storage) }
            try await archive.write(to: write)
        }
    }

    private func choose(_ words: [String], _ lease: LeaseID) async throws(ImageError) -> [ExportedImage] {
        var chosen: [ExportedImage] = []
        for word in words {
            for found in try await exported(word) {
                guard try await protect(found.image, by: lease).manifestDigests.contains(found.manifest) else {
                    throw ImageError(.notFound, "No such image: \(word)")
                }
                if let known = chosen.firstIndex(where: { $0.image.id == found.image.id && $0.manifest == found.manifest }) {
                    chosen[known].names += found.names.filter { !chosen[known].names.contains($0) }
                } else {
                    chosen.append(found)
                }
            }
        }
        return chosen
    }

    /// What a word stands for in an archive, with the names that go along.
    private func exported(_ word: String) async throws(ImageError) -> [ExportedImage] {
        guard case .name(let name, _) = ImageWord(word) else {
            let image = try await lookUp(word)
            return [ExportedImage(image, manifest: image.image.manifestDigest, names: [])]
        }
        if let typed = try? ImageReference(word), typed.tag == nil, typed.digest == nil {
            let found = try await list().flatMap { image in
                image.tags.filter { $0.name == typed.name }.map { ExportedImage(image, manifest: image.manifest(of: $0), names: [$0]) }
            }
            if !found.isEmpty { return found }
        }
        let named = try await lookUp(word)
        return [ExportedImage(named, manifest: named.manifest(of: name), names: named.tags.filter { $0 == name })]
    }
}

/// An image by one of its manifests, with those names of this one that go into an archive.
private struct ExportedImage: Sendable {
    let named: NamedImage
    let manifest: Digest
    var names: [ImageReference]

    var image: ImageRecord { named.image }

    init(_ named: NamedImage, manifest: Digest, names: [ImageReference]) {
        (self.named, self.manifest, self.names) = (named, manifest, names)
    }
}

/// The members of an archive, in their order.
private struct ImageArchive: Sendable {
    enum Member: Sendable {
        case folder(String)
        case bytes(name: String, [UInt8])
        case blob(Descriptor)
    }

    private let members: [Member]
    private let storage: ImageStorage

    /// Reads manifests; nothing large. Blocks.
    init(_ images: [ExportedImage], storage: ImageStorage) throws(ImageError) {
        self.storage = storage
        var blobs: [Digest: Descriptor] = [:]
        var index = ImageIndex(manifests: [])
        var items: [DockerArchiveItem] = []
        for exported in images {
            let (bytes, manifest) = try storage.manifest(exported.manifest)
            let descriptor = Descriptor(
                mediaType: manifest.mediaType, digest: exported.manifest, sizeBytes: Int64(bytes.count),
                platform: exported.image.platform)
            for part in [descriptor, manifest.configuration] + manifest.layers { blobs[part.digest] = part }
            index.manifests += exported.names.isEmpty ? [descriptor] : exported.names.map(descriptor.named)
            items.append(DockerArchiveItem(manifest, names: exported.names))
        }
        let sorted = blobs.values.sorted { $0.digest.description < $1.digest.description }
        let folders = Set(sorted.map { "\(ImageLayout.folder(of: $0.digest.algorithm))/" }).sorted()
        members =
            (["blobs/"] + folders).map { .folder($0) } + sorted.map { .blob($0) } + [
                .bytes(name: ImageLayout.indexFileName, index.encode()),
                .bytes(name: DockerArchiveItem.fileName, DockerArchiveItem.encode(items)),
                .bytes(name: ImageLayout.markerFileName, ImageLayout.marker),
            ]
    }

    func write(to write: ([UInt8]) async throws -> Void) async throws {
        for member in members {
            switch member {
            case .folder(let name): try await write(TarHeader.directory(name))
            case .bytes(let name, let bytes):
                let size = Int64(bytes.count)
                try await write(TarHeader.file(name, sizeBytes: size) + bytes + TarHeader.padding(after: size))
            case .blob(let blob):
                let storage = storage
                let reading = try await storage.talks.run { () throws(ImageError) in try BlobReading(blob, in: storage.blobs) }
                try await write(TarHeader.file(ImageLayout.path(of: blob.digest), sizeBytes: blob.sizeBytes))
                while let chunk = try await storage.talks.run({ () throws(ImageError) in try reading.next() }) { try await write(chunk) }
                try await write(TarHeader.padding(after: blob.sizeBytes))
            }
        }
        try await write(TarHeader.end)
    }
}

/// A blob read from its start to its end, which is reached only if its bytes are those of its digest.
private final class BlobReading: Sendable {
    private static let chunkBytes = 1 << 20
    private let file: OwnedFD
    private let descriptor: Descriptor
    private let blobs: BlobStore
    private let hasher: Mutex<DigestHasher?>

    init(_ descriptor: Descriptor, in blobs: BlobStore) throws(ImageError) {
        self.descriptor = descriptor
        self.blobs = blobs
        do throws(ContentError) { file = try blobs.openBlob(descriptor.digest) } catch { throw .storage(error) }
        // The archive's header says the size before the bytes are read.
        let found: Int64
        do throws(SyscallError) { found = try fileStatus(of: file.number, subject: descriptor.digest.description).sizeBytes } catch {
            throw .storage(error)
        }
        if found != descriptor.sizeBytes {
            throw ImageError(.badContent, "\(descriptor.digest) has \(found) bytes, not \(descriptor.sizeBytes)")
        }
        hasher = Mutex(DigestHasher(descriptor.digest.algorithm))
    }

    /// - Throws: `.badContent` where the disk lost bytes.
    func next() throws(ImageError) -> [UInt8]? {
        let chunk: [UInt8]
        do throws(SyscallError) {
            chunk = try readChunk(file.number, limitBytes: Self.chunkBytes, subject: descriptor.digest.description)
        } catch { throw .storage(error) }
        if !chunk.isEmpty {
            hasher.withLock { Self.add(chunk, to: &$0) }
            return chunk
        }
        let found = hasher.withLock { $0.take()?.finish() }
        guard found == descriptor.digest else {
            blobs.distrust(descriptor.digest)
            throw .lostBytes(of: descriptor.digest)
        }
        return nil
    }

    private static func add(_ chunk: [UInt8], to hasher: inout DigestHasher?) {
        guard var open = hasher.take() else { return }
        open.update(chunk.span)
        hasher = .some(open)
    }
}
