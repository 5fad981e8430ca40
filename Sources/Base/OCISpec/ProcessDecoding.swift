internal import JSON

extension ProcessConfiguration {
    /// Reads and validates the document that `exec --process` takes.
    /// - Throws: `SpecProblem` naming the member.
    public static func decode(_ bytes: [UInt8]) throws(SpecProblem) -> ProcessConfiguration {
        let process = try decodeDocument(bytes, limits: kernelBoundLimits) { (reader: inout JSONReader) throws(JSONError) in
            try ProcessConfiguration(from: &reader)
        }
        try process.validate(at: "")
        return process
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var cwd: String?
        self.init(workingDirectory: "")
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "terminal": terminal = try reader.readBool()
            case "consoleSize": consoleSize = try ConsoleSize(from: &reader)
            case "cwd": cwd = try reader.readString()
            case "env": environment = try reader.readStrings()
            case "args": arguments = try reader.readStrings()
            case "rlimits":
                resourceLimits = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try ResourceLimit(from: &reader) }
            case "capabilities": capabilities = try CapabilitySets(from: &reader)
            case "noNewPrivileges": noNewPrivileges = try reader.readBool()
            case "apparmorProfile": appArmorProfile = try reader.readString()
            case "oomScoreAdj": oomScoreAdjustment = try reader.readInteger()
            case "selinuxLabel": seLinuxLabel = try reader.readString()
            case "ioPriority": ioPriority = try IOPriority(from: &reader)
            case "scheduler": scheduler = try SchedulerConfiguration(from: &reader)
            case "execCPUAffinity": execCPUAffinity = try ExecCPUAffinity(from: &reader)
            case "user": user = try UserConfiguration(from: &reader)
            default: try reader.skipUnknownMember()
            }
        }
        workingDirectory = try reader.require(cwd, "cwd")
    }
}

extension ConsoleSize {
    init(from reader: inout JSONReader) throws(JSONError) {
        var height: UInt64?
        var width: UInt64?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "height": height = try reader.readInteger()
            case "width": width = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(height: try reader.require(height, "height"), width: try reader.require(width, "width"))
    }
}

extension UserConfiguration {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "uid": uid = try reader.readInteger()
            case "gid": gid = try reader.readInteger()
            case "umask": umask = try reader.readInteger()
            case "additionalGids":
                additionalGIDs = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try reader.readInteger() }
            case "username": username = try reader.readString()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension ResourceLimit {
    init(from reader: inout JSONReader) throws(JSONError) {
        var type: String?
        var soft: UInt64?
        var hard: UInt64?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "type": type = try reader.readString()
            case "soft": soft = try reader.readInteger()
            case "hard": hard = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(
            type: try reader.require(type, "type"), soft: try reader.require(soft, "soft"), hard: try reader.require(hard, "hard"))
    }
}

extension CapabilitySets {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "bounding": bounding = try reader.readStrings()
            case "effective": effective = try reader.readStrings()
            case "permitted": permitted = try reader.readStrings()
            case "inheritable": inheritable = try reader.readStrings()
            case "ambient": ambient = try reader.readStrings()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension IOPriority {
    init(from reader: inout JSONReader) throws(JSONError) {
        var schedulingClass: Class?
        var priority: Int32 = 0
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "class": schedulingClass = try reader.readCase()
            case "priority": priority = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(schedulingClass: try reader.require(schedulingClass, "class"), priority: priority)
    }
}

extension SchedulerConfiguration {
    init(from reader: inout JSONReader) throws(JSONError) {
        var policy: Policy?
        self.init(policy: .other)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "policy": policy = try reader.readCase()
            case "nice": nice = try reader.readInteger()
            case "priority": priority = try reader.readInteger()
            case "flags": flags = try reader.readCases()
            case "runtime": runtimeNanoseconds = try reader.readInteger()
            case "deadline": deadlineNanoseconds = try reader.readInteger()
            case "period": periodNanoseconds = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.policy = try reader.require(policy, "policy")
    }
}

extension ExecCPUAffinity {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "initial": initial = try reader.readString()
            case "final": final = try reader.readString()
            default: try reader.skipUnknownMember()
            }
        }
    }
}
