internal import CoreTypes

/// Words log records as Docker's json-file driver does, byte for byte: `{"log":"text\\n","stream":"stdout","time":"2026-11-28T21:00:00.5Z"}`.
/// - Source: moby, daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go.
package struct JSONLogLines: Sendable {
    /// `,"attrs":{…}`, or nothing.
    private let attributes: [UInt8]

    /// - Parameter attributes: `NAME=VALUE`, the same with each line.
    package init(attributes: [String] = []) {
        var bytes: [UInt8] = []
        for attribute in attributes.sorted() {
            let parts = attribute.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            bytes += bytes.isEmpty ? Array(",\"attrs\":{".utf8) : Array(",".utf8)
            Self.quote(Array(parts[0].utf8)[...], isLine: false, into: &bytes)
            bytes.append(UInt8(ascii: ":"))
            Self.quote(Array(parts[1].utf8)[...], isLine: false, into: &bytes)
        }
        if !bytes.isEmpty { bytes.append(UInt8(ascii: "}")) }
        self.attributes = bytes
    }

    /// Appends a record's line. What is longer than a record is several, of which the last one alone has the newline in its text.
    package func append(_ record: LogRecord, to bytes: inout [UInt8]) {
        bytes += "{\"log\":".utf8
        Self.quote(record.text, isLine: !record.isPartial, into: &bytes)
        bytes += record.stream == .stdout ? ",\"stream\":\"stdout\"".utf8 : ",\"stream\":\"stderr\"".utf8
        bytes += attributes
        let (seconds, rest) = record.unixNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        bytes += ",\"time\":\"\(Timestamp(seconds: seconds, nanoseconds: Int32(rest)))\"}\n".utf8
    }

    private static func quote(_ text: ArraySlice<UInt8>, isLine: Bool, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        var place = text.startIndex
        while place < text.endIndex {
            let byte = text[place]
            guard byte >= 0x80 else {
                append(ascii: byte, to: &bytes)
                place += 1
                continue
            }
            let count = characterByteCount(text[place...])
            if count == 0 {
                // As Go does: one for each byte that belongs to no character.
                bytes += "\\ufffd".utf8
            } else if count == 3, byte == 0xe2, text[place + 1] == 0x80, text[place + 2] & 0xfe == 0xa8 {
                // Line ends to JavaScript.
                bytes += text[place + 2] == 0xa8 ? "\\u2028".utf8 : "\\u2029".utf8
            } else {
                bytes += text[place..<(place + count)]
            }
            place += max(1, count)
        }
        bytes += isLine ? "\\n\"".utf8 : "\"".utf8
    }

    private static func append(ascii byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
        case UInt8(ascii: "\n"): bytes += "\\n".utf8
        case UInt8(ascii: "\r"): bytes += "\\r".utf8
        case 0..<0x20, UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"):
            bytes += "\\u00".utf8
            for digit in [byte >> 4, byte & 0xf] { bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
        default: bytes.append(byte)
        }
    }

    /// How long the character is that `bytes` begin with, of two bytes and more; 0 where they begin with none.
    private static func characterByteCount(_ bytes: ArraySlice<UInt8>) -> Int {
        let first = bytes[bytes.startIndex]
        let count: Int
        var second: ClosedRange<UInt8> = 0x80...0xbf
        switch first {
        case 0xc2...0xdf: count = 2
        case 0xe0: (count, second) = (3, 0xa0...0xbf)
        case 0xed: (count, second) = (3, 0x80...0x9f)
        case 0xe1...0xef: count = 3
        case 0xf0: (count, second) = (4, 0x90...0xbf)
        case 0xf4: (count, second) = (4, 0x80...0x8f)
        case 0xf1...0xf3: count = 4
        default: return 0
        }
        guard bytes.count >= count, second.contains(bytes[bytes.startIndex + 1]) else { return 0 }
        let rest = bytes[(bytes.startIndex + 2)..<(bytes.startIndex + count)]
        return rest.allSatisfy { (0x80...0xbf).contains($0) } ? count : 0
    }
}
