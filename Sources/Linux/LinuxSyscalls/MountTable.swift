package import SystemPackage

/// One mount of a mount namespace, a line of `/proc/PID/mountinfo`. - Source: proc_pid_mountinfo(5).
package struct MountTableEntry: Equatable, Sendable {
    package let id: UInt32
    package let parentID: UInt32
    /// The directory of the file system that is the root of this mount.
    package let root: String
    /// Where it is mounted, relative to the reader's root.
    package let mountPoint: String
    package let options: [String]
    /// `shared:N`, `master:N`, `propagate_from:N`, `unbindable`.
    package let propagation: [String]
    package let type: String
    package let source: String
    package let superOptions: [String]

    /// Reads one line; nil for one that does not have the documented fields.
    package init?(line: Substring) {
        let fields = LinuxSyscalls.fields(of: line, separatedBy: UInt8(ascii: " "))
        guard let separator = fields.firstIndex(of: "-"), separator >= 6, fields.count >= separator + 4,
            let id = UInt32(fields[0]), let parentID = UInt32(fields[1])
        else { return nil }
        self.id = id
        self.parentID = parentID
        root = unescaped(fields[3])
        mountPoint = unescaped(fields[4])
        options = LinuxSyscalls.fields(of: fields[5], separatedBy: UInt8(ascii: ",")).map { String($0) }
        propagation = fields[6..<separator].map(String.init)
        type = unescaped(fields[separator + 1])
        source = unescaped(fields[separator + 2])
        superOptions = LinuxSyscalls.fields(of: fields[separator + 3], separatedBy: UInt8(ascii: ",")).map { String($0) }
    }
}

/// A mount table larger than this is refused: 100 000 mounts of long paths.
private let mountTableLimitBytes = 32 << 20

/// The mounts of the calling process's mount namespace, in the kernel's order. - Source: proc_pid_mountinfo(5).
/// - Throws: EFBIG for a table above 32 MiB; EBADMSG for a line that is not as documented.
package func mountTable(_ path: FilePath = "/proc/self/mountinfo") throws(SyscallError) -> [MountTableEntry] {
    let text = String(decoding: try readFile(path, limitBytes: mountTableLimitBytes), as: UTF8.self)
    var entries: [MountTableEntry] = []
    for line in fields(of: text[...], separatedBy: UInt8(ascii: "\n")) {
        guard let entry = MountTableEntry(line: line) else { throw SyscallError("read", path.string, errno: 74) }
        entries.append(entry)
    }
    return entries
}

/// The parts of a text between separators of one byte, empty ones left out: by bytes, many times faster than by characters.
package func fields(of text: Substring, separatedBy separator: UInt8) -> [Substring] {
    let bytes = text.utf8
    var fields: [Substring] = []
    var start = bytes.startIndex
    var index = start
    while index < bytes.endIndex {
        let next = bytes.index(after: index)
        if bytes[index] == separator {
            if start < index { fields.append(text[start..<index]) }
            start = next
        }
        index = next
    }
    if start < index { fields.append(text[start..<index]) }
    return fields
}

/// Undoes the octal escapes that mountinfo writes for space, tab, newline, backslash and `#`.
private func unescaped(_ field: Substring) -> String {
    guard field.utf8.contains(0x5c) else { return String(field) }
    var bytes: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
        let digits = rest.prefix(3)
        guard byte == 0x5c, digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) else {
            bytes.append(byte)
            continue
        }
        bytes.append(digits.reduce(0) { $0 &<< 3 | ($1 - 0x30) })
        rest = rest.dropFirst(3)
    }
    return String(decoding: bytes, as: UTF8.self)
}
