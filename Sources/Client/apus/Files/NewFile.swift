internal import Glibc

/// A file that takes its name once it is whole, or that there was none of before. - Source: open(2), rename(2).
final class NewFile: Sendable {
    private let path: String
    private let temporary: String
    private let descriptor: Int32

    /// - Throws: `Complaint` where no file can be made beside the old one, or where a device, pipe or socket has the name, which
    ///   would go, or a directory, which nothing replaces.
    convenience init(replacing path: String) throws(Complaint) {
        if let kind = Self.special(at: path) { throw Complaint("cannot write to a \(kind): \(path)") }
        try self.init(path, writtenAs: "\(path).\(getpid()).tmp")
    }

    /// - Throws: `Complaint` in docker's words where there is something of the name.
    convenience init(making path: String) throws(Complaint) { try self.init(path, writtenAs: path) }

    private init(_ path: String, writtenAs temporary: String) throws(Complaint) {
        self.path = path
        self.temporary = temporary
        descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw Self.complaint("open", path) }
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) throws(Complaint) {
        var offset = 0
        while offset < bytes.count {
            let written = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + offset }, buffer.count - offset)
            }
            if written >= 0 { offset += written } else if errno != EINTR { throw Self.complaint("write", path) }
        }
    }

    /// Why there is no folder to make `path` in, in docker's words; nil where there is one.
    static func missingFolder(of path: String) -> String? {
        guard let end = path.lastIndex(of: "/"), end != path.startIndex else { return nil }
        let folder = String(path[..<end])
        var status = Glibc.stat()
        if unsafe stat(folder, &status) != 0 { return "invalid output path: stat \(folder): \(errnoWords(errno))" }
        return status.st_mode & S_IFMT == S_IFDIR ? nil : "invalid output path: stat \(folder): \(errnoWords(ENOTDIR))"
    }

    /// What a path leads to, in docker's words; nil where it is a file, or nothing is there.
    static func special(at path: String) -> String? {
        var status = Glibc.stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return switch status.st_mode & S_IFMT {
        case S_IFDIR: "directory"
        case S_IFCHR: "character device file"
        case S_IFBLK: "block device file"
        case S_IFIFO: "named pipe file"
        case S_IFSOCK: "socket file"
        default: nil
        }
    }

    func finish() throws(Complaint) {
        if temporary != path, unsafe rename(temporary, path) != 0 { throw Self.complaint("rename", path) }
    }

    /// Leaves nothing behind.
    func discard() { _ = unsafe unlink(temporary) }

    private static func complaint(_ call: String, _ path: String) -> Complaint {
        Complaint("\(call) \(path): \(errnoWords(errno))")
    }
}
