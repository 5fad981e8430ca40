internal import Archive
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// Gives directories that a layer only implies the owner, mode and times that they have below. Overlayfs shows a directory as its
/// topmost layer has it: without this, a layer that holds `tmp/x` and no `tmp` would take the sticky bit from /tmp.
/// - Parameters:
///   - implied: from the root down, as `AppliedLayer` lists them.
///   - below: the trees of the layers below, from the top down.
func describeImpliedDirectories(_ implied: [FilePath], of tree: FilePath, below: [FilePath]) throws(SyscallError) {
    if below.isEmpty { return }
    let root = try openFile(tree, [.readOnly, .directory, .noFollow])
    // Children first: a directory's own time comes after all changes in it.
    for path in implied.reversed() {
        do throws(SyscallError) {
            let target = try openInRoot(path, [.readOnly, .directory], root: root)
            try describe(target, at: path, root: root, below: below)
        } catch {
            // Another entry of the layer took its place.
            if error.errno != ENOENT && error.errno != ENOTDIR { throw error }
        }
    }
}

/// Looks for the directory in one layer after the other, as overlayfs would.
private func describe(
    _ target: borrowing OwnedFD, at path: FilePath, root: borrowing OwnedFD, below: [FilePath]
) throws(SyscallError) {
    if try hidesBelow(path, in: root) { return }
    for tree in below {
        let layer = try openFile(tree, [.readOnly, .directory, .noFollow])
        do throws(SyscallError) {
            let source = try openInRoot(
                path, [.readOnly, .directory, .noFollow], root: layer, resolve: [.inRoot, .noSymlinks, .noMagicLinks])
            return try copyMetadata(from: source, to: target, subject: path)
        } catch {
            // A link, a file or a whiteout on the way hides what lies lower; nothing there does not.
            if [ELOOP, ENOTDIR].contains(error.errno) { return }
            if error.errno != ENOENT { throw error }
        }
        if try hidesBelow(path, in: layer) { return }
    }
}

/// Takes away whiteouts that hide nothing. Overlayfs looks for them only where it merges directories; in one that a single layer
/// holds they would show as names that cannot be opened.
/// - Parameters:
///   - whiteouts: as `AppliedLayer` lists them.
///   - below: the trees of the layers below, from the top down.
func dropIdleWhiteouts(_ whiteouts: [FilePath], of tree: FilePath, below: [FilePath]) throws(SyscallError) {
    if whiteouts.isEmpty { return }
    let root = try openFile(tree, [.readOnly, .directory, .noFollow])
    for path in whiteouts {
        if try isShown(path, above: root, below: below) { continue }
        do throws(SyscallError) {
            let directory = try openInRoot(
                parent(of: path), [.path, .directory], root: root, resolve: [.inRoot, .noSymlinks, .noMagicLinks])
            let name = FilePath(path.lastComponent?.string ?? "")
            if try fileStatus(name, at: directory.number).isWhiteout { try removeFile(name, at: directory.number) }
        } catch {
            // Another entry of the layer took its place, or it was reached by a link.
            if ![ENOENT, ENOTDIR, ELOOP].contains(error.errno) { throw error }
        }
    }
}

/// Whether the layers below show something under this name to a layer on top of them.
private func isShown(_ path: FilePath, above root: borrowing OwnedFD, below: [FilePath]) throws(SyscallError) -> Bool {
    let directory = parent(of: path)
    if try hidesBelow(directory, in: root) { return false }
    for tree in below {
        let layer = try openFile(tree, [.readOnly, .directory, .noFollow])
        do throws(SyscallError) {
            let found = try openInRoot(path, [.path, .noFollow], root: layer, resolve: [.inRoot, .noSymlinks, .noMagicLinks])
            return try !fileStatus(of: found.number, subject: path.string).isWhiteout
        } catch {
            if [ELOOP, ENOTDIR].contains(error.errno) { return false }
            if error.errno != ENOENT { throw error }
        }
        if try hidesBelow(directory, in: layer) { return false }
    }
    return false
}

private func parent(of path: FilePath) -> FilePath {
    let parent = path.removingLastComponent()
    return parent.isEmpty ? "." : parent
}

/// Whether a directory on the way to `path`, or it itself, is opaque in this layer.
private func hidesBelow(_ path: FilePath, in layer: borrowing OwnedFD) throws(SyscallError) -> Bool {
    var prefix = FilePath()
    for component in path.components {
        prefix.append(component)
        do throws(SyscallError) {
            let directory = try openInRoot(prefix, [.readOnly, .directory, .noFollow], root: layer)
            if try isOpaque(directory, subject: prefix) { return true }
        } catch {
            if [ENOENT, ENOTDIR, ELOOP].contains(error.errno) { return false }
            throw error
        }
    }
    return false
}
