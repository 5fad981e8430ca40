internal import Engine
internal import Logging
internal import SystemPackage

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
    /// Paths of sockets; empty is one in `execRoot`.
    var sockets: [FilePath] = []
    var dataRoot: FilePath = "/var/lib/apus"
    var execRoot: FilePath = "/run/apus"
    var pidfile: FilePath?
    var logLevel = Logger.Level.info
    var logFormat = LogFormat.text
    /// Driver of containers that name none; empty is json-file.
    var logDriver = ""
    var logOptions: [String: String] = [:]
    var hasDefaultBridge = true
    /// Whether the kernel shall keep others from changing the firewall's tables.
    var ownsFirewall = true
    var runtimes: [String: FilePath] = [:]
    var defaultRuntime = "apus"
    var insecureRegistries: [String] = []
    var layerLimits = EngineConfiguration.LayerLimits()
    /// Where certificates of single registries are looked for; empty is where Docker and we have them.
    var certificateFolders: [FilePath] = []
    /// nil is where we have it, if it is there; empty is none.
    var signaturePolicy: String?
    /// nil is where podman has it; empty is none.
    var registriesFile: String?
    /// How long a registry may send nothing to speak of.
    var registryIdleSeconds = 60
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

    /// Reads `--flag value` and `--flag=value`.
    /// - Throws: `UsageError` naming the word.
    init(arguments: [String]) throws(UsageError) {
        var words = arguments[...]
        while let word = words.popFirst() {
            guard word.hasPrefix("-"), word.count > 1 else { throw UsageError("unexpected argument '\(word)'") }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch parts[0] {
            case "--help", "-h": action = .printHelp
            case "--version", "-v": action = .printVersion
            case "--debug", "-D": logLevel = .debug
            #if FAILPOINTS
                case "--list-failpoints": action = .listFailpoints
            #endif
            default:
                guard let value = parts.count == 2 ? parts[1] : words.popFirst() else {
                    throw UsageError("\(parts[0]) needs a value")
                }
                try set(parts[0], to: value)
            }
        }
    }

    private mutating func set(_ flag: String, to value: String) throws(UsageError) {
        switch flag {
        case "--host", "-H": sockets.append(try Self.socket(value))
        case "--data-root": dataRoot = try Self.directory(flag, value)
        case "--exec-root": execRoot = try Self.directory(flag, value)
        case "--pidfile", "-p": pidfile = FilePath(value)
        case "--log-level", "-l":
            guard let level = Logger.Level(rawValue: value == "warn" ? "warning" : value) else {
                throw UsageError("--log-level takes trace, debug, info, notice, warning, error or critical, not '\(value)'")
            }
            logLevel = level
        case "--log-format":
            guard let format = LogFormat(rawValue: value) else { throw UsageError("--log-format takes text or json, not '\(value)'") }
            logFormat = format
        case "--log-driver": logDriver = value
        case "--log-opt": try addLogOption(value)
        case "--bridge", "-b":
            guard value == "none" else { throw UsageError("--bridge takes none: a bridge of one's own is not implemented yet") }
            hasDefaultBridge = false
        case "--firewall":
            guard ["owned", "shared"].contains(value) else { throw UsageError("--firewall takes owned or shared, not '\(value)'") }
            ownsFirewall = value == "owned"
        case "--runtime", "--add-runtime": try addRuntime(value)
        case "--default-runtime": defaultRuntime = value
        case "--insecure-registry": insecureRegistries.append(value)
        case "--layer-limit": try addLayerLimit(value)
        case "--registry-certs": certificateFolders.append(try Self.directory(flag, value))
        case "--registries-conf": registriesFile = value.isEmpty ? "" : try Self.directory(flag, value).string
        case "--signature-policy": signaturePolicy = value.isEmpty ? "" : try Self.directory(flag, value).string
        case "--registry-idle-timeout":
            guard let seconds = Int(value), (1...3600).contains(seconds) else {
                throw UsageError("--registry-idle-timeout takes seconds from 1 to 3600, not '\(value)'")
            }
            registryIdleSeconds = seconds
        case "--cdi-spec-dir": cdiFolders.append(try Self.directory(flag, value))
        case "--http-proxy": httpProxy = value
        case "--https-proxy": httpsProxy = value
        case "--no-proxy": proxyExceptions = value
        case "--resolv-conf": resolverFile = try Self.directory(flag, value)
        case "--shim": shim = FilePath(value)
        #if FAILPOINTS
            case "--failpoint": failpoint = value
        #endif
        case "--config": throw UsageError("--config is not implemented yet: every setting is a flag")
        default: throw UsageError("unknown flag: \(flag)")
        }
    }

    private mutating func addLogOption(_ value: String) throws(UsageError) {
        let parts = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty else { throw UsageError("--log-opt takes NAME=VALUE, not '\(value)'") }
        logOptions[parts[0]] = parts[1]
    }

    private mutating func addLayerLimit(_ value: String) throws(UsageError) {
        let parts = value.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let number = Int64(parts[1]), number > 0 else {
            throw UsageError("--layer-limit takes NAME=NUMBER, a number above 0, not '\(value)'")
        }
        switch parts[0] {
        case "size": layerLimits.sizeBytes = number
        case "ratio": layerLimits.ratio = number
        case "entries": layerLimits.entries = Int(number)
        case "depth": layerLimits.depth = Int(number)
        default: throw UsageError("--layer-limit knows size, ratio, entries and depth, not '\(parts[0])'")
        }
    }

    private mutating func addRuntime(_ value: String) throws(UsageError) {
        let parts = value.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, FilePath(parts[1]).isAbsolute else {
            throw UsageError("--runtime takes NAME=PATH with an absolute path, not '\(value)'")
        }
        guard runtimes.updateValue(FilePath(parts[1]), forKey: parts[0]) == nil else {
            throw UsageError("--runtime names '\(parts[0])' twice")
        }
    }

    private static func directory(_ flag: String, _ value: String) throws(UsageError) -> FilePath {
        let path = FilePath(value)
        guard path.isAbsolute else { throw UsageError("\(flag) takes an absolute path, not '\(value)'") }
        return path.lexicallyNormalized()
    }

    private static func socket(_ url: String) throws(UsageError) -> FilePath {
        let parts = url.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].hasSuffix(":"), parts[1].isEmpty else {
            throw UsageError("--host takes a URL such as unix:///run/apus/apus.sock, not '\(url)'")
        }
        let scheme = parts[0].dropLast()
        guard scheme == "unix" else {
            throw UsageError("--host \(scheme):// is not implemented yet: only unix:// is")
        }
        let path = FilePath(String(parts[2]))
        guard path.isAbsolute, path.string.utf8.count <= ListeningSocket.maximumPathByteCount else {
            throw UsageError(
                "--host unix:// takes an absolute path of at most \(ListeningSocket.maximumPathByteCount) bytes, not '\(path)'")
        }
        return path
    }

    static let help = """
        Usage: apusd [OPTIONS]

        The daemon of Apus: images and containers behind the Docker Engine API.

        Options:
          -H, --host URL                Socket to serve, unix://PATH; may be repeated
                                        (default unix://EXEC-ROOT/apus.sock)
              --data-root DIR           Durable state (default /var/lib/apus)
              --exec-root DIR           State of this boot (default /run/apus)
          -p, --pidfile FILE            Where to write the process id
          -l, --log-level LEVEL         trace, debug, info, notice, warning, error or critical (default info)
              --log-format FORMAT       text or json (default text)
              --log-driver NAME         Where the output goes of containers that name no driver (default json-file)
              --log-opt NAME=VALUE      An option of that driver, as of docker run; may be repeated
          -b, --bridge none             Without the default network: containers that name none get no network
              --firewall owned|shared   Whether others may change the daemon's tables of nftables while it lives: owned is not,
                                        from Linux 6.9 on (default owned)
          -D, --debug                   As --log-level debug
              --runtime NAME=PATH       A further low-level runtime; may be repeated
              --default-runtime NAME    The runtime of containers that name none (default apus)
              --insecure-registry HOST  host:port or CIDR of a registry without TLS; may be repeated
              --layer-limit NAME=NUMBER What a layer of an image may cost: size in bytes unpacked (default 137438953472), ratio
                                        to its packed size (200), entries (4000000), depth of paths (512); may be repeated
              --registry-certs DIR      Where HOST[:PORT]/*.crt are authorities of a registry, *.cert with *.key client
                                        certificates, and hosts.toml its mirrors; may be repeated (default certs.d of /etc/apus,
                                        /etc/docker, /etc/containerd and /etc/containers)
              --registries-conf FILE    Mirrors, other places and blocked registries, as podman has them; empty for none
                                        (default /etc/containers/registries.conf)
              --signature-policy FILE   Which images are accepted, in the form of containers-policy.json; empty for all
                                        (default /etc/apus/policy.json where it is there)
              --registry-idle-timeout N Seconds that a registry may send less than 1 KiB (default 60)
              --cdi-spec-dir DIR        Where documents of CDI devices lie; may be repeated (default /etc/cdi and /var/run/cdi)
              --http-proxy URL          Proxy for registries without TLS (default $HTTP_PROXY)
              --https-proxy URL         Proxy for registries with TLS (default $HTTPS_PROXY)
              --no-proxy LIST           Hosts reached without a proxy, separated by commas (default $NO_PROXY)
              --resolv-conf FILE        Where the host's name servers stand (default /etc/resolv.conf)
              --shim PATH               The apus-shim executable (default: beside apusd, then on PATH)
          -v, --version                 Print the version
          -h, --help                    Print this help

        """
}

/// A command line that cannot be served.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
