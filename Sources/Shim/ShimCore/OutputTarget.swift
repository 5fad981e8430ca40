/// Where a process's output goes by the words of containerd's client: a FIFO's path, or an address with a scheme.
/// - Source: containerd v1.6.20, pkg/process/io.go, `createIO` and `NewBinaryCmd`.
package enum OutputTarget: Equatable, Sendable {
    case nowhere
    case fifo(String)
    /// Standard output and error alike are added to a file, which is made with its directories.
    case file(String)
    /// Standard output and error alike go to a program, which has them as its descriptors 3 and 4.
    case program(path: String, arguments: [String])

    /// - Throws: `.unsupported` for another scheme, `.invalidRequest` for an address without an absolute path.
    package init(_ text: String) throws(ShimError) {
        if text.isEmpty {
            self = .nowhere
            return
        }
        // A path as it is, whatever it is made of.
        if text.hasPrefix("/") {
            self = .fifo(text)
            return
        }
        guard let colon = text.firstIndex(of: ":") else { throw Self.refusal(.unsupported, text, "neither a path nor an address") }
        let (path, query) = try Self.parts(text[text.index(after: colon)...], of: text)
        switch text[..<colon].lowercased() {
        case "fifo": self = .fifo(path)
        case "file": self = .file(path)
        case "binary": self = .program(path: path, arguments: try Self.arguments(query, of: text))
        default: throw Self.refusal(.unsupported, text, "unknown STDIO scheme")
        }
    }

    /// The path and the query of `//host/path?query#fragment`.
    private static func parts(_ rest: Substring, of text: String) throws(ShimError) -> (path: String, query: Substring) {
        var rest = rest.prefix { $0 != "#" }
        if rest.hasPrefix("//") { rest = rest.dropFirst(2).drop { $0 != "/" && $0 != "?" } }
        let path = rest.prefix { $0 != "?" }
        let decoded = try decode(path, of: text)
        guard decoded.hasPrefix("/") else { throw refusal(.invalidRequest, text, "no absolute path") }
        return (decoded, rest.dropFirst(path.count + 1))
    }

    /// Each name of a query, and what it says after that.
    private static func arguments(_ query: Substring, of text: String) throws(ShimError) -> [String] {
        var (arguments, names): ([String], Set<String>) = ([], [])
        for pair in query.split(separator: "&") {
            let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try decode(words[0], of: text, plusIsSpace: true)
            // Of several of a name the first one counts.
            guard names.insert(name).inserted else { continue }
            arguments += [name, words.count > 1 ? try decode(words[1], of: text, plusIsSpace: true) : ""]
        }
        return arguments
    }

    private static func decode(_ part: Substring, of text: String, plusIsSpace: Bool = false) throws(ShimError) -> String {
        var (bytes, rest): ([UInt8], Substring.UTF8View.SubSequence) = ([], part.utf8[...])
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                let digits = rest.prefix(2)
                let isHex = digits.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
                guard digits.count == 2, isHex, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                    throw refusal(.invalidRequest, text, "a % without two digits")
                }
                bytes.append(value)
                rest = rest.dropFirst(2)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        guard !bytes.contains(0), let decoded = String(validating: bytes, as: UTF8.self) else {
            throw refusal(.invalidRequest, text, "no text")
        }
        return decoded
    }

    private static func refusal(_ code: ShimError.Code, _ text: String, _ cause: String) -> ShimError {
        ShimError(code, "stdio \(text)", cause: cause)
    }
}
