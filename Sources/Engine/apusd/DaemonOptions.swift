internal import Engine
internal import EngineAPI
internal import Logging
internal import Registry
internal import SystemPackage
internal import TLSTransport

/// What the command line asks for.
struct DaemonOptions: Equatable, Sendable {
    /// How log lines are written.
    enum LogFormat: String, Sendable {
        case text
        case json
    }

    /// What to do.
    enum Action: Equatable, Sendable {
        case serve
        case printVersion
        case printHelp
        #if FAILPOINTS
            case listFailpoints
        #endif
    }

    var action = Action.serve
    /// Of an ordinary user's daemon; nil is root's.
    var rootless: RootlessPlaces?
    /// Values of `--host`; empty is a socket in `execRoot`.
    var hosts: [String] = []
    var tls = TLSSettings()
    /// Where `/metrics` alone is served, without TLS; nil is nowhere.
    var metricsAddress: String?
    /// Where a link to the first unix socket is made; nil is nowhere.
    var dockerSocket: FilePath?
    /// The file that says what the command line does not; nil is the usual place, empty none.
    var configurationFile: String?
    /// Whether to end after all was read.
    var onlyValidates = false
    var dataRoot: FilePath = "/var/lib/apus"
    var execRoot: FilePath = "/run/apus"
    var isRootless = false
    var pidfile: FilePath?
    var logFormat = LogFormat.text
    /// Driver of containers that name none; empty is json-file.
    var logDriver = ""
    var logOptions: [String: String] = [:]
    var hasDefaultBridge = true
    /// Whether the kernel shall keep others from changing the firewall's tables.
    var ownsFirewall = true
    var reloadable = ReloadableOptions()
    /// What containers have that say nothing of it.
    var containers = ContainerDefaults()
    /// Where networks get their blocks from; empty is Docker's pools.
    var addressPools: [EngineConfiguration.AddressPoolWords] = []
    /// Who may use the sockets beside root; nil is `apus`, where there is that group.
    var socketGroup: String?
    /// The init of `docker run --init`; nil is the one beside apusd.
    var initPath: FilePath?
    /// The network of containers that ask for no other.
    var defaultNetwork = DefaultNetwork()
    /// Of the versions of the API that are spoken.
    var oldestVersion = APIVersion.oldest
    /// Settings that mean nothing here.
    var warnings: [String] = []
    /// Whose subordinate ids containers get; nil is the host's ids.
    var userRemap: UserRemap?
    /// How much containers may that name no profile.
    var securityProfile = SecurityProfile.standard
    var noNewPrivileges = false
    var layerLimits = EngineConfiguration.LayerLimits()
    var imageLimits = ImageLimits()
    /// Bytes; nil is the usual, 0 is none.
    var diskReserveBytes: Int64?
    /// Where certificates of single registries are looked for; empty is where Docker and we have them.
    var certificateFolders: [FilePath] = []
    /// nil is where we have it, if it is there; empty is none.
    var signaturePolicy: String?
    /// nil is where podman has it; empty is none.
    var registriesFile: String?
    /// How long a registry may send nothing to speak of.
    var registryIdleSeconds = 60
    /// Hosts that may be shown passwords of every registry.
    var tokenServices: [String] = []
    /// Where documents of CDI lie; empty is where other engines look, too.
    var cdiFolders: [FilePath] = []
    /// nil is what the environment says.
    var httpProxy: String?
    var httpsProxy: String?
    var proxyExceptions: String?
    var shim: FilePath?
    /// nil is `/etc/resolv.conf`.
    var resolverFile: FilePath?
    #if FAILPOINTS
        /// Where the daemon shall end at once; not in `help`, since no installed daemon has it.
        var failpoint: String?
    #endif

    init() {}

    /// Reads `--flag value` and `--flag=value`, then the file that the words name, or the one in the usual place.
    /// - Parameter environment: says where an ordinary user's places are, `KEY=value` each.
    /// - Throws: `UsageError` naming the word, or the file and the setting.
    init(arguments: [String], environment: [String]) throws(UsageError) {
        var given: Set<String> = []
        try read(arguments, given: &given)
        if isRootless && action == .serve {
            let places = try RootlessPlaces(environment: environment)
            rootless = places
            if !given.contains("--data-root") { dataRoot = places.dataRoot }
            if !given.contains("--exec-root") { execRoot = places.execRoot }
            if dockerSocket == DockerSocket.usualPath { dockerSocket = places.dockerSocket }
        }
        let file = action == .serve ? try ConfigurationFile(configurationFile, below: rootless?.configuration ?? "/etc/apus") : nil
        try file?.apply(to: &self, besides: given)
        do throws(UsageError) { try check() } catch {
            throw file.map { UsageError("\($0.path): \(error.description)") } ?? error
        }
    }

    private mutating func read(_ arguments: [String], given: inout Set<String>) throws(UsageError) {
        var words = arguments[...]
        while let word = words.popFirst() {
            guard word.hasPrefix("-"), word.count > 1 else { throw UsageError("unexpected argument '\(word)'") }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let flag = Self.longNames[parts[0]] ?? parts[0]
            given.insert(flag)
            switch flag {
            case "--help": action = .printHelp
            case "--version": action = .printVersion
            case "--validate": onlyValidates = true
            #if FAILPOINTS
                case "--list-failpoints": action = .listFailpoints
            #endif
            case "--docker-socket" where parts.count == 1: dockerSocket = DockerSocket.usualPath
            case _ where Self.switches.contains(flag): try set(flag, to: parts.count == 2 ? parts[1] : "true")
            default:
                guard let value = parts.count == 2 ? parts[1] : words.popFirst() else { throw UsageError("\(flag) needs a value") }
                try set(flag, to: value)
            }
        }
    }

    private static let longNames = [
        "-h": "--help", "-v": "--version", "-D": "--debug", "-H": "--host", "-p": "--pidfile", "-l": "--log-level", "-b": "--bridge",
        "-G": "--group",
        "--add-runtime": "--runtime", "--config-file": "--config",
    ]
    /// Flags that are there or not.
    private static let switches: Set = [
        "--debug", "--tls", "--tlsverify", "--insecure-tcp", "--rootless", "--init", "--no-new-privileges", "--icc", "--ip-masq",
        "--ipv6",
    ]

    /// What the settings say together.
    private func check() throws(UsageError) {
        if isRootless && userRemap != nil {
            throw UsageError("--userns-remap has no meaning with --rootless: the daemon's containers are in its user namespace already")
        }
        try checkContainers()
        try tls.check(try hostAddresses())
    }

    /// Where to serve.
    func hostAddresses() throws(UsageError) -> [HostAddress] {
        var addresses: [HostAddress] = []
        for host in hosts { addresses.append(try HostAddress(host, isSecure: tls.isOn)) }
        return addresses
    }

    /// Sets one value as its flag does.
    mutating func set(_ flag: String, to value: String) throws(UsageError) {
        if try setService(flag, to: value) { return }
        if try setContainers(flag, to: value) { return }
        if try setDefaultNetwork(flag, to: value) { return }
        switch flag {
        case "--data-root": dataRoot = try Self.directory(flag, value)
        case "--exec-root": execRoot = try Self.directory(flag, value)
        case "--pidfile": pidfile = FilePath(value)
        case "--log-level":
            guard let level = Logger.Level(rawValue: value == "warn" ? "warning" : value) else {
                throw UsageError("--log-level takes trace, debug, info, notice, warning, error or critical, not '\(value)'")
            }
            reloadable.logLevel = level
        case "--log-format":
            guard let format = LogFormat(rawValue: value) else { throw UsageError("--log-format takes text or json, not '\(value)'") }
            logFormat = format
        case "--log-driver": logDriver = value
        case "--log-opt": try addLogOption(value)
        case "--bridge":
            guard value == "none" else { throw UsageError("--bridge takes none: a bridge of one's own is not implemented yet") }
            hasDefaultBridge = false
        case "--userns-remap":
            guard value.isEmpty || UserRemap(parsing: value) != nil else {
                throw UsageError("--userns-remap takes default or USER[:GROUP], not '\(value)'")
            }
            userRemap = UserRemap(parsing: value)
        case "--security-profile":
            guard let profile = SecurityProfile(rawValue: value) else {
                throw UsageError("--security-profile takes default or strict, not '\(value)'")
            }
            securityProfile = profile
        case "--no-new-privileges": noNewPrivileges = try Self.isTrue(flag, value)
        case "--firewall":
            guard ["owned", "shared"].contains(value) else { throw UsageError("--firewall takes owned or shared, not '\(value)'") }
            ownsFirewall = value == "owned"
        case "--runtime": try addRuntime(value)
        case "--default-runtime": reloadable.defaultRuntime = value
        case "--insecure-registry": reloadable.insecureRegistries.append(value)
        case "--layer-limit": try addLayerLimit(value)
        case "--image-limit": try addImageLimit(value)
        case "--manifest-limit": imageLimits.manifestBytes = try Self.manifestLimit(value)
        case "--disk-reserve": diskReserveBytes = try Self.diskReserve(value)
        case "--registry-certs": certificateFolders.append(try Self.directory(flag, value))
        case "--registries-conf": registriesFile = value.isEmpty ? "" : try Self.directory(flag, value).string
        case "--signature-policy": signaturePolicy = value.isEmpty ? "" : try Self.directory(flag, value).string
        case "--registry-idle-timeout":
            guard let seconds = Int(value), (1...3600).contains(seconds) else {
                throw UsageError("--registry-idle-timeout takes seconds from 1 to 3600, not '\(value)'")
            }
            registryIdleSeconds = seconds
        case "--registry-token-service": tokenServices.append(value)
        case "--cdi-spec-dir": cdiFolders.append(try Self.directory(flag, value))
        case "--http-proxy": httpProxy = value
        case "--https-proxy": httpsProxy = value
        case "--no-proxy": proxyExceptions = value
        case "--resolv-conf": resolverFile = try Self.directory(flag, value)
        case "--shim": shim = FilePath(value)
        #if FAILPOINTS
            case "--failpoint": failpoint = value
        #endif
        default: throw UsageError("unknown flag: \(flag)")
        }
    }

    /// Sets what concerns whom the daemon serves, and how. - Returns: whether the flag is one of those.
    private mutating func setService(_ flag: String, to value: String) throws(UsageError) -> Bool {
        switch flag {
        case "--host":
            _ = try HostAddress(value, isSecure: false)
            hosts.append(value)
        case "--config": configurationFile = value
        case "--rootless": isRootless = try Self.isTrue(flag, value)
        case "--debug": if try Self.isTrue(flag, value) { reloadable.logLevel = .debug }
        case "--tls": tls.isOn = try Self.isTrue(flag, value)
        case "--tlsverify":
            tls.verifies = try Self.isTrue(flag, value)
            tls.isOn = tls.isOn || tls.verifies
        case "--tlscacert": tls.files.authorities = try Self.directory(flag, value).string
        case "--tlscert": tls.files.certificate = try Self.directory(flag, value).string
        case "--tlskey": tls.files.key = try Self.directory(flag, value).string
        case "--insecure-tcp": tls.servesAnyone = try Self.isTrue(flag, value)
        case "--docker-socket": dockerSocket = try Self.directory(flag, value)
        case "--metrics-addr":
            guard case .internet? = try? HostAddress("tcp://\(value)", isSecure: false) else {
                throw UsageError("--metrics-addr takes HOST:PORT, not '\(value)'")
            }
            metricsAddress = value
        default: return false
        }
        return true
    }

    static func isTrue(_ flag: String, _ value: String) throws(UsageError) -> Bool {
        switch value {
        case "true", "1": return true
        case "false", "0": return false
        default: throw UsageError("\(flag) takes true or false, not '\(value)'")
        }
    }

    private mutating func addLogOption(_ value: String) throws(UsageError) {
        let parts = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty else { throw UsageError("--log-opt takes NAME=VALUE, not '\(value)'") }
        logOptions[parts[0]] = parts[1]
    }

    private mutating func addRuntime(_ value: String) throws(UsageError) {
        let parts = value.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, FilePath(parts[1]).isAbsolute else {
            throw UsageError("--runtime takes NAME=PATH with an absolute path, not '\(value)'")
        }
        guard reloadable.runtimes.updateValue(FilePath(parts[1]), forKey: parts[0]) == nil else {
            throw UsageError("--runtime names '\(parts[0])' twice")
        }
    }

    static func directory(_ flag: String, _ value: String) throws(UsageError) -> FilePath {
        let path = FilePath(value)
        guard path.isAbsolute else { throw UsageError("\(flag) takes an absolute path, not '\(value)'") }
        return path.lexicallyNormalized()
    }
}

/// A command line that cannot be served.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
