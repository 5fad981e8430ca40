internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

// Compiled programs on disk. A file holds the whole key beside the program, and a hit compares the key byte by byte: no hash is
// trusted with which program a profile gets. The hash below only chooses the file and notices torn writes. Whoever could forge a
// file could as well replace the runtime: the directory and its files must belong to us and be writable by nobody else.

/// The version of the file format and of what `compile` puts before libseccomp's program.
private let formatVersion: UInt32 = 1
private let magic = Array("APUSBPF\n".utf8)
/// magic, format version u32, key length u32, program length u32, checksum u64; little-endian.
private let headerBytes = 28
/// The most files in a cache: a profile's place is its hash modulo this, and a newcomer replaces who was there.
private let slotCount: UInt64 = 4096
/// A profile that takes more than this is compiled every time.
private let keyLimitBytes = 1 << 20

/// Everything that a compiled program depends on, in bytes that only an equal plan has: strings and lists carry their lengths.
func cacheKey(of plan: FilterPlan, libraryVersion: String = libseccompVersion()) -> [UInt8] {
    var key: [UInt8] = []
    key.reserveCapacity(16_384)
    key.appendText(libraryVersion)
    key.appendInteger(UInt32(plan.architectures.count))
    for architecture in plan.architectures { key.appendInteger(architecture.token) }
    key.appendInteger(plan.defaultAction.rawValue)
    key.append(plan.answersNewCalls ? 1 : 0)
    key.appendInteger(UInt32(plan.rules.count))
    for rule in plan.rules {
        key.appendInteger(rule.action.rawValue)
        key.appendInteger(UInt32(rule.conditions.count))
        for condition in rule.conditions {
            key.appendInteger(condition.index)
            key.appendInteger(condition.value)
            key.appendInteger(condition.valueTwo)
            key.appendText(condition.comparison.rawValue)
        }
        key.appendInteger(UInt32(rule.names.count))
        for name in rule.names { key.appendText(name) }
    }
    key.appendInteger(UInt32(plan.namesOfDefault.count))
    for name in plan.namesOfDefault { key.appendText(name) }
    return key
}

/// The program stored for a key; nil where there is none, or one of another key or format.
/// - Throws: EPERM for a directory or file that others could have written, and what open(2) and read(2) say.
func cachedProgram(for key: [UInt8], in directory: FilePath) throws(SyscallError) -> [UInt8]? {
    let bytes: [UInt8]
    do throws(SyscallError) {
        let folder = try openFile(directory, [.path, .directory, .noFollow])
        try verifyOwnership(of: folder.number, directory.string)
        let file = try openFile(slot(of: key), [.readOnly, .noFollow, .nonBlocking], at: folder.number)
        let status = try verifyOwnership(of: file.number, directory.string)
        let limit = headerBytes + key.count + programLimitBytes
        guard status.type == .regular, status.sizeBytes <= limit else { return nil }
        bytes = try readChunk(file.number, limitBytes: limit)
    } catch  where error.errno == ENOENT { return nil }
    return program(in: bytes, for: key)
}

/// Stores a program in one step: whoever reads sees the old file or the new one.
func storeProgram(_ program: [UInt8], for key: [UInt8], in directory: FilePath) throws(SyscallError) {
    if key.count > keyLimitBytes { return }
    // What holds it may be a daemon's, too, whose socket and containers others pass by.
    try makeDirectories(directory, mode: 0o700, parentMode: 0o711)
    let folder = try openFile(directory, [.path, .directory, .noFollow])
    try verifyOwnership(of: folder.number, directory.string)
    let name = slot(of: key)
    let temporary = FilePath(".\(name).\(processID()).tmp")
    do throws(SyscallError) {
        // What a killed process of our pid left is replaced.
        do throws(SyscallError) { try removeFile(temporary, at: folder.number) } catch  where error.errno == ENOENT {}
        let file = try openFile(temporary, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600, at: folder.number)
        try writeAll(fileContents(program, key), to: file.number, subject: temporary.string)
        try renameFile(temporary, to: name, fromDirectory: folder.number, toDirectory: folder.number)
    } catch {
        try? removeFile(temporary, at: folder.number)
        throw error
    }
}

/// A file of the cache. - See: `headerBytes`.
func fileContents(_ program: [UInt8], _ key: [UInt8]) -> [UInt8] {
    var bytes = magic
    bytes.appendInteger(formatVersion)
    bytes.appendInteger(UInt32(key.count))
    bytes.appendInteger(UInt32(program.count))
    bytes.appendInteger(hash(program))
    return bytes + key + program
}

/// The program in a file's bytes, if it is one for this key and whole.
func program(in bytes: [UInt8], for key: [UInt8]) -> [UInt8]? {
    guard bytes.count >= headerBytes, bytes[..<8].elementsEqual(magic), integer(in: bytes[8..<12]) == UInt64(formatVersion),
        integer(in: bytes[12..<16]) == UInt64(key.count)
    else { return nil }
    let start = headerBytes + key.count
    let length = Int(integer(in: bytes[16..<20]))
    guard length > 0, length <= programLimitBytes, length % filterInstructionBytes == 0, bytes.count == start + length,
        bytes[headerBytes..<start] == key[...]
    else { return nil }
    let program = Array(bytes[start...])
    return hash(program) == integer(in: bytes[20..<28]) ? program : nil
}

/// Refuses what belongs to another user or can be written by one.
@discardableResult
private func verifyOwnership(of descriptor: Int32, _ subject: String) throws(SyscallError) -> FileStatus {
    let status = try fileStatus(of: descriptor, subject: subject)
    if status.userID != effectiveUserID() || status.mode & 0o022 != 0 {
        throw SyscallError("verify:", "\(subject) could be written by others", errno: EPERM)
    }
    return status
}

private func slot(of key: [UInt8]) -> FilePath { FilePath("\(hash(key) % slotCount).bpf") }

/// FNV-1a with 64 bits. - Source: draft-eastlake-fnv, section 2.
private func hash(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

private func integer(in bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }

extension [UInt8] {
    fileprivate mutating func appendInteger(_ value: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    fileprivate mutating func appendText(_ text: String) {
        appendInteger(UInt32(text.utf8.count))
        append(contentsOf: text.utf8)
    }
}
