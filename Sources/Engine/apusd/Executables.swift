internal import LinuxSyscalls
internal import SystemPackage

/// Finds the programs that the daemon starts: beside its own executable, then on PATH.
struct Executables {
    private let own: FilePath
    private let path: [FilePath]

    /// - Parameter environment: `KEY=value` each.
    init(environment: [String]) throws(SyscallError) {
        own = try readSymbolicLink("/proc/self/exe").removingLastComponent()
        let value = environment.first { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/usr/local/bin:/usr/bin:/bin"
        path = value.split(separator: ":").map { FilePath(String($0)) }.filter(\.isAbsolute)
    }

    /// The place of a program; nil when it is nowhere.
    func find(_ name: String) -> FilePath? {
        ([own] + path).map { $0.appending(name) }.first { isExecutable($0) }
    }

    /// Where a program belongs, whether it is there or not.
    func beside(_ name: String) -> FilePath { own.appending(name) }

    private func isExecutable(_ path: FilePath) -> Bool {
        // 1 is X_OK; a refusal is the answer.
        (try? checkAccess(path.string, mode: 1)) != nil
    }
}
