/// What a registry client is told at its start.
package struct RegistryConfiguration: Sendable {
    /// Registries that may be spoken to in plain http, or without a proof of who they are: `host`,
    /// `host:port`, or an address block as `10.0.0.0/8`. 127.0.0.0/8, ::1 and localhost always may.
    package var insecureRegistries: [String]
    /// Servers that are asked before Docker Hub, `https://mirror[:port]`, where no file says something about it.
    package var mirrors: [String] = []
    /// Attempts in a row at one blob that brought no byte.
    package var downloadAttempts = 4
    /// Folders like `/etc/docker/certs.d`, which hold authorities and client certificates of single registries, and like
    /// `/etc/containerd/certs.d`, which hold their `hosts.toml`. One that is not there holds none. A registry whose authority is given must prove who it is even where it may be insecure.
    package var certificateFolders: [String]
    /// A file like `/etc/containers/registries.conf`, and `*.conf` in the folder of the same name with `.d`; nil for none.
    package var registriesFile: String?
    /// Hosts of token services that may be shown passwords of every registry, beside those of a registry's own domain.
    package var tokenServices: [String] = []
    /// How long a registry may send nothing to speak of, in seconds.
    package var idleSeconds: Int
    /// What is taken from a registry or an archive.
    package var imageLimits = ImageLimits()
    /// Proxies; nothing is read from the environment.
    package var proxies: ProxySettings
    /// Sent with every request.
    package var userAgent: String

    package init(
        insecureRegistries: [String] = [], certificateFolders: [String] = [], registriesFile: String? = nil, idleSeconds: Int = 60,
        proxies: ProxySettings = ProxySettings(), userAgent: String = "apus"
    ) {
        self.insecureRegistries = insecureRegistries
        self.certificateFolders = certificateFolders
        self.registriesFile = registriesFile
        self.idleSeconds = idleSeconds
        self.proxies = proxies
        self.userAgent = userAgent
    }
}

/// Which proxy serves which scheme. Loopback is never asked through one.
package struct ProxySettings: Equatable, Sendable {
    /// For http targets: `http://proxy:3128`; empty is none.
    package var http: String
    /// For https targets; empty is none.
    package var https: String
    /// Hosts and domains reached directly, separated by commas, as `NO_PROXY` has them.
    package var exceptions: String

    package init(http: String = "", https: String = "", exceptions: String = "") {
        self.http = http
        self.https = https
        self.exceptions = exceptions
    }
}
