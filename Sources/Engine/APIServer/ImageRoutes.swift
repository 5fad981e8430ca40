internal import CoreTypes
internal import Engine
internal import EngineAPI
internal import NIOHTTP1

extension EngineRoutes {
    var images: [Route] {
        [
            Route(.GET, "/images/json", listImages),
            Route(.GET, "/images/search") { request in
                let query = request.query
                return try .document(
                    try await engine.searchImages(
                        query["term"], limit: try query.number("limit"), filters: try query.filters(),
                        credentials: Self.credentials(of: request)))
            },
            Route(.GET, "/distribution/{*}/json") { request in
                try .document(try await engine.inspectDistribution(request.name, credentials: Self.credentials(of: request)))
            },
            // Ours: what clients of manifests need of a registry that the daemon reaches.
            Route(.GET, "/distribution/{*}/manifest") { request in
                let found = try await engine.registryManifest(request.name, credentials: Self.credentials(of: request))
                return .whole(.ok, ["Content-Type": found.mediaType, "Docker-Content-Digest": found.digest], found.bytes)
            },
            Route(.PUT, "/distribution/{*}/manifest") { request in
                let from = request.query["from"]
                var answer = StoredManifest()
                answer.digest = try await engine.storeRegistryManifest(
                    request.name, request.body, from: from.isEmpty ? nil : from, credentials: Self.credentials(of: request))
                return try .document(answer, status: .created)
            },
            Route(.POST, "/images/create", takesStream: true, createImage),
            Route(.POST, "/images/load", takesStream: true, loadImages),
            Route(.POST, "/commit", commit),
            Route(.GET, "/images/{*}/json", inspectImage),
            Route(.POST, "/images/{*}/push", pushImage),
            Route(.GET, "/images/get") { request in try export(request.query.all("names"), request) },
            Route(.GET, "/images/{*}/get") { request in try export([request.name], request) },
            Route(.GET, "/images/{*}/history") { request in
                try .document(try await engine.imageHistory(request.name, platform: try Platform.requested(request.query["platform"])))
            },
            Route(.POST, "/images/prune") { request in
                try .document(try await engine.pruneImages(filters: try request.query.filters()))
            },
            Route(.POST, "/auth") { request in try .document(try await engine.logIn(try request.document(AuthConfig.self))) },
            Route(.POST, "/images/{*}/tag") { request in
                try await engine.tagImage(request.name, repository: request.query["repo"], tag: request.query["tag"])
                return .empty(.created)
            },
            Route(.DELETE, "/images/{*}") { request in
                let query = request.query
                let platforms = try query.all("platforms").compactMap { try Platform.requested($0) }
                return try .document(
                    try await engine.removeImage(
                        request.name, force: query.flag("force"), prune: !query.flag("noprune"), platforms: platforms))
            },
        ]
    }

    private func listImages(_ request: APIRequest) async throws -> APIResponse {
        var filters = try request.query.filters()
        // What `docker images NAME` sent before 1.24's filters.
        let reference = request.query["filter"]
        if !reference.isEmpty { filters = Filters(filters.values.merging(["reference": [reference]]) { old, new in old + new }) }
        let all = request.query.flag("all")
        if request.query.flag("manifests") {
            return try .documents(try await engine.images(all: all, filters: filters, withManifests: true), for: request)
        }
        let images = try await engine.images(all: all, filters: filters)
        return .json(try imageLines.encode(images, for: request.version))
    }

    private func inspectImage(_ request: APIRequest) async throws -> APIResponse {
        let withManifests = request.query.flag("manifests")
        let platform = try Platform.requested(request.query["platform"])
        if withManifests, platform != nil {
            throw APIError.badRequest("conflicting options: manifests and platform options cannot both be set")
        }
        return try .document(
            try await engine.inspectImage(request.name, platform: platform, withManifests: withManifests), for: request)
    }

    private func createImage(_ request: APIRequest) async throws -> APIResponse {
        request.query["fromSrc"].isEmpty ? try pullImage(request) : try importImage(request)
    }

    private func importImage(_ request: APIRequest) throws -> APIResponse {
        let query = request.query
        let stream = try request.bodyStream()
        let wanted = ImageImportRequest(
            source: query["fromSrc"], repository: query["repo"], tag: query["tag"], message: query["message"],
            changes: query.all("changes"), platform: query["platform"])
        return Self.reporting { progress throws(EngineError) in
            try await engine.importImage(wanted, from: { try await stream.next() }) { await progress.send($0) }
        }
    }

    private func loadImages(_ request: APIRequest) async throws -> APIResponse {
        let (stream, isQuiet) = (try request.bodyStream(), request.query.flag("quiet"))
        let platform = try Platform.requested(request.query["platform"])
        return Self.reporting { progress throws(EngineError) in
            try await engine.loadImages(from: { try await stream.next() }, platform: platform, quiet: isQuiet) {
                await progress.send($0)
            }
        }
    }

    private func commit(_ request: APIRequest) async throws -> APIResponse {
        let query = request.query
        // What the body says goes before what the container was made with; clients send null or nothing at all.
        let config = try request.optionalDocument(ContainerConfig.self)
        let wanted = CommitRequest(
            container: query["container"], repository: query["repo"], tag: query["tag"], message: query["comment"], author: query["author"],
            changes: query.all("changes"), pauses: query["pause"].isEmpty || query.flag("pause"), config: config)
        return try .document(try await engine.commit(wanted), status: .created)
    }

    /// An error before the first message has its status; a later one is the stream's last object.
    private func pullImage(_ request: APIRequest) throws -> APIResponse {
        let query = request.query
        guard !query["fromImage"].isEmpty else { throw APIError.badRequest("fromImage must name an image") }
        // A name alone means all its tags; some clients leave the colon there.
        let image = query["fromImage"].hasSuffix(":") ? String(query["fromImage"].dropLast()) : query["fromImage"]
        let reference = Self.reference(image, tag: query["tag"])
        let credentials = Self.credentials(of: request)
        return Self.reporting { stream throws(EngineError) in
            try await engine.pullImages(reference, platform: query["platform"], credentials: credentials) { await stream.send($0) }
        }
    }

    private func export(_ names: [String], _ request: APIRequest) throws -> APIResponse {
        let platform = try Platform.requested(request.query["platform"])
        return .streamed(contentType: "application/x-tar", headAtOnce: false) { writer in
            try await engine.exportImages(names, platform: platform) { try await writer.write($0) }
        }
    }

    private func pushImage(_ request: APIRequest) async throws -> APIResponse {
        let credentials = Self.credentials(of: request)
        let (tag, platform) = (request.query["tag"], try Platform.requested(request.query["platform"]))
        return Self.reporting { stream throws(EngineError) in
            try await engine.pushImage(request.name, tag: tag, platform: platform, credentials: credentials) { await stream.send($0) }
        }
    }

    /// As dockerd: credentials that cannot be read are none, since the registry may not need any.
    private static func credentials(of request: APIRequest) -> AuthConfig? {
        request.headers.first(name: "x-registry-auth").flatMap { try? AuthConfig(header: $0) }
    }

    /// An answer of progress messages.
    private static func reporting(_ work: @escaping @Sendable (ProgressStream) async throws(EngineError) -> Void) -> APIResponse {
        .streamed(contentType: "application/json", headAtOnce: false) { writer in
            let stream = ProgressStream(writer)
            do throws(EngineError) { try await work(stream) } catch {
                guard stream.hasStarted else { throw refusal(error) }
                await stream.send(failure(error))
            }
            try stream.throwFailure()
        }
    }

    /// `tag` may also be a digest, and `fromImage` may carry a tag of its own.
    private static func reference(_ image: String, tag: String) -> String {
        if tag.isEmpty { return image }
        return tag.contains(":") ? "\(image)@\(tag)" : "\(image):\(tag)"
    }

    /// As dockerd's: the docker CLI takes 401 as an invitation to ask for a password.
    private static func refusal(_ error: EngineError) -> any Error {
        error.code == .unauthorized ? APIError(.internalServerError, error.message) : error
    }

    private static func failure(_ error: EngineError) -> ProgressMessage {
        var message = ProgressMessage()
        message.error = error.message
        var detail = ErrorDetail()
        detail.message = error.message
        message.errorDetail = detail
        return message
    }
}
