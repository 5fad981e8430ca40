/// Where the runtime's remarks go: it is lent one by the executable, which knows the log's file and format.
package struct Journal {
    /// How much a line matters.
    package enum Level: String, Sendable {
        case debug, warning, error
    }

    private let write: (Level, String) -> Void

    package init(_ write: @escaping (Level, String) -> Void) { self.write = write }

    package func debug(_ message: @autoclosure () -> String) { write(.debug, message()) }

    package func warn(_ message: String) { write(.warning, message) }
}
