internal import Glibc
internal import LinuxSyscalls
internal import OCISpec

/// Pipes and terminals that the runtime was given become the user's, who may then open /dev/stdout anew.
/// Devices stay the host's, but for the container's own terminal.
struct StandardFilesOwner {
    let userID: UInt32
    let hasTerminal: Bool

    init(userID: UInt32, hasTerminal: Bool) {
        self.userID = userID
        self.hasTerminal = hasTerminal
    }

    /// The owner as the host knows them; nil where they have no meaning there. Within a user namespace nobody has rights over files that it
    /// does not map: it is done before that is entered.
    init?(_ plan: ProcessPlan, in linux: LinuxConfiguration?) {
        guard let userID = linux?.uidMappings.lazy.compactMap({ $0.hostID(of: plan.user.uid) }).first else { return nil }
        self.init(userID: userID, hasTerminal: plan.terminal)
    }

    func handOver() throws(RuntimeError) {
        for descriptor: Int32 in 0...2 {
            guard let status = try? fileStatus(of: descriptor), status.userID != userID else { continue }
            if [.characterDevice, .blockDevice].contains(status.type) && !hasTerminal { continue }
            do {
                try changeOwner(of: descriptor, userID: userID, groupID: status.groupID, subject: "standard file \(descriptor)")
            } catch {
                // What cannot be owned by someone else (sockets, read-only mounts, unmapped ids) still works as it is.
                guard [EINVAL, EPERM, EROFS, ENOSYS, EOPNOTSUPP].contains(error.errno) else {
                    throw RuntimeError(doing: "handing over the standard files", error)
                }
            }
        }
    }
}
