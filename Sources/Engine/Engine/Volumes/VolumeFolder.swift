internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import Snapshots
internal import SystemPackage

/// The volumes on disk:
/// ```
/// <name>/volume.json   what is known of it
/// <name>/_data/        what containers see
/// <name>/copying/      an image's files that are being copied; removed at the start
/// <name>/copied/       the same when they are all there, on their way into _data; they go on at the start
/// <name>/maker         a link that says which container in the making it was made for; goes once that is on record
/// .making/<name>/      volumes in the making; emptied at the start
/// .trash/<random>/     being removed; emptied at the start, as far as it can be
/// ```
/// A volume is there or not by one rename, and describes itself: it outlives the loss of every other record. Every function blocks.
struct VolumeFolder: Sendable {
    /// The most that is read of a `volume.json`.
    private static let documentLimitBytes = 1 << 20

    let root: FilePath

    /// The folder of all that the daemon keeps.
    var daemonRoot: String { root.removingLastComponent().string }

    private var making: FilePath { root.appending(".making") }
    private var trash: FilePath { root.appending(".trash") }

    /// The directory that containers see.
    func contents(of name: String) -> FilePath { root.appending(name).appending("_data") }

    /// Makes the folder, takes away what a crash left half done, and lists the rest.
    /// - Parameter report: told of each volume that cannot be read, and of what cannot be erased; both are left alone.
    /// - Returns: what is known of each volume, or why nothing is.
    func open(report: (EngineError) -> Void) throws(EngineError) -> [String: Result<VolumeDocument, EngineError>] {
        var found: [String: Result<VolumeDocument, EngineError>] = [:]
        do throws(SyscallError) {
            for path in [making, trash] {
                try makeDirectories(path, mode: 0o710)
                try empty(path, report: report)
            }
            let directory = try openFile(root, [.readOnly, .directory])
            for entry in try directoryEntries(of: directory, subject: root.string) {
                let name = entry.name.string
                // What no volume is called is none: `lost+found` of a file system of the volumes' own.
                do throws(EngineError) { try VolumeNames.check(name) } catch { continue }
                do throws(EngineError) {
                    found[name] = .success(try document(of: name))
                    try finishInterruptedFilling(name)
                } catch {
                    if found[name] == nil { found[name] = .failure(error) }
                    report(error)
                }
            }
        } catch { throw .system("open the volumes", error) }
        return found
    }

    /// Erases all that lies in a folder that is nobody's. One file that cannot be unlinked (it is immutable, or a mount point) keeps nobody
    /// from the volumes, and is tried again by the next daemon.
    private func empty(_ folder: FilePath, report: (EngineError) -> Void) throws(SyscallError) {
        let directory = try openFile(folder, [.readOnly, .directory, .noFollow])
        for entry in try directoryEntries(of: directory, subject: folder.string) {
            let path = folder.pushing(entry.name)
            do throws(SyscallError) { try erase(path, freeing: path.appending("_data")) } catch {
                report(.system("what was removed cannot be erased: \(path)", error))
            }
        }
    }

    private func document(of name: String) throws(EngineError) -> VolumeDocument {
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try readFile(root.appending(name).appending("volume.json"), limitBytes: Self.documentLimitBytes)
        } catch { throw .system("read what is known of volume \(name)", error) }
        return try VolumeDocument(bytes, of: name)
    }

    /// Makes a volume.
    /// - Parameters:
    ///   - original: the volume whose contents it gets, unless its options mount others in their place.
    ///   - maker: the container in the making without which the volume is nobody's.
    func make(
        _ name: String, _ document: VolumeDocument, contentsOf original: String? = nil, for maker: ContainerID? = nil
    ) throws(EngineError) {
        let draft = making.appending(name)
        let sizeLimit = try LocalVolumeDriver.sizeLimit(document.options)
        if sizeLimit != nil {
            let obstacle: String?
            do throws(SyscallError) { obstacle = try DirectoryLimit.obstacle(at: root) } catch { throw .system("create \(name)", error) }
            if let obstacle { throw LocalVolumeDriver.refused(name, "quota size requested but no quota support: \(obstacle)") }
        }
        do throws(SyscallError) {
            do throws(SyscallError) {
                try makeDirectory(draft, mode: 0o710)
                try makeDirectory(draft.appending("_data"), mode: 0o755)
                // Whatever the daemon's umask.
                try changeMode(draft.appending("_data"), to: 0o755)
                if let sizeLimit { try DirectoryLimit.set(sizeLimit, of: [draft.appending("_data")]) }
                if let original, LocalVolumeDriver.mount(document.options) == nil { try copy(original, into: draft.appending("_data")) }
                // Its mode, and the limit that it has.
                try synchronizeDirectory(draft.appending("_data"))
                try writeFileDurably(try encoded(document), to: draft.appending("volume.json"))
                if let maker { try makeSymbolicLink(draft.appending("maker"), to: FilePath(maker.text)) }
                try synchronizeDirectory(draft)
                failpoint(.volumeDrafted)
                try renameFile(draft, to: root.appending(name))
                try synchronizeDirectory(root)
                failpoint(.volumeMade)
            } catch {
                try erase(draft, freeing: draft.appending("_data"))
                throw error
            }
        } catch { throw .system("create \(name)", error) }
    }

    /// Copies all that lies in a volume, owner and mode of its directory included.
    private func copy(_ name: String, into path: FilePath) throws(SyscallError) {
        let source = try openFile(contents(of: name), [.readOnly, .directory, .noFollow])
        let target = try openFile(path, [.readOnly, .directory, .noFollow])
        try copyTree(from: source, onto: target, sourceIsInUse: true)
        try synchronizeFileSystem(target.number, subject: name)
    }

    // MARK: - Whose an unnamed volume is

    /// The container in the making that a volume was made for, whether it ever was on record or not; nil for a volume that stands for itself.
    func maker(of name: String) throws(EngineError) -> String? {
        do throws(SyscallError) { return try readSymbolicLink(maker(name)).string } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return nil }
            throw .system("read whose volume \(name) is", error)
        }
    }

    /// The container is on record, by which the volume is known. Durable: a link that came back would take the volume away of a container that has
    /// been removed meanwhile, and not its volumes.
    func forgetMaker(of name: String) throws(EngineError) {
        do throws(SyscallError) {
            try removeFile(maker(name))
            try synchronizeDirectory(root.appending(name))
        } catch {
            if error.errno != Errno.noSuchFileOrDirectory.rawValue { throw .system("note whose volume \(name) is", error) }
        }
    }

    private func maker(_ name: String) -> FilePath { root.appending(name).appending("maker") }

    // MARK: - Renaming and removing

    /// Notes what is known of a volume from now on.
    func write(_ document: VolumeDocument, of name: String) throws(EngineError) {
        do throws(SyscallError) {
            try writeFileDurably(try encoded(document), to: root.appending(name).appending("volume.json"))
        } catch { throw .system("write what is known of volume \(name)", error) }
    }

    /// Gives a volume that nothing is mounted on another name.
    func rename(_ name: String, to new: String) throws(EngineError) {
        do throws(SyscallError) {
            try renameFile(root.appending(name), to: root.appending(new))
            try synchronizeDirectory(root)
        } catch { throw .system("rename \(name)", error) }
    }

    private func encoded(_ document: VolumeDocument) throws(SyscallError) -> [UInt8] {
        // Strings and numbers: there is nothing that JSON cannot hold.
        do throws(DocumentError) { return try EngineJSON.encode(document) } catch {
            throw SyscallError("encode", "\(error)", errno: Errno.invalidArgument.rawValue)
        }
    }

    /// Removes a volume, which nothing is mounted on.
    /// - Parameter report: told of what cannot be erased. The volume is gone all the same: what is left of it is nobody's.
    func remove(_ name: String, report: (EngineError) -> Void) throws(EngineError) {
        // What is left of another one of that name may lie there still.
        let grave = trash.appending(Identifiers.random())
        do throws(SyscallError) {
            try renameFile(root.appending(name), to: grave)
            try synchronizeDirectory(root)
        } catch { throw .system("remove \(name)", error) }
        failpoint(.volumeBuried)
        do throws(SyscallError) { try erase(grave, freeing: grave.appending("_data")) } catch {
            report(.system("volume \(name) is removed, but for what cannot be erased below \(grave)", error))
        }
    }

    /// - Parameter limited: a directory of the tree whose limit goes away with it.
    private func erase(_ path: FilePath, freeing limited: FilePath) throws(SyscallError) {
        let project = DirectoryLimit.project(of: limited)
        try removeTree(path)
        if let project { try DirectoryLimit.free(project, at: root) }
    }

    /// The most that an empty directory takes on disk.
    private static let emptyDirectoryBytes: Int64 = 4096

    /// Bytes on disk of a volume's contents. An empty one has none, as with Docker, though its directory takes some.
    func usedBytes(_ name: String) throws(EngineError) -> Int64 {
        do throws(SyscallError) {
            let directory = try fileStatus(contents(of: name))
            return max(0, try treeUsage(contents(of: name)).bytes - min(directory.allocatedBytes, Self.emptyDirectoryBytes))
        } catch { throw .system("measure \(name)", error) }
    }

    // MARK: - What the options mount

    /// Whether a volume's options mount anything.
    func mountsSomething(_ document: VolumeDocument) -> Bool { LocalVolumeDriver.mount(document.options) != nil }

    /// Mounts what the options say on the volume's directory, unless it is mounted already.
    func mount(_ name: String, _ document: VolumeDocument) throws(EngineError) {
        guard let mount = LocalVolumeDriver.mount(document.options) else { return }
        // Not the options: there may be a password among them.
        let doing = "mount volume \(name): \(mount.source) of type \(mount.type)"
        do throws(SyscallError) {
            if try isMounted(name) { return }
        } catch { throw .system(doing, error) }
        let resolved = try LocalVolumeDriver.resolved(mount) { server throws(EngineError) in
            do throws(HostLookupError) { return try addressOfHost(server) } catch { throw .system(doing, error) }
        }
        do throws(SyscallError) { try resolved.perform(onto: contents(of: name)) } catch { throw .system(doing, error) }
    }

    /// Takes away what `mount` put there, if it is there.
    func unmount(_ name: String, _ document: VolumeDocument) throws(EngineError) {
        guard LocalVolumeDriver.mount(document.options) != nil else { return }
        do throws(SyscallError) {
            while try isMounted(name) { try LinuxSyscalls.unmount(contents(of: name), [.detach, .noFollow]) }
        } catch { throw .system("unmount volume \(name)", error) }
    }

    /// Whether anything is mounted on the volume's directory.
    func isMounted(_ name: String) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            let directory = try openFile(contents(of: name), [.path, .directory, .noFollow])
            return try mountPlace(of: directory.number, subject: name).isRoot
        } catch  where error.errno == Errno.noSuchFileOrDirectory.rawValue { return false }
    }
}
