package import Archive
package import CoreTypes
package import SystemPackage

/// The name of a snapshot that is being written: a container's id, or a pull's own name for a layer in the making.
package struct SnapshotKey: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// - Throws: `.invalidKey` unless `text` is 1 to 128 of `A-Z a-z 0-9 _ . -`, beginning with a letter or digit.
    package init(_ text: String) throws(SnapshotError) {
        let bytes = Array(text.utf8)
        let isAlphanumeric = { (byte: UInt8) in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        guard let first = bytes.first, isAlphanumeric(first), bytes.count <= 128,
            bytes.allSatisfy({ isAlphanumeric($0) || [0x5f, 0x2e, 0x2d].contains($0) })
        else { throw SnapshotError(.invalidKey, doing: "name snapshot", subject: String(text.prefix(200)).debugDescription) }
        self.text = text
    }

    package var description: String { text }
}

/// One mount as mount(2) and the shim's `Create` request want it. `options` are mount(8)'s words: flags and data mixed.
package struct SnapshotMount: Equatable, Sendable {
    /// `overlay` or `bind`.
    package let type: String
    package let source: String
    package let options: [String]

    /// The same with further options.
    package func adding(_ words: [String]) -> SnapshotMount { SnapshotMount(type: type, source: source, options: options + words) }

    /// A directory as it is. - Parameter access: `rw` or `ro`.
    static func bind(_ directory: FilePath, _ access: String) -> SnapshotMount {
        SnapshotMount(type: "bind", source: directory.string, options: ["rbind", access])
    }
}

/// What a snapshot takes on disk, without what lies below it.
package struct SnapshotUsage: Equatable, Sendable {
    /// Allocated bytes; hard links counted once.
    package var bytes: Int64 = 0
    package var inodes: Int64 = 0

    package init(bytes: Int64 = 0, inodes: Int64 = 0) {
        self.bytes = bytes
        self.inodes = inodes
    }
}

/// A snapshot in a listing.
package struct SnapshotInfo: Equatable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Read-only and durable, under its chain id.
        case layer(Digest)
        /// A layer in the making: gone after a crash.
        case layerInProgress(SnapshotKey)
        /// A container's writable layer.
        case active(SnapshotKey)
        /// Read-only view of a chain.
        case view(SnapshotKey)
    }

    package let kind: Kind
    /// The layer that it is built on; nil for the lowest, and for a layer in the making.
    package let parent: Digest?
}

/// The most layers of one image. Overlayfs takes 500; docker and containerd stop near 128.
package let layerDepthLimit = 128

/// Keeps the layers of images and the writable layers of containers. Layers are named by chain id (image-spec, config.md,
/// "Layer ChainID"), so equal chains are stored once. Calls block; safe for use by many threads.
///
/// A layer: `beginLayer` → `LayerApplier` unpacks into the returned directory → its digests are checked →
/// `commitLayer`. Layers of one image may be unpacked side by side; they are committed from the lowest up.
package protocol Snapshotter: Sendable {
    /// `overlayfs` or `copy`, as `info` prints the storage driver.
    var name: String { get }

    /// What could not be erased when the store was opened, and is nobody's.
    var leftovers: [SnapshotError] { get }

    /// Makes an empty directory to unpack one layer into, in the overlay form that `LayerApplier` writes.
    /// - Throws: `.alreadyExists`.
    func beginLayer(_ key: SnapshotKey) throws(SnapshotError) -> FilePath

    /// Makes the unpacked layer durable (one syncfs, then the rename) and visible as `chain`. Where `chain` is there already,
    /// from another pull, the new one is thrown away.
    /// - Parameter parent: the chain id of what lies below; nil for the lowest.
    /// - Throws: `.notFound` for a missing key or parent; `.tooDeep`.
    func commitLayer(_ key: SnapshotKey, as chain: Digest, parent: Digest?, applied: AppliedLayer) throws(SnapshotError)

    /// Whether the layer is there, whole.
    func contains(layer chain: Digest) -> Bool

    /// Makes a writable snapshot on `parent`, durable before it returns; costs kilobytes with overlayfs, a copy of the tree without.
    /// - Parameter parent: nil for an empty root.
    /// - Throws: `.alreadyExists`; `.notFound` for the parent.
    func prepare(_ key: SnapshotKey, parent: Digest?) throws(SnapshotError) -> [SnapshotMount]

    /// Holds what will be written into a snapshot just made by `prepare` to so many bytes.
    /// - Throws: `.unsupported`, with the reason as its subject, where the file system or the back end cannot.
    func limit(_ key: SnapshotKey, toBytes bytes: UInt64) throws(SnapshotError)

    /// Makes a read-only snapshot of `parent`.
    func view(_ key: SnapshotKey, parent: Digest) throws(SnapshotError) -> [SnapshotMount]

    /// How to mount a snapshot made by `prepare` or `view`; in order, the last one is the root.
    func mounts(of key: SnapshotKey) throws(SnapshotError) -> [SnapshotMount]

    /// Writes what was written into a snapshot made by `prepare`, mounted or not, as the tar of a layer.
    /// - Parameter paths: names at the snapshot's root, or below it, that are left out with all that lies in them.
    /// - Returns: how many entries the tar has; without any, nothing was written.
    /// - Throws: `.notFound`; `.unsupported` where the back end does not keep apart what was written; what `sink` throws, as `.archive`.
    func writeLayer(of key: SnapshotKey, leavingOut paths: Set<String>, to sink: @escaping TreeWriter.Sink) throws(SnapshotError) -> Int

    /// Turns a writable snapshot, unmounted, into a layer.
    func commit(_ key: SnapshotKey, as chain: Digest) throws(SnapshotError)

    /// Removes what `beginLayer`, `prepare` or `view` made. One that is not there is no error.
    func remove(_ key: SnapshotKey) throws(SnapshotError)

    /// Removes a layer. One that is not there is no error.
    /// - Throws: `.inUse` while another snapshot is built on it.
    func remove(layer chain: Digest) throws(SnapshotError)

    /// What a writable snapshot takes.
    func usage(of key: SnapshotKey) throws(SnapshotError) -> SnapshotUsage

    /// Why a layer is absent whose folder is there: what is written down of it cannot be read. nil for every other.
    func defect(ofLayer chain: Digest) -> SnapshotError?

    /// What a layer takes, as measured when it was committed; nothing for one that cannot be read.
    func usage(ofLayer chain: Digest) throws(SnapshotError) -> SnapshotUsage

    /// Where a layer that is there differs from what was unpacked anew below `key`, which is brought into the form that it is kept in.
    /// - Throws: `.notFound` for either.
    func differences(of key: SnapshotKey, from chain: Digest, applied: AppliedLayer) throws(SnapshotError) -> [TreeDifference]

    /// Puts what `differences` has settled below `key` in the place of a layer. No root that is mounted may be built on it.
    func replaceLayer(_ chain: Digest, by key: SnapshotKey) throws(SnapshotError)

    /// What is wrong with the short name that a layer is mounted by; nil where nothing is, and for a layer that is not there.
    func nameDefect(ofLayer chain: Digest) throws(SnapshotError) -> LayerNameDefect?

    /// Makes a layer's short name again where `nameDefect` has something to say of it.
    func restoreName(ofLayer chain: Digest) throws(SnapshotError)

    /// What lies in the store's folders and is no snapshot.
    func strangers() throws(SnapshotError) -> [FilePath]

    /// Removes one of `strangers`.
    func removeStranger(_ path: FilePath) throws(SnapshotError)

    /// What all layers take on the disk, with what is kept beside each.
    func layersAllocatedBytes() throws(SnapshotError) -> Int64

    /// All snapshots, in no order.
    func list() -> [SnapshotInfo]
}

/// A short name that does not lead to its layer.
package struct LayerNameDefect: Equatable, Sendable {
    package let path: FilePath
    /// Whether something else is there.
    package let isThere: Bool
}
