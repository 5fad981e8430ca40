/// One line of `GET /images/{name}/history`, the newest first.
public struct ImageHistoryItem: EngineDocument {
    /// The image's id on the first line, `<missing>` below.
    @Defaulted public var id: String = ""
    /// Seconds since 1970.
    @Defaulted public var created: Int64 = 0
    /// The instruction.
    @Defaulted public var createdBy: String = ""
    /// `name:tag`, on the first line.
    @NullWhenEmpty public var tags: [String] = []
    /// Bytes of its layer, unpacked; 0 where it made none.
    @Defaulted public var size: Int64 = 0
    /// What its author said of it.
    @Defaulted public var comment: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id", created = "Created", createdBy = "CreatedBy", tags = "Tags", size = "Size", comment = "Comment"
    }
}

/// `POST /images/prune`.
public struct ImagesPruneReport: EngineDocument {
    /// What went away.
    @NullWhenEmpty public var imagesDeleted: [ImageDeleteItem] = []
    /// Bytes.
    @Defaulted public var spaceReclaimed: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case imagesDeleted = "ImagesDeleted", spaceReclaimed = "SpaceReclaimed"
    }
}

/// `POST /auth`.
public struct AuthenticateAnswer: EngineDocument {
    /// `Login Succeeded`.
    @Defaulted public var status: String = ""
    /// A token to keep in place of the password; empty for none.
    @Defaulted public var identityToken: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case status = "Status", identityToken = "IdentityToken"
    }
}

/// `POST /commit`.
public struct CommitAnswer: EngineDocument {
    /// Of the new image.
    @Defaulted public var id: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
    }
}
