internal import LinuxSyscalls

/// Sockets that the service manager listens at and hands over.
/// - Source: sd_listen_fds(3).
enum InheritedSockets {
    private static let first: Int32 = 3
    private static let limit: Int32 = 64

    /// The sockets' descriptors; none where there are none for this process.
    /// - Parameter environment: `KEY=value` each.
    static func take(_ environment: [String]) throws -> [Int32] {
        func value(_ name: String) -> String? {
            environment.first { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.count + 1)) }
        }
        guard let owner = value("LISTEN_PID"), Int32(owner) == processID(), let text = value("LISTEN_FDS") else { return [] }
        guard let count = Int32(text), (1...limit).contains(count) else {
            throw StartError("LISTEN_FDS=\(text) is not served: it is no number from 1 to \(limit)")
        }
        let sockets = Array(first..<first + count)
        // Containers' shims are not to have them.
        for socket in sockets { try setCloseOnExec(true, of: socket) }
        return sockets
    }
}
