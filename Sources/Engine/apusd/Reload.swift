internal import Engine
internal import Logging
internal import Registry
internal import SystemPackage

/// What of the options another value is taken of while the daemon runs.
struct ReloadableOptions: Equatable, Sendable {
    var logLevel = Logger.Level.info
    var runtimes: [String: FilePath] = [:]
    var defaultRuntime = "apus"
    var insecureRegistries: [String] = []
    /// Servers that are asked before Docker Hub.
    var registryMirrors: [String] = []
    /// What the daemon says of itself.
    var labels: [String] = []
    /// Blobs on their way at a time, and attempts at one of them; 0 is the usual.
    var downloads = 0
    var uploads = 0
    var downloadAttempts = 0
    /// Bytes of `/dev/shm` where a container asks for none; nil is Docker's.
    var sharedMemoryBytes: Int64?
    /// Of containers that say nothing.
    var ipcMode = "private"
}

/// Settings that are read again while the daemon runs.
struct Reload: Sendable {
    let words: [String]
    let environment: [String]
    /// What the daemon began with.
    let options: DaemonOptions
    let level: DaemonLog.Level
    let tls: CurrentTLS?
    let logger: Logger
    /// Gives the engine what it takes of them.
    let apply: @Sendable (ReloadableOptions) throws -> Void

    /// Reads command line and file again. What is wrong in them is told, and nothing changes then.
    func run() {
        do {
            let read = try DaemonOptions(arguments: words, environment: environment)
            try tls?.renew()
            try apply(read.reloadable)
            level.current = read.reloadable.logLevel
            let waiting = read.waiting(besides: options)
            var metadata: Logger.Metadata = ["log.level": "\(level.current)"]
            if !waiting.isEmpty { metadata["settings"] = "\(waiting.joined(separator: " "))" }
            logger.log(
                level: waiting.isEmpty ? .info : .warning,
                waiting.isEmpty ? "settings read again" : "settings read again; some wait for the daemon's next start", metadata: metadata)
        } catch {
            logger.error("settings not read again", metadata: ["error": "\(error)"])
        }
    }
}

extension DaemonOptions {
    /// Settings that another daemon would have to begin with: those that differ and are not taken while one runs.
    func waiting(besides running: DaemonOptions) -> [String] {
        var waiting: [String] = []
        var rest = self
        func compare<Value: Equatable>(_ name: String, _ path: WritableKeyPath<DaemonOptions, Value>) {
            if rest[keyPath: path] != running[keyPath: path] { waiting.append(name) }
            rest[keyPath: path] = running[keyPath: path]
        }
        rest.reloadable = running.reloadable
        rest.warnings = running.warnings
        compare("hosts", \.hosts)
        compare("tls", \.tls)
        compare("metrics-addr", \.metricsAddress)
        compare("docker-socket", \.dockerSocket)
        compare("data-root", \.dataRoot)
        compare("exec-root", \.execRoot)
        compare("pidfile", \.pidfile)
        compare("log-format", \.logFormat)
        compare("log-driver", \.logDriver)
        compare("log-opts", \.logOptions)
        compare("bridge", \.hasDefaultBridge)
        compare("firewall", \.ownsFirewall)
        compare("userns-remap", \.userRemap)
        compare("security-profile", \.securityProfile)
        compare("no-new-privileges", \.noNewPrivileges)
        compare("layer-limits", \.layerLimits)
        compare("manifest-limit", \.imageLimits.manifestBytes)
        compare("image-limits", \.imageLimits)
        compare("disk-reserve", \.diskReserveBytes)
        compare("registry-certs", \.certificateFolders)
        compare("registries-conf", \.registriesFile)
        compare("signature-policy", \.signaturePolicy)
        compare("registry-idle-timeout", \.registryIdleSeconds)
        compare("registry-token-services", \.tokenServices)
        compare("cdi-spec-dirs", \.cdiFolders)
        compare("resolv-conf", \.resolverFile)
        compare("shim", \.shim)
        compare("init", \.containers.hasInit)
        compare("init-path", \.initPath)
        compare("default-ulimits", \.containers.ulimits)
        compare("default-cgroupns-mode", \.containers.cgroupNamespaceMode)
        compare("cgroup-parent", \.containers.cgroupParent)
        compare("seccomp-profile", \.containers.seccomp)
        compare("dns", \.containers.nameServers)
        compare("dns-search", \.containers.searchDomains)
        compare("dns-opts", \.containers.resolverOptions)
        compare("host-gateway-ip", \.containers.hostGateway)
        compare("default-address-pools", \.addressPools)
        compare("group", \.socketGroup)
        compare("default-network", \.defaultNetwork)
        compare("min-api-version", \.oldestVersion)
        if [rest.httpProxy, rest.httpsProxy, rest.proxyExceptions] != [running.httpProxy, running.httpsProxy, running.proxyExceptions] {
            waiting.append("proxies")
        }
        (rest.httpProxy, rest.httpsProxy, rest.proxyExceptions) = (running.httpProxy, running.httpsProxy, running.proxyExceptions)
        // A new setting that this list lacks is told all the same.
        return rest == running || !waiting.isEmpty ? waiting : ["others"]
    }
}
