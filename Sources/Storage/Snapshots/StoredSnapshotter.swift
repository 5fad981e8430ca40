internal import Archive
internal import CoreTypes
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// What both back ends do alike, on the store that they share. They differ in the form that a layer is kept in, in what a writable
/// snapshot begins with, and in how the two are mounted.
protocol StoredSnapshotter: Snapshotter {
    var store: SnapshotStore { get }

    /// Brings an unpacked layer, in `building`/fs, into the form in which it is kept, and fills in what `layer` says of it.
    func settle(
        _ layer: inout SnapshotStore.Layer, _ chain: Digest, in building: FilePath, applied: AppliedLayer
    ) throws(SnapshotError)

    /// The mounts of a snapshot that is there, or is to be made.
    func mounts(of key: SnapshotKey, as holder: SnapshotStore.Holder) throws(SnapshotError) -> [SnapshotMount]
}

extension StoredSnapshotter {
    var leftovers: [SnapshotError] { store.index.withLock { $0.leftovers } }

    func beginLayer(_ key: SnapshotKey) throws(SnapshotError) -> FilePath { try store.beginLayer(key) }

    func commitLayer(_ key: SnapshotKey, as chain: Digest, parent: Digest?, applied: AppliedLayer) throws(SnapshotError) {
        guard case .building = try store.holder(key) else {
            throw SnapshotError(.notFound, doing: "commit layer", subject: key.text)
        }
        guard var layer = try store.draftLayer(key, as: chain, parent: parent) else { return try store.remove(key) }
        let building = store.path(ofBuilding: key)
        try settle(&layer, chain, in: building, applied: applied)
        try store.publish(building, as: chain, layer)
        store.release(key)
    }

    func contains(layer chain: Digest) -> Bool { store.index.withLock { $0.layers[chain] != nil } }

    func view(_ key: SnapshotKey, parent: Digest) throws(SnapshotError) -> [SnapshotMount] {
        let mounts = try mounts(of: key, as: .view(parent: parent))
        try store.makeView(key, parent: parent)
        return mounts
    }

    func mounts(of key: SnapshotKey) throws(SnapshotError) -> [SnapshotMount] { try mounts(of: key, as: try store.holder(key)) }

    func commit(_ key: SnapshotKey, as chain: Digest) throws(SnapshotError) {
        guard case .active(let parent) = try store.holder(key) else {
            throw SnapshotError(.notFound, doing: "commit snapshot", subject: key.text)
        }
        guard var layer = try store.draftLayer(key, as: chain, parent: parent) else { return try store.remove(key) }
        let path = store.path(ofActive: key)
        layer.usage = try SnapshotError.wrapping("commit snapshot", key.text) { () throws(SyscallError) in
            try removeTree(path.appending("work"))
            return try treeUsage(path.appending("fs"))
        }
        try store.publish(path, as: chain, layer)
        store.release(key)
    }

    func remove(_ key: SnapshotKey) throws(SnapshotError) { try store.remove(key) }

    func remove(layer chain: Digest) throws(SnapshotError) { try store.removeLayer(chain) }

    func usage(of key: SnapshotKey) throws(SnapshotError) -> SnapshotUsage {
        guard case .active = try store.holder(key) else { return SnapshotUsage() }
        return try SnapshotError.wrapping("measure snapshot", key.text) { () throws(SyscallError) in
            try treeUsage(store.path(ofActive: key).appending("fs"))
        }
    }

    func usage(ofLayer chain: Digest) throws(SnapshotError) -> SnapshotUsage {
        if store.defect(of: chain) != nil { return SnapshotUsage() }
        return try store.layer(chain).usage
    }

    func defect(ofLayer chain: Digest) -> SnapshotError? { store.defect(of: chain) }

    func layersAllocatedBytes() throws(SnapshotError) -> Int64 { try store.layersAllocatedBytes() }

    func list() -> [SnapshotInfo] { store.list() }
}
