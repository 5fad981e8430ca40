internal import Archive
internal import Dispatch
internal import Synchronization

/// Sends what a thread of its own packs.
/// - Parameter pack: packs to the sink that it is given; blocks.
/// - Parameter send: takes the archive chunk by chunk; nil is its end.
/// - Throws: what `send` throws, else what `pack` does.
func packing(
    _ pack: @escaping @Sendable (@escaping TreeWriter.Sink) throws -> Void,
    to send: (@escaping @Sendable () async throws -> [UInt8]?) async throws -> Void
) async throws {
    let pipe = BytePipe(timeout: .seconds(600))
    async let packed: Void = onThread {
        do {
            try pack { chunk throws(ArchiveError) in try pipe.send(chunk) }
            pipe.finish()
        } catch {
            pipe.fail("\(error)")
            throw error
        }
    }
    do {
        try await send {
            let chunk = try await onThread { try pipe.next() }
            return chunk.isEmpty ? nil : chunk
        }
    } catch {
        pipe.abandon()
        throw error
    }
    try await packed
}

/// Unpacks on a thread of its own what comes.
/// - Parameter unpack: reads the archive to its end; blocks.
/// - Parameter receive: hands the archive over chunk by chunk; false says that no more is wanted.
/// - Throws: what `receive` throws, unless it was refused, else what `unpack` does.
func unpacking(
    _ unpack: @escaping @Sendable (TaskSource) throws -> Void,
    from receive: (@escaping @Sendable ([UInt8]) async -> Bool) async throws -> Void
) async throws {
    let source = TaskSource()
    async let unpacked: Void = onThread {
        defer { source.abandon() }
        try unpack(source)
    }
    let isRefused = Mutex(false)
    do {
        try await receive { chunk in
            let isTaken = await source.send(chunk)
            if !isTaken { isRefused.withLock { $0 = true } }
            return isTaken
        }
        source.end()
    } catch {
        source.end("\(error)")
        // Where no more was wanted, why not is what matters.
        if isRefused.withLock(\.self) { try await unpacked }
        throw error
    }
    try await unpacked
}

/// Runs what blocks on a thread that may wait.
private func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        treeQueue.async { continuation.resume(with: Result { try work() }) }
    }
}

private let treeQueue = DispatchQueue(label: "trees", attributes: .concurrent)
