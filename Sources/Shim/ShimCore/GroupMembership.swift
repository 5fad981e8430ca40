internal import LinuxSyscalls
internal import SystemPackage

/// The container as one of several of its shim, each with a directory of its own for its record and the runtime's state.
extension ContainerTask {
    /// Makes it, in place of one that a shim killed in the midst has left.
    func makeDirectory() throws(ShimError) {
        guard context.configuration.isOfGroup else { return }
        let path = FilePath(configuration.directory)
        do throws(SyscallError) {
            try removeTree(path)
            try LinuxSyscalls.makeDirectory(path, mode: 0o700)
        } catch { throw ShimError("create \(id)", error) }
    }

    /// Takes it away, when nothing of the container is left.
    func removeDirectory() {
        guard context.configuration.isOfGroup else { return }
        do throws(SyscallError) { try removeTree(FilePath(configuration.directory)) } catch { context.report("\(error)") }
    }
}
