internal import JSON

/// Reads one whole document, turning the parser's error into this module's.
func decodeDocument<Document>(
    _ bytes: [UInt8], limits: JSONLimits = JSONLimits(), _ read: (inout JSONReader) throws(JSONError) -> Document
) throws(SpecProblem) -> Document {
    do throws(JSONError) {
        var reader = try JSONReader(bytes, limits: limits)
        let document = try read(&reader)
        try reader.finish()
        return document
    } catch {
        throw SpecProblem(field: error.path, problem: error.problem)
    }
}

/// Writes one document.
func encodeDocument(indented: Bool, _ write: (inout JSONWriter) -> Void) -> [UInt8] {
    encodeDocument(style: indented ? .indented : .compact, write)
}

/// The same in a form of its own.
func encodeDocument(style: JSONWriter.Style, _ write: (inout JSONWriter) -> Void) -> [UInt8] {
    var writer = JSONWriter(style: style)
    write(&writer)
    return writer.bytes
}

/// The limits for documents whose strings reach system calls.
let kernelBoundLimits = JSONLimits(maximumBytes: 16 << 20, maximumDepth: 512, allowsNUL: false)

extension JSONReader {
    /// Unwraps a member that the object being read must have.
    func require<Value>(_ value: Value?, _ name: String) throws(JSONError) -> Value {
        if let value { return value }
        throw JSONError(path: currentPath.isEmpty ? name : "\(currentPath).\(name)", problem: "is required", offset: position(of: name))
    }

    private func position(of name: String) -> Int { problem(name).offset }

    /// Reads an array of the texts that an enumeration's cases have.
    mutating func readCases<Choice: RawRepresentable<String>>(_ type: Choice.Type = Choice.self) throws(JSONError) -> [Choice] {
        try readArray { (reader: inout JSONReader) throws(JSONError) in try reader.readCase(type) }
    }
}
