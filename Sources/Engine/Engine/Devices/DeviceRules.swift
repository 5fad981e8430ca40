internal import OCISpec

/// Which devices a container's processes may use.
enum DeviceRules {
    /// Everything is denied, then nodes may be made, and the harmless devices used.
    static let defaults: [DeviceRule] = [
        DeviceRule(allow: false),
        DeviceRule(allow: true, kind: .character, access: .makeNode),
        DeviceRule(allow: true, kind: .block, access: .makeNode),
        character(1, 3),  // null
        character(1, 5),  // zero
        character(1, 7),  // full
        character(1, 8),  // random
        character(1, 9),  // urandom
        character(5, 0),  // tty
        character(5, 2),  // ptmx
        character(136, nil),  // pts/*
    ]

    /// What a privileged container gets.
    static let everything: [DeviceRule] = [DeviceRule(allow: true)]

    /// Lets a container use one device.
    static func rule(for device: LinuxDevice, access: DeviceRule.Access) -> DeviceRule {
        DeviceRule(allow: true, kind: device.kind == .block ? .block : .character, major: device.major, minor: device.minor, access: access)
    }

    /// Reads some of `rwm`.
    /// - Throws: `.invalidParameter` for other letters.
    static func access(_ text: String) throws(EngineError) -> DeviceRule.Access {
        var access: DeviceRule.Access = []
        for letter in text {
            switch letter {
            case "r": access.insert(.read)
            case "w": access.insert(.write)
            case "m": access.insert(.makeNode)
            default:
                throw EngineError(
                    .invalidParameter, "invalid device permissions: \(ContainerChecks.quoted(text)), only r, w and m are known")
            }
        }
        return access
    }

    /// Reads an entry of `HostConfig.DeviceCgroupRules`, `c 42:* rmw`.
    /// - Throws: `.invalidParameter` in Docker's words.
    static func rule(parsing text: String) throws(EngineError) -> DeviceRule {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let numbers = words.count == 3 ? words[1].split(separator: ":", omittingEmptySubsequences: false).map(number) : []
        guard words.count == 3, let kind = DeviceRule.Kind(rawValue: words[0]), numbers.count == 2, let major = numbers[0],
            let minor = numbers[1], (1...3).contains(words[2].count), let access = try? access(words[2])
        else { throw EngineError(.invalidParameter, "invalid device cgroup rule format: '\(text)'") }
        return DeviceRule(allow: true, kind: kind, major: major, minor: minor, access: access)
    }

    /// A number, or every one; the outer nil is neither.
    private static func number(_ text: Substring) -> Int64?? {
        if text == "*" { return .some(nil) }
        guard let value = UInt32(text), text.allSatisfy(\.isNumber) else { return nil }
        return .some(Int64(value))
    }

    private static func character(_ major: Int64, _ minor: Int64?) -> DeviceRule {
        DeviceRule(allow: true, kind: .character, major: major, minor: minor)
    }
}
