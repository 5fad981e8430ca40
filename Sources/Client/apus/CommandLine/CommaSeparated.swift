/// The fields of one line of CSV: those with a comma are quoted, and two quotes in them are one. - Source: RFC 4180.
/// - Throws: `Complaint` in the words of Go's encoding/csv.
func commaSeparated(_ text: String) throws(Complaint) -> [String] {
    if text.isEmpty { throw Complaint("EOF") }
    var reader = CommaSeparatedReader(text)
    var fields = [try reader.field()]
    while reader.takeComma() { fields.append(try reader.field()) }
    return fields
}

private struct CommaSeparatedReader {
    private let text: String
    private var rest: Substring

    init(_ text: String) {
        self.text = text
        rest = text[...]
    }

    mutating func takeComma() -> Bool { rest.popFirst() == "," }

    /// A field up to the comma behind it, or to the end.
    mutating func field() throws(Complaint) -> String {
        if rest.first == "\"" { return try quoted() }
        let field = rest.prefix { $0 != "," }
        if let quote = field.firstIndex(of: "\"") { throw complaint(at: quote, "bare \" in non-quoted-field") }
        rest = rest[field.endIndex...]
        return String(field)
    }

    private mutating func quoted() throws(Complaint) -> String {
        let reason = "extraneous or missing \" in quoted-field"
        var field = ""
        rest.removeFirst()
        while let end = rest.firstIndex(of: "\"") {
            field += rest[..<end]
            rest = rest[rest.index(after: end)...]
            if rest.isEmpty || rest.first == "," { return field }
            guard rest.first == "\"" else { throw complaint(at: end, reason) }
            field.append(rest.removeFirst())
        }
        throw complaint(at: text.endIndex, reason)
    }

    private func complaint(at place: String.Index, _ reason: String) -> Complaint {
        Complaint("parse error on line 1, column \(text.utf8.distance(from: text.startIndex, to: place) + 1): \(reason)")
    }
}
