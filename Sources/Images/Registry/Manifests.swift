internal import CoreTypes
package import OCISpec

/// A manifest or index as a registry served it, not yet held against any digest.
package struct ServedManifest: Equatable, Sendable {
    package let bytes: [UInt8]
    /// Content-Type without parameters; nil where there was none.
    package let mediaType: MediaType?

    /// What it says. - Throws: `SpecProblem`.
    package func document(_ limits: DocumentLimits) throws(SpecProblem) -> ImageDocument {
        try ImageDocument.decode(bytes, declaredType: mediaType, limits: limits)
    }
}

extension RepositorySession {
    /// What a tag stands for now. - Returns: nil where the registry does not say so without the whole manifest.
    /// - Throws: `.notFound`, `.denied`, `.unauthorized`, `.network` and the others.
    func resolve(tag: String) throws(RegistryError) -> Digest? {
        let request = try manifestRequest(.head, tag)
        let head = try send(request, into: DroppingReceiver(for: request.shown))
        return head.headers["docker-content-digest"].flatMap { try? Digest($0) }
    }

    /// Fetches a manifest or index by tag or digest; at most as long as the configuration has it.
    func manifest(_ tagOrDigest: String) throws(RegistryError) -> ServedManifest {
        let request = try manifestRequest(.get, tagOrDigest)
        let collector = CollectingReceiver(for: request.shown, limitBytes: client.imageLimits.manifestBytes)
        let head = try send(request, into: collector)
        let type = head.headers["content-type"].map { value in
            String(value.prefix { $0 != ";" }).filter { !$0.isWhitespace }
        }
        return ServedManifest(bytes: collector.body, mediaType: type.map { MediaType(rawValue: $0) })
    }

    private func manifestRequest(_ method: HTTPRequest.Method, _ tagOrDigest: String) throws(RegistryError) -> HTTPRequest {
        let accepted = MediaType.acceptedManifests.map(\.rawValue).joined(separator: ", ")
        var request = try request(method, "manifests/\(tagOrDigest)")
        request.headers.append(("Accept", accepted))
        return request
    }
}
