public import CoreTypes
public import EngineAPI

/// The message of an error answer: its document's, or the status where it holds none.
func errorMessage(in bytes: [UInt8], status: Int) -> String {
    if let document = try? EngineJSON.decode(ErrorResponse.self, from: bytes), !document.message.isEmpty {
        return document.message
    }
    let text = String(decoding: bytes, as: UTF8.self)
    return text.isEmpty ? "request returned status \(status)" : text
}

extension Client {
    /// Sends a request and reads the document in its answer.
    /// - Throws: `EngineClientError`.
    public func document<Document: Decodable & Sendable>(_: Document.Type, _ request: EngineRequest) async throws -> Document {
        let bytes = try await answer(to: request)
        do throws(DocumentError) {
            return try EngineJSON.decode(Document.self, from: bytes)
        } catch {
            throw EngineClientError.brokenExchange("\(error)")
        }
    }

    /// `GET /version`.
    public func serverVersion() async throws -> SystemVersion {
        try await document(SystemVersion.self, EngineRequest("GET", "/version"))
    }

    /// `GET /info`.
    public func info() async throws -> SystemInfo {
        try await document(SystemInfo.self, EngineRequest("GET", "/info"))
    }

    /// `POST /system/check`.
    public func checkSystem(_ request: SystemCheckRequest) async throws -> SystemCheckReport {
        try await document(SystemCheckReport.self, EngineRequest("POST", "/system/check", body: try EngineJSON.encode(request)))
    }

    /// `GET /system/df`.
    public func diskUsage() async throws -> SystemDiskUsage {
        try await document(SystemDiskUsage.self, EngineRequest("GET", "/system/df"))
    }

    /// `GET /containers/json`.
    /// - Parameter limit: how many of the newest, whatever their state; nil for no limit.
    public func containers(all: Bool, limit: Int?, withSizes: Bool, filters: Filters) async throws -> [ContainerSummary] {
        var query = try filterQuery(filters)
        if all { query.append(("all", "1")) }
        if let limit { query.append(("limit", String(limit))) }
        if withSizes { query.append(("size", "1")) }
        return try await document([ContainerSummary].self, EngineRequest("GET", "/containers/json", query: query))
    }

    /// `GET /images/json`.
    public func images(all: Bool, filters: Filters, withManifests: Bool = false) async throws -> [ImageSummary] {
        var query = try filterQuery(filters)
        if all { query.append(("all", "1")) }
        if withManifests { query.append(("manifests", "1")) }
        return try await document([ImageSummary].self, EngineRequest("GET", "/images/json", query: query))
    }

    /// `POST /containers/create`.
    public func createContainer(
        _ request: ContainerCreateRequest, name: String?, platform: String?
    ) async throws -> ContainerCreateResponse {
        var query: [(name: String, value: String)] = []
        if let name { query.append(("name", name)) }
        if let platform { query.append(("platform", platform)) }
        return try await document(
            ContainerCreateResponse.self, EngineRequest("POST", "/containers/create", query: query, body: try EngineJSON.encode(request)))
    }

    /// `GET /containers/{id}/json`.
    public func container(_ name: String) async throws -> ContainerInspect {
        try await document(ContainerInspect.self, EngineRequest("GET", "/containers/\(name)/json"))
    }

    /// `GET /containers/{id}/stats`: what it uses now.
    public func statistics(of container: String) async throws -> ContainerStatistics {
        let query = [(name: "stream", value: "0"), (name: "one-shot", value: "1")]
        return try await document(ContainerStatistics.self, EngineRequest("GET", "/containers/\(container)/stats", query: query))
    }

    /// `POST /containers/{id}/{action}`: start, stop, restart, kill, pause, unpause.
    public func act(_ action: String, on container: String, query: [(name: String, value: String)] = []) async throws {
        _ = try await answer(to: EngineRequest("POST", "/containers/\(container)/\(action)", query: query))
    }

    /// `DELETE /containers/{id}`.
    public func removeContainer(_ name: String, force: Bool, volumes: Bool, link: Bool) async throws {
        var query: [(name: String, value: String)] = []
        if force { query.append(("force", "1")) }
        if volumes { query.append(("v", "1")) }
        if link { query.append(("link", "1")) }
        _ = try await answer(to: EngineRequest("DELETE", "/containers/\(name)", query: query))
    }

    /// `POST /containers/{id}/wait`.
    /// - Parameters:
    ///   - condition: `not-running`, `next-exit` or `removed`.
    ///   - registered: called once the daemon has begun to wait: an exit after that is not missed.
    public func waitForExit(
        of container: String, condition: String, registered: @Sendable @escaping () -> Void = {}
    ) async throws -> WaitResponse {
        let request = EngineRequest("POST", "/containers/\(container)/wait", query: [("condition", condition)])
        let bytes = try await withAnswer(to: request) { answer in
            registered()
            return try await answer.collect(limitBytes: 1 << 20)
        }
        return try EngineJSON.decode(WaitResponse.self, from: bytes)
    }

    /// `POST /containers/{id}/exec`, then the id of what will run.
    public func createExec(in container: String, _ request: ExecCreateRequest) async throws -> String {
        let created = try await document(
            ExecCreateResponse.self, EngineRequest("POST", "/containers/\(container)/exec", body: try EngineJSON.encode(request)))
        return created.id
    }

    /// `GET /exec/{id}/json`.
    public func exec(_ id: String) async throws -> ExecInspect {
        try await document(ExecInspect.self, EngineRequest("GET", "/exec/\(id)/json"))
    }

    /// `DELETE /images/{name}`.
    /// - Parameter platforms: what is to go of it; empty is all.
    public func removeImage(
        _ name: String, force: Bool, keepParents: Bool, platforms: [Platform] = []
    ) async throws -> [ImageDeleteItem] {
        var query: [(name: String, value: String)] = []
        if force { query.append(("force", "1")) }
        if keepParents { query.append(("noprune", "1")) }
        for platform in platforms { query.append(try platform.parameter("platforms")) }
        return try await document([ImageDeleteItem].self, EngineRequest("DELETE", "/images/\(name)", query: query))
    }

    /// `POST /images/{name}/tag`.
    public func tagImage(_ name: String, repository: String, tag: String) async throws {
        _ = try await answer(to: EngineRequest("POST", "/images/\(name)/tag", query: [("repo", repository), ("tag", tag)]))
    }

    /// `POST /images/create`: pulls, and hands on what the daemon says of its progress.
    /// - Throws: `EngineClientError.failed` for an error that comes within the progress.
    public func pullImage(
        _ name: String, tag: String, platform: String?, credentials: AuthConfig?,
        progress: @Sendable (ProgressMessage) async -> Void
    ) async throws {
        var query: [(name: String, value: String)] = [("fromImage", name), ("tag", tag)]
        if let platform { query.append(("platform", platform)) }
        var headers: [(name: String, value: String)] = []
        if let credentials { headers.append(("X-Registry-Auth", try credentials.header)) }
        try await report(EngineRequest("POST", "/images/create", query: query, headers: headers), to: progress)
    }

    /// Sends a request whose answer tells of its progress.
    /// - Throws: `EngineClientError.failed` for an error that comes within the progress.
    func report(_ request: EngineRequest, to progress: @Sendable (ProgressMessage) async -> Void) async throws {
        try await withLines(of: request) { line in
            let message = try EngineJSON.decode(ProgressMessage.self, from: line)
            if !message.error.isEmpty { throw EngineClientError.failed(message: message.error) }
            await progress(message)
        }
    }

    /// Sends a request and lends the lines of its answer to `body` as they come, empty ones left out.
    public func withLines(of request: EngineRequest, _ body: @Sendable ([UInt8]) async throws -> Void) async throws {
        try await withAnswer(to: request) { answer in
            var lines = LineSplitter()
            for try await chunk in answer.bytes {
                for line in try lines.take(chunk) { try await body(line) }
            }
        }
    }

    func filterQuery(_ filters: Filters) throws -> [(name: String, value: String)] {
        filters.values.isEmpty ? [] : [("filters", try filters.query)]
    }
}

/// Cuts a stream of bytes into lines.
struct LineSplitter {
    /// The longest line that is kept while its end is awaited.
    static let longestLine = 1 << 20
    private var pending: [UInt8] = []

    /// Returns the lines that `chunk` completes, without their line feeds and without empty ones.
    mutating func take(_ chunk: [UInt8]) throws(EngineClientError) -> [[UInt8]] {
        pending += chunk
        var lines: [[UInt8]] = []
        while let end = pending.firstIndex(of: 10) {
            let line = pending[..<end].filter { $0 != 13 }
            if !line.isEmpty { lines.append(Array(line)) }
            pending.removeSubrange(...end)
        }
        if pending.count > Self.longestLine { throw .brokenExchange("a line longer than \(Self.longestLine) bytes") }
        return lines
    }
}
