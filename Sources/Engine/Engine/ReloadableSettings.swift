internal import EngineAPI
internal import Images
internal import Synchronization
package import SystemPackage

/// Settings that change while the engine lives: those of ours that dockerd reads again, too. Containers that run are not touched.
package struct ReloadableSettings: Equatable, Sendable {
    /// Whether the daemon logs at debug, which `info` tells.
    package var debug = false
    /// Low-level runtimes by the name that `HostConfig.Runtime` uses.
    package var runtimes: [String: FilePath]
    /// The name, in `runtimes`, of the one that serves requests without a name.
    package var defaultRuntime: String
    /// Registries spoken to in plain http beside those of 127.0.0.0/8: `host:port` or CIDR.
    package var insecureRegistries: [String] = []

    /// Servers that are asked before Docker Hub, `https://mirror`.
    package var registryMirrors: [String] = []
    /// What the daemon says of itself, `key=value`.
    package var labels: [String] = []
    /// Attempts in a row at one blob that brought no byte.
    package var downloadAttempts = 4
    /// Blobs on their way from registries at a time.
    package var downloads = 3
    /// Blobs on their way to registries at a time.
    package var uploads = 3
    /// Bytes of `/dev/shm` where a container asks for none.
    package var sharedMemoryBytes = DefaultMounts.sharedMemoryBytes
    /// `private` or `shareable`, where a container says nothing.
    package var ipcMode = "private"

    package init(runtimes: [String: FilePath], defaultRuntime: String) {
        self.runtimes = runtimes
        self.defaultRuntime = defaultRuntime
    }
}

/// The settings as they are now, for everyone who has the engine's configuration.
final class CurrentSettings: Sendable {
    private let settings: Mutex<ReloadableSettings>

    init(_ settings: ReloadableSettings) { self.settings = Mutex(settings) }

    var value: ReloadableSettings {
        get { settings.withLock(\.self) }
        set { settings.withLock { $0 = newValue } }
    }
}

extension ContainerEngine {
    /// Takes other settings, from the next request on, and tells it as an event.
    package func reload(_ settings: ReloadableSettings) throws(EngineError) {
        let parts = try parts()
        configuration.current.value = settings
        parts.services.images.renew(
            insecureRegistries: settings.insecureRegistries, mirrors: settings.registryMirrors, downloadAttempts: settings.downloadAttempts)
        parts.services.images.limit(downloads: settings.downloads, uploads: settings.uploads)
        // Docker's attributes, of what there is here.
        let attributes = [
            "name": parts.host.facts.hostName, "debug": "\(settings.debug)", "default-runtime": settings.defaultRuntime,
            "runtimes": settings.runtimes.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: " "),
            "insecure-registries": Self.list(settings.insecureRegistries), "live-restore": "true",
            "max-concurrent-downloads": "\(settings.downloads)", "max-concurrent-uploads": "\(settings.uploads)",
            "max-download-attempts": "\(settings.downloadAttempts)",
            "registry-mirrors": Self.list(settings.registryMirrors), "labels": Self.list(settings.labels),
            "default-ipc-mode": settings.ipcMode, "default-shm-size": "\(settings.sharedMemoryBytes)",
        ]
        parts.services.events.publish(.daemon, "reload", id: parts.identity, attributes: attributes)
    }

    /// A list as JSON.
    private static func list(_ texts: [String]) -> String {
        // Strings are always encoded.
        ((try? EngineJSON.encode(texts)).map { String(decoding: $0, as: UTF8.self) } ?? "[]").filter { $0 != "\n" }
    }
}
