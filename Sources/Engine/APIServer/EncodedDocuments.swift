internal import EngineAPI
internal import Synchronization

/// Documents of containers as they were encoded the last time: from one question to the next few of them change, and to compare one takes
/// a tenth of what encoding it does.
final class EncodedDocuments<Document: VersionedDocument>: Sendable {
    private struct Key: Hashable {
        let id: String
        let version: APIVersion
    }

    private final class Entry: Sendable {
        let document: Document
        let bytes: [UInt8]

        init(_ document: Document, _ bytes: [UInt8]) { (self.document, self.bytes) = (document, bytes) }
    }

    /// The most documents that are remembered; one container too many forgets them all.
    private let capacity: Int
    private let known = Mutex<[Key: Entry]>([:])

    init(capacity: Int) { self.capacity = capacity }

    /// A document in the shape of a version, byte for byte as `EngineJSON` writes it.
    /// - Parameter id: of what it tells.
    func encode(_ document: Document, id: String, for version: APIVersion) throws -> [UInt8] {
        let key = Key(id: id, version: version)
        let before = known.withLock { $0[key] }
        if let before, before.document == document { return before.bytes }
        let bytes = try EngineJSON.encode(document.shaped(for: version))
        known.withLock { known in
            if known.count >= capacity && known[key] == nil { known = [:] }
            known[key] = Entry(document, bytes)
        }
        return bytes
    }

    /// Whether it was encoded before, and to at most so many bytes the last time.
    func knows(_ id: String, for version: APIVersion, within byteCount: Int) -> Bool {
        guard let last = known.withLock({ $0[Key(id: id, version: version)] }) else { return false }
        return last.bytes.count <= byteCount
    }

    /// A list of them.
    func encode(_ documents: [Document], id: KeyPath<Document, String>, for version: APIVersion) throws -> [UInt8] {
        var body: [UInt8] = [UInt8(ascii: "[")]
        for document in documents {
            if body.count > 1 { body.append(UInt8(ascii: ",")) }
            body += try encode(document, id: document[keyPath: id], for: version).dropLast()
        }
        return body + Array("]\n".utf8)
    }
}
