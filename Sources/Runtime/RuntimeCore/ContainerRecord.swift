package import Cgroups
internal import JSON
internal import LinuxSyscalls
package import OCISpec

/// What the runtime writes down about a container in its state directory: the intent in `state.json` before the first effect, the
/// process in `init.json` once it exists. Two files, each written once, need no replacing, which some file systems flush to the disk.
package struct ContainerRecord: Equatable, Sendable {
    /// The version of the format; a file of another one is refused.
    static let formatVersion = 1
    static let fileName = "state.json"
    static let initFileName = "init.json"
    /// Its annotations are as long as a configuration may be.
    static let limitBytes = Bundle.configurationLimitBytes

    /// The process that the container consists of, told apart from a later one of the same number.
    package struct Init: Equatable, Sendable {
        package var process: Int32
        package var startTicks: UInt64
        /// Restored processes have a time namespace of their own, for their clocks to go on, whatever the configuration says.
        package var hasOwnTime = false
    }

    package var ociVersion: String
    package var id: String
    /// Absolute.
    package var bundle: String
    /// Absolute.
    package var rootfs: String
    /// RFC 3339.
    package var created: String
    package var ownerID: UInt32
    /// nil while the container is being created.
    package var initProcess: Init?
    /// Where the container's cgroup is, or was about to be made.
    package var cgroup: CgroupRecord
    /// Those of its configuration, joined ones among them.
    package var ownNamespaces: [LinuxNamespace.Kind]
    /// Those among them that it shares with whoever had them before; nil in what was written before this was.
    package var joinedNamespaces: [LinuxNamespace.Kind]?
    package var newKeyring: Bool
    /// What its standard files led to when it was made, `pipe:[1234]`: criu is told which pipes lead out. Empty with a terminal.
    package var standardFiles: [String]
    package var annotations: [String: String]
    /// Where the container's group of resctrl is, or was about to be made.
    package var resourceControl: ResourceControlGroup?
    /// Where its mounts are, or were about to be, if that is the caller's mount namespace.
    package var callersMounts: CallersMounts?

    /// The file's text.
    package var encoded: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("version", Self.formatVersion)
            writer.member("ociVersion", ociVersion)
            writer.member("id", id)
            writer.member("bundle", bundle)
            writer.member("rootfs", rootfs)
            writer.member("created", created)
            writer.member("owner", ownerID)
            writer.name("cgroup")
            cgroup.write(to: &writer)
            writer.member("namespaces", ownNamespaces.map(\.rawValue))
            if let joinedNamespaces { writer.member("joinedNamespaces", joinedNamespaces.map(\.rawValue)) }
            writer.member("newKeyring", newKeyring)
            writer.member("standardFiles", standardFiles)
            writer.member("annotations", unlessEmpty: annotations)
            if let resourceControl {
                writer.name("resourceControl")
                resourceControl.write(to: &writer)
            }
            if let callersMounts {
                writer.name("callersMounts")
                callersMounts.write(to: &writer)
            }
        }
        return writer.bytes
    }

    /// - Throws: `invalidConfiguration` where nobody could read it again.
    func checkLength() throws(RuntimeError) {
        if encoded.count > Self.limitBytes {
            throw RuntimeError(
                .invalidConfiguration, doing: "annotations", "longer than the \(Self.limitBytes) bytes that are kept of a container")
        }
    }

    /// Reads the file's text. - Throws: `invalidConfiguration` for what no runtime of this version writes.
    package static func decode(_ bytes: [UInt8]) throws(RuntimeError) -> ContainerRecord {
        do {
            var reader = try JSONReader(bytes, limits: JSONLimits(maximumBytes: limitBytes, allowsNUL: false))
            let record = try read(&reader)
            try reader.finish()
            return record
        } catch { throw RuntimeError(.invalidConfiguration, doing: "reading \(fileName)", error.description) }
    }

    private static func read(_ reader: inout JSONReader) throws(JSONError) -> ContainerRecord {
        var record = ContainerRecord(
            ociVersion: "", id: "", bundle: "", rootfs: "", created: "", ownerID: 0, cgroup: CgroupRecord(mode: .unified, places: []),
            ownNamespaces: [], newKeyring: true, standardFiles: [], annotations: [:])
        var version = 0
        var cgroup: CgroupRecord?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "version": version = try reader.readInteger()
            case "ociVersion": record.ociVersion = try reader.readString()
            case "id": record.id = try reader.readString()
            case "bundle": record.bundle = try reader.readString()
            case "rootfs": record.rootfs = try reader.readString()
            case "created": record.created = try reader.readString()
            case "owner": record.ownerID = try reader.readInteger()
            case "cgroup": cgroup = try CgroupRecord(from: &reader)
            case "namespaces":
                record.ownNamespaces = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try reader.readCase() }
            case "joinedNamespaces":
                record.joinedNamespaces = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try reader.readCase() }
            case "newKeyring": record.newKeyring = try reader.readBool()
            case "standardFiles": record.standardFiles = try reader.readStrings()
            case "resourceControl": record.resourceControl = try ResourceControlGroup(from: &reader)
            case "callersMounts": record.callersMounts = try CallersMounts(from: &reader)
            case "annotations": record.annotations = try reader.readStringDictionary()
            default: try reader.skipValue()
            }
        }
        guard version == formatVersion else {
            throw JSONError(path: "version", problem: "format \(version) is not \(formatVersion), which this runtime writes", offset: 0)
        }
        guard let cgroup else { throw JSONError(path: "cgroup", problem: "is required", offset: 0) }
        record.cgroup = cgroup
        return record
    }
}

extension ContainerRecord.Init {
    var encoded: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("pid", process)
            writer.member("startTime", startTicks)
            if hasOwnTime { writer.member("ownTime", true) }
        }
        return writer.bytes
    }

    /// Reads the text of a process's file.
    package static func decode(_ bytes: [UInt8]) throws(RuntimeError) -> ContainerRecord.Init {
        do throws(JSONError) {
            var reader = try JSONReader(bytes, limits: JSONLimits(maximumBytes: ContainerRecord.limitBytes))
            var (process, startTicks, hasOwnTime): (Int32?, UInt64?, Bool) = (nil, nil, false)
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                switch name {
                case "pid": process = try reader.readInteger()
                case "startTime": startTicks = try reader.readInteger()
                case "ownTime": hasOwnTime = try reader.readBool()
                default: try reader.skipValue()
                }
            }
            try reader.finish()
            guard let process, process > 0, let startTicks else { throw reader.problem("pid and startTime are required") }
            return ContainerRecord.Init(process: process, startTicks: startTicks, hasOwnTime: hasOwnTime)
        } catch { throw RuntimeError(.invalidConfiguration, doing: "reading \(ContainerRecord.initFileName)", error.description) }
    }
}
