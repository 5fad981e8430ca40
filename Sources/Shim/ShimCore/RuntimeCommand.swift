package import ShimProtocol

/// One call of the runtime executable, as runc's command line has it.
package enum RuntimeVerb: Equatable, Sendable {
    case create(bundle: String, pidFile: String, consoleSocket: String?, noPivotRoot: Bool, noNewKeyring: Bool)
    case start
    case exec(processFile: String, pidFile: String, consoleSocket: String?)
    case kill(signal: UInt32, all: Bool)
    case delete(force: Bool)
    case pause
    case resume
    case checkpoint(CheckpointPlan)
    case restore(RestorePlan)
    /// - Parameter resourcesFile: limits in the OCI runtime specification's JSON.
    case update(resourcesFile: String)

    /// As it is typed.
    package var name: String {
        switch self {
        case .create: "create"
        case .start: "start"
        case .exec: "exec"
        case .kill: "kill"
        case .delete: "delete"
        case .pause: "pause"
        case .resume: "resume"
        case .update: "update"
        case .checkpoint: "checkpoint"
        case .restore: "restore"
        }
    }
}

/// What the runtime's `checkpoint` is asked for.
package struct CheckpointPlan: Equatable, Sendable {
    package var imagePath: String
    package var workPath: String
    package var leavesRunning = true
    /// Flags and their values, as they are typed.
    package var flags: [String] = []

    package init(imagePath: String, workPath: String) {
        self.imagePath = imagePath
        self.workPath = workPath
    }

    /// By the options of containerd's request.
    package init(_ request: CheckpointTaskRequest, _ options: CheckpointOptions, bundle: String) {
        imagePath = options.imagePath.isEmpty ? request.path : options.imagePath
        workPath = options.workPath.isEmpty ? "\(bundle)/\(RestorePlan.workName)" : options.workPath
        leavesRunning = !options.exits
        let switches = [
            (options.openTCP, "--tcp-established"), (options.externalUnixSockets, "--ext-unix-sk"), (options.terminal, "--shell-job"),
            (options.fileLocks, "--file-locks"),
        ]
        flags = switches.filter(\.0).map(\.1) + options.emptyNamespaces.flatMap { ["--empty-ns", $0] }
        if !options.cgroupsMode.isEmpty { flags += ["--manage-cgroups-mode", options.cgroupsMode] }
    }
}

/// What the runtime's `restore` is asked for: it runs the container, whose first process was dumped somewhere.
package struct RestorePlan: Equatable, Sendable {
    /// criu's own files, its log above all, go with the bundle.
    static let workName = "criu-work"

    package var bundle: String
    package var pidFile: String
    package var consoleSocket: String?
    package var noPivotRoot = false
    package var imagePath: String
    package var workPath: String

    package init(bundle: String, pidFile: String, imagePath: String, workPath: String = "") {
        self.bundle = bundle
        self.pidFile = pidFile
        self.imagePath = imagePath
        self.workPath = workPath.isEmpty ? "\(bundle)/\(Self.workName)" : workPath
    }
}

/// Which runtime serves a container, and the arguments that all its calls share.
package struct RuntimeCommand: Equatable, Sendable {
    /// An absolute path.
    package let executable: String
    /// The runtime's state directory.
    package let root: String
    package let systemdCgroup: Bool
    package let containerID: String
    /// What comes before the arguments: our own `bridge` where the runtime is a shim of containerd's.
    package var prefix: [String] = []

    package init(executable: String, root: String, systemdCgroup: Bool, containerID: String) {
        self.executable = executable
        self.root = root
        self.systemdCgroup = systemdCgroup
        self.containerID = containerID
    }

    /// The command for a container by the options of its Create.
    /// - Throws: `ShimError` where there is no such runtime.
    init(_ options: TaskOptions, configuration: ShimConfiguration) throws(ShimError) {
        let found = try RuntimeLocator.find(options.runtime, configuration: configuration)
        let isBridged = BridgedCall.isNeeded(for: found)
        self.init(
            executable: isBridged ? configuration.executable : found,
            root: options.runtimeRoot.isEmpty ? "\(configuration.directory)/runtime" : options.runtimeRoot,
            systemdCgroup: options.systemdCgroup, containerID: configuration.id)
        if isBridged { prefix = [ShimInvocation.Action.bridge.rawValue, found] }
    }

    /// The processes that the runtime makes are another shim's children.
    package var isBridged: Bool { !prefix.isEmpty }

    /// What such a process needs besides: `wait` for it, which ends as it does, and `close-input`.
    package func bridgedArguments(_ verb: String, execID: String) -> [String] {
        [executable] + prefix + ["--root", root, "--log", "/dev/null", verb, containerID] + (execID.isEmpty ? [] : [execID])
    }

    /// The whole argument list.
    /// - Parameter logPath: where the runtime shall write its errors, a JSON object a line.
    package func arguments(_ verb: RuntimeVerb, logPath: String) -> [String] {
        var arguments = [executable] + prefix + ["--root", root, "--log", logPath, "--log-format", "json"]
        if systemdCgroup { arguments.append("--systemd-cgroup") }
        arguments.append(verb.name)
        switch verb {
        case .create(let bundle, let pidFile, let consoleSocket, let noPivotRoot, let noNewKeyring):
            arguments += ["--bundle", bundle, "--pid-file", pidFile]
            if let consoleSocket { arguments += ["--console-socket", consoleSocket] }
            if noPivotRoot { arguments.append("--no-pivot") }
            if noNewKeyring { arguments.append("--no-new-keyring") }
            arguments.append(containerID)
        case .start, .pause, .resume: arguments.append(containerID)
        case .checkpoint(let plan):
            arguments += ["--image-path", plan.imagePath, "--work-path", plan.workPath]
            if plan.leavesRunning { arguments.append("--leave-running") }
            arguments += plan.flags + [containerID]
        case .restore(let plan):
            arguments += ["--image-path", plan.imagePath, "--work-path", plan.workPath, "--bundle", plan.bundle]
            // Orphans are the shim's.
            arguments += ["--detach", "--no-subreaper", "--pid-file", plan.pidFile]
            if let consoleSocket = plan.consoleSocket { arguments += ["--console-socket", consoleSocket] }
            if plan.noPivotRoot { arguments.append("--no-pivot") }
            arguments.append(containerID)
        case .update(let resourcesFile): arguments += ["--resources", resourcesFile, containerID]
        case .exec(let processFile, let pidFile, let consoleSocket):
            arguments += ["--process", processFile, "--detach", "--pid-file", pidFile]
            if let consoleSocket { arguments += ["--console-socket", consoleSocket] }
            arguments.append(containerID)
        case .kill(let signal, let all):
            if all { arguments.append("--all") }
            arguments += [containerID, "\(signal)"]
        case .delete(let force):
            if force { arguments.append("--force") }
            arguments.append(containerID)
        }
        return arguments
    }
}
