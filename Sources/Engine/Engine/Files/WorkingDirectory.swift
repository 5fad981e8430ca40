internal import EngineAPI
internal import LinuxSyscalls
internal import Snapshots
internal import SystemPackage

/// The directory that a container's program begins in. Where the image has none it is made with the container, so that files can be
/// copied into it before the first start.
/// - Source: moby, daemon/container, `SetupWorkingDirectory`.
struct WorkingDirectory: Sendable {
    private let path: TreePath

    /// nil for one that needs no making: the root, and what lies in something mounted, where the runtime makes it.
    init?(_ config: ContainerConfig, beside mounts: MountPlan) {
        path = TreePath(config.workingDir)
        let clean = path.clean
        guard clean != "/", !mounts.entries.contains(where: { (clean + "/").hasPrefix($0.destination + "/") }) else { return nil }
    }

    /// Makes it in a root that nobody has mounted. Blocks.
    /// - Parameter scratch: any directory of the host.
    /// - Throws: `.system` in Docker's words where something else stands there.
    func make(in mounts: [SnapshotMount], scratch: FilePath) throws(EngineError) {
        let tree = try LayeredTree(mounts: mounts)
        do throws(SyscallError) {
            switch try tree.kind(behind: path.clean) {
            case .directory: return
            case nil:
                // Directories above it may be the image's, which the kernel is better at copying.
                try ContainerRoot.mount(mounts, binds: [], writable: true, scratch: scratch).makeDirectories(path)
            default: throw SyscallError("mkdir", path.clean, errno: Errno.notDirectory.rawValue)
            }
        } catch {
            guard Errno(rawValue: error.errno) == .notDirectory else { throw .system("make the working directory", error) }
            throw EngineError(.system, "Cannot mkdir: \(path.clean) is not a directory", cause: error)
        }
    }
}
