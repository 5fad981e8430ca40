/// A logging driver and its options.
public struct LogConfig: EngineDocument {
    /// `json-file`, `none`, …; empty is the engine's default.
    @Defaulted public var type: String = ""
    /// Options of the driver.
    @Defaulted public var config: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case type = "Type", config = "Config"
    }
}

/// When the engine starts a container again.
public struct RestartPolicy: EngineDocument {
    /// `no`, `always`, `unless-stopped`, `on-failure` or empty.
    @Defaulted public var name: String = ""
    /// Attempts, for `on-failure`.
    @Defaulted public var maximumRetryCount: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", maximumRetryCount = "MaximumRetryCount"
    }
}

/// A resource limit of setrlimit(2).
public struct Ulimit: EngineDocument {
    /// `nofile`, `core`, …
    @Defaulted public var name: String = ""
    /// -1 is unlimited.
    @Defaulted public var hard: Int64 = 0
    /// -1 is unlimited.
    @Defaulted public var soft: Int64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", hard = "Hard", soft = "Soft"
    }
}

/// A device of the host, passed in.
public struct DeviceMapping: EngineDocument {
    /// The device on the host.
    @Defaulted public var pathOnHost: String = ""
    /// Its path inside.
    @Defaulted public var pathInContainer: String = ""
    /// Of `rwm`.
    @Defaulted public var cgroupPermissions: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case pathOnHost = "PathOnHost", pathInContainer = "PathInContainer"
        case cgroupPermissions = "CgroupPermissions"
    }
}

/// Devices asked of a driver, such as GPUs.
public struct DeviceRequest: EngineDocument {
    /// The driver's name.
    @Defaulted public var driver: String = ""
    /// -1 is all.
    @Defaulted public var count: Int = 0
    /// The driver's names of devices.
    @NullWhenEmpty public var deviceIDs: [String] = []
    /// Alternatives of capabilities.
    @NullWhenEmpty public var capabilities: [[String]] = []
    /// Options of the driver.
    @Defaulted public var options: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case driver = "Driver", count = "Count", deviceIDs = "DeviceIDs", capabilities = "Capabilities"
        case options = "Options"
    }
}

/// A block device's weight.
public struct WeightDevice: EngineDocument {
    /// The device.
    @Defaulted public var path: String = ""
    /// 10 to 1000.
    @Defaulted public var weight: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case path = "Path", weight = "Weight"
    }
}

/// A block device's rate limit.
public struct ThrottleDevice: EngineDocument {
    /// The device.
    @Defaulted public var path: String = ""
    /// Bytes or operations per second.
    @Defaulted public var rate: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case path = "Path", rate = "Rate"
    }
}
