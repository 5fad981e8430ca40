internal import CoreTypes
internal import EngineAPI

/// A container's name, and under which it speaks of itself.
extension Container {
    /// Tells those who listen to events what happened, with the container's labels, image and name.
    /// - Parameter moment: when it happened, where that may be long ago: told as it is by a daemon that was away.
    func tell(_ action: String, _ more: [String: String] = [:], at moment: Timestamp? = nil) {
        publish(action, more, at: isRestoring ? moment?.unixNanoseconds : nil)
    }

    private func publish(_ action: String, _ more: [String: String], at time: Int64?) {
        var attributes = document.config.labels
        attributes["image"] = document.config.image
        attributes["name"] = name
        attributes.merge(more) { _, new in new }
        services.events.publish(
            .container, action, id: id.text, attributes: attributes, from: document.config.image,
            at: time)
    }

    // MARK: - What must not be lost

    /// Has the next record say that an event is to be told, which `tellUntold` does once the record is written.
    func note(untold action: String, _ more: [String: String] = [:], at moment: Timestamp? = nil) {
        let time = isRestoring ? moment?.unixNanoseconds : nil
        document.untold.append(ContainerDocument.UntoldEvent(action: action, attributes: more, time: time ?? Clock.unixNanoseconds))
    }

    /// Tells what is noted. The record goes on saying so until it is written for another reason: whoever reads it looks what the journal has.
    func tellUntold() {
        for event in document.untold { publish(event.action, event.attributes, at: event.time) }
        document.untold = []
    }

    /// The times of what was noted by a former daemon.
    var untoldTimes: [Int64] { document.untold.map(\.time) }

    /// Tells what a former daemon noted and did not tell.
    func tellUntold(unless told: EventJournal.Recent) {
        document.untold.removeAll { told.isKnown($0.action, of: id.text, at: $0.time) }
        tellUntold()
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
