internal import Glibc
package import LinuxSyscalls
internal import OCISpec
package import SystemPackage

/// What `create` and `run` are asked for.
package struct CreateRequest {
    package var id: String
    package var stateRoot: StateRoot
    package var bundle: FilePath
    /// Where compiled seccomp programs are kept between runs; nil compiles every time.
    package var filterCache: FilePath?
    /// Where the container's terminal goes; must be given exactly where the configuration asks for a terminal, unless `keepsTerminal`.
    package var consoleSocket: FilePath?
    /// `run` in the foreground relays the terminal itself.
    package var keepsTerminal = false
    package var pidFile: FilePath?
    /// A stream socket that gets a pidfd of the process.
    package var pidfdSocket: FilePath?
    package var pivoting = true
    /// Members of the configuration that the specification does not know are errors.
    package var isStrict = false
    package var newKeyring = true
    /// How many descriptors from 3 up the payload inherits.
    package var preservedDescriptors: Int32 = 0
    /// Whether the container may go without a cgroup where the caller has no right to one.
    package var rootless = RootlessPolicy.auto
    /// Where the systemd that makes the cgroup has its sockets, `/run` or `$XDG_RUNTIME_DIR`; nil makes it by files.
    package var systemdDirectory: String?
    /// Where newuidmap and newgidmap are looked for.
    package var searchPath = ""
    /// Appended to the payload's environment.
    package var addedEnvironment: [String] = []
    /// Given back to the payload, where the runtime has raised it for itself.
    package var descriptorLimit: DescriptorLimit?
    /// Whether init waits for `start` rather than for the same command.
    package var waitsForStart: Bool

    package init(id: String, stateRoot: StateRoot, bundle: FilePath, waitsForStart: Bool) {
        self.id = id
        self.stateRoot = stateRoot
        self.bundle = bundle
        self.waitsForStart = waitsForStart
    }
}

/// A process that is ready to become the payload, on the runtime's side.
package struct PreparedProcess: ~Copyable {
    package let handle: ProcessHandle
    /// The terminal's master where the command keeps it.
    package let terminal: OwnedFD?
    let channel: StageChannel

    package var process: Int32 { handle.process }

    /// Returns when the program runs of a process that was told to proceed.
    /// - Throws: what kept the program from running; the process has ended then.
    func awaitProgram(listener: SeccompListener?, state: @autoclosure () throws(RuntimeError) -> ContainerState) throws(RuntimeError) {
        while case .message(let received) = try channel.receive() {
            switch received.message {
            case .failed(let error): throw error
            case .listening(let descriptor):
                try listener?.hand(over: descriptor, of: handle, state: try state())
                try channel.send(.proceed)
            default: break
            }
        }
    }
}

/// Sends a pidfd to whoever listens at the socket of `--pidfd-socket`, with the word that runc sends: `standard` for a container's first
/// process, `setns` for one that `exec` adds.
func sendPidfd(_ handle: borrowing ProcessHandle, to path: FilePath?, word: String) throws(RuntimeError) {
    guard let path else { return }
    do throws(SyscallError) {
        let pidfd = try handle.pidfd()
        let socket = try connectUnixSocket(path)
        try sendMessage(Array(word.utf8), descriptors: [pidfd], to: socket, subject: path.string)
    } catch { throw RuntimeError(doing: "sending the pidfd", error) }
}

/// Takes the file away again, of what did not come about; what was no file of ours is left.
func removePIDFile(_ path: FilePath?) throws(RuntimeError) {
    guard let path else { return }
    try during("removing the pid file") { () throws(SyscallError) in
        if try !isOther(path) { try removeFile(path) }
    }
}

/// Writes the pid for those who asked for a file of it, whole or not at all.
func writePIDFile(_ path: FilePath?, process: Int32) throws(RuntimeError) {
    guard let path else { return }
    let text = Array(String(process).utf8)
    try during("writing the pid file") { () throws(SyscallError) in
        // A device or a pipe stays what it is, and gets the number; one that nobody reads from is an error.
        if try isOther(path) {
            let other = try openFile(path, [.writeOnly, .nonBlocking, .noControllingTerminal])
            return try writeAll(text, to: other.number, subject: path.string)
        }
        let name = path.lastComponent?.string ?? ""
        let temporary = path.removingLastComponent().appending(".\(name).tmp")
        let file = try openFile(temporary, [.writeOnly, .create, .truncate, .noFollow], mode: 0o644)
        try writeAll(text, to: file.number, subject: path.string)
        try renameFile(temporary, to: path)
    }
}

/// Whether what lies at a path, or where a link there leads, is neither a file nor nothing.
private func isOther(_ path: FilePath) throws(SyscallError) -> Bool {
    do throws(SyscallError) { return try fileStatus(path, followingLinks: true).type != .regular } catch  where error.errno == ENOENT {
        return false
    }
}
