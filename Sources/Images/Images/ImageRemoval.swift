internal import ContentStore
package import CoreTypes
package import Records
internal import Registry

/// Taking names and images away.
extension ImageLibrary {
    /// How often a removal is planned anew because the image got a name, or a container, meanwhile.
    private static let removalAttempts = 16

    /// Takes a name from an image, and the image away with its last name; by id, the whole image.
    /// - Parameters:
    ///   - users: says which containers were made from an image.
    ///   - isUsed: whether others than these are, or are being made; asked where the image would go.
    /// - Throws: `.notFound`, `.ambiguous`, or `.conflict` in Docker's words.
    package func remove(
        _ word: String, force: Bool, users: @Sendable (Digest) async -> [ImageUser],
        isUsed: @escaping @Sendable (Digest, Set<ContainerID>) -> Bool
    ) async throws(ImageError) -> [RemovalStep] {
        let storage = try storage()
        for _ in 0..<Self.removalAttempts {
            let named = try await lookUp(word)
            let (id, users) = (named.image.id, await users(named.image.id))
            let plan = try RemovalPlan.removing(named, by: word, force: force, users: users)
            let known = Set(users.map(\.container))
            let gone = try await storage.removalGate.removing { () throws(ImageError) in
                try await carryOut(plan, on: named, in: storage) { isUsed(id, known) }
            }
            if let gone { return plan.untag.map { .untagged($0.familiar) } + gone }
        }
        throw ImageError(.conflict, "conflict: unable to remove \(word) - it was given names all the time")
    }

    /// - Returns: the image and its layers, where they have gone; nil where it is no more what was planned for.
    private func carryOut(
        _ plan: RemovalPlan, on named: NamedImage, in storage: ImageStorage, unless isUsed: @escaping @Sendable () -> Bool
    ) async throws(ImageError) -> [RemovalStep]? {
        let id = named.image.id
        do throws(RecordsError) {
            if !plan.deletesImage {
                let keepsName = plan.untag.count < named.names.count
                // Where somebody else has taken its other names meanwhile, it goes with this one.
                guard let released = try await records.images.untag(plan.untag, of: id, keepsName: keepsName) else { return nil }
                if released.isEmpty { return [] }
                storage.loosen(released)
            } else {
                switch try await records.images.remove(id, named: named.names, unless: isUsed) {
                case .removed: storage.loosen(named.image.blobs)
                // Whoever asks again learns that it has gone.
                case .changed, .absent: return nil
                }
            }
        } catch { throw .storage(error) }
        let layers = try await storage.sweep(.among([]), keeping: records.images).layers
        return plan.deletesImage ? [.deleted(id)] + layers.map { .deleted($0) } : []
    }

    /// Makes sure that an image is here that somebody is told of as its user from now on. - Throws: `.notFound`, in Docker's words.
    package func confirm(_ id: Digest) async throws(ImageError) {
        let isHere: Bool
        do throws(RecordsError) { isHere = try await records.images.confirm(id) } catch { throw .storage(error) }
        if !isHere { throw ImageError(.notFound, "No such image: \(id)") }
    }

    /// Removes these images, and whatever no record needs: layers, blobs, and what interrupted pulls brought.
    /// - Parameters:
    ///   - images: those that were not in use by any container; what has a new name since stays.
    ///   - isUsed: whether a container is, or is being made, of an image.
    /// - Returns: what is gone, and the bytes that this freed.
    package func prune(
        _ images: [NamedImage], isUsed: @escaping @Sendable (Digest) -> Bool
    ) async throws(ImageError) -> (steps: [RemovalStep], reclaimed: ByteCount) {
        let storage = try storage()
        let (steps, swept) = try await storage.removalGate.removing { () throws(ImageError) in
            var steps: [RemovalStep] = []
            do throws(RecordsError) {
                for named in images {
                    let (id, names) = (named.image.id, named.names)
                    guard case .removed = try await records.images.remove(id, named: names, unless: { isUsed(id) }) else { continue }
                    storage.loosen(named.image.blobs)
                    steps += names.map { .untagged($0.familiar) } + [.deleted(id)]
                }
            } catch { throw .storage(error) }
            return (steps, try await storage.sweep(.all, keeping: records.images))
        }
        let abandoned = try await storage.chores.run { () throws(ImageError) in
            do throws(ContentError) { return try storage.blobs.removeAbandonedIngests() } catch { throw .storage(error) }
        }
        return (steps + swept.layers.map { .deleted($0) }, ByteCount(UInt64(clamping: swept.freedBytes.addingClamped(abandoned))))
    }
}
