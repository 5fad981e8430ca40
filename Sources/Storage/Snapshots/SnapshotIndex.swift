internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// What is there, what is built on what, and how the two change together. A change is reserved in the index first and taken
/// back when the disk refuses, so that a layer cannot vanish below a snapshot in the making.
extension SnapshotStore {
    /// The layers of a chain from the top down, ending with the first that hides all below itself.
    func chain(from top: Digest) throws(SnapshotError) -> [(chain: Digest, layer: Layer)] {
        try index.withLock { index throws(SnapshotError) in
            var found: [(Digest, Layer)] = []
            var next: Digest? = top
            while let current = next {
                guard let layer = index.layers[current] else { throw missing(current) }
                found.append((current, layer))
                if found.count > layerDepthLimit { throw SnapshotError(.tooDeep, doing: "look up layers", subject: top.description) }
                next = layer.hidesAllBelow ? nil : layer.parent
            }
            return found
        }
    }

    func layer(_ chain: Digest) throws(SnapshotError) -> Layer {
        guard let layer = index.withLock({ $0.layers[chain] }) else { throw missing(chain) }
        return layer
    }

    func holder(_ key: SnapshotKey) throws(SnapshotError) -> Holder {
        guard let holder = index.withLock({ $0.holders[key] }) else {
            throw SnapshotError(.notFound, doing: "look up snapshot", subject: key.text)
        }
        return holder
    }

    func missing(_ chain: Digest) -> SnapshotError {
        SnapshotError(.notFound, doing: "look up layer", subject: chain.description)
    }

    /// Takes a key, and holds its parent.
    func reserve(_ key: SnapshotKey, as holder: Holder) throws(SnapshotError) {
        try index.withLock { index throws(SnapshotError) in
            if index.holders[key] != nil { throw SnapshotError(.alreadyExists, doing: "make snapshot", subject: key.text) }
            if let parent = holder.parent, index.layers[parent] == nil { throw missing(parent) }
            index.holders[key] = holder
        }
    }

    func release(_ key: SnapshotKey) { index.withLock { _ = $0.holders.removeValue(forKey: key) } }

    /// Reserves a key for as long as `body` makes what it names; takes both back when it fails.
    func making<Result>(
        _ key: SnapshotKey, as holder: Holder, at path: FilePath, _ body: () throws(SnapshotError) -> Result
    ) throws(SnapshotError) -> Result {
        try reserve(key, as: holder)
        do throws(SnapshotError) { return try body() } catch {
            // What stays is removed when the store is opened.
            defer { release(key) }
            do throws(SnapshotError) { try discard(path) } catch let second { throw error.withRemains(second) }
            throw error
        }
    }

    // MARK: Layers

    func beginLayer(_ key: SnapshotKey) throws(SnapshotError) -> FilePath {
        let path = path(ofBuilding: key)
        return try making(key, as: .building, at: path) { () throws(SnapshotError) in
            try SnapshotError.wrapping("begin layer", key.text) { () throws(SyscallError) in
                try makeDirectory(path, mode: 0o700)
                try makeDirectory(path.appending("fs"), mode: 0o755)
                return path.appending("fs")
            }
        }
    }

    /// Begins to publish: checks what the index knows, and hands out a short name.
    /// - Returns: nil where the chain is there already.
    func draftLayer(_ key: SnapshotKey, as chain: Digest, parent: Digest?) throws(SnapshotError) -> Layer? {
        try index.withLock { index throws(SnapshotError) in
            if index.layers[chain] != nil { return nil }
            var depth = 1
            var next = parent
            while let current = next {
                guard let layer = index.layers[current] else { throw missing(current) }
                depth += 1
                next = layer.parent
            }
            if depth > layerDepthLimit {
                throw SnapshotError(.tooDeep, doing: "commit layer", subject: "\(chain): more than \(layerDepthLimit)")
            }
            index.nextLink += 1
            return Layer(parent: parent, link: index.nextLink - 1)
        }
    }

    /// Makes `source`, a directory that holds `fs`, durable and visible as `chain`: info, syncfs, rename, fsync of the directory.
    func publish(_ source: FilePath, as chain: Digest, _ layer: Layer) throws(SnapshotError) {
        index.withLock { $0.publishing[chain, default: 0] += 1 }
        defer {
            index.withLock { index in
                let count = (index.publishing[chain] ?? 1) - 1
                index.publishing[chain] = count > 0 ? count : nil
            }
        }
        try removeUnreadable(chain)
        try makeLink(String(layer.link, radix: 36), to: chain)
        try SnapshotError.wrapping("commit layer", chain.description) { () throws(SyscallError) in
            let directory = try openFile(source, [.readOnly, .directory])
            let file = try openFile("info", [.writeOnly, .create, .truncate, .noFollow], at: directory.number)
            try writeAll(info(of: layer), to: file.number, subject: "info")
            try synchronizeFileSystem(directory.number, subject: source.string)
            let target = path(ofLayer: chain)
            do throws(SyscallError) {
                try renameFile(source, to: target)
            } catch  where error.errno == ENOTEMPTY || error.errno == EEXIST {
                // Another pull of the same chain was faster; its layer is as good.
                try removeFile(shortPath(ofLink: layer.link))
                return try removeTree(source)
            }
            try synchronizeDirectory(root.appending("layers"))
        }
        index.withLock { index in
            if index.layers[chain] == nil { index.layers[chain] = layer }
        }
    }

    /// Makes room for a layer where one of the same chain lies that cannot be read.
    /// - Throws: `.inUse` where roots are built on it, which may be mounted.
    func removeUnreadable(_ chain: Digest) throws(SnapshotError) {
        let isThere = try index.withLock { index throws(SnapshotError) in
            guard let problem = index.unreadable[chain] else { return false }
            if index.isBelowRoots(chain) {
                throw SnapshotError(.inUse, doing: "replace layer", subject: "\(chain), on which containers are built: \(problem)")
            }
            index.unreadable[chain] = nil
            return true
        }
        if isThere { try discard(path(ofLayer: chain)) }
    }

    /// Why a layer cannot be read whose folder is there; nil for every other.
    func defect(of chain: Digest) -> SnapshotError? { index.withLock { $0.unreadable[chain] } }

    func removeLayer(_ chain: Digest) throws(SnapshotError) {
        let removed = try index.withLock { index throws(SnapshotError) -> Layer? in
            let isHeld = index.holders.values.contains { $0.parent == chain } || index.layers.values.contains { $0.parent == chain }
            if isHeld { throw SnapshotError(.inUse, doing: "remove layer", subject: chain.description) }
            return index.layers.removeValue(forKey: chain)
        }
        guard let removed else { return try removeUnreadable(chain) }
        try discard(path(ofLayer: chain))
        try SnapshotError.wrapping("remove layer", chain.description) { () throws(SyscallError) in
            do throws(SyscallError) { try removeFile(shortPath(ofLink: removed.link)) } catch  where error.errno == ENOENT {}
        }
    }

    /// What all layers take: their trees as measured when they were committed, and the folder and `info` of each.
    func layersAllocatedBytes() throws(SnapshotError) -> Int64 {
        let layers = index.withLock { $0.layers.map { (chain: $0.key, bytes: $0.value.usage.bytes) } }
        return try SnapshotError.wrapping("measure layers", root.string) { () throws(SyscallError) in
            var total = try fileStatus(root.appending("layers")).allocatedBytes
            for layer in layers {
                let path = path(ofLayer: layer.chain)
                do throws(SyscallError) {
                    let around = try fileStatus(path).allocatedBytes + (try fileStatus(path.appending("info")).allocatedBytes)
                    total = total.addingClamped(layer.bytes).addingClamped(around)
                } catch  where error.errno == ENOENT {
                    // One that was removed meanwhile takes nothing.
                }
            }
            return total
        }
    }

    // MARK: Snapshots on layers

    /// Makes the directory of a writable snapshot. `fill` gets the path of its empty `fs`; the link to the parent comes last and marks
    /// the snapshot as whole.
    func makeActive(
        _ key: SnapshotKey, parent: Digest?, withWork: Bool, fill: (FilePath) throws(SnapshotError) -> Void
    ) throws(SnapshotError) {
        let path = path(ofActive: key)
        try making(key, as: .active(parent: parent), at: path) { () throws(SnapshotError) in
            try SnapshotError.wrapping("make snapshot", key.text) { () throws(SyscallError) in
                try makeDirectory(path, mode: 0o700)
                try makeDirectory(path.appending("fs"), mode: 0o755)
                if withWork { try makeDirectory(path.appending("work"), mode: 0o700) }
            }
            try fill(path.appending("fs"))
            try SnapshotError.wrapping("make snapshot", key.text) { () throws(SyscallError) in
                let target = parent.map { "../../layers/\(Self.name(of: $0))" } ?? Self.noParent
                try makeSymbolicLink(path.appending("parent"), to: FilePath(target))
                try synchronizeDirectory(path)
                try synchronizeDirectory(root.appending("active"))
            }
        }
    }

    /// Holds a writable snapshot, nothing of which is in use yet, to so many bytes.
    func limitActive(_ key: SnapshotKey, toBytes bytes: UInt64) throws(SnapshotError) {
        guard case .active = try holder(key) else { throw SnapshotError(.notFound, doing: "limit snapshot", subject: key.text) }
        let path = path(ofActive: key)
        let obstacle = try SnapshotError.wrapping("limit snapshot", key.text) { () throws(SyscallError) in
            try DirectoryLimit.obstacle(at: root)
        }
        if let obstacle { throw SnapshotError(.unsupported, doing: "limit the size of \(key)", subject: obstacle) }
        try SnapshotError.wrapping("limit snapshot", key.text) { () throws(SyscallError) in
            try DirectoryLimit.set(bytes, of: [path.appending("fs"), path.appending("work")])
        }
    }

    func makeView(_ key: SnapshotKey, parent: Digest) throws(SnapshotError) {
        try making(key, as: .view(parent: parent), at: path(ofView: key)) { () throws(SnapshotError) in
            try SnapshotError.wrapping("make view", key.text) { () throws(SyscallError) in
                try makeSymbolicLink(path(ofView: key), to: FilePath("../layers/\(Self.name(of: parent))"))
                try synchronizeDirectory(root.appending("views"))
            }
        }
    }

    func remove(_ key: SnapshotKey) throws(SnapshotError) {
        guard let holder = index.withLock({ $0.holders[key] }) else { return }
        switch holder {
        case .building: try discard(path(ofBuilding: key))
        case .active: try discardActive(path(ofActive: key))
        case .view: try discard(path(ofView: key))
        }
        release(key)
    }

    private func discardActive(_ path: FilePath) throws(SnapshotError) {
        let project = DirectoryLimit.project(of: path.appending("fs"))
        try discard(path)
        guard let project else { return }
        try SnapshotError.wrapping("remove", path.string) { () throws(SyscallError) in try DirectoryLimit.free(project, at: root) }
    }

    func list() -> [SnapshotInfo] {
        index.withLock { index in
            let layers =
                index.layers.map { SnapshotInfo(kind: .layer($0.key), parent: $0.value.parent) }
                + index.unreadable.keys.map { SnapshotInfo(kind: .layer($0), parent: nil) }
            let holders = index.holders.map { key, holder in
                switch holder {
                case .building: SnapshotInfo(kind: .layerInProgress(key), parent: nil)
                case .active(let parent): SnapshotInfo(kind: .active(key), parent: parent)
                case .view(let parent): SnapshotInfo(kind: .view(key), parent: parent)
                }
            }
            return layers + holders
        }
    }
}

extension SnapshotStore.Index {
    /// Whether a root is built on the layer, by way of layers that can be read.
    fileprivate func isBelowRoots(_ chain: Digest) -> Bool {
        for holder in holders.values {
            var next = holder.parent
            while let current = next {
                if current == chain { return true }
                next = layers[current]?.parent
            }
        }
        return false
    }
}
