internal import CoreTypes
internal import Glibc
package import JSON
internal import LinuxSyscalls
package import OCISpec
package import SystemPackage

/// A container's group in resctrl: which part of the caches and how much memory bandwidth its processes may use, and where that is measured.
/// - Spec: runtime-spec v1.3.0, config-linux.md, "IntelRdt". - Source: the kernel's filesystems/resctrl.rst.
package struct ResourceControlGroup: Equatable, Sendable {
    /// The group's directory.
    package let directory: String
    /// Whether it is made for the container, under its name, and goes with it. One of a `closID` stays.
    package let isOwn: Bool
    /// Whether it is still to be made. Not on record, as only its maker asks.
    private let isMissing: Bool
    /// Whether the container's schemata are written, and not only compared with those of whoever made the group.
    private let takesSchemata: Bool
    /// The directory of a group that only measures, made for the container; nil without one.
    package let monitor: String?

    /// A longer file of schemata is refused.
    private static let schemataLimitBytes = 1 << 16

    /// Where resctrl is mounted; nil where it is not.
    package static func mountPoint() throws(CgroupError) -> FilePath? {
        let mounts = try doing("look for resctrl") { () throws(SyscallError) in try mountTable() }
        return mounts.first { $0.type == "resctrl" }.map { FilePath($0.mountPoint) }
    }

    /// Looks where a container's group is or will be, and makes nothing yet.
    /// - Parameters:
    ///   - container: names the group where the configuration does not.
    ///   - root: where resctrl is mounted.
    /// - Throws: `unavailable` for a group that should be there and is not, `notEmpty` for one with other schemata.
    package init(_ configuration: IntelRdt, container: String, root: FilePath) throws(CgroupError) {
        let name = configuration.closID ?? container
        let path = name == "/" ? root : root.appending(try Self.checked(name))
        let exists = (try? fileStatus(path))?.type == .directory
        let wanted = configuration.schemataLines
        if configuration.closID != nil {
            if wanted.isEmpty && !exists {
                throw CgroupError(
                    .unavailable, doing: "linux.intelRdt.closID", reason: "there is no group \(path), and no schemata to make it with")
            }
            if exists { try Self.require(wanted, in: path) }
        }
        directory = path.string
        isOwn = configuration.closID == nil && !exists
        isMissing = !exists
        takesSchemata = configuration.closID == nil || !exists
        monitor = configuration.enableMonitoring ? path.appending("mon_groups").appending(try Self.checked(container)).string : nil
    }

    private static func checked(_ name: String) throws(CgroupError) -> String {
        guard !name.isEmpty, name.utf8.count <= 255, !name.contains("/"), name != ".", name != "..", name != "info", name != "mon_groups",
            name != "mon_data", !name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f })
        else {
            throw CgroupError(
                .invalidPath, doing: "linux.intelRdt.closID \(String(name.prefix(200)).debugDescription)", reason: "no name of a group")
        }
        return name
    }

    /// A group that others configured must already say what the container asks for.
    private static func require(_ lines: [String], in path: FilePath) throws(CgroupError) {
        if lines.isEmpty { return }
        let bytes = try doing("read the schemata of \(path)") { () throws(SyscallError) in
            try readFile(path.appending("schemata"), limitBytes: schemataLimitBytes)
        }
        let found = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { Schema(String($0)) }
        for line in lines {
            let wanted = Schema(line)
            if !found.contains(where: { $0.satisfies(wanted) }) {
                throw CgroupError(
                    .notEmpty, doing: "linux.intelRdt", reason: "the group \(path) exists and its schemata do not say \(line)")
            }
        }
    }

    /// Makes the group with its schemata, unless it is there, and moves a process into it.
    package func make(_ configuration: IntelRdt, process: Int32) throws(CgroupError) {
        let path = FilePath(directory)
        try doing("make the resctrl group \(directory)") { () throws(SyscallError) in
            if isMissing { try makeDirectory(path) }
        }
        if takesSchemata { try write(configuration.schemataLines) }
        try doing("enter the resctrl group \(directory)") { () throws(SyscallError) in
            try Self.put("\(process)", into: path.appending("tasks"))
            guard let monitor else { return }
            try makeDirectories(FilePath(monitor))
            try Self.put("\(process)", into: FilePath(monitor).appending("tasks"))
        }
    }

    /// Writes schemata, each line in a call of its own: the kernel takes a write of several in part.
    package func write(_ lines: [String]) throws(CgroupError) {
        for line in lines {
            try doing("write the schema \(line)") { () throws(SyscallError) in
                try Self.put(line + "\n", into: FilePath(directory).appending("schemata"))
            }
        }
    }

    /// The same, or nothing: what was there is written again where a line is refused.
    /// - Returns: the lines that were there of the same resources, to be written should something else fail.
    package func replace(by lines: [String]) throws(CgroupError) -> [String] {
        let path = FilePath(directory).appending("schemata")
        let resources = lines.map { Schema($0).resource }
        let before = try doing("read the schemata of \(directory)") { () throws(SyscallError) in try Self.lines(of: path) }
            .filter { resources.contains(Schema($0).resource) }
        do throws(CgroupError) { try write(lines) } catch {
            throw error.followed { () throws(CgroupError) in try write(before) }
        }
        return before
    }

    /// A file's lines without the spaces that they begin with; none where it does not exist.
    static func lines(of path: FilePath) throws(SyscallError) -> [String] {
        do throws(SyscallError) {
            return String(decoding: try readFile(path, limitBytes: schemataLimitBytes), as: UTF8.self).split(separator: "\n").map { line in
                String(line.drop { $0 == " " })
            }
        } catch  where error.errno == ENOENT { return [] }
    }

    private static func put(_ text: String, into path: FilePath) throws(SyscallError) {
        let file = try openFile(path, [.writeOnly, .append, .create], mode: 0o644)
        try writeAll(Array(text.utf8), to: file.number, subject: path.string)
    }

    /// Removes what was made for the container; what is gone already is no error.
    package func remove() throws(CgroupError) {
        for path in [monitor, isOwn ? directory : nil].compactMap({ $0 }) {
            do throws(SyscallError) { try removeDirectory(FilePath(path)) } catch {
                if [ENOENT, ENOTDIR].contains(error.errno) { continue }
                throw CgroupError(doing: "remove the resctrl group \(path)", cause: error)
            }
        }
    }

    /// Writes the group as one JSON value.
    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("directory", directory)
            writer.member("own", isOwn)
            if let monitor { writer.member("monitor", monitor) }
        }
    }

    /// Reads what `write` wrote.
    package init(from reader: inout JSONReader) throws(JSONError) {
        var (directory, isOwn): (String, Bool) = ("", false)
        var monitor: String?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "directory": directory = try reader.readString()
            case "own": isOwn = try reader.readBool()
            case "monitor": monitor = try reader.readString()
            default: try reader.skipValue()
            }
        }
        guard directory.hasPrefix("/"), monitor?.hasPrefix(directory) != false else { throw reader.problem("not a group of resctrl") }
        self.directory = directory
        self.isOwn = isOwn
        isMissing = false
        takesSchemata = false
        self.monitor = monitor
    }
}

extension IntelRdt {
    /// What is written to `schemata`, in its order: of `l3CacheSchema` what says nothing about bandwidth where `memBwSchema` does.
    package var schemataLines: [String] {
        func lines(_ text: String?) -> [String] { (text ?? "").split(separator: "\n").map(String.init) }
        let bandwidth = lines(memBwSchema)
        let caches = lines(l3CacheSchema).filter { bandwidth.isEmpty || !$0.drop { $0 == " " }.hasPrefix("MB:") }
        return caches + bandwidth + schemata
    }
}

/// One line of schemata, `L3:0=ff;1=0f`, comparable whatever its spaces and leading zeros.
private struct Schema {
    let resource: String
    let domains: [String: String]

    init(_ line: String) {
        let parts = line.split(separator: ":", maxSplits: 1)
        resource = parts.first.map { String($0.filter { $0 != " " }) } ?? ""
        var domains: [String: String] = [:]
        for part in parts.count > 1 ? parts[1].split(separator: ";") : [] {
            let halves = part.split(separator: "=", maxSplits: 1).map { String($0.filter { $0 != " " }.drop { $0 == "0" }) }
            if halves.count == 2 { domains[halves[0]] = halves[1].lowercased() }
        }
        self.domains = domains
    }

    /// Whether this says all that another says.
    func satisfies(_ other: Schema) -> Bool { resource == other.resource && other.domains.allSatisfy { domains[$0.key] == $0.value } }
}
