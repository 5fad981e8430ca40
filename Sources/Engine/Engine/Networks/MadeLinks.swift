internal import LinuxSyscalls
internal import Networking
internal import SystemPackage

/// Which bridges this daemon, or one before it, made: a file each, there before the bridge is and until it is gone. Both live as long as
/// the host runs. A bridge without a network is what a crash left; one without a file is somebody else's. Every function blocks.
struct MadeLinks: Sendable {
    let folder: FilePath

    /// Every bridge that was made and not taken away.
    func all() throws(NetworkingError) -> [String] {
        do throws(SyscallError) {
            return try directoryEntries(of: try openFile(folder, [.readOnly, .directory]), subject: folder.string).map(\.name.string)
        } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return [] }
            throw NetworkingError(.kernel, "look for bridges: \(error)")
        }
    }

    func contains(_ link: String) -> Bool { (try? fileStatus(folder.appending(link))) != nil }

    func note(_ link: String) throws(NetworkingError) {
        do throws(SyscallError) {
            try makeDirectories(folder, mode: 0o700)
            _ = try openFile(folder.appending(link), [.writeOnly, .create], mode: 0o600)
        } catch { throw NetworkingError(.kernel, "note the bridge \(link): \(error)") }
    }

    func forget(_ link: String) throws(NetworkingError) {
        do throws(SyscallError) { try removeFile(folder.appending(link)) } catch {
            if error.errno != Errno.noSuchFileOrDirectory.rawValue { throw NetworkingError(.kernel, "forget the bridge \(link): \(error)") }
        }
    }

    /// Takes a bridge away that is ours; somebody else's stays.
    func remove(_ link: String) throws(NetworkingError) {
        guard contains(link) else { return }
        try HostNetwork.removeLink(link)
        try forget(link)
    }
}
