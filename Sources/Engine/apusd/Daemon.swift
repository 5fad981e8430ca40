internal import APIServer
internal import CoreTypes
internal import Engine
internal import EngineAPI
internal import Glibc
internal import LinuxSyscalls
internal import Logging
internal import Registry
internal import SystemPackage
internal import TLSTransport
internal import Telemetry

/// The daemon's parts, wired, from start to stop.
struct Daemon: Sendable {
    /// For how long nobody is served for the sake of containers that are being started.
    private static let startPatience = Duration.seconds(10)
    /// For how long requests are waited for that are under way at the end.
    private static let endPatience = Duration.seconds(10)

    let options: DaemonOptions
    /// The command line, which SIGHUP has read again.
    let words: [String]
    let environment: [String]
    /// Each ends the daemon.
    let stopSignals: AsyncStream<Int32>
    /// What an ordinary user's daemon has to go without.
    let rootlessWarnings: [String]

    /// Serves until a signal. Containers go on, but for SIGPWR.
    func run() async throws {
        let level = DaemonLog.Level(options.reloadable.logLevel)
        let logger = Logger(label: "apusd") { _ in DaemonLog(level: level, format: options.logFormat) }
        let readiness = Readiness(environment: environment)
        try readiness.check()
        let traces = try traceExporter(logger)
        for warning in options.warnings { logger.warning("\(warning)") }
        let engine = ContainerEngine(configuration: try configuration(), logger: logger)
        try lockForLife(options.dataRoot, mode: 0o710)
        try lockForLife(options.execRoot, mode: 0o711)
        try admitPassers(to: options.execRoot)
        let tls = options.tls.isOn ? try CurrentTLS(options.tls) : nil
        var doors = Doors(options: options, tls: tls)
        var pidFile: PidFile?
        do {
            try doors.open(inherited: try InheritedSockets.take(environment))
            pidFile = try options.pidfile.map { path in try PidFile(path) }
            try await engine.start()
            // The start's own code and memory are not needed again.
            do throws(SyscallError) { try releaseUnusedMemory() } catch {
                logger.debug("no memory given back", metadata: ["error": "\(error)"])
            }
            // Ends with the block, when what is left has been sent.
            async let _: Void? = traces?.run()
            let executables = try Executables(environment: environment)
            let reload = Reload(
                words: words, environment: environment, options: options, level: level, tls: tls, logger: logger
            ) { options in
                try engine.reload(try settings(options, executables))
            }
            try await serve(engine, doors, pidFile, readiness, reload, traces, logger)
        } catch {
            cleanUp(doors, pidFile, logger)
            throw error
        }
        await engine.shutdown(patience: Self.endPatience)
        cleanUp(doors, pidFile, logger)
        logger.info("stopped")
    }

    private func serve(
        _ engine: ContainerEngine, _ doors: Doors, _ pidFile: PidFile?, _ readiness: Readiness, _ reload: Reload, _ traces: TraceExporter?,
        _ logger: Logger
    ) async throws {
        let listener = APIListener(workers: TaskThreads.daemon, tracer: traces?.tracer, logger: logger)
        let places = try doors.places(of: engine)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Who comes after the daemon finds running what is to run, but for what hangs.
                try await engine.startWantedContainers(patience: Self.startPatience)
                if Task.isCancelled { return }
                try await listener.run(places) {
                    logger.info("serving", metadata: ["sockets": "\(doors.names)", "pid": "\(processID())"])
                    try readiness.tell("READY=1")
                }
            }
            group.addTask {
                for await signal in stopSignals {
                    if signal == StopSignals.hangUp {
                        reload.run()
                        continue
                    }
                    logger.info("stopping", metadata: ["signal": "\(signal)"])
                    if signal == StopSignals.powerFailure { await stopContainers(of: engine) }
                    break
                }
            }
            // Either ends the daemon: a listener only by failing.
            try await group.next()
            try readiness.tell("STOPPING=1")
            let limit = endInTime(engine, doors, pidFile, logger)
            defer { limit.cancel() }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    /// A request may wait for ever, as for a file system that does not answer: what it leaves half done the next daemon finds as after a crash.
    /// - Returns: what ends the process in a while, unless it is cancelled; owned by the process.
    private func endInTime(_ engine: ContainerEngine, _ doors: Doors, _ pidFile: PidFile?, _ logger: Logger) -> Task<Void, Never> {
        Task.detached(executorPreference: TaskThreads.daemon) {
            do { try await Pause.wait(for: Self.endPatience) } catch { return }
            logger.warning("stopped while requests are under way")
            await engine.shutdown(patience: Self.endPatience)
            cleanUp(doors, pidFile, logger)
            exitAtOnce(0)
        }
    }

    /// nil where the environment asks for no traces.
    private func traceExporter(_ logger: Logger) throws -> TraceExporter? {
        guard let settings = try TraceSettings(environment: environment, version: Product.version) else { return nil }
        return try TraceExporter(settings, version: Product.version, logger: logger) { UInt64(clamping: unixNanoseconds()) }
    }

    /// Ends when every container has, or with another signal.
    private func stopContainers(of engine: ContainerEngine) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await engine.stopContainers() }
            group.addTask {
                for await signal in stopSignals where signal != StopSignals.powerFailure { break }
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func cleanUp(_ doors: Doors, _ pidFile: PidFile?, _ logger: Logger) {
        for remove in doors.removals + (pidFile.map { file in [file.remove] } ?? []) {
            do throws(SyscallError) { try remove() } catch { logger.warning("not cleaned up", metadata: ["error": "\(error)"]) }
        }
    }

    /// What of the options changes with SIGHUP.
    /// - Throws: `StartError` for a default runtime that is none.
    private func settings(_ options: ReloadableOptions, _ executables: Executables) throws(StartError) -> ReloadableSettings {
        var runtimes = options.runtimes
        if runtimes["apus"] == nil { runtimes["apus"] = executables.find("apus-runtime") }
        // What Docker calls the runtime that comes with it, and its clients ask for.
        for name in ["runc", "io.containerd.runc.v2"] where runtimes[name] == nil { runtimes[name] = runtimes["apus"] }
        guard runtimes[options.defaultRuntime] != nil else {
            throw StartError(
                options.defaultRuntime == "apus"
                    ? "apus-runtime is neither beside apusd nor on PATH: name it with --runtime apus=PATH"
                    : "--default-runtime \(options.defaultRuntime) is not among the runtimes \(runtimes.keys.sorted())")
        }
        var settings = ReloadableSettings(runtimes: runtimes, defaultRuntime: options.defaultRuntime)
        settings.insecureRegistries = options.insecureRegistries
        settings.debug = options.logLevel <= .debug
        settings.registryMirrors = options.registryMirrors
        settings.labels = options.labels
        if options.downloads > 0 { settings.downloads = options.downloads }
        if options.uploads > 0 { settings.uploads = options.uploads }
        if options.downloadAttempts > 0 { settings.downloadAttempts = options.downloadAttempts }
        if let bytes = options.sharedMemoryBytes { settings.sharedMemoryBytes = bytes }
        settings.ipcMode = options.ipcMode
        return settings
    }

    private func configuration() throws -> EngineConfiguration {
        let executables = try Executables(environment: environment)
        guard let shim = options.shim ?? executables.find("apus-shim") else {
            throw StartError("apus-shim is neither beside apusd nor on PATH: name it with --shim")
        }
        var configuration = EngineConfiguration(
            dataRoot: options.dataRoot, execRoot: options.execRoot, shimPath: shim,
            initPath: options.initPath ?? executables.find("apus-init") ?? executables.beside("apus-init"),
            netPath: executables.find("apus-net") ?? executables.beside("apus-net"), settings: try settings(options.reloadable, executables)
        )
        configuration.defaults = options.containers
        configuration.defaultNetwork = options.defaultNetwork
        configuration.oldestVersion = options.oldestVersion
        do throws(EngineError) { try configuration.setAddressPools(options.addressPools) } catch { throw StartError(error.message) }
        configuration.layerLimits = options.layerLimits
        configuration.imageLimits = options.imageLimits
        configuration.diskReserveBytes = options.diskReserveBytes
        if !options.cdiFolders.isEmpty { configuration.cdiFolders = options.cdiFolders }
        configuration.certificateFolders =
            options.certificateFolders.isEmpty
            ? usualCertificateFolders : options.certificateFolders.map(\.string)
        let registriesFile = options.registriesFile ?? usualRegistriesFile
        configuration.registriesFile = registriesFile.isEmpty ? nil : registriesFile
        configuration.signaturePolicy = signaturePolicy()
        configuration.registryIdleSeconds = options.registryIdleSeconds
        configuration.tokenServices = options.tokenServices
        configuration.proxies = ProxySettings(
            http: options.httpProxy ?? variable("HTTP_PROXY"), https: options.httpsProxy ?? variable("HTTPS_PROXY"),
            exceptions: options.proxyExceptions ?? variable("NO_PROXY"))
        if let file = options.resolverFile { configuration.resolverFile = file }
        configuration.hasDefaultBridge = options.hasDefaultBridge
        configuration.userRemap = options.userRemap ?? .usual
        configuration.remapsUsers = options.userRemap != nil
        configuration.securityProfile = options.securityProfile
        configuration.forbidsNewPrivileges = options.noNewPrivileges
        configuration.ownsFirewall = options.ownsFirewall
        configuration.defaultLog.type = options.logDriver
        configuration.defaultLog.config = options.logOptions
        do throws(EngineError) { try configuration.checkDefaultLog() } catch {
            throw StartError("--log-driver or --log-opt: \(error.message)")
        }
        configuration.isRootless = options.rootless != nil
        configuration.warnings = rootlessWarnings
        return configuration
    }

    /// A user's own come after the machine's, and so before them where both say something.
    private var usualCertificateFolders: [String] {
        let ofMachine = ["apus", "docker", "containerd", "containers"].map { "/etc/\($0)/certs.d" }
        return ofMachine + (options.rootless.map { [$0.configuration.appending("certs.d").string] } ?? [])
    }

    /// A user's own, where there is one, stands in place of the machine's, as with podman.
    private var usualRegistriesFile: String {
        let own = options.rootless?.configuration.removingLastComponent().appending("containers/registries.conf")
        return own.flatMap { (try? fileStatus($0)) == nil ? nil : $0.string } ?? "/etc/containers/registries.conf"
    }

    /// The file that says which images are accepted; nil accepts all.
    private func signaturePolicy() -> String? {
        if let named = options.signaturePolicy { return named.isEmpty ? nil : named }
        let path = (options.rootless?.configuration ?? "/etc/apus").appending("policy.json").string
        // One that cannot be looked at is not one that is not there.
        do throws(SyscallError) { _ = try fileStatus(FilePath(path)) } catch { if error.errno == ENOENT { return nil } }
        return path
    }

    /// A proxy's variable, in capitals or not, as Go reads them.
    private func variable(_ name: String) -> String {
        for key in ["\(name)=", "\(name.lowercased())="] {
            if let entry = environment.first(where: { $0.hasPrefix(key) }), entry != key { return String(entry.dropFirst(key.count)) }
        }
        return ""
    }
}
