internal import LinuxSyscalls
internal import SystemPackage

/// A path inside a volume, opened once and mounted in the bundle of a run, where it is found whatever containers do with the names on the
/// way to it meanwhile. It outlives the daemon, and is the same at each start that the shim makes.
struct VolumePin {
    let mount: BindMount
    let place: FilePath

    /// What a run has to pin.
    static func pins(of plan: MountPlan, in paths: ContainerPaths) -> [VolumePin] {
        plan.subpaths.enumerated().map { VolumePin(mount: $1, place: paths.pins.appending("\($0)")) }
    }

    /// - Throws: ENOENT for a path that is not there.
    func make() throws(SyscallError) {
        try Self.attach(try mount.openSource(), at: place)
    }

    /// Mounts a detached tree where a run finds it.
    static func attach(_ tree: consuming OwnedFD, at place: FilePath) throws(SyscallError) {
        try changeMountAttributes(of: tree.number, propagation: .isPrivate, recursive: true, subject: place.string)
        try makeDirectories(place.removingLastComponent(), mode: 0o700)
        if try fileStatus(of: tree.number, subject: place.string).type == .directory {
            try makeDirectory(place, mode: 0o700)
        } else {
            _ = try openFile(place, [.writeOnly, .create, .exclusive], mode: 0o600)
        }
        try moveMount(tree, onto: try openFile(place, [.path, .noFollow]), subject: place.string)
    }

    /// Takes every pin of a run away: only then may what lies in the bundle be removed.
    static func removeAll(_ paths: ContainerPaths) throws(SyscallError) {
        let folder: OwnedFD
        do throws(SyscallError) { folder = try openFile(paths.pins, [.readOnly, .directory, .noFollow]) } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return }
            throw error
        }
        for entry in try directoryEntries(of: folder, subject: paths.pins.string) {
            do throws(SyscallError) {
                while true { try unmount(paths.pins.appending(entry.name.string), [.detach, .noFollow]) }
            } catch {
                // What is mounted no more.
                guard error.errno == Errno.invalidArgument.rawValue else { throw error }
            }
        }
    }
}

extension BindMount {
    /// A detached copy of what is to be shown. Its path is walked once: who exchanges a name on it afterwards changes nothing.
    func openSource() throws(SyscallError) -> OwnedFD {
        guard let subpath else { return try openTree(FilePath(source), isRecursive ? [.clone, .recursive] : .clone) }
        let volume = try openFile(FilePath(source), [.path, .directory, .noFollow])
        do throws(SyscallError) {
            let found = try openInRoot(FilePath(subpath), .path, root: volume)
            return try cloneTree(of: found.number, recursive: isRecursive, subject: subpath)
        } catch { throw SyscallError("open in \(source)", subpath, errno: error.errno) }
    }
}
