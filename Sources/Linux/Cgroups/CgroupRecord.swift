package import JSON
internal import LinuxSyscalls

/// Where a container's cgroup lies in each hierarchy: what a runtime keeps in its state to find it again.
package struct CgroupRecord: Equatable, Sendable {
    /// The directory in one hierarchy.
    package struct Place: Equatable, Sendable {
        package let version: CgroupVersion
        /// The controllers of v1, or the name of a hierarchy without any; empty for v2.
        package let names: [String]
        package let mountPoint: String
        /// Below the mount point, without a slash at either end.
        package let path: String
        /// How many of the path's components existed before: the rest is ours to remove.
        package let foundDepth: Int

        package init(version: CgroupVersion, names: [String], mountPoint: String, path: String, foundDepth: Int) {
            self.version = version
            self.names = names
            self.mountPoint = mountPoint
            self.path = path
            self.foundDepth = foundDepth
        }

        /// The directory: `/sys/fs/cgroup/memory/apus/web`.
        package var directory: String { "\(mountPoint)/\(path)" }

        var components: [String] { fields(of: path[...], separatedBy: UInt8(ascii: "/")).map { String($0) } }
    }

    package let mode: CgroupLayout.Mode
    /// Empty where there is no cgroup, for want of rights.
    package let places: [Place]
    /// Whose cgroup it is where systemd makes it; nil where files do.
    package let unit: SystemdUnit?

    package init(mode: CgroupLayout.Mode, places: [Place], unit: SystemdUnit? = nil) {
        self.mode = mode
        self.places = places
        self.unit = unit
    }

    /// The part that can stop the container's processes, alone: who asks whether they are stopped need not open the others.
    package var freezer: CgroupRecord {
        let freezers = places.filter { $0.names.contains(CgroupController.freezer.rawValue) }
        return CgroupRecord(mode: mode, places: freezers.isEmpty ? places.filter { $0.version == .v2 } : freezers)
    }

    /// Writes the record as one JSON value.
    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("mode", mode.rawValue)
            writer.name("places")
            writer.array { writer in
                for place in places {
                    writer.object { writer in
                        writer.member("version", place.version.rawValue)
                        writer.member("names", place.names)
                        writer.member("mountPoint", place.mountPoint)
                        writer.member("path", place.path)
                        writer.member("foundDepth", place.foundDepth)
                    }
                }
            }
            if let unit {
                writer.name("unit")
                unit.write(to: &writer)
            }
        }
    }

    /// Reads what `write` wrote.
    package init(from reader: inout JSONReader) throws(JSONError) {
        var mode: CgroupLayout.Mode?
        var places: [Place] = []
        var unit: SystemdUnit?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "mode": mode = try reader.readCase()
            case "places": places = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try Place(from: &reader) }
            case "unit": unit = try SystemdUnit(from: &reader)
            default: try reader.skipValue()
            }
        }
        guard let mode else { throw reader.problem("a cgroup needs a mode") }
        self.init(mode: mode, places: places, unit: unit)
    }
}

extension CgroupRecord.Place {
    init(from reader: inout JSONReader) throws(JSONError) {
        var version: CgroupVersion?
        var names: [String] = []
        var mountPoint = ""
        var path = ""
        var foundDepth = 0
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "version": version = try reader.readCase()
            case "names": names = try reader.readStrings()
            case "mountPoint": mountPoint = try reader.readString()
            case "path": path = try reader.readString()
            case "foundDepth": foundDepth = try reader.readInteger()
            default: try reader.skipValue()
            }
        }
        guard let version, mountPoint.hasPrefix("/"), foundDepth >= 0 else { throw reader.problem("not the place of a cgroup") }
        do throws(CgroupError) { _ = try CgroupPath.checkedComponents(of: path, field: "path") } catch {
            throw reader.problem(error.description)
        }
        self.init(version: version, names: names, mountPoint: mountPoint, path: path, foundDepth: foundDepth)
    }
}
