internal import FoundationEssentials

/// A document that could not be read or written.
public struct DocumentError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was read or written: `ContainerCreateRequest`.
    public let document: String
    /// Where inside, as `HostConfig.Memory`; empty for the document itself.
    public let path: String
    /// What is wrong there.
    public let reason: String

    init(document: String, path: String = "", reason: String) {
        self.document = document
        self.path = path
        self.reason = reason
    }

    /// As it is printed.
    public var description: String { "\(document): \(fault)" }

    /// Place and reason, without the document.
    package var fault: String { path.isEmpty ? reason : "\(path): \(reason)" }

    init(_ error: any Error, in document: String) {
        self.document = document
        switch error {
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.keyNotFound(_, let context), DecodingError.dataCorrupted(let context):
            path = Self.text(of: context.codingPath)
            reason = context.debugDescription
        default:
            path = ""
            reason = "\(error)"
        }
    }
}

/// JSON of the Engine API.
public enum EngineJSON {
    /// Reads one document.
    /// - Throws: `DocumentError` naming the field.
    public static func decode<Document: Decodable>(_: Document.Type, from bytes: [UInt8]) throws(DocumentError) -> Document {
        do {
            return try JSONDecoder().decode(Document.self, from: Data(bytes))
        } catch {
            throw DocumentError(error, in: "\(Document.self)")
        }
    }

    /// Writes one document: keys sorted, slashes as they are, a line feed at the end as Go's encoder leaves it.
    /// - Throws: `DocumentError`; only values that JSON cannot hold, such as a NaN, do.
    public static func encode(_ document: some Encodable) throws(DocumentError) -> [UInt8] {
        let encoder = DocumentEncoder()
        do {
            try encoder.write(document)
            return encoder.bytes + [0x0A]
        } catch {
            throw DocumentError(error, in: "\(type(of: document))")
        }
    }
}
