internal import CLinux
internal import Glibc
package import SystemPackage

/// A name in a directory.
package struct DirectoryEntry: Equatable, Sendable {
    /// One component, its bytes as the file system keeps them.
    package let name: FilePath
    /// nil where the file system does not say: ask `fileStatus`.
    package let type: FileType?
}

/// The most names that one listing returns: enough for a mail spool, too few to exhaust the memory.
package let directoryEntryLimit = 4_000_000

/// The names in a directory opened for reading, without `.` and `..`, in the file system's order.
/// - Source: getdents64(2). The record is inode u64, offset u64, length u16, type u8, name with a final NUL.
/// - Throws: EFBIG for more than `directoryEntryLimit` names.
package func directoryEntries(of directory: borrowing OwnedFD, subject: String = "") throws(SyscallError) -> [DirectoryEntry] {
    var entries: [DirectoryEntry] = []
    var buffer = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { _, count in count = 65_536 }
    let descriptor = directory.number
    while true {
        let length = Int(
            try checked("getdents64", subject) {
                unsafe buffer.withUnsafeMutableBytes { unsafe clinux_getdents64(descriptor, $0.baseAddress, UInt32($0.count)) }
            })
        if length == 0 { return entries }
        var offset = 0
        while offset + 19 <= length {
            let recordLength = Int(buffer[offset + 16]) | Int(buffer[offset + 17]) << 8
            if recordLength < 20 || offset + recordLength > length { throw SyscallError("getdents64", subject, errno: EIO) }
            let type = FileType(rawValue: UInt32(buffer[offset + 18]) << 12)
            let bytes = buffer[(offset + 19)..<(offset + recordLength)].prefix { $0 != 0 }
            offset += recordLength
            if bytes.elementsEqual([0x2e]) || bytes.elementsEqual([0x2e, 0x2e]) { continue }
            entries.append(DirectoryEntry(name: filePath(bytes: Array(bytes)), type: type))
            if entries.count > directoryEntryLimit { throw SyscallError("getdents64", subject, errno: EFBIG) }
        }
    }
}

/// A path of exactly these bytes, up to the first NUL if there is one.
package func filePath(bytes: [UInt8]) -> FilePath {
    var characters: [CChar] = []
    characters.reserveCapacity(bytes.count + 1)
    for byte in bytes {
        if byte == 0 { break }
        characters.append(CChar(bitPattern: byte))
    }
    characters.append(0)
    return unsafe characters.withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return FilePath() }
        return unsafe FilePath(platformString: start)
    }
}

/// The bytes of a path, without a final NUL.
package func pathBytes(_ path: FilePath) -> [UInt8] {
    unsafe path.withPlatformString { start in
        unsafe UnsafeBufferPointer(start: start, count: path.length).map { UInt8(bitPattern: $0) }
    }
}

/// Makes a symbolic link that says exactly these bytes, doubled and final slashes included. - Source: symlinkat(2).
/// - Throws: EINVAL for a NUL among them.
package func makeSymbolicLink(_ path: FilePath, saying target: [UInt8], at directory: Int32 = currentDirectory) throws(SyscallError) {
    if target.contains(0) { throw SyscallError("symlink", path.string, errno: EINVAL) }
    let text = target.map { CChar(bitPattern: $0) } + [0]
    try retryingInterrupted("symlink", path.string) {
        unsafe path.withPlatformString { unsafe symlinkat(text, directory, $0) }
    }
}

/// What a symbolic link says, byte for byte. - Source: readlinkat(2).
/// - Throws: ENAMETOOLONG for a text of 4096 bytes or more.
package func symbolicLinkText(_ path: FilePath, at directory: Int32 = currentDirectory) throws(SyscallError) -> [UInt8] {
    let (text, length) = try symbolicLinkCharacters(path, at: directory)
    return text[..<length].map { UInt8(bitPattern: $0) }
}

/// How deep `removeTree` keeps one descriptor a level; what lies deeper is moved up first.
private let openLevelLimit = 64

/// Removes a file or a directory with all that is in it, never following a symbolic link nor entering what is mounted in it, not even of
/// the same file system (EBUSY or EXDEV there). What is gone already is no error, however deep the tree. What cannot be removed keeps nothing
/// else from being so.
/// - Parameter sparesMounts: whether files are looked at that a mount of another namespace may show, which would go with them (EBUSY).
/// - Throws: what hindered first, and of how many more entries something did.
package func removeTree(
    _ path: FilePath, at directory: Int32 = currentDirectory, sparesMounts: Bool = false
) throws(SyscallError) {
    let refusal: SyscallError
    do throws(SyscallError) {
        try removeFile(path, at: directory)
        return
    } catch {
        switch error.errno {
        case ENOENT: return
        case EISDIR, EPERM: refusal = error  // a directory: EISDIR on Linux, EPERM in POSIX's words
        default: throw error
        }
    }
    let top: OwnedFD
    do throws(SyscallError) {
        top = try openFile(path, [.readOnly, .directory, .noFollow], at: directory)
    } catch {
        if error.errno == ENOENT { return }
        throw error.errno == ENOTDIR ? refusal : error
    }
    var removal = TreeRemoval(mount: try mountPlace(of: top.number, subject: path.string).mount, sparesMounts: sparesMounts)
    repeat {
        removal.beginRound()
        removal.empty(top, top: top, depth: 0, subject: path)
    } while removal.movedUp
    if let failure = removal.failure { throw failure }
    do throws(SyscallError) { try removeDirectory(path, at: directory) } catch  where error.errno == ENOENT {}
}

/// - Throws: EBUSY for what a mount shows, in whatever namespace.
package func checkNotMounted(_ path: FilePath, at directory: Int32 = currentDirectory) throws(SyscallError) {
    let file = try openFile(path, [.path, .noFollow], at: directory)
    guard try !mountPlace(of: file.number, subject: path.string).isRoot else { throw SyscallError("unlink", path.string, errno: EBUSY) }
}

/// The state of one `removeTree`.
private struct TreeRemoval {
    /// The one that the tree lies on.
    let mount: UInt64
    let sparesMounts: Bool
    /// Whether something deep now lies at the top, so that another round is needed.
    var movedUp = false
    private var movedCount = 0
    /// What hindered first, in this round, and how many entries something did.
    private var (first, hinderedCount): (SyscallError?, Int) = (nil, 0)

    init(mount: UInt64, sparesMounts: Bool) {
        self.mount = mount
        self.sparesMounts = sparesMounts
    }

    mutating func beginRound() {
        (movedUp, first, hinderedCount) = (false, nil, 0)
    }

    /// The first failure, with the number of the others.
    var failure: SyscallError? {
        guard let first, hinderedCount > 1 else { return first }
        let others = hinderedCount == 2 ? "1 more is" : "\(hinderedCount - 1) more are"
        return SyscallError(first.call, "\(first.subject) (and \(others) left)", errno: first.errno)
    }

    /// Removes what can be removed. - Returns: whether that is all that there was.
    @discardableResult
    mutating func empty(_ directory: borrowing OwnedFD, top: borrowing OwnedFD, depth: Int, subject: FilePath) -> Bool {
        let entries: [DirectoryEntry]
        do throws(SyscallError) {
            try seek(directory.number, to: 0, subject: subject.string)
            entries = try directoryEntries(of: directory, subject: subject.string)
        } catch {
            note(error)
            return false
        }
        var isEmpty = true
        for entry in entries {
            let path = subject.pushing(entry.name)
            do throws(SyscallError) {
                if try !remove(entry, of: directory, top: top, depth: depth, path: path) { isEmpty = false }
            } catch {
                if error.errno == ENOENT { continue }
                note(SyscallError(error.call, path.string, errno: error.errno))
                isEmpty = false
            }
        }
        return isEmpty
    }

    private mutating func note(_ error: SyscallError) {
        if first == nil { first = error }
        hinderedCount += 1
    }

    /// Under a name of ours: another one where the tree has that too, of a removal that was cut off or because somebody knew it.
    private mutating func moveUp(_ name: FilePath, from directory: borrowing OwnedFD, to top: borrowing OwnedFD) throws(SyscallError) {
        while true {
            movedCount += 1
            do throws(SyscallError) {
                return try renameFileReplacingNothing(
                    name, to: FilePath(".apus-deep-\(getpid())-\(movedCount)"), fromDirectory: directory.number, toDirectory: top.number)
            } catch { guard error.errno == EEXIST else { throw error } }
        }
    }

    /// - Returns: false for a directory in which something stays that is counted already.
    private mutating func remove(
        _ entry: DirectoryEntry, of directory: borrowing OwnedFD, top: borrowing OwnedFD, depth: Int, path: FilePath
    ) throws(SyscallError) -> Bool {
        if entry.type != .directory {
            do throws(SyscallError) {
                if sparesMounts { try checkNotMounted(entry.name, at: directory.number) }
                try removeFile(entry.name, at: directory.number)
                return true
            } catch  where error.errno == EISDIR {}
        }
        let child = try openFile(entry.name, [.readOnly, .directory, .noFollow], at: directory.number)
        if try mountPlace(of: child.number, subject: path.string).mount != mount {
            throw SyscallError("remove", path.string, errno: EXDEV)
        }
        if depth >= openLevelLimit {
            try moveUp(entry.name, from: directory, to: top)
            movedUp = true
            return true
        }
        guard empty(child, top: top, depth: depth + 1, subject: path) else { return false }
        try removeDirectory(entry.name, at: directory.number)
        return true
    }
}
