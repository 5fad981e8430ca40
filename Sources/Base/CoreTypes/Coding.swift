/// The words of this module inside other documents: each is one string there.

extension ContainerID: Codable {
    /// Reads one JSON string. - Throws: `InvalidContainerID` for one that no container can have.
    public init(from decoder: any Decoder) throws { try self.init(try decoder.singleValueContainer().decode(String.self)) }
    /// Writes the id as one JSON string.
    public func encode(to encoder: any Encoder) throws { try encodeText(text, to: encoder) }
}

extension Digest: Codable {
    /// Reads one JSON string of the form `ALGORITHM:HEX`. - Throws: `InvalidDigest`.
    public init(from decoder: any Decoder) throws { try self.init(try decoder.singleValueContainer().decode(String.self)) }
    /// Writes `ALGORITHM:HEX` as one JSON string.
    public func encode(to encoder: any Encoder) throws { try encodeText(description, to: encoder) }
}

extension ImageReference: Codable {
    /// Reads one JSON string. - Throws: `InvalidImageReference`.
    public init(from decoder: any Decoder) throws { try self.init(try decoder.singleValueContainer().decode(String.self)) }
    /// Writes the reference as one JSON string, which reads as the same reference.
    public func encode(to encoder: any Encoder) throws { try encodeText(description, to: encoder) }
}

extension Timestamp: Codable {
    /// Reads one JSON string by RFC 3339. - Throws: `InvalidTimestamp`.
    public init(from decoder: any Decoder) throws { try self.init(try decoder.singleValueContainer().decode(String.self)) }
    /// Writes RFC 3339 in UTC as one JSON string.
    public func encode(to encoder: any Encoder) throws { try encodeText(description, to: encoder) }
}

private func encodeText(_ text: String, to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
}
