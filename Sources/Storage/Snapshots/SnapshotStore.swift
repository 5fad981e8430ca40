internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// What both back ends keep on disk, and the index of it in memory:
/// ```
/// version                       "1"
/// lock                          held while a process uses the store
/// layers/sha256-<hex>/info,fs/  durable layers by chain id
/// l/<number>                    short names of layers' fs/, because mount(2) takes one page of options
/// active/<key>/fs/,work/,parent writable snapshots; `parent` links to the layer and is made last
/// views/<key>                   a link to the layer
/// building/<key>/fs/            layers in the making; emptied when the store is opened
/// trash/<number>                being removed; emptied when the store is opened, as far as it can be
/// ```
final class SnapshotStore: Sendable {
    struct Layer: Equatable, Sendable {
        var parent: Digest?
        var link: UInt64
        var hidesAllBelow = false
        var usage = SnapshotUsage()
    }

    enum Holder: Equatable, Sendable {
        case building
        case active(parent: Digest?)
        case view(parent: Digest)

        var parent: Digest? {
            switch self {
            case .building: nil
            case .active(let parent): parent
            case .view(let parent): parent
            }
        }
    }

    struct Index: Sendable {
        var layers: [Digest: Layer] = [:]
        /// Layers whose `info` cannot be read: absent, but for their folders.
        var unreadable: [Digest: SnapshotError] = [:]
        /// Layers that are on their way into their folder.
        var publishing: [Digest: Int] = [:]
        var holders: [SnapshotKey: Holder] = [:]
        var nextLink: UInt64 = 1
        var nextTrash: UInt64 = 1
        /// What could not be erased when the store was opened.
        var leftovers: [SnapshotError] = []
    }

    let root: FilePath
    let index = Mutex(Index())
    private let lock: OwnedFD

    private static let formatVersion = "1\n"
    static let folders = ["layers", "l", "active", "views", "building", "trash"]

    init(openingAt root: FilePath) throws(SnapshotError) {
        self.root = root
        lock = try SnapshotError.wrapping("open snapshots", root.string) { () throws(SyscallError) in
            try makeDirectories(root, mode: 0o700)
            for folder in Self.folders { try makeDirectories(root.appending(folder), mode: 0o700) }
            return try openFile(root.appending("lock"), [.readWrite, .create, .noFollow])
        }
        let number = lock.number
        if try !SnapshotError.wrapping("open snapshots", root.string, { () throws(SyscallError) in try lockExclusively(number) }) {
            throw SnapshotError(.inUse, doing: "open snapshots", subject: "\(root) by another process")
        }
        try checkVersion()
        try cleanUp()
        try load()
    }

    private func checkVersion() throws(SnapshotError) {
        let path = root.appending("version")
        do throws(SyscallError) {
            if try readFile(path, limitBytes: 100) == Array(Self.formatVersion.utf8) { return }
        } catch {
            if error.errno != ENOENT { throw SnapshotError(.system, doing: "open snapshots", subject: root.string, cause: error) }
            return try SnapshotError.wrapping("open snapshots", root.string) { () throws(SyscallError) in
                try writeFileDurably(Array(Self.formatVersion.utf8), to: path)
            }
        }
        throw SnapshotError(.unsupportedFormat, doing: "open snapshots", subject: root.string)
    }

    // MARK: Paths

    func path(ofLayer chain: Digest) -> FilePath { root.appending("layers").appending(Self.name(of: chain)) }
    func tree(ofLayer chain: Digest) -> FilePath { path(ofLayer: chain).appending("fs") }
    func path(ofActive key: SnapshotKey) -> FilePath { root.appending("active").appending(key.text) }
    func path(ofView key: SnapshotKey) -> FilePath { root.appending("views").appending(key.text) }
    func path(ofBuilding key: SnapshotKey) -> FilePath { root.appending("building").appending(key.text) }
    func shortPath(ofLink link: UInt64) -> FilePath { root.appending("l").appending(String(link, radix: 36)) }

    static func name(of chain: Digest) -> String { "\(chain.algorithm.rawValue)-\(chain.hex)" }

    private static func chain(named name: String) -> Digest? {
        try? Digest(name.replacing("-", with: ":", maxReplacements: 1))
    }

    // MARK: Opening

    private func names(in folder: String) throws(SnapshotError) -> [String] {
        let path = root.appending(folder)
        return try SnapshotError.wrapping("open snapshots", path.string) { () throws(SyscallError) in
            let directory = try openFile(path, [.readOnly, .directory])
            return try directoryEntries(of: directory, subject: path.string).map(\.name.string)
        }
    }

    /// Removes what a crash left half made or half removed. One file that cannot be unlinked (it is immutable, or a mount point) keeps nobody from
    /// the layers.
    private func cleanUp() throws(SnapshotError) {
        for name in try names(in: "trash") {
            do throws(SnapshotError) {
                try SnapshotError.wrapping("clean up", "trash/\(name)") { () throws(SyscallError) in
                    try removeTree(root.appending("trash").appending(name))
                }
            } catch { index.withLock { $0.leftovers.append(error) } }
        }
        for name in try names(in: "building") { discardLeftover("building", name) }
    }

    /// Takes what is of no use out of its folder, whose names are used again.
    private func discardLeftover(_ folder: String, _ name: String) {
        do throws(SnapshotError) { try discard(root.appending(folder).appending(name)) } catch {
            index.withLock { $0.leftovers.append(error) }
        }
    }

    private func load() throws(SnapshotError) {
        var loaded = Index()
        for name in try names(in: "layers") {
            // What is called otherwise is a stranger, which a check names.
            guard let chain = Self.chain(named: name) else { continue }
            // One bad layer keeps nobody from the others: it is absent until it is unpacked again.
            do throws(SnapshotError) {
                let layer = try readInfo(of: chain)
                loaded.layers[chain] = layer
                loaded.nextLink = max(loaded.nextLink, layer.link + 1)
            } catch { loaded.unreadable[chain] = error }
        }
        let links = Dictionary(loaded.layers.map { (String($0.value.link, radix: 36), $0.key) }) { first, _ in first }
        let present = Set(try names(in: "l"))
        for stale in present where links[stale] == nil {
            try SnapshotError.wrapping("clean up", "l/\(stale)") { () throws(SyscallError) in
                try removeFile(root.appending("l").appending(stale))
            }
        }
        for (name, chain) in links {
            if present.contains(name) {
                let path = root.appending("l").appending(name)
                if (try? symbolicLinkText(path)) == Array(Self.linkText(to: chain).utf8) { continue }
                try SnapshotError.wrapping("clean up", "l/\(name)") { () throws(SyscallError) in try removeTree(path) }
            }
            try makeLink(name, to: chain)
        }
        for name in try names(in: "active") {
            guard let key = try? SnapshotKey(name) else { continue }
            switch try readParent(root.appending("active").appending(name).appending("parent")) {
            case .some(let parent): loaded.holders[key] = .active(parent: parent)
            case .none: discardLeftover("active", name)
            }
        }
        for name in try names(in: "views") {
            guard let key = try? SnapshotKey(name) else { continue }
            if let parent = try readParent(path(ofView: key)), let parent { loaded.holders[key] = .view(parent: parent) }
        }
        let result = loaded
        index.withLock { index in
            let (nextTrash, leftovers) = (index.nextTrash, index.leftovers)
            index = result
            (index.nextTrash, index.leftovers) = (nextTrash, leftovers)
        }
    }

    /// The layer that a `parent` link names: `.some(nil)` for none, nil where the link is missing.
    private func readParent(_ link: FilePath) throws(SnapshotError) -> Digest?? {
        let text: [UInt8]
        do throws(SyscallError) { text = try symbolicLinkText(link) } catch {
            if error.errno == ENOENT { return nil }
            throw SnapshotError(.system, doing: "open snapshots", subject: link.string, cause: error)
        }
        let name = String(decoding: text, as: UTF8.self)
        if name == Self.noParent { return .some(nil) }
        guard let last = name.split(separator: "/").last, let chain = Self.chain(named: String(last)) else {
            throw SnapshotError(.unsupportedFormat, doing: "open snapshots", subject: link.string)
        }
        return .some(chain)
    }

    static let noParent = "none"

    // MARK: Layers on disk

    /// The words of `info`, one a line: version, parent, short name, size.
    func info(of layer: Layer) -> [UInt8] {
        var lines = ["apus-layer 1", "parent \(layer.parent?.description ?? Self.noParent)", "link \(layer.link)"]
        lines.append("bytes \(layer.usage.bytes)")
        lines.append("inodes \(layer.usage.inodes)")
        if layer.hidesAllBelow { lines.append("hides-all-below yes") }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private func readInfo(of chain: Digest) throws(SnapshotError) -> Layer {
        let path = path(ofLayer: chain).appending("info")
        let bytes = try SnapshotError.wrapping("open snapshots", path.string) { () throws(SyscallError) in
            try readFile(path, limitBytes: 4096)
        }
        var words: [Substring: Substring] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { words[parts[0]] = parts[1] }
        }
        guard words["apus-layer"] == "1", let parent = words["parent"], let link = words["link"].flatMap({ UInt64($0) }), link < .max,
            let bytes = words["bytes"].flatMap({ Int64($0) }), bytes >= 0, let inodes = words["inodes"].flatMap({ Int64($0) })
        else { throw SnapshotError(.unsupportedFormat, doing: "open snapshots", subject: path.string) }
        var layer = Layer(parent: nil, link: link, hidesAllBelow: words["hides-all-below"] == "yes")
        layer.usage = SnapshotUsage(bytes: bytes, inodes: inodes)
        if parent != Self.noParent {
            guard let chain = try? Digest(String(parent)) else {
                throw SnapshotError(.unsupportedFormat, doing: "open snapshots", subject: path.string)
            }
            layer.parent = chain
        }
        return layer
    }

    /// What a layer's short name says.
    static func linkText(to chain: Digest) -> String { "../layers/\(name(of: chain))/fs" }

    func makeLink(_ name: String, to chain: Digest) throws(SnapshotError) {
        try SnapshotError.wrapping("name layer", chain.description) { () throws(SyscallError) in
            try makeSymbolicLink(root.appending("l").appending(name), to: FilePath(Self.linkText(to: chain)))
        }
    }

    /// A name that nothing in the trash has, whichever processes had this one's number before.
    private func nextTrashName() -> String {
        while true {
            let number = index.withLock { index in
                index.nextTrash += 1
                return index.nextTrash
            }
            let name = "\(getpid())-\(number)"
            do throws(SyscallError) { _ = try fileStatus(root.appending("trash").appending(name)) } catch { return name }
        }
    }

    /// Takes something out of sight at once, then out of the world. A crash in between is finished when the store is opened.
    func discard(_ path: FilePath) throws(SnapshotError) {
        let trash = root.appending("trash").appending(nextTrashName())
        try SnapshotError.wrapping("remove", path.string) { () throws(SyscallError) in
            do throws(SyscallError) { try renameFile(path, to: trash) } catch  where error.errno == ENOENT { return }
            try removeTree(trash)
        }
    }
}
