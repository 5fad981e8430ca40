internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// Where mounts are that have no place yet, on kernels that know no detached ones: in a tmpfs of our own over the container's root, into which no
/// path of the container leads. What is made here is moved to its place by descriptors.
final package class MountYard {
    /// The tmpfs's name in the mount table.
    package static let source = "apus-yard"

    private static let directoryName: FilePath = "directory"
    private static let fileName: FilePath = "file"

    private var top: OwnedFD?

    /// Makes a mount of a new file system.
    func makeMount(
        type: String, source: String, _ mount: ClassicMount, _ attributes: MountAttributes
    ) throws(SyscallError) -> OwnedFD {
        let number = try topNumber()
        let flags = mount.flags.union(MountFlags(attributes))
        let place = procfsName(of: number).appending(Self.directoryName.string)
        do throws(SyscallError) {
            try LinuxSyscalls.mount(source, onto: place, type: type, flags: flags, data: mount.data)
        } catch { throw SyscallError("mount", mount.data.isEmpty ? type : "\(type) with \(mount.data)", errno: error.errno) }
        let made = try openFile(Self.directoryName, [.path, .directory, .noFollow], at: number)
        try requireSymlinkAttribute(attributes, of: made.number)
        return made
    }

    /// Makes a mount of what a descriptor refers to; with `recursive`, of what is mounted below it as well.
    func copyMount(of descriptor: Int32, recursive: Bool, subject: String) throws(SyscallError) -> OwnedFD {
        let number = try topNumber()
        let isDirectory = try fileStatus(of: descriptor, subject: subject).type == .directory
        let name = isDirectory ? Self.directoryName : Self.fileName
        let place = try openFile(name, [.path, .noFollow], at: number)
        try bindMount(descriptor, onto: place.number, recursive: recursive, subject: subject)
        return try openFile(name, [.path, .noFollow], at: number)
    }

    /// Makes the yard, unless it is there.
    /// - Parameters:
    ///   - root: the container's root, a mount.
    ///   - path: of the host, where the root lies.
    func open(over root: Int32, at path: String) throws(SyscallError) {
        if top != nil { return }
        try Self.verifyProcfs()
        do throws(SyscallError) {
            try LinuxSyscalls.mount(
                Self.source, onto: procfsName(of: root), type: "tmpfs", flags: [.noSetUserID, .noDevices, .noExecute], data: "mode=0700")
        } catch { throw SyscallError("mount", "tmpfs", errno: error.errno) }
        // The mount has no descriptor yet; its place has the host's name only, which no container can change.
        let opened = try openFile(FilePath(path), [.path, .directory])
        try verifyKind(of: opened.number, is: .tmpfs, "another mount lies over the root")
        if try mountNumber(of: opened.number) == mountNumber(of: root) {
            throw SyscallError("verify:", "the root cannot be mounted over", errno: EBUSY)
        }
        let number = opened.number
        top = .some(opened)
        // The container may ask for a copy of all that is mounted on the host; this is not the host's.
        try changeClassicPropagation(at: procfsName(of: number), to: .unbindable, recursive: false, subject: "tmpfs")
        try makeDirectory(Self.directoryName, mode: 0o700, at: number)
        try makeNode(Self.fileName, .regular, mode: 0o600, at: number)
    }

    /// Checks that names of descriptors are the kernel's: in a mount namespace that was joined, anything may lie at /proc.
    static func verifyProcfs() throws(SyscallError) {
        let names = try openFile("/proc/self/fd", [.path, .directory])
        try verifyKind(of: names.number, is: .proc, "what lies at /proc is not procfs")
    }

    /// Takes the yard away, with what is left in it; none is no error. What has a place of its own stays.
    func close() throws(SyscallError) {
        guard let number = try? topNumber() else { return }
        try unmount(procfsName(of: number), .detach)
        top = nil
    }

    private func topNumber() throws(SyscallError) -> Int32 {
        switch top {
        case .some(let top): return top.number
        case .none: throw SyscallError("open", "the yard, before it was made", errno: EBADF)
        }
    }
}
