internal import CoreTypes
package import EngineAPI

/// What containers have that say nothing of it themselves: what a request says stands before these.
package struct ContainerDefaults: Equatable, Sendable {
    /// Limits of setrlimit(2).
    package var ulimits: [Ulimit] = []
    /// Whether an init of the engine's is the first process.
    package var hasInit = false
    /// `private` or `host`; nil is as Docker has it.
    package var cgroupNamespaceMode: String?
    /// The cgroup that theirs are made in; empty is the engine's own.
    package var cgroupParent = ""
    /// A filter of system calls in Docker's JSON format, or `unconfined`; nil is the engine's own.
    package var seccomp: String?
    /// Name servers in place of the host's.
    package var nameServers: [String] = []
    /// Search domains in place of the host's.
    package var searchDomains: [String] = []
    /// Options of resolv.conf(5) in place of the host's.
    package var resolverOptions: [String] = []
    /// What the address `host-gateway` means; nil is the host's on the default network.
    package var hostGateway: String?

    package init() {}

    /// - Throws: `.invalidParameter` for what no container could have.
    package func check() throws(EngineError) {
        _ = try ResourceRequests.limits(ulimits)
        try SeccompProfiles.check(usual: seccomp)
        for word in nameServers + searchDomains + resolverOptions {
            guard !word.isEmpty, word.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
                throw ContainerChecks.invalid("bad name server, search domain or resolver option: \(ContainerChecks.quoted(word))")
            }
        }
    }

    /// Whose cgroup namespace a container is in that does not say: `private` or `host`, as dockerd chooses by the version of cgroups.
    func cgroupNamespace(isUnified: Bool, _ profile: SecurityProfile) -> String {
        cgroupNamespaceMode ?? (isUnified || profile == .strict ? "private" : "host")
    }

    /// Whether a text is an IP address.
    package static func isAddress(_ text: String) -> Bool { IPAddress(text) != nil }

    /// A request with what a run takes from here: inspect goes on to tell what was asked for.
    func applied(to request: HostConfig) -> HostConfig {
        var host = request
        if host.initProcess == nil && hasInit { host.initProcess = true }
        let named = Set(host.ulimits.map(\.name))
        host.ulimits += ulimits.filter { !named.contains($0.name) }
        return host
    }
}
