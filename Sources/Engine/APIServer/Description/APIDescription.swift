internal import CoreTypes
package import EngineAPI
internal import NIOHTTP1

/// The description of what is served, as OpenAPI 3.0.
package struct APIDescription {
    /// All that is described: every route but those that only say what is not served (`LaterRoutes`).
    package static var operations: [DescribedOperation] { system + containers + containerData + images + networks + volumes }

    /// The document for clients of one version.
    package static func document(for version: APIVersion) throws -> [UInt8] { try EngineJSON.encode(node(for: version)) }

    /// The route that serves it.
    static var route: Route {
        Route(.GET, "/openapi.json") { .whole(.ok, ["Content-Type": "application/json"], try document(for: $0.version)) }
    }

    private static func node(for version: APIVersion) -> JSONNode {
        let schemas = DocumentSchemas()
        var paths: [String: JSONNode] = [:]
        for operation in operations {
            let method = operation.method.rawValue.lowercased()
            paths[operation.path] = (paths[operation.path] ?? [:]).adding([method: operation.node(for: version, schemas)])
        }
        let error = schemas.schema(of: ErrorResponse.self)
        return [
            "openapi": "3.0.3",
            "info": [
                "title": "Apus Engine API", "version": .text("\(version)"),
                "description": .text(
                    """
                    The Docker Engine API as the daemon of Apus \(Product.version) serves it, with what is its own. Versions \
                    \(APIVersion.oldest) to \(APIVersion.newest) are spoken; a path without a version means the newest. Members of a \
                    request that are not known are ignored, and null is as good as leaving a member out.
                    """),
            ],
            "servers": [["url": .text("/v\(version)")]],
            "paths": .object(paths),
            "components": [
                "schemas": .object(schemas.named),
                "responses": [
                    "Refusal": [
                        "description": "It could not be done, and why: 400 for a request that makes no sense, 404, 409 and so on.",
                        "content": ["application/json": ["schema": error]],
                    ]
                ],
            ],
        ]
    }
}

extension DescribedOperation {
    fileprivate func node(for version: APIVersion, _ schemas: DocumentSchemas) -> JSONNode {
        var responses: [String: JSONNode] = ["default": ["$ref": "#/components/responses/Refusal"]]
        for answer in answers { responses["\(answer.status)"] = answer.node(schemas) }
        let words = path.split(whereSeparator: { "/{}_.".contains($0) }).map { $0.prefix(1).uppercased() + $0.dropFirst() }
        var members: [String: JSONNode] = [
            "operationId": .text(method.rawValue.lowercased() + words.joined()),
            "summary": .text(summary), "responses": .object(responses),
            "tags": [.text(words.first ?? "")],
        ]
        let parameters =
            pathParameters + query.filter { $0.since <= version }.map { $0.node(in: "query") } + headers.map { $0.node(in: "header") }
        if !parameters.isEmpty { members["parameters"] = .list(parameters) }
        if let body { members["requestBody"] = body.node(schemas) }
        if isEndless { members["x-apus-endless"] = true }
        return .object(members)
    }

    private var pathParameters: [JSONNode] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { piece in
            let name = String(piece.dropFirst().dropLast())
            let summary = name == "id" ? "An id, the beginning of one, or a name." : "A name; that of an image may hold slashes."
            return DescribedParameter.text(name, summary).required.node(in: "path", extra: ["minLength": .number(1)])
        }
    }
}

extension DescribedParameter {
    fileprivate func node(in place: String, extra: [String: JSONNode] = [:]) -> JSONNode {
        let note = since > .oldest ? " From API version \(since) on." : ""
        var members: [String: JSONNode] = ["name": .text(name), "in": .text(place), "description": .text(summary + note)]
        if isRequired { members["required"] = true }
        switch kind {
        case .text: members["schema"] = JSONNode.object(["type": "string"]).adding(extra)
        case .flag: members["schema"] = ["type": "boolean"]
        case .number: members["schema"] = ["type": "integer", "format": "int64"]
        case .cells: members["schema"] = ["type": "integer", "minimum": .number(0), "maximum": .number(65535)]
        case .moment:
            members["schema"] = ["anyOf": [["type": "string", "format": "date-time"], ["type": "string", "pattern": "^[0-9]{1,10}$"]]]
        case .filters:
            members["content"] = [
                "application/json": [
                    "schema": ["type": "object", "additionalProperties": ["type": "array", "items": ["type": "string"]]]
                ]
            ]
        case .words(let words): members["schema"] = ["type": "string", "enum": .list(words.map { .text($0) })]
        case .texts:
            members["schema"] = ["type": "array", "items": ["type": "string"]]
            members["explode"] = true
        }
        return .object(members)
    }
}

extension DescribedBody {
    fileprivate func node(_ schemas: DocumentSchemas) -> JSONNode {
        switch self {
        case .document(let type):
            ["required": true, "content": ["application/json": ["schema": schemas.schema(of: type)]]]
        case .optionalDocument(let type):
            ["content": ["application/json": ["schema": DocumentSchemas.nullable(schemas.schema(of: type))]]]
        case .bytes(let mediaType, let isRequired):
            [
                "required": .flag(isRequired),
                "content": .object([mediaType: ["schema": ["type": "string", "format": "binary"]]]),
            ]
        }
    }
}

extension DescribedAnswer {
    fileprivate func node(_ schemas: DocumentSchemas) -> JSONNode {
        var members: [String: JSONNode] = ["description": .text(summary)]
        switch content {
        case .none: break
        case .document(let type): members["content"] = ["application/json": ["schema": schemas.schema(of: type)]]
        case .bytes(let mediaType): members["content"] = .object([mediaType: ["schema": ["type": "string", "format": "binary"]]])
        // A text of several documents is none that a schema fits; what each is like is told beside it.
        case .documents(let type): members["content"] = ["application/json": ["x-apus-each": schemas.schema(of: type), "schema": [:]]]
        }
        return .object(members)
    }
}
