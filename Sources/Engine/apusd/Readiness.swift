internal import LinuxSyscalls
internal import SystemPackage

/// Tells the service manager how the daemon does.
/// - Source: sd_notify(3).
struct Readiness {
    private let socket: FilePath?

    /// - Parameter environment: `KEY=value` each.
    init(environment: [String]) {
        let value = environment.first { $0.hasPrefix("NOTIFY_SOCKET=") }?.dropFirst("NOTIFY_SOCKET=".count) ?? ""
        socket = value.isEmpty ? nil : FilePath(String(value))
    }

    /// - Throws: `StartError` for a socket without a name in the file system, which systemd has used only where /run was missing.
    func check() throws {
        if let socket, !socket.isAbsolute { throw StartError("NOTIFY_SOCKET=\(socket) is not served: it is no absolute path") }
    }

    /// Sends a state such as `READY=1`; nothing where there is no service manager.
    func tell(_ state: String) throws(SyscallError) {
        guard let socket else { return }
        let connection = try connectUnixSocket(socket, .datagrams)
        try sendMessage(Array(state.utf8), to: connection, subject: socket.string)
    }
}
