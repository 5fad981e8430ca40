internal import LinuxSyscalls

/// Which file of the machine this is: the same for every path that leads to it, and for every name that it has.
struct FileID: Hashable {
    private let fileSystem: DeviceNumber
    private let inode: UInt64

    init(_ status: FileStatus) { (fileSystem, inode) = (status.fileSystem, status.inode) }
}
