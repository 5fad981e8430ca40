package import LinuxSyscalls
package import SystemPackage

/// Opens the root of the tree that a snapshot's mounts make, read-only, where nobody else sees it: it is mounted in a mount namespace
/// that has ended when this returns, and goes away with the descriptor. The snapshot may be in use meanwhile. Blocks.
/// - Parameters:
///   - mounts: of `Snapshotter.mounts`.
///   - scratch: any directory; only that namespace sees the mount on it.
///   - subpath: what to open instead of the root: a path inside, whose links do not lead out.
/// - Throws: `SnapshotError` naming the root, or the path.
package func openReadOnly(
    _ mounts: [SnapshotMount], at scratch: FilePath, inside subpath: String? = nil
) throws(SnapshotError) -> OwnedFD {
    guard let root = mounts.last else { throw SnapshotError(.notFound, doing: "open", subject: "a root without mounts") }
    return try SnapshotError.wrapping("open", root.source) { () throws(SyscallError) in
        try openInOwnMountNamespace { () throws(SyscallError) in
            try root.readOnly.perform(onto: scratch)
            // A mount of nobody's: in one that its namespace has left behind, openat2(2) says EAGAIN for ever to links that begin with `..`.
            guard let subpath else { return try openTree(scratch, .clone) }
            let found = try openInRoot(FilePath(subpath), .path, root: try openFile(scratch, [.path, .directory]))
            return try cloneTree(of: found.number, recursive: false, subject: subpath)
        }
    }
}

extension SnapshotMount {
    /// The directory of the writable layer; nil where there is none apart.
    package var upperDirectory: FilePath? { options.lazy.compactMap { $0.value(of: "upperdir") }.first.map { FilePath($0) } }

    /// The tree of the layers below the writable one; nil where there are none.
    package var withoutUpper: FstabMount? {
        guard type == "overlay", let lower = options.lazy.compactMap({ $0.value(of: "lowerdir") }).first else { return nil }
        // An overlay of one directory is none.
        let isOne = !lower.contains(":")
        return isOne
            ? FstabMount(type: "bind", source: lower, options: ["ro"])
            : FstabMount(type: "overlay", source: source, options: ["ro", "lowerdir=\(lower)"])
    }

    /// The same tree without a writable layer: that becomes the uppermost of those below, where its marks of removed names count the same.
    package var readOnly: FstabMount {
        guard type == "overlay" else {
            let owners = options.filter { option in ["uidmap", "gidmap"].contains { option.value(of: $0) != nil } }
            return FstabMount(type: "bind", source: source, options: ["ro"] + owners)
        }
        let upper = options.compactMap { $0.value(of: "upperdir") }
        let trees = upper + options.compactMap { $0.value(of: "lowerdir") }
        let others = options.filter { option in
            !["upperdir", "workdir", "lowerdir"].contains { option.value(of: $0) != nil } && option != "rw" && option != "ro"
        }
        return FstabMount(type: "overlay", source: source, options: ["ro"] + others + ["lowerdir=\(trees.joined(separator: ":"))"])
    }
}

extension String {
    /// `b` of `a=b`, where this is an option of that name.
    fileprivate func value(of name: String) -> String? { hasPrefix("\(name)=") ? String(dropFirst(name.count + 1)) : nil }
}
