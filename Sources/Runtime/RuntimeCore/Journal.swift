/// Where the runtime's remarks go: it is lent one by the executable, which knows the log's file and format.
package struct Journal {
    /// How much a line matters.
    package enum Level: String, Sendable {
        case debug, warning, error
    }

    private let write: (Level, String) -> Void
    /// Whether anybody wants to hear of what goes well.
    private let tellsDebug: Bool

    package init(tellsDebug: Bool = false, _ write: @escaping (Level, String) -> Void) {
        self.tellsDebug = tellsDebug
        self.write = write
    }

    /// Tells of a stage that is reached: once for each, in words of docs/process-stages.md. Where nobody wants to hear, no text is made.
    package func debug(_ message: @autoclosure () -> String) {
        if tellsDebug { write(.debug, message()) }
    }

    package func warn(_ message: String) { write(.warning, message) }
}
