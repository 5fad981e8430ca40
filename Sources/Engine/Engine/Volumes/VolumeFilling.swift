internal import LinuxSyscalls
internal import Snapshots
internal import SystemPackage

/// What an image has at a volume's place becomes the volume's first contents. It is copied beside the volume's directory and moved into it when
/// it is all there: whatever the daemon dies of, a volume is filled whole or not at all, and nothing that a container wrote is taken away.
/// What a volume's options mount is filled in place: there, what the death of a daemon cuts off stays in part.
extension VolumeFolder {
    private func copying(_ name: String) -> FilePath { root.appending(name).appending("copying") }
    private func copied(_ name: String) -> FilePath { root.appending(name).appending("copied") }

    /// Fills an empty volume with what an image has at `path`, owner and mode of the directory itself included. What is not empty, and
    /// what the image has no directory for, stays as it is.
    /// - Parameter image: the root of the container.
    func fill(_ name: String, from image: borrowing OwnedFD, at path: String) throws(EngineError) {
        // Of a filling that failed on its way in.
        try finishInterruptedFilling(name)
        do throws(SyscallError) {
            guard let source = try directory(path, in: image) else { return }
            let target = try openFile(contents(of: name), [.readOnly, .directory, .noFollow])
            guard try directoryEntries(of: target, subject: name).isEmpty else { return }
            // What options mount lies on a file system of its own, which nothing can be moved into.
            if try isMounted(name) { return try fill(target, of: name, from: source, at: path) }
            do throws(SyscallError) {
                try makeDirectory(copying(name), mode: 0o700)
                let copy = try openFile(copying(name), [.readOnly, .directory, .noFollow])
                try DirectoryLimit.share(of: contents(of: name), with: copy)
                var made: [FilePath] = []
                try copyTree(from: source, onto: copy, made: &made)
                try makePlaces(in: copy, at: path, made: &made)
                try synchronizeFileSystem(copy.number, subject: name)
                try renameFile(copying(name), to: copied(name))
            } catch {
                // What stays is removed by the next filling, and hinders nobody: the first error is the one to tell.
                try? removeTree(copying(name))
                throw error
            }
            try synchronizeDirectory(root.appending(name))
            failpoint(.volumeCopied)
            try moveIn(name)
        } catch { throw EngineError(.system, "copy the image's \(path) into volume \(name): \(error)", cause: error) }
    }

    /// Whether an image has a directory where a volume is to be seen.
    /// - Parameter image: the root of the container.
    func hasContents(_ image: borrowing OwnedFD, at path: String) throws(EngineError) -> Bool {
        do throws(SyscallError) { return try directory(path, in: image) != nil } catch {
            throw .system("look what the image has at \(path)", error)
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

    /// In place, and what was made is taken away where it fails.
    private func fill(
        _ target: borrowing OwnedFD, of name: String, from source: borrowing OwnedFD, at path: String
    ) throws(SyscallError) {
        var made: [FilePath] = []
        do throws(SyscallError) {
            try copyTree(from: source, onto: target, made: &made)
            try makePlaces(in: target, at: path, made: &made)
            try synchronizeFileSystem(target.number, subject: name)
        } catch {
            for entry in made {
                do throws(SyscallError) { try removeTree(entry, at: target.number) } catch let second {
                    throw SyscallError(error.call, "\(error.subject) (and \(second))", errno: error.errno)
                }
            }
            throw error
        }
    }

    /// Of every container files of its own are mounted there. In a volume that is read-only the runtime could make no places for them.
    private static let places: [FilePath] = ["resolv.conf", "hostname", "hosts"]

    /// Makes what an image lacks of these in its `/etc`, empty and with the mode that Docker's have.
    private func makePlaces(in target: borrowing OwnedFD, at path: String, made: inout [FilePath]) throws(SyscallError) {
        guard path == "/etc" else { return }
        for name in Self.places {
            do throws(SyscallError) {
                let file = try openFile(name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o755, at: target.number)
                made.append(name)
                try changeMode(of: file.number, to: 0o755, subject: name.string)
            } catch  where error.errno == Errno.fileExists.rawValue { continue }
        }
    }

    /// Moves a copy that is all there into its volume. Where a container has made a file of the same name meanwhile, the container's stays.
    private func moveIn(_ name: String) throws(SyscallError) {
        let copy = try openFile(copied(name), [.readOnly, .directory, .noFollow])
        let target = try openFile(contents(of: name), [.readOnly, .directory, .noFollow])
        for entry in try directoryEntries(of: copy, subject: name) {
            do throws(SyscallError) {
                try renameFileReplacingNothing(entry.name, to: entry.name, fromDirectory: copy.number, toDirectory: target.number)
            } catch  where error.errno == Errno.fileExists.rawValue { continue }
        }
        try copyMetadata(from: copy, to: target, subject: contents(of: name))
        try synchronize(target.number, subject: name)
        // Only now, and by one step, is nothing more to be done: what is left of the copy is moved nowhere from here on.
        try renameFile(copied(name), to: copying(name))
        try synchronizeDirectory(root.appending(name))
        try removeTree(copying(name))
    }

    /// Ends what a former daemon did not: a copy that is all there is moved on, one that is not is removed, for whoever fills it again.
    func finishInterruptedFilling(_ name: String) throws(EngineError) {
        do throws(SyscallError) {
            try removeTree(copying(name))
            let isThere: Bool
            do throws(SyscallError) { isThere = try fileStatus(copied(name)).type == .directory } catch {
                if error.errno == Errno.noSuchFileOrDirectory.rawValue { return }
                throw error
            }
            if isThere { try moveIn(name) }
        } catch { throw .system("go on filling volume \(name)", error) }
    }
}
