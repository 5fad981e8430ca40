package import CoreTypes

/// Speaks the distribution protocol to any registry; keeps connections and tokens between pulls. No blob is
/// kept here, and no file read but registries' certificates.
/// - Source: distribution-spec v1.1.
package final class RegistryClient: Sendable {
    let configuration: RegistryConfiguration
    let handles = CurlHandles()
    let grants = GrantCache()
    let limits: TransferLimits

    package init(configuration: RegistryConfiguration) {
        self.configuration = configuration
        limits = TransferLimits()
    }

    /// With other waiting times, for tests of what waits.
    init(configuration: RegistryConfiguration, limits: TransferLimits) {
        self.configuration = configuration
        self.limits = limits
    }

    /// Begins to speak about one repository for one caller. Nothing is sent yet.
    /// - Parameter cancellation: ends every call of the session within a second.
    /// - Parameter neighbours: where blobs may be pushed: repositories of the same registry that may lend some; nil to pull only.
    package func session(
        for reference: ImageReference, credentials: RegistryCredentials, cancellation: Cancellation, pushingWith neighbours: [String]? = nil
    ) -> RepositorySession {
        RepositorySession(
            client: self, host: RegistryHost(domain: reference.domain, insecureRegistries: configuration.insecureRegistries),
            repository: reference.path, neighbours: neighbours, credentials: credentials, cancellation: cancellation)
    }
}
