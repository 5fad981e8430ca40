internal import LinuxSyscalls
internal import SystemPackage

/// The file of `--cidfile`. Whether it can be made is tried before its container is, so that none is made whose id cannot be told; it is made once
/// more with the id, so that hardly anything which ends this program leaves an empty one in the way of the next run. - Source: open(2), O_EXCL.
struct IdentifierFile: Sendable {
    private let path: String

    /// - Throws: `Complaint` in docker's words where the file is there already, or cannot be made.
    init(_ path: String) throws(Complaint) {
        self.path = path
        _ = try made()
        try? removeFile(FilePath(path))
    }

    private func made() throws(Complaint) -> OwnedFD {
        do throws(SyscallError) { return try openFile(FilePath(path), [.writeOnly, .create, .exclusive], mode: 0o666) } catch {
            guard error.errno != Errno.fileExists.rawValue else {
                throw Complaint("container ID file found, make sure the other container isn't running or delete \(path)")
            }
            throw Complaint("failed to create the container ID file: open \(path): \(errnoWords(error.errno))")
        }
    }

    /// Makes it.
    func write(_ id: String) throws(Complaint) {
        let file = try made()
        do throws(SyscallError) { try writeAll(Array(id.utf8), to: file.number, subject: path) } catch {
            throw Complaint("failed to write the container ID to the file: write \(path): \(errnoWords(error.errno))")
        }
    }
}
