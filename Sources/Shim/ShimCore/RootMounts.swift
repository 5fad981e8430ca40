package import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The container's root file system as the request describes it, below the bundle.
enum RootMounts {
    /// mount(2) takes one page of options; longer overlays are configured layer by layer.
    private static let classicOptionByteCount = 4095
    /// Mounts of one request.
    static let maximumCount = 64

    /// Performs the mounts in order; those done are undone when one fails.
    static func mount(_ mounts: [RootMount], bundle: String) throws(ShimError) {
        guard mounts.count <= maximumCount else { throw ShimError(.limitReached, "\(mounts.count) root mounts") }
        if let one = mounts.first(where: { FstabOptions($0.options).isLoop }) {
            throw ShimError(.unsupported, "mount \(one.source)", cause: "option loop")
        }
        for (index, one) in mounts.enumerated() {
            do throws(SyscallError) {
                if index == 0 { try makeDirectories(root(bundle)) }
                try perform(one, onto: target(of: one, bundle: bundle))
            } catch {
                let failure = ShimError("mount \(one.type) \(one.source) onto \(target(of: one, bundle: bundle))", error)
                if let problem = unmount(mounts.prefix(index), bundle: bundle) {
                    throw ShimError(failure.code, failure.doing, cause: "\(failure.cause); and \(problem)")
                }
                throw failure
            }
        }
    }

    /// Takes the mounts away, last first. Returns the first problem, in words; what is not mounted is none.
    static func unmount(_ mounts: some BidirectionalCollection<RootMount>, bundle: String) -> String? {
        var problem: String?
        for one in mounts.reversed() {
            do throws(SyscallError) {
                try LinuxSyscalls.unmount(target(of: one, bundle: bundle), [.detach, .noFollow])
            } catch  where error.isMissing || error.isNotMounted {
            } catch { problem = problem ?? "\(error)" }
        }
        return problem
    }

    /// Takes everything away that is mounted on the bundle's root directory, and with it what is below, for a shim that is lost.
    static func unmountAll(bundle: String) throws(SyscallError) {
        do throws(SyscallError) {
            for _ in 0..<maximumCount { try LinuxSyscalls.unmount(root(bundle), [.detach, .noFollow]) }
        } catch  where error.isMissing || error.isNotMounted {}
    }

    private static func root(_ bundle: String) -> FilePath { FilePath(bundle).appending("rootfs") }

    // The bundle is the host's: nothing of the image has run when it is mounted, and targets are below by name.
    private static func target(of mount: RootMount, bundle: String) -> FilePath {
        let below = FilePath(mount.target).components.filter { $0.kind == .regular }
        return below.reduce(into: root(bundle)) { $0.append($1) }
    }

    private static func perform(_ mount: RootMount, onto target: FilePath) throws(SyscallError) {
        let options = FstabOptions(mount.options)
        if mount.type == "overlay" && options.data.utf8.count > classicOptionByteCount {
            return try mountOverlay(options, onto: target)
        }
        var flags = options.flags
        if mount.type == "bind" || mount.type == "rbind" { flags.insert(.bind) }
        if mount.type == "rbind" { flags.insert(.recursive) }
        let isBind = flags.contains(.bind)
        try LinuxSyscalls.mount(
            mount.source, onto: target, type: isBind ? "" : mount.type,
            flags: isBind ? flags.intersection([.bind, .recursive]) : flags, data: options.data)
        // A bind mount takes its other flags in a second call.
        let others = flags.subtracting([.bind, .recursive])
        if isBind && !others.isEmpty {
            try LinuxSyscalls.mount("", onto: target, flags: others.union([.bind, .remount]), data: "")
        }
        if let propagation = options.propagation { try LinuxSyscalls.mount("", onto: target, flags: propagation) }
    }

    /// - Source: fsconfig(2); Documentation/filesystems/overlayfs.rst, "lowerdir+", Linux 6.7.
    private static func mountOverlay(_ options: FstabOptions, onto target: FilePath) throws(SyscallError) {
        let context = try openFileSystem(type: "overlay")
        for option in options.data.split(separator: ",") {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2, parts[0] == "lowerdir" {
                for layer in parts[1].split(separator: ":") { try configureFileSystem(context, "lowerdir+", String(layer)) }
            } else {
                try configureFileSystem(context, parts[0], parts.count == 2 ? parts[1] : nil)
            }
        }
        try createFileSystem(context, subject: "overlay")
        let mounted = try mountFileSystem(context, options.attributes, subject: "overlay")
        let place = try openFile(target, [.path, .directory, .noFollow])
        try moveMount(mounted, onto: place, subject: target.string)
    }
}

/// Mount options as fstab(5) has them: words that are flags, and the rest for the file system.
package struct FstabOptions: Equatable {
    package private(set) var flags: MountFlags = []
    package private(set) var propagation: MountFlags?
    package private(set) var isLoop = false
    /// What is not a flag, joined by commas.
    package private(set) var data = ""

    private static let setting: [String: MountFlags] = [
        "ro": .readOnly, "nosuid": .noSetUserID, "nodev": .noDevices, "noexec": .noExecute, "sync": .synchronous,
        "dirsync": .directorySynchronous, "noatime": .noAccessTime, "nodiratime": .noDirectoryAccessTime,
        "relatime": .relativeAccessTime, "strictatime": .strictAccessTime, "bind": .bind, "rbind": [.bind, .recursive],
        "remount": .remount,
    ]
    private static let clearing: [String: MountFlags] = [
        "rw": .readOnly, "suid": .noSetUserID, "dev": .noDevices, "exec": .noExecute, "async": .synchronous,
        "atime": .noAccessTime, "diratime": .noDirectoryAccessTime, "norelatime": .relativeAccessTime,
        "nostrictatime": .strictAccessTime, "defaults": [],
    ]
    private static let propagations: [String: MountFlags] = [
        "private": .isPrivate, "rprivate": [.isPrivate, .recursive], "slave": .slave, "rslave": [.slave, .recursive],
        "shared": .shared, "rshared": [.shared, .recursive], "unbindable": .unbindable,
        "runbindable": [.unbindable, .recursive],
    ]

    /// The flags for fsmount(2).
    package var attributes: MountAttributes {
        let pairs: [(MountFlags, MountAttributes)] = [
            (.readOnly, .readOnly), (.noSetUserID, .noSetUserID), (.noDevices, .noDevices), (.noExecute, .noExecute),
            (.noAccessTime, .noAccessTime), (.noDirectoryAccessTime, .noDirectoryAccessTime), (.strictAccessTime, .strictAccessTime),
        ]
        return pairs.reduce(into: []) { if flags.contains($1.0) { $0.formUnion($1.1) } }
    }

    /// Sorts the words; later ones undo earlier ones.
    package init(_ options: [String]) {
        var rest: [String] = []
        for option in options {
            if let flag = Self.setting[option] {
                flags.formUnion(flag)
            } else if let flag = Self.clearing[option] {
                flags.subtract(flag)
            } else if let kind = Self.propagations[option] {
                propagation = kind
            } else if option == "loop" || option.hasPrefix("loop=") {
                isLoop = true
            } else {
                rest.append(option)
            }
        }
        data = rest.joined(separator: ",")
    }
}
