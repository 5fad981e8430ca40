internal import LinuxSyscalls
internal import Networking
internal import SystemPackage

/// What the daemon was told of networks, and what follows from where it lives.
struct NetworkSettingsOfDaemon: Sendable {
    /// The name of the firewall's tables, and the beginning of the default bridge's: `apus` for the daemon in its usual place; several
    /// daemons on one host do not share them.
    let instance: String
    let hasDefaultBridge: Bool
    let ownsFirewall: Bool
    let addressPools: [NetworkPool]
    let defaultNetwork: DefaultNetwork
    /// Whether networks are in a namespace that stands for the host's network, where there are no cards.
    let isRootless: Bool
    private let execRoot: FilePath

    init(_ configuration: EngineConfiguration) {
        execRoot = configuration.execRoot
        hasDefaultBridge = configuration.hasDefaultBridge
        ownsFirewall = configuration.ownsFirewall
        addressPools = configuration.addressPools
        defaultNetwork = configuration.defaultNetwork
        isRootless = configuration.isRootless
        instance = configuration.execRoot == "/run/apus" ? "apus" : "apus-\(Self.digits(of: configuration.execRoot.string))"
    }

    var defaultBridge: String { instance == "apus" ? "apus0" : instance }

    /// Where namespaces are pinned.
    var namespaces: FilePath { execRoot.appending("netns") }

    /// Whether some container with a network of its own runs, or did when the last daemon ended.
    var hasSandboxes: Bool {
        do throws(SyscallError) {
            return try !directoryEntries(of: try openFile(namespaces, [.readOnly, .directory]), subject: namespaces.string).isEmpty
        } catch { return true }
    }

    /// Which bridges are ours.
    var madeLinks: NotedLinks { NotedLinks(folder: execRoot.appending("bridges")) }

    /// Which cables are to go, as their containers have.
    var partingCables: NotedLinks { NotedLinks(folder: execRoot.appending("parting-cables")) }

    /// Notes that it was us who made this host forward packets: others' stay where they were, as long as the host runs.
    func rememberForwarding() throws(NetworkingError) {
        do throws(SyscallError) { _ = try openFile(mark, [.writeOnly, .create], mode: 0o600) } catch {
            throw NetworkingError(.kernel, "note that this host forwards packets for us: \(error)")
        }
    }

    var madeHostForward: Bool { (try? fileStatus(mark)) != nil }

    private var mark: FilePath { execRoot.appending("made-host-forward") }

    /// Six digits that tell one place from another. - Source: FNV-1a.
    private static func digits(of text: String) -> String {
        let hash = text.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let digits = String(hash & 0xff_ffff, radix: 16)
        return String(repeating: "0", count: 6 - digits.count) + digits
    }
}
