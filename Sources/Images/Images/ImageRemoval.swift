internal import ContentStore
package import CoreTypes
internal import Records

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
            steps += try await storage.sweep(.among(named.image.blobs), keeping: records.images).map { .deleted($0) }
        }
        return steps
    }
}
