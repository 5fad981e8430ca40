internal import Archive
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// A folder that takes its name once it is whole.
struct NewFolder: Sendable {
    private let path: FilePath
    private let temporary: FilePath

    /// - Throws: `Complaint` where something other than an empty folder has the name, or none can be made beside it.
    init(_ text: String) throws(Complaint) {
        path = CopyPath.here(text).clean
        guard let name = path.lastComponent else { throw Complaint("\(text) is no name of a folder") }
        temporary = path.removingLastComponent().appending("\(name).\(processID()).tmp")
        try Self.complaining("make \(text)") { () throws(SyscallError) in
            if try !isFree() { throw SyscallError("mkdir", text, errno: ENOTEMPTY) }
            try makeDirectory(temporary)
        }
    }

    private func isFree() throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            return try directoryEntries(of: try openFile(path, [.readOnly, .directory, .noFollow]), subject: path.string).isEmpty
        } catch {
            if error.errno == ENOENT { return true }
            if error.errno == ENOTDIR || error.errno == ELOOP { return false }
            throw error
        }
    }

    /// Unpacks an archive in it, as the caller's. Blocks.
    func unpack(_ source: TaskSource) throws {
        let owner = TreeApplier.Owner(user: effectiveUserID(), group: effectiveGroupID())
        try TreeApplier(replacesKinds: false, owner: owner, limits: .volume).apply(
            source, onto: try openFile(temporary, [.readOnly, .directory]), at: "/")
    }

    func finish() throws(Complaint) {
        try Self.complaining("make \(path)") { () throws(SyscallError) in try renameFile(temporary, to: path) }
    }

    /// Leaves nothing behind.
    func discard() throws(Complaint) {
        try Self.complaining("remove \(temporary)") { () throws(SyscallError) in try removeTree(temporary) }
    }

    private static func complaining(_ doing: String, _ body: () throws(SyscallError) -> Void) throws(Complaint) {
        do throws(SyscallError) { try body() } catch { throw Complaint("\(doing): \(error)") }
    }
}
