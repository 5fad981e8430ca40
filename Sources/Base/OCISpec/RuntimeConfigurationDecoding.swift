internal import JSON

extension RuntimeConfiguration {
    /// Reads and validates a `config.json`. Members that the specification does not know are ignored, as it demands, unless `isStrict`.
    /// - Throws: `SpecProblem` naming the member.
    /// - Spec: runtime-spec v1.3.0, config.md.
    public static func decode(_ bytes: [UInt8], isStrict: Bool = false) throws(SpecProblem) -> RuntimeConfiguration {
        var limits = kernelBoundLimits
        limits.refusesUnknownMembers = isStrict
        let configuration = try decodeDocument(bytes, limits: limits) { (reader: inout JSONReader) throws(JSONError) in
            try RuntimeConfiguration(from: &reader)
        }
        try configuration.validate()
        return configuration
    }

    /// Reads of a configuration that was validated before what a process needs that is added to its container: `process`, and of `linux`
    /// what processes do not inherit: the seccomp filter, personality and memory policy.
    /// - Throws: `SpecProblem` naming the member.
    package static func decodeForAddedProcess(_ bytes: [UInt8]) throws(SpecProblem) -> RuntimeConfiguration {
        try decodeDocument(bytes, limits: kernelBoundLimits) { (reader: inout JSONReader) throws(JSONError) in
            var configuration = RuntimeConfiguration(ociVersion: "")
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                switch name {
                case "process": configuration.process = try ProcessConfiguration(from: &reader)
                case "linux": configuration.linux = try LinuxConfiguration(forAddedProcessFrom: &reader)
                default: try reader.passOver()
                }
            }
            return configuration
        }
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var version: String?
        self.init(ociVersion: "")
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "ociVersion": version = try reader.readString()
            case "root": root = try RootConfiguration(from: &reader)
            case "process": process = try ProcessConfiguration(from: &reader)
            case "hostname": hostname = try reader.readString()
            case "domainname": domainname = try reader.readString()
            case "mounts":
                mounts = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try MountConfiguration(from: &reader) }
            case "hooks": hooks = try HookSet(from: &reader)
            case "annotations": annotations = try reader.readStringDictionary()
            case "linux": linux = try LinuxConfiguration(from: &reader)
            // Other platforms' parts of the specification.
            case "freebsd", "solaris", "vm", "windows", "zos": try reader.skipValue()
            default: try reader.skipUnknownMember()
            }
        }
        ociVersion = try reader.require(version, "ociVersion")
    }
}

extension RootConfiguration {
    init(from reader: inout JSONReader) throws(JSONError) {
        var path: String?
        var isReadOnly = false
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "path": path = try reader.readString()
            case "readonly": isReadOnly = try reader.readBool()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(path: try reader.require(path, "path"), isReadOnly: isReadOnly)
    }
}

extension MountConfiguration {
    /// Reads and validates a list of mounts, as `mounts add` takes it.
    /// - Throws: `SpecProblem` naming the member.
    public static func decodeList(_ bytes: [UInt8]) throws(SpecProblem) -> [MountConfiguration] {
        let mounts = try decodeDocument(bytes, limits: kernelBoundLimits) { (reader: inout JSONReader) throws(JSONError) in
            try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try MountConfiguration(from: &reader) }
        }
        for (index, mount) in mounts.enumerated() {
            try IDMapping.validate(mount.uidMappings, at: "[\(index)].uidMappings")
            try IDMapping.validate(mount.gidMappings, at: "[\(index)].gidMappings")
        }
        return mounts
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var destination: String?
        self.init(destination: "")
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "destination": destination = try reader.readString()
            case "type": type = try reader.readString()
            case "source": source = try reader.readString()
            case "options": options = try reader.readStrings()
            case "uidMappings": uidMappings = try IDMapping.readList(from: &reader)
            case "gidMappings": gidMappings = try IDMapping.readList(from: &reader)
            default: try reader.skipUnknownMember()
            }
        }
        self.destination = try reader.require(destination, "destination")
    }
}

extension IDMapping {
    static func readList(from reader: inout JSONReader) throws(JSONError) -> [IDMapping] {
        try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try IDMapping(from: &reader) }
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var containerID: UInt32?
        var hostID: UInt32?
        var size: UInt32?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "containerID": containerID = try reader.readInteger()
            case "hostID": hostID = try reader.readInteger()
            case "size": size = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(
            containerID: try reader.require(containerID, "containerID"), hostID: try reader.require(hostID, "hostID"),
            size: try reader.require(size, "size"))
    }
}

extension HookSet {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "prestart": prestart = try Hook.readList(from: &reader)
            case "createRuntime": createRuntime = try Hook.readList(from: &reader)
            case "createContainer": createContainer = try Hook.readList(from: &reader)
            case "startContainer": startContainer = try Hook.readList(from: &reader)
            case "poststart": poststart = try Hook.readList(from: &reader)
            case "poststop": poststop = try Hook.readList(from: &reader)
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension Hook {
    static func readList(from reader: inout JSONReader) throws(JSONError) -> [Hook] {
        try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try Hook(from: &reader) }
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var path: String?
        self.init(path: "")
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "path": path = try reader.readString()
            case "args": arguments = try reader.readStrings()
            case "env": environment = try reader.readStrings()
            case "timeout": timeoutSeconds = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.path = try reader.require(path, "path")
    }
}
