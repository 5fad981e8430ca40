public import CoreTypes
internal import FoundationEssentials

/// What lies at a path of a container.
public struct ContainerPathStat: EngineDocument {
    /// The last component of the path; the root's is a slash.
    @Defaulted public var name: String = ""
    /// Bytes.
    @Defaulted public var size: Int64 = 0
    /// As Go's `os.FileMode` has it.
    @Defaulted public var mode: UInt32 = 0
    /// When it was modified.
    @Defaulted public var modified: Timestamp = .zero
    /// For a link: where it leads, inside the container.
    @Defaulted public var linkTarget: String = ""

    /// Every field at its zero value.
    public init() {}

    /// Reads the header `X-Docker-Container-Path-Stat`: base64 of JSON.
    public init(headerText: String) throws(DocumentError) {
        guard let bytes = Data(base64Encoded: headerText) else {
            throw DocumentError(document: "ContainerPathStat", reason: "X-Docker-Container-Path-Stat is not base64")
        }
        self = try EngineJSON.decode(Self.self, from: Array(bytes))
    }

    /// The header's value.
    public var headerText: String {
        get throws(DocumentError) { Data(try EngineJSON.encode(self)).base64EncodedString() }
    }

    private enum CodingKeys: String, CodingKey {
        case name, size, mode, modified = "mtime", linkTarget
    }
}

/// A file of a container that is not as its image has it.
public struct FilesystemChange: EngineDocument {
    /// What became of it.
    public enum Kind: Int, Sendable {
        case modified = 0
        case added = 1
        case deleted = 2
    }

    /// Absolute.
    @Defaulted public var path: String = ""
    /// The number of a `Kind`.
    @Defaulted public var kind: Int = 0

    /// Every field at its zero value.
    public init() {}

    /// A change of one file.
    public init(path: String, kind: Kind) {
        self.path = path
        self.kind = kind.rawValue
    }

    private enum CodingKeys: String, CodingKey {
        case path = "Path", kind = "Kind"
    }
}
