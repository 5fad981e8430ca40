internal import LinuxSyscalls
internal import SystemPackage

/// The socket on which a runtime hands over the master of a payload's terminal.
/// - Spec: runc's docs/terminals.md, "detached".
final class ConsoleSocket {
    private static let messageByteCount = 4096

    /// What the runtime is told; reached through the shim's directory, so that its length never matters.
    let path: String
    private let file: FilePath
    private let directory: Descriptor
    private let listener: Descriptor

    init(_ path: String) throws(SyscallError) {
        file = FilePath(path)
        directory = Descriptor(try openFile(file.removingLastComponent(), [.path, .directory]))
        self.path = "/proc/\(processID())/fd/\(directory.number)/\(file.lastComponent?.string ?? "")"
        listener = Descriptor(try listenUnixSocket(FilePath(self.path), backlog: 1))
        try setNonBlocking(true, of: listener.number)
    }

    deinit { try? removeFile(file) }

    /// The master. The runtime has sent it before it ended, so nothing is waited for.
    func takeMaster() throws(ShimError) -> Descriptor {
        let received: [Descriptor]
        do throws(SyscallError) {
            let connection = Descriptor(try acceptConnection(listener.owned))
            try setNonBlocking(true, of: connection.number)
            let message = try receiveMessage(
                from: connection.owned, limitBytes: Self.messageByteCount, subject: "console socket")
            received = message.descriptors.map { Descriptor(OwnedFD(owning: $0)) }
        } catch { throw ShimError("terminal from the runtime", error) }
        guard received.count == 1, isTerminal(received[0].number) else {
            throw ShimError(.runtime, "terminal from the runtime", cause: "\(received.count) descriptors, which are no terminal")
        }
        return received[0]
    }
}
