internal import LinuxSyscalls
package import OCISpec

/// Turns a container's limits and annotations into properties of its unit: what systemd must know, lest it set its own when it is
/// reloaded. The control files are written too, and have the last word. Pure.
/// - Source: systemd.resource-control(5); runtime-spec v1.3.0, config-linux.md, "Control groups".
package struct SystemdProperties: Sendable {
    private let version: CgroupVersion
    /// Names of groups of devices by their major numbers, as /proc/devices lists them.
    private let deviceGroups: [DeviceGroup]

    /// A driver's name for its devices: `c`, 136, `pts`.
    package struct DeviceGroup: Equatable, Sendable {
        let kind: DeviceRule.Kind
        let major: Int64
        let name: String
    }

    private static let annotationPrefix = "org.systemd.property."
    /// Systemd's spelling of "no limit".
    private static let infinity = BusValue.uint64(.max)

    package init(version: CgroupVersion, deviceGroups: [DeviceGroup] = []) {
        self.version = version
        self.deviceGroups = deviceGroups
    }

    /// For a new unit with its first process. What annotations say comes last, and wins.
    /// - Throws: `unsupported` naming the annotation that makes no sense.
    package func creating(
        _ unit: SystemdUnit, process: Int32, resources: LinuxResources, annotations: [String: String]
    ) throws(CgroupError) -> [SystemdProperty] {
        var properties = [SystemdProperty("Description", .string("container \(unit.name)"))]
        if unit.isSlice {
            properties.append(SystemdProperty("Wants", .array(of: "s", [.string(unit.slice)])))
        } else {
            properties += [
                SystemdProperty("Slice", .string(unit.slice)), SystemdProperty("Delegate", .boolean(true)),
                SystemdProperty("PIDs", .array(of: "u", [.uint32(UInt32(bitPattern: process))])),
            ]
        }
        let blockAccounting = version == .v1 ? "BlockIOAccounting" : "IOAccounting"
        for name in ["MemoryAccounting", "CPUAccounting", blockAccounting, "TasksAccounting"] {
            properties.append(SystemdProperty(name, .boolean(true)))
        }
        properties.append(SystemdProperty("DefaultDependencies", .boolean(false)))
        properties += devices(resources.devices) + updating(resources)
        for (name, text) in annotations.sorted(by: { $0.key < $1.key }) where name.hasPrefix(Self.annotationPrefix) {
            let property = try annotated(String(name.dropFirst(Self.annotationPrefix.count)), text)
            properties.removeAll { $0.name == property.name }
            properties.append(property)
        }
        return properties
    }

    /// For a unit whose limits change; its devices stay.
    package func updating(_ resources: LinuxResources) -> [SystemdProperty] {
        var properties: [SystemdProperty] = []
        func add(_ name: String, _ value: BusValue?) {
            if let value { properties.append(SystemdProperty(name, value)) }
        }
        if let memory = resources.memory {
            add(version == .v1 ? "MemoryLimit" : "MemoryMax", Self.limit(memory.limitBytes))
            if version == .v2 {
                add("MemoryLow", Self.limit(memory.reservationBytes))
                add("MemorySwapMax", Self.swap(memory))
            }
        }
        if let cpu = resources.cpu { properties += self.cpu(cpu) }
        // Systemd knows no limit below the one process that makes a unit; the file gets the 0 all the same.
        add("TasksMax", resources.pids?.limit.map { $0 < 0 ? Self.infinity : .uint64(max(1, UInt64($0))) })
        if version == .v1, let weight = resources.blockIO?.weight, weight != 0 { add("BlockIOWeight", .uint64(UInt64(weight))) }
        for (file, text) in resources.unified.sorted(by: { $0.key < $1.key }) { properties += Self.unified(file, text) }
        return properties
    }

    private func cpu(_ cpu: CPULimits) -> [SystemdProperty] {
        var properties: [SystemdProperty] = []
        if let shares = cpu.shares, shares != 0, cpu.idle != 1 {
            let weight = version == .v1 ? shares : UInt64(UnifiedPlan.weight(shares: shares))
            properties.append(SystemdProperty(version == .v1 ? "CPUShares" : "CPUWeight", .uint64(weight)))
        }
        properties += Self.quota(cpu.quotaMicroseconds ?? 0, period: cpu.periodMicroseconds ?? 0)
        if version == .v2 {
            properties += Self.numbers("AllowedCPUs", cpu.cpus) + Self.numbers("AllowedMemoryNodes", cpu.mems)
        }
        return properties
    }

    /// 0 leaves a limit as it is, -1 lifts it.
    private static func limit(_ value: Int64?) -> BusValue? {
        guard let value, value != 0 else { return nil }
        return value < 0 ? infinity : .uint64(UInt64(value))
    }

    /// Systemd counts swap alone.
    private static func swap(_ memory: MemoryLimits) -> BusValue? {
        guard let both = memory.swapBytes, both != 0 else { return nil }
        if both < 0 { return infinity }
        guard let limit = memory.limitBytes, limit > 0, both >= limit else { return nil }
        return .uint64(UInt64(both - limit))
    }

    /// Systemd counts per second, in steps of 10 ms.
    private static func quota(_ quota: Int64, period: UInt64) -> [SystemdProperty] {
        var properties: [SystemdProperty] = []
        if period != 0 { properties.append(SystemdProperty("CPUQuotaPeriodUSec", .uint64(period))) }
        if quota < 0 { return properties + [SystemdProperty("CPUQuotaPerSecUSec", infinity)] }
        if quota == 0 { return properties }
        let (product, overflow) = UInt64(quota).multipliedReportingOverflow(by: 1_000_000)
        let perSecond = product / (period == 0 ? 100_000 : period)
        guard !overflow, perSecond < UInt64.max - 10_000 else { return properties }
        return properties + [SystemdProperty("CPUQuotaPerSecUSec", .uint64((perSecond + 9_999) / 10_000 * 10_000))]
    }

    /// A set of numbers as a mask of bytes.
    private static func numbers(_ name: String, _ list: String?) -> [SystemdProperty] {
        guard let list, let set = NumberSet(list: list) else { return [] }
        var bytes = set.words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        while bytes.last == 0 { bytes.removeLast() }
        return [SystemdProperty(name, .array(of: "y", bytes.map { .byte($0) }))]
    }

    /// What a file of cgroup v2 is called among the properties; files without a property are written alone.
    private static func unified(_ file: String, _ text: String) -> [SystemdProperty] {
        let limits = [
            "cpu.weight": "CPUWeight", "memory.min": "MemoryMin", "memory.low": "MemoryLow", "memory.high": "MemoryHigh",
            "memory.max": "MemoryMax", "memory.swap.max": "MemorySwapMax", "pids.max": "TasksMax",
        ]
        if let name = limits[file] {
            if text == "max" { return [SystemdProperty(name, infinity)] }
            return UInt64(text).map { [SystemdProperty(name, .uint64($0))] } ?? []
        }
        switch file {
        case "cpuset.cpus": return numbers("AllowedCPUs", text)
        case "cpuset.mems": return numbers("AllowedMemoryNodes", text)
        case "cpu.max":
            let parts = text.split(separator: " ")
            guard let first = parts.first, let quota = first == "max" ? -1 : Int64(first) else { return [] }
            return self.quota(quota, period: parts.count > 1 ? UInt64(parts[1]) ?? 0 : 0)
        default: return []
        }
    }
}

// Devices.
extension SystemdProperties {
    /// Which devices systemd lets the unit use. Rules that it has no words for are left to the program that decides in the end: then
    /// systemd's own allows everything.
    func devices(_ rules: [DeviceRule]) -> [SystemdProperty] {
        let everything = [SystemdProperty("DevicePolicy", .string("auto")), SystemdProperty("DeviceAllow", .array(of: "(ss)", []))]
        guard let access = try? DeviceAccess(rules + DeviceAccess.containerDefaults), !access.allowsByDefault else { return everything }
        var entries: [BusValue] = []
        for (pattern, allowed) in access.exceptions {
            guard let path = path(of: pattern) else { return everything }
            entries.append(.structure([.string(path), .string(allowed.text)]))
        }
        return [SystemdProperty("DevicePolicy", .string("strict")), SystemdProperty("DeviceAllow", .array(of: "(ss)", entries))]
    }

    /// nil where systemd has no word for it.
    private func path(of pattern: DeviceAccess.Pattern) -> String? {
        let word = pattern.kind == .block ? "block" : "char"
        switch (pattern.major, pattern.minor) {
        case (let major?, let minor?): return "/dev/\(word)/\(major):\(minor)"
        case (nil, nil): return "\(word)-*"
        case (let major?, nil): return deviceGroups.first { $0.kind == pattern.kind && $0.major == major }.map { "\(word)-\($0.name)" }
        case (nil, _?): return nil
        }
    }
}

extension SystemdProperties.DeviceGroup {
    /// Reads /proc/devices. - Source: proc_devices(5).
    package static func parse(_ text: String) -> [SystemdProperties.DeviceGroup] {
        var kind = DeviceRule.Kind.character
        var groups: [SystemdProperties.DeviceGroup] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("Block") { kind = .block }
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let major = Int64(parts[0]) else { continue }
            groups.append(SystemdProperties.DeviceGroup(kind: kind, major: major, name: String(parts[1])))
        }
        return groups
    }
}

// Annotations.
extension SystemdProperties {
    /// `org.systemd.property.NAME` with a value as busctl(1) and runc write it. A name in seconds is one in microseconds for systemd.
    private func annotated(_ name: String, _ text: String) throws(CgroupError) -> SystemdProperty {
        func problem(_ reason: String) -> CgroupError {
            CgroupError(.unsupported, doing: "annotations[\"\(Self.annotationPrefix)\(name)\"]", reason: reason)
        }
        guard name.utf8.count >= 3, name.utf8.allSatisfy({ (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) }) else {
            throw problem("no name of a property")
        }
        guard let value = VariantText.parse(text) else {
            throw problem("\(String(text.prefix(200)).debugDescription) is no value of D-Bus")
        }
        guard name.hasSuffix("Sec"), !name.hasSuffix("USec") else { return SystemdProperty(name, value) }
        guard let microseconds = value.microseconds else { throw problem("\(text) is no number of seconds") }
        return SystemdProperty("\(name.dropLast(3))USec", .uint64(microseconds))
    }
}

extension BusValue {
    /// A number of seconds.
    fileprivate var microseconds: UInt64? {
        if case .double(let number) = self { return UInt64(exactly: (number * 1_000_000).rounded()) }
        let seconds: UInt64? =
            switch self {
            case .byte(let number): UInt64(number)
            case .int16(let number): UInt64(exactly: number)
            case .uint16(let number): UInt64(number)
            case .int32(let number): UInt64(exactly: number)
            case .uint32(let number): UInt64(number)
            case .int64(let number): UInt64(exactly: number)
            case .uint64(let number): number
            default: nil
            }
        guard let (product, overflow) = seconds?.multipliedReportingOverflow(by: 1_000_000), !overflow else { return nil }
        return product
    }
}
