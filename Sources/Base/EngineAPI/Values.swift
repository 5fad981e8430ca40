/// The object without fields: the value of docker's maps that are sets.
public struct EmptyObject: EngineDocument {
    /// Nothing.
    public init() {}
}

/// Ports by `port/protocol`; null or empty where a port is exposed and not published.
public typealias PortMap = [String: [PortBinding]?]

/// A list of words that a client may also write as one word, as docker's `strslice` takes it.
public struct StringSlice: Codable, Sendable, ZeroValued, ExpressibleByArrayLiteral {
    /// What a document says when it says nothing.
    public static var zero: StringSlice { [] }

    /// The words.
    public var words: [String]

    /// The given words.
    public init(_ words: [String]) { self.words = words }
    /// The given words.
    public init(arrayLiteral elements: String...) { words = elements }

    /// Reads the JSON of one value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let word = try? container.decode(String.self) {
            words = [word]
        } else {
            words = try container.decode([String].self)
        }
    }

    /// Writes the JSON of one value.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(words)
    }
}
