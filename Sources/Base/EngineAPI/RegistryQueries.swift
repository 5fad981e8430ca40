/// One of `GET /images/search`.
public struct ImageSearchResult: EngineDocument {
    /// How many people like it.
    @Defaulted public var starCount: Int = 0
    /// Whether Docker looks after it.
    @Defaulted public var isOfficial: Bool = false
    /// The repository.
    @Defaulted public var name: String = ""
    /// Always false since builds by Docker Hub ended.
    @Defaulted public var isAutomated: Bool = false
    /// What it is, in its owner's words.
    @Defaulted public var description: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case starCount = "star_count", isOfficial = "is_official", name, isAutomated = "is_automated", description
    }
}

/// What a registry answers to a search. - Source: Docker Registry API v1, "Search".
public struct RegistrySearchAnswer: EngineDocument {
    /// In the registry's order.
    @Defaulted public var results: [ImageSearchResult] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey { case results }
}

/// `PUT /distribution/{name}/manifest`, which is ours.
public struct StoredManifest: EngineDocument {
    /// What the registry has it under.
    @Defaulted public var digest: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey { case digest = "Digest" }
}

/// `GET /distribution/{name}/json`.
public struct DistributionInspect: EngineDocument {
    /// Of the manifest or index that the name stands for.
    @Defaulted public var descriptor = Descriptor()
    /// What it runs on.
    @Defaulted public var platforms: [PlatformDocument] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case descriptor = "Descriptor", platforms = "Platforms"
    }
}
