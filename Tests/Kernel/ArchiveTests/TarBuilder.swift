/// Writes tar archives as an attacker would: any header, any size, any name.
struct TarBuilder {
    private(set) var bytes: [UInt8] = []

    /// Adds one ustar entry; what does not fit its fields goes into a pax header before it.
    mutating func add(
        _ path: String, type: Character = "0", mode: Int = 0o644, owner: Int = 0, group: Int = 0, modified: Int = 1_000_000_000,
        data: [UInt8] = [], link: String = "", major: Int = 0, minor: Int = 0, pax: [(String, [UInt8])] = [], declaredSize: Int? = nil
    ) {
        var records = pax
        if path.utf8.count > 100 { records.append(("path", Array(path.utf8))) }
        if link.utf8.count > 100 { records.append(("linkpath", Array(link.utf8))) }
        if !records.isEmpty { addPax(records) }
        bytes += Self.header(
            path, type: type, mode: mode, owner: owner, group: group, modified: modified, size: declaredSize ?? data.count, link: link,
            major: major, minor: minor)
        append(data)
    }

    mutating func addDirectory(_ path: String, mode: Int = 0o755, modified: Int = 1_000_000_000) {
        add(path, type: "5", mode: mode, modified: modified)
    }

    mutating func addLink(_ path: String, to target: String) { add(path, type: "2", mode: 0o777, link: target) }

    mutating func addHardLink(_ path: String, to target: String, mode: Int = 0o644) { add(path, type: "1", mode: mode, link: target) }

    /// Adds a pax header for the next entry.
    mutating func addPax(_ records: [(String, [UInt8])], type: Character = "x") {
        var body: [UInt8] = []
        for (key, value) in records {
            let rest = Array(" \(key)=".utf8) + value + [0x0a]
            var length = rest.count + 1
            while String(length).utf8.count + rest.count != length { length = String(length).utf8.count + rest.count }
            body += Array(String(length).utf8) + rest
        }
        bytes += Self.header(
            "pax", type: type, mode: 0o644, owner: 0, group: 0, modified: 0, size: body.count, link: "", major: 0, minor: 0)
        append(body)
    }

    /// Adds bytes as they are, filled up to a whole block.
    mutating func append(_ data: [UInt8]) {
        bytes += data
        bytes += [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
    }

    /// The archive with its end mark.
    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    static func header(
        _ path: String, type: Character, mode: Int, owner: Int, group: Int, modified: Int, size: Int, link: String, major: Int, minor: Int
    ) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: some Sequence<UInt8>, at offset: Int, limit: Int) {
            for (index, byte) in text.prefix(limit).enumerated() { block[offset + index] = byte }
        }
        func number(_ value: Int, at offset: Int, width: Int) {
            let octal = String(value, radix: 8)
            if value < 0 || octal.utf8.count > width - 1 {
                // Base 256, as GNU and star write large and negative numbers.
                var rest = value
                for index in stride(from: offset + width - 1, to: offset, by: -1) {
                    block[index] = UInt8(truncatingIfNeeded: rest)
                    rest >>= 8
                }
                block[offset] = value < 0 ? 0xff : 0x80
            } else {
                put(
                    Array(String(repeating: "0", count: width - 1 - octal.utf8.count).utf8) + Array(octal.utf8), at: offset,
                    limit: width - 1)
            }
        }
        put(path.utf8, at: 0, limit: 100)
        number(mode, at: 100, width: 8)
        number(owner, at: 108, width: 8)
        number(group, at: 116, width: 8)
        number(size, at: 124, width: 12)
        number(modified, at: 136, width: 12)
        put("        ".utf8, at: 148, limit: 8)
        put(String(type).utf8, at: 156, limit: 1)
        put(link.utf8, at: 157, limit: 100)
        put("ustar\u{0}00".utf8, at: 257, limit: 8)
        number(major, at: 329, width: 8)
        number(minor, at: 337, width: 8)
        let sum = block.reduce(0) { $0 + Int($1) }
        let octal = String(sum, radix: 8)
        put(Array(String(repeating: "0", count: 6 - octal.utf8.count).utf8) + Array(octal.utf8) + [0, 0x20], at: 148, limit: 8)
        return block
    }
}

/// gzip without compression: stored blocks of at most 65 535 bytes.
func storedGzip(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]
    var offset = 0
    repeat {
        let count = min(65_535, bytes.count - offset)
        result.append(offset + count == bytes.count ? 1 : 0)
        for value in [UInt16(count), ~UInt16(count)] { result += [UInt8(value & 255), UInt8(value >> 8)] }
        result += bytes[offset..<(offset + count)]
        offset += count
    } while offset < bytes.count
    for value in [crc32(bytes), UInt32(truncatingIfNeeded: bytes.count)] {
        for shift in [0, 8, 16, 24] { result.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
    return result
}

private func crc32(_ bytes: [UInt8]) -> UInt32 {
    var table = [UInt32](repeating: 0, count: 256)
    for index in 0..<256 {
        var value = UInt32(index)
        for _ in 0..<8 { value = value & 1 == 1 ? 0xedb8_8320 ^ (value >> 1) : value >> 1 }
        table[index] = value
    }
    return ~bytes.reduce(UInt32.max) { table[Int(($0 ^ UInt32($1)) & 255)] ^ ($0 >> 8) }
}
