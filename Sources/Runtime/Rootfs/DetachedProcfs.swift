internal import Glibc
package import LinuxSyscalls
internal import SystemPackage

/// A procfs that no path of any container leads to, to write settings through: whatever an image or a shared volume puts at /proc,
/// the write reaches the kernel's own file (CVE-2019-19921, CVE-2025-52881).
package struct DetachedProcfs: ~Copyable {
    private let mount: OwnedFD

    /// Makes one for the calling process's pid namespace; where the kernel refuses that, as to a user namespace that sees only a
    /// covered procfs, takes the host's, so long as the root is still the host's.
    package init() throws(SyscallError) {
        let fresh: OwnedFD
        do throws(SyscallError) {
            let context = try openFileSystem(type: "proc")
            try createFileSystem(context, subject: "proc")
            fresh = try mountFileSystem(context, [.noSetUserID, .noDevices, .noExecute], subject: "proc")
        } catch {
            fresh = try openFile("/proc", [.path, .directory, .noFollow])
        }
        try self.init(verifying: fresh)
    }

    /// Takes a mount for procfs once the kernel says that it is.
    init(verifying mount: consuming OwnedFD) throws(SyscallError) {
        try verifyKind(of: mount.number, is: .proc, "the mount is not procfs")
        self.mount = mount
    }

    /// Writes a file below the procfs with one write(2). Neither links nor other mounts are crossed.
    /// - Parameter path: relative: `sys/net/ipv4/ip_forward`, `thread-self/attr/exec`.
    package func write(_ value: String, to path: String) throws(SyscallError) {
        let file = try open(FilePath(path))
        try writeAll(Array(value.utf8), to: file.number, subject: path)
    }

    private func open(_ path: FilePath) throws(SyscallError) -> OwnedFD {
        do throws(SyscallError) {
            return try openInRoot(path, .writeOnly, root: mount, resolve: [.beneath, .noMagicLinks, .noSymlinks, .noCrossDevice])
        } catch {
            // No openat2 in this kernel, or none through the filter that we run under.
            guard error.errno == ENOSYS || error.errno == EPERM else { throw error }
            return try walk(path)
        }
    }

    /// The same by single components, each of which must be of procfs too.
    private func walk(_ path: FilePath) throws(SyscallError) -> OwnedFD {
        var current = try mount.duplicate()
        for component in path.removingLastComponent().components where component.kind == .regular {
            current = try openFile(FilePath(component.string), [.path, .directory, .noFollow], at: current.number)
            try verifyKind(of: current.number, is: .proc, "\(path) leads out of procfs")
        }
        let file = try openFile(FilePath(path.lastComponent?.string ?? ""), [.writeOnly, .noFollow], at: current.number)
        try verifyKind(of: file.number, is: .proc, "\(path) leads out of procfs")
        return file
    }
}

/// Checks what file system a descriptor lies on. - Throws: EPERM with `problem` for another one.
func verifyKind(of descriptor: Int32, is kind: FileSystemKind, _ problem: String) throws(SyscallError) {
    if try fileSystemKind(of: descriptor, subject: problem) != kind { throw SyscallError("verify:", problem, errno: EPERM) }
}
