internal import LinuxSyscalls
package import SystemPackage

/// How snapshots are kept; each back end has a directory of its own below the root.
package enum SnapshotBackEnd: String, Sendable, CaseIterable {
    case overlay = "overlayfs"
    case copy
}

/// Opens the snapshots below `root`.
/// - Parameters:
///   - backEnd: nil chooses overlayfs where an overlay can be made on this file system by this kernel, found out by making one, and
///     copies otherwise, unless layers of overlayfs lie there already.
///   - reportFallback: told why overlayfs was not chosen.
package func openSnapshotter(
    at root: FilePath, backEnd: SnapshotBackEnd? = nil, reportFallback: (SnapshotError) -> Void
) throws(SnapshotError) -> any Snapshotter {
    switch backEnd {
    case .overlay: return try OverlaySnapshotter(openingAt: root.appending(SnapshotBackEnd.overlay.rawValue))
    case .copy: return try CopySnapshotter(openingAt: root.appending(SnapshotBackEnd.copy.rawValue))
    case nil:
        do throws(SnapshotError) {
            return try OverlaySnapshotter(openingAt: root.appending(SnapshotBackEnd.overlay.rawValue))
        } catch {
            // What containers wrote is where overlayfs keeps it: copies would show none of it, as if it were gone.
            if error.code != .system || holdsLayers(root.appending(SnapshotBackEnd.overlay.rawValue)) { throw error }
            reportFallback(error)
            return try CopySnapshotter(openingAt: root.appending(SnapshotBackEnd.copy.rawValue))
        }
    }
}

/// Whether layers lie in a back end's directory, of images or of containers; one that cannot be read may have some.
private func holdsLayers(_ directory: FilePath) -> Bool {
    ["layers", "active"].contains { name in
        do throws(SyscallError) {
            let layers = try openFile(directory.appending(name), [.readOnly, .directory])
            return try !directoryEntries(of: layers).isEmpty
        } catch { return error.errno != Errno.noSuchFileOrDirectory.rawValue }
    }
}
