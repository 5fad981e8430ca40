package import SystemPackage

/// A mount as a line of fstab(5) describes it: for file systems of the host's own making, at places of the host's own choosing.
package struct FstabMount: Equatable, Sendable {
    /// mount(2) takes one page of options, the final NUL included; longer overlays are mounted another way.
    static let classicOptionByteCount = 4095

    /// `overlay`, `bind`, `tmpfs`, …
    package let type: String
    /// A device, a directory, or any word.
    package let source: String
    package let options: [String]

    package init(type: String, source: String, options: [String]) {
        self.type = type
        self.source = source
        self.options = options
    }

    /// Performs the mount.
    package func perform(onto target: FilePath) throws(SyscallError) {
        let options = FstabOptions(options)
        if !options.users.isEmpty || !options.groups.isEmpty { return try performMapped(options, onto: target) }
        if type == "overlay" && options.data.utf8.count > Self.classicOptionByteCount {
            return try mountLongOverlay(options, onto: target)
        }
        var flags = options.flags
        if type == "bind" || type == "rbind" { flags.insert(.bind) }
        if type == "rbind" { flags.insert(.recursive) }
        let isBind = flags.contains(.bind)
        try mount(
            source, onto: target, type: isBind ? "" : type,
            flags: isBind ? flags.intersection([.bind, .recursive]) : flags, data: options.data)
        // A bind mount takes its other flags in a second call.
        let others = flags.subtracting([.bind, .recursive])
        if isBind && !others.isEmpty {
            try mount("", onto: target, flags: others.union([.bind, .remount]), data: "")
        }
        if let propagation = options.propagation { try mount("", onto: target, flags: propagation) }
    }
}

/// Mount options as fstab(5) has them: words that are flags, and the rest for the file system.
package struct FstabOptions: Equatable {
    package private(set) var flags: MountFlags = []
    package private(set) var propagation: MountFlags?
    package private(set) var isLoop = false
    /// `uidmap=INSIDE:OUTSIDE:COUNT`: as whose the files of the user `INSIDE` and of those that follow are shown; likewise for groups. The
    /// words are containerd's.
    package private(set) var users: [IDRange] = []
    package private(set) var groups: [IDRange] = []
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
            } else if option.hasPrefix("uidmap="), let range = IDRange(parsing: option.dropFirst("uidmap=".count)) {
                users.append(range)
            } else if option.hasPrefix("gidmap="), let range = IDRange(parsing: option.dropFirst("gidmap=".count)) {
                groups.append(range)
            } else {
                rest.append(option)
            }
        }
        data = rest.joined(separator: ",")
    }
}
