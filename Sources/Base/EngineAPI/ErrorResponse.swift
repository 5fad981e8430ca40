/// Docker's error body.
public struct ErrorResponse: EngineDocument {
    /// One or more sentences for the user.
    @Defaulted public var message: String = ""

    /// An empty message.
    public init() {}
    /// The given message.
    public init(_ message: String) { self.message = message }
}
