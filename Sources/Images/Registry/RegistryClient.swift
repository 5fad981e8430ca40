package import CoreTypes
internal import Synchronization

/// Speaks the distribution protocol to any registry; keeps connections and tokens between pulls. No blob is
/// kept here, and no file read but registries' certificates.
/// - Source: distribution-spec v1.1.
package final class RegistryClient: Sendable {
    private let current: Mutex<RegistryConfiguration>
    let handles = CurlHandles()
    let grants = GrantCache()
    let limits: TransferLimits
    /// What is taken from a registry or an archive.
    package let imageLimits: ImageLimits
    let health = MirrorHealth()
    let tokenServices: TokenServices
    /// Threads that fetch parts of blobs ahead, and the memory that those parts may take.
    let ahead = PieceBudget()

    package init(configuration: RegistryConfiguration) {
        current = Mutex(configuration)
        imageLimits = configuration.imageLimits
        tokenServices = TokenServices(configuration.tokenServices)
        limits = TransferLimits(idleSeconds: configuration.idleSeconds, headerBytes: configuration.imageLimits.headerBytes)
    }

    /// With other waiting times, for tests of what waits.
    init(configuration: RegistryConfiguration, limits: TransferLimits) {
        current = Mutex(configuration)
        imageLimits = configuration.imageLimits
        tokenServices = TokenServices(configuration.tokenServices)
        self.limits = limits
    }

    /// As it is now.
    var configuration: RegistryConfiguration { current.withLock(\.self) }

    /// Speaks to others in plain http, and asks others before Docker Hub, from the next conversation on.
    package func renew(insecureRegistries: [String], mirrors: [String], downloadAttempts: Int) {
        current.withLock {
            ($0.insecureRegistries, $0.mirrors, $0.downloadAttempts) = (insecureRegistries, mirrors, downloadAttempts)
        }
    }

    /// Sends one request and hands its response over, whatever that says. Blocks; follows no redirect.
    func transfer(
        _ request: HTTPRequest, limits: TransferLimits, cancellation: Cancellation, into receiver: any ResponseReceiver
    ) throws(RegistryError) {
        let (settings, doing) = (configuration, request.shown)
        // A proxy connects in our place: what it would connect to is judged before it is asked.
        if !request.allowsLinkLocal, let address = IPAddress(request.address.host), address.leadsToOneLink {
            throw RegistryError(.refused, doing: doing, cause: "connects to no address of one link: \(request.address.host)")
        }
        let outcome = handles.perform(
            request, proxies: settings.proxies, userAgent: settings.userAgent, limits: limits, cancellation: cancellation, into: receiver)
        switch outcome {
        case .complete: return
        case .stopped(let error): throw error.doing.isEmpty ? RegistryError(error.code, doing: doing, cause: error.cause) : error
        case .cancelled: throw RegistryError(.cancelled, doing: doing, cause: "cancelled")
        case .idle: throw RegistryError(.stalled, doing: doing, cause: "stalled for \(limits.idleSeconds) seconds: i/o timeout")
        case .failed(let failure):
            throw RegistryError(failure.isPassing ? .interrupted : .network, doing: doing, cause: failure.message)
        }
    }

    /// Begins to speak about one repository for one caller, wherever it is mirrored. Nothing is sent yet.
    /// - Parameter cancellation: ends every call within a second.
    package func repository(
        for reference: ImageReference, credentials: RegistryCredentials, cancellation: Cancellation
    ) -> MirroredRepository {
        MirroredRepository(client: self, reference: reference, credentials: credentials, cancellation: cancellation)
    }

    /// Begins to push to one repository, at the registry itself. Nothing is sent yet.
    /// - Parameter neighbours: repositories of the same registry that may lend some blobs.
    /// - Throws: `.refused` where the registry is blocked, takes no pushes, or a file of settings cannot be understood.
    package func pushSession(
        for reference: ImageReference, credentials: RegistryCredentials, neighbours: [String], cancellation: Cancellation
    ) throws(RegistryError) -> RepositorySession {
        let endpoints = try RegistryRoutes(configuration: configuration).endpoints(reference.domain, reference.path)
        guard let endpoint = endpoints.last, endpoint.capabilities.contains(.push) else {
            throw RegistryError(
                .refused, doing: "", cause: "\(reference.domain) takes no pushes: its hosts.toml gives the server no capability 'push'")
        }
        return RepositorySession(
            client: self, endpoint: endpoint, neighbours: neighbours, credentials: credentials, cancellation: cancellation)
    }
}
