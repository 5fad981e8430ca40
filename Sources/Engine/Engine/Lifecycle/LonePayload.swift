internal import CoreTypes
internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// What is left of a run whose shim is gone, as the shim's own record and the kernel tell it. Every function blocks.
enum LonePayload: Sendable {
    /// Its process lives.
    case lives(LoneProcess)
    /// It may live: what says so cannot be read just now.
    case unclear(String)
    /// Its process has ended, and is about to be started again.
    case isBetweenRuns
    /// Its process has ended; nil where nothing here says how.
    case ended(TaskEnd?)
    /// Nothing says that there was a process.
    case unknown

    private static let cgroupByteCount = 65_536

    /// - Parameter pid: the first process as the daemon knows it; 0 where it knows none.
    init(of id: ContainerID, layout: ShimLayout, pid: UInt32) {
        do throws(SyscallError) {
            self = if let life = try Self.record(layout) { try Self.told(life) } else { try Self.found(pid, of: id) }
        } catch {
            // What the machine lacks just now (descriptors, memory) says nothing about the process.
            self = .unclear("\(error)")
        }
    }

    /// The shim's own record.
    /// - Returns: nil where there is none, or none that can be understood.
    private static func record(_ layout: ShimLayout) throws(SyscallError) -> LifeRecord? {
        let bytes: [UInt8]
        do throws(SyscallError) { bytes = try readFile(FilePath(layout.lifePath), limitBytes: LifeRecord.maximumByteCount) } catch {
            if error.saysMissing { return nil }
            throw error
        }
        return try? LifeRecord(decoding: bytes)
    }

    private static func told(_ life: LifeRecord) throws(SyscallError) -> LonePayload {
        if life.restarts.isRestarting { return .isBetweenRuns }
        guard let first = life.processes.first(where: { $0.execID.isEmpty }) else { return .unknown }
        if let exit = first.exit { return .ended(TaskEnd(exit)) }
        let startedAt = first.startedAt.map { Timestamp(unixNanoseconds: $0.unixNanoseconds) } ?? .now
        guard let process = try LoneProcess(first.pid, startTimeTicks: first.startTimeTicks, startedAt: startedAt) else {
            return .ended(nil)
        }
        return try process.hasEnded() ? .ended(process.end()) : .lives(process)
    }

    /// Where the shim's record says nothing: a process with that number in the container's cgroup is the container's.
    private static func found(_ pid: UInt32, of id: ContainerID) throws(SyscallError) -> LonePayload {
        guard pid != 0 else { return .unknown }
        do throws(SyscallError) {
            let cgroup = try readFile(FilePath("/proc/\(pid)/cgroup"), limitBytes: cgroupByteCount)
            let ticks = try startTimeTicks(of: Int32(bitPattern: pid))
            guard String(decoding: cgroup, as: UTF8.self).contains(id.text),
                let process = try LoneProcess(pid, startTimeTicks: ticks, startedAt: .now)
            else { return .ended(nil) }
            return try process.hasEnded() ? .ended(process.end()) : .lives(process)
        } catch {
            if error.saysMissing { return .ended(nil) }
            throw error
        }
    }
}

/// A container's first process, held by a descriptor.
final class LoneProcess: Sendable {
    let pid: UInt32
    let startedAt: Timestamp
    private let descriptor: OwnedFD
    private let startTimeTicks: UInt64

    /// - Parameter startTimeTicks: of the process that is meant.
    /// - Returns: nil where it is gone.
    init?(_ pid: UInt32, startTimeTicks: UInt64, startedAt: Timestamp) throws(SyscallError) {
        do throws(SyscallError) {
            descriptor = try openProcess(Int32(bitPattern: pid))
            // Looked at after it was opened: it is that very process, or it is not.
            guard try LinuxSyscalls.startTimeTicks(of: Int32(bitPattern: pid)) == startTimeTicks else { return nil }
        } catch {
            if error.saysMissing { return nil }
            throw error
        }
        self.pid = pid
        self.startTimeTicks = startTimeTicks
        self.startedAt = startedAt
    }

    /// Whether it has ended, or does so in time.
    func hasEnded(within milliseconds: Int32 = 0) throws(SyscallError) -> Bool {
        try !waitUntilReadable([descriptor.number], timeoutMilliseconds: milliseconds).isEmpty
    }

    /// How it ended, once it has: its new parent reaps it before the kernel tells, or has not yet; then procfs says it of the zombie.
    /// - Returns: nil where nobody can say.
    func end() -> TaskEnd? {
        if let exit = try? exit(ofProcess: descriptor) { return TaskEnd(exit) }
        let number = Int32(bitPattern: pid)
        if let exit = try? unreapedExit(of: number), (try? LinuxSyscalls.startTimeTicks(of: number)) == startTimeTicks {
            return TaskEnd(exit)
        }
        return (try? exit(ofProcess: descriptor)).flatMap { $0 }.map { TaskEnd($0) }
    }

    /// - Throws: ESRCH once it has ended.
    func signal(_ number: UInt32) throws(SyscallError) {
        try sendSignal(Int32(bitPattern: number), toProcessOf: descriptor, subject: "process \(pid)")
    }
}

extension TaskEnd {
    /// As nobody but the kernel saw it: whether memory was short is not known.
    fileprivate init(_ exit: ProcessExit) { self.init(exitCode: Int(exit.shellStatus), finishedAt: .now, oomKilled: false) }
}

extension SyscallError {
    /// ENOENT, or ESRCH of a process.
    fileprivate var saysMissing: Bool { [.noSuchFileOrDirectory, .noSuchProcess].contains(Errno(rawValue: errno)) }
}
