internal import CoreTypes
internal import EngineAPI
internal import Records

/// A container's name, and under which it speaks of itself.
extension Container {
    /// Tells those who listen to events what happened, with the container's labels, image and name.
    /// - Parameter moment: when it happened, where that may be long ago: told as it is by a daemon that was away.
    func tell(_ action: String, _ more: [String: String] = [:], at moment: Timestamp? = nil) {
        publish(action, more, at: isRestoring ? moment?.unixNanoseconds : nil)
    }

    private func publish(_ action: String, _ more: [String: String], at time: Int64?) {
        services.events.publish(
            .container, action, id: id.text, attributes: attributes(more), from: document.config.image,
            at: time)
    }

    private func attributes(_ more: [String: String]) -> [String: String] {
        var attributes = document.config.labels
        attributes["image"] = document.config.image
        attributes["name"] = name
        attributes.merge(more) { _, new in new }
        return attributes
    }

    // MARK: - What must not be lost

    /// An event that is to be told once with what the document says now, by `record`.
    /// - Parameter moment: when it happened, as `tell` takes it.
    func untold(_ action: String, _ more: [String: String] = [:], at moment: Timestamp? = nil) -> ContainerDocument.UntoldEvent {
        let time = isRestoring ? moment?.unixNanoseconds : nil
        return ContainerDocument.UntoldEvent(
            action: action, attributes: more, time: time ?? Clock.unixNanoseconds, journalNumber: services.events.end)
    }

    /// Writes the document with an event that must not be lost, then tells it. The record goes on saying that it is to be told until it is written for
    /// another reason when the journal has written the event: whoever reads it looks what the journal has.
    /// - Parameter place: between the two.
    func record(_ event: ContainerDocument.UntoldEvent?, _ place: Failpoint) async {
        if let event { document.untold.append(event) }
        await saveOrLog()
        failpoint(place)
        if let event { tell(event) }
    }

    /// What is to be told once of the container that goes, whoever tells it.
    var destruction: DestroyedContainer {
        DestroyedContainer(event: untold("destroy", attributes([:])), image: document.config.image)
    }

    private func tell(_ event: ContainerDocument.UntoldEvent) {
        publish(event.action, event.attributes, at: event.time)
        toldEvents.append((event, services.events.toldCount))
    }

    /// As many wait for a journal whose disk is stalled before the oldest are forgotten.
    private static let maximumToldCount = 64

    /// Has the next record say no more of what was told, once the journal has it on the disk for good.
    func forgetWrittenEvents() {
        let durableCount = services.events.durableCount
        let surplus = max(toldEvents.prefix { $0.toldCount <= durableCount }.count, toldEvents.count - Self.maximumToldCount)
        let forgotten = toldEvents.prefix(surplus).map(\.event)
        document.untold.removeAll { forgotten.contains($0) }
        toldEvents.removeFirst(surplus)
    }

    private func noted(_ event: ContainerDocument.UntoldEvent) -> EventJournal.Noted {
        EventJournal.Noted(action: event.action, id: id.text, time: event.time, number: event.journalNumber)
    }

    /// What a former daemon noted.
    var notedEvents: [EventJournal.Noted] { document.untold.map(noted) }

    /// Forgets what was told of that, and notes the rest as of now: the disk may have lost the number that it was noted at.
    /// - Returns: the record that says so; nil where there was nothing.
    func renote(besides told: Set<EventJournal.Noted>) throws(EngineError) -> ContainerRecord? {
        if document.untold.isEmpty { return nil }
        document.untold.removeAll { told.contains(noted($0)) }
        for index in document.untold.indices { document.untold[index].journalNumber = services.events.end }
        return try document.record(id: id, name: name, created: created, image: imageID)
    }

    /// The record that makes it a container; it says that this is to be told.
    func firstRecord() throws(EngineError) -> ContainerRecord {
        document.untold = [untold("create")]
        return try document.record(id: id, name: name, created: created, image: imageID)
    }

    /// Tells of a new container what its record has noted. It may have been started already.
    func tellCreation() {
        if let event = document.untold.first(where: { $0.action == "create" && !toldEvents.map(\.event).contains($0) }) { tell(event) }
    }

    /// Tells what a former daemon noted and did not tell.
    func tellUntold() {
        for event in document.untold { tell(event) }
    }

    /// Gives the container another name.
    /// - Throws: `.invalidParameter` or `.conflict` in Docker's words.
    func rename(to text: String) async throws(EngineError) {
        let wanted = text.hasPrefix("/") ? String(text.dropFirst()) : text
        guard !wanted.isEmpty else { throw EngineError(.invalidParameter, "Neither old nor new names may be empty") }
        guard wanted != name else {
            throw EngineError(.invalidParameter, "Renaming a container with the same name as its current name")
        }
        switch state {
        case .created, .starting, .running, .paused, .restarting, .stopping, .exiting, .exited: break
        case .removing, .dead: throw EngineError(.conflict, "container \(id) is being removed and cannot be renamed")
        }
        guard !isRenaming else { throw EngineError(.conflict, "container \(id) is being renamed already") }
        do throws(EngineError) {
            _ = try ContainerNames.validated("/\(wanted)")
            try services.index.reserve(name: wanted, for: id)
        } catch { throw EngineError(error.code, "Error when allocating new name: \(error.message)", cause: error) }
        try await take(name: wanted)
    }

    private func take(name new: String) async throws(EngineError) {
        let old = name
        isRenaming = true
        defer { isRenaming = false }
        name = new
        do throws(EngineError) { try await save() } catch {
            name = old
            services.index.release(name: new, for: id)
            // A start that ended meanwhile has made the other one known.
            await renameOnNetworks()
            throw error
        }
        services.index.release(name: old, for: id)
        await renameOnNetworks()
        tell("rename", ["oldName": "/\(old)"])
    }
}
