internal import LinuxSyscalls

/// Input between those who send it and the process: a file in memory, of which the keeper has a copy. What was taken from a client is in the file, and what the
/// process's end has is before the file's position, which the kernel moves by exactly what it hands on: so the next shim knows both, whenever this one is killed.
///
/// The first page says whose the input is and whether it has ended; the input follows, its first byte at place 0.
final class InputSpool {
    /// Input of the file's last pages may still be what a pipe points to: a pipe has 16 pages as a rule. They are kept.
    private static let keptByteCount: UInt64 = 131_072
    /// Delivered pages are given back once there are so many.
    private static let givenBackByteCount: UInt64 = 262_144
    private static let pageByteCount: UInt64 = 4096

    /// Its position is the process's place.
    let file: Descriptor
    /// Bytes taken from clients, and handed on of those.
    private(set) var takenByteCount: UInt64
    private(set) var deliveredByteCount: UInt64
    private var givenBackByteCount: UInt64 = 0
    private var owners: InputOwners

    /// A new one.
    init() throws(SyscallError) {
        file = Descriptor(try makeMemoryFile(named: "apus-input"))
        (takenByteCount, deliveredByteCount, owners) = (0, 0, InputOwners())
        try writeAll(owners.encoded().span, at: 0, to: file.number)
        try seek(file.number, to: Int64(Self.pageByteCount))
    }

    /// A killed shim's.
    /// - Throws: EBADMSG for one of a later version.
    init(_ file: Descriptor) throws(SyscallError) {
        self.file = file
        guard let owners = InputOwners(try readChunk(file.number, at: 0, limitBytes: InputOwners.byteCount)) else {
            throw SyscallError("read", "spool of input", errno: 74)
        }
        self.owners = owners
        let size = UInt64(clamping: try fileStatus(of: file.number, subject: "spool of input").sizeBytes)
        takenByteCount = max(size, Self.pageByteCount) - Self.pageByteCount
        deliveredByteCount = max(try position(of: file.number), Self.pageByteCount) - Self.pageByteCount
    }

    /// Bytes that wait for the process.
    var count: Int { Int(clamping: takenByteCount - deliveredByteCount) }

    /// Whether the input ends after what is here.
    var isEnded: Bool { owners.isEnded }

    /// Bytes of a client's that were taken.
    func place(of client: UInt64) -> UInt64 { owners.place(of: client, takenByteCount) }

    /// Takes input. What is refused was taken in part perhaps.
    func append(_ bytes: [UInt8], from client: UInt64) throws(SyscallError) {
        if owners.beginTurn(of: client, takenByteCount) { try writeOwners() }
        let end = Int64(clamping: Self.pageByteCount + takenByteCount)
        do throws(SyscallError) { try writeAll(bytes.span, at: end, to: file.number, subject: "spool of input") } catch {
            let size = try fileStatus(of: file.number, subject: "spool of input").sizeBytes
            takenByteCount = max(UInt64(clamping: size), Self.pageByteCount) - Self.pageByteCount
            throw error
        }
        takenByteCount += UInt64(bytes.count)
    }

    /// Nothing follows what is here.
    func end() throws(SyscallError) {
        owners.isEnded = true
        try writeOwners()
    }

    private func writeOwners() throws(SyscallError) {
        try writeAll(owners.encoded().span, at: 0, to: file.number, subject: "spool of input")
    }

    /// Hands on as much as the process's end takes: a pipe's, or a terminal's master.
    func deliver(to target: Int32, isTerminal: Bool) throws(SyscallError) {
        while count > 0 {
            let outcome =
                isTerminal
                ? try copyAvailable(from: file.number, to: target, limitBytes: count)
                : try splice(from: file.number, toPipe: target, limitBytes: count)
            guard case .bytes(let moved) = outcome else { break }
            deliveredByteCount += UInt64(moved)
        }
        giveBack()
    }

    private func giveBack() {
        let end = (deliveredByteCount - min(Self.keptByteCount, deliveredByteCount)) & ~(Self.pageByteCount - 1)
        guard end >= givenBackByteCount + Self.givenBackByteCount else { return }
        // What cannot be given back is tried again with what is handed on next.
        guard
            (try? punchHole(in: file.number, at: Self.pageByteCount + givenBackByteCount, byteCount: end - givenBackByteCount)) != nil
        else { return }
        givenBackByteCount = end
    }
}

/// Whose the bytes of an input are, in one page: little-endian numbers of eight bytes.
///
///     version, 1
///     1 where the input has ended
///     the client whose turn it is, and the place where that began: what follows is its input
///     how many clients follow
///     for each a client, and its bytes before this turn
package struct InputOwners: Equatable {
    package static let byteCount = 4096
    private static let version: UInt64 = 1
    /// The first to be forgotten is the one whose last turn was first.
    static let clientLimit = 200

    package var isEnded = false
    private var current: UInt64 = 0
    private var turnStart: UInt64 = 0
    private var counts: [(client: UInt64, byteCount: UInt64)] = []

    package init() {}

    /// nil for those of another version.
    package init?(_ bytes: [UInt8]) {
        let numbers = bytes.littleEndianNumbers
        guard numbers.count >= 5, numbers[0] == Self.version, numbers[4] <= UInt64(Self.clientLimit) else { return nil }
        let clients = Int(numbers[4])
        guard numbers.count >= 5 + 2 * clients else { return nil }
        (isEnded, current, turnStart) = (numbers[1] == 1, numbers[2], numbers[3])
        counts = (0..<clients).map { (numbers[5 + 2 * $0], numbers[6 + 2 * $0]) }
    }

    package func encoded() -> [UInt8] {
        var numbers: [UInt64] = [Self.version, isEnded ? 1 : 0, current, turnStart, UInt64(counts.count)]
        for count in counts { numbers += [count.client, count.byteCount] }
        return numbers.littleEndianBytes
    }

    /// Bytes of a client's before `end`, the end of the input.
    package func place(of client: UInt64, _ end: UInt64) -> UInt64 {
        let before = counts.first { $0.client == client }?.byteCount ?? 0
        return client == current ? before + end - turnStart : before
    }

    /// What is appended at `end` is a client's. - Returns: whether that is to be written down first.
    package mutating func beginTurn(of client: UInt64, _ end: UInt64) -> Bool {
        guard client != current else { return false }
        let place = place(of: current, end)
        counts.removeAll { $0.client == current }
        if place > 0 { counts.append((current, place)) }
        if counts.count > Self.clientLimit { counts.removeFirst(counts.count - Self.clientLimit) }
        (current, turnStart) = (client, end)
        return true
    }

    package static func == (left: InputOwners, right: InputOwners) -> Bool { left.encoded() == right.encoded() }
}
