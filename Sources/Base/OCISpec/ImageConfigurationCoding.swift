internal import CoreTypes
internal import JSON

extension ImageConfiguration {
    /// Reads an image's configuration, OCI's or Docker's.
    /// - Parameter limits: `ceiling` for what is in the store.
    /// - Throws: `SpecProblem` naming the member.
    public static func decode(_ bytes: [UInt8], limits: DocumentLimits = .configuration) throws(SpecProblem) -> ImageConfiguration {
        let textLimits = JSONLimits(maximumBytes: limits.bytes, maximumDepth: limits.depth)
        return try decodeDocument(bytes, limits: textLimits) { (reader: inout JSONReader) throws(JSONError) in
            try ImageConfiguration(from: &reader, layerLimit: limits.descriptors)
        }
    }

    init(from reader: inout JSONReader, layerLimit: Int) throws(JSONError) {
        var operatingSystem: String?
        var architecture: String?
        var variant: String?
        var diffIDs: [Digest]?
        self.init(platform: .host, diffIDs: [])
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "created": created = try reader.readTimestamp()
            case "author": author = try reader.readString()
            case "container": container = try reader.readString()
            case "container_config": containerConfig = try reader.readRaw()
            case "docker_version": dockerVersion = try reader.readString()
            case "architecture": architecture = try reader.readString()
            case "os": operatingSystem = try reader.readString()
            case "variant": variant = try reader.readString()
            case "os.version": osVersion = try reader.readString()
            case "os.features": osFeatures = try reader.readStrings()
            case "config": execution = try Execution(from: &reader)
            case "rootfs": diffIDs = try Self.readRootfs(from: &reader, limit: layerLimit)
            case "history":
                history = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try HistoryEntry(from: &reader) }
            default: try reader.skipValue()
            }
        }
        platform = Platform(ofImage: operatingSystem, architecture: architecture, variant: variant)
        self.diffIDs = try reader.require(diffIDs, "rootfs")
    }

    private static func readRootfs(from reader: inout JSONReader, limit: Int) throws(JSONError) -> [Digest] {
        var type: String?
        var diffIDs: [Digest] = []
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "type":
                let text = try reader.readString()
                if text != "layers" { throw reader.problem("must be \"layers\", found \(String(text.prefix(100)).debugDescription)") }
                type = text
            case "diff_ids":
                diffIDs = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try reader.readDigest() }
                if diffIDs.count > limit { throw reader.problem("\(diffIDs.count) layers, at most \(limit) are allowed") }
            default: try reader.skipValue()
            }
        }
        _ = try reader.require(type, "type")
        return diffIDs
    }

    /// Writes a configuration. Its digest is the image's id.
    public func encode(indented: Bool = false) -> [UInt8] {
        encodeDocument(indented: indented) { writer in
            writer.object { writer in
                writer.member("created", created?.description)
                writer.member("author", author)
                writer.member("container", container)
                writer.member("container_config", containerConfig) { $0.raw($1) }
                writer.member("docker_version", dockerVersion)
                writer.member("architecture", platform.architecture)
                writer.member("variant", platform.variant)
                writer.member("os", platform.operatingSystem)
                writer.member("os.version", osVersion)
                writer.member("os.features", unlessEmpty: osFeatures)
                writer.name("config")
                execution.write(to: &writer)
                writer.name("rootfs")
                writer.object { writer in
                    writer.member("type", "layers")
                    writer.member("diff_ids", diffIDs.map(\.description))
                }
                writer.member("history", unlessEmpty: history) { $1.write(to: &$0) }
            }
        }
    }
}

extension ImageConfiguration.Execution {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "User": user = try reader.readString()
            case "ExposedPorts": exposedPorts = try reader.readNameSet()
            case "Env": environment = try reader.readStrings()
            // Docker takes one word for these, too.
            case "Entrypoint": entrypoint = try reader.readStringOrStrings()
            case "Cmd": command = try reader.readStringOrStrings()
            case "Volumes": volumes = try reader.readNameSet()
            case "WorkingDir": workingDirectory = try reader.readString()
            case "Labels": labels = try reader.readStringDictionary()
            case "StopSignal":
                let signal = try reader.readString()
                stopSignal = signal.isEmpty ? nil : signal
            case "ArgsEscaped": argsEscaped = try reader.readBool()
            case "Healthcheck": healthcheck = try ImageConfiguration.Healthcheck(from: &reader)
            case "Shell": shell = try reader.readStringOrStrings()
            case "OnBuild": onBuild = try reader.readStrings()
            default: try reader.skipValue()
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            if !user.isEmpty { writer.member("User", user) }
            writer.member("ExposedPorts", nameSet: exposedPorts)
            writer.member("Env", unlessEmpty: environment)
            writer.member("Entrypoint", entrypoint) { writer, values in writer.array { writer in values.forEach { writer.string($0) } } }
            writer.member("Cmd", command) { writer, values in writer.array { writer in values.forEach { writer.string($0) } } }
            writer.member("Volumes", nameSet: volumes)
            if !workingDirectory.isEmpty { writer.member("WorkingDir", workingDirectory) }
            writer.member("Labels", unlessEmpty: labels)
            writer.member("StopSignal", stopSignal)
            if argsEscaped { writer.member("ArgsEscaped", true) }
            writer.member("Healthcheck", healthcheck) { $1.write(to: &$0) }
            writer.member("Shell", unlessEmpty: shell)
            writer.member("OnBuild", unlessEmpty: onBuild)
        }
    }
}

extension ImageConfiguration.Healthcheck {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "Test": test = try reader.readStrings()
            case "Interval": intervalNanoseconds = try reader.readInteger()
            case "Timeout": timeoutNanoseconds = try reader.readInteger()
            case "StartPeriod": startPeriodNanoseconds = try reader.readInteger()
            case "StartInterval": startIntervalNanoseconds = try reader.readInteger()
            case "Retries": retries = try reader.readInteger()
            default: try reader.skipValue()
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("Test", unlessEmpty: test)
            if intervalNanoseconds != 0 { writer.member("Interval", intervalNanoseconds) }
            if timeoutNanoseconds != 0 { writer.member("Timeout", timeoutNanoseconds) }
            if startPeriodNanoseconds != 0 { writer.member("StartPeriod", startPeriodNanoseconds) }
            if startIntervalNanoseconds != 0 { writer.member("StartInterval", startIntervalNanoseconds) }
            if retries != 0 { writer.member("Retries", retries) }
        }
    }
}

extension ImageConfiguration.HistoryEntry {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "created": created = try reader.readTimestamp()
            case "created_by": createdBy = try reader.readString()
            case "author": author = try reader.readString()
            case "comment": comment = try reader.readString()
            case "empty_layer": isEmptyLayer = try reader.readBool()
            default: try reader.skipValue()
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("created", created?.description)
            writer.member("created_by", createdBy)
            writer.member("author", author)
            writer.member("comment", comment)
            if isEmptyLayer { writer.member("empty_layer", true) }
        }
    }
}

extension JSONReader {
    fileprivate mutating func readTimestamp() throws(JSONError) -> Timestamp {
        let text = try readString()
        do throws(InvalidTimestamp) { return try Timestamp(text) } catch { throw problem(error.description) }
    }

    /// Reads Go's way of writing a set: an object whose members are empty objects.
    fileprivate mutating func readNameSet() throws(JSONError) -> [String] {
        var names: [String] = []
        try readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            names.append(name)
            try reader.skipValue()
        }
        return names.sorted()
    }
}

extension JSONWriter {
    fileprivate mutating func member(_ name: String, nameSet names: [String]) {
        guard !names.isEmpty else { return }
        self.name(name)
        object { writer in
            for name in names {
                writer.name(name)
                writer.object { _ in }
            }
        }
    }
}
