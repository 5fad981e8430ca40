internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import Snapshots
internal import SystemPackage

/// The volumes on disk:
/// ```
/// <name>/volume.json   what is known of it
/// <name>/_data/        what containers see
/// <name>/copying       there while an image's files are being copied in, with their names: what a crash leaves of them is begun again
/// .making/<name>/      volumes in the making; emptied at the start
/// .trash/<name>/       being removed; emptied at the start
/// ```
/// A volume is there or not by one rename, and describes itself: it outlives the loss of every other record. Every function blocks.
struct VolumeFolder: Sendable {
    /// The most that is read of a `volume.json`.
    private static let documentLimitBytes = 1 << 20
    /// Of the names in a directory of an image, a hundred thousand and more.
    private static let markLimitBytes = 1 << 26

    let root: FilePath

    private var making: FilePath { root.appending(".making") }
    private var trash: FilePath { root.appending(".trash") }
    private func copyMark(_ name: String) -> FilePath { root.appending(name).appending("copying") }

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
                    try forgetInterruptedCopy(name)
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

    // MARK: - What the image has at the volume's place

    /// Fills an empty volume with what an image has at `path`, owner and mode of the directory itself included. What is not empty, and
    /// what the image has no directory for, stays as it is.
    /// - Parameter image: the root of the container.
    func fill(_ name: String, from image: borrowing OwnedFD, at path: String) throws(EngineError) {
        // What containers that have the volume already write there meanwhile stays.
        var made: [FilePath] = []
        do throws(SyscallError) {
            guard let source = try directory(path, in: image) else { return }
            let target = try openFile(contents(of: name), [.readOnly, .directory, .noFollow])
            guard try directoryEntries(of: target, subject: name).isEmpty else { return }
            let mark = copyMark(name)
            try writeFileDurably(Self.marked(try directoryEntries(of: source, subject: path).map(\.name)), to: mark)
            try seek(source.number, to: 0, subject: path)
            try copyTree(from: source, onto: target, made: &made)
            try synchronizeFileSystem(target.number, subject: name)
            try removeFile(mark)
        } catch {
            var aftermath = ""
            do throws(SyscallError) { try forgetCopy(name, of: made) } catch let second { aftermath = " (and \(second))" }
            throw EngineError(.system, "copy the image's \(path) into volume \(name): \(error)\(aftermath)", cause: error)
        }
    }

    /// Names as the mark has them, with what no name has between them. Empty, where one is no text, is all that there is.
    private static func marked(_ names: [FilePath]) -> [UInt8] {
        names.allSatisfy { FilePath($0.string) == $0 } ? Array(names.map(\.string).joined(separator: "/").utf8) : []
    }

    /// Removes what a copy made, and its mark.
    private func forgetCopy(_ name: String, of made: [FilePath]) throws(SyscallError) {
        let directory = try openFile(contents(of: name), [.readOnly, .directory, .noFollow])
        for entry in made { try removeTree(entry, at: directory.number) }
        do throws(SyscallError) { try removeFile(copyMark(name)) } catch {
            if error.errno != Errno.noSuchFileOrDirectory.rawValue { throw error }
        }
    }

    private func directory(_ path: String, in image: borrowing OwnedFD) throws(SyscallError) -> OwnedFD? {
        do throws(SyscallError) {
            return try openInRoot(FilePath(path), [.readOnly, .directory], root: image, resolve: [.inRoot, .noMagicLinks])
        } catch {
            switch error.errno {
            case Errno.noSuchFileOrDirectory.rawValue, Errno.notDirectory.rawValue: return nil
            default: throw error
            }
        }
    }

    /// Takes what there may be of an image's files from a volume whose filling was cut off, so that it is filled again.
    private func forgetInterruptedCopy(_ name: String) throws(EngineError) {
        do throws(SyscallError) {
            let mark: [UInt8]
            do throws(SyscallError) { mark = try readFile(copyMark(name), limitBytes: Self.markLimitBytes) } catch {
                if error.errno == Errno.noSuchFileOrDirectory.rawValue { return }
                throw error
            }
            let names = mark.split(separator: UInt8(ascii: "/")).map { FilePath(String(decoding: $0, as: UTF8.self)) }
            let directory = try openFile(contents(of: name), [.readOnly, .directory, .noFollow])
            let there = try directoryEntries(of: directory, subject: name).map(\.name)
            try forgetCopy(name, of: there.filter { names.isEmpty || names.contains($0) })
        } catch { throw .system("take an image's files from volume \(name), whose filling was cut off", error) }
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

    private func isMounted(_ name: String) throws(SyscallError) -> Bool {
        let path = contents(of: name).string
        return try mountTable().contains { $0.mountPoint == path }
    }
}
