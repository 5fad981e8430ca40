internal import LinuxSyscalls
internal import SystemPackage

/// Finds the runtime executable that a container asks for.
enum RuntimeLocator {
    /// Our own, where none is named.
    static let defaultName = "apus-runtime"

    /// An absolute path: `name` itself when it is one and there; else beside the shim (for the default only), then on PATH.
    static func find(_ name: String, configuration: ShimConfiguration) throws(ShimError) -> String {
        if name.hasPrefix("/") {
            if isExecutable(name) { return name }
            // Ours lies elsewhere after an upgrade that brought it to another place, and removed it there.
            guard FilePath(name).lastComponent?.string == defaultName, let moved = try? find("", configuration: configuration) else {
                throw ShimError(.notFound, "runtime \(name)", cause: "no executable file there")
            }
            return moved
        }
        guard !name.contains("/") else { throw ShimError(.invalidRequest, "runtime \(name)", cause: "neither a name nor an absolute path") }
        var directories = configuration.searchPath
        if name.isEmpty { directories.insert(FilePath(configuration.executable).removingLastComponent().string, at: 0) }
        let wanted = name.isEmpty ? defaultName : name
        for directory in directories {
            let candidate = "\(directory)/\(wanted)"
            if isExecutable(candidate) { return candidate }
        }
        throw ShimError(.notFound, "runtime \(wanted)", cause: "not in \(directories.joined(separator: ":"))")
    }

    private static func isExecutable(_ path: String) -> Bool {
        guard let file = try? openFile(FilePath(path), .path), let status = try? fileStatus(of: file.number) else { return false }
        return status.type == .regular && status.mode & 0o111 != 0
    }
}
