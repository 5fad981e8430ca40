internal import Archive
internal import CoreTypes
internal import LinuxSyscalls
internal import SystemPackage

/// Each layer and each writable snapshot is a whole tree of its own: for file systems and kernels that carry no overlay. Where the file
/// system shares blocks between copies, a copy is cheap.
final class CopySnapshotter: StoredSnapshotter {
    let store: SnapshotStore
    let name = SnapshotBackEnd.copy.rawValue

    /// Opens or makes the store, and finishes what a crash interrupted.
    init(openingAt root: FilePath) throws(SnapshotError) { store = try SnapshotStore(openingAt: root) }

    /// The layer's own tree is laid over a copy of what lies below.
    func settle(
        _ layer: inout SnapshotStore.Layer, _ chain: Digest, in building: FilePath, applied: AppliedLayer
    ) throws(SnapshotError) {
        let (unpacked, tree) = (building.appending("fs"), building.appending("tree"))
        let parent = applied.hidesAllBelow ? nil : layer.parent
        layer.usage = try SnapshotError.wrapping("commit layer", chain.description) { () throws(SyscallError) in
            try makeDirectory(tree, mode: 0o755)
            if let parent { try TreeCopy.copy(store.tree(ofLayer: parent), to: tree) }
            try TreeMerge.merge(unpacked, onto: tree, implied: parent == nil ? [] : applied.impliedDirectories)
            try removeTree(unpacked)
            try renameFile(tree, to: unpacked)
            return try treeUsage(unpacked)
        }
    }

    func prepare(_ key: SnapshotKey, parent: Digest?) throws(SnapshotError) -> [SnapshotMount] {
        try store.makeActive(key, parent: parent, withWork: false) { tree throws(SnapshotError) in
            guard let parent else { return }
            try SnapshotError.wrapping("make snapshot", key.text) { () throws(SyscallError) in
                try TreeCopy.copy(store.tree(ofLayer: parent), to: tree)
                let directory = try openFile(tree, [.readOnly, .directory, .noFollow])
                try synchronizeFileSystem(directory.number, subject: tree.string)
            }
        }
        return try mounts(of: key)
    }

    /// What is there already would have to be counted, too.
    func limit(_ key: SnapshotKey, toBytes bytes: UInt64) throws(SnapshotError) {
        throw SnapshotError(.unsupported, doing: "limit the size of \(key)", subject: "images are copied here, for want of overlayfs")
    }

    /// A copy does not tell what was in it from the beginning.
    func writeLayer(of key: SnapshotKey, leavingOut paths: Set<String>, to sink: @escaping TreeWriter.Sink) throws(SnapshotError) -> Int {
        throw SnapshotError(.unsupported, doing: "write layer", subject: "\(key) without overlayfs")
    }

    func mounts(of key: SnapshotKey, as holder: SnapshotStore.Holder) throws(SnapshotError) -> [SnapshotMount] {
        switch holder {
        case .building: throw SnapshotError(.notFound, doing: "mount", subject: "\(key), a layer in the making")
        case .active: [.bind(store.path(ofActive: key).appending("fs"), "rw")]
        case .view(let parent): [.bind(store.tree(ofLayer: parent), "ro")]
        }
    }
}
