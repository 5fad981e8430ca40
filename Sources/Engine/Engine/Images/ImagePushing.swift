package import CoreTypes
package import EngineAPI
internal import Images
internal import Records
internal import Registry

extension ContainerEngine {
    /// Brings an image to the registry that its name names.
    /// - Parameter tag: empty pushes every tag of the repository.
    /// - Parameter platform: what each of them must be of; nil is any.
    /// - Parameter progress: takes each message in order; the transfer waits for it.
    package func pushImage(
        _ name: String, tag: String, platform: CoreTypes.Platform? = nil, credentials: AuthConfig?,
        progress: @escaping @Sendable (ProgressMessage) async -> Void
    ) async throws(EngineError) {
        let reference: ImageReference
        do throws(InvalidImageReference) { reference = try ImageReference(tag.isEmpty ? name : "\(name):\(tag)") } catch {
            throw EngineError(.invalidParameter, "\(error)", cause: error)
        }
        let library = try parts().services.images
        // What is not there is the push's own to tell.
        if let platform { _ = try await check(reference, platform) }
        do throws(ImageError) {
            try await library.push(reference, credentials: RegistryCredentials(credentials)) { event in
                await progress(ProgressMessage(event))
                if case .tagged(let tag, let digest, let sizeBytes) = event {
                    var message = ProgressMessage()
                    var pushed = PushedTag()
                    (pushed.tag, pushed.digest, pushed.size) = (tag, digest.description, sizeBytes)
                    message.aux = pushed
                    message.progressDetail = ProgressDetail()
                    await progress(message)
                }
            }
        } catch { throw EngineError(error) }
        try await parts().services.tell("push", image: reference.familiar, name: reference.familiarName)
    }
}
