internal import CoreTypes
package import EngineAPI
internal import Synchronization
internal import Tracing

/// What the API does with containers. `name`: an id, a name, or an unambiguous beginning of an id.
extension ContainerEngine {
    /// Makes a container from an image that is here.
    /// - Parameter name: with or without a leading slash; nil or empty picks one.
    /// - Parameter platform: `os/arch[/variant]` that the image must have; empty is any.
    /// - Parameter habits: what the client's version of the API takes for granted.
    package func createContainer(
        name: String?, request: ContainerCreateRequest, platform: String, habits: ClientHabits = ClientHabits()
    ) async throws(EngineError) -> ContainerCreateResponse {
        try await ContainerCreation(parts: try parts(), request: request, platform: platform, habits: habits).run(name: name)
    }

    /// `GET /containers/json`, newest first. Without `all`, a `status` filter or a `limit`, only running ones.
    package func containers(
        all: Bool, limit: Int?, size: Bool, filters: Filters
    ) async throws(EngineError) -> [ContainerSummary] {
        try await ContainerListing(parts: try parts(), filters: filters).run(all: all, limit: limit, size: size)
    }

    /// The id of the container of exactly that id or name, which is found without a look at the others; nil where there is none.
    package func containerID(exactly word: String) -> String? { try? parts().services.index.identifier(of: word) }

    /// `GET /containers/{id}/json`.
    package func inspectContainer(_ name: String, size: Bool) async throws(EngineError) -> ContainerInspect {
        let container = try container(name)
        var answer = await container.inspection()
        if size {
            let sizes = try await ContainerSizes.measure(container, try parts())
            answer.sizeReadWrite = sizes.written
            answer.sizeRootFilesystem = sizes.whole
        }
        return answer
    }

    /// Starts a container. - Throws: `.notModified` when it runs.
    package func startContainer(_ name: String) async throws(EngineError) {
        let container = try container(name)
        try await traced("container start", container.traced) { () throws(EngineError) in try await container.start() }
    }

    /// Sends the stop signal, and SIGKILL when the time is over.
    /// - Parameter signal: name or number; nil is the container's.
    /// - Parameter timeoutSeconds: nil is the container's; negative is for ever.
    /// - Throws: `.notModified` when it does not run.
    package func stopContainer(_ name: String, signal: String?, timeoutSeconds: Int?) async throws(EngineError) {
        let container = try container(name)
        try await traced("container stop", container.traced) { () throws(EngineError) in
            try await container.stop(signal: signal, timeoutSeconds: timeoutSeconds)
        }
    }

    /// Stops a container that runs, and starts it.
    package func restartContainer(_ name: String, signal: String?, timeoutSeconds: Int?) async throws(EngineError) {
        let container = try container(name)
        try await traced("container restart", container.traced) { () throws(EngineError) in
            try await container.restart(signal: signal, timeoutSeconds: timeoutSeconds)
        }
    }

    /// Sends a signal, by name or number; empty is SIGKILL. - Throws: `.conflict` when it does not run.
    package func killContainer(_ name: String, signal: String) async throws(EngineError) {
        try await container(name).kill(signal: signal)
    }

    /// Holds every process of a container where it is. - Throws: `.conflict` when it does not run, or is paused.
    package func pauseContainer(_ name: String) async throws(EngineError) { try await container(name).pause() }

    /// Lets a paused container go on. - Throws: `.conflict` when it is not paused.
    package func unpauseContainer(_ name: String) async throws(EngineError) { try await container(name).unpause() }

    /// Takes a container away.
    /// - Parameter volumes: those of its volumes that nobody named, too.
    /// - Parameter link: only a link of the legacy bridge, of which there are none.
    package func removeContainer(_ name: String, force: Bool, volumes: Bool, link: Bool) async throws(EngineError) {
        let services = try parts().services
        let found = try services.index.look(for: name)
        // Docker's words for what is no link.
        if link { throw EngineError(.conflict, "Conflict, cannot remove the default link name of the container") }
        try await removing { () throws(EngineError) in
            switch found {
            case .container(let container): try await container.remove(force: force, withVolumes: volumes)
            case .unreadable(let unreadable): try await unreadable.remove(force: force, withVolumes: volumes, services)
            }
        }
    }

    /// Gives a container another name, with or without a leading slash.
    package func renameContainer(_ name: String, to newName: String) async throws(EngineError) {
        try await container(name).rename(to: newName)
    }

    /// Removes containers that do not run. Filters: `until`, `label`, `label!`.
    /// - Throws: `.conflict` while another prune is under way.
    package func pruneContainers(_ filters: Filters) async throws(EngineError) -> ContainersPruneResponse {
        let pruning = try ContainerPruning(parts: try parts(), filters: filters)
        return try await self.pruning(.container) { () throws(EngineError) in
            try await removing { () throws(EngineError) in try await pruning.run() }
        }
    }

    /// Registers a wait before it returns; the result comes later.
    package func waitForContainer(_ name: String, condition: WaitCondition) async throws(EngineError) -> WaitHandle {
        await (try container(name)).wait(for: condition)
    }

    /// Sets the size of the process's terminal, in cells.
    package func resizeContainer(_ name: String, height: UInt32, width: UInt32) async throws(EngineError) {
        try await container(name).resize(height: height, width: width)
    }

    /// Joins the process's input and output, before or after its start.
    package func attachContainer(_ name: String, options: AttachOptions) async throws(EngineError) -> AttachSession {
        try await container(name).attach(options)
    }

    /// Reads the log.
    package func containerLogs(_ name: String, options: LogOptions) async throws(EngineError) -> LogSession {
        try await container(name).logs(options)
    }

    /// Removes what was logged so far; those who follow the log go on with what comes.
    package func clearContainerLogs(_ name: String) async throws(EngineError) {
        try await container(name).clearLogs()
    }
}

// MARK: - Execs

extension ContainerEngine {
    /// Notes a further process of a running container.
    package func createExec(
        _ name: String, request: ExecCreateRequest
    ) async throws(EngineError) -> ExecCreateResponse {
        var answer = ExecCreateResponse()
        answer.id = try await container(name).createExec(request)
        return answer
    }

    /// Starts it. - Returns: the client's end, nil when detached; the process runs already, or the session says why it does not.
    package func startExec(_ id: String, request: ExecStartRequest) async throws(EngineError) -> AttachSession? {
        let exec = try parts().services.index.find(exec: id)
        return try await exec.container.startExec(exec.id, request)
    }

    /// Sets the size of its terminal, in cells.
    package func resizeExec(_ id: String, height: UInt32, width: UInt32) async throws(EngineError) {
        let exec = try parts().services.index.find(exec: id)
        try await exec.container.resizeExec(exec.id, height: height, width: width)
    }

    /// `GET /exec/{id}/json`.
    package func inspectExec(_ id: String) async throws(EngineError) -> ExecInspect {
        let exec = try parts().services.index.find(exec: id)
        return try await exec.container.inspectExec(exec.id)
    }

    /// Returns when an exec has ended and `inspectExec` knows its exit code. - Throws: `.unavailable` when the task is cancelled.
    package func waitForExec(_ id: String) async throws(EngineError) {
        let exec = try parts().services.index.find(exec: id)
        let end = try await exec.container.execEnd(exec.id)
        do throws(CancellationError) { _ = try await end.value() } catch {
            throw EngineError(.unavailable, "the wait for exec \(id) was cancelled", cause: error)
        }
    }
}

extension Container {
    /// What a span tells of it.
    nonisolated fileprivate var traced: [(String, TraceValue)] { [("container.id", .text(id.text))] }
}

/// What clients of older versions of the API take for granted when they make a container, and cannot say.
package struct ClientHabits: Equatable, Sendable {
    /// Read-only binds leave the mounts below them writable.
    package var readsOnlyTop = false
    /// The cgroup namespace is the host's where control groups are of version 1.
    package var usesHostCgroupNamespace = false

    package init() {}
}
