internal import CLinux
internal import Glibc
package import SystemPackage

/// What a directory entry is.
package enum FileType: UInt32, Sendable {
    case pipe = 0o010000
    case characterDevice = 0o020000
    case directory = 0o040000
    case blockDevice = 0o060000
    case regular = 0o100000
    case symbolicLink = 0o120000
    case socket = 0o140000
}

/// A device number in its two parts.
package struct DeviceNumber: Hashable, Sendable {
    package let major: UInt32
    package let minor: UInt32
    package init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }
}

/// A moment as file systems keep it: seconds since 1970 and nanoseconds, 0 to 999 999 999.
package struct FileTime: Hashable, Sendable {
    package let seconds: Int64
    package let nanoseconds: Int64
    package init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}

/// What stat(2) says of a file.
package struct FileStatus: Equatable, Sendable {
    /// The type; nil for one that this table does not know.
    package let type: FileType?
    /// Permissions with set-id and sticky bits, 0 to 0o7777.
    package let mode: UInt32
    package let userID: UInt32
    package let groupID: UInt32
    package let sizeBytes: Int64
    /// What the file takes on disk.
    package let allocatedBytes: Int64
    package let linkCount: UInt64
    package let inode: UInt64
    /// The device that the file lies on.
    package let fileSystem: DeviceNumber
    /// The device that the file is, for a device node.
    package let device: DeviceNumber
    package let modified: FileTime

    init(_ status: stat) {
        type = FileType(rawValue: status.st_mode & 0o170000)
        mode = status.st_mode & 0o7777
        userID = status.st_uid
        groupID = status.st_gid
        sizeBytes = Int64(status.st_size)
        allocatedBytes = Int64(status.st_blocks) * 512
        linkCount = UInt64(status.st_nlink)
        inode = UInt64(status.st_ino)
        fileSystem = DeviceNumber(major: clinux_major(UInt64(status.st_dev)), minor: clinux_minor(UInt64(status.st_dev)))
        device = DeviceNumber(major: clinux_major(UInt64(status.st_rdev)), minor: clinux_minor(UInt64(status.st_rdev)))
        modified = FileTime(seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
    }
}

/// The status of an open file, O_PATH descriptors included. - Source: fstat(2).
package func fileStatus(of descriptor: Int32, subject: String = "") throws(SyscallError) -> FileStatus {
    var status = stat()
    try checked("stat", subject) { unsafe clinux_fstatat(descriptor, "", &status, 0x1000) }
    return FileStatus(status)
}

/// The status of `path`; of a symbolic link itself unless `followingLinks`. - Source: fstatat(2).
package func fileStatus(
    _ path: FilePath, at directory: Int32 = currentDirectory, followingLinks: Bool = false
) throws(SyscallError) -> FileStatus {
    var status = stat()
    try checked("stat", path.string) {
        unsafe path.withPlatformString {
            unsafe clinux_fstatat(directory, $0, &status, followingLinks ? 0 : AT_SYMLINK_NOFOLLOW)
        }
    }
    return FileStatus(status)
}

/// When content, owner, mode, links or name of `path` changed last; of a symbolic link itself. - Source: fstatat(2), `st_ctim`.
package func changeTime(of path: FilePath) throws(SyscallError) -> FileTime {
    var status = stat()
    try checked("stat", path.string) {
        unsafe path.withPlatformString { unsafe clinux_fstatat(currentDirectory, $0, &status, AT_SYMLINK_NOFOLLOW) }
    }
    return FileTime(seconds: Int64(status.st_ctim.tv_sec), nanoseconds: Int64(status.st_ctim.tv_nsec))
}

/// Where an open file lies among the mounts.
package struct MountPlace: Equatable, Sendable {
    /// What the kernel calls the mount, until it is taken away.
    package let mount: UInt64
    /// Whether the file is what the mount shows in its place.
    package let isRoot: Bool
}

/// The mount that an open file lies on, O_PATH descriptors included; a server that does not answer is not asked.
/// - Source: statx(2), STATX_MNT_ID, AT_STATX_DONT_SYNC.
package func mountPlace(of descriptor: Int32, subject: String = "") throws(SyscallError) -> MountPlace {
    var (mount, isRoot): (UInt64, Int32) = (0, 0)
    try checked("statx", subject) { unsafe clinux_mount_of(descriptor, &mount, &isRoot) }
    return MountPlace(mount: mount, isRoot: isRoot != 0)
}

/// Makes a device node, pipe, socket or empty regular file; the mode is cut by the umask. - Source: mknodat(2).
package func makeNode(
    _ path: FilePath, _ type: FileType, mode: UInt32, device: DeviceNumber = DeviceNumber(major: 0, minor: 0),
    at directory: Int32 = currentDirectory
) throws(SyscallError) {
    try checked("mknod", path.string) {
        unsafe path.withPlatformString {
            unsafe clinux_mknodat(directory, $0, type.rawValue | mode & 0o7777, device.major, device.minor)
        }
    }
}

/// Gives a file, not what a symbolic link points to, a new owner. - Source: fchownat(2), AT_SYMLINK_NOFOLLOW.
package func changeOwner(
    _ path: FilePath, userID: UInt32, groupID: UInt32, at directory: Int32 = currentDirectory
) throws(SyscallError) {
    try retryingInterrupted("chown", path.string) {
        unsafe path.withPlatformString { unsafe fchownat(directory, $0, userID, groupID, AT_SYMLINK_NOFOLLOW) }
    }
}

/// Gives an open file, an O_PATH descriptor too, a new owner. - Source: fchownat(2), AT_EMPTY_PATH.
package func changeOwner(of descriptor: Int32, userID: UInt32, groupID: UInt32, subject: String = "") throws(SyscallError) {
    try retryingInterrupted("chown", subject) { unsafe fchownat(descriptor, "", userID, groupID, 0x1000) }
}

/// Changes the mode of an open file; not through an O_PATH descriptor. - Source: fchmod(2).
package func changeMode(of descriptor: Int32, to mode: UInt32, subject: String = "") throws(SyscallError) {
    try retryingInterrupted("chmod", subject) { fchmod(descriptor, mode) }
}

/// Changes the mode of a file. Follows a symbolic link as the last component: check first where others can make one.
/// - Source: fchmodat(2).
package func changeMode(_ path: FilePath, to mode: UInt32, at directory: Int32 = currentDirectory) throws(SyscallError) {
    try retryingInterrupted("chmod", path.string) {
        unsafe path.withPlatformString { unsafe fchmodat(directory, $0, mode, 0) }
    }
}

/// Sets the access and modification times of a file, or of a symbolic link itself. - Source: utimensat(2).
package func setTimes(
    _ path: FilePath, accessed: FileTime, modified: FileTime, at directory: Int32 = currentDirectory
) throws(SyscallError) {
    let times = [
        timespec(tv_sec: Int(accessed.seconds), tv_nsec: Int(accessed.nanoseconds)),
        timespec(tv_sec: Int(modified.seconds), tv_nsec: Int(modified.nanoseconds)),
    ]
    try retryingInterrupted("utimensat", path.string) {
        unsafe path.withPlatformString { unsafe utimensat(directory, $0, times, AT_SYMLINK_NOFOLLOW) }
    }
}

/// Makes a symbolic link that says `target`. - Source: symlinkat(2).
package func makeSymbolicLink(_ path: FilePath, to target: FilePath, at directory: Int32 = currentDirectory) throws(SyscallError) {
    try retryingInterrupted("symlink", "\(path) to \(target)") {
        unsafe path.withPlatformString { name in
            unsafe target.withPlatformString { target in unsafe symlinkat(target, directory, name) }
        }
    }
}

/// Makes a second name of a file, of a symbolic link itself where `existing` is one. - Source: linkat(2), no AT_SYMLINK_FOLLOW.
package func makeHardLink(
    _ path: FilePath, to existing: FilePath, at directory: Int32 = currentDirectory, existingAt existingDirectory: Int32 = currentDirectory
) throws(SyscallError) {
    try retryingInterrupted("link", "\(path) to \(existing)") {
        unsafe path.withPlatformString { name in
            unsafe existing.withPlatformString { existing in unsafe linkat(existingDirectory, existing, directory, name, 0) }
        }
    }
}

/// What a symbolic link says; an empty path means that `directory` is an O_PATH descriptor of the link. - Source: readlinkat(2).
/// - Throws: ENAMETOOLONG for a text of 4096 bytes or more.
package func readSymbolicLink(_ path: FilePath, at directory: Int32 = currentDirectory) throws(SyscallError) -> FilePath {
    let (text, _) = try symbolicLinkCharacters(path, at: directory)
    return unsafe text.withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return FilePath() }
        return unsafe FilePath(platformString: start)
    }
}

/// What a symbolic link says, with NULs after it, and how long it is.
func symbolicLinkCharacters(_ path: FilePath, at directory: Int32) throws(SyscallError) -> (text: [CChar], length: Int) {
    var text = [CChar](repeating: 0, count: 4097)
    let length = try retryingInterrupted("readlink", path.string) {
        unsafe path.withPlatformString { unsafe readlinkat(directory, $0, &text, 4096) }
    }
    if length == 4096 { throw SyscallError("readlink", path.string, errno: ENAMETOOLONG) }
    return (text, length)
}

/// Sets an extended attribute of an open file. - Source: fsetxattr(2).
package func setExtendedAttribute(_ name: String, to value: [UInt8], of descriptor: Int32, subject: String = "") throws(SyscallError) {
    try retryingInterrupted("setxattr", "\(name) of \(subject)") { unsafe fsetxattr(descriptor, name, value, value.count, 0) }
}

/// Sets an extended attribute of a file, or of a symbolic link itself. - Source: lsetxattr(2).
package func setExtendedAttribute(_ name: String, to value: [UInt8], ofLink path: FilePath) throws(SyscallError) {
    try retryingInterrupted("setxattr", "\(name) of \(path)") {
        unsafe path.withPlatformString { unsafe lsetxattr($0, name, value, value.count, 0) }
    }
}

/// An extended attribute of an open file, of at most 64 KiB (the kernel's limit); nil where there is none.
/// - Source: fgetxattr(2).
package func extendedAttribute(_ name: String, of descriptor: Int32, subject: String = "") throws(SyscallError) -> [UInt8]? {
    var value = [UInt8](repeating: 0, count: 65_536)
    do throws(SyscallError) {
        let count = try retryingInterrupted("getxattr", "\(name) of \(subject)") {
            unsafe fgetxattr(descriptor, name, &value, value.count)
        }
        return Array(value[..<count])
    } catch  where error.errno == ENODATA { return nil }
}

/// The names of an open file's extended attributes, of at most 64 KiB together (the kernel's limit). - Source: flistxattr(2).
package func extendedAttributeNames(of descriptor: Int32, subject: String = "") throws(SyscallError) -> [String] {
    var names = [CChar](repeating: 0, count: 65_536)
    let count = try retryingInterrupted("listxattr", subject) { unsafe flistxattr(descriptor, &names, names.count) }
    return names[..<count].split(separator: 0).map { String(decoding: $0.map(UInt8.init(bitPattern:)), as: UTF8.self) }
}
