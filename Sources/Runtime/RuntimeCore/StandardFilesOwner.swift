internal import Glibc
internal import LinuxSyscalls
internal import OCISpec

/// Who becomes the owner of the standard files that the runtime was given, and may then open /dev/stdout anew.
///
/// A device among them is the host's, terminals too, and stays what it is whatever was asked for: only a terminal that we have just made
/// in the container is given away, by who made it.
struct StandardFilesOwner {
    let userID: UInt32

    init(userID: UInt32) { self.userID = userID }

    /// The owner as the host knows them; nil where they have no meaning there, and with a terminal, which takes the place of what we were
    /// given. Within a user namespace nobody has rights over files that it does not map: it is done before that is entered.
    init?(_ plan: ProcessPlan, in linux: LinuxConfiguration?) {
        guard !plan.terminal, let userID = linux?.uidMappings.lazy.compactMap({ $0.hostID(of: plan.user.uid) }).first else { return nil }
        self.init(userID: userID)
    }

    /// Gives away what of descriptors 0 to 2 is no device.
    func handOver() throws(RuntimeError) {
        for descriptor: Int32 in 0...2 {
            guard let status = try? fileStatus(of: descriptor) else { continue }
            switch status.type {
            case .characterDevice, .blockDevice, nil: continue
            case .pipe, .socket, .regular, .directory, .symbolicLink: try handOver(descriptor, status, "standard file \(descriptor)")
            }
        }
    }

    /// Gives away the container's own terminal.
    /// - Parameter slave: opened through the master that was just made, by no path.
    func handOver(terminal slave: borrowing OwnedFD) throws(RuntimeError) {
        guard let status = try? fileStatus(of: slave.number) else { return }
        try handOver(slave.number, status, "the terminal")
    }

    private func handOver(_ descriptor: Int32, _ status: FileStatus, _ subject: String) throws(RuntimeError) {
        if status.userID == userID { return }
        do {
            try changeOwner(of: descriptor, userID: userID, groupID: status.groupID, subject: subject)
        } catch {
            // What cannot be owned by someone else (sockets, read-only mounts, unmapped ids) still works as it is.
            guard [EINVAL, EPERM, EROFS, ENOSYS, EOPNOTSUPP].contains(error.errno) else {
                throw RuntimeError(doing: "handing over the standard files", error)
            }
        }
    }
}
