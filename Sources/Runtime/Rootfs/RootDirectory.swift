internal import Glibc
package import LinuxSyscalls
internal import SystemPackage

/// The root of a container, by descriptor: everything inside it is found through here, never by a host path, so that no symbolic link
/// and no `..` of the container leads out, whoever changes the tree meanwhile.
package struct RootDirectory: ~Copyable {
    /// The root mount.
    package let descriptor: OwnedFD

    /// Takes an open directory for the root.
    package init(_ descriptor: consuming OwnedFD) { self.descriptor = descriptor }

    /// Opens what exists. - Throws: ENOENT, ELOOP, and what else openat2(2) says.
    package func open(_ path: String, _ flags: OpenFlags = .path) throws(SyscallError) -> OwnedFD {
        do throws(SyscallError) { return try openInRoot(FilePath(path), flags, root: descriptor) } catch {
            // No openat2 in this kernel, or none through the filter that we run under.
            guard error.errno == ENOSYS || error.errno == EPERM else { throw error }
            let place = try walk(path, creating: nil)
            if flags == .path { return place.take() }
            // Where it really lies there is no link on the way any more.
            guard let name = place.trail.last else { return try openFile(".", flags, at: descriptor.number) }
            let parent = try reopen(place.trail.dropLast())
            return try openFile(name, [flags, .noFollow], at: parent.number)
        }
    }

    /// Where a path really leads, symbolic links followed as far as it exists, as a path of the container.
    package func realPath(of path: String) -> String {
        guard let own = try? readSymbolicLink(FilePath("/proc/self/fd/\(descriptor.number)")).string else { return path }
        var existing = FilePath(path)
        var rest: [FilePath.Component] = []
        while let name = existing.lastComponent {
            if let opened = try? open(existing.string),
                let real = try? readSymbolicLink(FilePath("/proc/self/fd/\(opened.number)")).string,
                real.hasPrefix(own == "/" ? "/" : own + "/")
            {
                let inside = own == "/" ? real : String(real.dropFirst(own.count))
                return rest.reversed().reduce(into: FilePath(inside)) { $0.append($1) }.string
            }
            rest.append(name)
            existing.removeLastComponent()
        }
        return path
    }

    /// What to make where a path ends in nothing.
    package enum Missing: Sendable { case directory, file }

    /// Opens a place to mount on, making it, and the directories above it, where they are missing.
    /// - Parameters:
    ///   - followingLinks: false refuses every symbolic link on the way, with ELOOP.
    ///   - followingLast: false means a symbolic link at the end of the way itself.
    package func openMountPoint(
        _ path: String, creating missing: Missing, followingLinks: Bool = true, followingLast: Bool = true
    ) throws(SyscallError) -> Place {
        let resolve: ResolveFlags = followingLinks ? [.inRoot, .noMagicLinks] : [.inRoot, .noMagicLinks, .noSymlinks]
        do throws(SyscallError) {
            let flags: OpenFlags = followingLast ? .path : [.path, .noFollow]
            return Place(descriptor: try openInRoot(FilePath(path), flags, root: descriptor, resolve: resolve))
        } catch {
            guard [ENOENT, ENOSYS, EPERM].contains(error.errno) else { throw error }
            return try walk(path, creating: missing, followingLinks: followingLinks, followingLast: followingLast)
        }
    }

    /// A descriptor inside the root.
    package struct Place: ~Copyable {
        /// The place itself.
        package let descriptor: OwnedFD
        /// Whether it did not exist before.
        package let wasMade: Bool
        /// The real names on the way, where it was walked.
        fileprivate let trail: [FilePath]

        fileprivate init(descriptor: consuming OwnedFD, wasMade: Bool = false, trail: [FilePath] = []) {
            self.descriptor = descriptor
            self.wasMade = wasMade
            self.trail = trail
        }

        /// Gives the descriptor away.
        package consuming func take() -> OwnedFD { descriptor }
    }

    /// The most symbolic links on one way, the kernel's own number. - Source: path_resolution(7).
    private static let linkLimit = 40
    /// The longest way that the kernel takes, its end included. - Source: limits.h, PATH_MAX.
    private static let pathLimitBytes = 4096
    /// The most components on one way, links unfolded.
    private static let componentLimit = 4096

    /// Walks a path by single components, each opened without following anything, and follows symbolic links itself, inside the root.
    private func walk(
        _ path: String, creating missing: Missing?, followingLinks: Bool = true, followingLast: Bool = true
    ) throws(SyscallError) -> Place {
        /// What is still to go, the next component last.
        var pending = Array(fields(of: path[...], separatedBy: UInt8(ascii: "/")).reversed())
        /// The real directories above `current`, and the descriptor of the last; nil stands for the root.
        var trail: [FilePath] = []
        var current: OwnedFD?
        var currentNumber = descriptor.number
        var linksFollowed = 0
        var componentsWalked = 0
        var wasMade = false
        if path.utf8.count >= Self.pathLimitBytes { throw SyscallError("open", path, errno: ENAMETOOLONG) }

        while let component = pending.popLast() {
            componentsWalked += 1
            if componentsWalked > Self.componentLimit { throw SyscallError("open", path, errno: ENAMETOOLONG) }
            if component == "." { continue }
            if component == ".." {
                _ = trail.popLast()
                let above = try reopen(trail)
                currentNumber = above.number
                current = consume above
                continue
            }
            let name = FilePath(String(component))
            let isLast = pending.isEmpty
            let place = try openComponent(name, in: currentNumber, creating: missing.map { isLast ? $0 : .directory })
            wasMade = place.wasMade
            let next = place.take()
            let type = try fileStatus(of: next.number, subject: path).type
            if type == .symbolicLink && (followingLast || !isLast) {
                linksFollowed += 1
                if linksFollowed > Self.linkLimit || !followingLinks { throw SyscallError("open", path, errno: ELOOP) }
                let target = try readSymbolicLink("", at: next.number)
                // What procfs says of a descriptor or a root is a path of the host. Its other links are relative.
                if target.isAbsolute, try fileSystemKind(of: next.number, subject: path) == .proc {
                    throw SyscallError("open", path, errno: ELOOP)
                }
                if target.isAbsolute {
                    trail = []
                    current = nil
                    currentNumber = descriptor.number
                }
                pending.append(contentsOf: fields(of: target.string[...], separatedBy: UInt8(ascii: "/")).reversed())
                continue
            }
            if !isLast && type != .directory { throw SyscallError("open", path, errno: ENOTDIR) }
            trail.append(name)
            currentNumber = next.number
            current = consume next
        }
        guard let found = current.take() else { return Place(descriptor: try descriptor.duplicate()) }
        return Place(descriptor: found, wasMade: wasMade, trail: trail)
    }

    /// Opens one name without following it, after making it where it is missing.
    private func openComponent(_ name: FilePath, in directory: Int32, creating missing: Missing?) throws(SyscallError) -> Place {
        do throws(SyscallError) {
            return Place(descriptor: try openFile(name, [.path, .noFollow], at: directory))
        } catch {
            guard error.errno == ENOENT, let missing else { throw error }
            return try makeComponent(name, in: directory, as: missing)
        }
    }

    private func makeComponent(_ name: FilePath, in directory: Int32, as missing: Missing) throws(SyscallError) -> Place {
        var made = true
        do throws(SyscallError) {
            switch missing {
            case .directory: try makeDirectory(name, mode: 0o755, at: directory)
            case .file: try makeNode(name, .regular, mode: 0o644, at: directory)
            }
        } catch {
            // Another container that shares the directory was faster.
            if error.errno != EEXIST { throw error }
            made = false
        }
        return Place(descriptor: try openFile(name, [.path, .noFollow], at: directory), wasMade: made)
    }

    /// Opens a way of real directories again from the root, following nothing.
    private func reopen(_ trail: some Sequence<FilePath>) throws(SyscallError) -> OwnedFD {
        var current = try descriptor.duplicate()
        for name in trail { current = try openFile(name, [.path, .directory, .noFollow], at: current.number) }
        return current
    }
}
