package import EngineAPI
package import NIOHTTP1

/// A whole request, body included.
package struct APIRequest: Sendable {
    /// GET, POST, …
    package let method: HTTPMethod
    /// The path without its version, decoded, in segments.
    package let path: [String]
    /// The version that the client speaks.
    package let version: APIVersion
    /// Decoded parameters.
    package let query: Query
    /// Its headers.
    package let headers: HTTPHeaders
    /// Its body, whole; empty where it is taken as a stream.
    package let body: [UInt8]
    /// Its body as it comes, for a route that takes it so.
    package var stream: RequestStream?
    /// What the route's pattern left open, in order.
    package var captures: [String]

    /// A request of these parts.
    package init(
        method: HTTPMethod, path: [String], version: APIVersion, query: Query, headers: HTTPHeaders, body: [UInt8], captures: [String]
    ) {
        self.method = method
        self.path = path
        self.version = version
        self.query = query
        self.headers = headers
        self.body = body
        self.captures = captures
    }

    /// The first open piece of the pattern: an id or name.
    package var name: String { captures.first ?? "" }

    /// Reads the JSON body. As dockerd: none at all says nothing, and neither does JSON's null.
    /// - Throws: `APIError` for another content type, a document of another shape, or a body that was to come and is empty.
    package func document<Document: EngineDocument>(_ type: Document.Type) throws(APIError) -> Document {
        try checkContentType()
        if body.isEmpty && !headers.contains(name: "transfer-encoding") || isNull { return Document() }
        return try requiredDocument(type)
    }

    /// Reads the JSON body, which must be there.
    /// - Throws: `APIError` for another content type, nothing, or a document of another shape.
    func requiredDocument<Document: EngineDocument>(_ type: Document.Type) throws(APIError) -> Document {
        try checkContentType()
        guard !body.isEmpty else { throw .badRequest("invalid JSON: got EOF while reading request body") }
        do {
            return try EngineJSON.decodeRequest(type, from: body)
        } catch {
            throw .badRequest("invalid JSON: \(error.fault)")
        }
    }

    /// The body without the white space in it, as far as it is looked at.
    private var bodyWithoutBlanks: some Sequence<UInt8> { body.lazy.filter { !" \t\r\n".utf8.contains($0) } }
    private var isNull: Bool { bodyWithoutBlanks.elementsEqual("null".utf8) }

    /// Reads the JSON body; nil for none, and for JSON's null.
    func optionalDocument<Document: EngineDocument>(_ type: Document.Type) throws(APIError) -> Document? {
        bodyWithoutBlanks.first { _ in true } == nil || isNull ? nil : try requiredDocument(type)
    }

    /// The body as it comes. - Throws: `APIError` where the route does not take it so: a fault of the route table.
    func bodyStream() throws(APIError) -> RequestStream {
        guard let stream else { throw APIError(.internalServerError, "the route takes no stream") }
        return stream
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
