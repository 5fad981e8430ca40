/// What kinds of values can be compared with each other.
private enum BasicKind {
    case bool
    case whole
    case float
    case string
    case other
}

extension GoValue {
    private static func kind(of content: Content) -> BasicKind {
        switch content {
        case .bool: .bool
        case .integer, .unsigned: .whole
        case .float: .float
        case .string: .string
        case .absent, .null, .list, .map, .structure, .pointer: .other
        }
    }

    fileprivate var kind: BasicKind { type == .time ? .other : Self.kind(of: content) }
}

/// Go's `eq` of two values.
/// - Throws: for values of different kinds, and for lists and maps.
func areEqual(_ left: GoValue, _ right: GoValue) throws(FunctionFailure) -> Bool {
    guard left.kind == right.kind else {
        // What is not there is equal to nothing.
        if left.isThere && right.isThere { throw FunctionFailure("incompatible types for comparison") }
        return false
    }
    switch (left.content, right.content) {
    case (.integer(let number), .unsigned(let other)), (.unsigned(let other), .integer(let number)): return UInt64(exactly: number) == other
    case (.absent, _), (.null, _), (_, .null), (_, .absent): return left.isEmptyPlace && right.isEmptyPlace
    case (.list, _), (.map, _): throw FunctionFailure("non-comparable type \(left.printed): \(left.type.name)")
    case (_, .list), (_, .map): throw FunctionFailure("non-comparable type \(right.printed): \(right.type.name)")
    default: return left.content == right.content
    }
}

/// Go's `lt` of two values.
/// - Throws: for values of different kinds, and for those that have no order.
func isLess(_ left: GoValue, _ right: GoValue) throws(FunctionFailure) -> Bool {
    guard left.kind == right.kind else { throw FunctionFailure("incompatible types for comparison") }
    switch (left.content, right.content) {
    case (.integer(let number), .integer(let other)): return number < other
    case (.unsigned(let number), .unsigned(let other)): return number < other
    case (.integer(let number), .unsigned(let other)): return number < 0 || UInt64(number) < other
    case (.unsigned(let number), .integer(let other)): return other >= 0 && number < UInt64(other)
    case (.float(let number), .float(let other)): return number < other
    case (.string(let text), .string(let other)) where left.kind == .string:
        return text.utf8.lexicographicallyPrecedes(other.utf8)
    default: throw FunctionFailure("invalid type for comparison")
    }
}

extension GoValue {
    fileprivate var isEmptyPlace: Bool { content == .absent || content == .null }
}
