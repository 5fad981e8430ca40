package import CoreTypes
package import Registry

extension ImageLibrary {
    /// Every tag that a repository has in its registry, in the registry's order.
    /// - Throws: `.notFound`, `.denied`, `.unauthorized`, in Docker's words; `.badContent` for a tag that is none.
    package func tags(
        of repository: ImageReference, credentials: RegistryCredentials
    ) async throws(ImageError) -> [ImageReference] {
        let registry = registry
        let listed = try await asking { cancellation throws(RegistryError) in
            Result { () throws(RegistryError) in
                try registry.repository(for: repository, credentials: credentials, cancellation: cancellation).tags()
            }
        }
        var found: [ImageReference] = []
        for tag in try Self.understood(listed, of: repository) {
            do throws(InvalidImageReference) { found.append(try repository.tagged(tag)) } catch {
                throw ImageError(.badContent, "invalid tag \(tag.debugDescription) of \(repository.familiarName)", cause: error)
            }
        }
        return found
    }

    private static func understood(_ listed: Result<[String], RegistryError>, of repository: ImageReference) throws(ImageError) -> [String]
    {
        do throws(RegistryError) { return try listed.get() } catch {
            let name = repository.familiarName
            switch error.code {
            case .notFound: throw ImageError(.notFound, "repository \(name) not found: \(error.cause)", cause: error)
            case .denied: throw .pullDenied(name, error)
            default: throw .registry(error)
            }
        }
    }
}
