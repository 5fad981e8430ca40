package import EngineAPI
internal import NIOCore
package import NIOHTTP1

/// An answer, or the way to it.
package enum APIResponse: Sendable {
    /// All there is to say, at once.
    case whole(HTTPResponseStatus, HTTPHeaders, [UInt8])
    /// A body of unknown length, chunked. The head goes out before the first piece, or at once where `headAtOnce`; an error
    /// thrown before that is answered with its own status.
    case streamed(contentType: String, headAtOnce: Bool, body: @Sendable (BodyWriter) async throws -> Void)
    /// The connection stops being HTTP. `unheard` ends what was begun for the session, in place of it, where the client has left before the head.
    case hijacked(
        contentType: String, unheard: @Sendable () -> Void = {}, session: @Sendable (HijackedStream) async -> Void)
    /// The same behind a head of its own, which lacks its end.
    case upgraded(head: String, unheard: @Sendable () -> Void = {}, session: @Sendable (HijackedStream) async -> Void)

    /// A status without a body.
    package static func empty(_ status: HTTPResponseStatus) -> APIResponse { .whole(status, [:], []) }

    /// A document.
    static func document(_ document: some Encodable, status: HTTPResponseStatus = .ok) throws -> APIResponse {
        .json(try EngineJSON.encode(document), status: status)
    }

    /// A document that is encoded already.
    static func json(_ bytes: [UInt8], status: HTTPResponseStatus = .ok) -> APIResponse {
        .whole(status, ["Content-Type": "application/json"], bytes)
    }

    /// A document in the shape of the client's version.
    static func document(_ document: some VersionedDocument, for request: APIRequest) throws -> APIResponse {
        try .document(document.shaped(for: request.version))
    }

    /// A list of documents in the shape of the client's version.
    static func documents(_ documents: [some VersionedDocument], for request: APIRequest) throws -> APIResponse {
        try .document(documents.map { $0.shaped(for: request.version) })
    }

    /// Docker's error body. 304 has none.
    static func refusal(_ error: APIError) -> APIResponse {
        if error.status == .notModified { return .empty(.notModified) }
        // A message is a string: encoding it cannot fail, and if it did the status would say enough.
        let body = (try? EngineJSON.encode(ErrorResponse(error.message))) ?? []
        return .whole(error.status, ["Content-Type": "application/json"], body)
    }
}

/// Media types of streams.
package enum StreamMediaType {
    /// Bytes as they are, or frames for clients before 1.42, which know from `Tty` which they get.
    package static let raw = "application/vnd.docker.raw-stream"
    /// Frames.
    package static let multiplexed = "application/vnd.docker.multiplexed-stream"

    /// The type of a container's output.
    package static func of(isTerminal: Bool, for version: APIVersion) -> String {
        isTerminal || version < APIVersion(1, 42) ? raw : multiplexed
    }
}
