/// A value as Go's templates see it.
package struct GoValue: Sendable, Equatable {
    indirect enum Content: Sendable, Equatable {
        /// What a missing key of a map gives: `<no value>`.
        case absent
        /// A nil pointer, list, map or interface, as the type says.
        case null
        case bool(Bool)
        case integer(Int64)
        case unsigned(UInt64)
        case float(Double)
        /// Also a moment, as the document has it.
        case string(String)
        case list([GoValue])
        /// Sorted by key.
        case map([Member])
        /// By the fields of the type.
        case structure([GoValue])
        case pointer(GoValue)
    }

    struct Member: Sendable, Equatable {
        let key: String
        let value: GoValue
    }

    let type: GoType
    let content: Content

    init(_ type: GoType, _ content: Content) {
        self.type = type
        self.content = content
    }

    static let absent = GoValue(.any, .absent)
    static let null = GoValue(.any, .null)
    static func string(_ text: String) -> GoValue { GoValue(.string("string"), .string(text)) }
    static func integer(_ number: Int64) -> GoValue { GoValue(.integer("int"), .integer(number)) }
    static func float(_ number: Double) -> GoValue { GoValue(.float, .float(number)) }
    static func bool(_ value: Bool) -> GoValue { GoValue(.bool, .bool(value)) }
}

extension GoValue {
    /// A part of a document as its type has it; what the document leaves out is there, empty.
    init(_ document: TemplateValue?, as type: GoType) {
        let document = document == .null ? nil : document
        switch (type, document) {
        case (.any, let document?): self.init(untyped: document)
        case (.pointer(let pointee), _?): self.init(type, .pointer(GoValue(document, as: pointee)))
        case (.structure(let structure), _):
            self.init(type, .structure(structure.fields.map { GoValue($0.key.map { document?[field: $0] } ?? document, as: $0.type) }))
        case (.slice(let element, "[2]uint"?), nil): self.init(type, .list([GoValue(nil, as: element), GoValue(nil, as: element)]))
        case (.slice(let element, _), .list(let values)?): self.init(type, .list(values.map { GoValue($0, as: element) }))
        case (.map(let element, _), .map(let entries)?):
            let members = entries.sorted { $0.key < $1.key }.map { Member(key: $0.key, value: GoValue($0.value, as: element)) }
            self.init(type, .map(members))
        case (.bool, _): self.init(type, .bool(document == .bool(true)))
        case (.integer, .integer(let number)?), (.duration, .integer(let number)?): self.init(type, .integer(number))
        case (.integer, _), (.duration, _): self.init(type, .integer(0))
        case (.unsigned, .integer(let number)?): self.init(type, .unsigned(UInt64(clamping: number)))
        case (.unsigned, .digits(let digits)?): self.init(type, .unsigned(UInt64(digits) ?? .max))
        case (.unsigned, _): self.init(type, .unsigned(0))
        case (.float, .number(let number)?): self.init(type, .float(number))
        case (.float, .integer(let number)?): self.init(type, .float(Double(number)))
        case (.float, .digits(let digits)?): self.init(type, .float(Double(digits) ?? 0))
        case (.float, _): self.init(type, .float(0))
        case (.string, .text(let text)?), (.time, .text(let text)?): self.init(type, .string(text))
        case (.string, _): self.init(type, .string(""))
        case (.time, _): self.init(type, .string("0001-01-01T00:00:00Z"))
        case (.any, nil), (.pointer, nil), (.slice, _), (.map, _): self.init(type, .null)
        }
    }

    /// What Go reads JSON of no type into.
    /// - Parameter numbersAreText: whether numbers are kept as they are written: docker does so with documents whose type it knows.
    init(untyped document: TemplateValue, numbersAreText: Bool = false) {
        switch document {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .integer where numbersAreText, .digits where numbersAreText, .number where numbersAreText:
            self.init(.string("json.Number"), .string(document.printed))
        case .integer(let value): self = .integer(value)
        case .digits(let digits): self = .float(Double(digits) ?? 0)
        case .number(let value): self = .float(value)
        case .text(let value): self = .string(value)
        case .list(let values):
            let elements = values.map { GoValue(untyped: $0, numbersAreText: numbersAreText) }
            self.init(.slice(.any, name: nil), .list(elements))
        case .map(let entries):
            let members = entries.sorted { $0.key < $1.key }.map {
                Member(key: $0.key, value: GoValue(untyped: $0.value, numbersAreText: numbersAreText))
            }
            self.init(.map(.any, name: nil), .map(members))
        }
    }

    /// What `json` prints: a row of a list as it is printed whole.
    var jsonText: String { if case .structure(let own) = type, own.name.hasPrefix("*") { json.markupSafeJSON } else { json.json } }

    /// A row of a list verb, whose columns are what templates may name.
    /// - Parameter typeName: what errors call it, `formatter.imageContext`. Of structures only rows are pointers themselves.
    init(row: TemplateValue, typeName: String) {
        guard case .map(let entries) = row else {
            self.init(untyped: row)
            return
        }
        let values = entries.map { $0.value == .null ? GoValue(.pointer(.any), .null) : GoValue(untyped: $0.value) }
        let fields = zip(entries, values).map { GoStructure.Field(name: $0.key, key: $0.key, type: $1.type, isOptional: false) }
        self.init(.structure(GoStructure(name: "*" + typeName, fields: fields)), .structure(values))
    }

    /// What a pointer leads to; any other value is itself.
    var pointee: GoValue { if case .pointer(let value) = content { value.pointee } else { self } }

    /// A nil interface has no value to print, once it is a pipeline's result.
    var asResult: GoValue { type == .any && content == .null ? .absent : self }

    /// Go's idea of truth: not false, zero, empty or nil.
    var isTrue: Bool {
        switch content {
        case .absent, .null: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .unsigned(let value): value != 0
        case .float(let value): value != 0
        case .string(let value): type == .time || !value.isEmpty
        case .list(let values): !values.isEmpty
        case .map(let members): !members.isEmpty
        case .structure, .pointer: true
        }
    }

    /// The value behind a key of a map.
    subscript(key key: String) -> GoValue? {
        guard case .map(let members) = content else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// A field of a structure, its own or that of a part of it.
    subscript(field name: String) -> GoValue? {
        guard case .structure(let structure) = type, case .structure(let values) = content else { return nil }
        if let own = structure.fields.firstIndex(where: { $0.name == name }) { return values[own] }
        for (field, value) in zip(structure.fields, values) where field.key == nil {
            if let found = value.pointee[field: name] { return found }
        }
        return nil
    }

    /// The value as JSON, a structure's fields in their order.
    var json: TemplateValue {
        switch content {
        case .absent, .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .unsigned(let value): Int64(exactly: value).map { .integer($0) } ?? .digits(String(value))
        case .float(let value): .number(value)
        case .string(let value) where type.name == "json.Number":
            Int64(value).map { .integer($0) } ?? TemplateValue(wholeNumber: value) ?? .number(Double(value) ?? 0)
        case .string(let value): .text(value)
        case .list(let values): .list(values.map(\.json))
        case .map(let members): .map(members.map { .init($0.key, $0.value.json) })
        case .pointer(let value): value.json
        case .structure(let values): .map(members(values))
        }
    }

    private func members(_ values: [GoValue]) -> [TemplateValue.Entry] {
        guard case .structure(let structure) = type else { return [] }
        return zip(structure.fields, values).flatMap { field, value -> [TemplateValue.Entry] in
            guard let key = field.key else {
                if case .map(let entries) = value.json { return entries }
                return []
            }
            // What is not true is empty; a structure is true always.
            if field.isOptional && !value.isTrue { return [] }
            return [.init(key, value.json)]
        }
    }
}
