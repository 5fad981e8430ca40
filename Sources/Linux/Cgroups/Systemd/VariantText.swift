/// Reads the text form of a D-Bus value, as GLib defined it: `uint64 30`, `'text'`, `true`, `['a', 'b']`, `@as []`, `(1, 'x')`.
/// - Source: GVariant Text Format.
package enum VariantText {
    private static let depthLimit = 16
    private static let keywords: [String: String] = [
        "boolean": "b", "byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t",
        "double": "d", "string": "s", "objectpath": "o", "signature": "g",
    ]

    /// nil for what is no value, or none that a message can hold.
    package static func parse(_ text: String) -> BusValue? {
        var scanner = Scanner(rest: Substring(text))
        guard let value = scanner.value(as: nil, depth: 0) else { return nil }
        scanner.skipSpace()
        return scanner.rest.isEmpty && BusSignature.isOneType(value.signature) ? value : nil
    }

    private struct Scanner {
        var rest: Substring

        mutating func skipSpace() { rest = rest.drop { $0 == " " || $0 == "\t" || $0 == "\n" } }

        mutating func take(_ character: Character) -> Bool {
            skipSpace()
            guard rest.first == character else { return false }
            rest.removeFirst()
            return true
        }

        mutating func word() -> String {
            let word = rest.prefix { !" \t\n,()[]'\"".contains($0) }
            rest = rest.dropFirst(word.count)
            return String(word)
        }

        /// A value, of that type where one is asked for.
        mutating func value(as type: String?, depth: Int) -> BusValue? {
            guard let value = anyValue(as: type, depth: depth), type == nil || value.signature == type else { return nil }
            return value
        }

        private mutating func anyValue(as type: String?, depth: Int) -> BusValue? {
            if depth > depthLimit { return nil }
            skipSpace()
            switch rest.first {
            case nil: return nil
            case "[":
                rest.removeFirst()
                return array(of: type.flatMap { $0.hasPrefix("a") ? String($0.dropFirst()) : nil }, depth: depth)
            case "(":
                rest.removeFirst()
                return structure(depth: depth)
            case "'", "\"": return quoted(as: type ?? "s")
            case "@":
                rest.removeFirst()
                let annotated = word()
                return value(as: annotated, depth: depth + 1)
            default: break
            }
            let word = word()
            if let keyword = keywords[word] { return value(as: keyword, depth: depth + 1) }
            return scalar(word, as: type)
        }

        private func scalar(_ word: String, as type: String?) -> BusValue? {
            if word == "true" || word == "false" { return type == nil || type == "b" ? .boolean(word == "true") : nil }
            switch type ?? (word.contains(".") ? "d" : "i") {
            case "y": return number(word).map { .byte($0) }
            case "n": return number(word).map { .int16($0) }
            case "q": return number(word).map { .uint16($0) }
            case "i": return number(word).map { .int32($0) }
            case "u": return number(word).map { .uint32($0) }
            case "x": return number(word).map { .int64($0) }
            case "t": return number(word).map { .uint64($0) }
            case "d": return Double(word).map { .double($0) }
            default: return nil
            }
        }

        private func number<Number: FixedWidthInteger>(_ word: String) -> Number? {
            if word.hasPrefix("+") { return nil }
            return word.hasPrefix("0x") ? Number(word.dropFirst(2), radix: 16) : Number(word)
        }

        private mutating func quoted(as type: String) -> BusValue? {
            let quote = rest.removeFirst()
            var text = ""
            while let character = rest.popFirst() {
                if character == quote {
                    switch type {
                    case "s": return text.utf8.contains(0) ? nil : .string(text)
                    case "o": return BusSignature.isObjectPath(text) ? .objectPath(text) : nil
                    case "g": return BusSignature.isValid(text) ? .signature(text) : nil
                    default: return nil
                    }
                }
                guard character == "\\" else {
                    text.append(character)
                    continue
                }
                guard let escaped = rest.popFirst() else { return nil }
                text.append(["n": "\n", "t": "\t"][escaped] ?? escaped)
            }
            return nil
        }

        private mutating func list(as type: String?, closedBy end: Character, depth: Int) -> [BusValue]? {
            var members: [BusValue] = []
            var type = type
            if take(end) { return members }
            while true {
                guard let member = value(as: type, depth: depth + 1) else { return nil }
                // The members of an array are of one type.
                if end == "]" && type == nil { type = member.signature }
                members.append(member)
                if take(end) { return members }
                guard take(",") else { return nil }
                if end == ")", take(end) { return members }
            }
        }

        private mutating func array(of element: String?, depth: Int) -> BusValue? {
            guard let members = list(as: element, closedBy: "]", depth: depth), let type = element ?? members.first?.signature else {
                return nil
            }
            return .array(of: type, members)
        }

        private mutating func structure(depth: Int) -> BusValue? {
            guard let members = list(as: nil, closedBy: ")", depth: depth), !members.isEmpty else { return nil }
            return .structure(members)
        }
    }
}
