internal import CLinux
internal import Glibc

/// A set of capabilities, bit n for the kernel's number n. - Source: capabilities(7).
package struct CapabilitySet: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: CapabilitySet...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    /// The set of one capability, by its number.
    package init(number: Int32) { self.init(rawValue: 1 << UInt64(number)) }

    package static let sysAdmin = CapabilitySet(number: 21)

    /// The numbers in the set, ascending.
    package var numbers: [Int32] { (0..<64).filter { rawValue >> UInt64($0) & 1 == 1 } }
}

/// The three sets of a thread that capset(2) sets.
package struct ThreadCapabilities: Equatable, Sendable {
    package var effective: CapabilitySet
    package var permitted: CapabilitySet
    package var inheritable: CapabilitySet

    package init(effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet) {
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
    }
}

/// The capabilities of the calling thread. - Source: capget(2).
package func threadCapabilities() throws(SyscallError) -> ThreadCapabilities {
    var (effective, permitted, inheritable): (UInt64, UInt64, UInt64) = (0, 0, 0)
    try checked("capget") { unsafe clinux_capget(&effective, &permitted, &inheritable) }
    return ThreadCapabilities(
        effective: CapabilitySet(rawValue: effective), permitted: CapabilitySet(rawValue: permitted),
        inheritable: CapabilitySet(rawValue: inheritable))
}

/// Sets the capabilities of the calling thread. - Source: capset(2).
package func setThreadCapabilities(_ sets: ThreadCapabilities) throws(SyscallError) {
    try checked("capset") {
        clinux_capset(sets.effective.rawValue, sets.permitted.rawValue, sets.inheritable.rawValue)
    }
}

/// The bounding set of the calling thread; what the kernel does not know is not in it. - Source: prctl(2), PR_CAPBSET_READ.
package func boundingCapabilities() -> CapabilitySet {
    var set: CapabilitySet = []
    for number: Int32 in 0..<64 {
        let held = clinux_prctl(23, UInt(number), 0, 0, 0)
        if held < 0 { break }
        if held == 1 { set.insert(CapabilitySet(number: number)) }
    }
    return set
}

/// Takes a capability out of the bounding set for good. - Source: prctl(2), PR_CAPBSET_DROP.
package func dropBoundingCapability(_ number: Int32) throws(SyscallError) {
    try checked("prctl PR_CAPBSET_DROP", "\(number)") { clinux_prctl(24, UInt(number), 0, 0, 0) }
}

/// Adds a capability, permitted and inheritable already, to the ambient set. - Source: prctl(2), PR_CAP_AMBIENT_RAISE.
package func raiseAmbientCapability(_ number: Int32) throws(SyscallError) {
    try checked("prctl PR_CAP_AMBIENT_RAISE", "\(number)") { clinux_prctl(47, 2, UInt(number), 0, 0) }
}

/// Whether the permitted capabilities outlive the change from user 0 to another. - Source: prctl(2), PR_SET_KEEPCAPS.
package func setKeepCapabilities(_ keep: Bool) throws(SyscallError) {
    try checked("prctl PR_SET_KEEPCAPS") { clinux_prctl(8, keep ? 1 : 0, 0, 0, 0) }
}

/// Sets the real, effective and saved user of the calling thread. - Source: setresuid(2).
package func setUser(_ id: UInt32) throws(SyscallError) {
    try checked("setresuid", "\(id)") { clinux_setresuid(id) }
}

/// Sets the real, effective and saved group of the calling thread. - Source: setresgid(2).
package func setGroup(_ id: UInt32) throws(SyscallError) {
    try checked("setresgid", "\(id)") { clinux_setresgid(id) }
}

/// Sets the supplementary groups of the calling thread. - Source: setgroups(2).
package func setSupplementaryGroups(_ groups: [UInt32]) throws(SyscallError) {
    try checked("setgroups", groups.map(String.init).joined(separator: ",")) {
        unsafe clinux_setgroups(groups.count, groups)
    }
}

/// A resource whose use a process may be limited in, by the kernel's number. - Source: getrlimit(2).
package struct LimitedResource: Hashable, Sendable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }

    /// RLIMIT_NOFILE: by how much the numbers of open files may rise.
    package static let openFiles = LimitedResource(rawValue: 7)
}

/// Sets a limit of a process, 0 for the caller; `UInt64.max` is no limit. - Source: prlimit(2).
package func setLimit(
    of resource: LimitedResource, soft: UInt64, hard: UInt64, process: Int32 = 0, subject: String
) throws(SyscallError) {
    try checked("prlimit", subject) { clinux_set_limit(process, resource.rawValue, soft, hard) }
}

/// The soft and hard limit of a process, 0 for the caller. - Source: prlimit(2).
package func limit(of resource: LimitedResource, process: Int32 = 0) throws(SyscallError) -> (soft: UInt64, hard: UInt64) {
    var (soft, hard): (UInt64, UInt64) = (0, 0)
    try checked("prlimit") { unsafe clinux_get_limit(process, resource.rawValue, &soft, &hard) }
    return (soft, hard)
}
