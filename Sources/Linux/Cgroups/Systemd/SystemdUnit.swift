package import CoreTypes
internal import JSON

/// The unit of a container: `linux.cgroupsPath` as `slice:prefix:name`. - Source: systemd.slice(5), systemd.scope(5).
package struct SystemdUnit: Equatable, Sendable {
    /// `apus-web.scope`; a slice where the name says so.
    package let name: String
    /// The slice that it lies in.
    package let slice: String
    /// Where the manager's sockets are: `/run`, or `$XDG_RUNTIME_DIR` for a user's.
    package let runtimeDirectory: String

    package var isSlice: Bool { name.hasSuffix(".slice") }

    /// - Throws: `invalidPath` for what is no such path, or no name of a slice.
    package init(_ path: String?, container: ContainerID, runtimeDirectory: String) throws(CgroupError) {
        let isUser = runtimeDirectory != "/run"
        self.runtimeDirectory = runtimeDirectory
        let text = path ?? ""
        if text.isEmpty {
            slice = isUser ? "user.slice" : "system.slice"
            name = "apus-\(container.text).scope"
        } else {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else {
                throw Self.invalid(text, "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups")
            }
            slice = parts[0].isEmpty ? (isUser ? "user.slice" : "system.slice") : parts[0]
            let prefix = parts[1].isEmpty ? "" : parts[1] + "-"
            name = parts[2].hasSuffix(".slice") ? parts[2] : "\(prefix)\(parts[2]).scope"
            if parts[2].isEmpty { throw Self.invalid(text, "the name is empty") }
        }
        for part in [name, slice] where part.utf8.count > 255 || part.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f || $0 == 0x2f }) {
            throw Self.invalid(text, "\(part.debugDescription) is no name of a unit")
        }
        _ = try Self.components(ofSlice: slice)
        if isSlice { _ = try Self.components(ofSlice: name) }
    }

    init(name: String, runtimeDirectory: String) {
        self.name = name
        self.runtimeDirectory = runtimeDirectory
        slice = ""
    }

    /// The cgroup's path below the manager's: `a-b.slice` lies in `a.slice`.
    package func components() throws(CgroupError) -> [String] {
        isSlice ? try Self.components(ofSlice: name) : try Self.components(ofSlice: slice) + [name]
    }

    private static func components(ofSlice slice: String) throws(CgroupError) -> [String] {
        if slice == "-.slice" { return [] }
        guard slice.hasSuffix(".slice"), slice != ".slice" else { throw invalid(slice, "the name of a slice ends in .slice") }
        let parts = slice.dropLast(".slice".count).split(separator: "-", omittingEmptySubsequences: false)
        if parts.contains("") { throw invalid(slice, "a slice's name has no dash at an end, and no two together") }
        if parts.count >= CgroupPath.maximumDepth { throw invalid(slice, "deeper than \(CgroupPath.maximumDepth) levels") }
        return parts.indices.map { parts[...$0].joined(separator: "-") + ".slice" }
    }

    private static func invalid(_ text: String, _ reason: String) -> CgroupError {
        CgroupError(.invalidPath, doing: "linux.cgroupsPath \(String(text.prefix(200)).debugDescription)", reason: reason)
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", name)
            writer.member("runtimeDirectory", runtimeDirectory)
        }
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var (name, directory) = ("", "")
        try reader.readObject { (reader: inout JSONReader, member: String) throws(JSONError) in
            switch member {
            case "name": name = try reader.readString()
            case "runtimeDirectory": directory = try reader.readString()
            default: try reader.skipValue()
            }
        }
        guard !name.isEmpty, directory.hasPrefix("/") else { throw reader.problem("not a unit of systemd") }
        self.init(name: name, runtimeDirectory: directory)
    }
}
