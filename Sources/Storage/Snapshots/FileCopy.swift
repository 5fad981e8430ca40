internal import Archive
internal import Glibc
package import LinuxSyscalls
package import SystemPackage

/// Gives one open file or directory the owner, mode, attributes and times of another, the overlay's own marks excepted.
package func copyMetadata(from source: borrowing OwnedFD, to target: borrowing OwnedFD, subject: FilePath) throws(SyscallError) {
    let status = try fileStatus(of: source.number, subject: subject.string)
    try changeOwner(of: target.number, userID: status.userID, groupID: status.groupID, subject: subject.string)
    try changeMode(of: target.number, to: status.mode, subject: subject.string)
    for name in try extendedAttributeNames(of: source.number, subject: subject.string) where !name.hasPrefix(OverlayMarks.prefix) {
        guard let value = try extendedAttribute(name, of: source.number, subject: subject.string) else { continue }
        do throws(SyscallError) {
            try setExtendedAttribute(name, to: value, of: target.number, subject: subject.string)
        } catch  where error.errno == EOPNOTSUPP && !name.hasPrefix("security.capability") {}
    }
    try setTimes(of: target.number, to: status.modified, subject: subject.string)
}

/// Whether a directory hides all that lies below it.
func isOpaque(_ directory: borrowing OwnedFD, subject: FilePath) throws(SyscallError) -> Bool {
    try extendedAttribute(OverlayMarks.opaque, of: directory.number, subject: subject.string) == [0x79]
}

/// Copies the contents and the metadata of one open directory onto another, empty one: owners, modes, attributes, times, hard links and
/// holes. Symbolic links are never followed.
/// - Parameter sourceIsInUse: whether others may change the source meanwhile. What is gone when its turn comes is left out.
package func copyTree(
    from source: borrowing OwnedFD, onto target: borrowing OwnedFD, sourceIsInUse: Bool = false
) throws(SyscallError) {
    var made: [FilePath] = []
    try TreeCopy.copy(from: source, onto: target, sourceIsInUse: sourceIsInUse, made: &made)
}

/// The same where others may write into the target meanwhile. What they made stays as it is, and the copy fails where it is in the way.
/// - Parameter made: entries of the target that the copy made, also where it failed.
package func copyTree(
    from source: borrowing OwnedFD, onto target: borrowing OwnedFD, made: inout [FilePath]
) throws(SyscallError) {
    try TreeCopy.copy(from: source, onto: target, made: &made)
}

/// Copies a tree, hard links and holes kept. Symbolic links are never followed.
struct TreeCopy: ~Copyable {
    /// How deep a tree may be: two descriptors are open a level.
    static let depthLimit = 480

    private struct FileID: Hashable {
        let fileSystem: DeviceNumber
        let inode: UInt64
    }

    private let targetRoot: OwnedFD
    private let sourceIsInUse: Bool
    /// Where the first name of a file with several lies, below the target's root.
    private var firstNames: [FileID: FilePath] = [:]
    /// What was made of the target's own entries.
    private var made: [FilePath] = []

    private init(targetRoot: consuming OwnedFD, sourceIsInUse: Bool) {
        self.targetRoot = targetRoot
        self.sourceIsInUse = sourceIsInUse
    }

    /// Copies the contents and the metadata of one directory onto another, empty one.
    static func copy(_ source: FilePath, to target: FilePath) throws(SyscallError) {
        let from = try openFile(source, [.readOnly, .directory, .noFollow])
        let onto = try openFile(target, [.readOnly, .directory, .noFollow])
        try copy(from: from, onto: onto)
    }

    static func copy(from source: borrowing OwnedFD, onto target: borrowing OwnedFD) throws(SyscallError) {
        var made: [FilePath] = []
        try copy(from: source, onto: target, made: &made)
    }

    static func copy(
        from source: borrowing OwnedFD, onto target: borrowing OwnedFD, sourceIsInUse: Bool = false, made: inout [FilePath]
    ) throws(SyscallError) {
        var copy = TreeCopy(targetRoot: try target.duplicate(), sourceIsInUse: sourceIsInUse)
        do throws(SyscallError) { try copy.directory(source, target, path: FilePath(), depth: 0) } catch {
            made = copy.made
            throw error
        }
        made = copy.made
    }

    private mutating func directory(
        _ source: borrowing OwnedFD, _ target: borrowing OwnedFD, path: FilePath, depth: Int
    ) throws(SyscallError) {
        if depth > Self.depthLimit { throw SyscallError("copy", path.string, errno: ELOOP) }
        for entry in try entries(of: source, subject: path.string) {
            try self.entry(entry.name, source, target, path: path.pushing(entry.name), depth: depth)
        }
        try copyMetadata(from: source, to: target, subject: path)
    }

    /// nil for what is gone, or has become something else, since it was seen in a source in use.
    private func found<Found: ~Copyable>(_ look: () throws(SyscallError) -> Found) throws(SyscallError) -> Found? {
        if sourceIsInUse { return try unlessGone(look) }
        return try look()
    }

    private func entries(of directory: borrowing OwnedFD, subject: String) throws(SyscallError) -> [DirectoryEntry] {
        do throws(SyscallError) { return try directoryEntries(of: directory, subject: subject) } catch {
            // One that was removed since it was opened has none.
            if sourceIsInUse && error.errno == ENOENT { return [] }
            throw error
        }
    }

    private mutating func entry(
        _ name: FilePath, _ source: borrowing OwnedFD, _ target: borrowing OwnedFD, path: FilePath, depth: Int
    ) throws(SyscallError) {
        let from = source.number
        guard let status = try found({ () throws(SyscallError) in try fileStatus(name, at: from) }) else { return }
        if status.linkCount > 1 && status.type != .directory {
            if let first = firstNames[FileID(fileSystem: status.fileSystem, inode: status.inode)] {
                try makeHardLink(name, to: first, at: target.number, existingAt: targetRoot.number)
                return note(name, depth)
            }
        }
        switch status.type {
        case .directory:
            let opened = try found { () throws(SyscallError) in
                try openFile(name, [.readOnly, .directory, .noFollow], at: from)
            }
            guard let opened else { return }
            try makeDirectory(name, mode: 0o700, at: target.number)
            note(name, depth)
            let onto = try openFile(name, [.readOnly, .directory, .noFollow], at: target.number)
            try directory(opened, onto, path: path, depth: depth + 1)
        case .regular: try file(name, source, target, path: path, depth: depth)
        case .symbolicLink:
            guard let text = try found({ () throws(SyscallError) in try symbolicLinkText(name, at: from) }) else { return }
            try makeSymbolicLink(name, saying: text, at: target.number)
            note(name, depth)
            remember(status, path)
            try finish(name, status, at: target)
        case .pipe, .socket, .characterDevice, .blockDevice:
            try makeNode(name, status.type ?? .pipe, mode: 0o600, device: status.device, at: target.number)
            note(name, depth)
            remember(status, path)
            let node = try openFile(name, [.path, .noFollow], at: target.number)
            try finish(name, status, at: target)
            try changeMode(procfsName(of: node.number), to: status.mode)
        case nil: throw SyscallError("copy", path.string, errno: EINVAL)
        }
    }

    private mutating func file(
        _ name: FilePath, _ source: borrowing OwnedFD, _ target: borrowing OwnedFD, path: FilePath, depth: Int
    ) throws(SyscallError) {
        let number = source.number
        let opened = try found { () throws(SyscallError) in
            try openFile(name, [.readOnly, .noFollow, .nonBlocking], at: number)
        }
        guard let opened else { return }
        // Another file may have taken the name since it was looked at.
        let status = try fileStatus(of: opened.number, subject: path.string)
        guard status.type == .regular else { return }
        let onto = try openFile(name, [.readWrite, .create, .exclusive, .noFollow], mode: 0o600, at: target.number)
        note(name, depth)
        remember(status, path)
        try copyContents(from: opened.number, to: onto.number, sizeBytes: status.sizeBytes, subject: path.string)
        try copyMetadata(from: opened, to: onto, subject: path)
    }

    /// What has its first name in the target now.
    private mutating func remember(_ status: FileStatus, _ path: FilePath) {
        if status.linkCount > 1 { firstNames[FileID(fileSystem: status.fileSystem, inode: status.inode)] = path }
    }

    private mutating func note(_ name: FilePath, _ depth: Int) { if depth == 0 { made.append(name) } }

    private func finish(_ name: FilePath, _ status: FileStatus, at target: borrowing OwnedFD) throws(SyscallError) {
        try changeOwner(name, userID: status.userID, groupID: status.groupID, at: target.number)
        try setTimes(name, accessed: status.modified, modified: status.modified, at: target.number)
    }
}

/// nil for what is gone, or has become something else, since it was seen.
private func unlessGone<Found: ~Copyable>(_ look: () throws(SyscallError) -> Found) throws(SyscallError) -> Found? {
    do throws(SyscallError) { return try look() } catch {
        if [ENOENT, ENOTDIR, ELOOP, ENXIO, EINVAL].contains(error.errno) { return nil }
        throw error
    }
}

/// What a tree takes on disk, the directory itself included. Others may change it meanwhile: what is gone when its turn comes counts for nothing,
/// and no link leads out of the tree.
package func treeUsage(_ path: FilePath) throws(SyscallError) -> SnapshotUsage {
    var usage = SnapshotUsage()
    var counted: Set<UInt64> = []
    let top = try openFile(path, [.readOnly, .directory, .noFollow])
    var waiting: [FilePath] = ["."]
    usage.bytes = try fileStatus(of: top.number, subject: path.string).allocatedBytes
    usage.inodes = 1
    while let folder = waiting.popLast() {
        guard
            let directory = try unlessGone({ () throws(SyscallError) in
                try openInRoot(folder, [.readOnly, .directory, .noFollow], root: top)
            })
        else { continue }
        let entries: [DirectoryEntry]
        do throws(SyscallError) { entries = try directoryEntries(of: directory, subject: path.pushing(folder).string) } catch {
            if error.errno == ENOENT { continue }
            throw error
        }
        for entry in entries {
            let status: FileStatus
            do throws(SyscallError) { status = try fileStatus(entry.name, at: directory.number) } catch  where error.errno == ENOENT {
                continue
            }
            if status.linkCount > 1 && status.type != .directory && !counted.insert(status.inode).inserted { continue }
            usage.bytes += status.allocatedBytes
            usage.inodes += 1
            if status.type == .directory { waiting.append(folder.pushing(entry.name)) }
        }
    }
    return usage
}
