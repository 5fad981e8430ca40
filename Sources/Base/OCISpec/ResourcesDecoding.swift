internal import JSON

extension LinuxResources {
    /// Reads and validates the document that `update --resources` takes.
    /// - Throws: `SpecProblem` naming the member.
    public static func decode(_ bytes: [UInt8]) throws(SpecProblem) -> LinuxResources {
        let resources = try decodeDocument(bytes, limits: kernelBoundLimits) { (reader: inout JSONReader) throws(JSONError) in
            try LinuxResources(from: &reader)
        }
        try resources.validate(at: "", isUpdate: true)
        return resources
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "devices":
                devices = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try DeviceRule(from: &reader) }
            case "memory": memory = try MemoryLimits(from: &reader)
            case "cpu": cpu = try CPULimits(from: &reader)
            case "pids": pids = try PidsLimit(from: &reader)
            case "blockIO": blockIO = try BlockIOLimits(from: &reader)
            case "hugepageLimits":
                hugepageLimits = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try HugepageLimit(from: &reader) }
            case "network": network = try NetworkLimits(from: &reader)
            case "rdma": rdma = try reader.readDictionary { (reader: inout JSONReader) throws(JSONError) in try RDMALimit(from: &reader) }
            case "unified": unified = try reader.readStringDictionary()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension DeviceRule {
    init(from reader: inout JSONReader) throws(JSONError) {
        var allow: Bool?
        self.init(allow: false)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "allow": allow = try reader.readBool()
            case "type":
                let text = try reader.readString()
                guard let kind = text.isEmpty ? .all : Kind(rawValue: text) else {
                    throw reader.problem("unknown value \(String(text.prefix(100)).debugDescription)")
                }
                self.kind = kind
            case "major": major = try Self.readNumber(from: &reader)
            case "minor": minor = try Self.readNumber(from: &reader)
            case "access": access = try Access(from: &reader)
            default: try reader.skipUnknownMember()
            }
        }
        self.allow = try reader.require(allow, "allow")
    }

    /// Engines write -1 for "every number".
    private static func readNumber(from reader: inout JSONReader) throws(JSONError) -> Int64? {
        let number: Int64 = try reader.readInteger()
        return number == -1 ? nil : number
    }
}

extension DeviceRule.Access {
    init(from reader: inout JSONReader) throws(JSONError) {
        var access: DeviceRule.Access = []
        let text = try reader.readString()
        for letter in text.utf8 {
            switch letter {
            case UInt8(ascii: "r"): access.insert(.read)
            case UInt8(ascii: "w"): access.insert(.write)
            case UInt8(ascii: "m"): access.insert(.makeNode)
            default: throw reader.problem("expected letters of \"rwm\", found \(String(text.prefix(40)).debugDescription)")
            }
        }
        self = access.isEmpty ? .all : access
    }
}

extension MemoryLimits {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "limit": limitBytes = try reader.readInteger()
            case "reservation": reservationBytes = try reader.readInteger()
            case "swap": swapBytes = try reader.readInteger()
            case "kernel": kernelBytes = try reader.readInteger()
            case "kernelTCP": kernelTCPBytes = try reader.readInteger()
            case "swappiness": swappiness = try reader.readInteger()
            case "disableOOMKiller": disableOOMKiller = try reader.readBool()
            case "useHierarchy": useHierarchy = try reader.readBool()
            case "checkBeforeUpdate": checkBeforeUpdate = try reader.readBool()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension CPULimits {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "shares": shares = try reader.readInteger()
            case "quota": quotaMicroseconds = try reader.readInteger()
            case "period": periodMicroseconds = try reader.readInteger()
            case "burst": burstMicroseconds = try reader.readInteger()
            case "realtimeRuntime": realtimeRuntimeMicroseconds = try reader.readInteger()
            case "realtimePeriod": realtimePeriodMicroseconds = try reader.readInteger()
            case "cpus": cpus = try reader.readString()
            case "mems": mems = try reader.readString()
            case "idle": idle = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension PidsLimit {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init(limit: nil)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "limit": limit = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension BlockIOLimits {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "weight": weight = try reader.readInteger()
            case "leafWeight": leafWeight = try reader.readInteger()
            case "weightDevice":
                weightDevice = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try DeviceWeight(from: &reader) }
            case "throttleReadBpsDevice": throttleReadBytes = try Throttle.readList(from: &reader)
            case "throttleWriteBpsDevice": throttleWriteBytes = try Throttle.readList(from: &reader)
            case "throttleReadIOPSDevice": throttleReadOperations = try Throttle.readList(from: &reader)
            case "throttleWriteIOPSDevice": throttleWriteOperations = try Throttle.readList(from: &reader)
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension BlockIOLimits.DeviceWeight {
    init(from reader: inout JSONReader) throws(JSONError) {
        var major: Int64?
        var minor: Int64?
        self.init(major: 0, minor: 0)
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "major": major = try reader.readInteger()
            case "minor": minor = try reader.readInteger()
            case "weight": weight = try reader.readInteger()
            case "leafWeight": leafWeight = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.major = try reader.require(major, "major")
        self.minor = try reader.require(minor, "minor")
    }
}

extension BlockIOLimits.Throttle {
    static func readList(from reader: inout JSONReader) throws(JSONError) -> [BlockIOLimits.Throttle] {
        try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try BlockIOLimits.Throttle(from: &reader) }
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var major: Int64?
        var minor: Int64?
        var rate: UInt64 = 0
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "major": major = try reader.readInteger()
            case "minor": minor = try reader.readInteger()
            case "rate": rate = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(major: try reader.require(major, "major"), minor: try reader.require(minor, "minor"), rate: rate)
    }
}

extension HugepageLimit {
    init(from reader: inout JSONReader) throws(JSONError) {
        var pageSize: String?
        var limit: UInt64?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "pageSize": pageSize = try reader.readString()
            case "limit": limit = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(pageSize: try reader.require(pageSize, "pageSize"), limitBytes: try reader.require(limit, "limit"))
    }
}

extension NetworkLimits {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "classID": classID = try reader.readInteger()
            case "priorities":
                priorities = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try Priority(from: &reader) }
            default: try reader.skipUnknownMember()
            }
        }
    }
}

extension NetworkLimits.Priority {
    init(from reader: inout JSONReader) throws(JSONError) {
        var interface: String?
        var priority: UInt32?
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "name": interface = try reader.readString()
            case "priority": priority = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
        self.init(name: try reader.require(interface, "name"), priority: try reader.require(priority, "priority"))
    }
}

extension RDMALimit {
    init(from reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "hcaHandles": hcaHandles = try reader.readInteger()
            case "hcaObjects": hcaObjects = try reader.readInteger()
            default: try reader.skipUnknownMember()
            }
        }
    }
}
