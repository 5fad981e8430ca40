package import Archive
package import CoreTypes
internal import LinuxSyscalls
internal import Synchronization
package import SystemPackage

/// Each layer and each writable snapshot is a whole tree of its own: for file systems and kernels that carry no overlay. Where the file
/// system shares blocks between copies, a copy is cheap.
package final class CopySnapshotter: Snapshotter {
    private let store: SnapshotStore
    package var name: String { "copy" }

    /// Opens or makes the store, and finishes what a crash interrupted.
    package init(openingAt root: FilePath) throws(SnapshotError) { store = try SnapshotStore(openingAt: root) }

    package func beginLayer(_ key: SnapshotKey) throws(SnapshotError) -> FilePath { try store.beginLayer(key) }

    package func commitLayer(
        _ key: SnapshotKey, as chain: Digest, parent: Digest?, applied: AppliedLayer
    ) throws(SnapshotError) {
        guard case .building = try store.holder(key) else {
            throw SnapshotError(.notFound, doing: "commit layer", subject: key.text)
        }
        guard var layer = try store.draftLayer(key, as: chain, parent: parent) else { return try store.remove(key) }
        let path = store.path(ofBuilding: key)
        let tree = path.appending("tree")
        layer.usage = try wrapping("commit layer", chain.description) { () throws(SyscallError) in
            try makeDirectory(tree, mode: 0o755)
            if let parent, !applied.hidesAllBelow { try TreeCopy.copy(store.tree(ofLayer: parent), to: tree) }
            let implied = parent == nil || applied.hidesAllBelow ? [] : applied.impliedDirectories
            try TreeMerge.merge(path.appending("fs"), onto: tree, implied: implied)
            try removeTree(path.appending("fs"))
            try renameFile(tree, to: path.appending("fs"))
            return try treeUsage(path.appending("fs"))
        }
        try store.publish(path, as: chain, layer)
        store.release(key)
    }

    package func contains(layer chain: Digest) -> Bool { store.index.withLock { $0.layers[chain] != nil } }

    package func prepare(_ key: SnapshotKey, parent: Digest?) throws(SnapshotError) -> [SnapshotMount] {
        try store.makeActive(key, parent: parent, withWork: false) { tree throws(SnapshotError) in
            guard let parent else { return }
            try wrapping("make snapshot", key.text) { () throws(SyscallError) in
                try TreeCopy.copy(store.tree(ofLayer: parent), to: tree)
                let directory = try openFile(tree, [.readOnly, .directory, .noFollow])
                try synchronizeFileSystem(directory.number, subject: tree.string)
            }
        }
        return try mounts(of: key)
    }

    package func view(_ key: SnapshotKey, parent: Digest) throws(SnapshotError) -> [SnapshotMount] {
        try store.makeView(key, parent: parent)
        return try mounts(of: key)
    }

    package func mounts(of key: SnapshotKey) throws(SnapshotError) -> [SnapshotMount] {
        switch try store.holder(key) {
        case .building: throw SnapshotError(.notFound, doing: "mount", subject: "\(key), a layer in the making")
        case .active:
            let tree = store.path(ofActive: key).appending("fs")
            return [SnapshotMount(type: "bind", source: tree.string, options: ["rbind", "rw"])]
        case .view(let parent):
            return [SnapshotMount(type: "bind", source: store.tree(ofLayer: parent).string, options: ["rbind", "ro"])]
        }
    }

    package func commit(_ key: SnapshotKey, as chain: Digest) throws(SnapshotError) {
        guard case .active(let parent) = try store.holder(key) else {
            throw SnapshotError(.notFound, doing: "commit snapshot", subject: key.text)
        }
        guard var layer = try store.draftLayer(key, as: chain, parent: parent) else { return try store.remove(key) }
        let path = store.path(ofActive: key)
        layer.usage = try wrapping("commit snapshot", key.text) { () throws(SyscallError) in
            try treeUsage(path.appending("fs"))
        }
        try store.publish(path, as: chain, layer)
        store.release(key)
    }

    package func remove(_ key: SnapshotKey) throws(SnapshotError) { try store.remove(key) }

    package func remove(layer chain: Digest) throws(SnapshotError) { try store.removeLayer(chain) }

    package func usage(of key: SnapshotKey) throws(SnapshotError) -> SnapshotUsage {
        guard case .active = try store.holder(key) else { return SnapshotUsage() }
        return try wrapping("measure snapshot", key.text) { () throws(SyscallError) in
            try treeUsage(store.path(ofActive: key).appending("fs"))
        }
    }

    package func usage(ofLayer chain: Digest) throws(SnapshotError) -> SnapshotUsage { try store.layer(chain).usage }

    package func list() -> [SnapshotInfo] { store.list() }
}
