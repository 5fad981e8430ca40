/// The body of `POST /system/check`, which is ours.
public struct SystemCheckRequest: EngineDocument {
    /// Whether what is wrong is put right.
    @OmittedWhenZero public var repair: Bool = false
    /// For registries, `host:port`, that damaged blobs are fetched from.
    @OmittedWhenZero public var credentials: [String: AuthConfig] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case repair = "Repair", credentials = "Credentials"
    }
}

/// One thing that is not as the records say.
public struct SystemCheckFinding: EngineDocument {
    /// `missing`, `damaged`, `unreadable` or `extra`.
    @Defaulted public var kind: String = ""
    /// `blob`, `layer`, `file`, `root`, `record`, `mount`, `cgroup` or `leftover`.
    @Defaulted public var object: String = ""
    /// A digest, a container's id or a path.
    @Defaulted public var id: String = ""
    /// What is wrong, and where inside.
    @OmittedWhenZero public var detail: String = ""
    /// Names of images that need it.
    @OmittedWhenZero public var images: [String] = []
    /// Whether it is right now.
    @Defaulted public var repaired: Bool = false
    /// Why it was not repaired, where that was asked for.
    @OmittedWhenZero public var remark: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case kind = "Kind", object = "Object", id = "ID", detail = "Detail", images = "Images", repaired = "Repaired", remark = "Remark"
    }
}

/// `POST /system/check`.
public struct SystemCheckReport: EngineDocument {
    /// In the order in which they were found.
    @Defaulted public var findings: [SystemCheckFinding] = []
    /// Blobs that were read.
    @Defaulted public var blobs: Int = 0
    /// Bytes of them.
    @Defaulted public var bytes: Int64 = 0
    /// Unpacked layers that were compared.
    @Defaulted public var layers: Int = 0
    /// Containers that were looked for.
    @Defaulted public var containers: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case findings = "Findings", blobs = "Blobs", bytes = "Bytes", layers = "Layers", containers = "Containers"
    }
}
