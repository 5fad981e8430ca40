internal import LinuxSyscalls
internal import Snapshots
internal import SystemPackage

/// What Docker puts into every container's root before anything runs there: an empty `/.dockerenv`, by which programs know where they are, and
/// `/etc/mtab`, which leads to the mounts that they see. What the image has under these names is hidden; as it was made, neither counts as
/// written by the container.
/// - Source: moby, daemon/initlayer, `Setup`.
enum InitialFiles {
    static let mark = "/.dockerenv"
    static let mountTable = "/etc/mtab"
    private static let mountTableTarget = Array("/proc/mounts".utf8)

    /// Makes them in a root that nothing has written to. Blocks.
    static func make(in mounts: [SnapshotMount]) throws(EngineError) {
        // Without an overlay the tree is the container's own.
        guard let root = mounts.last, let written = root.upperDirectory ?? (root.type == "bind" ? FilePath(root.source) : nil) else {
            return
        }
        let tree = try LayeredTree(mounts: mounts)
        do throws(SyscallError) {
            let top = try openFile(written, [.readOnly, .directory])
            try makeMark(in: top, tree)
            try makeMountTable(in: top, tree)
        } catch { throw .system("make the first files of a container", error) }
    }

    /// Whether a file of the writable layer is one of these, and as it was made.
    /// - Parameter path: from the root; `name`: the same from `directory`.
    static func isUntouched(_ path: String, _ status: FileStatus, _ name: FilePath, in directory: Int32) throws(SyscallError) -> Bool {
        if path == mark { return status.type == .regular && status.sizeBytes == 0 }
        guard path == mountTable, status.type == .symbolicLink else { return false }
        return try symbolicLinkText(name, at: directory) == mountTableTarget
    }

    /// Where in a writable layer `/etc/mtab` is as it was made: it, or the whole of an `/etc` that is there for its sake alone. Blocks.
    /// - Parameter tree: with the writable layer first.
    static func untouched(in written: FilePath, _ tree: LayeredTree) throws(SyscallError) -> Set<String> {
        do throws(SyscallError) {
            let folder = try openFile(written.appending("etc"), [.readOnly, .directory, .noFollow])
            guard try isUntouched(mountTable, try fileStatus("mtab", at: folder.number), "mtab", in: folder.number) else { return [] }
            let its = try fileStatus(of: folder.number)
            let below = try LayeredTree(layers: Array(tree.layers.dropFirst())).uppermost(["etc"])
            var made: FileStatus?
            if let below { made = try fileStatus(below) }
            let isMade = (its.mode, its.userID, its.groupID) == (made?.mode ?? 0o755, made?.userID ?? 0, made?.groupID ?? 0)
            let count = try directoryEntries(of: folder).count
            return isMade && count == 1 ? ["etc"] : ["etc/mtab"]
        } catch {
            if [.noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels].contains(Errno(rawValue: error.errno)) { return [] }
            throw error
        }
    }

    private static func makeMark(in top: borrowing OwnedFD, _ tree: LayeredTree) throws(SyscallError) {
        let name = FilePath(".dockerenv")
        if try tree.kind(of: [name.string]) == .directory { return }
        try removeFileIfThere(name, in: top)
        let file = try openFile(name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o755, at: top.number)
        try changeMode(of: file.number, to: 0o755, subject: mark)
    }

    private static func makeMountTable(in top: borrowing OwnedFD, _ tree: LayeredTree) throws(SyscallError) {
        switch try tree.kind(of: ["etc"]) {
        case .directory: if try tree.kind(of: ["etc", "mtab"]) == .directory { return }
        case nil: break
        // A link may lead anywhere, and below a file there is nothing.
        default: return
        }
        // Most images have it, or one that leads there by another way.
        if let text = try tree.linkText(of: ["etc", "mtab"]), [mountTableTarget, Array("../proc/mounts".utf8)].contains(text) { return }
        let folder = try openFolder(in: top, tree)
        try removeFileIfThere("mtab", in: folder)
        try makeSymbolicLink("mtab", saying: mountTableTarget, at: folder.number)
    }

    /// `/etc` of the writable layer, made to look as the image's where there is one.
    private static func openFolder(in top: borrowing OwnedFD, _ tree: LayeredTree) throws(SyscallError) -> OwnedFD {
        let below = try tree.uppermost(["etc"])
        do throws(SyscallError) { try makeDirectory("etc", at: top.number) } catch {
            guard Errno(rawValue: error.errno) == .fileExists else { throw error }
            return try openFile("etc", [.readOnly, .directory, .noFollow], at: top.number)
        }
        let folder = try openFile("etc", [.readOnly, .directory, .noFollow], at: top.number)
        if let below {
            try copyMetadata(from: try openFile(below, [.readOnly, .directory, .noFollow]), to: folder, subject: below)
        } else {
            try changeMode(of: folder.number, to: 0o755, subject: "/etc")
        }
        return folder
    }

    private static func removeFileIfThere(_ name: FilePath, in directory: borrowing OwnedFD) throws(SyscallError) {
        do throws(SyscallError) { try removeFile(name, at: directory.number) } catch {
            guard Errno(rawValue: error.errno) == .noSuchFileOrDirectory else { throw error }
        }
    }
}
