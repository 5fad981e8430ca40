internal import CoreTypes
internal import Engine
internal import EngineAPI
internal import NIOHTTP1

extension EngineRoutes {
    var containerStreams: [Route] {
        [
            Route(.POST, "/containers/{}/wait", waitForContainer),
            Route(.POST, "/containers/{}/attach", attachContainer),
            Route(.GET, "/containers/{}/attach/ws", attachWebSocket),
            Route(.GET, "/containers/{}/logs", containerLogs),
            // Ours: Docker has no request for it.
            Route(.DELETE, "/containers/{}/logs") { request in
                try await engine.clearContainerLogs(request.name)
                return .empty(.noContent)
            },
        ]
    }

    /// The head goes out as soon as the wait is registered: `docker run` starts the container when it has it.
    private func waitForContainer(_ request: APIRequest) async throws -> APIResponse {
        let word = request.query["condition"]
        // Before 1.30 there was one condition, and a later client's word is not looked at.
        let condition: WaitCondition
        if word.isEmpty || request.version < APIVersion(1, 30) {
            condition = .notRunning
        } else if let known = WaitCondition(rawValue: word) {
            condition = known
        } else {
            throw APIError.badRequest("invalid condition: \"\(word)\"")
        }
        let handle = try await engine.waitForContainer(request.name, condition: condition)
        return .streamed(contentType: "application/json", headAtOnce: true) { writer in
            let result = try await handle.result()
            var answer = WaitResponse()
            answer.statusCode = result.exitCode
            answer.error = result.error.map { message in
                var error = WaitError()
                error.message = message
                return error
            }
            try await writer.write(EngineJSON.encode(answer))
        }
    }

    private func attachContainer(_ request: APIRequest) async throws -> APIResponse {
        let query = request.query
        let detachKeys = try DetachKeys(query["detachKeys"])
        var options = AttachOptions()
        options.stdin = query.flag("stdin")
        options.stdout = query.flag("stdout")
        options.stderr = query.flag("stderr")
        options.stream = query.flag("stream")
        options.logs = query.flag("logs")
        let session = try await engine.attachContainer(request.name, options: options)
        let mediaType = StreamMediaType.of(isTerminal: session.isTerminal, for: request.version)
        let takesInput = options.stdin && options.stream
        return .hijacked(contentType: mediaType, unheard: session.detach) { stream in
            await AttachBridge(session: session, stream: stream, takesInput: takesInput, detachKeys: detachKeys).run()
        }
    }

    /// Before 1.42 all streams are attached, whatever is asked for; before 1.28 output is text.
    private func attachWebSocket(_ request: APIRequest) async throws -> APIResponse {
        let query = request.query
        let head = try WebSocketHandshake.answer(to: request.headers)
        let detachKeys = try DetachKeys(query["detachKeys"])
        let chooses = request.version >= APIVersion(1, 42)
        var options = AttachOptions()
        options.stdin = !chooses || query.flag("stdin")
        options.stdout = !chooses || query.flag("stdout")
        options.stderr = !chooses || query.flag("stderr")
        options.stream = query.flag("stream")
        options.logs = query.flag("logs")
        let session = try await engine.attachContainer(request.name, options: options)
        let (takesInput, isText) = (options.stdin && options.stream, request.version < APIVersion(1, 28))
        return .upgraded(head: head, unheard: session.detach) { stream in
            let frames = WebSocketStream(stream, isText: isText)
            await AttachBridge(session: session, stream: frames, takesInput: takesInput, detachKeys: detachKeys).run()
            await frames.end()
        }
    }

    private func containerLogs(_ request: APIRequest) async throws -> APIResponse {
        let query = request.query
        var options = LogOptions()
        options.stdout = query.flag("stdout")
        options.stderr = query.flag("stderr")
        options.follow = query.flag("follow")
        guard options.stdout || options.stderr else {
            throw APIError.badRequest("Bad parameters: you must choose at least one stream")
        }
        options.since = try query.moment("since")
        options.until = try query.moment("until")
        // As dockerd: what is no number means all.
        options.tail = Int(query["tail"]).flatMap { $0 >= 0 ? $0 : nil }
        let session = try await engine.containerLogs(request.name, options: options)
        let mediaType = StreamMediaType.of(isTerminal: session.isTerminal, for: request.version)
        let writesTimestamps = query.flag("timestamps")
        let details = query.flag("details") ? session.details + " " : ""
        return .streamed(contentType: mediaType, headAtOnce: true) { writer in
            while let lines = try await session.nextLines() {
                var bytes: [UInt8] = []
                for line in lines {
                    let stamp = writesTimestamps && !line.isContinuation ? Self.stamp(line.timestamp) + " " : ""
                    let prefix = Array((line.isContinuation ? "" : stamp + details).utf8)
                    if !session.isTerminal {
                        let payloadLength = prefix.count + line.bytes.count
                        bytes += StreamFrame(stream: StandardStream(line.stream), payloadLength: payloadLength).header
                    }
                    bytes += prefix
                    bytes += line.bytes
                }
                try await writer.write(bytes)
            }
        }
    }

    private static func stamp(_ nanoseconds: Int64) -> String {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return Timestamp(seconds: seconds, nanoseconds: Int32(rest)).fixedWidth
    }
}

extension StandardStream {
    /// The API's name of an engine's stream.
    init(_ stream: OutputStream) {
        self = stream == .stdout ? .standardOutput : .standardError
    }
}
