internal import Glibc
internal import JSON
internal import LinuxSyscalls
internal import Rootfs
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
            return (try Self.ownNamespace(), try mountNumber(of: root.number), try fileStatus(of: root.number, subject: rootfs).inode)
        }
    }

    /// Takes our mount of a root, and what lies below it, out of the caller's namespace; one that is not there is no error.
    /// - Returns: why it is left where it is.
    func undo(at rootfs: String) throws(RuntimeError) -> String? {
        try during("undoing the container's mounts") { () throws(SyscallError) in
            if try Self.ownNamespace() != namespace {
                return "the container's mounts at \(rootfs) are left: they are in another mount namespace, whose inode is \(namespace)"
            }
            return try undoMount(at: rootfs)
        }
    }

    private func undoMount(at rootfs: String) throws(SyscallError) -> String? {
        let root: OwnedFD
        do throws(SyscallError) { root = try openFile(FilePath(rootfs), [.path, .directory]) } catch {
            if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
            throw error
        }
        let number = try mountNumber(of: root.number)
        if number == below { return nil }
        let mount = try mountTable().first { $0.id == number }
        if mount?.source == MountYard.source {
            // Of an init that was killed while it mounted: the root's mount lies under it.
            try unmount(procfsName(of: root.number), .detach)
            return try undoMount(at: rootfs)
        }
        let isRoot = try fileStatus(of: root.number, subject: rootfs).inode == inode
        guard isRoot, mount?.parentID == below else {
            return "what is mounted at \(rootfs) is left: it is not the container's, or covers what is"
        }
        try unmount(procfsName(of: root.number), .detach)
        return nil
    }

    private static func ownNamespace() throws(SyscallError) -> UInt64 { try fileStatus("/proc/self/ns/mnt", followingLinks: true).inode }
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
