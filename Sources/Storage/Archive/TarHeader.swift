internal import LinuxSyscalls

/// The blocks of a tar that we write: ustar, a pax header before what ustar has no room for, GNU's binary numbers for sizes that octal
/// digits do not hold.
/// - Source: tar(5), "POSIX ustar Archives", "Pax Interchange Format", "GNU tar archives".
package enum TarHeader {
    /// Everything in a tar is a multiple of this.
    package static let blockBytes = 512
    /// What ends an archive.
    package static let end = [UInt8](repeating: 0, count: 2 * blockBytes)

    /// The longest name, and the longest text of a link, that a header takes without a pax header.
    package static let nameLimitBytes = 100
    /// The largest owner that a header takes without a pax header: seven octal digits.
    private static let ownerLimit: Int64 = 0o7_777_777

    /// The header of a plain file that everyone may read.
    /// - Parameter name: relative.
    package static func file(_ name: String, sizeBytes: Int64) -> [UInt8] {
        plain(name, .regular(sizeBytes: sizeBytes), mode: 0o644)
    }

    /// The header of a directory. - Parameter name: ends with a slash.
    package static func directory(_ name: String) -> [UInt8] { plain(name, .directory, mode: 0o755) }

    /// What follows so many bytes of data, up to the next block.
    package static func padding(after sizeBytes: Int64) -> [UInt8] {
        [UInt8](repeating: 0, count: (blockBytes - Int(sizeBytes % Int64(blockBytes))) % blockBytes)
    }

    private static func plain(_ name: String, _ kind: TarEntry.Kind, mode: UInt32) -> [UInt8] {
        header(
            TarEntry(path: Array(name.utf8), kind: kind, mode: mode, userID: 0, groupID: 0, modified: FileTime(seconds: 0)))
    }

    /// All that comes before an entry's data. A directory's path ends with a slash. Times are whole seconds, as Docker's.
    static func header(_ entry: TarEntry) -> [UInt8] {
        let records = paxRecords(entry)
        return (records.isEmpty ? [] : paxHeader(records)) + block(entry)
    }

    // MARK: pax

    private static func paxRecords(_ entry: TarEntry) -> [UInt8] {
        var records: [(key: String, value: [UInt8])] = []
        let link = linkText(entry.kind)
        if let map = entry.map {
            records += map.records(path: entry.path)
        } else if entry.path.count > nameLimitBytes {
            records.append(("path", entry.path))
        }
        if link.count > nameLimitBytes { records.append(("linkpath", link)) }
        // Readers take the values for UTF-8 unless they are told otherwise.
        if records.contains(where: { String(validating: $0.value, as: UTF8.self) == nil }) {
            records.insert(("hdrcharset", Array("BINARY".utf8)), at: 0)
        }
        if entry.userID > ownerLimit { records.append(("uid", Array("\(entry.userID)".utf8))) }
        if entry.groupID > ownerLimit { records.append(("gid", Array("\(entry.groupID)".utf8))) }
        if !isOctalTime(entry.modified.seconds) { records.append(("mtime", Array("\(entry.modified.seconds)".utf8))) }
        for attribute in entry.attributes { records.append(("SCHILY.xattr.\(attribute.name)", attribute.value)) }
        return records.flatMap { record($0.key, $0.value) }
    }

    /// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [0x0a]
        var length = rest.count + 1
        while String(length).utf8.count + rest.count != length { length = String(length).utf8.count + rest.count }
        return Array(String(length).utf8) + rest
    }

    private static func paxHeader(_ records: [UInt8]) -> [UInt8] {
        var block = fields(name: Array("pax".utf8), type: UInt8(ascii: "x"), mode: 0o644, sizeBytes: Int64(records.count))
        seal(&block)
        return block + records + padding(after: Int64(records.count))
    }

    // MARK: ustar

    private static func block(_ entry: TarEntry) -> [UInt8] {
        var size: Int64 = 0
        if case .regular(let sizeBytes) = entry.kind { size = sizeBytes }
        if let map = entry.map { size = Int64(map.blocks.count) + map.dataBytes }
        let name = entry.map == nil ? entry.path : SparseMap.placeholder(for: entry.path)
        var block = fields(
            name: Array(name.prefix(nameLimitBytes)), type: type(of: entry.kind), mode: Int64(entry.mode), sizeBytes: size)
        put(octal(entry.userID > ownerLimit ? 0 : entry.userID, digits: 7), at: 108, in: &block)
        put(octal(entry.groupID > ownerLimit ? 0 : entry.groupID, digits: 7), at: 116, in: &block)
        put(octal(isOctalTime(entry.modified.seconds) ? entry.modified.seconds : 0, digits: 11), at: 136, in: &block)
        put(linkText(entry.kind).prefix(nameLimitBytes), at: 157, in: &block)
        if case .device(_, let number) = entry.kind {
            put(octal(Int64(number.major), digits: 7), at: 329, in: &block)
            put(octal(Int64(number.minor), digits: 7), at: 337, in: &block)
        }
        seal(&block)
        return block
    }

    private static func fields(name: [UInt8], type: UInt8, mode: Int64, sizeBytes: Int64) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: blockBytes)
        put(name, at: 0, in: &block)
        put(octal(mode, digits: 7), at: 100, in: &block)
        put(octal(0, digits: 7), at: 108, in: &block)
        put(octal(0, digits: 7), at: 116, in: &block)
        put(sizeBytes < 1 << 33 ? octal(sizeBytes, digits: 11) : binary(sizeBytes), at: 124, in: &block)
        put(octal(0, digits: 11), at: 136, in: &block)
        block[156] = type
        put("ustar\u{0}00".utf8, at: 257, in: &block)
        return block
    }

    /// Writes the checksum, which counts its own field as spaces.
    private static func seal(_ block: inout [UInt8]) {
        put("        ".utf8, at: 148, in: &block)
        let sum = block.reduce(Int64(0)) { $0 + Int64($1) }
        put(octal(sum, digits: 6) + [0, 0x20], at: 148, in: &block)
    }

    private static func type(of kind: TarEntry.Kind) -> UInt8 {
        switch kind {
        case .regular: UInt8(ascii: "0")
        case .hardLink: UInt8(ascii: "1")
        case .symbolicLink: UInt8(ascii: "2")
        case .device(.blockDevice, _): UInt8(ascii: "4")
        case .device: UInt8(ascii: "3")
        case .directory: UInt8(ascii: "5")
        case .pipe: UInt8(ascii: "6")
        }
    }

    private static func linkText(_ kind: TarEntry.Kind) -> [UInt8] {
        switch kind {
        case .symbolicLink(let target), .hardLink(let target): target
        case .regular, .directory, .device, .pipe: []
        }
    }

    private static func put(_ bytes: some Sequence<UInt8>, at offset: Int, in block: inout [UInt8]) {
        for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
    }

    private static func isOctalTime(_ seconds: Int64) -> Bool { (0..<1 << 33).contains(seconds) }

    private static func octal(_ value: Int64, digits: Int) -> [UInt8] {
        let text = Array(String(value, radix: 8).utf8)
        return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, digits - text.count)) + text
    }

    private static func binary(_ value: Int64) -> [UInt8] {
        [0x80, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
    }
}
