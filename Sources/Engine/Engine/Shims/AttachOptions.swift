/// What a client of `attach` wants.
package struct AttachOptions: Sendable, Equatable {
    /// Whether its bytes go to the process.
    package var stdin = false
    /// Whether it gets the process's standard output.
    package var stdout = false
    /// Whether it gets the process's standard error.
    package var stderr = false
    /// Whether it gets what the process writes from now on.
    package var stream = false
    /// Whether it gets what the log already holds, first.
    package var logs = false

    package init() {}
}

/// Which of a process's outputs bytes came from.
package enum OutputStream: UInt8, Sendable, Equatable {
    case stdout = 1
    case stderr = 2
}

/// Bytes that a process wrote, on the way to an attached client.
package struct OutputChunk: Sendable, Equatable {
    package let stream: OutputStream
    package let bytes: [UInt8]
}
