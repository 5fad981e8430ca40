internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// The attributes that overlayfs keeps its marks in. Only the machine's root may write trusted ones; root of a user namespace mounts with
/// `userxattr`, and the marks are the user's own. A process does not change sides.
/// - Source: Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories", "User xattr"; Linux 5.11.
package enum OverlayMarks {
    /// Whether overlays are mounted with `userxattr`.
    package static let areUsers = !isInInitialUserNamespace()
    /// What the names of marks begin with.
    package static let prefix = areUsers ? "user.overlay." : "trusted.overlay."
    /// Of a directory that hides all below.
    package static let opaque = prefix + "opaque"
    /// What overlayfs writes for a directory that was renamed, and for a file whose data stayed below. Our mounts turn both off.
    static let moving = [prefix + "redirect", prefix + "metacopy"]
}

extension FileStatus {
    /// Whether overlayfs takes the file for a whiteout: a character device 0:0.
    package var isWhiteout: Bool { type == .characterDevice && device == DeviceNumber(major: 0, minor: 0) }
}

/// The directory that a layer is unpacked into. The kernel resolves every path inside it, by descriptor, so that a symbolic
/// link from the same layer leads nowhere else; the last component is never followed.
final class LayerTree {
    private let root: OwnedFD
    /// The directory that names are in.
    private let base: [[UInt8]]
    private let limits: ArchiveLimits
    private let rules: UnpackingRules
    private var kept: KeptDirectories
    /// Of a layer of many small files. Nothing that is done in their order may meet a file that is still on its way: see `settle`.
    private var writers: FileWriters?
    private var smallFileCount = 0
    private(set) var impliedDirectories: Set<FilePath> = ["."]
    private(set) var whiteouts: [FilePath] = []
    /// Bytes of both's names.
    private var keptNameBytes = 0

    /// After how many small files of a layer threads for them are begun.
    private static let smallFilesAlone = 64

    init(_ root: consuming OwnedFD, base: [[UInt8]] = [], limits: ArchiveLimits, rules: UnpackingRules = .layer) {
        self.root = root
        self.base = base
        self.limits = limits
        self.rules = rules
        kept = KeptDirectories(keepsOne: !rules.isLayer)
    }

    /// Opens what has this path inside the root, wherever links of the layer say that it is.
    private func open(_ components: some Collection<[UInt8]>, _ flags: OpenFlags) throws(SyscallError) -> OwnedFD {
        try openInRoot(relativePath(base + components), flags, root: root)
    }

    // MARK: Directories

    /// The directory that holds the entry, made if the tar did not describe it.
    func directory(of path: EntryPath, printable: PrintablePath) throws(ArchiveError) -> OpenDirectory {
        if let known = kept.find(path.parent) { return known }
        let opened = try openMaking(Array(path.parent), printable: printable)
        let directory: OpenDirectory
        do throws(SyscallError) { directory = try OpenDirectory(opened) } catch { throw refusal(error, printable) }
        kept.keep(directory, path.parent)
        return directory
    }

    /// The same once no file is on its way into it. The number is good until the next call.
    private func parent(of path: EntryPath, printable: PrintablePath) throws(ArchiveError) -> Int32 {
        let directory = try directory(of: path, printable: printable)
        writers?.finish(directory)
        return directory.file.number
    }

    private func openMaking(_ components: [[UInt8]], printable: PrintablePath) throws(ArchiveError) -> OwnedFD {
        do throws(SyscallError) {
            return try open(components, [.path, .directory])
        } catch  where error.errno != ENOENT && error.errno != ENOTDIR {
            throw refusal(error, printable)
        } catch {}
        try settle()
        for length in 1...max(1, components.count) {
            try makeImplied(components.prefix(length), printable: printable)
        }
        return try unpacking(printable) { () throws(SyscallError) in
            try open(components, [.path, .directory])
        }
    }

    /// Makes one directory that entries lie in without its having an entry itself, unless it is there.
    private func makeImplied(_ components: ArraySlice<[UInt8]>, printable: PrintablePath) throws(ArchiveError) {
        let path = relativePath(components)
        do throws(SyscallError) {
            _ = try open(components, [.path, .directory]).number
            return
        } catch  where error.errno != ENOENT && error.errno != ENOTDIR {
            throw refusal(error, printable)
        } catch {}
        let name = filePath(bytes: components.last ?? [])
        let above = try unpacking(printable) { () throws(SyscallError) in
            try open(components.dropLast(), [.path, .directory])
        }
        let hiding = try unpacking(printable) { () throws(SyscallError) in try status(of: name, at: above.number) }
        if let hiding, !hiding.isWhiteout {
            throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(printable): \(path) is no directory of this layer")
        }
        try unpacking(printable) { () throws(SyscallError) in
            if hiding != nil { try removeFile(name, at: above.number) }
            try makeDirectory(name, mode: 0o755, at: above.number)
            if hiding != nil { try markOpaque(name, at: above.number) }
        }
        if impliedDirectories.insert(path).inserted { try keep(nameOf: path, printable: printable) }
    }

    /// Accounts a name that is kept to the layer's end.
    private func keep(nameOf path: FilePath, printable: PrintablePath) throws(ArchiveError) {
        keptNameBytes += path.length
        if keptNameBytes > limits.keptNameBytes {
            throw ArchiveError(
                .overLimit, doing: "unpack entry",
                subject: "\(printable): more than \(limits.keptNameBytes) bytes of names of whiteouts and of directories without entries")
        }
    }

    /// Makes the directory of an entry, or takes the one that is there, and opens it for its metadata.
    func makeDescribed(_ path: EntryPath, printable: PrintablePath) throws(ArchiveError) -> OwnedFD {
        if let described = impliedDirectories.remove(relativePath(path.components)) { keptNameBytes -= described.length }
        guard let nameBytes = path.name else {
            return try unpacking(printable) { () throws(SyscallError) in try open([], [.readOnly, .directory]) }
        }
        let name = filePath(bytes: nameBytes)
        let (opened, existing) = try lookUp(name, of: path, printable: printable)
        let directory = opened.file.number
        if !rules.replacesKinds, let existing, existing.type != .directory { throw keeping("non-directory", from: "directory", printable) }
        return try unpacking(printable) { () throws(SyscallError) in
            guard let existing else {
                try makeDirectory(name, mode: 0o700, at: directory)
                return try openFile(name, [.readOnly, .directory, .noFollow], at: directory)
            }
            if existing.type == .directory { return try openFile(name, [.readOnly, .directory, .noFollow], at: directory) }
            try checkNotMounted(name, at: directory)
            try removeFile(name, at: directory)
            // What was there may have been on the way to directories that are kept open.
            kept.forget()
            let above = try open(path.parent, [.path, .directory])
            try makeDirectory(name, mode: 0o700, at: above.number)
            if rules.isLayer && existing.isWhiteout { try markOpaque(name, at: above.number) }
            return try openFile(name, [.readOnly, .directory, .noFollow], at: above.number)
        }
    }

    /// The time that a directory has; nil where there is none of this path.
    func directoryTime(_ components: [[UInt8]], printable: PrintablePath) throws(ArchiveError) -> FileTime? {
        try settle()
        return try unpacking(printable) { () throws(SyscallError) -> FileTime? in
            do throws(SyscallError) {
                let directory = try open(components, [.path, .directory])
                return try fileStatus(of: directory.number).modified
            } catch {
                if [ENOENT, ENOTDIR, ELOOP].contains(error.errno) { return nil }
                throw error
            }
        }
    }

    /// Sets a directory's time, if it is one still.
    func setDirectoryTime(_ components: [[UInt8]], to time: FileTime, printable: PrintablePath) throws(ArchiveError) {
        try settle()
        try unpacking(printable) { () throws(SyscallError) in
            do throws(SyscallError) {
                let directory = try open(components, [.readOnly, .directory, .noFollow])
                try setTimes(of: directory.number, to: time)
            } catch {
                if ![ENOENT, ENOTDIR, ELOOP].contains(error.errno) { throw error }
            }
        }
    }

    // MARK: Small files

    /// Puts a file in its place, sooner or later: on a thread for such files, where the layer has so many that it pays.
    func place(_ file: NewFile) throws(ArchiveError) {
        smallFileCount += 1
        if smallFileCount == Self.smallFilesAlone {
            // Where the kernel gives no threads, this one does it.
            do throws(SyscallError) { writers = try FileWriters(limitDirectories: max(64, kept.capacity / 2)) } catch {}
        }
        guard let writers else { return try make(file) }
        // What is there may be on the way to what comes next, and is to go before it: but for another file, which has nothing below it.
        let existing = try unpacking(file.printable) { () throws(SyscallError) in try status(of: file.name, at: file.directory.file.number)
        }
        if existing != nil {
            try settle()
            return try make(file)
        }
        if !writers.make(file) { try settle() }
    }

    /// Makes a file in place of what has its name.
    private func make(_ file: NewFile) throws(ArchiveError) {
        let place = try clear(file.path, printable: file.printable)
        try unpacking(file.printable) { () throws(SyscallError) in try file.make(in: place.directory) }
    }

    /// Waits for the files that are on their way. What has the name of another entry takes its place now: only here is nobody in between.
    /// - Throws: why one of them could not be made.
    func settle() throws(ArchiveError) {
        guard let writers else { return }
        for file in try writers.settle() { try make(file) }
    }

    /// Ends the threads, whatever is on its way.
    func endWriting() {
        writers?.end()
        writers = nil
    }

    /// The directory that holds an entry, without a file on its way into it, and what has the entry's name there. Where that is something, no
    /// file is on its way anywhere: it may be a directory above others.
    private func lookUp(
        _ name: FilePath, of path: EntryPath, printable: PrintablePath
    ) throws(ArchiveError) -> (directory: OpenDirectory, existing: FileStatus?) {
        func look() throws(ArchiveError) -> (directory: OpenDirectory, existing: FileStatus?) {
            let directory = try directory(of: path, printable: printable)
            writers?.finish(directory)
            return (directory, try unpacking(printable) { () throws(SyscallError) in try status(of: name, at: directory.file.number) })
        }
        let found = try look()
        guard found.existing != nil, writers != nil else { return found }
        try settle()
        return try look()
    }

    // MARK: Other entries

    /// Makes room for an entry that is no directory.
    func clear(_ path: EntryPath, printable: PrintablePath) throws(ArchiveError) -> (directory: Int32, name: FilePath) {
        guard let nameBytes = path.name else {
            throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(printable): the root is a directory")
        }
        let name = filePath(bytes: nameBytes)
        let (opened, existing) = try lookUp(name, of: path, printable: printable)
        var directory = opened.file.number
        if !rules.replacesKinds && existing?.type == .directory { throw keeping("directory", from: "non-directory", printable) }
        if let existing {
            try unpacking(printable) { () throws(SyscallError) in
                // The kernel refuses to take the place of a mount of our own namespace alone; another's would go with the name.
                try checkNotMounted(name, at: directory)
                try existing.type == .directory ? removeTree(name, at: directory, sparesMounts: true) : removeFile(name, at: directory)
            }
            // What was there may have been on the way to directories that are kept open.
            kept.forget()
            directory = try parent(of: path, printable: printable)
        }
        return (directory, name)
    }

    /// docker's words for an entry that would take another kind's place.
    private func keeping(_ kind: String, from other: String, _ printable: PrintablePath) -> ArchiveError {
        ArchiveError(.refusedEntry, doing: "unpack entry", subject: "cannot overwrite \(kind) with \(other) \(printable)")
    }

    /// Gives a file of this layer a second name.
    func link(_ path: EntryPath, to target: EntryPath, printable: PrintablePath) throws(ArchiveError) {
        guard let targetName = target.name.map({ filePath(bytes: $0) }), path.name != nil else {
            throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(printable): a hard link to the root")
        }
        try settle()
        let targetDirectory = try lookingForTarget(printable) { () throws(SyscallError) in
            try open(target.parent, [.path, .directory])
        }
        let status = try lookingForTarget(printable) { () throws(SyscallError) in
            try fileStatus(targetName, at: targetDirectory.number)
        }
        if status.type == .directory || status.isWhiteout {
            throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(printable): a hard link to a directory or whiteout")
        }
        let directory = try parent(of: path, printable: printable)
        let name = filePath(bytes: path.name ?? [])
        let existing = try unpacking(printable) { () throws(SyscallError) in try self.status(of: name, at: directory) }
        if let existing, existing.inode == status.inode, existing.fileSystem == status.fileSystem { return }
        let place = try clear(path, printable: printable)
        try unpacking(printable) { () throws(SyscallError) in
            try makeHardLink(place.name, to: targetName, at: place.directory, existingAt: targetDirectory.number)
        }
    }

    private func lookingForTarget<Result: ~Copyable>(
        _ printable: PrintablePath, _ body: () throws(SyscallError) -> Result
    ) throws(ArchiveError) -> Result {
        do throws(SyscallError) { return try body() } catch {
            if error.errno != ENOENT && error.errno != ENOTDIR { throw refusal(error, printable) }
            throw ArchiveError(.refusedEntry, doing: "unpack entry", subject: "\(printable): a hard link to what this layer does not hold")
        }
    }

    // MARK: Whiteouts

    /// Hides what the layers below hold under this name. What this layer itself holds there stays, whatever the order of entries.
    func hide(_ hidden: [UInt8], besides path: EntryPath, printable: PrintablePath) throws(ArchiveError) {
        try settle()
        let name = filePath(bytes: hidden)
        let directory = try parent(of: path, printable: printable)
        var made: FilePath?
        try unpacking(printable) { () throws(SyscallError) in
            switch try status(of: name, at: directory)?.type {
            case nil:
                try makeNode(name, .characterDevice, mode: 0, at: directory)
                let whiteout = relativePath(path.parent + [hidden])
                whiteouts.append(whiteout)
                made = whiteout
            case .directory: try markOpaque(name, at: directory)
            default: break
            }
        }
        if let made { try keep(nameOf: made, printable: printable) }
    }

    /// Hides all that the layers below hold in the entry's directory.
    func hideAll(besides path: EntryPath, printable: PrintablePath) throws(ArchiveError) {
        let directory = try parent(of: path, printable: printable)
        try unpacking(printable) { () throws(SyscallError) in try markOpaque(".", at: directory) }
    }

    // MARK: Kernel

    private func status(of name: FilePath, at directory: Int32) throws(SyscallError) -> FileStatus? {
        do throws(SyscallError) { return try fileStatus(name, at: directory) } catch  where error.errno == ENOENT { return nil }
    }

    private func markOpaque(_ name: FilePath, at directory: Int32) throws(SyscallError) {
        try setExtendedAttribute(OverlayMarks.opaque, to: [0x79], ofLink: procfsName(of: directory).pushing(name))
    }

    /// - Throws: `.noSpace` when less is free than the limits reserve.
    func checkFreeSpace() throws(ArchiveError) {
        let doing = rules.isLayer ? "unpack layer" : "unpack archive"
        let free = try ArchiveError.wrapping(doing, "") { () throws(SyscallError) in try freeSpace(at: root.number) }
        if free.bytes < limits.reservedFreeBytes {
            throw ArchiveError(
                .noSpace, doing: doing,
                subject: "\(rootPath): \(limits.reservedFreeBytes) bytes must stay free, \(free.bytes) are")
        }
        if let inodes = free.inodes, inodes < limits.reservedFreeInodes {
            throw ArchiveError(
                .noSpace, doing: doing,
                subject: "\(rootPath): \(limits.reservedFreeInodes) inodes must stay free, \(inodes) are")
        }
    }

    /// Where the root lies, for messages.
    private var rootPath: String {
        do throws(SyscallError) { return try readSymbolicLink(procfsName(of: root.number)).string } catch { return "the layer's directory" }
    }
}

/// What the kernel says of a name, a link or an attribute that no Linux takes: the entry is at fault, and not this machine.
private let refusalsOfContent: Set<Int32> = [ENAMETOOLONG, ERANGE, E2BIG]

func refusal(_ error: SyscallError, _ printable: PrintablePath) -> ArchiveError {
    let code: ArchiveError.Code = refusalsOfContent.contains(error.errno) ? .refusedEntry : .system
    return ArchiveError(code, doing: "unpack entry", subject: printable.description, cause: error)
}

/// Runs kernel calls for one entry.
func unpacking<Result: ~Copyable>(
    _ printable: PrintablePath, _ body: () throws(SyscallError) -> Result
) throws(ArchiveError) -> Result {
    do throws(SyscallError) { return try body() } catch { throw refusal(error, printable) }
}
