/// The grammar of image references, by hand: regular expressions would bring 2 MB of library.
/// - Source: github.com/distribution/reference, reference.go, the grammar in its head comment.
enum ReferenceGrammar {
    struct Parts {
        var path: String
        var tag: String?
        var digest: String?
    }

    /// Splits off the registry as Docker does: the part before the first slash is one when it has a dot or
    /// a colon, is `localhost`, or has an upper-case letter.
    static func splitDomain(_ text: String) -> (domain: String, remainder: String) {
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            return (ImageReference.defaultDomain, "library/\(text)")
        }
        let first = String(text[..<slash])
        let rest = String(text[text.utf8.index(after: slash)...])
        var domain = ImageReference.defaultDomain
        var remainder = text
        if first == "index.docker.io" || first == ImageReference.defaultDomain {
            remainder = rest
        } else if first == "localhost" || first.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") })
            || first.contains(where: { $0.isASCII && $0.isUppercase })
        {
            domain = first
            remainder = rest
        }
        if domain == ImageReference.defaultDomain && !remainder.utf8.contains(UInt8(ascii: "/")) { remainder = "library/\(remainder)" }
        return (domain, remainder)
    }

    /// Parses `path[:tag][@digest]`; nil where the text does not match the grammar.
    static func parse(_ text: String) -> Parts? {
        var parts = Parts(path: text)
        if let at = text.utf8.firstIndex(of: UInt8(ascii: "@")) {
            let digest = String(text[text.utf8.index(after: at)...])
            guard isDigestShaped(digest) else { return nil }
            parts.digest = digest
            parts.path = String(text[..<at])
        }
        if let colon = parts.path.utf8.firstIndex(of: UInt8(ascii: ":")) {
            let tag = String(parts.path[parts.path.utf8.index(after: colon)...])
            guard isTag(tag) else { return nil }
            parts.tag = tag
            parts.path = String(parts.path[..<colon])
        }
        let components = parts.path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return components.allSatisfy { isPathComponent(Array($0)) } ? parts : nil
    }

    /// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
    static func isTag(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= 128, isWord(first) else { return false }
        return bytes.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    /// A host name or a bracketed IPv6 address, perhaps with `:port`.
    static func isDomain(_ text: String) -> Bool {
        var host = Array(text.utf8)
        if let colon = host.lastIndex(of: UInt8(ascii: ":")), !host[colon...].contains(UInt8(ascii: "]")) {
            let port = host[(colon + 1)...]
            guard !port.isEmpty, port.allSatisfy(isDigit) else { return false }
            host = Array(host[..<colon])
        }
        if host.first == UInt8(ascii: "[") {
            guard host.last == UInt8(ascii: "]"), host.count > 2 else { return false }
            return host.dropFirst().dropLast().allSatisfy { isDigit($0) || isHexLetter($0) || $0 == UInt8(ascii: ":") }
        }
        let labels = host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            guard let first = label.first, let last = label.last, isAlphanumeric(first), isAlphanumeric(last) else { return false }
            return label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    /// Runs of `[a-z0-9]` joined by `.`, `_`, `__` or any number of `-`.
    private static func isPathComponent(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, let last = bytes.last, isLowerAlphanumeric(first), isLowerAlphanumeric(last) else { return false }
        var index = 0
        while index < bytes.count {
            let start = index
            while index < bytes.count && !isLowerAlphanumeric(bytes[index]) { index += 1 }
            guard isSeparator(bytes[start..<index]) else { return false }
            while index < bytes.count && isLowerAlphanumeric(bytes[index]) { index += 1 }
        }
        return true
    }

    private static func isSeparator(_ bytes: ArraySlice<UInt8>) -> Bool {
        switch bytes.count {
        case 0: true
        case 1: bytes.first == UInt8(ascii: ".") || bytes.first == UInt8(ascii: "_") || bytes.first == UInt8(ascii: "-")
        default: bytes.allSatisfy { $0 == UInt8(ascii: "-") } || Array(bytes) == Array("__".utf8)
        }
    }

    /// `algorithm:hex` with at least 32 digits; whether the algorithm is known is `Digest`'s question.
    private static func isDigestShaped(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, let algorithm = parts.first, let hex = parts.last, let first = algorithm.first else { return false }
        let wellNamed =
            isAlphanumeric(first) && !isDigit(first)
            && algorithm.allSatisfy { isAlphanumeric($0) || Array("-_+.".utf8).contains($0) }
        return wellNamed && hex.count >= 32 && hex.allSatisfy { isDigit($0) || isHexLetter($0) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isLower(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool { isLower(byte) || isDigit(byte) }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLowerAlphanumeric(byte) || isUpper(byte) }
    private static func isWord(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || byte == UInt8(ascii: "_") }
    private static func isHexLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20) }
}
