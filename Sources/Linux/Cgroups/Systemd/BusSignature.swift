/// The rules for texts that name types of D-Bus. A message that breaks one of them ends the connection.
/// - Source: D-Bus specification 0.43, "Valid Signatures" and "Basic Types".
enum BusSignature {
    /// The longest that the wire can hold.
    static let limitBytes = 255
    /// How deep arrays, and structures, may nest.
    private static let depthLimit = 32

    /// Whether a text names any number of complete types.
    static func isValid(_ text: String) -> Bool {
        if text.utf8.count > limitBytes { return false }
        var rest = Substring(text).utf8
        while !rest.isEmpty { if !takeType(&rest, arrays: 0, structures: 0) { return false } }
        return true
    }

    /// Whether a text names exactly one complete type.
    static func isOneType(_ text: String) -> Bool {
        if text.utf8.count > limitBytes { return false }
        var rest = Substring(text).utf8
        return takeType(&rest, arrays: 0, structures: 0) && rest.isEmpty
    }

    private static func takeType(_ rest: inout Substring.UTF8View, arrays: Int, structures: Int) -> Bool {
        guard arrays <= depthLimit, structures <= depthLimit, let type = rest.popFirst() else { return false }
        switch type {
        case UInt8(ascii: "a"):
            if rest.first != UInt8(ascii: "{") { return takeType(&rest, arrays: arrays + 1, structures: structures) }
            rest.removeFirst()
            guard let key = rest.first, isBasic(key), takeType(&rest, arrays: arrays + 1, structures: structures + 1),
                takeType(&rest, arrays: arrays + 1, structures: structures + 1)
            else { return false }
            return rest.popFirst() == UInt8(ascii: "}")
        case UInt8(ascii: "("):
            repeat {
                if !takeType(&rest, arrays: arrays, structures: structures + 1) { return false }
            } while rest.first != UInt8(ascii: ")")
            rest.removeFirst()
            return true
        default: return type == UInt8(ascii: "v") || isBasic(type)
        }
    }

    private static func isBasic(_ type: UInt8) -> Bool { "ybnqiuxtdsogh".utf8.contains(type) }

    /// Whether a text is the path of an object: `/`, or names of letters, digits and underscores behind a slash each.
    static func isObjectPath(_ text: String) -> Bool {
        if text == "/" { return true }
        guard text.utf8.first == UInt8(ascii: "/") else { return false }
        return text.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { name in
            !name.isEmpty && name.allSatisfy { isNameByte($0) }
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
