package import EngineAPI
package import Logging

/// The engine: images and containers of one data root. Every operation may be called from any task; operations
/// on one container are ordered by its own actor, and none waits for another container.
package final class ContainerEngine: Sendable {
    let configuration: EngineConfiguration
    let logger: Logger

    /// Opens nothing yet; `start` does.
    package init(configuration: EngineConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Opens the data root, finds the containers of former daemons and repairs what a crash left half done.
    package func start() async throws(EngineError) {}

    /// Lets go of everything: no container is touched.
    package func shutdown() async {}
}

// MARK: - System

extension ContainerEngine {
    /// `GET /version`, in the shape of the newest API.
    package func version() -> SystemVersion { SystemVersion() }

    /// `GET /info`, in the shape of the newest API.
    package func info() async throws(EngineError) -> SystemInfo { throw EngineError(.notImplemented, "info") }
}

// MARK: - Images

extension ContainerEngine {
    /// Fetches an image and makes it ready to run.
    /// - Parameter reference: `name`, `name:tag` or `name@digest`, as users write it.
    /// - Parameter platform: `os/arch[/variant]`; empty is the host's.
    /// - Parameter progress: takes each message in order; the transfer waits for it.
    package func pullImage(
        _ reference: String, platform: String, credentials: AuthConfig?,
        progress: @escaping @Sendable (ProgressMessage) async -> Void
    ) async throws(EngineError) { throw EngineError(.notImplemented, "pull") }

    /// `GET /images/json`, newest first. Filters: `dangling`, `label`, `before`, `since`, `until`, `reference`.
    package func images(all: Bool, filters: Filters) async throws(EngineError) -> [ImageSummary] { [] }

    /// `GET /images/{name}/json`.
    package func inspectImage(_ name: String) async throws(EngineError) -> ImageInspect {
        throw EngineError(.notImplemented, "inspect")
    }

    /// Gives an image one more name. An empty tag is `latest`.
    package func tagImage(_ name: String, repository: String, tag: String) async throws(EngineError) {
        throw EngineError(.notImplemented, "tag")
    }

    /// Takes a name from an image, and the image away with its last one.
    package func removeImage(_ name: String, force: Bool, prune: Bool) async throws(EngineError) -> [ImageDeleteItem] {
        throw EngineError(.notImplemented, "rmi")
    }
}

// MARK: - Containers

extension ContainerEngine {
    /// Makes a container from an image that is here.
    /// - Parameter name: with or without a leading slash; nil or empty picks one.
    /// - Parameter platform: `os/arch[/variant]` that the image must have; empty is any.
    package func createContainer(
        name: String?, request: ContainerCreateRequest, platform: String
    ) async throws(EngineError) -> ContainerCreateResponse { throw EngineError(.notImplemented, "create") }

    /// `GET /containers/json`, newest first. Without `all`, a `status` filter or a `limit`, only running ones.
    package func containers(
        all: Bool, limit: Int?, size: Bool, filters: Filters
    ) async throws(EngineError) -> [ContainerSummary] { [] }

    /// `GET /containers/{id}/json`. `name` here and below: an id, an unambiguous prefix of one, or a name.
    package func inspectContainer(_ name: String, size: Bool) async throws(EngineError) -> ContainerInspect {
        throw EngineError(.notImplemented, "inspect")
    }

    /// Starts a container. - Throws: `.notModified` when it runs.
    package func startContainer(_ name: String) async throws(EngineError) { throw EngineError(.notImplemented, "start") }

    /// Sends the stop signal, and SIGKILL when the time is over.
    /// - Parameter signal: name or number; nil is the container's.
    /// - Parameter timeoutSeconds: nil is the container's; negative is for ever.
    /// - Throws: `.notModified` when it does not run.
    package func stopContainer(_ name: String, signal: String?, timeoutSeconds: Int?) async throws(EngineError) {
        throw EngineError(.notImplemented, "stop")
    }

    /// Stops a container that runs, and starts it.
    package func restartContainer(_ name: String, signal: String?, timeoutSeconds: Int?) async throws(EngineError) {
        throw EngineError(.notImplemented, "restart")
    }

    /// Sends a signal, by name or number; empty is SIGKILL. - Throws: `.conflict` when it does not run.
    package func killContainer(_ name: String, signal: String) async throws(EngineError) {
        throw EngineError(.notImplemented, "kill")
    }

    /// Takes a container away.
    package func removeContainer(_ name: String, force: Bool, volumes: Bool, link: Bool) async throws(EngineError) {
        throw EngineError(.notImplemented, "rm")
    }

    /// Registers a wait before it returns; the result comes later.
    package func waitForContainer(_ name: String, condition: WaitCondition) async throws(EngineError) -> WaitHandle {
        throw EngineError(.notImplemented, "wait")
    }

    /// Sets the size of the process's terminal, in cells.
    package func resizeContainer(_ name: String, height: UInt32, width: UInt32) async throws(EngineError) {
        throw EngineError(.notImplemented, "resize")
    }

    /// Joins the process's input and output, before or after its start.
    package func attachContainer(_ name: String, options: AttachOptions) async throws(EngineError) -> AttachSession {
        throw EngineError(.notImplemented, "attach")
    }

    /// Reads the log.
    package func containerLogs(_ name: String, options: LogOptions) async throws(EngineError) -> LogSession {
        throw EngineError(.notImplemented, "logs")
    }
}

// MARK: - Execs

extension ContainerEngine {
    /// Notes a further process of a running container.
    package func createExec(
        _ name: String, request: ExecCreateRequest
    ) async throws(EngineError) -> ExecCreateResponse { throw EngineError(.notImplemented, "exec") }

    /// Starts it. - Returns: the client's end, nil when detached; the process runs already.
    package func startExec(_ id: String, request: ExecStartRequest) async throws(EngineError) -> AttachSession? {
        throw EngineError(.notImplemented, "exec")
    }

    /// Sets the size of its terminal, in cells.
    package func resizeExec(_ id: String, height: UInt32, width: UInt32) async throws(EngineError) {
        throw EngineError(.notImplemented, "exec")
    }

    /// `GET /exec/{id}/json`.
    package func inspectExec(_ id: String) async throws(EngineError) -> ExecInspect {
        throw EngineError(.notImplemented, "exec")
    }
}
