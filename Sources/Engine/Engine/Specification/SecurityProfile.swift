internal import EngineAPI

/// How much a container may that asks for nothing. What a request asks for by an option of its own, it has with either.
/// - See: docs/sandbox.md, where both stand side by side.
package enum SecurityProfile: String, CaseIterable, Sendable {
    /// Docker's defaults.
    case standard = "default"
    /// What services need, and no more.
    case strict

    /// The profile that a container's stored request says.
    /// - Throws: `.invalidParameter` for options that are none; those of a stored request never are.
    init(_ host: HostConfig) throws(EngineError) { self = try SecurityOptions(parsing: host.securityOpt).profile ?? .standard }

    /// Writes into a request which profile it gets, so that its container keeps that whatever the daemon is told later.
    /// - Parameter usual: that of containers which name none.
    /// - Throws: `.invalidParameter` for a privileged container that does not say that it leaves the strict profile.
    static func settle(_ host: inout HostConfig, usual: SecurityProfile) throws(EngineError) {
        let named = try SecurityOptions(parsing: host.securityOpt).profile
        guard (named ?? usual) == .strict else { return }
        if host.privileged {
            throw ContainerChecks.invalid(
                "conflicting options: --privileged and security profile strict\(named == nil ? ", the daemon's" : ""): "
                    + "say --security-opt profile=default for a container that is to be privileged")
        }
        if named == nil { host.securityOpt.append("profile=\(SecurityProfile.strict.rawValue)") }
    }
}
