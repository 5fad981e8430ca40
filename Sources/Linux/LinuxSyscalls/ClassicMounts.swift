internal import CLinux
internal import Glibc
package import SystemPackage

// What mounts were made with before Linux 5.2: mount(2), which wants names. The names here are those of descriptors in procfs: they lead to what the
// descriptor refers to, whatever was renamed or exchanged meanwhile. - Source: proc_pid_fd(5); path_resolution(7), "magic links".

/// Whether this process has the calls that mount by descriptors: open_tree, move_mount, fsopen, fsconfig, fsmount (Linux 5.2) and
/// mount_setattr (Linux 5.12). Told by what impossible requests are refused for; false too for a caller who may mount nothing.
package func mountsByDescriptor() -> Bool { clinux_mounts_by_descriptor() != 0 }

/// - Throws: ENOSYS where one of them is missing, for what cannot be done without.
package func requireMountsByDescriptor(subject: String) throws(SyscallError) {
    if !mountsByDescriptor() { throw SyscallError("mount by descriptors", subject, errno: ENOSYS) }
}

/// A name that leads to what a descriptor refers to, and nowhere else. The host's procfs must lie at /proc.
package func procfsName(of descriptor: Int32) -> FilePath { FilePath("/proc/self/fd/\(descriptor)") }

/// Binds what one descriptor refers to onto what another does. - Source: mount(2), MS_BIND.
package func bindMount(_ source: Int32, onto target: Int32, recursive: Bool, subject: String) throws(SyscallError) {
    let flags: MountFlags = recursive ? [.bind, .recursive] : .bind
    try named(subject) { () throws(SyscallError) in
        try mount(procfsName(of: source).string, onto: procfsName(of: target), flags: flags)
    }
}

/// Moves the mount that one descriptor is the root of onto what another refers to. - Source: mount(2), MS_MOVE.
package func moveClassicMount(_ mounted: Int32, onto target: Int32, subject: String) throws(SyscallError) {
    try named(subject) { () throws(SyscallError) in
        try mount(procfsName(of: mounted).string, onto: procfsName(of: target), flags: .move)
    }
}

/// Changes attributes of the one mount that a descriptor is the root of; the others stay as they are, which keeps those that a user
/// namespace locks.
/// - Throws: EOPNOTSUPP for `noSymlinkFollow` before Linux 5.10, which ignores it.
/// - Source: mount(2), MS_REMOUNT with MS_BIND.
package func changeClassicAttributes(
    of mounted: Int32, set: MountAttributes, clear: MountAttributes, subject: String
) throws(SyscallError) {
    let wanted = try mountAttributes(of: mounted).subtracting(clear).union(set)
    try named(subject) { () throws(SyscallError) in
        try mount("", onto: procfsName(of: mounted), flags: MountFlags(wanted).union([.remount, .bind]))
    }
    try requireSymlinkAttribute(wanted, of: mounted)
}

/// - Throws: EOPNOTSUPP where `noSymlinkFollow` was asked for and the mount does not have it.
package func requireSymlinkAttribute(_ wanted: MountAttributes, of mounted: Int32) throws(SyscallError) {
    guard wanted.contains(.noSymlinkFollow) else { return }
    if try !mountAttributes(of: mounted).contains(.noSymlinkFollow) { throw SyscallError("mount", "nosymfollow", errno: EOPNOTSUPP) }
}

/// Changes the propagation of the mount at a path, or of all below it too. - Source: mount(2), "Changing the propagation type".
package func changeClassicPropagation(
    at path: FilePath, to propagation: MountPropagation, recursive: Bool, subject: String
) throws(SyscallError) {
    try named(subject) { () throws(SyscallError) in
        try mount("", onto: path, flags: recursive ? [propagation.flags, .recursive] : propagation.flags)
    }
}

/// What a refusal is about, instead of names that mean nothing to a reader.
private func named(_ subject: String, _ body: () throws(SyscallError) -> Void) throws(SyscallError) {
    do throws(SyscallError) { try body() } catch { throw SyscallError("mount", subject, errno: error.errno) }
}

/// The attributes of the mount that a descriptor lies on; a file system that is read-only as a whole shows as a read-only mount.
/// - Source: fstatvfs(3), statfs(2).
package func mountAttributes(of descriptor: Int32) throws(SyscallError) -> MountAttributes {
    var status = statvfs()
    try retryingInterrupted("fstatvfs", "descriptor \(descriptor)") { unsafe fstatvfs(descriptor, &status) }
    return MountAttributes(fileSystemFlags: UInt64(status.f_flag))
}

extension MountAttributes {
    /// ST_RDONLY and the others. - Source: statfs(2).
    package init(fileSystemFlags flags: UInt64) {
        self = []
        for (bit, attribute) in Self.fileSystemBits where flags & bit != 0 { insert(attribute) }
        // Neither noatime nor relatime.
        if flags & 0x1400 == 0 { insert(.strictAccessTime) }
    }

    private static let fileSystemBits: [(UInt64, MountAttributes)] = [
        (0x1, .readOnly), (0x2, .noSetUserID), (0x4, .noDevices), (0x8, .noExecute), (0x400, .noAccessTime),
        (0x800, .noDirectoryAccessTime),
        (0x2000, .noSymlinkFollow),
    ]
}

extension MountFlags {
    /// Exactly these attributes, for a new mount or one that is mounted again: access times are always said, for what is not said stays.
    package init(_ attributes: MountAttributes) {
        self = []
        for (attribute, flag) in Self.flagsOfAttributes where attributes.contains(attribute) { insert(flag) }
        if attributes.isDisjoint(with: [.noAccessTime, .strictAccessTime]) { insert(.relativeAccessTime) }
    }

    private static let flagsOfAttributes: [(MountAttributes, MountFlags)] = [
        (.readOnly, .readOnly), (.noSetUserID, .noSetUserID), (.noDevices, .noDevices), (.noExecute, .noExecute),
        (.noAccessTime, .noAccessTime), (.strictAccessTime, .strictAccessTime), (.noDirectoryAccessTime, .noDirectoryAccessTime),
        (.noSymlinkFollow, .noSymlinkFollow),
    ]
}

extension MountPropagation {
    /// As mount(2) takes it: the numbers are the same.
    fileprivate var flags: MountFlags { MountFlags(rawValue: rawValue) }
}

/// The number of the mount that a descriptor lies on. - Source: proc_pid_fdinfo(5), `mnt_id`, Linux 3.15.
package func mountNumber(of descriptor: Int32) throws(SyscallError) -> UInt32 {
    let path = "/proc/self/fdinfo/\(descriptor)"
    let text = String(decoding: try readFile(FilePath(path), limitBytes: 4096), as: UTF8.self)
    for line in fields(of: text[...], separatedBy: UInt8(ascii: "\n")) where line.hasPrefix("mnt_id:") {
        if let word = fields(of: line, separatedBy: UInt8(ascii: "\t")).last, let number = UInt32(word) { return number }
    }
    throw SyscallError("read", path, errno: EBADMSG)
}
