/// Which part of a container's log a client wants.
package struct LogOptions: Sendable, Equatable {
    /// Whether standard output is wanted.
    package var stdout = false
    /// Whether standard error is wanted.
    package var stderr = false
    /// Nanoseconds since 1970: only entries written then or later.
    package var since: Int64?
    /// Nanoseconds since 1970: only entries written before or then.
    package var until: Int64?
    /// How many of the last lines; nil is all.
    package var tail: Int?
    /// Whether to go on with what is written until the container ends.
    package var follow = false

    package init() {}
}

/// One line of a log, or a piece of a line too long for one entry.
package struct LogLine: Sendable, Equatable {
    /// Nanoseconds since 1970, when the shim read it.
    package let timestamp: Int64
    package let stream: OutputStream
    /// The bytes as the process wrote them, with the newline where there was one.
    package let bytes: [UInt8]
    /// It goes on with a line of which a piece was given before.
    package var isContinuation = false
}
