/// JSON of any shape, to be written.
enum JSONNode: Encodable, Sendable, Equatable {
    case text(String)
    case number(Int64)
    case flag(Bool)
    case list([JSONNode])
    case object([String: JSONNode])

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        case .flag(let flag): try container.encode(flag)
        case .list(let nodes): try container.encode(nodes)
        case .object(let members): try container.encode(members)
        }
    }

    /// The same object with further members; anything else as it is.
    func adding(_ members: [String: JSONNode]) -> JSONNode {
        guard case .object(let own) = self else { return self }
        return .object(own.merging(members) { _, new in new })
    }
}

extension JSONNode: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    init(stringLiteral value: String) { self = .text(value) }
    init(booleanLiteral value: Bool) { self = .flag(value) }
    init(arrayLiteral elements: JSONNode...) { self = .list(elements) }
    init(dictionaryLiteral elements: (String, JSONNode)...) { self = .object(Dictionary(elements) { _, last in last }) }
}
