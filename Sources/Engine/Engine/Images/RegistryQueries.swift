internal import CoreTypes
package import EngineAPI
internal import Images
internal import OCISpec
internal import Registry

extension ContainerEngine {
    private static let searchLimits = 1...100
    private static let searchLimitByDefault = 25

    /// `GET /images/search`. Filters: `is-official`, `is-automated`, `stars`.
    /// - Parameter term: as an image's name: with a registry before the first slash, that one is asked.
    package func searchImages(
        _ term: String, limit: Int?, filters: Filters, credentials: AuthConfig?
    ) async throws(EngineError) -> [ImageSearchResult] {
        if let unknown = filters.unknownKey(besides: ["is-official", "is-automated", "stars"]) {
            throw EngineError(.invalidParameter, "invalid filter '\(unknown)'")
        }
        let limit = limit.flatMap { $0 == 0 ? nil : $0 } ?? Self.searchLimitByDefault
        guard Self.searchLimits.contains(limit) else {
            throw EngineError(.invalidParameter, "limit \(limit) is outside the range of [1, 100]")
        }
        if term.contains("://") {
            throw EngineError(.invalidParameter, "invalid repository name: repository name (\(term)) should not have a scheme")
        }
        let wanted = try SearchFilter(filters)
        let words = term.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let namesRegistry = words.count == 2 && (words[0].contains(".") || words[0].contains(":") || words[0] == "localhost")
        let domain = namesRegistry ? Self.domain(of: words[0]) : "docker.io"
        let word = namesRegistry ? words[1] : term
        let library = try parts().services.images
        let bytes: [UInt8]
        do throws(ImageError) {
            bytes = try await library.search(
                word, at: domain, limit: limit, credentials: RegistryCredentials(credentials))
        } catch {
            // Docker's words for a registry that knows no search.
            if error.code == .notFound { throw EngineError(.system, "Unexpected status code 404", cause: error) }
            throw EngineError(error)
        }
        let answer: RegistrySearchAnswer
        do throws(DocumentError) { answer = try EngineJSON.decode(RegistrySearchAnswer.self, from: bytes) } catch {
            throw EngineError(.system, "error decoding the registry's answer to a search: \(error.reason)", cause: error)
        }
        return answer.results.prefix(limit).filter(wanted.accepts).map { result in
            var result = result
            result.isAutomated = false
            return result
        }
    }

    /// `GET /distribution/{name}/json`.
    package func inspectDistribution(_ name: String, credentials: AuthConfig?) async throws(EngineError) -> DistributionInspect {
        let found = try await describeDistribution(name, credentials)
        var answer = DistributionInspect()
        answer.descriptor.mediaType = found.descriptor.mediaType.rawValue
        answer.descriptor.digest = found.descriptor.digest.description
        answer.descriptor.size = found.descriptor.sizeBytes
        answer.platforms = found.platforms.map { platform in
            var document = PlatformDocument()
            (document.os, document.architecture, document.variant) = (
                platform.operatingSystem, platform.architecture, platform.variant ?? ""
            )
            return document
        }
        return answer
    }

    /// `GET /distribution/{name}/manifest`, which is ours: what the registry holds under the name, byte for byte.
    package func registryManifest(
        _ name: String, credentials: AuthConfig?
    ) async throws(EngineError) -> (bytes: [UInt8], mediaType: String, digest: String) {
        let found = try await describeDistribution(name, credentials)
        return (found.document, found.descriptor.mediaType.rawValue, found.descriptor.digest.description)
    }

    /// `PUT /distribution/{name}/manifest`, which is ours.
    /// - Parameter repository: of the same registry, that lends what the manifest refers to.
    /// - Returns: the digest.
    package func storeRegistryManifest(
        _ name: String, _ bytes: [UInt8], from repository: String?, credentials: AuthConfig?
    ) async throws(EngineError) -> String {
        let (library, reference) = (try parts().services.images, try Self.reference(name))
        do throws(ImageError) {
            return try await library.storeManifest(
                bytes, as: reference, from: repository, credentials: RegistryCredentials(credentials)
            ).description
        } catch { throw EngineError(error) }
    }

    private func describeDistribution(_ name: String, _ credentials: AuthConfig?) async throws(EngineError) -> DistributionDescription {
        let (library, reference) = (try parts().services.images, try Self.reference(name))
        try Self.refuse(reserved: reference, as: .invalidParameter)
        do throws(ImageError) {
            return try await library.inspectDistribution(of: reference, credentials: RegistryCredentials(credentials))
        } catch {
            throw error.code == .notFound
                ? EngineError(.notFound, "manifest for \(reference.withDefaultTag.familiar) not found: manifest unknown: manifest unknown")
                : EngineError(error)
        }
    }

    private static func reference(_ name: String) throws(EngineError) -> ImageReference {
        do throws(InvalidImageReference) { return try ImageReference(name) } catch {
            throw EngineError(.invalidParameter, "\(error)", cause: error)
        }
    }
}

/// What a search is confined to.
private struct SearchFilter {
    private let isOfficial: Bool?
    private let isAutomated: Bool?
    private let stars: Int

    init(_ filters: Filters) throws(EngineError) {
        do throws(DocumentError) {
            isOfficial = try filters.flag("is-official")
            isAutomated = try filters.flag("is-automated")
        } catch { throw EngineError(.invalidParameter, error.reason, cause: error) }
        var least = 0
        for text in filters["stars"] {
            guard let number = Int(text) else { throw EngineError(.invalidParameter, "invalid filter 'stars=\(text)'") }
            least = max(least, number)
        }
        stars = least
    }

    func accepts(_ result: ImageSearchResult) -> Bool {
        // Nothing is built by Docker Hub any more.
        if isAutomated == true { return false }
        return (isOfficial.map { $0 == result.isOfficial } ?? true) && result.starCount >= stars
    }
}
