internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// A unix socket that root and one group may use.
struct ListeningSocket {
    /// Connections that wait to be taken.
    private static let backlog: Int32 = 128
    /// Bytes of a socket's path, its final NUL aside. - Source: unix(7).
    static let maximumPathByteCount = 107
    private static let usualGroup = "apus"

    let path: FilePath
    /// Open, listening; whoever serves it closes it.
    let descriptor: Int32

    /// Listens at `path`. A socket that nobody answers on is replaced.
    /// - Parameter group: its name or number; nil is `apus`, where there is that group, and empty is none.
    /// - Throws: `StartError` when a daemon answers there, or something else lies there.
    init(_ path: FilePath, group: String? = nil) throws {
        self.path = path
        guard path.string.utf8.count <= Self.maximumPathByteCount else {
            throw StartError(
                "the socket \(path) is longer than \(Self.maximumPathByteCount) bytes: give a shorter one with --host unix://PATH")
        }
        try makeDirectories(path.removingLastComponent(), mode: 0o755)
        try Self.clear(path)
        // Until the group is set, root alone may connect.
        let former = setFileCreationMask(0o177)
        defer { setFileCreationMask(former) }
        let socket = try listenUnixSocket(path, backlog: Self.backlog)
        if let id = try Self.groupID(group) { try changeOwner(path, userID: 0, groupID: id) }
        try changeMode(path, to: 0o660)
        descriptor = socket.release()
    }

    /// Takes the socket's name away.
    func remove() throws(SyscallError) { try removeFile(path) }

    private static func clear(_ path: FilePath) throws {
        let status: FileStatus
        do throws(SyscallError) {
            status = try fileStatus(path)
        } catch {
            if error.errno == ENOENT { return }
            throw error
        }
        guard status.type == .socket else { throw StartError("\(path) is there and is no socket") }
        do throws(SyscallError) {
            _ = try connectUnixSocket(path)
        } catch {
            guard error.errno == ECONNREFUSED else { throw error }
            return try removeFile(path)
        }
        throw StartError("another daemon answers on \(path)")
    }

    private static func groupID(_ wanted: String?) throws -> UInt32? {
        guard let wanted else { return try number(of: usualGroup) }
        if wanted.isEmpty { return nil }
        guard let id = try number(of: wanted) ?? UInt32(wanted) else {
            throw StartError("--group: there is no group '\(wanted)' in /etc/group")
        }
        return id
    }

    /// The group's number in /etc/group; nil where there is no such group.
    private static func number(of group: String) throws(SyscallError) -> UInt32? {
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try readFile("/etc/group", limitBytes: 1 << 20)
        } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("\(group):") }
        let fields = line?.split(separator: ":", omittingEmptySubsequences: false) ?? []
        return fields.count >= 3 ? UInt32(fields[2]) : nil
    }
}
