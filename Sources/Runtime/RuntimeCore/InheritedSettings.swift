internal import LinuxSyscalls
internal import OCISpec

/// What every process of a container is born with and keeps over execve: `linux.personality` and `linux.memoryPolicy`.
struct InheritedSettings: Equatable, Sendable {
    /// PER_LINUX or PER_LINUX32. - Source: personality(2).
    let persona: UInt?
    /// MPOL_* with MPOL_F_*, and the nodes.
    private let memoryMode: Int32?
    private let memoryNodes: NumberSet?

    init(_ linux: LinuxConfiguration?) throws(RuntimeError) {
        if let flag = linux?.personality?.flags.first {
            throw RuntimeError(
                .unsupported, doing: "linux.personality.flags", "\(flag.debugDescription): the specification defines none yet")
        }
        persona = linux?.personality.map { $0.domain == .linux32 ? 0x0008 : 0 }
        memoryMode = linux?.memoryPolicy.map(\.kernelMode)
        guard let list = linux?.memoryPolicy?.nodes, !list.isEmpty else {
            memoryNodes = nil
            return
        }
        guard let nodes = NumberSet(list: list) else {
            throw RuntimeError(
                .invalidConfiguration, doing: "linux.memoryPolicy.nodes", "\(list.debugDescription) is no list of memory nodes such as 0-1")
        }
        memoryNodes = nodes
    }

    /// Changes the calling process, which is in the container's cgroup: its cpuset says which nodes may be named.
    func apply() throws(RuntimeError) {
        if let persona {
            try during("setting linux.personality") { () throws(SyscallError) in try setPersonality(persona) }
        }
        if let memoryMode {
            try during("setting linux.memoryPolicy") { () throws(SyscallError) in
                try setMemoryPolicy(memoryMode, nodes: memoryNodes, subject: "mode \(memoryMode)")
            }
        }
    }
}

extension MemoryPolicy {
    /// - Source: linux/mempolicy.h.
    fileprivate var kernelMode: Int32 {
        let number: Int32 =
            switch mode {
            case .systemDefault: 0
            case .preferred: 1
            case .bind: 2
            case .interleave: 3
            case .local: 4
            case .preferredMany: 5
            case .weightedInterleave: 6
            }
        return flags.reduce(number) { mode, flag in
            switch flag {
            case .numaBalancing: mode | 1 << 13
            case .relativeNodes: mode | 1 << 14
            case .staticNodes: mode | 1 << 15
            }
        }
    }
}
