internal import Synchronization

/// Clients that joined a container before its process was there.
final class PendingAttachments: Sendable {
    private let sessions = Mutex<[ObjectIdentifier: AttachSession]>([:])

    func add(_ session: AttachSession) { sessions.withLock { $0[ObjectIdentifier(session)] = session } }

    func remove(_ session: AttachSession) { sessions.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(session)) } }

    /// Hands over all, to be joined to the process or ended.
    func takeAll() -> [AttachSession] {
        sessions.withLock { sessions in
            defer { sessions = [:] }
            return Array(sessions.values)
        }
    }
}
