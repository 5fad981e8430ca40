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
    /// Whether something is not shown because the tree has no place for it yet.
    fileprivate let lacksPlaces: Bool
    /// Keeps the mounts below the root where nobody else does.
    private let namespace: OwnedFD?

    private init(
        file: consuming OwnedFD, namespace: consuming OwnedFD?, shift: OwnerShift? = nil, lacksPlaces: Bool = false
    ) {
        self.shift = shift
        self.lacksPlaces = lacksPlaces
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
                if try !Self.attach(bind, in: top) { kept.note() }
            }
            kept.take(try openFile("/proc/thread-self/ns/mnt", .readOnly))
            return top
        }
        return ContainerRoot(file: file, namespace: kept.give(), lacksPlaces: kept.lacksPlaces)
    }

    /// Makes the directory or file that something is shown in, as the container's first start would.
    private static func makePlace(for bind: BindMount, in root: borrowing OwnedFD) throws(SyscallError) {
        var place: FilePath = "/"
        guard let isDirectory = try bind.showsDirectory() else { return }
        let components = FilePath(bind.destination).components
        for (number, component) in components.enumerated() {
            do throws(SyscallError) {
                let parent = try openInRoot(place, [.path, .directory], root: root)
                let name = FilePath(component.string)
                if isDirectory || number < components.count - 1 {
                    try makeDirectory(name, at: parent.number)
                } else {
                    _ = try openFile(name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o755, at: parent.number)
                }
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

    /// Shows a bind where the container would have it. What has no source is not shown.
    /// - Returns: whether the tree has a place for it.
    private static func attach(_ bind: BindMount, in root: borrowing OwnedFD) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            let source = try bind.openSource()
            let place: OwnedFD
            do throws(SyscallError) { place = try openInRoot(FilePath(bind.destination), .path, root: root) } catch {
                guard error.errno == Errno.noSuchFileOrDirectory.rawValue else { throw error }
                return false
            }
            let isDirectory = try fileStatus(of: source.number, subject: bind.source).type == .directory
            guard try fileStatus(of: place.number, subject: bind.destination).type == .directory ? isDirectory : !isDirectory else {
                return true
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
        return true
    }
}

extension BindMount {
    /// Whether what is shown is a directory; nil for what is not there.
    fileprivate func showsDirectory() throws(SyscallError) -> Bool? {
        do throws(SyscallError) {
            let shown = try openSource()
            return try fileStatus(of: shown.number, subject: source).type == .directory
        } catch {
            guard [.noSuchFileOrDirectory, .notDirectory].contains(Errno(rawValue: error.errno)) else { throw error }
            return nil
        }
    }
}

/// A descriptor on its way out of a thread, and what was seen there.
private final class KeptDescriptor: Sendable {
    private let number = Mutex<Int32?>(nil)
    private let lacking = Mutex(false)

    /// Whether something had no place.
    var lacksPlaces: Bool { lacking.withLock(\.self) }
    func note() { lacking.withLock { $0 = true } }

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
        // Made once by us where the first start has not made them; who takes them away again sees the tree without.
        var hasPlaces = alone || writable
        var looks = 0
        while true {
            switch state {
            case .running(let task), .paused(let task), .stopping(let task):
                guard let root = try await root(of: task, alone: alone) else {
                    looks += 1
                    guard looks < Self.untoldEndLooks else { throw notRunning }
                    await nextExit(of: task, within: Self.untoldEndPause)
                    continue
                }
                return try await BlockingWork.run(.trees) { () throws(EngineError) in try body(root) }
            case .starting(let decided): _ = await decided.value(within: nil)
            case .exiting(let task): _ = await task.settled.value(within: nil)
            case .restarting where writable:
                throw EngineError(.conflict, "Container \(id) is restarting, wait until the container is running")
            case .restarting:
                if let value = try await withStoredRoot(writable: false, alone: alone, body) { return value }
            case .created, .exited:
                if let work = rootWork {
                    _ = await work.value(within: nil)
                } else if let value = try await withStoredRoot(writable: writable, alone: alone, needsPlaces: !hasPlaces, body) {
                    return value
                } else {
                    hasPlaces = true
                    if rootWork == nil, state.isAtRest { _ = try await withStoredRoot(writable: true, alone: false) { _ in () } }
                }
            case .removing, .dead: throw EngineError(.conflict, "container \(id) is marked for removal")
            }
            if Task.isCancelled { throw EngineError(.unavailable, "the request was cancelled") }
        }
    }

    /// How often, and how long each time, the word of an end is waited for that has come already: ten seconds.
    private static let (untoldEndLooks, untoldEndPause) = (50, Duration.milliseconds(200))

    private func nextExit(of task: RunningTask, within timeout: Duration) async {
        guard state.runningTask?.pid == task.pid else { return }
        _ = await wait(for: .nextExit).outcome.value(within: timeout)
    }

    /// What somebody is told whose work with the container's files failed: they go before the container's name does.
    func explained(_ error: EngineError) -> EngineError {
        guard [.system, .notFound].contains(error.code), state.phase == .removing else { return error }
        return EngineError(.notFound, ContainerIndex.noSuchContainer(id.text).message, cause: error)
    }

    /// - Returns: nil where the process has ended, of which its shim may not have told yet.
    private func root(of task: RunningTask, alone: Bool) async throws(EngineError) -> ContainerRoot? {
        let namespace: HeldNamespace
        do throws(EngineError) { namespace = try await heldNamespace(.mount, of: task) } catch {
            guard state.runningTask?.pid != task.pid || HeldNamespace.hasEnded(task.pid) else { throw error }
            return nil
        }
        let shift = try await userNamespaceIDs()?.shift
        return try await BlockingWork.run(.trees) { () throws(EngineError) in
            do throws(SyscallError) { return try ContainerRoot.open(inside: namespace, alone: alone, shift: shift) } catch {
                throw .system("open the container's root", error)
            }
        }
    }

    /// - Parameter needsPlaces: whether nothing is to be done in a tree without a place for each of the mounts.
    /// - Returns: nil where nothing was done.
    private func withStoredRoot<Value: Sendable>(
        writable: Bool, alone: Bool, needsPlaces: Bool = false,
        _ body: @escaping @Sendable (ContainerRoot) throws(EngineError) -> Value
    ) async throws(EngineError) -> Value? {
        let done = OneShot<Void>()
        // Two writers of one overlay would not see each other's files.
        if writable { rootWork = done }
        rootReaders += 1
        defer {
            rootReaders -= 1
            if writable { rootWork = nil }
            done.settle(())
        }
        do throws(EngineError) {
            return try await workInStoredRoot(writable: writable, alone: alone, needsPlaces: needsPlaces, body)
        } catch { throw explained(error) }
    }

    private func workInStoredRoot<Value: Sendable>(
        writable: Bool, alone: Bool, needsPlaces: Bool, _ body: @escaping @Sendable (ContainerRoot) throws(EngineError) -> Value
    ) async throws(EngineError) -> Value? {
        let mounts: [SnapshotMount]
        do throws(ImageError) { mounts = try await services.images.rootMounts(of: id) } catch { throw EngineError(error) }
        let (binds, scratch) = (
            // Not one of the container's own: what it hides is not shown.
            alone ? [] : try await shownFiles(), services.configuration.execRoot.appending("bundles")
        )
        return try await BlockingWork.run(.trees) { () throws(EngineError) in
            let root: ContainerRoot
            do throws(SyscallError) {
                root = try ContainerRoot.mount(mounts, binds: binds, writable: writable, scratch: scratch)
            } catch { throw .system("mount the container's root", error) }
            return needsPlaces && root.lacksPlaces ? nil : try body(root)
        }
    }

    /// Everything that is mounted into the container but file systems of its own: what the request shows of the host, and the files in `/etc`
    /// that the engine writes.
    private func shownFiles() async throws(EngineError) -> [BindMount] {
        let plan = try document.mountPlan(in: services.volumes.folder)
        // Before the first start they are the image's, and may be replaced, as with Docker.
        if document.startedAt == .zero { return plan.shown }
        var files = paths.networkFiles
        if case .container(let name) = NamespaceModes.networkOwner(document.hostConfig.networkMode),
            let other = try? services.index.find(name)
        {
            files = other.paths.networkFiles
        }
        let taken = Set(plan.entries.map(\.destination))
        let own = [("/etc/resolv.conf", files.resolver), ("/etc/hostname", files.hostname), ("/etc/hosts", files.hosts)]
        return own.filter { !taken.contains($0.0) && !taken.contains("/etc") }.map { destination, source in
            BindMount(
                source: source, destination: destination, isReadOnly: document.hostConfig.readonlyRootfs, readsOnlyRecursively: false,
                propagation: "rprivate", isRecursive: false, makesSource: false)
        } + plan.shown
    }
}
