/// Watches what is typed for the keys that leave a container running: `ctrl-p,ctrl-q` unless told otherwise.
struct DetachKeys: Sendable {
    /// The sequence as it was written; nil for the usual one.
    let text: String?
    private let keys: [UInt8]
    private var matched = 0

    /// Reads docker's form: letters, and `ctrl-` with a letter or one of `@ [ \ ] ^ _`, separated by commas.
    /// - Throws: `Complaint` naming the key that is none.
    init(_ text: String?) throws(Complaint) {
        var keys: [UInt8] = []
        for key in (text ?? "ctrl-p,ctrl-q").split(separator: ",") {
            guard let byte = Self.byte(of: String(key)) else {
                throw Complaint("invalid detach keys (\(text ?? "")) provided: Unknown character: '\(key)'")
            }
            keys.append(byte)
        }
        self.text = text
        self.keys = keys
    }

    private static func byte(of key: String) -> UInt8? {
        let bytes = Array(key.utf8)
        if bytes.count == 1 { return bytes[0] }
        guard key.hasPrefix("ctrl-"), bytes.count == 6, let last = bytes.last else { return nil }
        switch last {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return last - UInt8(ascii: "a") + 1
        case UInt8(ascii: "@"): return 0
        case UInt8(ascii: "[")...UInt8(ascii: "_"): return last - UInt8(ascii: "@")
        default: return nil
        }
    }

    /// Takes what was typed.
    /// - Returns: what goes on to the container, and whether the keys are complete. Keys that may yet become the
    ///   sequence are held back until it is broken.
    mutating func take(_ typed: [UInt8]) -> (forwarded: [UInt8], isDetached: Bool) {
        var forwarded: [UInt8] = []
        for byte in typed {
            if !keys.isEmpty, byte == keys[matched] {
                matched += 1
                if matched == keys.count { return (forwarded, true) }
            } else {
                forwarded += keys[..<matched]
                matched = !keys.isEmpty && byte == keys[0] ? 1 : 0
                if matched == 0 { forwarded.append(byte) }
            }
        }
        return (forwarded, false)
    }
}
