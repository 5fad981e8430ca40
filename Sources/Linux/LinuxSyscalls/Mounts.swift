internal import CLinux
internal import Glibc
package import SystemPackage

/// Flags of mount(2), where the descriptor-based calls are not used.
package struct MountFlags: OptionSet, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: MountFlags...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    package static let readOnly = MountFlags(rawValue: 1 << 0)
    package static let noSetUserID = MountFlags(rawValue: 1 << 1)
    package static let noDevices = MountFlags(rawValue: 1 << 2)
    package static let noExecute = MountFlags(rawValue: 1 << 3)
    package static let synchronous = MountFlags(rawValue: 1 << 4)
    package static let remount = MountFlags(rawValue: 1 << 5)
    package static let directorySynchronous = MountFlags(rawValue: 1 << 7)
    /// Linux 5.10; older ones ignore it.
    package static let noSymlinkFollow = MountFlags(rawValue: 1 << 8)
    package static let noAccessTime = MountFlags(rawValue: 1 << 10)
    package static let noDirectoryAccessTime = MountFlags(rawValue: 1 << 11)
    package static let bind = MountFlags(rawValue: 1 << 12)
    package static let move = MountFlags(rawValue: 1 << 13)
    package static let recursive = MountFlags(rawValue: 1 << 14)
    package static let unbindable = MountFlags(rawValue: 1 << 17)
    package static let isPrivate = MountFlags(rawValue: 1 << 18)
    package static let slave = MountFlags(rawValue: 1 << 19)
    package static let shared = MountFlags(rawValue: 1 << 20)
    package static let relativeAccessTime = MountFlags(rawValue: 1 << 21)
    package static let strictAccessTime = MountFlags(rawValue: 1 << 24)
}

/// Attributes of one mount, as fsmount(2) and mount_setattr(2) take them: MOUNT_ATTR_*.
///
/// Access times are a field of three values in bits 4 to 6: `noAccessTime`, `strictAccessTime`, or neither for relatime.
package struct MountAttributes: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: MountAttributes...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    package static let readOnly = MountAttributes(rawValue: 0x01)
    package static let noSetUserID = MountAttributes(rawValue: 0x02)
    package static let noDevices = MountAttributes(rawValue: 0x04)
    package static let noExecute = MountAttributes(rawValue: 0x08)
    package static let noAccessTime = MountAttributes(rawValue: 0x10)
    package static let strictAccessTime = MountAttributes(rawValue: 0x20)
    /// The whole access-time field: mount_setattr(2) wants it cleared in every call that sets one of its values.
    package static let accessTimeField = MountAttributes(rawValue: 0x70)
    package static let noDirectoryAccessTime = MountAttributes(rawValue: 0x80)
    package static let noSymlinkFollow = MountAttributes(rawValue: 0x20_0000)
}

/// How mounts and unmounts spread between mount namespaces. - Source: mount_namespaces(7).
package enum MountPropagation: UInt64, Sendable, Hashable {
    case shared = 0x10_0000
    case slave = 0x8_0000
    case isPrivate = 0x4_0000
    case unbindable = 0x2_0000
}

/// Mounts with the classic call. An empty `source`, `type` or `data` is passed as NULL. - Source: mount(2).
package func mount(
    _ source: String, onto target: FilePath, type: String = "", flags: MountFlags = [], data: String = ""
) throws(SyscallError) {
    try checked("mount", "\(source.isEmpty ? type : source) onto \(target)") {
        unsafe target.withPlatformString { target in
            unsafe source.withCString { source in
                unsafe type.withCString { type in
                    unsafe data.withCString { data in
                        unsafe clinux_mount(
                            source.pointee == 0 ? nil : source, target, type.pointee == 0 ? nil : type, flags.rawValue,
                            data.pointee == 0 ? nil : data)
                    }
                }
            }
        }
    }
}

/// Flags of umount2(2).
package struct UnmountFlags: OptionSet, Sendable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: UnmountFlags...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    package static let force = UnmountFlags(rawValue: 1)
    /// MNT_DETACH: the mount leaves the tree now and ends with its last user.
    package static let detach = UnmountFlags(rawValue: 2)
    package static let noFollow = UnmountFlags(rawValue: 8)
}

/// Takes a mount out of the tree. - Source: umount2(2).
package func unmount(_ target: FilePath, _ flags: UnmountFlags = []) throws(SyscallError) {
    try checked("umount", target.string) {
        unsafe target.withPlatformString { unsafe clinux_umount2($0, flags.rawValue) }
    }
}

/// Makes `newRoot` the root of the mount namespace and puts the old one at `oldRoot`. - Source: pivot_root(2).
package func pivotRoot(to newRoot: FilePath, puttingOldAt oldRoot: FilePath) throws(SyscallError) {
    try checked("pivot_root", newRoot.string) {
        unsafe newRoot.withPlatformString { new in
            unsafe oldRoot.withPlatformString { old in unsafe clinux_pivot_root(new, old) }
        }
    }
}

/// Flags of open_tree(2). Every call here adds OPEN_TREE_CLOEXEC.
package struct OpenTreeFlags: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: OpenTreeFlags...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    /// A detached copy of the mount, to be put elsewhere by `moveMount`: what a bind mount is made of.
    package static let clone = OpenTreeFlags(rawValue: 1)
    /// With `clone`: the mounts below it as well.
    package static let recursive = OpenTreeFlags(rawValue: 0x8000)
    package static let noFollow = OpenTreeFlags(rawValue: 0x100)
    /// AT_EMPTY_PATH: the descriptor itself is meant.
    package static let emptyPath = OpenTreeFlags(rawValue: 0x1000)
}

/// Opens a mount by path, or a detached copy of it. - Source: open_tree(2), Linux 5.2.
package func openTree(
    _ path: FilePath, _ flags: OpenTreeFlags, at directory: Int32 = currentDirectory
) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try checked("open_tree", path.string) {
            unsafe path.withPlatformString {
                unsafe clinux_open_tree(directory, $0, flags.rawValue | UInt32(bitPattern: O_CLOEXEC))
            }
        })
}

/// A detached copy of the mount that an open descriptor lies on, rooted at that descriptor. - Source: open_tree(2), Linux 5.2.
package func cloneTree(of descriptor: Int32, recursive: Bool, subject: String) throws(SyscallError) -> OwnedFD {
    let flags: OpenTreeFlags = recursive ? [.clone, .emptyPath, .recursive] : [.clone, .emptyPath]
    return OwnedFD(
        owning: try checked("open_tree", subject) {
            unsafe clinux_open_tree(descriptor, "", flags.rawValue | UInt32(bitPattern: O_CLOEXEC))
        })
}

/// Puts a mount, detached or not, onto the place that `target` refers to; no path is walked. `mount` refers to it there afterwards.
/// - Source: move_mount(2), Linux 5.2, MOVE_MOUNT_F_EMPTY_PATH and MOVE_MOUNT_T_EMPTY_PATH.
package func moveMount(_ mount: borrowing OwnedFD, onto target: borrowing OwnedFD, subject: String) throws(SyscallError) {
    let (from, to) = (mount.number, target.number)
    try checked("move_mount", subject) { unsafe clinux_move_mount(from, "", to, "", 0x04 | 0x40) }
}

/// Starts the configuration of a new file system of a type. - Source: fsopen(2), Linux 5.2.
package func openFileSystem(type: String) throws(SyscallError) -> OwnedFD {
    OwnedFD(owning: try checked("fsopen", type) { unsafe clinux_fsopen(type, 1) })
}

/// Sets a parameter of a file system: `key=value`, or a bare `key` for nil. - Source: fsconfig(2), Linux 5.2.
package func configureFileSystem(_ context: borrowing OwnedFD, _ key: String, _ value: String?) throws(SyscallError) {
    let descriptor = context.number
    try checked("fsconfig", value.map { "\(key)=\($0)" } ?? key) {
        if let value {
            unsafe value.withCString { unsafe clinux_fsconfig(descriptor, 1, key, $0, 0) }
        } else {
            unsafe clinux_fsconfig(descriptor, 0, key, nil, 0)
        }
    }
}

/// Makes the configured file system, or finds the one that exists. - Source: fsconfig(2), FSCONFIG_CMD_CREATE.
package func createFileSystem(_ context: borrowing OwnedFD, subject: String) throws(SyscallError) {
    let descriptor = context.number
    try checked("fsconfig create", subject) { clinux_fsconfig(descriptor, 6, nil, nil, 0) }
}

/// A detached mount of the file system made. - Source: fsmount(2), Linux 5.2.
package func mountFileSystem(
    _ context: borrowing OwnedFD, _ attributes: MountAttributes, subject: String
) throws(SyscallError) -> OwnedFD {
    let descriptor = context.number
    return OwnedFD(
        owning: try checked("fsmount", subject) {
            clinux_fsmount(descriptor, 1, UInt32(truncatingIfNeeded: attributes.rawValue))
        })
}

/// Changes attributes and propagation of the mount that `descriptor` is the root of; with `recursive`, of all below it too, or of
/// none when one refuses. - Source: mount_setattr(2), Linux 5.12.
package func changeMountAttributes(
    of descriptor: Int32, set: MountAttributes = [], clear: MountAttributes = [], propagation: MountPropagation? = nil,
    recursive: Bool = false, subject: String
) throws(SyscallError) {
    try checked("mount_setattr", subject) {
        unsafe clinux_mount_setattr(
            descriptor, "", 0x1000 | (recursive ? 0x8000 : 0), set.rawValue, clear.rawValue, propagation?.rawValue ?? 0, 0)
    }
}

/// Shows the owners of a detached mount's files as a user namespace maps them; with `recursive`, of all mounts below it too.
/// - Throws: EINVAL for a file system that cannot. - Source: mount_setattr(2), MOUNT_ATTR_IDMAP, Linux 5.12.
package func mapOwners(
    of mount: borrowing OwnedFD, as userNamespace: Int32, recursive: Bool, subject: String
) throws(SyscallError) {
    let (descriptor, namespace) = (mount.number, UInt64(UInt32(bitPattern: userNamespace)))
    try checked("mount_setattr idmap", subject) {
        unsafe clinux_mount_setattr(descriptor, "", 0x1000 | (recursive ? 0x8000 : 0), 0x10_0000, 0, 0, namespace)
    }
}

/// What a file system is, by its number in statfs(2). - Source: linux/magic.h.
package struct FileSystemKind: Equatable, Sendable {
    package let rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }

    package static let proc = FileSystemKind(rawValue: 0x9fa0)
    package static let sysfs = FileSystemKind(rawValue: 0x6265_6572)
    package static let tmpfs = FileSystemKind(rawValue: 0x0102_1994)
    package static let devpts = FileSystemKind(rawValue: 0x1cd1)
    package static let cgroup = FileSystemKind(rawValue: 0x27_e0eb)
    package static let cgroup2 = FileSystemKind(rawValue: 0x6367_7270)
    package static let overlay = FileSystemKind(rawValue: 0x794c_7630)
}

/// The kind of file system that a descriptor lies on. - Source: fstatfs(2).
package func fileSystemKind(of descriptor: Int32, subject: String) throws(SyscallError) -> FileSystemKind {
    while true {
        let value = clinux_filesystem_type(descriptor)
        if value >= 0 { return FileSystemKind(rawValue: value) }
        if value != -Int64(EINTR) { throw SyscallError("fstatfs", subject, errno: Int32(-value)) }
    }
}
