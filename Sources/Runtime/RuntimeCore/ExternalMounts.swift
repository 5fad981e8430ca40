internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// What is mounted in a container and is the host's: criu neither dumps nor makes it, but finds it by a name.
struct ExternalMount: Equatable {
    /// Where it is mounted in the container, symbolic links of the root followed: its name in the images.
    let inside: String
    /// Where it comes from.
    let source: String

    /// What files are covered with, by the name that criu knows it by.
    static let nullDevice = "/dev/null"

    /// The host's mounts of a configuration.
    /// - Parameters:
    ///   - root: the container's root on the host.
    ///   - cgroup: where the container's cgroup is.
    static func all(
        in configuration: RuntimeConfiguration, bundle: String, root: String, cgroup: [CgroupPlace]
    ) throws(RuntimeError) -> [ExternalMount] {
        let plan: RootfsPlan
        do throws(RootfsError) { plan = try planRootfs(for: configuration, bundle: FilePath(bundle)) } catch { throw RuntimeError(error) }
        let directory = try during("opening the root") { () throws(SyscallError) in
            RootDirectory(try openFile(FilePath(root), [.path, .directory]))
        }
        var mounts: [ExternalMount] = []
        for step in plan.preparation {
            switch step {
            case .mount(let mount):
                let inside = directory.realPath(of: mount.destination)
                switch mount.kind {
                case .bind(let source, _): mounts.append(ExternalMount(inside: inside, source: source))
                case .cgroups(inOwnNamespace: false):
                    for place in cgroup {
                        guard let hierarchy = place.hierarchy else { continue }
                        mounts.append(ExternalMount(inside: "\(inside)/\(hierarchy)", source: place.path))
                    }
                case .fileSystem, .cgroups, .remount: break
                }
            // A user namespace, and whoever made the runtime's, let devices be bound alone.
            case .device(let device):
                mounts.append(ExternalMount(inside: directory.realPath(of: device.path), source: device.path))
            default: break
            }
        }
        return mounts
    }
}

/// A namespace of a container that is not its own: criu neither dumps nor makes it.
struct ExternalNamespace {
    let namespace: LinuxNamespace.Kind
    let path: String

    /// criu's word for the kind.
    var word: String { namespace == .network ? "net" : namespace.rawValue }

    /// The name of a network or pid namespace in the images, runc's too; nil for kinds that are joined when the container is restored.
    var key: String? {
        switch namespace {
        case .network: "extRootNetNS"
        case .pid: "extRootPidNS"
        case .mount, .uts, .ipc, .user, .cgroup, .time: nil
        }
    }

    static func all(in linux: LinuxConfiguration?) throws(RuntimeError) -> [ExternalNamespace] {
        var found: [ExternalNamespace] = []
        for namespace in linux?.namespaces ?? [] {
            guard let path = namespace.path else { continue }
            switch namespace.kind {
            case .cgroup, .time, .mount:
                throw RuntimeError(
                    .unsupported, doing: "linux.namespaces",
                    "criu cannot put a container into another's \(namespace.kind.rawValue) namespace: give it one of its own")
            case .network, .pid, .uts, .ipc, .user: found.append(ExternalNamespace(namespace: namespace.kind, path: path))
            }
        }
        return found
    }
}
