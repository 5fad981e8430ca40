internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// Turns the calling process into the user that the payload runs as.
struct Identity {
    let plan: ProcessPlan
    /// Whether loading the filter will need CAP_SYS_ADMIN: there is one, and no no_new_privs that would replace the capability.
    let filterNeedsPrivilege: Bool

    /// Everything up to the last capset(2): bounding set, groups, user, working directory, capabilities.
    /// - Returns: the capabilities that the payload gets, and those that the machine cannot give it.
    func assume() throws(RuntimeError) -> (granted: CapabilityPlan, missing: CapabilitySet) {
        var capabilities = plan.capabilities
        let machine = boundingCapabilities()
        let missing = capabilities.restrict(to: machine)
        let entered = try enterWorkingDirectory()
        try during("setting the bounding capabilities") { () throws(SyscallError) in
            for number in machine.subtracting(capabilities.bounding).numbers { try dropBoundingCapability(number) }
            try setKeepCapabilities(true)
        }
        try StandardFilesOwner(userID: plan.user.uid).handOver()
        try during("process.user: becoming user \(plan.user.uid):\(plan.user.gid)") { () throws(SyscallError) in
            if !(plan.keepsGroups && plan.user.additionalGIDs.isEmpty) { try setSupplementaryGroups(plan.user.additionalGIDs) }
            try setGroup(plan.user.gid)
            try setUser(plan.user.uid)
            try setKeepCapabilities(false)
            // A change of user may have undone it.
            try hideFromContainer()
        }
        if !entered { try retryWorkingDirectory() }
        try checkWorkingDirectory()
        setFileCreationMask(plan.user.umask ?? 0o022)
        try setCapabilities(capabilities, keepingPrivilege: filterNeedsPrivilege)
        return (capabilities, missing)
    }

    /// Down to what the payload gets, once nothing privileged is left to be done.
    func renouncePrivilege(granted: CapabilityPlan) throws(RuntimeError) {
        if filterNeedsPrivilege { try setCapabilities(granted, keepingPrivilege: false) }
    }

    /// For the filter: CAP_SYS_ADMIN, still permitted, becomes effective.
    func regainPrivilege() throws(RuntimeError) {
        guard filterNeedsPrivilege else { return }
        try during("preparing to load the seccomp filter") { () throws(SyscallError) in
            var sets = try threadCapabilities()
            sets.effective.insert(.sysAdmin)
            try setThreadCapabilities(sets)
        }
    }

    private func setCapabilities(_ capabilities: CapabilityPlan, keepingPrivilege: Bool) throws(RuntimeError) {
        try during("setting capabilities") { () throws(SyscallError) in
            var sets = ThreadCapabilities(
                effective: capabilities.effective, permitted: capabilities.permitted, inheritable: capabilities.inheritable)
            if keepingPrivilege { sets.permitted.insert(.sysAdmin) }
            try setThreadCapabilities(sets)
            if keepingPrivilege { return }
            for number in capabilities.raisableAmbient.numbers { try raiseAmbientCapability(number) }
        }
    }
}

// Working directory.
extension Identity {
    /// Tried with privileges first. Returns false where permission was denied: the user may be the one who has it.
    private func enterWorkingDirectory() throws(RuntimeError) -> Bool {
        do {
            try enter()
            return true
        } catch {
            if error.errno == EACCES || error.errno == EPERM { return false }
            throw cannotEnter(error)
        }
    }

    private func retryWorkingDirectory() throws(RuntimeError) {
        do { try enter() } catch { throw cannotEnter(error) }
    }

    /// In runc's words, by which docker and its clients know a directory that is not there.
    private func cannotEnter(_ error: SyscallError) -> RuntimeError {
        let reason = "chdir to cwd (\(plan.workingDirectory.debugDescription)) set in config.json failed"
        return RuntimeError(.refused, doing: "process.cwd: \(reason)", errnoMessage(error.errno).lowercasedFirst)
    }

    /// No magic link of procfs is followed: `/proc/self/fd/7` would lead to a directory of the host that we still hold.
    private func enter() throws(SyscallError) {
        let root = RootDirectory(try openFile("/", [.path, .directory]))
        let directory = try root.open(plan.workingDirectory)
        try changeDirectory(to: directory, subject: plan.workingDirectory)
    }

    private func checkWorkingDirectory() throws(RuntimeError) {
        let path = try during("checking the working directory") { () throws(SyscallError) in try workingDirectory() }
        guard path.isAbsolute else {
            throw RuntimeError(
                .refused, doing: "process.cwd: entering the directory", "\(plan.workingDirectory) lies outside the container's root")
        }
    }
}
