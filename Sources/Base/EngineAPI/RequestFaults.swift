internal import FoundationEssentials
internal import JSON

/// A value of a request that is of another kind than its field.
struct KindMismatch: Error {
    let path: [any CodingKey]
    /// As Go's decoder calls it: `string`, `number 1.5`, `bool`, `array`, `object`, `null`.
    let found: String
    /// The field's type in the words of Docker's documentation: `int64`, `string`, `array`, `object`.
    let expected: String
}

extension DocumentError {
    init(_ mismatch: KindMismatch, in document: String) {
        self.init(
            document: document, path: Self.text(of: mismatch.path),
            reason: "cannot unmarshal \(mismatch.found) into a field of type \(mismatch.expected)")
    }

    /// What is wrong with a text that is no JSON; nil where it is.
    init?(syntaxOf bytes: [UInt8], in document: String) {
        do throws(JSONError) {
            var reader = try JSONReader(bytes, limits: JSONLimits(maximumBytes: bytes.count, maximumDepth: Self.depthLimit))
            try reader.skipValue()
            try reader.finish()
            return nil
        } catch {
            self.init(document: document, path: error.path, reason: "\(error.problem), at byte \(error.offset)")
        }
    }

    /// The decoder follows no document further down.
    private static let depthLimit = 512

    /// A place inside a document: `HostConfig.Devices[0].PathOnHost`.
    static func text(of path: [any CodingKey]) -> String {
        path.reduce(into: "") { text, key in
            if let index = key.intValue { text += "[\(index)]" } else { text += text.isEmpty ? key.stringValue : ".\(key.stringValue)" }
        }
    }
}

extension Decoder {
    /// Reads a value of a kind. - Throws: `KindMismatch` where it is of another.
    func expecting<Result>(_ kind: String, _ read: () throws -> Result) throws -> Result {
        do { return try read() } catch { throw KindMismatch(path: codingPath, found: kindOfValue, expected: kind) }
    }

    private var kindOfValue: String {
        guard let value = try? singleValueContainer() else { return "value" }
        if value.decodeNil() { return "null" }
        if (try? value.decode(Bool.self)) != nil { return "bool" }
        if (try? value.decode(String.self)) != nil { return "string" }
        if let number = try? value.decode(Int64.self) { return "number \(number)" }
        if let number = try? value.decode(Double.self) { return "number \(number)" }
        if (try? unkeyedContainer()) != nil { return "array" }
        return (try? container(keyedBy: MemberName.self)) != nil ? "object" : "number"
    }
}
