internal import EngineAPI
internal import LinuxSyscalls
internal import Snapshots
internal import SystemPackage

/// An image that a container shows at a place of its own, read-only as Docker's are. Its tree is made with the container and goes with
/// it; by its number among the container's images it is found again.
struct ImageMount: Equatable, Sendable {
    /// As written: a name or an id, looked up once, when the container is made.
    let reference: String
    let destination: String
    /// A path inside the image; nil is all of it.
    let subpath: String?

    /// The same as a path of the host. - Parameter directory: where the image's tree is for this run.
    func bind(from directory: String) -> BindMount {
        BindMount(
            source: directory, destination: destination, isReadOnly: true, readsOnlyRecursively: true, propagation: "rprivate",
            isRecursive: true, makesSource: false)
    }
}

/// An image mounted in the bundle of a run, where the runtime finds it at each start that the shim makes.
struct ImagePin {
    let mount: ImageMount
    let place: FilePath

    /// What a run has to pin, in the order of the images' numbers.
    static func pins(of plan: MountPlan, in paths: ContainerPaths) -> [ImagePin] {
        plan.images.enumerated().map { ImagePin(mount: $1, place: paths.pins.appending("image-\($0)")) }
    }

    /// - Parameters:
    ///   - tree: the mounts of the image's tree.
    ///   - scratch: any directory of the host.
    func make(of tree: [SnapshotMount], scratch: FilePath) throws(EngineError) {
        let doing = "mount image \(mount.reference) at \(mount.destination)"
        let opened: OwnedFD
        do throws(SnapshotError) { opened = try openReadOnly(tree, at: scratch, inside: mount.subpath) } catch {
            throw .system(doing, error)
        }
        do throws(SyscallError) { try VolumePin.attach(opened, at: place) } catch { throw .system(doing, error) }
    }
}
