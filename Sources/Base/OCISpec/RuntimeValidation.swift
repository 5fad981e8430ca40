/// The rules of the runtime specification that types alone do not hold. Each throws `SpecProblem` naming the member.

extension RuntimeConfiguration {
    /// Checks what can be checked without looking at the machine.
    public func validate() throws(SpecProblem) {
        guard isSemanticVersion(ociVersion), ociVersion.utf8.starts(with: "1.".utf8) else {
            throw SpecProblem(field: "ociVersion", problem: "unsupported version \(ociVersion.debugDescription), this runtime knows 1.x.y")
        }
        if root?.path.isEmpty == true { throw SpecProblem(field: "root.path", problem: "must not be empty") }
        try process?.validate(at: "process")
        for (index, mount) in mounts.enumerated() {
            if mount.destination.isEmpty { throw SpecProblem(field: "mounts[\(index)].destination", problem: "must not be empty") }
            try IDMapping.validate(mount.uidMappings, at: "mounts[\(index)].uidMappings")
            try IDMapping.validate(mount.gidMappings, at: "mounts[\(index)].gidMappings")
        }
        try hooks.validate()
        if annotations.keys.contains("") { throw SpecProblem(field: "annotations", problem: "a key must not be empty") }
        try linux?.validate()
        try validateNames()
        try validateSysctls()
    }

    private func validateNames() throws(SpecProblem) {
        let hasUTS = linux?.namespace(.uts) != nil
        for (field, name) in [("hostname", hostname), ("domainname", domainname)] {
            guard let name, !name.isEmpty else { continue }
            if !hasUTS { throw SpecProblem(field: field, problem: "cannot be set without a UTS namespace") }
            if name.utf8.count > 64 { throw SpecProblem(field: field, problem: "is longer than 64 bytes") }
        }
    }
}

/// Whether a text is a version by SemVer 2.0.0: `MAJOR.MINOR.PATCH`, then `-` and identifiers, then `+` and identifiers.
/// - Source: semver.org, sections 2, 9 and 10.
private func isSemanticVersion(_ text: String) -> Bool {
    let whole = text.utf8
    let plus = whole.firstIndex(of: UInt8(ascii: "+")) ?? whole.endIndex
    let hyphen = whole[..<plus].firstIndex(of: UInt8(ascii: "-")) ?? plus
    func identifiers(_ part: Substring.UTF8View) -> [Substring.UTF8View] {
        part.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    }
    func isNumeric(_ identifier: Substring.UTF8View) -> Bool {
        !identifier.isEmpty && identifier.allSatisfy { (0x30...0x39).contains($0) }
    }
    func isNumber(_ identifier: Substring.UTF8View) -> Bool {
        isNumeric(identifier) && (identifier.count == 1 || identifier.first != UInt8(ascii: "0"))
    }
    func isWord(_ identifier: Substring.UTF8View) -> Bool {
        !identifier.isEmpty
            && identifier.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == UInt8(ascii: "-")
            }
    }
    let core = identifiers(whole[..<hyphen])
    guard core.count == 3, core.allSatisfy(isNumber) else { return false }
    if hyphen != plus {
        let ofRelease = identifiers(whole[whole.index(after: hyphen)..<plus])
        guard ofRelease.allSatisfy({ isWord($0) && (!isNumeric($0) || isNumber($0)) }) else { return false }
    }
    return plus == whole.endIndex || identifiers(whole[whole.index(after: plus)...]).allSatisfy(isWord)
}

extension HookSet {
    func validate() throws(SpecProblem) {
        let lists = [
            ("prestart", prestart), ("createRuntime", createRuntime), ("createContainer", createContainer),
            ("startContainer", startContainer), ("poststart", poststart), ("poststop", poststop),
        ]
        for (name, hooks) in lists {
            for (index, hook) in hooks.enumerated() {
                if !hook.path.hasPrefix("/") {
                    throw SpecProblem(
                        field: "hooks.\(name)[\(index)].path", problem: "must be absolute, found \(hook.path.debugDescription)")
                }
                if let timeout = hook.timeoutSeconds, timeout <= 0 {
                    throw SpecProblem(field: "hooks.\(name)[\(index)].timeout", problem: "must be greater than zero, found \(timeout)")
                }
            }
        }
    }
}

extension ProcessConfiguration {
    /// The limits that setrlimit(2) of Linux knows.
    public static let resourceLimitNames = [
        "RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_LOCKS", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE",
        "RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING",
        "RLIMIT_STACK",
    ]
    /// NGROUPS_MAX of Linux.
    public static let maximumAdditionalGIDs = 65_536

    /// - Parameter path: where this process lies in its document; empty where it is the document.
    public func validate(at path: String) throws(SpecProblem) {
        let prefix = path.isEmpty ? "" : path + "."
        if !workingDirectory.hasPrefix("/") {
            throw SpecProblem(field: prefix + "cwd", problem: "must be absolute, found \(workingDirectory.debugDescription)")
        }
        // An empty one is a program that is not found, as any other, and is told so.
        if arguments.isEmpty {
            throw SpecProblem(field: prefix + "args", problem: "must name a program")
        }
        for (index, variable) in environment.enumerated() where !variable.utf8.dropFirst().contains(UInt8(ascii: "=")) {
            throw SpecProblem(
                field: "\(prefix)env[\(index)]", problem: "must be KEY=value, found \(String(variable.prefix(100)).debugDescription)")
        }
        if let adjustment = oomScoreAdjustment, !(-1000...1000).contains(adjustment) {
            throw SpecProblem(field: prefix + "oomScoreAdj", problem: "must be from -1000 to 1000, found \(adjustment)")
        }
        if let ioPriority, !(0...7).contains(ioPriority.priority) {
            throw SpecProblem(field: prefix + "ioPriority.priority", problem: "must be from 0 to 7, found \(ioPriority.priority)")
        }
        try scheduler?.validate(at: prefix + "scheduler")
        try validateResourceLimits(prefix)
        try user.validate(at: prefix + "user")
    }

    private func validateResourceLimits(_ prefix: String) throws(SpecProblem) {
        for (index, limit) in resourceLimits.enumerated() {
            let field = "\(prefix)rlimits[\(index)]"
            guard Self.resourceLimitNames.contains(limit.type) else {
                throw SpecProblem(field: field + ".type", problem: "unknown limit \(String(limit.type.prefix(100)).debugDescription)")
            }
            if resourceLimits[..<index].contains(where: { $0.type == limit.type }) {
                throw SpecProblem(field: field + ".type", problem: "\(limit.type) appears twice")
            }
            if limit.soft > limit.hard {
                throw SpecProblem(field: field + ".soft", problem: "\(limit.soft) is above the hard limit \(limit.hard)")
            }
        }
    }
}

extension UserConfiguration {
    func validate(at path: String) throws(SpecProblem) {
        // The all-ones id means "leave it as it is" to setresuid(2) and setgroups(2): here it would mean root.
        let ids = [("uid", uid), ("gid", gid)] + additionalGIDs.enumerated().map { ("additionalGids[\($0.offset)]", $0.element) }
        for (name, id) in ids where id == .max {
            throw SpecProblem(field: "\(path).\(name)", problem: "\(id) is no id, the largest is \(UInt32.max - 1)")
        }
        if additionalGIDs.count > ProcessConfiguration.maximumAdditionalGIDs {
            throw SpecProblem(
                field: path + ".additionalGids",
                problem: "\(additionalGIDs.count) groups, at most \(ProcessConfiguration.maximumAdditionalGIDs) are allowed")
        }
        if let umask, umask > 0o777 { throw SpecProblem(field: path + ".umask", problem: "must be at most 511 (0777), found \(umask)") }
    }
}

extension IDMapping {
    /// The longest list that Linux takes since 4.15.
    public static let maximumCount = 340

    static func validate(_ mappings: [IDMapping], at path: String) throws(SpecProblem) {
        if mappings.count > maximumCount {
            throw SpecProblem(field: path, problem: "\(mappings.count) mappings, at most \(maximumCount) are allowed")
        }
        for (index, mapping) in mappings.enumerated() {
            let isEmpty = mapping.size == 0
            let largest = UInt64(max(mapping.containerID, mapping.hostID)) + UInt64(mapping.size)
            if isEmpty || largest > UInt64(UInt32.max) {
                throw SpecProblem(
                    field: "\(path)[\(index)].size",
                    problem: isEmpty ? "must not be zero" : "the mapping ends at \(largest), beyond the last id \(UInt32.max - 1)")
            }
            if index > 0 { try validateDistinct(mappings, index, at: path) }
        }
    }

    /// The kernel takes no id twice, on neither side. - Source: user_namespaces(7).
    private static func validateDistinct(_ mappings: [IDMapping], _ index: Int, at path: String) throws(SpecProblem) {
        let mapping = mappings[index]
        for (other, earlier) in mappings[..<index].enumerated() {
            let inside = overlap(mapping.containerID, mapping.size, earlier.containerID, earlier.size)
            guard inside || overlap(mapping.hostID, mapping.size, earlier.hostID, earlier.size) else { continue }
            throw SpecProblem(
                field: "\(path)[\(index)].\(inside ? "containerID" : "hostID")", problem: "overlaps with the ids of [\(other)]")
        }
    }

    private static func overlap(_ first: UInt32, _ size: UInt32, _ otherFirst: UInt32, _ otherSize: UInt32) -> Bool {
        first < otherFirst ? otherFirst - first < size : first - otherFirst < otherSize
    }
}

extension SchedulerConfiguration {
    /// - Source: sched(7), sched_setattr(2).
    func validate(at path: String) throws(SpecProblem) {
        if !(-20...19).contains(nice) { throw SpecProblem(field: path + ".nice", problem: "must be from -20 to 19, found \(nice)") }
        let isRealTime = policy == .fifo || policy == .roundRobin
        let priorities: ClosedRange<Int32> = isRealTime ? 1...99 : 0...0
        // The kernel's own word for SCHED_DEADLINE, which has none.
        if policy != .deadline && !priorities.contains(priority) {
            throw SpecProblem(
                field: path + ".priority",
                problem: isRealTime
                    ? "must be from 1 to 99 with \(policy.rawValue), found \(priority)"
                    : "is for SCHED_FIFO and SCHED_RR, found \(priority)")
        }
        let times = [("runtime", runtimeNanoseconds), ("deadline", deadlineNanoseconds), ("period", periodNanoseconds)]
        if policy != .deadline, let (name, _) = times.first(where: { $0.1 != 0 }) {
            throw SpecProblem(field: "\(path).\(name)", problem: "is for SCHED_DEADLINE")
        }
        if policy == .deadline && runtimeNanoseconds == 0 {
            throw SpecProblem(field: path + ".runtime", problem: "must not be zero with SCHED_DEADLINE")
        }
    }
}
