/// A type as Go's templates see it: what a value may be, and what it is called.
package indirect enum GoType: Sendable, Equatable {
    /// `interface {}`: what the JSON itself says.
    case any
    case bool
    /// `int`, `int64`, … or a name for one of them.
    case integer(String)
    case unsigned(String)
    case float
    /// `string`, or a name for it.
    case string(String)
    case duration
    case time
    case pointer(GoType)
    case slice(GoType, name: String?)
    case map(GoType, name: String?)
    case structure(GoStructure)

    /// What `%T` prints.
    var name: String {
        switch self {
        case .any: "interface {}"
        case .bool: "bool"
        case .integer(let name), .unsigned(let name), .string(let name): name
        case .float: "float64"
        case .duration: "time.Duration"
        case .time: "time.Time"
        case .pointer(let pointee): "*" + pointee.name
        case .slice(let element, let name): name ?? "[]" + element.name
        case .map(let element, let name): name ?? "map[string]" + element.name
        case .structure(let structure): structure.name
        }
    }
}

extension GoType {
    /// Whether it is a map by ports: for Go their type is no string, and a string no key.
    var hasPortsAsKeys: Bool { if case .map(_, let name?) = self { name.hasPrefix("nat.Port") } else { false } }
}

/// A structure's name and its fields in their order.
package struct GoStructure: Sendable, Equatable {
    let name: String
    let fields: [Field]

    package init(name: String, fields: [Field]) {
        self.name = name
        self.fields = fields
    }

    package struct Field: Sendable, Equatable {
        let name: String
        let key: String?
        let type: GoType
        let isOptional: Bool

        /// - Parameters:
        ///   - key: in JSON; nil of a part whose own fields stand in the JSON as the structure's.
        ///   - isOptional: whether the JSON goes without it when it is empty.
        package init(name: String, key: String?, type: GoType, isOptional: Bool = false) {
            self.name = name
            self.key = key
            self.type = type
            self.isOptional = isOptional
        }
    }
}
