internal import Engine
internal import NIOCore
internal import Synchronization

/// A request's body of any length, taken while it comes: what is not asked for stays with the client.
package final class RequestStream: Sendable {
    private let connection: Connection
    private let isFinished = Mutex(false)

    init(_ connection: Connection) { self.connection = connection }

    /// The next bytes; nil at the body's end.
    /// - Throws: `APIError` for a client that stops in the middle, or sends nothing for as long as a whole body may take.
    package func next() async throws -> [UInt8]? {
        if isFinished.withLock({ $0 }) { return nil }
        connection.queue.expect(within: connection.patience.forBody, or: RequestStall(), on: connection.channel.eventLoop)
        defer { connection.queue.expectNothing() }
        while let part = try await connection.next() {
            switch part {
            case .body(let bytes): return Array(bytes.readableBytesView)
            case .end:
                isFinished.withLock { $0 = true }
                return nil
            case .head, .raw: throw APIError.badRequest("a head inside a body")
            }
        }
        throw APIError.badRequest("the request's body ended before it was whole")
    }

    /// Reads what the client still sends, so that closing does not take from it the answer that it has not read yet.
    /// - Returns: whether the body is at its end, and another request may follow.
    func drain() async -> Bool {
        if isFinished.withLock({ $0 }) { return true }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                while let rest = try? await self.next(), !rest.isEmpty {}
                return self.isFinished.withLock { $0 }
            }
            group.addTask {
                // A cancelled sleep is as good as one that is over.
                try? await Pause.wait(for: Connection.farewell)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }
}

/// A client sent nothing of its body for too long.
struct RequestStall: Error {}
