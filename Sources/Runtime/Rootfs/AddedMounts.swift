internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
package import OCISpec
package import SystemPackage

/// The steps that mount something in a container that exists already.
/// - Parameter bundle: where relative sources start.
/// - Throws: `invalidConfiguration` or `unsupported`, naming the field below `[index]`.
package func planAddedMounts(
    _ mounts: [MountConfiguration], for configuration: RuntimeConfiguration, bundle: FilePath
) throws(RootfsError) -> RootfsPlan {
    var plan = MountPlan(bundle: bundle, linux: configuration.linux ?? LinuxConfiguration())
    for (index, mount) in mounts.enumerated() { try plan.add(mount, field: "[\(index)]") }
    for step in plan.steps {
        guard case .mount(let mount) = step else { continue }
        if case .cgroups = mount.kind {
            throw RootfsError(.unsupported, "[].type", "a cgroup hierarchy is not mounted into a container that exists")
        }
        if mount.copiesLink { throw RootfsError(.unsupported, "[].options", "copy-symlink is for containers that are being made") }
    }
    return RootfsPlan(
        preparation: plan.steps.map(\.withPreparedSource), completion: plan.readOnlyLater.map { .makeMountReadOnly($0) }, listOfMounts: "")
}

/// Where mounts of a document lie in the container, checked; only `destination` of each is looked at.
package func destinations(of mounts: [MountConfiguration]) throws(RootfsError) -> [String] {
    try mounts.enumerated().map { (index, mount) throws(RootfsError) in
        let destination = pathInRoot(mount.destination)
        if mount.destination.isEmpty || destination == "/" {
            throw RootfsError(.invalidConfiguration, "[\(index)].destination", "names no mount below the root")
        }
        // With procfs would go what hides parts of it, and what is put over a part is what hides it.
        if destination == "/proc" || destination.hasPrefix("/proc/") && !mayLieOnProc(destination) {
            throw RootfsError(.invalidConfiguration, "[\(index)].destination", "\(destination) hides or is procfs, which stays as it is")
        }
        return destination
    }
}

extension RootfsPlan {
    /// The same with the sources of binds opened where the runtime's rights count: of a user namespace, in which none passes mounts on to the host.
    package var preparingBinds: RootfsPlan {
        RootfsPlan(
            preparation: preparation.map { step in
                guard case .mount(let mount) = step, case .bind = mount.kind, !mount.copiesLink else { return step }
                return step.withPreparedSource
            }, completion: completion)
    }
}

extension RootfsStep {
    /// The source of a bind is the host's: it is opened before the container's mount namespace is joined.
    fileprivate var withPreparedSource: RootfsStep {
        guard case .mount(var mount) = self else { return self }
        mount.hasPreparedSource = true
        return .mount(mount)
    }
}

extension RootfsBuilder {
    /// Performs the steps of `planAddedMounts` from inside the container's mount namespace. What was mounted before one fails is unmounted.
    package mutating func mountIntoContainer() throws(RootfsError) {
        do throws(SyscallError) {
            // Names of descriptors lead through the procfs at /proc, which is the container's here.
            if yard != nil { throw SyscallError("move_mount", "into a container", errno: ENOSYS) }
            root = RootDirectory(try openFile("/", [.path, .directory]))
        } catch {
            throw RootfsError("open the container's root", error)
        }
        do throws(RootfsError) {
            try prepare(cgroup: [])
            try complete()
        } catch {
            var error = error
            for destination in mountedDestinations.reversed() {
                error = error.followed { () throws(RootfsError) in try unmountFromContainer([destination]) }
            }
            throw error
        }
    }
}

/// Unmounts what lies at paths of the container, in its mount namespace, which the calling process has joined: all of it, or nothing where one is no
/// mount.
package func unmountFromContainer(_ destinations: [String]) throws(RootfsError) {
    for destination in destinations {
        do throws(SyscallError) {
            let root = RootDirectory(try openFile("/", [.path, .directory]))
            let place = try root.open(destination, [.path, .noFollow])
            // Before Linux 5.8 nobody tells.
            let mount = try? mountPlace(of: place.number, subject: destination)
            if mount?.isRoot == false { throw SyscallError("umount", "no mount", errno: EINVAL) }
            let path = FilePath(destination)
            guard let name = path.lastComponent else { throw SyscallError("umount", destination, errno: EINVAL) }
            try keepProcfs(name.string, in: root.open(path.removingLastComponent().string, [.path, .directory]), destination)
        } catch { throw RootfsError("unmount \(destination)", error) }
    }
    for destination in destinations.reversed() {
        do throws(SyscallError) {
            try unmount(destination, in: RootDirectory(openFile("/", [.path, .directory])))
        } catch { throw RootfsError("unmount \(destination)", error) }
    }
}

/// By the directory that it lies in, which no link of the container leads astray.
private func unmount(_ destination: String, in root: borrowing RootDirectory) throws(SyscallError) {
    let path = FilePath(destination)
    guard let name = path.lastComponent else { throw SyscallError("umount", destination, errno: EINVAL) }
    let directory = try root.open(path.removingLastComponent().string, [.path, .directory])
    try keepProcfs(name.string, in: directory, destination)
    try changeDirectory(to: directory, subject: destination)
    try unmount(FilePath(name.string), [.detach, .noFollow])
    try changeDirectory("/")
}

/// The container's procfs and what hides files of it stay, whatever the way there is called: who owns the root can put links into it.
private func keepProcfs(_ name: String, in directory: borrowing OwnedFD, _ destination: String) throws(SyscallError) {
    let isProcfsAbove = try fileSystemKind(of: directory.number, subject: destination) == .proc
    let (above, root) = (try fileStatus(of: directory.number, subject: destination), try fileStatus("/"))
    let isProcfs = name == "proc" && above.inode == root.inode && above.fileSystem == root.fileSystem
    if isProcfsAbove && !mayLieOnProc(destination) || isProcfs { throw SyscallError("verify:", "the way leads into procfs", errno: EPERM) }
}
