/// One object of a pull's or push's answer, each on a line of its own.
public struct ProgressMessage: EngineDocument {
    /// A sentence to print as it is.
    @OmittedWhenZero public var stream: String = ""
    /// `Downloading`, `Pull complete`, …
    @OmittedWhenZero public var status: String = ""
    /// How far it is.
    public var progressDetail: ProgressDetail?
    /// The bar that old clients print.
    @OmittedWhenZero public var progress: String = ""
    /// The layer or tag it is about.
    @OmittedWhenZero public var id: String = ""
    /// Why it failed.
    public var errorDetail: ErrorDetail?
    /// Why it failed, as a sentence.
    @OmittedWhenZero public var error: String = ""
    /// What a push made.
    public var aux: PushedTag?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case stream, status, progressDetail, progress, id, errorDetail, error, aux
    }
}

/// A tag that a push put into a registry.
public struct PushedTag: EngineDocument {
    /// The tag.
    @Defaulted public var tag: String = ""
    /// Of the manifest.
    @Defaulted public var digest: String = ""
    /// Bytes of the manifest.
    @Defaulted public var size: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case tag = "Tag", digest = "Digest", size = "Size"
    }
}

/// How far a transfer is.
public struct ProgressDetail: EngineDocument {
    /// Bytes.
    @OmittedWhenZero public var current: Int64 = 0
    /// Bytes; 0 is unknown.
    @OmittedWhenZero public var total: Int64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case current, total
    }
}

/// Why a stream ended badly.
public struct ErrorDetail: EngineDocument {
    /// Of HTTP.
    @OmittedWhenZero public var code: Int = 0
    /// One sentence.
    @Defaulted public var message: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case code, message
    }
}
