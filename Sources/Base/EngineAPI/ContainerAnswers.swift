/// `POST /containers/create`.
public struct ContainerCreateResponse: EngineDocument {
    /// 64 hexadecimal digits.
    @Defaulted public var id: String = ""
    /// What the client should know.
    @Defaulted public var warnings: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id", warnings = "Warnings"
    }
}

/// `POST /containers/{id}/update`.
public struct ContainerUpdateResponse: EngineDocument {
    /// What the client should know.
    @NullWhenEmpty public var warnings: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case warnings = "Warnings"
    }
}

/// `POST /containers/{id}/wait`, sent when the container ends.
public struct WaitResponse: EngineDocument {
    /// Why waiting failed.
    public var error: WaitError?
    /// The exit code.
    @Defaulted public var statusCode: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case error = "Error", statusCode = "StatusCode"
    }
}

/// Why waiting failed.
public struct WaitError: EngineDocument {
    /// One sentence.
    @Defaulted public var message: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case message = "Message"
    }
}

/// `POST /containers/prune`.
public struct ContainersPruneResponse: EngineDocument {
    /// Ids of what was removed.
    @NullWhenEmpty public var containersDeleted: [String] = []
    /// Bytes that were freed.
    @Defaulted public var spaceReclaimed: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case containersDeleted = "ContainersDeleted", spaceReclaimed = "SpaceReclaimed"
    }
}

/// `GET /containers/{id}/top`.
public struct ContainerTopResponse: EngineDocument {
    /// Headings of the columns.
    @Defaulted public var titles: [String] = []
    /// Rows of as many words.
    @Defaulted public var processes: [[String]] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case titles = "Titles", processes = "Processes"
    }
}
