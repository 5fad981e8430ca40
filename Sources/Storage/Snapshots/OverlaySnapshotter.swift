internal import Archive
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// Layers lie side by side; overlayfs stacks them where they are used. A writable snapshot costs three directories.
final class OverlaySnapshotter: StoredSnapshotter {
    /// mount(2) takes its data as one page, the final NUL included. Longer options want fsconfig(2) and `lowerdir+`, Linux 6.7,
    /// which whoever mounts then uses, layer by layer.
    static let optionBytesLimit = 4095

    let store: SnapshotStore
    let name = SnapshotBackEnd.overlay.rawValue
    private let takesLayersOneByOne: Bool

    /// Opens or makes the store, and finishes what a crash interrupted.
    /// - Throws: `.system` where this kernel or file system cannot carry an overlay; `.inUse` by another process.
    init(openingAt root: FilePath) throws(SnapshotError) {
        if root.string.utf8.contains(where: { Array(",:\\\"".utf8).contains($0) }) {
            throw SnapshotError(
                .system, doing: "use overlayfs in", subject: root.string, cause: SyscallError("mount", "options", errno: EINVAL))
        }
        store = try SnapshotStore(openingAt: root)
        takesLayersOneByOne = try Self.probe(root.appending("building").appending("probe"))
    }

    /// Makes an overlay that no one sees, and lets it go: the only way to know that one can be made here.
    /// - Returns: whether layers can be configured one by one.
    private static func probe(_ folder: FilePath) throws(SnapshotError) -> Bool {
        try SnapshotError.wrapping("use overlayfs in", folder.string) { () throws(SyscallError) in
            let takesLayersOneByOne = try makeUnseenOverlay(folder)
            try removeTree(folder)
            return takesLayersOneByOne
        }
    }

    /// What stays of it after a refusal is removed when the store is opened.
    private static func makeUnseenOverlay(_ folder: FilePath) throws(SyscallError) -> Bool {
        try makeDirectory(folder, mode: 0o700)
        for name in ["lower", "upper", "work"] { try makeDirectory(folder.appending(name), mode: 0o700) }
        let lower = try openFile(folder.appending("lower"), [.readOnly, .directory])
        let upper = try openFile(folder.appending("upper"), [.readOnly, .directory])
        let work = try openFile(folder.appending("work"), [.readOnly, .directory])
        try makeNode("whiteout", .characterDevice, mode: 0, at: lower.number)
        try setExtendedAttribute(OverlayMarks.opaque, to: [0x79], of: lower.number, subject: folder.string)
        let context = try openFileSystem(type: "overlay")
        try configureFileSystem(context, "lowerdir", procfsName(of: lower.number).string)
        try configureFileSystem(context, "upperdir", procfsName(of: upper.number).string)
        try configureFileSystem(context, "workdir", procfsName(of: work.number).string)
        try configureFileSystem(context, "index", "off")
        if OverlayMarks.areUsers { try configureFileSystem(context, "userxattr", nil) }
        try createFileSystem(context, subject: folder.string)
        let second = try openFileSystem(type: "overlay")
        do throws(SyscallError) {
            try configureFileSystem(second, "lowerdir+", procfsName(of: lower.number).string)
            return true
        } catch { return false }
    }

    func settle(
        _ layer: inout SnapshotStore.Layer, _ chain: Digest, in building: FilePath, applied: AppliedLayer
    ) throws(SnapshotError) {
        layer.hidesAllBelow = applied.hidesAllBelow
        let below: [FilePath] = if let parent = layer.parent, !applied.hidesAllBelow { try trees(from: parent) } else { [] }
        let tree = building.appending("fs")
        layer.usage = try SnapshotError.wrapping("commit layer", chain.description) { () throws(SyscallError) in
            try dropIdleWhiteouts(applied.whiteouts, of: tree, below: below)
            try describeImpliedDirectories(applied.impliedDirectories, of: tree, below: below)
            return try treeUsage(tree)
        }
    }

    func prepare(_ key: SnapshotKey, parent: Digest?) throws(SnapshotError) -> [SnapshotMount] {
        // Refused before anything is made, where the options would not fit.
        _ = try mounts(of: key, as: .active(parent: parent))
        try store.makeActive(key, parent: parent, withWork: true) { tree throws(SnapshotError) in
            guard let parent else { return }
            // The root of the overlay looks as its topmost directory does.
            try SnapshotError.wrapping("make snapshot", key.text) { () throws(SyscallError) in
                let below = try openFile(store.tree(ofLayer: parent), [.readOnly, .directory, .noFollow])
                try copyMetadata(from: below, to: try openFile(tree, [.readOnly, .directory, .noFollow]), subject: tree)
            }
        }
        return try mounts(of: key)
    }

    func limit(_ key: SnapshotKey, toBytes bytes: UInt64) throws(SnapshotError) { try store.limitActive(key, toBytes: bytes) }

    func mounts(of key: SnapshotKey, as holder: SnapshotStore.Holder) throws(SnapshotError) -> [SnapshotMount] {
        let path = store.path(ofActive: key)
        switch holder {
        case .building: throw SnapshotError(.notFound, doing: "mount", subject: "\(key), a layer in the making")
        case .active(parent: nil):
            return [.bind(path.appending("fs"), "rw")]
        case .active(let parent?):
            let writable = ["upperdir=\(path.appending("fs"))", "workdir=\(path.appending("work"))"]
            return [try overlay(of: try shortTrees(from: parent), writable, key)]
        case .view(let parent):
            let trees = try shortTrees(from: parent)
            // An overlay wants two layers at least.
            if trees.count == 1 {
                return [.bind(store.tree(ofLayer: parent), "ro")]
            }
            return [try overlay(of: trees, ["ro"], key)]
        }
    }

    func writeLayer(of key: SnapshotKey, leavingOut paths: Set<String>, to sink: @escaping TreeWriter.Sink) throws(SnapshotError) -> Int {
        guard case .active(let parent) = try store.holder(key) else {
            throw SnapshotError(.notFound, doing: "write layer", subject: key.text)
        }
        let upper = store.path(ofActive: key).appending("fs")
        // On an empty root what was written is all that there is, and no name hides anything.
        var writer = TreeWriter(parent == nil ? .tree : .overlayLayer, leavingOut: paths, to: sink)
        do {
            let directory = try openFile(upper, [.readOnly, .directory, .noFollow])
            try writer.addContents(of: directory)
            try writer.finish()
        } catch let error as SyscallError {
            throw SnapshotError(.system, doing: "write layer", subject: key.text, cause: error)
        } catch { throw SnapshotError(.system, doing: "write layer", subject: "\(key): \(error)") }
        return writer.entryCount
    }

    private func overlay(of trees: [FilePath], _ others: [String], _ key: SnapshotKey) throws(SnapshotError) -> SnapshotMount {
        // A renamed directory must stay a whole one, and a changed file a whole one: layers are made of the upper directory.
        // The former says the latter, and takes no other word for it.
        let marks = OverlayMarks.areUsers ? ["userxattr"] : ["redirect_dir=off"]
        let options =
            ["index=off"] + marks + ["metacopy=off"] + others + ["lowerdir=\(trees.map(\.string).joined(separator: ":"))"]
        let length = options.joined(separator: ",").utf8.count
        if length > Self.optionBytesLimit && !takesLayersOneByOne {
            throw SnapshotError(
                .tooDeep, doing: "mount",
                subject: "\(key): \(trees.count) layers take \(length) bytes of options, \(Self.optionBytesLimit) are possible")
        }
        return SnapshotMount(type: "overlay", source: "overlay", options: options)
    }

    private func trees(from top: Digest) throws(SnapshotError) -> [FilePath] {
        try store.chain(from: top).map { store.tree(ofLayer: $0.chain) }
    }

    private func shortTrees(from top: Digest) throws(SnapshotError) -> [FilePath] {
        try store.chain(from: top).map { store.shortPath(ofLink: $0.layer.link) }
    }
}
