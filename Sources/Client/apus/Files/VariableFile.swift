/// The lines of files of variables or labels, without empty ones and comments: names without white space, perhaps with `=` and a value.
/// - Throws: `Complaint` in docker's words, to whom files of labels are of variables, too. - Source: docker/cli, pkg/kvfile.
func linesOfFiles(_ paths: [String]) throws(Complaint) -> [String] {
    var lines: [String] = []
    for path in paths {
        let file = try ByteFile(path)
        do throws(Complaint) { lines += try variableLines(of: try file.rest(limitBytes: 1 << 20)) } catch {
            throw Complaint("invalid env file (\(path)): \(error)")
        }
    }
    return lines
}

/// Editors of other systems begin a text with it. - Spec: RFC 3629, section 6.
private let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]
private let lineFeed = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")

private func variableLines(of bytes: [UInt8]) throws(Complaint) -> [String] {
    var lines: [String] = []
    for (index, line) in bytes.split(separator: lineFeed, omittingEmptySubsequences: false).enumerated() {
        let ended = line.last == carriageReturn ? line.dropLast() : line
        guard let whole = String(validating: ended, as: UTF8.self) else {
            throw Complaint("invalid utf8 bytes at line \(index + 1): [\(ended.map(String.init).joined(separator: " "))]")
        }
        let isMarked = index == 0 && ended.starts(with: byteOrderMark)
        let text = (isMarked ? String(whole.unicodeScalars.dropFirst()) : whole).drop(while: \.isWhitespace)
        if text.isEmpty || text.first == "#" { continue }
        let name = text.prefix { $0 != "=" }
        if name.isEmpty { throw Complaint("no variable name on line '\(text)'") }
        if name.contains(where: { $0 == " " || $0 == "\t" }) { throw Complaint("variable '\(name)' contains whitespaces") }
        lines.append(String(text))
    }
    return lines
}
