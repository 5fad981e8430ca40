/// The blocks of a tar that we write: ustar, with GNU's binary numbers for sizes that octal digits do not hold.
/// - Source: tar(5), "POSIX ustar Archives", "GNU tar archives".
package enum TarHeader {
    /// Everything in a tar is a multiple of this.
    package static let blockBytes = 512
    /// What ends an archive.
    package static let end = [UInt8](repeating: 0, count: 2 * blockBytes)

    /// The longest name that a header takes.
    package static let nameLimitBytes = 100

    /// The header of a plain file that everyone may read.
    /// - Parameter name: relative, at most `nameLimitBytes` bytes.
    package static func file(_ name: String, sizeBytes: Int64) -> [UInt8] { header(name, type: UInt8(ascii: "0"), mode: 0o644, sizeBytes) }

    /// The header of a directory. - Parameter name: ends with a slash.
    package static func directory(_ name: String) -> [UInt8] { header(name, type: UInt8(ascii: "5"), mode: 0o755, 0) }

    /// What follows so many bytes of data, up to the next block.
    package static func padding(after sizeBytes: Int64) -> [UInt8] {
        [UInt8](repeating: 0, count: (blockBytes - Int(sizeBytes % Int64(blockBytes))) % blockBytes)
    }

    private static func header(_ name: String, type: UInt8, mode: Int64, _ sizeBytes: Int64) -> [UInt8] {
        precondition(name.utf8.count <= nameLimitBytes, "a tar header has no room for \(name)")
        var block = [UInt8](repeating: 0, count: blockBytes)
        func put(_ bytes: some Sequence<UInt8>, at offset: Int) {
            for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
        }
        put(name.utf8, at: 0)
        put(octal(mode, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(sizeBytes < 1 << 33 ? octal(sizeBytes, digits: 11) : binary(sizeBytes), at: 124)
        put(octal(0, digits: 11), at: 136)
        block[156] = type
        put("ustar\u{0}00".utf8, at: 257)
        // The checksum counts its own field as spaces.
        put("        ".utf8, at: 148)
        let sum = block.reduce(Int64(0)) { $0 + Int64($1) }
        put(octal(sum, digits: 6) + [0, 0x20], at: 148)
        return block
    }

    private static func octal(_ value: Int64, digits: Int) -> [UInt8] {
        let text = Array(String(value, radix: 8).utf8)
        return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, digits - text.count)) + text
    }

    private static func binary(_ value: Int64) -> [UInt8] {
        [0x80, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
    }
}
