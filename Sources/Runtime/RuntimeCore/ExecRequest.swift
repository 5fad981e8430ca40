internal import OCISpec
package import SystemPackage

/// What `exec` is asked for.
package struct ExecRequest {
    package var id: String
    package var stateRoot: StateRoot
    /// Where compiled seccomp programs are kept between runs; nil compiles every time.
    package var filterCache: FilePath?
    package var process: ProcessSource
    package var consoleSocket: FilePath?
    /// `exec` in the foreground relays the terminal itself.
    package var keepsTerminal = false
    package var pidFile: FilePath?
    /// A stream socket that gets a pidfd of the process.
    package var pidfdSocket: FilePath?
    package var preservedDescriptors: Int32 = 0
    /// Appended to the program's environment.
    package var addedEnvironment: [String] = []
    /// Given back to the program, where the runtime has raised it for itself.
    package var descriptorLimit: DescriptorLimit?
    /// Below the container's own: a path, for some or all controllers.
    package var cgroups: [String] = []
    package var ignoresPause = false

    package init(id: String, stateRoot: StateRoot, process: ProcessSource) {
        self.id = id
        self.stateRoot = stateRoot
        self.process = process
    }

    /// Where the added process's description comes from.
    package enum ProcessSource: Sendable {
        /// A document of its own, `--process`.
        case document(FilePath)
        /// The container's own `process`, changed by the command line.
        case changes(ProcessChanges)
    }
}

extension ProcessConfiguration {
    /// What a document of `exec` leaves out of the process's confinement and means is the container's own, as with runc: a process that is added
    /// is confined no less for it (but for noNewPrivileges, whose absence is false, as with runc).
    mutating func fill(from own: ProcessConfiguration) {
        capabilities = capabilities ?? own.capabilities
        if resourceLimits.isEmpty { resourceLimits = own.resourceLimits }
        if appArmorProfile?.isEmpty != false { appArmorProfile = own.appArmorProfile }
        if seLinuxLabel?.isEmpty != false { seLinuxLabel = own.seLinuxLabel }
        oomScoreAdjustment = oomScoreAdjustment ?? own.oomScoreAdjustment
        ioPriority = ioPriority ?? own.ioPriority
        scheduler = scheduler ?? own.scheduler
        execCPUAffinity = execCPUAffinity ?? own.execCPUAffinity
    }
}

/// What the command line of `exec` changes in the container's own `process`.
package struct ProcessChanges: Sendable {
    package var arguments: [String]
    package var workingDirectory: String?
    package var environment: [String] = []
    package var terminal = false
    package var user: (uid: UInt32, gid: UInt32?)?
    package var additionalGIDs: [UInt32] = []
    /// Names to be added to the bounding, effective and permitted sets.
    package var capabilities: [String] = []
    package var noNewPrivileges: Bool?
    package var appArmorProfile: String?
    package var seLinuxLabel: String?

    package init(arguments: [String]) { self.arguments = arguments }

    /// Later variables of a name win, as they do for the program.
    func applied(to base: ProcessConfiguration) -> ProcessConfiguration {
        var process = base
        process.arguments = arguments
        if let workingDirectory { process.workingDirectory = workingDirectory }
        process.environment += environment
        process.terminal = terminal
        process.consoleSize = nil
        if let user {
            process.user.uid = user.uid
            process.user.gid = user.gid ?? process.user.gid
        }
        process.user.additionalGIDs += additionalGIDs
        if !capabilities.isEmpty {
            var sets = process.capabilities ?? CapabilitySets()
            sets.bounding += capabilities
            sets.effective += capabilities
            sets.permitted += capabilities
            process.capabilities = sets
        }
        if let appArmorProfile { process.appArmorProfile = appArmorProfile }
        if let seLinuxLabel { process.seLinuxLabel = seLinuxLabel }
        if let noNewPrivileges { process.noNewPrivileges = noNewPrivileges }
        return process
    }
}
