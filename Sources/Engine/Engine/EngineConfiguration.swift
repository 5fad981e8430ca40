internal import CoreTypes
package import EngineAPI
internal import Networking
package import Registry
package import SystemPackage

/// Everything the engine is told at its start; nothing below it reads the environment.
package struct EngineConfiguration: Sendable {
    /// Durable state: `/var/lib/apus`.
    package var dataRoot: FilePath
    /// State of this boot: `/run/apus`.
    package var execRoot: FilePath
    /// The `apus-shim` executable.
    package var shimPath: FilePath
    /// The `apus-init` executable that `--init` mounts into a container.
    package var initPath: FilePath
    /// The `apus-net` executable.
    package var netPath: FilePath
    /// The resolv.conf(5) that names the host's servers.
    package var resolverFile: FilePath = "/etc/resolv.conf"
    /// What `ContainerEngine.reload` changes.
    let current: CurrentSettings
    /// Folders like Docker's `certs.d`, with certificates of single registries.
    package var certificateFolders: [String] = []
    /// A file like containers-policy.json(5) that says which images are accepted; nil accepts all.
    package var signaturePolicy: String?
    /// A file like `/etc/containers/registries.conf`; nil for none.
    package var registriesFile: String?
    /// How long a registry may send nothing to speak of, in seconds.
    package var registryIdleSeconds = 60
    /// Hosts of token services that may be shown passwords of every registry, beside those of a registry's own domain.
    package var tokenServices: [String] = []
    /// Proxies between the engine and registries.
    package var proxies = ProxySettings()
    /// Whether there is a network `bridge`, which containers are on that ask for no other.
    package var hasDefaultBridge = true
    /// Whether the kernel keeps others from changing the firewall's tables while the engine lives, where it can.
    package var ownsFirewall = true
    /// Whether the engine is root of a user namespace alone: of an ordinary user.
    package var isRootless = false
    /// What `info` warns of beside what the engine finds itself.
    package var warnings: [String] = []
    /// How large each container's log may grow whose options do not say it.
    package var log = LogLimits()
    /// Driver and options of containers that name none; an empty driver is `json-file`.
    package var defaultLog = LogConfig()
    /// What containers have that say nothing of it themselves.
    package var defaults = ContainerDefaults()
    /// Where networks get their blocks from that ask for none; empty is Docker's pools.
    private(set) var addressPools: [NetworkPool] = []
    /// Where documents of the Container Device Interface lie; a later folder's devices stand before an earlier one's.
    package var cdiFolders: [FilePath] = ["/etc/cdi", "/var/run/cdi"]
    /// Whose subordinate ids containers' user namespaces are made of.
    package var userRemap = UserRemap.usual
    /// Whether containers get a user namespace of their own that do not ask for the host's.
    package var remapsUsers = false
    /// How much containers may that name no profile.
    package var securityProfile = SecurityProfile.standard
    /// Whether execve(2) gives no rights that its caller lacks in containers which do not say otherwise.
    package var forbidsNewPrivileges = false
    /// The network of containers that ask for no other.
    package var defaultNetwork = DefaultNetwork()
    /// Of the versions of the API that are spoken.
    package var oldestVersion = APIVersion.oldest
    /// What a layer of an image may cost.
    package var layerLimits = LayerLimits()
    /// What registries and archives may bring beside layers.
    package var imageLimits = ImageLimits()
    /// Bytes of the file that keeps room for removals on a full disk; nil is as `DiskReserve` has it, 0 is no file.
    package var diskReserveBytes: Int64?

    package init(
        dataRoot: FilePath = "/var/lib/apus", execRoot: FilePath = "/run/apus", shimPath: FilePath, initPath: FilePath, netPath: FilePath,
        settings: ReloadableSettings
    ) {
        self.dataRoot = dataRoot
        self.execRoot = execRoot
        self.shimPath = shimPath
        self.initPath = initPath
        self.netPath = netPath
        current = CurrentSettings(settings)
    }

    /// Low-level runtimes by the name that `HostConfig.Runtime` uses.
    var runtimes: [String: FilePath] { current.value.runtimes }
    /// The name, in `runtimes`, of the one that serves requests without a name.
    var defaultRuntime: String { current.value.defaultRuntime }
    /// Registries spoken to in plain http beside those of 127.0.0.0/8: `host:port` or CIDR.
    var insecureRegistries: [String] { current.value.insecureRegistries }
    /// What the daemon says of itself.
    var labels: [String] { current.value.labels }
    /// Servers that are asked before Docker Hub.
    var registryMirrors: [String] { current.value.registryMirrors }
    /// Whether the daemon logs at debug.
    var debug: Bool { current.value.debug }

    /// A pool of addresses as settings have it.
    package struct AddressPoolWords: Equatable, Sendable {
        /// An address block.
        package var base: String
        /// The prefix length of the networks' blocks in it.
        package var size: Int

        package init(base: String, size: Int) {
            self.base = base
            self.size = size
        }
    }

    /// Sets where networks get their blocks from.
    /// - Throws: `.invalidParameter` for what is no pool, or one that overlaps another.
    package mutating func setAddressPools(_ words: [AddressPoolWords]) throws(EngineError) {
        addressPools = []
        for pool in words {
            guard let block = AddressBlock(pool.base), let read = NetworkPool(block, prefixLength: pool.size) else {
                throw EngineError(
                    .invalidParameter,
                    "invalid address pool base=\(pool.base),size=\(pool.size): it takes a block such as 10.10.0.0/16, "
                        + "and of a network's block in it the prefix length, such as 24")
            }
            guard !addressPools.contains(where: { $0.block.overlaps(block) }) else {
                throw EngineError(.invalidParameter, "the address pool \(pool.base) overlaps another one")
            }
            addressPools.append(read)
        }
    }

    /// What a layer of an image may cost; what is nil is as `ArchiveLimits.layer` has it.
    package struct LayerLimits: Sendable, Equatable {
        /// Bytes unpacked.
        package var sizeBytes: Int64?
        /// Bytes unpacked for each one packed.
        package var ratio: Int64?
        /// Files, directories and whiteouts.
        package var entries: Int?
        /// Components of a path.
        package var depth: Int?
        /// Bytes unpacked that no ratio is asked of.
        package var ratioFreeBytes: Int64?
        /// Bytes of a path or of what a symbolic link says; the kernel takes no more than 4095.
        package var pathBytes: Int?
        /// Bytes of names that are kept to a layer's end.
        package var keptNameBytes: Int?
        /// Bytes of all extended attributes of one entry.
        package var attributeBytes: Int?
        /// Bytes of one entry's headers with all that belongs to them.
        package var headerBytes: Int?
        /// The base-2 logarithm of the largest zstd window, 10 to 31.
        package var zstdWindowLog: Int32?
        /// Bytes that stay free on the file system.
        package var freeBytes: UInt64?
        /// Inodes that stay free there.
        package var freeInodes: UInt64?

        package init() {}
    }

    /// The most that one container's log takes of the disk: `fileBytes` times `fileCount`.
    package struct LogLimits: Sendable, Equatable {
        /// Bytes of one file before it is rotated.
        package var fileBytes: UInt64 = 10 << 20
        /// Files kept, the current one included.
        package var fileCount: UInt32 = 3

        package init() {}
    }
}
