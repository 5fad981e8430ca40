internal import LinuxSyscalls
package import SystemPackage

/// How snapshots are kept; each back end has a directory of its own below the root.
package enum SnapshotBackEnd: String, Sendable, CaseIterable {
    case overlay = "overlayfs"
    case copy
}

/// Opens the snapshots below `root`.
/// - Parameters:
///   - backEnd: nil chooses the one that has layers there already, and else overlayfs where an overlay can be made on this file system by
///     this kernel, found out by making one, and copies otherwise.
///   - report: told why overlayfs was not chosen, or which copies are of no use beside it.
/// - Throws: also where no overlay can be made now and layers of overlayfs lie there.
package func openSnapshotter(
    at root: FilePath, backEnd: SnapshotBackEnd? = nil, report: (SnapshotError) -> Void
) throws(SnapshotError) -> any Snapshotter {
    let (overlay, copy) = (root.appending(SnapshotBackEnd.overlay.rawValue), root.appending(SnapshotBackEnd.copy.rawValue))
    switch backEnd {
    case .overlay: return try OverlaySnapshotter(openingAt: overlay)
    case .copy: return try CopySnapshotter(openingAt: copy)
    case nil: break
    }
    // What containers wrote is where one of the two keeps it: the other would show none of it, as if it were gone.
    let (hasOverlays, hasCopies) = (holdsLayers(overlay), holdsLayers(copy))
    if hasCopies && !hasOverlays {
        let snapshotter = try CopySnapshotter(openingAt: copy)
        let wayOut = "stay copies until all of them are removed and the daemon starts again"
        let place = "\(overlay): images and containers lie in \(copy), and \(wayOut)"
        report(SnapshotError(.inUse, doing: "use overlayfs in", subject: place))
        return snapshotter
    }
    do throws(SnapshotError) {
        let snapshotter = try OverlaySnapshotter(openingAt: overlay)
        if hasCopies {
            let wayOut = "`apus system check --repair` unpacks their images here; what containers wrote is in \(copy)/active alone"
            report(SnapshotError(.inUse, doing: "use copies in", subject: "\(copy) beside the layers in \(overlay); \(wayOut)"))
        }
        return snapshotter
    } catch {
        // For want of room, none was tried.
        let lacksRoom = [Errno.noSpace, .diskQuotaExceeded].contains { $0.rawValue == error.cause?.errno }
        if error.code != .system || lacksRoom { throw error }
        guard !hasOverlays else {
            let wayOut =
                "let this kernel and file system carry overlays again; or, to begin without what containers wrote, "
                + "move \(overlay) away: `apus system check --repair` then unpacks the images as copies"
            let place = "\(error.subject), where images and containers lie that nothing else shows (\(wayOut))"
            throw SnapshotError(.system, doing: error.doing, subject: place, cause: error.cause)
        }
        report(error)
        return try CopySnapshotter(openingAt: copy)
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
