package import CoreTypes
internal import Synchronization

/// Remembers which servers did not answer, so that the next pull does not wait for them first.
final class MirrorHealth: Sendable {
    /// How long a failure counts, in seconds.
    private static let memorySeconds = 60
    /// Above it, all are forgotten.
    private static let limit = 256
    private let failures = Mutex<[String: Int]>([:])

    func failed(_ name: String) {
        failures.withLock { failures in
            if failures.count >= Self.limit { failures = [:] }
            failures[name] = monotonicSeconds()
        }
    }

    func answered(_ name: String) { failures.withLock { _ = $0.removeValue(forKey: name) } }

    func isIll(_ name: String) -> Bool { failures.withLock { $0[name].map { monotonicSeconds() - $0 < Self.memorySeconds } ?? false } }
}

/// One caller's conversation about one repository, with whichever server has it: the mirrors in their order, the registry itself at last.
/// Every call blocks: run it on a thread of your own. Safe for use by many threads.
package final class MirroredRepository: Sendable {
    private let client: RegistryClient
    private let reference: ImageReference
    private let credentials: RegistryCredentials
    private let cancellation: Cancellation
    private let state = Mutex(State())

    private struct State {
        var sessions: [RepositorySession]?
        /// Servers whose bytes were not those that were asked for.
        var liars: Set<String> = []
        /// Who sent the last bytes of a blob.
        var sources: [Digest: String] = [:]
    }

    init(client: RegistryClient, reference: ImageReference, credentials: RegistryCredentials, cancellation: Cancellation) {
        self.client = client
        self.reference = reference
        self.credentials = credentials
        self.cancellation = cancellation
    }

    /// What a tag stands for now. - Returns: nil where the registry does not say so without the whole manifest.
    /// - Throws: `.notFound`, `.denied`, `.unauthorized`, `.network` and the others.
    package func resolve(tag: String) throws(RegistryError) -> Digest? {
        try firstAnswer(.resolve, byDigest: false) { session throws(RegistryError) in try session.resolve(tag: tag) }
    }

    /// Every tag, of the first server that tells.
    package func tags() throws(RegistryError) -> [String] {
        try firstAnswer(.resolve, byDigest: false) { session throws(RegistryError) in try session.tags() }
    }

    /// Fetches a manifest or index by tag or digest; at most as long as the configuration has it.
    /// - Parameter isGood: whether it is what was asked for; if not, another server is asked, or the same one once more.
    /// - Returns: what came last, good or not, where none was good.
    package func manifest(
        _ tagOrDigest: String, isGood: (ServedManifest) -> Bool
    ) throws(RegistryError) -> ServedManifest {
        let byDigest = tagOrDigest.contains(":")
        var last: ServedManifest?
        // The registry itself may have been cut short on its way here: it is asked twice.
        for _ in 0..<2 {
            let served = try firstAnswer(byDigest ? .pull : .resolve, byDigest: byDigest) { session throws(RegistryError) in
                let served = try session.manifest(tagOrDigest)
                last = served
                if !isGood(served) {
                    throw RegistryError(.malformed, doing: "", cause: Self.wrongManifest)
                }
                return served
            } unless: { error in
                error.cause == Self.wrongManifest && last != nil
            }
            if let served { return served }
        }
        guard let last else { throw RegistryError(.malformed, doing: "", cause: Self.wrongManifest) }
        return last
    }

    private static let wrongManifest = "the manifest is not the one that was asked for"

    /// Fetches a blob, going on where `sink` stands, from one server after the other. The bytes are counted; it is for `sink` to hold
    /// them against the digest, and to tell `distrust` where they were wrong.
    /// - Parameter end: ends this call alone, within a second.
    package func fetchBlob(
        _ digest: Digest, sizeBytes: Int64, into sink: any BlobSink, until end: Cancellation? = nil
    ) throws(RegistryError) {
        _ = try firstAnswer(.pull, byDigest: true) { session throws(RegistryError) -> Bool in
            state.withLock { $0.sources[digest] = session.endpoint.name }
            let own = end.map { RepositorySession(session, cancellation: Cancellation(within: session.cancellation, $0)) } ?? session
            try own.fetchBlob(digest, sizeBytes: sizeBytes, into: sink)
            return true
        }
    }

    /// Tells that the bytes of a blob were wrong: its server is asked last from now on.
    package func distrust(sourceOf digest: Digest) {
        state.withLock { state in if let name = state.sources[digest] { state.liars.insert(name) } }
    }

    /// Whether there is a server that may be asked for a blob, but for the one that sent it last and those whose bytes were wrong.
    package func hasOtherSource(of digest: Digest) throws(RegistryError) -> Bool {
        let servers = try inOrder(.pull, byDigest: true).all.map(\.endpoint.name)
        let known = state.withLock { state in state.liars.union(state.sources[digest].map { [$0] } ?? []) }
        return servers.contains { !known.contains($0) }
    }

    // MARK: - Who is asked

    /// - Parameter unless: errors of the last server that end the round without being thrown.
    private func firstAnswer<Value>(
        _ capability: RegistryEndpoint.Capability, byDigest: Bool, _ ask: (RepositorySession) throws(RegistryError) -> Value
    ) throws(RegistryError) -> Value {
        let answer = try firstAnswer(capability, byDigest: byDigest, ask, unless: { _ in false })
        guard let answer else { throw RegistryError(.malformed, doing: "", cause: "no server was asked") }
        return answer
    }

    private func firstAnswer<Value>(
        _ capability: RegistryEndpoint.Capability, byDigest: Bool, _ ask: (RepositorySession) throws(RegistryError) -> Value,
        unless isOver: (RegistryError) -> Bool
    ) throws(RegistryError) -> Value? {
        let (registry, candidates) = try inOrder(capability, byDigest: byDigest)
        var failures: [(session: RepositorySession, error: RegistryError)] = []
        for session in candidates {
            do throws(RegistryError) {
                let value = try ask(session)
                client.health.answered(session.endpoint.name)
                return value
            } catch {
                if [.cancelled, .receiverStopped].contains(error.code) { throw error }
                if [.network, .interrupted, .stalled, .server, .tooManyRequests].contains(error.code) {
                    client.health.failed(session.endpoint.name)
                }
                failures.append((session, error))
            }
        }
        // Where the registry itself may not be asked, a mirror that may have it says more than one that has it not.
        let decisive =
            failures.firstIndex { $0.session === registry } ?? failures.lastIndex { $0.error.code != .notFound } ?? failures.indices.last
        guard let decisive else {
            throw RegistryError(
                .refused, doing: "", cause: "no server of \(reference.domain) may be asked to \(capability.rawValue): see its hosts.toml")
        }
        let refusal = failures.remove(at: decisive).error
        if isOver(refusal) { return nil }
        let refusals = failures.map { "mirror \($0.session.endpoint.name): \($0.error)" }
        if refusals.isEmpty || [.notFound, .denied, .unauthorized].contains(refusal.code) { throw refusal }
        throw RegistryError(refusal.code, doing: refusal.doing, cause: "\(refusal.cause); \(refusals.joined(separator: "; "))")
    }

    /// The registry itself, and who is asked: the mirrors, the registry, and then the mirrors that failed lately or lied.
    private func inOrder(
        _ capability: RegistryEndpoint.Capability, byDigest: Bool
    ) throws(RegistryError) -> (registry: RepositorySession?, all: [RepositorySession]) {
        let liars = state.withLock { $0.liars }
        let all = try sessions()
        let mirrors = all.dropLast().filter { $0.endpoint.serves(capability, byDigest: byDigest) }
        let isGood = mirrors.map { !client.health.isIll($0.endpoint.name) && !liars.contains($0.endpoint.name) }
        let registry = all.last.flatMap { $0.endpoint.serves(capability, byDigest: byDigest) ? $0 : nil }
        let good = zip(mirrors, isGood).filter(\.1).map(\.0)
        let others = zip(mirrors, isGood).filter { !$0.1 }.map(\.0)
        return (registry, good + (registry.map { [$0] } ?? []) + others)
    }

    private func sessions() throws(RegistryError) -> [RepositorySession] {
        if let known = state.withLock({ $0.sessions }) { return known }
        let endpoints = try RegistryRoutes(configuration: client.configuration).endpoints(reference.domain, reference.path)
        let sessions = endpoints.enumerated().map { position, endpoint in
            RepositorySession(
                client: client, endpoint: endpoint, neighbours: nil, credentials: credentials,
                patience: position < endpoints.count - 1 ? .short : .full, cancellation: cancellation)
        }
        return state.withLock { state in
            let kept = state.sessions ?? sessions
            state.sessions = kept
            return kept
        }
    }
}
