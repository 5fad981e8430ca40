internal import CoreTypes

/// Signals by the names and numbers that clients send.
enum SignalNames {
    static let kill: UInt32 = 9
    static let terminate: UInt32 = 15

    /// The number of `SIGTERM`, `term`, `15`, `RTMIN+3`. 0 is none here.
    /// - Throws: `.invalidParameter` in Docker's words.
    static func number(of text: String) throws(EngineError) -> UInt32 {
        guard let number = SignalName.number(of: text), number > 0 else {
            throw EngineError(.invalidParameter, "invalid signal: \(text)")
        }
        return UInt32(number)
    }
}
