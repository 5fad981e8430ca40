internal import CoreTypes
internal import EngineAPI

/// A container's name, and under which it speaks of itself.
extension Container {
    /// Tells those who listen to events what happened, with the container's labels, image and name.
    /// - Parameter moment: when it happened, where that may be long ago: told as it is by a daemon that was away.
    func tell(_ action: String, _ more: [String: String] = [:], at moment: Timestamp? = nil) {
        var attributes = document.config.labels
        attributes["image"] = document.config.image
        attributes["name"] = name
        attributes.merge(more) { _, new in new }
        services.events.publish(
            .container, action, id: id.text, attributes: attributes, from: document.config.image,
            at: isRestoring ? moment?.unixNanoseconds : nil)
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
