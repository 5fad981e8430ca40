internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

extension Cgroup {
    /// What is handed over where the kernel does not say, before Linux 4.15.
    private static let delegatedFiles = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
    /// Where the kernel says which files of a cgroup belong to whom it is delegated to. - Source: cgroup-v2.rst, "Model of Delegation".
    private static let delegationFile: FilePath = "/sys/kernel/cgroup/delegate"
    private static let delegationLimitBytes = 65_536

    /// Lets a user make cgroups below this one and put processes into them: the directory becomes theirs, and those files that the kernel
    /// names for it and that are there. v1 has nothing that could be handed over safely, and where it rules nothing changes.
    /// - Parameter userID: of the host.
    /// - Spec: config-linux.md, "Cgroup ownership".
    package func handOver(to userID: UInt32) throws(CgroupError) {
        guard record.mode == .unified, let leaf = unifiedLeaf else { return }
        try doing("give cgroup \(leaf.path) to user \(userID)") { () throws(SyscallError) in
            for name in try Self.filesToHandOver() {
                do throws(SyscallError) { try changeOwner(FilePath(name), userID: userID, groupID: .max, at: leaf.number) } catch {
                    // Of a controller that is not enabled here.
                    if error.errno != ENOENT { throw error }
                }
            }
            try changeOwner(of: leaf.number, userID: userID, groupID: .max, subject: leaf.path.string)
        }
    }

    private static func filesToHandOver() throws(SyscallError) -> [String] {
        do throws(SyscallError) {
            let text = String(decoding: try readFile(delegationFile, limitBytes: delegationLimitBytes), as: UTF8.self)
            return text.split(separator: "\n").map(String.init).filter { !$0.contains("/") && !$0.hasPrefix(".") }
        } catch {
            if error.errno == ENOENT { return delegatedFiles }
            throw error
        }
    }
}
