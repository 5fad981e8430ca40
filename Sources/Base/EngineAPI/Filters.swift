/// The `filters` of a query: values by key, OR within a key and AND across keys.
public struct Filters: Sendable, Equatable {
    /// Values by key.
    public private(set) var values: [String: [String]]

    /// The given values.
    public init(_ values: [String: [String]] = [:]) { self.values = values }

    /// Reads the query parameter, `{"label":{"a=b":true}}` or the older `{"label":["a=b"]}`. Empty and `null` are no filter.
    /// - Throws: `DocumentError`.
    public init(query: String) throws(DocumentError) {
        guard !query.isEmpty, query != "null" else {
            self.init()
            return
        }
        let decoded = try EngineJSON.decodeRequest([String: FilterValues?].self, from: Array(query.utf8))
        self.init(decoded.mapValues { $0?.words ?? [] })
    }

    /// The query parameter in the newer form.
    public var query: String {
        get throws(DocumentError) {
            let sets = values.mapValues { words in Dictionary(words.map { ($0, true) }, uniquingKeysWith: { first, _ in first }) }
            return String(decoding: try EngineJSON.encode(sets).dropLast(), as: UTF8.self)
        }
    }

    /// The values of one key.
    public subscript(key: String) -> [String] { values[key] ?? [] }

    /// The first key that is none of those, in alphabetical order.
    public func unknownKey(besides known: Set<String>) -> String? { values.keys.filter { !known.contains($0) }.min() }

    /// A boolean filter, such as `dangling`: nil when absent.
    /// - Throws: `DocumentError` for several or other words than `1`, `t`, `true`, `0`, `f`, `false`.
    public func flag(_ key: String) throws(DocumentError) -> Bool? {
        guard let words = values[key] else { return nil }
        let flags = Set(words.map { ["1", "t", "true"].contains($0.lowercased()) })
        let known = words.allSatisfy { ["1", "t", "true", "0", "f", "false"].contains($0.lowercased()) }
        guard known, flags.count == 1, let flag = flags.first else {
            throw DocumentError(document: "filters", path: key, reason: "invalid filter '\(key)=\(words)'")
        }
        return flag
    }

    /// Whether labels hold every `label=key[=value]` of the filter.
    public func matchesLabels(_ labels: [String: String]) -> Bool {
        self["label"].allSatisfy { wanted in
            guard let equals = wanted.firstIndex(of: "=") else { return labels[wanted] != nil }
            return labels[String(wanted[..<equals])] == String(wanted[wanted.index(after: equals)...])
        }
    }
}

/// Either form of one key's values.
private struct FilterValues: Decodable {
    let words: [String]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let list = try? container.decode([String].self) {
            words = list
        } else {
            // As with Docker, a name counts whatever stands behind it.
            words = try container.decode([String: Bool].self).keys.sorted()
        }
    }
}
