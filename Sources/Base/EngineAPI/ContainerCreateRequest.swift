/// The body of `POST /containers/create`: `ContainerConfig`'s fields, with two more objects among them.
public struct ContainerCreateRequest: EngineDocument {
    /// The portable side.
    public var config = ContainerConfig()
    /// The host's side.
    public var hostConfig = HostConfig()
    /// Networks to join.
    public var networkingConfig = NetworkingConfig()

    /// Every field at its zero value.
    public init() {}

    /// Reads the JSON of one value.
    public init(from decoder: any Decoder) throws {
        config = try ContainerConfig(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        hostConfig = try container.decodeIfPresent(HostConfig.self, forKey: .hostConfig) ?? HostConfig()
        networkingConfig = try container.decodeIfPresent(NetworkingConfig.self, forKey: .networkingConfig) ?? NetworkingConfig()
    }

    /// Writes the JSON of one value.
    public func encode(to encoder: any Encoder) throws {
        try config.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(hostConfig, forKey: .hostConfig)
        try container.encode(networkingConfig, forKey: .networkingConfig)
    }

    private enum CodingKeys: String, CodingKey {
        case hostConfig = "HostConfig", networkingConfig = "NetworkingConfig"
    }
}
