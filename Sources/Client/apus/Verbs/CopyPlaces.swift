internal import EngineAPI
internal import FoundationEssentials
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// A path of a copy, read as docker's `cp` reads it: absolute, cleaned, and what its end says.
struct CopyPath: Equatable {
    /// Absolute, cleaned.
    let clean: FilePath
    /// Whether a directory is meant: the text ends with a slash or with `/.`.
    let meansDirectory: Bool
    /// Whether the directory's contents are meant: the text ends with `/.`.
    let meansContents: Bool

    /// - Parameter folder: what a relative path begins at.
    init(_ text: String, from folder: FilePath = "/") {
        clean = folder.pushing(FilePath(text)).lexicallyNormalized()
        meansContents = text == "." || text.hasSuffix("/.")
        meansDirectory = meansContents || text.hasSuffix("/")
    }

    /// A path here.
    static func here(_ text: String) -> CopyPath {
        CopyPath(text, from: FilePath(FileManager.default.currentDirectoryPath))
    }

    /// The last component; nil for a root and for the contents of a directory, which have no name to go by.
    var name: String? { meansContents ? nil : clean.lastComponent?.string }

    /// As a request has it.
    var text: String { clean.string + (meansContents ? "/." : meansDirectory && clean.string != "/" ? "/" : "") }
}

/// One side of a copy.
struct CopySide {
    /// nil for a path here; an empty name is one, too.
    let container: String?
    /// As it was written; `-` is a standard stream.
    let path: String

    /// Reads `CONTAINER:PATH` or a path here, which may hold a colon behind a slash or a dot at its beginning.
    init(_ text: String) {
        let (container, path) = splitOnce(text, at: ":")
        if let path, !text.hasPrefix("/"), !container.hasPrefix(".") {
            (self.container, self.path) = (container.isEmpty ? nil : container, path)
        } else {
            (self.container, self.path) = (nil, text)
        }
    }
}

/// Where a copy goes: a directory, and what the copied is called in it.
struct CopyTarget: Equatable {
    let directory: FilePath
    /// nil keeps the name that it has.
    let name: String?

    /// - Parameters:
    ///   - isDirectory: what is at `place`; nil for nothing.
    ///   - name: what the copied is called where it goes into a directory; nil keeps the name that it has.
    /// - Throws: `Complaint` in docker's words.
    init(_ place: CopyPath, isDirectory: Bool?, sourceIsDirectory: Bool, name: String?) throws(Complaint) {
        if isDirectory == true {
            directory = place.clean
            self.name = name
            return
        }
        if isDirectory == false && sourceIsDirectory { throw Complaint("cannot copy directory") }
        if isDirectory == nil && place.meansDirectory && !sourceIsDirectory { throw Complaint("no such directory") }
        directory = place.clean.removingLastComponent()
        self.name = place.clean.lastComponent?.string
    }
}

extension CopyPath {
    /// Most links in a row, the kernel's own limit.
    private static let linkLimit = 40

    /// The place that a link leads to which is there, or is not; itself where it is none.
    /// - Throws: `Complaint` for a place that nothing can be written to.
    func writable() throws -> (place: CopyPath, isDirectory: Bool?) {
        let parent = clean.removingLastComponent()
        guard try Self.status(parent, followingLinks: true) != nil else {
            throw Complaint("invalid output path: directory \"\(parent)\" does not exist")
        }
        var place = self
        for _ in 0..<Self.linkLimit {
            guard let status = try Self.status(place.clean, followingLinks: false) else { return (place, nil) }
            switch status.type {
            case .symbolicLink:
                place = CopyPath(try readSymbolicLink(place.clean).string, from: place.clean.removingLastComponent())
            case .directory: return (place, true)
            case .regular: return (place, false)
            default:
                let kind = [.blockDevice, .characterDevice].contains(status.type) ? "a device" : "an irregular file"
                throw Complaint("invalid output path: \"\(clean)\" must be a directory or a regular file: got \(kind)")
            }
        }
        throw Complaint("too many links in a row: \(clean)")
    }

    /// What lies at a path that is read from, and what it is called.
    func readable(followingLinks: Bool) throws -> (directory: FilePath, name: FilePath, isDirectory: Bool) {
        let follows = meansDirectory || followingLinks
        guard let status = try Self.status(clean, followingLinks: follows) else {
            throw Complaint("lstat \(clean): no such file or directory")
        }
        let isDirectory = status.type == .directory
        if meansDirectory && !isDirectory { throw Complaint("\(text): not a directory") }
        if isDirectory { return (clean, ".", true) }
        // The link's own target is asked for, by the name that it has there.
        let place = follows ? try Self.resolved(clean) : clean
        return (place.removingLastComponent(), FilePath(place.lastComponent?.string ?? "."), false)
    }

    private static func resolved(_ path: FilePath) throws(SyscallError) -> FilePath {
        let file = try openFile(path, .path)
        return try readSymbolicLink(FilePath("/proc/self/fd/\(file.number)"))
    }

    private static func status(_ path: FilePath, followingLinks: Bool) throws(SyscallError) -> FileStatus? {
        do throws(SyscallError) { return try fileStatus(path, followingLinks: followingLinks) } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
    }
}

extension ContainerPathStat {
    /// - Source: Go's os.FileMode: ModeDir, ModeSymlink, ModeDevice, ModeIrregular.
    var isDirectory: Bool { mode & 1 << 31 != 0 }
    var isSymbolicLink: Bool { mode & 1 << 27 != 0 }

    /// Why nothing can be written there, in docker's words; nil when it can.
    var complaint: String? {
        if mode & 1 << 26 != 0 { return "got a device" }
        return mode & (1 << 19 | 1 << 24 | 1 << 25) != 0 ? "got an irregular file" : nil
    }
}
