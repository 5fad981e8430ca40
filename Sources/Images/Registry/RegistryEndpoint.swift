/// One server that may have a repository, and how it is spoken to there.
struct RegistryEndpoint: Equatable, Sendable {
    /// What a server is asked for.
    enum Capability: String, CaseIterable, Sendable {
        /// Manifests and blobs by digest.
        case pull
        /// What a tag stands for.
        case resolve
        case push
    }

    /// Which references a server is asked about.
    enum References: String, Sendable {
        case all
        case byDigest = "digest-only"
        case byTag = "tag-only"
    }

    let host: RegistryHost
    /// `http` or `https`; nil to find out, best first.
    var scheme: String?
    /// What every path of the protocol begins with.
    var path = "v2/"
    /// The repository's name there.
    var repository: String
    /// The registry that a mirror is asked for, in containerd's `ns` of each query; nil for none.
    var namespace: String?
    /// Fields of each request.
    var headers: [HeaderField] = []
    var capabilities = Set(Capability.allCases)
    var references = References.all
    /// nil is what the folders of certificates hold for the host.
    var certificates: HostCertificates?
    /// How long a connection may take, in seconds; nil is the client's own limit.
    var connectSeconds: Int?
    /// Whether the caller's credentials are for this server.
    var receivesCredentials = true

    /// For messages and for what is remembered of it.
    var name: String { (scheme.map { "\($0)://" } ?? "") + host.authority + (path == "v2/" ? "" : "/\(path)") }

    struct HeaderField: Equatable, Sendable {
        let name: String
        let value: String
    }

    init(host: RegistryHost, repository: String) {
        self.host = host
        self.repository = repository
    }

    /// Whether it is asked for a tag or a digest.
    func serves(_ capability: Capability, byDigest: Bool) -> Bool {
        switch references {
        case .all: capabilities.contains(capability)
        case .byDigest: byDigest && capabilities.contains(capability)
        case .byTag: !byDigest && capabilities.contains(capability)
        }
    }
}
