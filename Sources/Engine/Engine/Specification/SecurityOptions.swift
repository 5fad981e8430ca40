internal import EngineAPI

/// `HostConfig.SecurityOpt`, read.
struct SecurityOptions: Equatable, Sendable {
    /// Which system call filter a container gets.
    enum Seccomp: Equatable, Sendable {
        /// Nothing is asked for: the daemon's own choice.
        case standard
        /// The engine's own, whatever the daemon's choice is.
        case builtin
        case unconfined
        /// A profile in Docker's JSON format.
        case profile(String)
    }

    var seccomp = Seccomp.standard
    /// nil where none is named.
    var profile: SecurityProfile?
    /// What is asked for in so many words.
    private(set) var askedNoNewPrivileges: Bool?
    /// A profile's name or `unconfined`; nil where nothing is asked for.
    var appArmor: String?
    /// SELinux labels, `disable` or `type:…` and the like.
    var labels: [String] = []

    init() {}

    /// Whether execve(2) gives no rights that its caller lacks.
    var noNewPrivileges: Bool { askedNoNewPrivileges ?? (profile == .strict) }

    /// Writes into a request that says nothing of it that its container gets no new privileges, and keeps it so whatever the daemon is told later.
    static func forbidNewPrivileges(in host: inout HostConfig) throws(EngineError) {
        if try SecurityOptions(parsing: host.securityOpt).askedNoNewPrivileges == nil { host.securityOpt.append("no-new-privileges") }
    }

    /// Writes into a request that says nothing of it that what has the host's own processes or queues, or all rights, has no label, as Docker does.
    static func noteUnlabelled(in host: inout HostConfig) throws(EngineError) {
        guard host.privileged || host.pidMode == "host" || host.ipcMode == "host" else { return }
        if try SecurityOptions(parsing: host.securityOpt).labels.isEmpty { host.securityOpt.append("label=disable") }
    }

    /// - Throws: `.invalidParameter` in Docker's words for what is no option, and for one that is not served.
    init(parsing options: [String]) throws(EngineError) {
        for option in options {
            switch option {
            case "no-new-privileges": askedNoNewPrivileges = true
            case "disable": labels.append(option)
            default:
                // Later clients write `=`, earlier ones a colon.
                guard let separator = option.firstIndex(of: "=") ?? option.firstIndex(of: ":") else { throw Self.invalid(1, option) }
                try take(String(option[..<separator]), String(option[option.index(after: separator)...]), of: option)
            }
        }
    }

    private mutating func take(_ key: String, _ value: String, of option: String) throws(EngineError) {
        switch key {
        case "no-new-privileges": askedNoNewPrivileges = try Self.boolean(value, of: option)
        case "seccomp":
            // Clients from 23.0 on may send `builtin`.
            switch value {
            case "unconfined": seccomp = .unconfined
            case "builtin": seccomp = .builtin
            case "": seccomp = .standard
            default: seccomp = .profile(value)
            }
        case "apparmor": appArmor = value
        case "label": labels.append(value)
        case "profile": try takeProfile(value)
        case "writable-cgroups": throw Refusal.notYet("HostConfig.SecurityOpt \"\(key)\"")
        default: throw Self.invalid(2, option)
        }
    }

    private mutating func takeProfile(_ value: String) throws(EngineError) {
        guard let named = SecurityProfile(rawValue: value) else {
            let known = SecurityProfile.allCases.map(\.rawValue).joined(separator: " or ")
            throw ContainerChecks.invalid("invalid --security-opt: profile takes \(known), not \(ContainerChecks.quoted(value))")
        }
        if let profile, profile != named {
            throw ContainerChecks.invalid("invalid --security-opt: profile is both \(profile.rawValue) and \(named.rawValue)")
        }
        profile = named
    }

    /// Refuses what this host would pass over in silence though it matters.
    func check(facts: HostFacts) throws(EngineError) {
        if facts.hasSELinux, let label = labels.first(where: { $0 != "disable" }) {
            throw Refusal.notYet("HostConfig.SecurityOpt \"label=\(label)\" on a host with SELinux")
        }
    }

    private static func boolean(_ word: String, of option: String) throws(EngineError) -> Bool {
        switch word {
        case "true", "1", "t", "T", "TRUE", "True": return true
        case "false", "0", "f", "F", "FALSE", "False": return false
        default: throw Self.invalid(2, option)
        }
    }

    private static func invalid(_ number: Int, _ option: String) -> EngineError {
        EngineError(.invalidParameter, "invalid --security-opt \(number): \(ContainerChecks.quoted(option))")
    }
}
