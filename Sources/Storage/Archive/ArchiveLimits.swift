/// What an archive from a stranger may cost. Each limit is checked while bytes pass, before they are written.
package struct ArchiveLimits: Equatable, Sendable {
    /// Bytes after decompression, and bytes of all files together with their holes.
    package var uncompressedBytes: Int64
    /// Bytes after decompression for each one before; judged only above `ratioFreeBytes`, since small files of zeros are honest.
    package var ratio: Int64
    /// Decompressed bytes that no ratio is asked of.
    package var ratioFreeBytes: Int64
    /// Entries, whiteouts included.
    package var entries: Int
    /// Components of a path.
    package var depth: Int
    /// Bytes of a path or of what a symbolic link says.
    package var pathBytes: Int
    /// Bytes of all names that are kept to the end: of whiteouts, and of directories that entries lie in without having one themselves.
    package var keptNameBytes: Int
    /// Bytes of all extended attributes of one entry.
    package var attributeBytes: Int
    /// Bytes of one entry's headers with all that belongs to them: long names, attributes, the map of a sparse file.
    package var headerBytes: Int
    /// The base-2 logarithm of the largest zstd window and of the largest xz dictionary: 27 is 128 MiB.
    package var zstdWindowLog: Int32
    /// Bytes that stay free on the file system.
    package var reservedFreeBytes: UInt64
    /// Inodes that stay free on the file system, where it counts them.
    package var reservedFreeInodes: UInt64

    /// For image layers: above anything published, below what hurts a machine.
    package static let layer = ArchiveLimits(
        uncompressedBytes: 128 << 30, ratio: 200, ratioFreeBytes: 256 << 20, entries: 4_000_000, depth: 512, pathBytes: 4095,
        keptNameBytes: 32 << 20, attributeBytes: 1 << 20, headerBytes: 2 << 20, zstdWindowLog: 27, reservedFreeBytes: 128 << 20,
        reservedFreeInodes: 4096)

    /// What is packed here has no more bytes unpacked for each packed one: nobody with the limits of `layer` takes it for a bomb.
    package static let packedRatio: Int64 = 160

    /// The same for layers that were packed here, or taken in already: what a machine's memory and its disk need, and no more.
    package var ofKnownLayers: ArchiveLimits {
        var limits = self
        (limits.uncompressedBytes, limits.ratio, limits.entries, limits.depth) = (.max, .max, .max, .max)
        return limits
    }

    /// For what somebody puts into a volume of theirs, or takes out: what a machine's memory needs, and no more. Its room is theirs to fill, with
    /// zeros if they like.
    package static let volume: ArchiveLimits = {
        var limits = layer
        (limits.uncompressedBytes, limits.ratio, limits.entries) = (.max, .max, .max)
        (limits.reservedFreeBytes, limits.reservedFreeInodes) = (0, 0)
        return limits
    }()
}
