internal import Archive
internal import CoreTypes
internal import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import OCISpec
internal import Snapshots
internal import Synchronization
internal import SystemPackage

/// A container's files, from their root, with what is mounted among them, for as long as this value lives.
///
/// Of a running container it is the root of its mount namespace, whatever its processes have changed theirs to. Of one that does not run
/// it is made of its snapshot and binds in a mount namespace that nobody is in.
final class ContainerRoot: Sendable {
    let file: OwnedFD
    /// What the ids of the inside are in these files: those of a user namespace while the container runs; nil is the same.
    let shift: OwnerShift?
    /// Keeps the mounts below the root where nobody else does.
    private let namespace: OwnedFD?

    private init(file: consuming OwnedFD, namespace: consuming OwnedFD?, shift: OwnerShift? = nil) {
        self.shift = shift
        self.file = file
        self.namespace = namespace
    }

    /// Opens the root of a mount namespace. Blocks.
    /// - Parameter alone: without what is mounted below it.
    static func open(inside namespace: HeldNamespace, alone: Bool, shift: OwnerShift?) throws(SyscallError) -> ContainerRoot {
        let root = try openInOwnMountNamespace { () throws(SyscallError) in
            try namespace.join(.mount)
            return alone ? try openTree("/", .clone) : try openFile("/", [.path, .directory])
        }
        return ContainerRoot(file: root, namespace: nil, shift: shift)
    }

    /// Mounts a snapshot, and binds in it, where only this value reaches them. Blocks.
    /// - Parameter scratch: any directory of the host.
    static func mount(
        _ mounts: [SnapshotMount], binds: [BindMount], writable: Bool, scratch: FilePath
    ) throws(SyscallError) -> ContainerRoot {
        guard let root = mounts.last else {
            throw SyscallError("open", "a root without mounts", errno: Errno.noSuchFileOrDirectory.rawValue)
        }
        let kept = KeptDescriptor()
        let file = try openInOwnMountNamespace { () throws(SyscallError) in
            let line = writable ? FstabMount(type: root.type, source: root.source, options: root.options) : root.readOnly
            try line.perform(onto: scratch)
            let top = try openFile(scratch, [.readOnly, .directory])
            for bind in binds {
                if writable { try Self.makePlace(for: bind, in: top) }
                try Self.attach(bind, in: top)
            }
            kept.take(try openFile("/proc/thread-self/ns/mnt", .readOnly))
            return top
        }
        return ContainerRoot(file: file, namespace: kept.give())
    }

    /// Makes the directory that a volume is shown in, as the container's first start would.
    private static func makePlace(for bind: BindMount, in root: borrowing OwnedFD) throws(SyscallError) {
        var place: FilePath = "/"
        for component in FilePath(bind.destination).components {
            do throws(SyscallError) {
                let parent = try openInRoot(place, [.path, .directory], root: root)
                try makeDirectory(FilePath(component.string), at: parent.number)
            } catch {
                switch Errno(rawValue: error.errno) {
                case .fileExists: break
                // A file stands in the way, of this one and of the container.
                case .notDirectory, .noSuchFileOrDirectory: return
                default: throw error
                }
            }
            place.append(component)
        }
    }

    /// Shows a bind where the container would have it. What has no place in the tree, or no source, was never seen by the container.
    private static func attach(_ bind: BindMount, in root: borrowing OwnedFD) throws(SyscallError) {
        do throws(SyscallError) {
            let source = try bind.openSource()
            let place = try openInRoot(FilePath(bind.destination), .path, root: root)
            let isDirectory = try fileStatus(of: source.number, subject: bind.source).type == .directory
            guard try fileStatus(of: place.number, subject: bind.destination).type == .directory ? isDirectory : !isDirectory else {
                return
            }
            if bind.isReadOnly {
                try changeMountAttributes(
                    of: source.number, set: .readOnly, clear: [], recursive: bind.isRecursive && bind.readsOnlyRecursively,
                    subject: bind.destination)
            }
            try moveMount(source, onto: place, subject: bind.destination)
        } catch {
            guard [.noSuchFileOrDirectory, .notDirectory].contains(Errno(rawValue: error.errno)) else { throw error }
        }
    }
}

/// A descriptor on its way out of a thread.
private final class KeptDescriptor: Sendable {
    private let number = Mutex<Int32?>(nil)

    func take(_ file: consuming OwnedFD) {
        let value = file.release()
        number.withLock { $0 = value }
    }

    func give() -> OwnedFD? {
        number.withLock { number in
            defer { number = nil }
            return number.map { OwnedFD(owning: $0) }
        }
    }
}

extension Container {
    /// Opens the container's files as they are now, and works with them on a thread that may block. A container that does not run is not
    /// started meanwhile when they are changed.
    /// - Parameter alone: the root file system without what is mounted in it.
    func withRoot<Value: Sendable>(
        writable: Bool, alone: Bool = false, _ body: @escaping @Sendable (ContainerRoot) throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        while true {
            switch state {
            case .running(let task), .paused(let task), .stopping(let task):
                let root = try await root(of: task, alone: alone)
                return try await BlockingWork.run(.trees) { () throws(EngineError) in try body(root) }
            case .starting(let decided): _ = await decided.value(within: nil)
            case .exiting(let task): _ = await task.settled.value(within: nil)
            case .restarting where writable:
                throw EngineError(.conflict, "Container \(id) is restarting, wait until the container is running")
            case .restarting: return try await withStoredRoot(writable: false, alone: alone, body)
            case .created, .exited:
                guard let work = rootWork else { return try await withStoredRoot(writable: writable, alone: alone, body) }
                _ = await work.value(within: nil)
            case .removing, .dead: throw EngineError(.conflict, "container \(id) is marked for removal")
            }
            if Task.isCancelled { throw EngineError(.unavailable, "the request was cancelled") }
        }
    }

    private func root(of task: RunningTask, alone: Bool) async throws(EngineError) -> ContainerRoot {
        let namespace = try await heldNamespace(.mount, of: task)
        let shift = try await userNamespaceIDs()?.shift
        return try await BlockingWork.run(.trees) { () throws(EngineError) in
            do throws(SyscallError) { return try ContainerRoot.open(inside: namespace, alone: alone, shift: shift) } catch {
                throw .system("open the container's root", error)
            }
        }
    }

    private func withStoredRoot<Value: Sendable>(
        writable: Bool, alone: Bool, _ body: @escaping @Sendable (ContainerRoot) throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        let done = OneShot<Void>()
        // Two writers of one overlay would not see each other's files.
        if writable { rootWork = done }
        rootReaders += 1
        defer {
            rootReaders -= 1
            if writable { rootWork = nil }
            done.settle(())
        }
        let mounts: [SnapshotMount]
        do throws(ImageError) { mounts = try await services.images.rootMounts(of: id) } catch { throw EngineError(error) }
        let (binds, scratch) = (alone ? [] : try document.mountPlan(in: services.volumes.folder).shown, paths.directory)
        return try await BlockingWork.run(.trees) { () throws(EngineError) in
            let root: ContainerRoot
            do throws(SyscallError) {
                root = try ContainerRoot.mount(mounts, binds: binds, writable: writable, scratch: scratch)
            } catch { throw .system("mount the container's root", error) }
            return try body(root)
        }
    }
}
