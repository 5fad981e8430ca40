internal import LinuxSyscalls
internal import Networking
internal import SystemPackage

/// Links of the host that the next daemon must know of, a file each. The files live as long as the links do: while the host runs. Every function
/// blocks.
///
/// Bridges that this daemon, or one before it, made have one from before they are until they are gone: a bridge without a network is what a crash left,
/// one without a file is somebody else's. Cables have one from the end of their container until they are gone.
struct NotedLinks: Sendable {
    let folder: FilePath

    /// Every link that is noted.
    func all() throws(NetworkingError) -> [String] {
        do throws(SyscallError) {
            return try directoryEntries(of: try openFile(folder, [.readOnly, .directory]), subject: folder.string).map(\.name.string)
        } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return [] }
            throw NetworkingError(.kernel, "look for network devices: \(error)")
        }
    }

    func contains(_ link: String) -> Bool { (try? fileStatus(folder.appending(link))) != nil }

    func note(_ link: String) throws(NetworkingError) {
        do throws(SyscallError) {
            try makeDirectories(folder, mode: 0o700)
            _ = try openFile(folder.appending(link), [.writeOnly, .create], mode: 0o600)
        } catch { throw NetworkingError(.kernel, "note the network device \(link): \(error)") }
    }

    func forget(_ link: String) throws(NetworkingError) {
        do throws(SyscallError) { try removeFile(folder.appending(link)) } catch {
            if error.errno != Errno.noSuchFileOrDirectory.rawValue {
                throw NetworkingError(.kernel, "forget the network device \(link): \(error)")
            }
        }
    }

    /// Takes a link away that is noted; somebody else's stays.
    func remove(_ link: String) throws(NetworkingError) {
        guard contains(link) else { return }
        try HostNetwork.removeLink(link)
        try forget(link)
    }
}
