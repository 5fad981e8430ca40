internal import LinuxSyscalls
internal import SystemPackage

/// What resctrl tells of a container's group and of the machine: as text, as the files have it, but for what is measured.
package struct ResourceControlUsage: Equatable, Sendable {
    /// Files of `info/L3` and `info/MB` by their names; nil where the machine has no such control.
    package var cacheInfo: [String: String]?
    package var bandwidthInfo: [String: String]?
    /// Lines of the root's and of the group's schemata.
    package var rootSchemata: [String] = []
    package var schemata: [String] = []
    /// Of each part of the machine, by name: bytes of memory that were moved, and of cache that are used; nil where that is not measured.
    package var bandwidth: [Bandwidth]?
    package var occupancyBytes: [UInt64]?

    package struct Bandwidth: Equatable, Sendable {
        package var totalBytes: UInt64
        package var localBytes: UInt64
    }
}

extension ResourceControlGroup {
    /// Reads what there is to tell of the group; nil where resctrl is mounted no more.
    /// - Source: the kernel's filesystems/resctrl.rst.
    package func usage() throws(CgroupError) -> ResourceControlUsage? {
        guard let root = try Self.mountPoint() else { return nil }
        return try doing("read the resctrl group \(directory)") { () throws(SyscallError) in
            var usage = ResourceControlUsage()
            usage.cacheInfo = try Self.values(of: ["cbm_mask", "min_cbm_bits", "num_closids"], in: root.appending("info/L3"))
            usage.bandwidthInfo = try Self.values(
                of: ["bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"], in: root.appending("info/MB"))
            usage.rootSchemata = try Self.lines(of: root.appending("schemata"))
            usage.schemata = try Self.lines(of: FilePath(directory).appending("schemata"))
            try measure(try Self.lines(of: root.appending("info/L3_MON/mon_features")), &usage)
            return usage
        }
    }

    private func measure(_ features: [String], _ usage: inout ResourceControlUsage) throws(SyscallError) {
        let data = FilePath(monitor ?? directory).appending("mon_data")
        let measured = ["mbm_total_bytes", "mbm_local_bytes", "llc_occupancy"].filter(features.contains)
        if measured.isEmpty { return }
        let parts = try directoryEntries(of: openFile(data, [.readOnly, .directory]), subject: data.string)
        if features.contains("llc_occupancy") { usage.occupancyBytes = [] }
        if measured.first != "llc_occupancy" { usage.bandwidth = [] }
        for part in parts.map(\.name.string).sorted() {
            // A counter that is being given away, or that its part lacks, holds a word.
            let values = try Self.values(of: measured, in: data.appending(part)) ?? [:]
            func number(_ file: String) -> UInt64 { values[file].flatMap { UInt64($0) } ?? 0 }
            usage.occupancyBytes?.append(number("llc_occupancy"))
            usage.bandwidth?.append(
                ResourceControlUsage.Bandwidth(totalBytes: number("mbm_total_bytes"), localBytes: number("mbm_local_bytes")))
        }
    }

    /// nil where there is no such directory.
    private static func values(of files: [String], in directory: FilePath) throws(SyscallError) -> [String: String]? {
        guard (try? fileStatus(directory))?.type == .directory else { return nil }
        var values: [String: String] = [:]
        for file in files { values[file] = try lines(of: directory.appending(file)).first }
        return values
    }
}
