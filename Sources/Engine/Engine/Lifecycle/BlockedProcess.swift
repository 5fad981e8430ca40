internal import LinuxSyscalls
internal import SystemPackage

/// Why a process does not end: where in the kernel it waits, deaf to every signal.
enum BlockedProcess {
    private static let statusByteCount = 4096
    private static let placeByteCount = 128

    /// Processes that are looked at, from the first one on: it waits, awake to signals but dead, for those that it began in its namespace.
    private static let processLimit = 64
    private static let childrenByteCount = 4096

    /// Words for an error; nil where neither the process nor one that it began is stuck, or they are gone.
    static func words(of pid: UInt32) -> String? { found(from: pid).map { "process \($0.pid) is blocked in \($0.place)" } }

    /// Where in the kernel it waits; nil as above.
    static func place(of pid: UInt32) -> String? { found(from: pid)?.place }

    private static func found(from pid: UInt32) -> (pid: UInt32, place: String)? {
        var (processes, next) = ([pid], 0)
        while next < processes.count {
            if let place = ownPlace(of: processes[next]) { return (processes[next], place) }
            processes += children(of: processes[next]).prefix(processLimit - processes.count)
            next += 1
        }
        return nil
    }

    private static func children(of pid: UInt32) -> [UInt32] {
        guard let file = try? openFile(FilePath("/proc/\(pid)/task/\(pid)/children"), [.readOnly]),
            let text = try? readChunk(file.number, limitBytes: childrenByteCount)
        else { return [] }
        return processes(text)
    }

    /// Those of a list in procfs, or of the beginning of one: a space is behind each, and the last may be cut.
    static func processes(_ text: [UInt8]) -> [UInt32] {
        guard let end = text.lastIndex(of: UInt8(ascii: " ")) else { return [] }
        return text[..<end].split(separator: UInt8(ascii: " ")).compactMap { UInt32(String(decoding: $0, as: UTF8.self)) }
    }

    private static func ownPlace(of pid: UInt32) -> String? {
        guard let status = try? readFile(FilePath("/proc/\(pid)/stat"), limitBytes: statusByteCount),
            let end = status.lastIndex(of: UInt8(ascii: ")")), status.dropFirst(end + 2).first == UInt8(ascii: "D")
        else { return nil }
        let place = (try? readFile(FilePath("/proc/\(pid)/wchan"), limitBytes: placeByteCount)).map { String(decoding: $0, as: UTF8.self) }
        return place.flatMap { $0.isEmpty || $0 == "0" ? nil : $0 } ?? "the kernel"
    }
}
