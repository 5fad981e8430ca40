package import OCISpec

/// Which devices a container may use, as a default and what differs from it.
package struct DeviceAccess: Equatable, Sendable {
    /// One kind and number; nil is every number.
    struct Pattern: Hashable, Sendable {
        let kind: DeviceRule.Kind
        let major: Int64?
        let minor: Int64?

        /// v1's spelling: `c 136:*`.
        var text: String { "\(kind.rawValue) \(major.map(String.init) ?? "*"):\(minor.map(String.init) ?? "*")" }

        func overlaps(_ other: Pattern) -> Bool {
            kind == other.kind && (major == nil || other.major == nil || major == other.major)
                && (minor == nil || other.minor == nil || minor == other.minor)
        }

        func covers(_ other: Pattern) -> Bool {
            kind == other.kind && (major == nil || major == other.major) && (minor == nil || minor == other.minor)
        }
    }

    /// What every container may do, whatever its configuration says first: make nodes, and use the devices that the
    /// specification gives it. - Spec: runtime-spec v1.3.0, config-linux.md, "Default Devices".
    package static let containerDefaults: [DeviceRule] =
        [
            DeviceRule(allow: true, kind: .character, access: .makeNode),
            DeviceRule(allow: true, kind: .block, access: .makeNode),
        ]
        + [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, nil)].map { numbers in
            DeviceRule(allow: true, kind: .character, major: Int64(numbers.0), minor: numbers.1.map(Int64.init))
        }

    private(set) var allowsByDefault = false
    /// In the order of their first mention.
    private(set) var exceptions: [(pattern: Pattern, access: DeviceRule.Access)] = []

    package static func == (left: DeviceAccess, right: DeviceAccess) -> Bool {
        left.allowsByDefault == right.allowsByDefault
            && left.exceptions.elementsEqual(right.exceptions) { $0.pattern == $1.pattern && $0.access == $1.access }
    }

    /// Applies rules in order to "nothing is allowed".
    /// - Throws: `unsupported` for a rule that v1 cannot express: one that takes back a part of a wider rule.
    package init(_ rules: [DeviceRule]) throws(CgroupError) {
        for (index, rule) in rules.enumerated() {
            if rule.matchesEverything {
                allowsByDefault = rule.allow
                exceptions = []
                continue
            }
            let kinds: [DeviceRule.Kind] = rule.kind == .all ? [.character, .block] : [rule.kind]
            for kind in kinds {
                let pattern = Pattern(kind: kind, major: rule.major, minor: rule.minor)
                if rule.allow == allowsByDefault {
                    try removeException(pattern, rule.access, field: "linux.resources.devices[\(index)]")
                } else {
                    addException(pattern, rule.access)
                }
            }
        }
    }

    private mutating func addException(_ pattern: Pattern, _ access: DeviceRule.Access) {
        if let index = exceptions.firstIndex(where: { $0.pattern == pattern }) {
            exceptions[index].access.formUnion(access)
        } else {
            exceptions.append((pattern, access))
        }
    }

    /// v1 forgets whole exceptions only, so one may not reach beyond what the rule takes back.
    private mutating func removeException(_ pattern: Pattern, _ access: DeviceRule.Access, field: String) throws(CgroupError) {
        for index in exceptions.indices where exceptions[index].pattern.overlaps(pattern) {
            if exceptions[index].access.isDisjoint(with: access) { continue }
            guard pattern.covers(exceptions[index].pattern) else {
                throw unsupported(field, "cgroup v1 cannot make an exception from the rule for \(exceptions[index].pattern.text)")
            }
            exceptions[index].access.subtract(access)
        }
        exceptions.removeAll { $0.access.isEmpty }
    }

    /// The writes for the v1 controller.
    static func legacyPlan(_ rules: [DeviceRule]) throws(CgroupError) -> [CgroupWrite] {
        let result = try DeviceAccess(rules)
        let field = "linux.resources.devices"
        let (first, second) = result.allowsByDefault ? ("devices.allow", "devices.deny") : ("devices.deny", "devices.allow")
        let values = result.exceptions.map { "\($0.pattern.text) \($0.access.text)" }
        let reset = CgroupWrite(.devices, .v1, first, ["a"], field: field)
        return values.isEmpty ? [reset] : [reset, CgroupWrite(.devices, .v1, second, values, field: field)]
    }
}

extension DeviceRule {
    /// Whether the rule says something about all devices, and so makes those before it moot.
    var matchesEverything: Bool { kind == .all && major == nil && minor == nil && access == .all }
}
