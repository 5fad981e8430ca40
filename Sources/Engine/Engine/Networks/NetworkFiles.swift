internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import NameService
internal import SystemPackage

/// What the files about names and addresses say that a container sees in `/etc`.
enum NetworkFileText {
    /// Name servers where the host has none that a container could reach: Docker's choice.
    static let publicServers = ["8.8.8.8", "8.8.4.4"]

    /// The address of the server of names in every container's network: Docker's.
    static let nameServer = "127.0.0.11"

    private static let localNames = """
        127.0.0.1\tlocalhost
        ::1\tlocalhost ip6-localhost ip6-loopback
        fe00::\tip6-localnet
        ff00::\tip6-mcastprefix
        ff02::1\tip6-allnodes
        ff02::2\tip6-allrouters

        """

    /// `/etc/hosts` of a container with a network of its own: the local names, then those that the request adds, then the container's.
    /// - Parameters:
    ///   - names: the container's own.
    ///   - addresses: under which the container has them.
    ///   - hostGateway: what the address `host-gateway` means; nil where there is none, and no such line.
    static func hosts(_ host: HostConfig, names: String, addresses: [String], hostGateway: String?) -> [UInt8] {
        var text = localNames
        for extra in host.extraHosts.compactMap({ ExtraHost($0) }) {
            guard let address = extra.address == ExtraHost.hostGateway ? hostGateway : extra.address else { continue }
            text += "\(address)\t\(extra.name)\n"
        }
        for address in addresses { text += "\(address)\t\(names)\n" }
        return Array(text.utf8)
    }

    /// The same of a container that runs, where its addresses change: its own lines come and go, and whatever else is there stays.
    static func hosts(_ text: [UInt8], names: String, without gone: [String], with come: [String]) -> [UInt8] {
        let own = Set((gone + come).map { Array("\($0)\t\(names)".utf8) })
        let newline = UInt8(ascii: "\n")
        var lines = text.split(separator: newline, omittingEmptySubsequences: false).map(Array.init)
        if lines.last == [] { lines.removeLast() }
        lines.removeAll(where: own.contains)
        return lines.flatMap { $0 + [newline] } + come.flatMap { Array("\($0)\t\(names)\n".utf8) }
    }

    /// A file of the host; empty where the host has none.
    static func hostCopy(_ path: FilePath) throws(SyscallError) -> [UInt8] {
        do throws(SyscallError) { return try readFile(path, limitBytes: ResolverFile.limitBytes) } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return [] }
            throw error
        }
    }

    /// The host's resolver as a container may use it: systemd's own file where the usual one only names systemd's local server.
    static func hostResolver(_ file: FilePath) throws(SyscallError) -> ResolverFile {
        let usual = ResolverFile(parsing: try hostCopy(file))
        guard usual.servers == ["127.0.0.53"] else { return usual }
        return ResolverFile(parsing: try hostCopy("/run/systemd/resolve/resolv.conf"))
    }
}

extension ResolverFile {
    /// What a container's request says in place of the host's; a search domain of a dot is none.
    func overridden(by host: HostConfig) -> ResolverFile {
        overridden(servers: host.dns, search: host.dnsSearch, options: host.dnsOptions)
    }

    /// An empty list leaves what is there.
    func overridden(servers: [String], search: [String], options: [String]) -> ResolverFile {
        var file = self
        if !servers.isEmpty { file.servers = servers }
        if !search.isEmpty { file.search = search == ["."] ? [] : search }
        if !options.isEmpty { file.options = options }
        return file
    }

    /// Without servers that only the host itself reaches; public ones where none is left.
    var reachableFromContainers: ResolverFile {
        var file = self
        // One with a zone is reached by a link of the host.
        file.servers = servers.filter { server in IPAddress(server).map { !$0.isLoopback } ?? false }
        if file.servers.isEmpty { file.servers = NetworkFileText.publicServers }
        return file
    }

    /// For a container on networks with names: asks their server, which asks the others.
    var askingForNames: ResolverFile {
        var file = self
        file.servers = [NetworkFileText.nameServer]
        // A name without a dot may be a container's: it is not tried with the search domains first.
        if !file.options.contains(where: { $0.hasPrefix("ndots:") }) { file.options.append("ndots:0") }
        return file
    }
}

extension ResolverFile {
    /// As a container of this network sees it.
    func inside(_ network: NetworkFileFacts) -> ResolverFile { network.hasNames ? askingForNames : reachableFromContainers }
}

/// What a run's network means for the files in `/etc`.
struct NetworkFileFacts: Sendable {
    /// The container's own, in the order of its links.
    var addresses: [String] = []
    /// What the address `host-gateway` means.
    var hostGateway: String?
    /// Whether it finds others by name.
    var hasNames = false
    /// The host's resolv.conf(5).
    private let resolver: FilePath
    /// What stands in place of the host's.
    private let defaults: ContainerDefaults

    init(_ configuration: EngineConfiguration) {
        resolver = configuration.resolverFile
        defaults = configuration.defaults
        hostGateway = defaults.hostGateway
    }

    /// The host's resolver as a container may use it, with what the daemon was told in its place.
    func hostResolver() throws(SyscallError) -> ResolverFile {
        try NetworkFileText.hostResolver(resolver).overridden(
            servers: defaults.nameServers, search: defaults.searchDomains, options: defaults.resolverOptions)
    }
}
