package import Registry

extension ImageLibrary {
    /// Asks a registry whether it takes these credentials; nothing of them is kept.
    /// - Parameter domain: `docker.io`, `host` or `host:port`.
    /// - Throws: `.unauthorized` where it does not.
    package func checkCredentials(_ credentials: RegistryCredentials, at domain: String) async throws(ImageError) {
        let (registry, storage, cancellation) = (registry, try storage(), Cancellation())
        let result: Result<Void, ImageError> = await withTaskCancellationHandler {
            do throws(ImageError) {
                return .success(
                    try await storage.questions.run { () throws(ImageError) in
                        do throws(RegistryError) {
                            try registry.check(credentials, at: domain, cancellation: cancellation)
                        } catch { throw .registry(error) }
                    })
            } catch { return .failure(error) }
        } onCancel: {
            cancellation.cancel()
        }
        try result.get()
    }
}
