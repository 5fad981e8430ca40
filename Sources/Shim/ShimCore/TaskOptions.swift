internal import Protobuf
package import ShimProtocol

/// What Create's typed options come to, containerd's and `apusd`'s alike.
package struct TaskOptions: Equatable, Sendable {
    /// The runtime executable as it was named; empty for ours.
    package var runtime = ""
    /// The runtime's state directory; empty for one in the shim's own.
    package var runtimeRoot = ""
    /// Where the runtime keeps compiled seccomp programs; empty for where it does by itself.
    package var filterCachePath = ""
    package var systemdCgroup = false
    package var noPivotRoot = false
    package var noNewKeyring = false
    /// Empty for a directory in the bundle.
    package var criuWorkPath = ""
    package var log: LogConfiguration?
    package var exitRecordPath = ""
    /// Stdio goes to attach clients; else to FIFOs.
    package var usesAttach = false
    package var openStdin = false
    package var stdinOnce = false
    /// Never, unless `apusd` asks for it.
    package var restartRule = RestartRule()
    package var healthCheck: HealthCheck?
    /// The last of the container's changes before this task.
    package var changesAfter: UInt64 = 0

    /// Reads the options of a Create request.
    /// - Parameter namespace: containerd's, under which runc's option `root` is taken.
    /// - Throws: `ShimError.unsupported` for a type, or a set field, that nothing here serves.
    package init(_ any: ProtobufAny?, namespace: String) throws(ShimError) {
        guard let any, !any.isOfNoType else {
            self.init()
            return
        }
        let (own, runc): (ApusOptions?, RuncOptions?)
        do throws(WireError) { (own, runc) = (try any.unwrap(ApusOptions.self), try RuncOptions(any)) } catch {
            throw ShimError("options", error)
        }
        if let own {
            try self.init(own)
        } else if let runc {
            self.init(runc, namespace: namespace)
        } else {
            throw ShimError(.unsupported, "options of type \(any.typeName)")
        }
    }

    private init() {}

    /// What the runtime's environment has besides the shim's. - See: docs/shim-protocol.md, "Options".
    package var runtimeEnvironment: [String] {
        // Its log is read; its standard error is the payload's.
        ["APUS_ERRORS=log"] + (filterCachePath.isEmpty ? [] : ["APUS_SECCOMP_CACHE=\(filterCachePath)"])
    }

    private init(_ options: ApusOptions) throws(ShimError) {
        runtime = options.runtimePath
        runtimeRoot = options.runtimeRoot
        filterCachePath = options.filterCachePath
        systemdCgroup = options.systemdCgroup
        usesAttach = true
        openStdin = options.openStdin
        stdinOnce = options.stdinOnce
        restartRule = options.restartRule ?? RestartRule()
        healthCheck = options.healthCheck
        changesAfter = options.changesAfter
        exitRecordPath = options.exitRecordPath
        let copyPath = options.logDelivery?.jsonFile?.path ?? ""
        let paths = [options.logPath, options.exitRecordPath, options.runtimeRoot, options.filterCachePath, copyPath]
        for path in paths where !path.isEmpty && !path.hasPrefix("/") {
            throw ShimError(.invalidRequest, "option \(path)", cause: "not an absolute path")
        }
        if options.logPath.isEmpty { return }
        log = LogConfiguration(
            path: options.logPath,
            fileByteLimit: options.logFileByteLimit == 0 ? LogLimits.defaultFileByteCount : options.logFileByteLimit,
            fileCount: min(options.logFileCount == 0 ? LogLimits.defaultFileCount : options.logFileCount, Self.maximumLogFileCount),
            delivery: options.logDelivery ?? LogDelivery())
    }

    /// The most log files that are kept.
    package static let maximumLogFileCount: UInt32 = 1000

    /// `shim_cgroup` was heeded when the shim began.
    private init(_ options: RuncOptions, namespace: String) {
        runtime = options.binaryName
        runtimeRoot = options.root.isEmpty ? "" : "\(options.root)/\(namespace)"
        systemdCgroup = options.systemdCgroup
        noPivotRoot = options.noPivotRoot
        noNewKeyring = options.noNewKeyring
        criuWorkPath = options.criuWorkPath
    }
}
