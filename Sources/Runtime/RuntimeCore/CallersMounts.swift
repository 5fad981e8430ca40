internal import Glibc
internal import JSON
internal import LinuxSyscalls
internal import SystemPackage

/// The mounts of a container that has no mount namespace of its own: they lie in its caller's, all below one mount of the container's root,
/// and outlive its processes.
package struct CallersMounts: Equatable, Sendable {
    /// The inode of the mount namespace.
    package var namespace: UInt64
    /// The mount that the root's directory lies in without ours.
    package var below: UInt32
    /// The root's directory, which is the root of ours too: whatever else lies there meanwhile is not taken away.
    package var inode: UInt64

    /// Looks where the mount of a root will be, and makes nothing yet.
    init(before rootfs: String) throws(RuntimeError) {
        (namespace, below, inode) = try during("root.path: looking at the root's mount") { () throws(SyscallError) in
            let root = try openFile(FilePath(rootfs), [.path, .directory])
            return (try Self.ownNamespace(), try Self.mount(of: root), try fileStatus(of: root.number, subject: rootfs).inode)
        }
    }

    /// Takes our mount of a root, and what lies below it, out of the caller's namespace; one that is not there is no error.
    /// - Returns: why it is left where it is.
    func undo(at rootfs: String) throws(RuntimeError) -> String? {
        try during("undoing the container's mounts") { () throws(SyscallError) in
            if try Self.ownNamespace() != namespace {
                return "the container's mounts at \(rootfs) are left: they are in another mount namespace, whose inode is \(namespace)"
            }
            let root: OwnedFD
            do throws(SyscallError) { root = try openFile(FilePath(rootfs), [.path, .directory]) } catch {
                if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
                throw error
            }
            let mount = try Self.mount(of: root)
            if mount == below { return nil }
            let isRoot = try fileStatus(of: root.number, subject: rootfs).inode == inode
            let mounts = try mountTable()
            guard isRoot, mounts.contains(where: { $0.id == mount && $0.parentID == below }) else {
                return "what is mounted at \(rootfs) is left: it is not the container's, or covers what is"
            }
            try unmount(FilePath("/proc/self/fd/\(root.number)"), .detach)
            return nil
        }
    }

    private static func ownNamespace() throws(SyscallError) -> UInt64 { try fileStatus("/proc/self/ns/mnt", followingLinks: true).inode }

    /// The number of the mount that a descriptor leads into. - Source: proc_pid_fdinfo(5).
    private static func mount(of file: borrowing OwnedFD) throws(SyscallError) -> UInt32 {
        let path = "/proc/self/fdinfo/\(file.number)"
        let text = String(decoding: try readFile(FilePath(path), limitBytes: 4096), as: UTF8.self)
        for line in fields(of: text[...], separatedBy: UInt8(ascii: "\n")) where line.hasPrefix("mnt_id:") {
            if let word = fields(of: line, separatedBy: UInt8(ascii: "\t")).last, let number = UInt32(word) { return number }
        }
        throw SyscallError("read", path, errno: EBADMSG)
    }
}

// As a container's record has it.
extension CallersMounts {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("namespace", namespace)
            writer.member("below", below)
            writer.member("inode", inode)
        }
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var (namespace, below, inode): (UInt64?, UInt32?, UInt64?) = (nil, nil, nil)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "namespace": namespace = try reader.readInteger()
            case "below": below = try reader.readInteger()
            case "inode": inode = try reader.readInteger()
            default: try reader.skipValue()
            }
        }
        guard let namespace, let below, let inode else { throw reader.problem("namespace, below and inode are required") }
        self.namespace = namespace
        self.below = below
        self.inode = inode
    }
}
