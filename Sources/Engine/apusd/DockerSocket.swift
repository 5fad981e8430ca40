internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// A link to the daemon's socket where clients of docker look.
struct DockerSocket {
    /// Where they look.
    static let usualPath: FilePath = "/var/run/docker.sock"

    private let path: FilePath
    private let target: FilePath

    /// Makes the link. A stale socket, or a link to one, goes.
    /// - Throws: `StartError` when an engine answers there, or something else lies there.
    init(_ path: FilePath, to target: FilePath) throws {
        self.path = path
        self.target = target
        try clear()
        try makeDirectories(path.removingLastComponent(), mode: 0o755)
        try makeSymbolicLink(path, to: target)
    }

    /// Takes the link away, if it is ours still.
    func remove() throws(SyscallError) {
        do throws(SyscallError) {
            if try readSymbolicLink(path) == target { try removeFile(path) }
        } catch {
            // Gone, or another engine's socket.
            guard [ENOENT, EINVAL].contains(error.errno) else { throw error }
        }
    }

    private func clear() throws {
        let type: LinuxSyscalls.FileType?
        do throws(SyscallError) { type = try fileStatus(path).type } catch {
            if error.errno == ENOENT { return }
            throw error
        }
        guard type == .symbolicLink || type == .socket else {
            throw StartError("--docker-socket: \(path) is there and is neither a socket nor a link")
        }
        if type == .symbolicLink, try readSymbolicLink(path) == target { return try removeFile(path) }
        do throws(SyscallError) { _ = try connectUnixSocket(path) } catch {
            guard [ECONNREFUSED, ENOENT].contains(error.errno) else { throw error }
            return try removeFile(path)
        }
        throw StartError("--docker-socket: another engine answers on \(path): stop it first, or start without --docker-socket")
    }
}
