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
/// .making/<name>/      volumes in the making; emptied at the start
/// .trash/<name>/       being removed; emptied at the start
/// ```
/// A volume is there or not by one rename, and describes itself: it outlives the loss of every other record. Every function blocks.
struct VolumeFolder: Sendable {
    /// The most that is read of a `volume.json`.
    private static let documentLimitBytes = 1 << 20

    let root: FilePath

    private var making: FilePath { root.appending(".making") }
    private var trash: FilePath { root.appending(".trash") }

    /// The directory that containers see.
    func contents(of name: String) -> FilePath { root.appending(name).appending("_data") }

    /// Makes the folder, takes away what a crash left half done, and lists the rest.
    /// - Parameter report: told of each volume that cannot be read, and is left alone.
    func open(report: (EngineError) -> Void) throws(EngineError) -> [String: VolumeDocument] {
        var found: [String: VolumeDocument] = [:]
        do throws(SyscallError) {
            for path in [making, trash] {
                try removeTree(path)
                try makeDirectories(path, mode: 0o710)
            }
            let directory = try openFile(root, [.readOnly, .directory])
            for entry in try directoryEntries(of: directory, subject: root.string) where !entry.name.string.hasPrefix(".") {
                let name = entry.name.string
                do throws(EngineError) {
                    found[name] = try document(of: name)
                    try finishInterruptedFilling(name)
                } catch { report(error) }
            }
        } catch { throw .system("open the volumes", error) }
        return found
    }

    private func document(of name: String) throws(EngineError) -> VolumeDocument {
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try readFile(root.appending(name).appending("volume.json"), limitBytes: Self.documentLimitBytes)
        } catch { throw .system("read what is known of volume \(name)", error) }
        return try VolumeDocument(bytes, of: name)
    }

    /// Makes a volume.
    /// - Parameter original: the volume whose contents it gets, unless its options mount others in their place.
    func make(_ name: String, _ document: VolumeDocument, contentsOf original: String? = nil) throws(EngineError) {
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
                try writeFileDurably(try encoded(document), to: draft.appending("volume.json"))
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
        try copyTree(from: source, onto: target)
        try synchronizeFileSystem(target.number, subject: name)
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
    func remove(_ name: String) throws(EngineError) {
        do throws(SyscallError) {
            let grave = trash.appending(name)
            try removeTree(grave)
            try renameFile(root.appending(name), to: grave)
            try synchronizeDirectory(root)
            failpoint(.volumeBuried)
            try erase(grave, freeing: grave.appending("_data"))
        } catch { throw .system("remove \(name)", error) }
    }

    /// - Parameter limited: a directory of the tree whose limit goes away with it.
    private func erase(_ path: FilePath, freeing limited: FilePath) throws(SyscallError) {
        let project = DirectoryLimit.project(of: limited)
        try removeTree(path)
        if let project { try DirectoryLimit.free(project, at: root) }
    }

    /// Bytes on disk of a volume's contents.
    func usedBytes(_ name: String) throws(EngineError) -> Int64 {
        do throws(SyscallError) { return try treeUsage(contents(of: name)).bytes } catch { throw .system("measure \(name)", error) }
    }

    // MARK: - What the options mount

    /// Mounts what the options say on the volume's directory, unless it is mounted already.
    func mount(_ name: String, _ document: VolumeDocument) throws(EngineError) {
        guard let mount = LocalVolumeDriver.mount(document.options) else { return }
        do throws(SyscallError) {
            if try !isMounted(name) { try mount.perform(onto: contents(of: name)) }
        } catch { throw .system("mount volume \(name): \(mount.source) of type \(mount.type)", error) }
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
