internal import JSON
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// Who decides about the calls that a filter hands over: a socket of the host's that gets the listener's descriptor.
/// - Spec: config-linux.md, "Seccomp", `listenerPath`; runtime.md, "The Container Process State".
struct SeccompListener {
    private let path: FilePath
    private let metadata: String?

    /// nil where a profile names no socket.
    init?(_ profile: SeccompConfiguration?) {
        guard let path = profile?.listenerPath, !path.isEmpty else { return nil }
        self.path = FilePath(path)
        metadata = profile?.listenerMetadata
    }

    /// Takes the listener from the process that has just loaded the filter, and sends it with the state.
    /// - Parameter descriptor: as the process numbers it.
    func hand(over descriptor: Int32, of handle: borrowing ProcessHandle, state: ContainerState) throws(RuntimeError) {
        do throws(SyscallError) {
            let listener = try handle.copyDescriptor(descriptor, subject: "seccomp listener")
            let socket = try connectUnixSocket(path)
            try sendMessage(document(handle.process, state), descriptors: [listener.number], to: socket, subject: path.string)
        } catch { throw RuntimeError(doing: "handing the seccomp listener over to linux.seccomp.listenerPath", error) }
    }

    private func document(_ process: Int32, _ state: ContainerState) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("ociVersion", state.ociVersion)
            writer.member("fds", ["seccompFd"])
            writer.member("pid", process)
            writer.member("metadata", metadata)
            writer.name("state")
            writer.raw(state.encode())
        }
        return writer.bytes
    }
}
