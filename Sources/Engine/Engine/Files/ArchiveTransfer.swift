internal import Archive

/// Archives between clients and the threads that read and write trees, at the pace of the slower one.
enum ArchiveTransfer {
    /// Sends what a thread makes.
    /// - Parameters:
    ///   - told: given what the thread says first, before the first chunk.
    ///   - write: takes the archive chunk by chunk; the next one waits for it.
    ///   - make: begins the pipe, and fills it.
    static func send<Note: Sendable>(
        told: @escaping @Sendable (Note) async throws -> Void, to write: @escaping @Sendable ([UInt8]) async throws -> Void,
        _ make: @escaping @Sendable (ReversePipe<Note>) async throws(EngineError) -> Void
    ) async throws {
        let pipe = ReversePipe<Note>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do throws(EngineError) {
                    try await make(pipe)
                    pipe.finish(nil)
                } catch {
                    pipe.finish(error)
                }
            }
            defer { pipe.abandon() }
            try await told(try await pipe.note())
            while let chunk = try await pipe.next() { try await write(chunk) }
            pipe.abandon()
            try await group.waitForAll()
        }
    }

    /// Writes one archive into a pipe that was begun.
    /// - Parameters:
    ///   - shift: what the files' ids are in the archive; nil is the same.
    ///   - keepsHoles: whether holes are told of; else they are zeros.
    static func write<Note: Sendable>(
        into pipe: ReversePipe<Note>, limits: ArchiveLimits = .layer, shift: OwnerShift? = nil, keepsHoles: Bool = false,
        _ body: (inout TreeWriter) throws(ArchiveError) -> Void
    ) throws(EngineError) {
        do throws(ArchiveError) {
            var writer = TreeWriter(.tree, limits: limits, shift: shift, keepsHoles: keepsHoles) { chunk throws(ArchiveError) in
                try pipe.send(chunk)
            }
            try body(&writer)
            try writer.finish()
        } catch { throw EngineError(.system, "\(error)", cause: error) }
    }

    /// Hands a client's archive, at the client's pace, to a thread that unpacks it.
    /// - Parameter body: the archive's next bytes; nil is its end.
    static func receive(
        _ body: @escaping @Sendable () async throws -> [UInt8]?, _ unpack: @escaping @Sendable (TaskSource) async throws -> Void
    ) async throws {
        try await TaskSource.feed(from: body, unpack)
    }
}
