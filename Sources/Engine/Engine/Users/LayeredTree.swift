internal import Archive
internal import CoreTypes
internal import Images
internal import LinuxSyscalls
internal import Snapshots
internal import SystemPackage

/// A container's root that nobody has mounted, read through its layers as overlayfs would show it.
///
/// Nothing here executes or mounts anything of the container; every component is opened without following links, and links are
/// resolved inside the root by hand.
struct LayeredTree {
    /// Links followed on the way to one file: the kernel's own limit.
    static let maximumLinkCount = 40

    /// Directories of the layers, the uppermost first.
    let layers: [FilePath]

    init(layers: [FilePath]) { self.layers = layers }

    /// The layers of a root as its mounts name them; the last mount is the root.
    /// - Throws: `.system` for mounts that are neither a bind nor an overlay.
    init(mounts: [SnapshotMount]) throws(EngineError) {
        guard let root = mounts.last else { throw EngineError(.system, "the container's root has no mount") }
        switch root.type {
        case "bind": layers = [FilePath(root.source)]
        case "overlay":
            let options = Dictionary(
                root.options.compactMap { option -> (String, String)? in
                    guard let equals = option.firstIndex(of: "=") else { return nil }
                    return (String(option[..<equals]), String(option[option.index(after: equals)...]))
                }, uniquingKeysWith: { first, _ in first })
            let upper = options["upperdir"].map { [$0] } ?? []
            layers = (upper + (options["lowerdir"].map(Self.unescapedList) ?? [])).map { FilePath($0) }
        default: throw EngineError(.system, "the container's root has a mount of type \(root.type)")
        }
    }

    /// Directories of an overlay option: separated by colons, where a backslash takes the next character's meaning away.
    private static func unescapedList(_ text: String) -> [String] {
        var directories = [""]
        var isEscaped = false
        for character in text {
            switch character {
            case "\\" where !isEscaped: isEscaped = true
            case ":" where !isEscaped: directories.append("")
            default:
                directories[directories.count - 1].append(character)
                isEscaped = false
            }
        }
        return directories.filter { !$0.isEmpty }
    }

    /// The contents of a regular file; nil where there is none.
    /// - Parameter limitBytes: longer ones are refused, as is everything that is not a regular file.
    /// - Throws: `.invalidParameter` for such a file.
    func contents(of path: String, limitBytes: Int) throws(EngineError) -> [UInt8]? {
        do throws(SyscallError) {
            guard let (layer, place) = try resolve(path) else { return nil }
            // O_NONBLOCK: opening a FIFO must not wait for its other end.
            let root = try openFile(layers[layer], [.readOnly, .directory])
            let file = try openInRoot(
                FilePath(place), [.readOnly, .noFollow, .nonBlocking], root: root, resolve: [.beneath, .noSymlinks, .noMagicLinks])
            guard try fileStatus(of: file.number, subject: path).type == .regular else {
                throw SyscallError("read", "\(path), which is no regular file", errno: Errno.invalidArgument.rawValue)
            }
            return try readAll(file.number, limitBytes: limitBytes, subject: path)
        } catch {
            throw EngineError(.invalidParameter, "the image's \(path) cannot be used: \(error)", cause: error)
        }
    }

    /// What lies at a path, no link followed; nil for nothing, and below anything but directories. - Parameter path: names from the root.
    func kind(of path: [String]) throws(SyscallError) -> LinuxSyscalls.FileType? {
        guard let place = try uppermost(path) else { return nil }
        return try fileStatus(place).type
    }

    /// What a path leads to, links followed; nil for nothing, and below anything but directories.
    func kind(behind path: String) throws(SyscallError) -> LinuxSyscalls.FileType? {
        guard let (layer, place) = try resolve(path) else { return nil }
        return try fileStatus(layers[layer].appending(place)).type
    }

    /// What a link says that lies at a path; nil where none does.
    func linkText(of path: [String]) throws(SyscallError) -> [UInt8]? {
        guard let place = try uppermost(path), try fileStatus(place).type == .symbolicLink else { return nil }
        return try symbolicLinkText(place)
    }

    /// Where what is seen at a path lies: of a directory, where the layer that describes it has it.
    func uppermost(_ path: [String]) throws(SyscallError) -> FilePath? {
        var visible = Array(layers.indices)
        for (depth, name) in path.enumerated() {
            guard let entry = try look(for: name, in: Array(path[..<depth]), among: visible), let layer = entry.layers.first else {
                return nil
            }
            visible = entry.layers
            if depth == path.count - 1 { return layers[layer].appending(path.joined(separator: "/")) }
            if entry.link != nil { return nil }
        }
        return nil
    }

    /// Which layer holds a path, and where in it once all links are followed.
    private func resolve(_ path: String) throws(SyscallError) -> (layer: Int, place: String)? {
        var pending = path.split(separator: "/").map(String.init)
        var place: [String] = []
        // For each directory on the way, the root first: the layers that are seen through it.
        var visible = [Array(layers.indices)]
        var links = 0
        while !pending.isEmpty {
            let component = pending.removeFirst()
            if component == "." { continue }
            if component == ".." {
                if !place.isEmpty {
                    place.removeLast()
                    visible.removeLast()
                }
                continue
            }
            guard let entry = try look(for: component, in: place, among: visible.last ?? []) else { return nil }
            guard let target = entry.link else {
                place.append(component)
                visible.append(entry.layers)
                continue
            }
            links += 1
            if links > Self.maximumLinkCount { throw SyscallError("open", path, errno: Errno.tooManySymbolicLinkLevels.rawValue) }
            if target.hasPrefix("/") {
                place = []
                visible = [Array(layers.indices)]
            }
            pending = target.split(separator: "/").map(String.init) + pending
        }
        guard !place.isEmpty, let layer = visible.last?.first else { return nil }
        return (layer, place.joined(separator: "/"))
    }

    /// What a name stands for: a link, or the layers that make it up, the uppermost first. More than one only for a directory.
    private struct Entry {
        var layers: [Int]
        var link: String?
    }

    private func look(for name: String, in directory: [String], among visible: [Int]) throws(SyscallError) -> Entry? {
        let place = (directory + [name]).joined(separator: "/")
        var parts: [Int] = []
        for index in visible {
            let root = try openFile(layers[index], [.readOnly, .directory])
            guard let file = try openIfPresent(place, [.path, .noFollow], root: root) else { continue }
            let status = try fileStatus(of: file.number, subject: place)
            switch status.type {
            case .directory:
                parts.append(index)
                if try isOpaque(place, root: root) { return Entry(layers: parts) }
            // Below a directory, a file of the same name is hidden; so is what a character device 0:0, overlayfs's mark of a
            // removed name, stands over.
            case _ where !parts.isEmpty: return Entry(layers: parts)
            case .characterDevice where status.device == DeviceNumber(major: 0, minor: 0): return nil
            case .symbolicLink: return Entry(layers: [index], link: try readSymbolicLink(FilePath(""), at: file.number).string)
            default: return Entry(layers: [index])
            }
        }
        return parts.isEmpty ? nil : Entry(layers: parts)
    }

    /// nil where a layer has no such path.
    private func openIfPresent(_ place: String, _ flags: OpenFlags, root: borrowing OwnedFD) throws(SyscallError) -> OwnedFD? {
        do throws(SyscallError) {
            return try openInRoot(FilePath(place), flags, root: root, resolve: [.beneath, .noSymlinks, .noMagicLinks])
        } catch {
            switch error.errno {
            // A parent that is a link or a file in this layer is a directory of another one.
            case Errno.noSuchFileOrDirectory.rawValue, Errno.notDirectory.rawValue, Errno.tooManySymbolicLinkLevels.rawValue: return nil
            default: throw error
            }
        }
    }

    private func isOpaque(_ place: String, root: borrowing OwnedFD) throws(SyscallError) -> Bool {
        let directory = try openInRoot(
            FilePath(place), [.readOnly, .directory], root: root, resolve: [.beneath, .noSymlinks, .noMagicLinks])
        return try extendedAttribute(OverlayMarks.opaque, of: directory.number, subject: place) == Array("y".utf8)
    }
}
