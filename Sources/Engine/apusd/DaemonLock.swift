internal import LinuxSyscalls
internal import SystemPackage

/// Why the daemon cannot start.
struct StartError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Makes a directory where it is missing, and takes the right to be its only daemon, until the process ends: the kernel
/// gives it back then, however that comes.
/// - Throws: `StartError` when another daemon has it.
func lockForLife(_ directory: FilePath, mode: UInt32) throws {
    try makeDirectories(directory, mode: mode)
    let path = directory.appending("apusd.lock")
    let file = try openFile(path, [.readWrite, .create, .noFollow], mode: 0o600)
    guard try tryLockFile(file, subject: path.string) else {
        throw StartError("another apusd uses \(directory): it holds \(path)")
    }
    _ = file.release()
}

/// Lets others pass through a directory of this user's to what lies in it: the socket for its group, bundles for containers of other users. A
/// runtime or an administrator may have made it with a mode that does not. One of another owner stays as it is.
func admitPassers(to directory: FilePath) throws(SyscallError) {
    let folder = try openFile(directory, [.readOnly, .directory])
    let status = try fileStatus(of: folder.number, subject: directory.string)
    let (mode, passing) = (status.mode & 0o7777, status.mode & 0o7777 | 0o011)
    if status.userID == effectiveUserID(), mode != passing { try changeMode(of: folder.number, to: passing, subject: directory.string) }
}

/// A file that holds the process id while the daemon runs.
struct PidFile {
    private let path: FilePath

    /// Writes it. The lock on the directories, not this file, keeps a second daemon out.
    /// - Throws: `StartError` where something else than a file is there, which the file would take the place of.
    init(_ path: FilePath) throws {
        self.path = path
        if let type = (try? fileStatus(path, followingLinks: true))?.type, type != .regular {
            throw StartError("--pidfile \(path): it is no file, and a file would take its place: name another path")
        }
        try writeFileDurably(Array("\(processID())\n".utf8), to: path, mode: 0o644)
    }

    /// Takes it away.
    func remove() throws(SyscallError) { try removeFile(path) }
}
