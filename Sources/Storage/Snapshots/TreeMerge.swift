internal import Archive
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// Lays an unpacked layer, in overlay form, over a plain tree: what overlayfs would show becomes what is there. Files are moved,
/// so the layer's directory is used up.
struct TreeMerge {
    /// Directories that the layer does not describe: where they are there, they keep what they are.
    private let implied: Set<FilePath>

    /// - Parameters:
    ///   - layer: the unpacked layer, on the same file system as `tree`.
    ///   - implied: as `AppliedLayer.impliedDirectories` says.
    static func merge(_ layer: FilePath, onto tree: FilePath, implied: [FilePath]) throws(SyscallError) {
        let source = try openFile(layer, [.readOnly, .directory, .noFollow])
        let target = try openFile(tree, [.readOnly, .directory, .noFollow])
        try TreeMerge(implied: Set(implied)).directory(source, target, path: FilePath(), keepsTarget: true, depth: 0)
    }

    private func directory(
        _ source: borrowing OwnedFD, _ target: borrowing OwnedFD, path: FilePath, keepsTarget: Bool, depth: Int
    ) throws(SyscallError) {
        if depth > TreeCopy.depthLimit { throw SyscallError("merge", path.string, errno: ELOOP) }
        let before = try fileStatus(of: target.number, subject: path.string)
        if try isOpaque(source, subject: path) {
            for entry in try directoryEntries(of: target, subject: path.string) { try removeTree(entry.name, at: target.number) }
        }
        for entry in try directoryEntries(of: source, subject: path.string) {
            try self.entry(entry.name, source, target, path: path.pushing(entry.name), depth: depth)
        }
        if keepsTarget && implied.contains(path.isEmpty ? "." : path) {
            try setTimes(of: target.number, to: before.modified, subject: path.string)
        } else {
            try copyMetadata(from: source, to: target, subject: path)
        }
    }

    private func entry(
        _ name: FilePath, _ source: borrowing OwnedFD, _ target: borrowing OwnedFD, path: FilePath, depth: Int
    ) throws(SyscallError) {
        let status = try fileStatus(name, at: source.number)
        guard status.type == .directory else {
            try removeTree(name, at: target.number)
            if !status.isWhiteout { try renameFile(name, to: name, fromDirectory: source.number, toDirectory: target.number) }
            return
        }
        var keepsTarget = true
        do throws(SyscallError) {
            keepsTarget = try fileStatus(name, at: target.number).type == .directory
        } catch  where error.errno == ENOENT {
            keepsTarget = false
        }
        if !keepsTarget {
            try removeTree(name, at: target.number)
            try makeDirectory(name, mode: 0o700, at: target.number)
        }
        let from = try openFile(name, [.readOnly, .directory, .noFollow], at: source.number)
        let onto = try openFile(name, [.readOnly, .directory, .noFollow], at: target.number)
        try directory(from, onto, path: path, keepsTarget: keepsTarget, depth: depth + 1)
    }
}
