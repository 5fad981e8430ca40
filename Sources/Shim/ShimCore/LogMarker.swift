/// Lines of ours in a container's log, where lines of its own are missing.
enum LogMarker {
    /// The disk was too slow for output that is not to wait.
    static func dropped(_ byteCount: UInt64) -> [UInt8] {
        Array("[apus: \(byteCount) bytes of output were dropped here: the log's disk did not keep up]".utf8)
    }

    /// The disk refused output.
    static func lost(_ byteCount: UInt64, problem: String) -> [UInt8] {
        Array("[apus: \(byteCount) bytes of output were lost here: \(problem)]".utf8.prefix(4096))
    }
}
