internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// What a killed shim was about to begin. Nobody is told of such a process, and nobody could be: it ends, and the runtime that makes it.
struct UnfinishedBeginnings {
    private static let sigkill: Int32 = 9
    /// How long a killed process may take to be gone.
    private static let endMilliseconds: Int32 = 2000
    private static let commandLineByteCount = 65_536
    private static let pidFileByteCount = 32

    private let layout: ShimLayout
    private let life: LifeRecord

    init(_ layout: ShimLayout, _ life: LifeRecord) { (self.layout, self.life) = (layout, life) }

    /// Ends them. The runtimes first: what they have made by then is in the files that they were to write.
    func end() throws(SyscallError) {
        for process in try processes() where isAtWorkForUs(process) { kill(process) { isAtWorkForUs(process) } }
        let directory = try openFile(FilePath(layout.directory), [.readOnly, .directory])
        for entry in try directoryEntries(of: directory, subject: layout.directory) where entry.name.string.hasPrefix("pid-") {
            guard let process = recorded(in: "\(layout.directory)/\(entry.name)"), !isKnown(process) else { continue }
            kill(process) { isInContainer(process) }
        }
    }

    private func processes() throws(SyscallError) -> [Int32] {
        let directory = try openFile("/proc", [.readOnly, .directory])
        return try directoryEntries(of: directory, subject: "/proc").compactMap { Int32($0.name.string) }
    }

    /// Whether it is a runtime that is to write into the shim's directory.
    private func isAtWorkForUs(_ process: Int32) -> Bool {
        guard let bytes = try? readFile(FilePath("/proc/\(process)/cmdline"), limitBytes: Self.commandLineByteCount) else { return false }
        let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        return zip(words, words.dropFirst()).contains { $0 == "--pid-file" && $1.hasPrefix("\(layout.directory)/pid-") }
    }

    private func recorded(in path: String) -> Int32? {
        guard let text = try? readFile(FilePath(path), limitBytes: Self.pidFileByteCount) else { return nil }
        return Int32(String(decoding: text, as: UTF8.self).trimmingWhitespace)
    }

    private func isKnown(_ process: Int32) -> Bool { life.processes.contains { $0.pid == UInt32(bitPattern: process) } }

    /// Whether it is where the container's first process is; another's number by now is not.
    private func isInContainer(_ process: Int32) -> Bool {
        guard let first = life.processes.first(where: { $0.execID.isEmpty }), let place = cgroups(Int32(bitPattern: first.pid)) else {
            return false
        }
        return cgroups(process) == place
    }

    private func cgroups(_ process: Int32) -> [UInt8]? {
        try? readFile(FilePath("/proc/\(process)/cgroup"), limitBytes: Self.commandLineByteCount)
    }

    /// - Parameter isStillIt: asked once the process is held by a descriptor.
    private func kill(_ process: Int32, _ isStillIt: () -> Bool) {
        // One that is gone needs no more.
        guard let descriptor = try? openProcess(process), isStillIt() else { return }
        try? sendSignal(Self.sigkill, toProcessOf: descriptor)
        _ = try? waitUntilReadable([descriptor.number], timeoutMilliseconds: Self.endMilliseconds)
    }
}
