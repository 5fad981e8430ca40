internal import EngineAPI
internal import LinuxSyscalls
internal import SystemPackage

/// What the files about names and addresses say.
enum NetworkFileText {
    /// The most that is taken over of a file of the host.
    static let limitBytes = 65_536

    /// `/etc/hosts` of a container with a network of its own: the local names, then those that the request adds.
    static func hosts(_ host: HostConfig) -> [UInt8] {
        let added = host.extraHosts.compactMap { ExtraHost($0) }.map { "\($0.address)\t\($0.name)\n" }
        return Array((localNames + added.joined()).utf8)
    }

    private static let localNames =
        """
        127.0.0.1\tlocalhost
        ::1\tlocalhost ip6-localhost ip6-loopback
        fe00::\tip6-localnet
        ff00::\tip6-mcastprefix
        ff02::1\tip6-allnodes
        ff02::2\tip6-allrouters

        """

    /// `/etc/resolv.conf`: the host's, unless the request asks for servers, domains or options; then what it leaves out is the host's.
    /// - Source: resolv.conf(5).
    static func resolver(_ host: HostConfig, over original: [UInt8]) -> [UInt8] {
        guard !(host.dns.isEmpty && host.dnsSearch.isEmpty && host.dnsOptions.isEmpty) else { return original }
        let lines = String(decoding: original, as: UTF8.self).split(separator: "\n")
            .map { $0.split(whereSeparator: \.isWhitespace).map(String.init) }
        func last(_ keyword: String) -> [String] { lines.last { $0.first == keyword }.map { Array($0.dropFirst()) } ?? [] }
        let search = host.dnsSearch.isEmpty ? last("search") : host.dnsSearch
        let servers = host.dns.isEmpty ? lines.filter { $0.first == "nameserver" }.compactMap { $0.dropFirst().first } : host.dns
        let options = host.dnsOptions.isEmpty ? last("options") : host.dnsOptions
        var text = ""
        // A dot alone takes the host's domains away.
        if !search.isEmpty && search != ["."] { text += "search \(search.joined(separator: " "))\n" }
        for server in servers { text += "nameserver \(server)\n" }
        if !options.isEmpty { text += "options \(options.joined(separator: " "))\n" }
        return Array(text.utf8)
    }

    /// A file of the host; empty where the host has none.
    static func hostCopy(_ path: FilePath) throws(SyscallError) -> [UInt8] {
        do throws(SyscallError) { return try readFile(path, limitBytes: limitBytes) } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return [] }
            throw error
        }
    }
}
