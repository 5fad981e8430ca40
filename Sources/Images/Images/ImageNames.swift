internal import ContentStore
package import CoreTypes
package import Records

/// What people call images, and what those words mean here.
extension ImageLibrary {
    /// Every image with its names, newest first.
    package func list() async throws(ImageError) -> [NamedImage] {
        do { return try await records.images.all() } catch { throw .storage(error) }
    }

    /// The image that a user's word means: a name, `name@digest`, an id, or the beginning of an id. A name
    /// goes before the beginning of an id.
    /// - Throws: `.notFound` (`No such image: x`) or `.ambiguous`, in Docker's words.
    package func lookUp(_ word: String) async throws(ImageError) -> NamedImage {
        let found: NamedImage?
        switch ImageWord(word) {
        case .id(let id): found = try await image(id)
        case .name(let name, let prefix):
            if let named = try await image(named: name) {
                found = named
            } else if let prefix {
                found = try await image(beginningWith: prefix)
            } else {
                found = nil
            }
        case .prefix(let prefix): found = try await image(beginningWith: prefix)
        case .malformed(let problem): throw ImageError(.invalid, problem)
        }
        guard let found else { throw ImageError(.notFound, "No such image: \(ImageWord(word).shown ?? word)") }
        return found
    }

    /// The image of this id. - Throws: `.notFound`, in Docker's words.
    func named(_ id: Digest) async throws(ImageError) -> NamedImage {
        guard let named = try await image(id) else { throw ImageError(.notFound, "No such image: \(id)") }
        return named
    }

    /// How often an image is protected, or looked up, anew because it got another manifest meanwhile.
    private static let protectionAttempts = 16

    /// Keeps what the disk has of an image from the sweep until the lease ends.
    /// - Returns: the image as it is now: one of its manifests may have gone since it was looked up.
    /// - Throws: `.notFound` where the image has gone.
    func protect(_ image: ImageRecord, by lease: LeaseID) async throws(ImageError) -> NamedImage {
        let blobs = try storage().blobs
        var protected: Set<Digest> = []
        var known = image
        for _ in 0..<Self.protectionAttempts {
            for blob in known.blobs { blobs.protect(blob, by: lease) }
            protected.formUnion(known.blobs)
            // Asked again now that its blobs are protected.
            let now = try await named(image.id)
            if now.image.blobs.isSubset(of: protected) { return now }
            known = now.image
        }
        throw ImageError(.conflict, "image \(image.id) is given other manifests all the time")
    }

    /// Gives an image one more name, taking the name from the image that had it. It stands for the manifest that the word stands for.
    /// - Parameter name: completed with the default tag; a digest is refused, as Docker does.
    package func tag(_ word: String, as name: ImageReference) async throws(ImageError) {
        guard name.digest == nil else { throw ImageError(.invalid, "refusing to create a tag with a digest reference") }
        try name.refuseAsID()
        let storage = try storage()
        for _ in 0..<Self.protectionAttempts {
            // Whoever has gone since is looked up again: the word may stand for another image, or another manifest, by now.
            let found = try await lookUp(word)
            let isDone = try await storage.removalGate.removing { () throws(ImageError) -> Bool in
                do throws(RecordsError) {
                    storage.loosen(
                        try await records.images.tag(
                            found.image.id, as: name.withDefaultTag, manifest: found.manifest(by: ImageWord(word))))
                    return true
                } catch {
                    if error.code == .absent { return false }
                    throw .storage(error)
                }
            }
            if isDone { return await storage.sweepLoose(keeping: records.images) }
        }
        throw ImageError(.conflict, "image \(word) is given other manifests all the time")
    }

    private func image(_ id: Digest) async throws(ImageError) -> NamedImage? {
        do throws(RecordsError) { return try await records.images.find(id) } catch { throw Self.refusal(error, of: "\(id)") }
    }

    private func image(named name: ImageReference) async throws(ImageError) -> NamedImage? {
        do throws(RecordsError) { return try await records.images.find(named: name) } catch { throw Self.refusal(error, of: name.familiar) }
    }

    /// An image whose record cannot be read is not here: whoever pulls or loads it, as clients do then, has it again.
    private static func refusal(_ error: RecordsError, of image: String) -> ImageError {
        guard error.code == .unreadable else { return .storage(error) }
        return ImageError(
            .notFound,
            "No such image: \(image) (its record cannot be read: \(error.cause); pull or load it once more, or `apus system check --repair`)",
            cause: error)
    }

    /// Images whose records cannot be read, for the daemon's log.
    package func unreadable() async throws(ImageError) -> [UnreadableImage] {
        do throws(RecordsError) { return try await records.images.unreadable() } catch { throw .storage(error) }
    }

    private func image(beginningWith prefix: String) async throws(ImageError) -> NamedImage? {
        let ids: [Digest]
        do { ids = try await records.images.ids(beginningWith: prefix, limit: 2) } catch { throw .storage(error) }
        if ids.count > 1 { throw ImageError(.ambiguous, "ambiguous image id prefix: \(prefix)") }
        guard let id = ids.first else { return nil }
        return try await image(id)
    }
}

extension ImageReference {
    /// - Throws: `.invalid`, in Docker's words, for a name that no image may have: whoever writes `sha256:…` means an id, or its beginning.
    package func refuseAsID() throws(ImageError) {
        if familiarName == Digest.Algorithm.sha256.rawValue {
            throw ImageError(.invalid, "refusing to create an ambiguous tag using digest algorithm as name")
        }
    }
}

/// What kind of word a user typed for an image.
package enum ImageWord: Equatable {
    /// A complete id, with or without its algorithm.
    case id(Digest)
    /// A name, perhaps also the beginning of an id.
    case name(ImageReference, prefix: String?)
    /// Nothing but the beginning of an id.
    case prefix(String)
    /// Neither.
    case malformed(String)

    package init(_ word: String) {
        let hex = word.hasPrefix("sha256:") ? String(word.dropFirst("sha256:".utf8.count)) : word
        if let id = (try? Digest(word)) ?? Digest.Algorithm.allCases.lazy.compactMap({ try? Digest($0, hex: hex) }).first {
            self = .id(id)
            return
        }
        let prefix = Self.isHexadecimal(hex) ? hex : nil
        do throws(InvalidImageReference) {
            let name = try ImageReference(word).withDefaultTag
            self = .name(name.digest.map(name.pinned) ?? name, prefix: prefix)
        } catch {
            self = prefix.map { .prefix($0) } ?? .malformed("\(error)")
        }
    }

    /// The word as Docker repeats it: a name with its tag.
    var shown: String? {
        switch self {
        case .id(let id): id.description
        case .name(let name, _): name.familiar
        case .prefix(let prefix): prefix
        case .malformed: nil
        }
    }

    private static func isHexadecimal(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}

extension NamedImage {
    /// The manifest that a user's word stands for: a name's own, else the one that the image was last pulled by.
    package func manifest(by word: ImageWord) -> Digest {
        if case .name(let name, _) = word { manifest(of: name) } else { image.manifestDigest }
    }
}
