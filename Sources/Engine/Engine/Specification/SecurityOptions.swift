internal import EngineAPI

/// `HostConfig.SecurityOpt`, read.
struct SecurityOptions: Equatable, Sendable {
    /// Which system call filter a container gets.
    enum Seccomp: Equatable, Sendable {
        case standard
        case unconfined
        /// A profile in Docker's JSON format.
        case profile(String)
    }

    var seccomp = Seccomp.standard
    var noNewPrivileges = false

    init() {}

    /// - Throws: `.invalidParameter` for what is no option, `.notImplemented` for one that is not served.
    init(parsing options: [String]) throws(EngineError) {
        for option in options {
            let separator = option.firstIndex { $0 == "=" || $0 == ":" }
            let key = separator.map { String(option[..<$0]) } ?? option
            let value = separator.map { String(option[option.index(after: $0)...]) }
            switch (key, value) {
            case ("no-new-privileges", nil): noNewPrivileges = true
            case ("no-new-privileges", let word?): noNewPrivileges = try Self.boolean(word, of: option)
            case ("seccomp", "unconfined"?): seccomp = .unconfined
            // `builtin` is what the daemon calls its own profile; clients from 23.0 on may send it.
            case ("seccomp", "builtin"?): seccomp = .standard
            case ("seccomp", let profile?): seccomp = .profile(profile)
            case ("apparmor", _), ("label", _), ("systempaths", _), ("writable-cgroups", _), ("credentialspec", _):
                throw Refusal.notYet("HostConfig.SecurityOpt \"\(key)\"", comesWith: "the rest of the container options")
            default: throw EngineError(.invalidParameter, "invalid --security-opt 2: \"\(option)\"")
            }
        }
    }

    private static func boolean(_ word: String, of option: String) throws(EngineError) -> Bool {
        switch word {
        case "true", "1", "t", "T", "TRUE", "True": return true
        case "false", "0", "f", "F", "FALSE", "False": return false
        default: throw EngineError(.invalidParameter, "invalid --security-opt 2: \"\(option)\"")
        }
    }
}
