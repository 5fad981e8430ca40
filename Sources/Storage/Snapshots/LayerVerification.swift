internal import Archive
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// Holding kept layers against what their blobs unpack to, and putting another in their place.
extension StoredSnapshotter {
    func differences(of key: SnapshotKey, from chain: Digest, applied: AppliedLayer) throws(SnapshotError) -> [TreeDifference] {
        guard case .building = try store.holder(key) else { throw SnapshotError(.notFound, doing: "verify layer", subject: key.text) }
        var layer = try store.layer(chain)
        let building = store.path(ofBuilding: key)
        try settle(&layer, chain, in: building, applied: applied)
        return try SnapshotError.wrapping("verify layer", chain.description) { () throws(SyscallError) in
            try TreeComparison.differences(expected: building.appending("fs"), found: store.tree(ofLayer: chain))
        }
    }

    func replaceLayer(_ chain: Digest, by key: SnapshotKey) throws(SnapshotError) {
        guard case .building = try store.holder(key) else { throw SnapshotError(.notFound, doing: "replace layer", subject: key.text) }
        try store.replace(chain, by: store.path(ofBuilding: key))
        store.release(key)
    }

    func nameDefect(ofLayer chain: Digest) throws(SnapshotError) -> LayerNameDefect? { try store.nameDefect(of: chain) }

    func restoreName(ofLayer chain: Digest) throws(SnapshotError) { try store.remakeLink(of: chain) }

    func strangers() throws(SnapshotError) -> [FilePath] { try store.strangers() }

    func removeStranger(_ path: FilePath) throws(SnapshotError) {
        // Since it was found it may have become what the store knows.
        if try store.strangers().contains(path) { try store.discard(path) }
    }
}

extension SnapshotStore {
    /// Puts a settled layer in the place of the one that is there, which goes away. Between the two renames the layer is absent, which
    /// is what a crash leaves then.
    fileprivate func replace(_ chain: Digest, by building: FilePath) throws(SnapshotError) {
        let usage = try SnapshotError.wrapping("replace layer", chain.description) { () throws(SyscallError) in
            try treeUsage(building.appending("fs"))
        }
        var layer = try layer(chain)
        layer.usage = usage
        let settled = layer
        try SnapshotError.wrapping("replace layer", chain.description) { () throws(SyscallError) in
            let directory = try openFile(building, [.readOnly, .directory])
            let file = try openFile("info", [.writeOnly, .create, .truncate, .noFollow], at: directory.number)
            try writeAll(info(of: settled), to: file.number, subject: "info")
            try synchronizeFileSystem(directory.number, subject: building.string)
        }
        try discard(path(ofLayer: chain))
        try SnapshotError.wrapping("replace layer", chain.description) { () throws(SyscallError) in
            try renameFile(building, to: path(ofLayer: chain))
            try synchronizeDirectory(root.appending("layers"))
        }
        index.withLock { index in if index.layers[chain] != nil { index.layers[chain] = settled } }
    }

    /// What lies in the store's folders and is on no list.
    fileprivate func strangers() throws(SnapshotError) -> [FilePath] {
        var found: [FilePath] = []
        let places = [
            (root.removingLastComponent(), SnapshotBackEnd.allCases.map(\.rawValue)), (root, Self.folders + ["version", "lock"]),
        ]
        for (path, known) in places {
            // `lost+found` is the file system's own, where this is the top of one; with a dot begins what is being written.
            let names = try entries(of: path).filter { !$0.string.hasPrefix(".") && $0.string != "lost+found" }
            found += names.filter { !known.contains($0.string) }.map { path.pushing($0) }
        }
        for folder in ["layers", "l", "active", "views", "building"] {
            let path = root.appending(folder)
            let names = try entries(of: path)
            // Asked after the folder was read: what was made meanwhile is known by now.
            let known = index.withLock { index in
                switch folder {
                case "layers": Set((Array(index.layers.keys) + index.unreadable.keys + index.publishing.keys).map(Self.name(of:)))
                case "l": Set((0..<index.nextLink).map { String($0, radix: 36) })
                default: Set(index.holders.keys.map(\.text))
                }
            }
            let unknown = names.filter { !known.contains($0.string) }
            // What was finished meanwhile is on no list any more, and gone from here.
            let left = unknown.isEmpty ? [] : Set(try entries(of: path))
            found += unknown.filter(left.contains).map { path.pushing($0) }
        }
        return found
    }

    private func entries(of path: FilePath) throws(SnapshotError) -> [FilePath] {
        try SnapshotError.wrapping("look through", path.string) { () throws(SyscallError) in
            let directory = try openFile(path, [.readOnly, .directory])
            return try directoryEntries(of: directory, subject: path.string).map(\.name)
        }
    }

    fileprivate func nameDefect(of chain: Digest) throws(SnapshotError) -> LayerNameDefect? {
        guard let layer = index.withLock({ $0.layers[chain] }) else { return nil }
        let path = shortPath(ofLink: layer.link)
        let isThere: Bool
        do throws(SyscallError) {
            if try symbolicLinkText(path) == Array(Self.linkText(to: chain).utf8) { return nil }
            isThere = true
        } catch {
            // EINVAL: it is no link.
            guard error.errno == ENOENT || error.errno == EINVAL else {
                throw SnapshotError(.system, doing: "look at", subject: path.string, cause: error)
            }
            isThere = error.errno == EINVAL
        }
        // A layer that is removed meanwhile loses its name last.
        return index.withLock { $0.layers[chain]?.link } == layer.link ? LayerNameDefect(path: path, isThere: isThere) : nil
    }

    fileprivate func remakeLink(of chain: Digest) throws(SnapshotError) {
        guard let defect = try nameDefect(of: chain), let name = defect.path.lastComponent else { return }
        try discard(defect.path)
        try makeLink(name.string, to: chain)
    }
}
