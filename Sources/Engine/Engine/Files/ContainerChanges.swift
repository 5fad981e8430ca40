internal import Archive
package import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import Snapshots
internal import SystemPackage

extension ContainerEngine {
    /// `GET /containers/{id}/changes`: what of the image's files is changed, added and deleted.
    /// - Throws: `.notImplemented` for a storage driver that keeps no writable layer apart.
    package func containerChanges(_ name: String) async throws(EngineError) -> [FilesystemChange] {
        try await container(name).changes()
    }
}

extension Container {
    fileprivate func changes() async throws(EngineError) -> [FilesystemChange] {
        do throws(EngineError) { return try await compare() } catch { throw explained(error) }
    }

    private func compare() async throws(EngineError) -> [FilesystemChange] {
        rootReaders += 1
        defer { rootReaders -= 1 }
        let mounts: [SnapshotMount]
        do throws(ImageError) { mounts = try await services.images.rootMounts(of: id) } catch { throw EngineError(error) }
        guard let root = mounts.last, let upper = root.upperDirectory else {
            throw EngineError(.notImplemented, "changes are not supported by the storage driver \(services.images.storageDriver ?? "")")
        }
        let scratch = paths.directory
        return try await BlockingWork.run(.trees) { () throws(EngineError) in
            do throws(SyscallError) {
                let written = try openFile(upper, [.readOnly, .directory])
                let below = try root.openBelow(scratch: scratch)
                var changes = ChangeCollector()
                try changes.collect(WrittenLevel(path: "", upper: written, lower: below))
                return changes.sorted
            } catch { throw .system("compare the container's files with its image's", error) }
        }
    }
}

extension SnapshotMount {
    /// The image's tree, without what the container has written; nil for an empty image.
    fileprivate func openBelow(scratch: FilePath) throws(SyscallError) -> HeldDirectory? {
        guard let below = withoutUpper else { return nil }
        return HeldDirectory(
            try openInOwnMountNamespace { () throws(SyscallError) in
                try below.perform(onto: scratch)
                return try openFile(scratch, [.readOnly, .directory])
            })
    }
}

/// Lets a descriptor be optional.
private final class HeldDirectory {
    let file: OwnedFD

    init(_ file: consuming OwnedFD) { self.file = file }
}

/// A directory of the writable layer that is being looked through.
private final class WrittenLevel {
    /// Empty for the root.
    let path: String
    let upper: OwnedFD
    /// The directory that it stands over; nil where there is none.
    let lower: HeldDirectory?
    var names: ArraySlice<FilePath> = []
    /// What is changed below, besides itself.
    var hasChanges = false
    /// Whether it is other than the one below in itself.
    var isOther = false
    var isOpaque = false

    init(path: String, upper: consuming OwnedFD, lower: HeldDirectory?) {
        self.path = path
        self.upper = upper
        self.lower = lower
    }
}

/// Compares a writable layer with what it lies on.
private struct ChangeCollector {
    /// Directories in one another.
    private static let depthLimit = 2048

    /// What the engine itself puts into every container, to mount over it.
    private static let placeholders: Set<String> = [
        "/dev", "/dev/console", "/dev/mqueue", "/dev/pts", "/dev/shm", "/etc", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc",
        "/sbin", "/sys", "/sys/fs", "/sys/fs/cgroup", Specification.initDestination,
    ]

    private var changes: [(path: String, kind: FilesystemChange.Kind)] = []

    var sorted: [FilesystemChange] {
        changes.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }.map { FilesystemChange(path: $0.path, kind: $0.kind) }
    }

    mutating func collect(_ top: WrittenLevel) throws(SyscallError) {
        top.names = try names(in: top.upper)
        var levels = [top]
        while let level = levels.last {
            if let name = level.names.popFirst() {
                guard let below = try look(at: name, in: level) else { continue }
                guard levels.count < Self.depthLimit else {
                    throw SyscallError("open", below.path, errno: Errno.fileNameTooLong.rawValue)
                }
                levels.append(below)
                continue
            }
            levels.removeLast()
            if let above = levels.last { try close(level, in: above) }
        }
    }

    /// - Returns: what is to be gone through next, for a directory.
    private mutating func look(at name: FilePath, in level: WrittenLevel) throws(SyscallError) -> WrittenLevel? {
        guard let status = try present(name, in: level.upper.number) else { return nil }
        let path = "\(level.path)/\(name.string)"
        var lower: FileStatus?
        if let directory = level.lower?.file.number { lower = try present(name, in: directory) }
        if status.isWhiteout {
            if lower != nil { record(path, .deleted, in: level) }
            return nil
        }
        guard status.type == .directory else {
            let isPlaceholder = lower == nil && status.type == .regular && status.sizeBytes == 0 && Self.placeholders.contains(path)
            let isUntouched = try InitialFiles.isUntouched(path, status, name, in: level.upper.number)
            if !isPlaceholder && !isUntouched { record(path, lower == nil ? .added : .modified, in: level) }
            return nil
        }
        var below: HeldDirectory?
        if lower?.type == .directory, let directory = level.lower?.file.number {
            below = HeldDirectory(try openFile(name, [.readOnly, .directory, .noFollow], at: directory))
        }
        let next = WrittenLevel(
            path: path, upper: try openFile(name, [.readOnly, .directory, .noFollow], at: level.upper.number), lower: below)
        next.names = try names(in: next.upper)
        next.isOther =
            lower.map { ($0.type, $0.mode, $0.userID, $0.groupID) != (status.type, status.mode, status.userID, status.groupID) } ?? true
        next.isOpaque = try extendedAttribute(OverlayMarks.opaque, of: next.upper.number, subject: path) == Array("y".utf8)
        return next
    }

    /// Records a directory when all in it has been looked at.
    private mutating func close(_ level: WrittenLevel, in above: WrittenLevel) throws(SyscallError) {
        if level.isOpaque, let lower = level.lower {
            for name in try names(in: lower.file) where try present(name, in: level.upper.number) == nil {
                record("\(level.path)/\(name.string)", .deleted, in: level)
            }
        }
        guard level.lower != nil else {
            if level.hasChanges || !Self.placeholders.contains(level.path) { record(level.path, .added, in: above) }
            return
        }
        if level.hasChanges || level.isOther { record(level.path, .modified, in: above) }
    }

    private mutating func record(_ path: String, _ kind: FilesystemChange.Kind, in level: WrittenLevel) {
        changes.append((path, kind))
        level.hasChanges = true
    }

    private func names(in directory: borrowing OwnedFD) throws(SyscallError) -> ArraySlice<FilePath> {
        try directoryEntries(of: directory).map(\.name)[...]
    }

    /// nil for what is not there, or no longer.
    private func present(_ name: FilePath, in directory: Int32) throws(SyscallError) -> FileStatus? {
        do throws(SyscallError) { return try fileStatus(name, at: directory) } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return nil }
            throw error
        }
    }
}
