internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials
internal import Templates

extension TemplateValue: Decodable {
    /// Reads any JSON. Keys come sorted: the daemon sends them so.
    package init(from decoder: any Decoder) throws {
        if let members = try? decoder.container(keyedBy: AnyKey.self) {
            let keys = members.allKeys.sorted { $0.stringValue < $1.stringValue }
            self = .map(try keys.map { Entry($0.stringValue, try members.decode(TemplateValue.self, forKey: $0)) })
        } else if var elements = try? decoder.unkeyedContainer() {
            var values: [TemplateValue] = []
            while !elements.isAtEnd { values.append(try elements.decode(TemplateValue.self)) }
            self = .list(values)
        } else {
            self = try Self.scalar(try decoder.singleValueContainer())
        }
    }

    private static func scalar(_ container: any SingleValueDecodingContainer) throws -> TemplateValue {
        if container.decodeNil() { return .null }
        if let value = try? container.decode(Bool.self) { return .bool(value) }
        if let value = try? container.decode(Int64.self) { return .integer(value) }
        if let value = try? container.decode(String.self) { return .text(value) }
        if let value = try? container.decode(Decimal.self), let whole = TemplateValue(wholeNumber: value.description) { return whole }
        return .number(try container.decode(Double.self))
    }

    /// The JSON of an API document, to look at with a template.
    init(document: some Encodable) throws(DocumentError) {
        self = try EngineJSON.decode(TemplateValue.self, from: try EngineJSON.encode(document))
    }
}

extension Client {
    /// Sends a request and reads its answer as plain values.
    func value(_ request: EngineRequest) async throws -> TemplateValue {
        let bytes = try await answer(to: request)
        return bytes.isEmpty ? .null : try EngineJSON.decode(TemplateValue.self, from: bytes)
    }
}

private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
