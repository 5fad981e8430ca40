internal import CoreTypes
internal import LinuxSyscalls
internal import SystemPackage

/// The servers that the host itself asks, as its file names them just now.
struct HostServers {
    private let file: FilePath
    private var servers: [UpstreamServer] = []
    private var readAt: Int64?
    /// The file is read again after so long.
    private static let ageLimitNanoseconds: Int64 = 1_000_000_000
    /// As many as the C library asks.
    static let limit = 3

    init(file: FilePath) { self.file = file }

    /// - Parameter now: of the clock that is never set.
    mutating func current(_ now: Int64) -> [UpstreamServer] {
        if let readAt, now - readAt < Self.ageLimitNanoseconds { return servers }
        readAt = now
        // A file that is being replaced is there again a second later: until then the servers are those from before.
        guard let bytes = try? readFile(file, limitBytes: ResolverFile.limitBytes) else { return servers }
        servers = Array(ResolverFile(parsing: bytes).servers.compactMap { UpstreamServer($0) }.prefix(Self.limit))
        return servers
    }
}
