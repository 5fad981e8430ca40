/// One line of `GET /events`.
public struct EventMessage: EngineDocument {
    /// The action again, for the oldest clients; of containers and images.
    @OmittedWhenZero public var status: String = ""
    /// The actor's id again, for the oldest clients.
    @OmittedWhenZero public var id: String = ""
    /// A container's image, for the oldest clients.
    @OmittedWhenZero public var from: String = ""
    /// `container`, `image`, …
    @Defaulted public var type: String = ""
    /// `create`, `start`, `exec_create: sh`, …
    @Defaulted public var action: String = ""
    /// What it happened to.
    @Defaulted public var actor: EventActor = EventActor()
    /// `local`.
    @OmittedWhenZero public var scope: String = ""
    /// Seconds since 1970.
    @OmittedWhenZero public var time: Int64 = 0
    /// Nanoseconds since 1970.
    @OmittedWhenZero public var timeNano: Int64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case status, id, from, type = "Type", action = "Action", actor = "Actor", scope, time, timeNano
    }
}

/// What an event happened to.
public struct EventActor: EngineDocument {
    /// An id; of a pulled image, its reference.
    @Defaulted public var id: String = ""
    /// Labels, and what else belongs to the event.
    @Defaulted public var attributes: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID", attributes = "Attributes"
    }
}
