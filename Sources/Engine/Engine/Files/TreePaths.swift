internal import LinuxSyscalls
internal import SystemPackage

/// A path that a client names in a container, as docker's `cp` reads it: from the root, cleaned, but with what its end says.
struct TreePath: Equatable, Sendable {
    /// Absolute, cleaned.
    let clean: String
    /// Whether a directory is meant: the text ends with a slash or with `/.`.
    let meansDirectory: Bool
    /// Whether the directory's contents are meant: the text ends with `/.`.
    let meansContents: Bool

    init(_ text: String) {
        clean = cleanedPath("/" + text)
        meansContents = text == "." || text.hasSuffix("/.")
        meansDirectory = meansContents || text.hasSuffix("/")
    }

    /// The last component; the root's is a slash.
    var name: String { clean == "/" ? "/" : String(clean.split(separator: "/").last ?? "/") }

    /// The directory above.
    var parent: FilePath { FilePath(clean).removingLastComponent() }

    /// Whether the last component itself is meant, even where it is a link.
    var isPlain: Bool { !meansDirectory && clean != "/" }
}

/// What is found at a path of a container.
struct TreeFinding: ~Copyable {
    /// Opened as a path, links of the way followed inside the root.
    let directory: OwnedFD
    /// In `directory`; `.` is itself.
    let name: FilePath
    let status: FileStatus
}

extension ContainerRoot {
    /// Most links on the way to one place: the kernel's own limit.
    private static let linkLimit = 40

    /// Finds what a path means. The last component is followed only where a directory is meant.
    /// - Throws: ENOENT and its like.
    func find(_ path: TreePath) throws(SyscallError) -> TreeFinding {
        let directory = try openInRoot(
            path.isPlain ? path.parent : FilePath(path.clean), [.path, .directory], root: file)
        let name: FilePath = path.isPlain ? FilePath(path.name) : "."
        let status = try fileStatus(name, at: directory.number)
        return TreeFinding(directory: directory, name: name, status: status)
    }

    /// Where a path leads when every link is followed, inside the root; components that are not there stay as they are.
    func resolved(_ path: TreePath) throws(SyscallError) -> String {
        var pending = path.clean.split(separator: "/").map(String.init)[...]
        var place: [String] = []
        var links = 0
        while let component = pending.popFirst() {
            switch component {
            case ".": continue
            case "..": _ = place.popLast()
            default:
                guard let target = try linkText(component, in: place) else {
                    place.append(component)
                    continue
                }
                links += 1
                guard links <= Self.linkLimit else {
                    throw SyscallError("open", path.clean, errno: Errno.tooManySymbolicLinkLevels.rawValue)
                }
                if target.hasPrefix("/") { place = [] }
                pending = (target.split(separator: "/").map(String.init) + pending)[...]
            }
        }
        return "/" + place.joined(separator: "/")
    }

    /// Makes a directory, and those above it that are missing, where the path leads.
    func makeDirectories(_ path: TreePath) throws(SyscallError) {
        var place: FilePath = "/"
        for component in FilePath(try resolved(path)).components {
            let parent = try openInRoot(place, [.path, .directory], root: file)
            do throws(SyscallError) { try makeDirectory(FilePath(component.string), at: parent.number) } catch {
                guard Errno(rawValue: error.errno) == .fileExists else { throw error }
            }
            place.append(component)
        }
    }

    /// nil for what is no link, or not there.
    private func linkText(_ name: String, in place: [String]) throws(SyscallError) -> String? {
        do throws(SyscallError) {
            let directory = try openInRoot(
                FilePath("/" + place.joined(separator: "/")), [.path, .directory], root: file)
            return String(decoding: try symbolicLinkText(FilePath(name), at: directory.number), as: UTF8.self)
        } catch {
            guard [.noSuchFileOrDirectory, .notDirectory, .invalidArgument].contains(Errno(rawValue: error.errno)) else { throw error }
            return nil
        }
    }
}
