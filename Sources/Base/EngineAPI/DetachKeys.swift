/// The keys that leave a container running behind a client that is attached to its terminal.
package struct DetachKeys: Sendable, Equatable {
    /// As a client writes them, and what a daemon is told; empty is the usual ones.
    package let text: String
    /// The bytes of the sequence; empty never comes.
    package let bytes: [UInt8]

    /// Never.
    package static let none = DetachKeys(text: "", bytes: [])
    /// Ctrl-P, Ctrl-Q.
    package static let standard = DetachKeys(text: "", bytes: [16, 17])
    /// Keys that a sequence may have.
    package static let maximumLength = 32

    private init(text: String, bytes: [UInt8]) {
        self.text = text
        self.bytes = bytes
    }

    /// Reads `ctrl-p,ctrl-q` or `a,b`: single bytes, and `ctrl-` with a small letter or one of `@ [ \ ] ^ _`.
    /// - Throws: `DetachKeysError` naming the key that is none.
    package init(_ text: String) throws(DetachKeysError) {
        guard !text.isEmpty else {
            self = .standard
            return
        }
        var bytes: [UInt8] = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let byte = Self.key(String(word)), bytes.count < Self.maximumLength else {
                throw DetachKeysError(text: text, key: String(word))
            }
            bytes.append(byte)
        }
        self.init(text: text, bytes: bytes)
    }

    private static func key(_ word: String) -> UInt8? {
        if word.utf8.count == 1 { return word.utf8.first }
        guard word.hasPrefix("ctrl-"), word.utf8.count == 6, let last = word.utf8.last else { return nil }
        switch last {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return last - UInt8(ascii: "a") + 1
        case UInt8(ascii: "@"): return 0
        case UInt8(ascii: "[")...UInt8(ascii: "_"): return last - UInt8(ascii: "@")
        default: return nil
        }
    }
}

/// A sequence with a key that is none, or with more keys than a sequence has.
package struct DetachKeysError: Error, Equatable, CustomStringConvertible {
    /// The whole sequence.
    package let text: String
    /// The key.
    package let key: String

    /// Docker's words.
    package var description: String { "invalid detach keys (\(text)) provided: Unknown character: '\(key)'" }
}

/// Looks for detach keys in what a client types. What may be their beginning is held back until the next byte tells.
package struct DetachScanner: Sendable {
    private let keys: [UInt8]
    private var matched = 0

    /// Looks for `keys`.
    package init(keys: DetachKeys) { self.keys = keys.bytes }

    /// Takes what was typed.
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
