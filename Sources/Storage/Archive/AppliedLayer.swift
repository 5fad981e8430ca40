package import SystemPackage

/// What unpacking a layer found and did.
package struct AppliedLayer: Equatable, Sendable {
    /// Entries of the tar, whiteouts included.
    package var entryCount = 0
    /// Bytes of the tar after decompression.
    package var uncompressedBytes: Int64 = 0
    /// Directories that the tar implies but does not describe, `.` included; the one below lends them owner, mode and times.
    package var impliedDirectories: [FilePath] = []
    /// Where whiteouts were made. One that hides nothing is better taken away: overlayfs shows it in a directory that is in one layer only.
    package var whiteouts: [FilePath] = []
    /// Whether the layer hides all that lies below: `.wh..wh..opq` at its root.
    package var hidesAllBelow = false
    /// Extended attributes that were left out: the overlay's own, other file systems' labels, or refused by the file system.
    package var droppedAttributeCount = 0
    /// Device nodes that were left out: root of a user namespace makes none.
    package var droppedDeviceCount = 0

    package init() {}
}
