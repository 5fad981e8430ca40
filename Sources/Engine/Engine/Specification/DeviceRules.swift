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

    private static func character(_ major: Int64, _ minor: Int64?) -> DeviceRule {
        DeviceRule(allow: true, kind: .character, major: major, minor: minor)
    }
}
