internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Records
internal import Synchronization

/// What is left of a container that was removed, until the journal has written that it was.
struct DestroyedContainer: Codable, Equatable, Sendable {
    /// With everything that the event says, as nothing else knows it any more.
    var event: ContainerDocument.UntoldEvent
    /// The image, as the container's request named it.
    var image: String

    func noted(of id: ContainerID) -> EventJournal.Noted {
        EventJournal.Noted(action: event.action, id: id.text, time: event.time, number: event.journalNumber)
    }
}

/// Containers that were removed, and whose removal may not have been told yet: no daemon's death loses that. Each is left behind in the same step that
/// takes the container's own record away, and goes with a later removal, or with the next daemon.
final class DestroyedContainers: Sendable {
    /// As many wait for a journal whose disk is stalled before the oldest are forgotten.
    private static let maximumToldCount = 1024

    private let records: ContainerRecords
    private let events: EventJournal
    /// One that was told.
    private struct Told {
        let id: ContainerID
        /// Of the journal then.
        let toldCount: UInt64
    }

    /// Those that were told: the journal may not have them on the disk yet.
    private let told = Mutex<[Told]>([])

    init(records: ContainerRecords, events: EventJournal) {
        self.records = records
        self.events = events
    }

    /// Takes a container's record away, and leaves what is to be told of that.
    func remove(_ id: ContainerID, leaving destroyed: DestroyedContainer) async throws(EngineError) {
        let doing = "remove the record of container \(id)"
        let document: [UInt8]
        do throws(DocumentError) { document = try EngineJSON.encode(destroyed) } catch { throw .system(doing, error) }
        let written = takeWritten()
        do throws(RecordsError) { try await records.remove(id, leaving: document, forgetting: written.map(\.id)) } catch {
            told.withLock { $0 = written + $0 }
            throw .system(doing, error)
        }
    }

    /// Those of which nothing is to be kept any more.
    private func takeWritten() -> [Told] {
        // Not what was merely written: the records are flushed to the device, and would have forgotten what it lost with its power.
        let durableCount = events.durableCount
        return told.withLock { told in
            let count = max(told.prefix { $0.toldCount <= durableCount }.count, told.count - Self.maximumToldCount)
            defer { told.removeFirst(count) }
            return Array(told.prefix(count))
        }
    }

    func tell(_ id: ContainerID, _ destroyed: DestroyedContainer) {
        events.publish(
            .container, destroyed.event.action, id: id.text, attributes: destroyed.event.attributes, from: destroyed.image,
            at: destroyed.event.time)
        let toldCount = events.toldCount
        told.withLock { $0.append(Told(id: id, toldCount: toldCount)) }
    }

    // MARK: - What a former daemon left

    /// Those that it may not have told. What cannot be read is of no use to anybody, and is forgotten with what was told.
    func all() async throws(EngineError) -> [ContainerID: DestroyedContainer?] {
        do throws(RecordsError) {
            return try await records.destroyed().mapValues { try? EngineJSON.decode(DestroyedContainer.self, from: $0) }
        } catch { throw .system("restore what was removed", error) }
    }

    /// Forgets what was told of them, and notes the rest as of now: the disk may have lost the number that it was noted at.
    /// - Returns: the rest.
    func renote(
        _ found: [ContainerID: DestroyedContainer?], besides told: Set<EventJournal.Noted>
    ) async throws(EngineError) -> [ContainerID: DestroyedContainer] {
        if found.isEmpty { return [:] }
        var rest: [ContainerID: DestroyedContainer] = [:]
        for case (let id, var destroyed?) in found where !told.contains(destroyed.noted(of: id)) {
            destroyed.event.journalNumber = events.end
            rest[id] = destroyed
        }
        do {
            let documents = try rest.mapValues { try EngineJSON.encode($0) }
            try await records.keepDestroyed(documents)
        } catch { throw .system("note anew what was removed", error) }
        return rest
    }
}
