internal import EngineAPI
internal import NIOHTTP1

/// A whole request, body included.
struct APIRequest: Sendable {
    /// GET, POST, …
    let method: HTTPMethod
    /// The path without its version, decoded, in segments.
    let path: [String]
    /// The version that the client speaks.
    let version: APIVersion
    /// Decoded parameters.
    let query: Query
    /// Its headers.
    let headers: HTTPHeaders
    /// Its body, whole.
    let body: [UInt8]
    /// What the route's pattern left open, in order.
    var captures: [String] = []

    /// The first open piece of the pattern: an id or name.
    var name: String { captures.first ?? "" }

    /// Whether the client asks for a connection of raw bytes with `Upgrade: tcp`.
    var wantsUpgrade: Bool { headers.contains(name: "upgrade") }

    /// Reads the JSON body.
    /// - Throws: `APIError` for another content type, nothing, or a document of another shape.
    func document<Document: EngineDocument>(_ type: Document.Type) throws(APIError) -> Document {
        try checkContentType()
        guard !body.isEmpty else { throw .badRequest("invalid JSON: got EOF while reading request body") }
        do {
            return try EngineJSON.decode(type, from: body)
        } catch {
            throw .badRequest("invalid JSON: \(error)")
        }
    }

    private func checkContentType() throws(APIError) {
        let given = headers.first(name: "content-type") ?? ""
        if given.isEmpty && body.isEmpty { return }
        let media = given.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        guard media == "application/json" else {
            throw .badRequest("Content-Type specified (\(given)) must be 'application/json'")
        }
    }
}
