internal import Glibc
internal import LinuxSyscalls
package import OCISpec
internal import Rootfs
package import SystemPackage

/// Mounts into, or unmounts from, a container that exists: crun's `mounts`.
package struct MountChange {
    private let container: Container
    private let configuration: RuntimeConfiguration
    /// Relative sources start here.
    private let directory: FilePath

    package init(_ container: Container, directory: FilePath) throws(RuntimeError) {
        self.container = container
        self.directory = directory
        configuration = try container.configuration()
        guard configuration.linux?.namespace(.mount) != nil else {
            throw RuntimeError(.unsupported, "the container has no mount namespace of its own")
        }
    }

    /// Mounts all of them, or none.
    package func add(_ mounts: [MountConfiguration]) throws(RuntimeError) {
        let plan: RootfsPlan
        do throws(RootfsError) { plan = try planAddedMounts(mounts, for: configuration, bundle: directory) } catch {
            throw RuntimeError(error)
        }
        let trees = try MappedTrees(
            plan, rootfsPropagation: configuration.linux?.rootfsPropagation,
            locking: configuration.linux?.namespace(.user) != nil && effectiveUserID() == 0)
        try inside(keeping: trees.descriptors.map(\.number)) { () throws(RuntimeError) in
            var builder = RootfsBuilder(plan, mappedTrees: try trees.duplicates())
            do throws(RootfsError) { try builder.mountIntoContainer() } catch { throw RuntimeError(error) }
        }
    }

    /// Unmounts what lies at the destinations of `mounts`.
    package func remove(_ mounts: [MountConfiguration]) throws(RuntimeError) {
        let paths: [String]
        do throws(RootfsError) { paths = try destinations(of: mounts) } catch { throw RuntimeError(error) }
        try inside(keeping: []) { () throws(RuntimeError) in
            do throws(RootfsError) { try unmountFromContainer(paths) } catch { throw RuntimeError(error) }
        }
    }

    /// Does something in a process that has joined the container's mount and user namespaces, and nothing else of it: the container's pid
    /// namespace does not show it.
    private func inside(keeping descriptors: [Int32], _ body: () throws(RuntimeError) -> Void) throws(RuntimeError) {
        guard let target = try container.openInit() else { throw RuntimeError(.wrongStatus, "container not running") }
        var types: NamespaceTypes = .mount
        if configuration.linux?.namespace(.user) != nil { types.insert(.user) }
        let (ours, theirs) = try StageChannel.pair()
        try during("protecting the runtime") { () throws(SyscallError) in try hideFromContainer() }
        switch try during("cloning the process", { () throws(SyscallError) in try cloneProcess() }) {
        case .child:
            do throws(RuntimeError) {
                try during("joining the container's namespaces") { () throws(SyscallError) in
                    try setParentDeathSignal(SIGKILL)
                    var kept = descriptors + [theirs.socket.number]
                    if let held = target.heldDescriptor { kept.append(held) }
                    try letGoOfDescriptors(from: 3, except: kept)
                    try target.joinNamespaces(types, subject: "container")
                    if types.contains(.user) {
                        try becomeRoot(orElse: configuration.process?.user ?? UserConfiguration())
                        try hideFromContainer()
                    }
                }
                try body()
                try theirs.send(.prepared)
            } catch { try? theirs.send(.failed(error)) }
            exitAtOnce(0)
        case .parent(let made):
            let process = made.process
            theirs.socket.close()
            guard case .message(let answer) = try ours.receive() else { throw lostProcess(process) }
            _ = try during("waiting for the process") { () throws(SyscallError) in try waitForExit(.process(process)) }
            if case .failed(let error) = answer.message { throw error }
        }
    }
}
