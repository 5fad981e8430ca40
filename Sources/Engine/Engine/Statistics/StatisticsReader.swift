internal import Cgroups
internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import SystemPackage

/// Reads what one run of a container uses. Every function blocks.
///
/// The cgroup is found by its path, not by the first process, which may have moved itself below it or be another's by now.
struct StatisticsReader: Sendable {
    private static let limitBytes = 1 << 20

    /// The first process's pid on the host.
    let pid: UInt32
    /// nil where the engine may make none: then nothing is counted, and processes are found by their namespace.
    private let cgroup: Cgroup?
    private let isUnified: Bool
    private let machineMemoryBytes: UInt64
    private let hasOwnNetwork: Bool

    /// Opens the cgroup of a container that runs.
    init(path: String, id: ContainerID, pid: UInt32, hasOwnNetwork: Bool, hasCgroup: Bool) throws(EngineError) {
        do throws(CgroupError) {
            let layout = try CgroupLayout.detect()
            cgroup = !hasCgroup ? nil : try Cgroup(opening: try Cgroup.plannedRecord(try CgroupPath(path, container: id), layout: layout))
            isUnified = layout.mode == .unified
        } catch { throw .system("open the cgroup of container \(id)", error) }
        self.pid = pid
        self.hasOwnNetwork = hasOwnNetwork
        machineMemoryBytes = UInt64(max(0, HostInformation.memory(try Self.text("/proc/meminfo"))))
    }

    /// What the container uses now; nil when its cgroup is gone.
    func sample() throws(EngineError) -> ContainerStatistics? {
        var sample = ContainerStatistics()
        if let cgroup {
            do throws(CgroupError) {
                let (usage, pressure) = (try cgroup.usageReport(), try cgroup.pressureReport())
                // Files that are missing count as 0, and a process that runs has used some time.
                if usage.cpu.total == 0 && usage.pids == 0 { return nil }
                sample.show(usage, pressure, isUnified: isUnified, machineMemoryBytes: machineMemoryBytes)
            } catch {
                if error.saysGone { return nil }
                throw .system("read what the container uses", error)
            }
        } else if (try? fileStatus(FilePath("/proc/\(pid)"))) == nil {
            return nil
        }
        let machine = ProcessorTimes(try Self.text("/proc/stat"))
        sample.read = .now
        sample.cpu.systemNanoseconds = machine.nanoseconds
        sample.cpu.onlineProcessors = machine.processorCount
        if hasOwnNetwork { sample.networks = NetworkStatistics.interfaces((try? Self.text("/proc/\(pid)/net/dev")) ?? "") }
        return sample
    }

    /// The container's processes.
    func processes() throws(EngineError) -> [Int32] {
        guard let cgroup else {
            do throws(SyscallError) { return try NamespaceProcesses.ofContainer(first: Int32(bitPattern: pid)) } catch {
                throw .system("list the container's processes", error)
            }
        }
        do throws(CgroupError) { return try cgroup.processes() } catch {
            if error.saysGone { return [] }
            throw .system("list the container's processes", error)
        }
    }

    private static func text(_ path: String) throws(EngineError) -> String {
        do throws(SyscallError) { return String(decoding: try readFile(FilePath(path), limitBytes: limitBytes), as: UTF8.self) } catch {
            throw .system("read \(path)", error)
        }
    }
}

extension CgroupError {
    /// Whether the cgroup went away while it was read.
    fileprivate var saysGone: Bool {
        cause?.errno == Errno.operationNotSupportedByDevice.rawValue || cause?.errno == Errno.noSuchFileOrDirectory.rawValue
    }
}

/// What the machine's processors did since its start. - Source: proc_stat(5).
struct ProcessorTimes: Equatable, Sendable {
    /// The kernel counts in hundredths of a second.
    private static let nanosecondsPerTick: UInt64 = 10_000_000
    /// `user nice system idle iowait irq softirq`: what Docker adds up; guests' time is in `user` already.
    private static let countedFields = 7

    let nanoseconds: UInt64
    /// Processors that are on.
    let processorCount: UInt32

    init(_ text: String) {
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("cpu") }
        let whole = lines.first { $0.hasPrefix("cpu ") }?.split(separator: " ").dropFirst().prefix(Self.countedFields) ?? []
        nanoseconds = whole.compactMap { UInt64($0) }.reduce(0, &+) &* Self.nanosecondsPerTick
        processorCount = UInt32(clamping: lines.count - (whole.isEmpty ? 0 : 1))
    }
}
