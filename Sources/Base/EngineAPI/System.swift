/// `GET /version`.
public struct SystemVersion: EngineDocument {
    /// Whose product it is.
    @Defaulted public var platform: PlatformName = PlatformName()
    /// Its parts.
    @Defaulted public var components: [ComponentVersion] = []
    /// Of the daemon.
    @Defaulted public var version: String = ""
    /// The newest that it speaks.
    @Defaulted public var apiVersion: String = ""
    /// The oldest that it speaks.
    @Defaulted public var minimumAPIVersion: String = ""
    /// What it was built from.
    @Defaulted public var gitCommit: String = ""
    /// The compiler, under the key that clients print.
    @Defaulted public var goVersion: String = ""
    /// `linux`.
    @Defaulted public var os: String = ""
    /// `amd64`, …
    @Defaulted public var architecture: String = ""
    /// As uname says it.
    @Defaulted public var kernelVersion: String = ""
    /// Whether experimental features are on.
    @OmittedWhenZero public var experimental: Bool = false
    /// RFC 3339.
    @Defaulted public var buildTime: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case platform = "Platform", components = "Components", version = "Version", apiVersion = "ApiVersion"
        case minimumAPIVersion = "MinAPIVersion", gitCommit = "GitCommit", goVersion = "GoVersion", os = "Os"
        case architecture = "Arch", kernelVersion = "KernelVersion", experimental = "Experimental"
        case buildTime = "BuildTime"
    }
}

/// Whose product a daemon is.
public struct PlatformName: EngineDocument {
    /// The name.
    @Defaulted public var name: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
    }
}

/// One part of a daemon.
public struct ComponentVersion: EngineDocument {
    /// The part.
    @Defaulted public var name: String = ""
    /// Its version.
    @Defaulted public var version: String = ""
    /// More about it.
    @OmittedWhenZero public var details: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", version = "Version", details = "Details"
    }
}
