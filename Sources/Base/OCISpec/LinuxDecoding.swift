internal import JSON

extension LinuxConfiguration {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "namespaces":
                namespaces = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try LinuxNamespace(from: &reader) }
            case "uidMappings": uidMappings = try IDMapping.readList(from: &reader)
            case "gidMappings": gidMappings = try IDMapping.readList(from: &reader)
            case "timeOffsets": timeOffsets = try TimeOffsets(from: &reader)
            case "devices":
                devices = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try LinuxDevice(from: &reader) }
            case "netDevices":
                netDevices = try reader.readDictionary { (reader: inout JSONReader) throws(JSONError) in try NetDevice(from: &reader) }
            case "cgroupsPath": cgroupsPath = try reader.readString()
            case "resources": resources = try LinuxResources(from: &reader)
            case "intelRdt": intelRdt = try IntelRdt(from: &reader)
            case "memoryPolicy": memoryPolicy = try MemoryPolicy(from: &reader)
            case "sysctl": sysctl = try reader.readStringDictionary()
            case "seccomp": seccomp = try SeccompConfiguration(from: &reader)
            case "rootfsPropagation": rootfsPropagation = try Self.readPropagation(from: &reader)
            case "maskedPaths": maskedPaths = try reader.readStrings()
            case "readonlyPaths": readonlyPaths = try reader.readStrings()
            case "mountLabel": mountLabel = try reader.readString()
            case "personality": personality = try Personality(from: &reader)
            default: try reader.skipUnknownMember()
            }
        }
    }

    init(forAddedProcessFrom reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "uidMappings": uidMappings = try IDMapping.readList(from: &reader)
            case "memoryPolicy": memoryPolicy = try MemoryPolicy(from: &reader)
            case "seccomp": seccomp = try SeccompConfiguration(from: &reader)
            case "personality": personality = try Personality(from: &reader)
            default: try reader.passOver()
            }
        }
    }

    /// Engines write the recursive forms and the empty text too; every runtime takes them as recursive anyway.
    private static func readPropagation(from reader: inout JSONReader) throws(JSONError) -> RootfsPropagation? {
        let text = try reader.readString()
        if text.isEmpty { return nil }
        guard let value = RootfsPropagation(rawValue: text.hasPrefix("r") ? String(text.dropFirst()) : text) else {
            throw reader.problem("unknown value \(String(text.prefix(100)).debugDescription)")
        }
        return value
    }
}

extension LinuxNamespace {
    init(from reader: inout JSONReader) throws(JSONError) {
        var kind: Kind?
        var path: String?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "type": kind = try reader.readCase()
            case "path": path = try reader.readString()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(try reader.require(kind, "type"), path: path == "" ? nil : path)
    }
}

extension LinuxDevice {
    init(from reader: inout JSONReader) throws(JSONError) {
        var kind: Kind?
        var path: String?
        self.init(.character, path: "")
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "type": kind = try reader.readCase()
            case "path": path = try reader.readString()
            case "major": major = try reader.readInteger()
            case "minor": minor = try reader.readInteger()
            case "fileMode": fileMode = try reader.readInteger()
            case "uid": uid = try reader.readInteger()
            case "gid": gid = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.kind = try reader.require(kind, "type")
        self.path = try reader.require(path, "path")
    }
}

extension NetDevice {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "name": self.name = try reader.readString()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension TimeOffsets {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "boottime": boottime = try Offset(from: &reader)
            case "monotonic": monotonic = try Offset(from: &reader)
            // The members are the clocks' names: another one is a clock that would silently stay as it is.
            default: throw reader.problem("a time namespace has no such clock: monotonic or boottime is expected")
            }
        }
    }
}

extension TimeOffsets.Offset {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "secs": seconds = try reader.readInteger()
            case "nanosecs": nanoseconds = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension IntelRdt {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "closID": closID = try reader.readString()
            case "schemata": schemata = try reader.readStrings()
            case "l3CacheSchema": l3CacheSchema = try reader.readString()
            case "memBwSchema": memBwSchema = try reader.readString()
            case "enableMonitoring": enableMonitoring = try reader.readBool()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension MemoryPolicy {
    init(from reader: inout JSONReader) throws(JSONError) {
        var mode: Mode?
        self.init(mode: .systemDefault)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "mode": mode = try reader.readCase()
            case "nodes": nodes = try reader.readString()
            case "flags": flags = try reader.readCases()
            default: try reader.skipUnknownMember()
            }
        }
        self.mode = try reader.require(mode, "mode")
    }
}

extension Personality {
    init(from reader: inout JSONReader) throws(JSONError) {
        var domain: Domain?
        self.init(domain: .linux)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "domain": domain = try reader.readCase()
            case "flags": flags = try reader.readStrings()
            default: try reader.skipUnknownMember()
            }
        }
        self.domain = try reader.require(domain, "domain")
    }
}

extension SeccompConfiguration {
    init(from reader: inout JSONReader) throws(JSONError) {
        var defaultAction: Action?
        self.init(defaultAction: .allow)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "defaultAction": defaultAction = try reader.readCase()
            case "defaultErrnoRet": defaultErrnoReturn = try reader.readInteger()
            case "architectures": architectures = try reader.readCases()
            case "flags": flags = try reader.readCases()
            case "listenerPath": listenerPath = try reader.readString()
            case "listenerMetadata": listenerMetadata = try reader.readString()
            case "syscalls": rules = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try Rule(from: &reader) }
            default: try reader.skipUnknownMember()
            }
        }
        self.defaultAction = try reader.require(defaultAction, "defaultAction")
    }
}

extension SeccompConfiguration.Rule {
    init(from reader: inout JSONReader) throws(JSONError) {
        var names: [String]?
        var action: SeccompConfiguration.Action?
        self.init(names: [], action: .allow)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "names": names = try reader.readStrings()
            case "action": action = try reader.readCase()
            case "errnoRet": errnoReturn = try reader.readInteger()
            case "args":
                arguments = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in
                    try SeccompConfiguration.Argument(from: &reader)
                }
            default: try reader.skipUnknownMember()
            }
        }
        self.names = try reader.require(names, "names")
        self.action = try reader.require(action, "action")
    }
}

extension SeccompConfiguration.Argument {
    init(from reader: inout JSONReader) throws(JSONError) {
        var index: UInt32?
        var value: UInt64?
        var valueTwo: UInt64 = 0
        var comparison: SeccompConfiguration.Comparison?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "index": index = try reader.readInteger()
            case "value": value = try reader.readInteger()
            case "valueTwo": valueTwo = try reader.readInteger()
            case "op": comparison = try reader.readCase()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(
            index: try reader.require(index, "index"), value: try reader.require(value, "value"), valueTwo: valueTwo,
            comparison: try reader.require(comparison, "op"))
    }
}
