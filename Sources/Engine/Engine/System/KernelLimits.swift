internal import LinuxSyscalls
internal import SystemPackage

/// Which limits this kernel's cgroups can enforce, and what they share out. What they cannot is discarded with a warning, as Docker does.
struct KernelLimits: Equatable, Sendable {
    /// Limits of single things, by the file that holds them.
    struct Switches: OptionSet, Sendable {
        let rawValue: UInt32

        static let reservation = Switches(rawValue: 1)
        static let swappiness = Switches(rawValue: 1 << 1)
        static let oomKillDisable = Switches(rawValue: 1 << 2)
        static let kernelMemory = Switches(rawValue: 1 << 3)
        static let kernelMemoryTCP = Switches(rawValue: 1 << 4)
        static let realtime = Switches(rawValue: 1 << 5)
        static let weight = Switches(rawValue: 1 << 6)
        static let weightDevice = Switches(rawValue: 1 << 7)
        static let readBytes = Switches(rawValue: 1 << 8)
        static let writeBytes = Switches(rawValue: 1 << 9)
        static let readOperations = Switches(rawValue: 1 << 10)
        static let writeOperations = Switches(rawValue: 1 << 11)
    }

    var switches: Switches
    /// The memory nodes that containers may be bound to.
    var memoryNodes: ProcessorSet

    func has(_ one: Switches) -> Bool { switches.contains(one) }

    private static let mount = FilePath("/sys/fs/cgroup")
    /// Below the mount point, in the layout of cgroup v1.
    private static let legacyFiles: [(Switches, String)] = [
        (.reservation, "memory/memory.soft_limit_in_bytes"), (.swappiness, "memory/memory.swappiness"),
        (.oomKillDisable, "memory/memory.oom_control"), (.kernelMemory, "memory/memory.kmem.limit_in_bytes"),
        (.kernelMemoryTCP, "memory/memory.kmem.tcp.limit_in_bytes"), (.realtime, "cpu/cpu.rt_period_us"),
        (.weight, "blkio/blkio.weight"), (.weightDevice, "blkio/blkio.weight_device"),
        (.readBytes, "blkio/blkio.throttle.read_bps_device"), (.writeBytes, "blkio/blkio.throttle.write_bps_device"),
        (.readOperations, "blkio/blkio.throttle.read_iops_device"), (.writeOperations, "blkio/blkio.throttle.write_iops_device"),
    ]
    /// What comes with a controller of cgroup v2, which has no files in its root to look for.
    private static let unified: [String: Switches] = [
        "memory": .reservation, "io": [.weight, .weightDevice, .readBytes, .writeBytes, .readOperations, .writeOperations],
    ]

    /// Looks at the cgroup file system. Blocks.
    /// - Parameter isUnified: which layout it has; nil for none that may be used.
    /// - Throws: `.system` where the memory nodes cannot be read.
    init(isUnified: Bool?) throws(EngineError) {
        switches =
            isUnified == nil
            ? []
            : isUnified == true
                ? try HostInformation.text(Self.mount.appending("cgroup.controllers")).split(separator: " ")
                    .reduce(into: []) { $0.formUnion(Self.unified[String($1)] ?? []) }
                : Self.legacyFiles.reduce(into: []) { if HostInformation.exists(Self.mount.appending($1.1)) { $0.formUnion($1.0) } }
        let nodes = FilePath("/sys/devices/system/node/online")
        // A kernel without NUMA has the one node.
        let text = HostInformation.exists(nodes) ? try HostInformation.text(nodes) : "0"
        guard let set = ProcessorSet(parsing: text) else { throw EngineError(.system, "\(nodes) is no list: \(text)") }
        memoryNodes = set
    }

    init(switches: Switches, memoryNodes: ProcessorSet) {
        self.switches = switches
        self.memoryNodes = memoryNodes
    }
}
