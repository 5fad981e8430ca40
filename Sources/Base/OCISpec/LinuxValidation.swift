/// The rules for `linux`. Each function throws `SpecProblem` naming the member.

extension LinuxConfiguration {
    func validate() throws(SpecProblem) {
        try validateNamespaces()
        for (name, paths) in [("maskedPaths", maskedPaths), ("readonlyPaths", readonlyPaths)] {
            for (index, path) in paths.enumerated() where !path.hasPrefix("/") {
                throw SpecProblem(field: "linux.\(name)[\(index)]", problem: "must be absolute, found \(path.debugDescription)")
            }
        }
        for (index, device) in devices.enumerated() { try device.validate(at: "linux.devices[\(index)]") }
        for (host, device) in netDevices {
            for name in [host, device.name ?? host] where !Self.isInterfaceName(name) {
                throw SpecProblem(
                    field: "linux.netDevices[\(host.debugDescription)]", problem: "\(name.debugDescription) is no name of a network device")
            }
        }
        if !netDevices.isEmpty && namespace(.network) == nil {
            throw SpecProblem(field: "linux.netDevices", problem: "needs a network namespace")
        }
        try resources?.validate(at: "linux.resources")
        try seccomp?.validate()
    }

    private func validateNamespaces() throws(SpecProblem) {
        for (index, namespace) in namespaces.enumerated() {
            let field = "linux.namespaces[\(index)]"
            if namespaces[..<index].contains(where: { $0.kind == namespace.kind }) {
                throw SpecProblem(field: field + ".type", problem: "\(namespace.kind.rawValue) appears twice")
            }
            if let path = namespace.path, !path.hasPrefix("/") {
                throw SpecProblem(field: field + ".path", problem: "must be absolute, found \(path.debugDescription)")
            }
        }
        try IDMapping.validate(uidMappings, at: "linux.uidMappings")
        try IDMapping.validate(gidMappings, at: "linux.gidMappings")
        for (field, mappings) in [("linux.uidMappings", uidMappings), ("linux.gidMappings", gidMappings)] {
            let user = namespace(.user)
            if user == nil && !mappings.isEmpty { throw SpecProblem(field: field, problem: "needs a user namespace") }
            if let user, user.path == nil, mappings.isEmpty {
                throw SpecProblem(field: field, problem: "a new user namespace needs at least one mapping")
            }
        }
        if timeOffsets != nil && namespace(.time) == nil {
            throw SpecProblem(field: "linux.timeOffsets", problem: "needs a time namespace")
        }
        if timeOffsets != nil, namespace(.time)?.path != nil {
            throw SpecProblem(field: "linux.timeOffsets", problem: "cannot be set in a namespace that is joined")
        }
        for (clock, offset) in [("monotonic", timeOffsets?.monotonic), ("boottime", timeOffsets?.boottime)] {
            guard let offset, offset.nanoseconds >= 1_000_000_000 else { continue }
            throw SpecProblem(
                field: "linux.timeOffsets.\(clock).nanosecs", problem: "must be below 1000000000, found \(offset.nanoseconds)")
        }
    }

    /// What dev_valid_name() of the kernel accepts.
    private static func isInterfaceName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 15 && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") && $0 > 0x20 }
    }
}

extension LinuxDevice {
    func validate(at field: String) throws(SpecProblem) {
        if !path.hasPrefix("/") { throw SpecProblem(field: field + ".path", problem: "must be absolute, found \(path.debugDescription)") }
        // What the kernel's dev_t holds: 12 and 20 bits.
        if !(0...0xfff).contains(major) { throw SpecProblem(field: field + ".major", problem: "must be from 0 to 4095, found \(major)") }
        if !(0...0xf_ffff).contains(minor) {
            throw SpecProblem(field: field + ".minor", problem: "must be from 0 to 1048575, found \(minor)")
        }
        if let fileMode, fileMode > 0o7777 {
            // Engines copy st_mode whole; the kind of file is in `type`.
            guard fileMode & ~UInt32(0o177_777) == 0 else {
                throw SpecProblem(field: field + ".fileMode", problem: "\(fileMode) has bits that no file mode has")
            }
        }
        for (name, id) in [("uid", uid), ("gid", gid)] where id == .max {
            throw SpecProblem(field: "\(field).\(name)", problem: "\(UInt32.max) is no id, the largest is \(UInt32.max - 1)")
        }
    }
}

extension LinuxResources {
    /// - Parameters:
    ///   - path: where these resources lie in their document; empty where they are the document.
    ///   - isUpdate: they change limits that exist, so one that depends on another need not come with it.
    public func validate(at path: String, isUpdate: Bool = false) throws(SpecProblem) {
        let prefix = path.isEmpty ? "" : path + "."
        for (index, rule) in devices.enumerated() {
            for (name, number) in [("major", rule.major), ("minor", rule.minor)] {
                if let number, !(0...Int64(UInt32.max)).contains(number) {
                    throw SpecProblem(field: "\(prefix)devices[\(index)].\(name)", problem: "\(number) is no device number")
                }
            }
        }
        if let memory { try Self.validate(memory, prefix + "memory.", isUpdate: isUpdate) }
        if let idle = cpu?.idle, !(0...1).contains(idle) {
            throw SpecProblem(field: prefix + "cpu.idle", problem: "must be 0 or 1, found \(idle)")
        }
        for (index, limit) in hugepageLimits.enumerated() where !Self.isPageSize(limit.pageSize) {
            throw SpecProblem(
                field: "\(prefix)hugepageLimits[\(index)].pageSize", problem: "must be like 2MB, found \(limit.pageSize.debugDescription)")
        }
        if let weight = blockIO?.weight, weight != 0, !(10...1000).contains(weight) {
            throw SpecProblem(field: prefix + "blockIO.weight", problem: "must be from 10 to 1000, found \(weight)")
        }
        for (index, device) in (blockIO?.weightDevice ?? []).enumerated() where device.weight == nil && device.leafWeight == nil {
            throw SpecProblem(field: "\(prefix)blockIO.weightDevice[\(index)]", problem: "needs weight or leafWeight")
        }
        for (device, limit) in rdma where limit.hcaHandles == nil && limit.hcaObjects == nil {
            throw SpecProblem(field: "\(prefix)rdma[\(device.debugDescription)]", problem: "needs hcaHandles or hcaObjects")
        }
        for name in unified.keys where !Self.isControlFile(name) {
            throw SpecProblem(field: prefix + "unified", problem: "\(String(name.prefix(100)).debugDescription) names no file of a cgroup")
        }
    }

    private static func validate(_ memory: MemoryLimits, _ prefix: String, isUpdate: Bool) throws(SpecProblem) {
        let values = [
            ("limit", memory.limitBytes), ("reservation", memory.reservationBytes), ("swap", memory.swapBytes),
            ("kernel", memory.kernelBytes), ("kernelTCP", memory.kernelTCPBytes),
        ]
        for (name, value) in values {
            if let value, value < -1 { throw SpecProblem(field: prefix + name, problem: "must be -1 or more, found \(value)") }
        }
        if let swappiness = memory.swappiness, swappiness > 100 {
            throw SpecProblem(field: prefix + "swappiness", problem: "must be from 0 to 100, found \(swappiness)")
        }
        if let swap = memory.swapBytes, swap > 0 {
            guard let limit = memory.limitBytes, limit != 0 else {
                if isUpdate { return }
                throw SpecProblem(field: prefix + "swap", problem: "cannot be set without a memory limit")
            }
            if limit == -1 || swap < limit {
                throw SpecProblem(
                    field: prefix + "swap", problem: "\(swap) is memory and swap together, it cannot be below limit (\(limit))")
            }
        }
    }

    private static func isPageSize(_ text: String) -> Bool {
        guard text.hasSuffix("KB") || text.hasSuffix("MB") || text.hasSuffix("GB") else { return false }
        let digits = text.utf8.dropLast(2)
        return !digits.isEmpty && digits.first != UInt8(ascii: "0") && digits.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// A file name, so that no other cgroup's file can be meant.
    private static func isControlFile(_ name: String) -> Bool {
        name != "." && name != ".." && name.utf8.contains(UInt8(ascii: ".")) && name.utf8.count <= 255
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains(byte)
                }
            }
    }
}

extension SeccompConfiguration {
    func validate() throws(SpecProblem) {
        if listenerMetadata?.isEmpty == false && listenerPath?.isEmpty != false {
            throw SpecProblem(field: "linux.seccomp.listenerMetadata", problem: "needs linux.seccomp.listenerPath")
        }
        for (index, rule) in rules.enumerated() {
            let field = "linux.seccomp.syscalls[\(index)]"
            if rule.names.isEmpty { throw SpecProblem(field: field + ".names", problem: "must not be empty") }
            if let empty = rule.names.firstIndex(of: "") {
                throw SpecProblem(field: "\(field).names[\(empty)]", problem: "must not be empty")
            }
            for (position, argument) in rule.arguments.enumerated() where argument.index > 5 {
                throw SpecProblem(
                    field: "\(field).args[\(position)].index", problem: "must be from 0 to 5, found \(argument.index)")
            }
        }
    }
}
