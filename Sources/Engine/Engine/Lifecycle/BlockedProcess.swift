internal import LinuxSyscalls
internal import SystemPackage

/// Why a process does not end: where in the kernel it waits, deaf to every signal.
enum BlockedProcess {
    private static let statusByteCount = 4096
    private static let placeByteCount = 128

    /// Words for an error; nil where the process is not stuck, or is gone.
    static func words(of pid: UInt32) -> String? {
        guard let status = try? readFile(FilePath("/proc/\(pid)/stat"), limitBytes: statusByteCount),
            let end = status.lastIndex(of: UInt8(ascii: ")")), status.dropFirst(end + 2).first == UInt8(ascii: "D")
        else { return nil }
        let place = (try? readFile(FilePath("/proc/\(pid)/wchan"), limitBytes: placeByteCount)).map { String(decoding: $0, as: UTF8.self) }
        return "process \(pid) is blocked in \(place.flatMap { $0.isEmpty || $0 == "0" ? nil : $0 } ?? "the kernel")"
    }
}
