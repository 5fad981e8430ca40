internal import Archive
internal import ContentStore
internal import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
internal import Registry

extension ArchiveLimits {
    /// For archives of images whose layers have these limits: fewer members than a layer has files, and as large as several layers.
    func ofImages(_ wanted: ImageLimits) -> ArchiveLimits {
        var limits = self
        limits.uncompressedBytes = max(uncompressedBytes, ArchiveLimits.layer.uncompressedBytes)
        limits.entries = wanted.archiveMembers
        limits.depth = wanted.archiveDepth
        return limits
    }
}

/// Takes the members of an archive of images into the content store, each under the digest that it has, whatever it is called.
/// A path is a word to look up, never a place on this disk. Blocks.
struct ArchiveIntake {
    let blobs: BlobStore
    let lease: LeaseID
    let limits: ArchiveLimits
    /// Of all names of members, and of what links lead to: they are kept to the archive's end.
    let nameLimitBytes: Int
    /// Links from one member to another.
    let linkLimit: Int

    /// A member's content.
    struct Member: Equatable, Sendable {
        let digest: Digest
        let sizeBytes: Int64
    }

    /// What an archive holds.
    struct Contents: Sendable {
        var members: [String: Member] = [:]
        var links: [String: String] = [:]
        let linkLimit: Int

        /// The content that a path leads to.
        func member(_ path: String) -> Member? {
            var path = path
            for _ in 0...linkLimit {
                if let member = members[path] { return member }
                guard let next = links[path] else { return nil }
                path = next
            }
            return nil
        }
    }

    /// Reads the archive to its end. - Throws: `.badContent` for one that no honest packer writes.
    func run(_ source: any ByteSource) throws(ImageError) -> Contents {
        var contents = Contents(linkLimit: linkLimit)
        var nameBytes = 0
        do {
            let reader = try ArchiveReader(source, limits: limits)
            while let member = try reader.next() {
                nameBytes += member.path.utf8.count
                if case .link(let target) = member.kind { nameBytes += target.utf8.count }
                if nameBytes > nameLimitBytes {
                    throw ImageError(.badContent, "invalid archive: the names of its members have more than \(nameLimitBytes) bytes")
                }
                switch member.kind {
                case .folder: continue
                case .other: throw ImageError(.badContent, "invalid archive: \(member.path.debugDescription) is a device or a pipe")
                case .link(let target): try note(target, at: member.path, in: &contents.links)
                case .file(let sizeBytes):
                    let taken = try take(reader, at: member.path, sizeBytes: sizeBytes)
                    try note(taken, at: member.path, in: &contents.members)
                }
            }
        } catch let error as ImageError {
            throw error
        } catch let error as ArchiveError {
            throw .archive(error, in: "the archive")
        } catch { throw .storage(error) }
        return contents
    }

    /// A path that is there twice with two contents would mean one image to us and another to the next reader.
    private func note<Value: Equatable>(_ value: Value, at path: String, in table: inout [String: Value]) throws(ImageError) {
        if let before = table[path], before != value {
            throw ImageError(.badContent, "invalid archive: \(path.debugDescription) is in it twice, with different contents")
        }
        table[path] = value
    }

    private func take(_ reader: ArchiveReader, at path: String, sizeBytes: Int64) throws -> Member {
        // What a layout has below the name of an algorithm is called by that digest.
        let algorithm = Digest.Algorithm.allCases.first { path.hasPrefix(ImageLayout.folder(of: $0) + "/") } ?? .sha256
        let blob = try IntakeBlob(
            in: blobs, limits: limits, announcedBytes: sizeBytes, doing: "store the archive", algorithm: algorithm)
        var failure: ContentError?
        try reader.readData { bytes throws(ArchiveError) in
            do throws(ContentError) { try blob.append(bytes) } catch {
                failure = error
                throw ArchiveError(.cancelled, doing: "store the archive")
            }
        }
        if let failure { throw failure }
        let (digest, sizeBytes) = try blob.commit(protectedBy: lease)
        return Member(digest: digest, sizeBytes: sizeBytes)
    }
}

extension BlobStore {
    /// What a blob is packed as, by its first bytes. Blocks.
    func compression(of digest: Digest) throws(ImageError) -> Compression {
        do {
            let file = try openBlob(digest)
            return Compression(of: try readChunk(file.number, limitBytes: 6, subject: digest.description))
        } catch { throw .storage(error) }
    }

    /// A blob as an image's layer. What is packed as no layer may be is packed anew, as gzip. Blocks.
    func layer(_ digest: Digest, sizeBytes: Int64, limits: ArchiveLimits, lease: LeaseID) throws(ImageError) -> Descriptor {
        if let type = try compression(of: digest).layerType { return Descriptor(mediaType: type, digest: digest, sizeBytes: sizeBytes) }
        do {
            let blob = try IntakeBlob(in: self, limits: limits, announcedBytes: sizeBytes, doing: "store the layer")
            let source = FileSource(try openBlob(digest), subject: digest.description)
            try repackAsGzip(source, limits: limits) { packed throws(ArchiveError) in
                do throws(ContentError) { try blob.append(packed.span) } catch {
                    throw ArchiveError(.source, doing: "write layer", subject: "\(error)")
                }
            }
            let (repacked, repackedBytes) = try blob.commit(protectedBy: lease)
            return Descriptor(mediaType: .ociLayerGzip, digest: repacked, sizeBytes: repackedBytes)
        } catch let error as ArchiveError {
            throw .archive(error, layer: digest)
        } catch { throw .storage(error) }
    }
}

extension Compression {
    /// What a layer of this packing is called in a manifest; nil where no layer is packed so.
    /// - Source: image-spec v1.1, "Image Layer Filesystem Changeset".
    var layerType: MediaType? {
        switch self {
        case .none: .ociLayer
        case .gzip: .ociLayerGzip
        case .zstd: .ociLayerZstd
        case .xz, .bzip2: nil
        }
    }
}
