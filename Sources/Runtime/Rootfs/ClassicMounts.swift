internal import Glibc
package import LinuxSyscalls
internal import SystemPackage

extension RootfsBuilder {
    /// What the kernel takes as one string of fsconfig(2), its end included. - Source: fs/fsopen.c, FSCONFIG_SET_STRING.
    private static let stringLimitBytes = 256

    /// Whether fsconfig(2) refuses what is to be said of a file system, as the list of an overlay's layers, for its length alone.
    func isTooLong(source: String, _ parameters: [FileSystemParameter]) -> Bool {
        source.utf8.count >= Self.stringLimitBytes || parameters.contains { ($0.value?.utf8.count ?? 0) >= Self.stringLimitBytes }
    }

    /// A detached mount of a new file system of which more is to be said than fsconfig(2) takes: mount(2) makes it. That call wants a place by its
    /// name: for as long as it takes, it is one in a directory of our own that lies over the root, which nobody else has a way into.
    func makeLongMount(
        type: String, source: String, parameters: [FileSystemParameter], attributes: MountAttributes
    ) throws(SyscallError) -> OwnedFD {
        let classic = try ClassicMount(type: type, parameters, reason: Self.longReason)
        try refuseRelativePaths(type: type, source: source, parameters)
        let before = try openFile(".", [.path, .directory])
        let yard = try makeMount(
            type: "tmpfs", source: "tmpfs", parameters: [FileSystemParameter(key: "mode", value: "0700")], attributes: [])
        let place: FilePath = "mount"
        try makeDirectory(place, mode: 0o700, at: yard.number)
        try changeDirectory(to: yard, subject: "tmpfs")
        let mount: OwnedFD
        var isAttached = false
        do throws(SyscallError) {
            try openedRoot { root throws(SyscallError) in try moveMount(yard, onto: root.descriptor, subject: "") }
            isAttached = true
            try LinuxSyscalls.mount(source, onto: place, type: type, flags: classic.flags, data: classic.data)
            mount = try openTree(place, .clone)
        } catch {
            if isAttached { try? unmount(".", .detach) }
            try? changeDirectory(to: before, subject: "")
            throw error
        }
        // With what lies in it.
        try unmount(".", .detach)
        try changeDirectory(to: before, subject: "")
        if !attributes.isEmpty {
            // The three of access times are values of one field, which is set only as a whole.
            let field: MountAttributes = attributes.isDisjoint(with: .accessTimeField) ? [] : .accessTimeField
            try changeMountAttributes(of: mount.number, set: attributes, clear: field, subject: "")
        }
        return mount
    }

    /// We call mount(2) from another directory than the one that relative paths start at.
    private func refuseRelativePaths(type: String, source: String, _ parameters: [FileSystemParameter]) throws(SyscallError) {
        for parameter in parameters where type == "overlay" && Self.overlayPathKeys.contains(parameter.key) {
            guard let value = parameter.value, Self.hasRelativePath(value, isList: parameter.key == "lowerdir") else { continue }
            throw ClassicMount.misread(parameter.key, "has a relative path", Self.longReason)
        }
        // `host:/path` is none of this machine's.
        let isName = !source.utf8.contains(UInt8(ascii: "/")) || source.utf8.contains(UInt8(ascii: ":"))
        if !isName && !source.hasPrefix("/") { throw ClassicMount.misread("source", "is a relative path", Self.longReason) }
    }

    private static let longReason = "where an option or the source is longer than 255 bytes"

    private static let overlayPathKeys: Set<String> = ["lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"]

    /// - Parameter isList: paths have colons between them, of which one behind a backslash is part of a path.
    private static func hasRelativePath(_ text: String, isList: Bool) -> Bool {
        var begins = true
        var isEscaped = false
        for byte in text.utf8 {
            let isColon = isList && byte == UInt8(ascii: ":") && !isEscaped
            if begins && byte != UInt8(ascii: "/") && !isColon { return true }
            begins = isColon
            isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
        }
        return false
    }
}

/// What is to be said of a new file system, as mount(2) takes it.
package struct ClassicMount: Equatable {
    /// What mount(2) takes as data; of longer ones the kernel would take the beginning.
    private static let dataLimitBytes = 4096

    package let flags: MountFlags
    /// Options, with commas between them.
    package let data: String

    /// - Parameter reason: why mount(2) is asked, for the error.
    /// - Throws: E2BIG, and EINVAL for an option that would be taken for two.
    package init(type: String, _ parameters: [FileSystemParameter], reason: String) throws(SyscallError) {
        var flags: MountFlags = []
        var words: [String] = []
        for parameter in parameters {
            if let value = parameter.value {
                words.append("\(parameter.key)=\(try Self.quoted(value, of: parameter, reason))")
            } else if let flag = Self.flag(of: parameter.key) {
                flags.insert(flag)
            } else {
                words.append(parameter.key)
            }
        }
        self.flags = flags
        data = words.joined(separator: ",")
        guard data.utf8.count < Self.dataLimitBytes else {
            throw SyscallError("mount", "the options of \(type) are longer than \(Self.dataLimitBytes - 1) bytes", errno: E2BIG)
        }
    }

    static func misread(_ option: String, _ what: String, _ reason: String) -> SyscallError {
        SyscallError("mount", "\(option) \(what), which is not possible \(reason)", errno: EINVAL)
    }

    /// The categories of a label have commas between them; SELinux takes quotes off. - Source: mount(8), `context=`.
    private static func quoted(_ value: String, of parameter: FileSystemParameter, _ reason: String) throws(SyscallError) -> String {
        guard value.utf8.contains(UInt8(ascii: ",")) else { return value }
        guard isContext(parameter), !value.utf8.contains(UInt8(ascii: "\"")) else { throw misread(parameter.key, "has a comma", reason) }
        return "\"\(value)\""
    }

    /// Words that fsconfig(2) takes for any file system are flags of mount(2).
    private static func flag(of word: String) -> MountFlags? {
        switch word {
        case "ro": .readOnly
        case "sync": .synchronous
        case "dirsync": .directorySynchronous
        case "mand": MountFlags(rawValue: 1 << 6)
        case "lazytime": MountFlags(rawValue: 1 << 25)
        default: nil
        }
    }
}
