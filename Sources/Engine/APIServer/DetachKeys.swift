/// The bytes that end an attach without ending the process.
package struct DetachKeys: Sendable, Equatable {
    /// The sequence; empty never comes.
    package let bytes: [UInt8]

    /// Never.
    package static let none = DetachKeys(bytes: [])
    /// Ctrl-P, Ctrl-Q.
    package static let standard = DetachKeys(bytes: [16, 17])
    /// Keys that a sequence may have.
    static let maximumLength = 32

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// Reads `ctrl-p,ctrl-q` or `a,b`; empty is the standard.
    /// - Throws: `APIError` 400 for a key that is none.
    package init(_ text: String) throws(APIError) {
        guard !text.isEmpty else {
            self = .standard
            return
        }
        let words = text.split(separator: ",", omittingEmptySubsequences: false)
        var bytes: [UInt8] = []
        for word in words.prefix(Self.maximumLength) {
            guard let byte = Self.key(String(word)) else {
                throw .badRequest("Invalid detach keys (\(text)) provided: Unknown character: '\(word)'")
            }
            bytes.append(byte)
        }
        self.bytes = bytes
    }

    private static func key(_ word: String) -> UInt8? {
        if word.utf8.count == 1 { return word.utf8.first }
        guard word.hasPrefix("ctrl-"), word.utf8.count == 6, let last = word.utf8.last else { return nil }
        switch last {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return last - UInt8(ascii: "a") + 1
        case UInt8(ascii: "@"): return 0
        case UInt8(ascii: "[")...UInt8(ascii: "_"): return last - UInt8(ascii: "[") + 27
        default: return nil
        }
    }
}

/// Looks for detach keys in what a client types. What may be their beginning is held back until the next byte tells.
package struct DetachScanner: Sendable {
    private let keys: [UInt8]
    private var matched = 0

    /// Looks for `keys`.
    package init(keys: DetachKeys) { self.keys = keys.bytes }

    /// - Returns: the bytes for the process, and whether the keys came; what stands behind them is dropped.
    package mutating func scan(_ bytes: [UInt8]) -> (passed: [UInt8], isDetached: Bool) {
        guard !keys.isEmpty else { return (bytes, false) }
        var passed: [UInt8] = []
        for byte in bytes {
            if byte == keys[matched] {
                matched += 1
                if matched == keys.count { return (passed, true) }
                continue
            }
            passed += keys.prefix(matched)
            matched = byte == keys[0] ? 1 : 0
            if matched == keys.count { return (passed, true) }
            if matched == 0 { passed.append(byte) }
        }
        return (passed, false)
    }
}
