internal import LinuxSyscalls
internal import SystemPackage

/// Where an ordinary user's daemon keeps things. - Source: XDG Base Directory Specification 0.8.
struct RootlessPlaces: Equatable, Sendable {
    let dataRoot: FilePath
    let execRoot: FilePath
    /// Of the user's settings.
    let configuration: FilePath
    let dockerSocket: FilePath

    /// - Parameter environment: `KEY=value` each.
    /// - Throws: `UsageError` naming the variable that is missing, and the way out.
    init(environment: [String]) throws(UsageError) {
        func folder(_ name: String) throws(UsageError) -> FilePath? {
            guard let value = environment.first(where: { $0.hasPrefix("\(name)=") })?.dropFirst(name.count + 1), !value.isEmpty else {
                return nil
            }
            let path = FilePath(String(value))
            guard path.isAbsolute else { throw UsageError("--rootless: \(name)=\(value) is no absolute path") }
            return path.lexicallyNormalized()
        }
        guard let runtime = try folder("XDG_RUNTIME_DIR") else {
            throw UsageError(
                "--rootless needs XDG_RUNTIME_DIR, which a login by systemd-logind sets to /run/user/UID "
                    + "(\"sudo loginctl enable-linger USER\" keeps it without a login); elsewhere set it to a folder of mode 0700 that is yours "
                    + "and empty after each boot")
        }
        let home = try folder("HOME")
        func below(_ variable: String, _ usual: String) throws(UsageError) -> FilePath {
            if let set = try folder(variable) { return set.appending("apus") }
            guard let home else { throw UsageError("--rootless needs HOME or \(variable): neither is set") }
            return home.appending(usual).appending("apus")
        }
        dataRoot = try below("XDG_DATA_HOME", ".local/share")
        configuration = try below("XDG_CONFIG_HOME", ".config")
        execRoot = runtime.appending("apus")
        dockerSocket = runtime.appending("docker.sock")
    }
}
