internal import CoreTypes
package import OCISpec

extension RepositorySession {
    /// Writes down that a manifest refers to another, where the registry does not do so itself: in the index under the subject's tag,
    /// beside those that are in it.
    /// - Parameter referrer: with its `artifactType` and annotations.
    /// - Source: distribution-spec v1.1, "Pushing Manifests with Subject", "Referrers Tag Schema".
    package func addReferrer(_ referrer: Descriptor, to subject: Descriptor) throws(RegistryError) {
        let tag = "\(subject.digest.algorithm.rawValue)-\(subject.digest.hex)"
        var index = try referrers(under: tag)
        if index.manifests.contains(where: { $0.digest == referrer.digest }) { return }
        if index.manifests.count >= client.imageLimits.descriptors {
            throw RegistryError(.refused, doing: "", cause: "the list of referrers \(tag) is full: \(index.manifests.count)")
        }
        index.manifests.append(referrer)
        let bytes = index.encode()
        var request = try request(.put, "manifests/\(tag)")
        request.body = bytes
        request.headers.append(("Content-Type", index.mediaType.rawValue))
        try send(request, into: DroppingReceiver(for: request.shown))
    }

    /// The list as it is; a new one where there is none.
    private func referrers(under tag: String) throws(RegistryError) -> ImageIndex {
        let served: ServedManifest
        do throws(RegistryError) { served = try manifest(tag) } catch {
            if error.code == .notFound { return ImageIndex(manifests: []) }
            throw error
        }
        do throws(SpecProblem) {
            let document = try served.document(client.imageLimits.manifest)
            if case .index(let index) = document { return index }
        } catch { throw RegistryError(.malformed, doing: "", cause: "the list of referrers \(tag): \(error)") }
        throw RegistryError(.malformed, doing: "", cause: "the list of referrers \(tag) is no index")
    }
}
