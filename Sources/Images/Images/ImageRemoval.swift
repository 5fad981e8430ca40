internal import ContentStore
package import CoreTypes
package import Records
internal import Registry

/// Taking names and images away.
extension ImageLibrary {
    /// Takes a name from an image, and the image away with its last name; by id, the whole image.
    /// - Parameter users: says which containers were made from an image; asked once.
    /// - Throws: `.notFound`, `.ambiguous`, or `.conflict` in Docker's words.
    package func remove(
        _ word: String, force: Bool, users: @Sendable (Digest) async -> [ImageUser]
    ) async throws(ImageError) -> [RemovalStep] {
        let storage = try storage()
        let named = try await lookUp(word)
        let plan = try RemovalPlan.removing(named, by: word, force: force, users: await users(named.image.id))
        var steps = plan.untag.map { RemovalStep.untagged($0.familiar) }
        do throws(RecordsError) {
            if plan.deletesImage {
                try await records.images.remove(named.image.id)
            } else {
                try await records.images.untag(plan.untag)
            }
        } catch { throw .storage(error) }
        if plan.deletesImage {
            steps.append(.deleted(named.image.id))
            steps += try await storage.sweep(.among(named.image.blobs), keeping: records.images).layers.map { .deleted($0) }
        }
        return steps
    }

    /// Removes these images, and whatever no record needs: layers, blobs, and what interrupted pulls brought.
    /// - Parameter images: not in use by any container.
    /// - Returns: what is gone, and the bytes that this freed.
    package func prune(_ images: [NamedImage]) async throws(ImageError) -> (steps: [RemovalStep], reclaimed: ByteCount) {
        let storage = try storage()
        var steps: [RemovalStep] = []
        do throws(RecordsError) {
            for named in images where try await records.images.remove(named.image.id) {
                steps += (named.tags + named.repositoryDigests).map { .untagged($0.familiar) } + [.deleted(named.image.id)]
            }
        } catch { throw .storage(error) }
        let swept = try await storage.sweep(.all, keeping: records.images)
        let abandoned = try await storage.talks.run { () throws(ImageError) in
            do throws(ContentError) { return try storage.blobs.removeAbandonedIngests() } catch { throw .storage(error) }
        }
        return (steps + swept.layers.map { .deleted($0) }, ByteCount(UInt64(clamping: swept.freedBytes + abandoned)))
    }
}
