internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// A shim's own directory: `start` makes it; the shim itself, or `delete` after it, takes it away.
enum ShimDirectory {
    /// Where shims of containerd's containers keep their sockets and state; there while one of them is.
    static let containerdParent = "/run/apus-shim"
    /// How long a shim that was told to end may take to take its directory away: what it logged is sent and compressed first, each within five
    /// seconds.
    private static let leaveMilliseconds: Int32 = 25_000
    /// How long one that was killed may take to be gone.
    private static let deathMilliseconds: Int32 = 2_000
    /// The parent may be taken away, with what was the last shim, as often as this while a directory is made in it.
    private static let attemptCount = 10

    /// Makes the directory, in place of one that a killed shim has left.
    /// - Throws: EEXIST while another shim lives there.
    static func make(_ layout: ShimLayout) throws(SyscallError) {
        for _ in 1..<attemptCount {
            do throws(SyscallError) { return try makeOnce(layout) } catch  where error.isMissing {}
        }
        try makeOnce(layout)
    }

    private static func makeOnce(_ layout: ShimLayout) throws(SyscallError) {
        let path = FilePath(layout.directory)
        try makeDirectories(path.removingLastComponent(), mode: ShimLayout.directoryMode)
        do throws(SyscallError) {
            try makeDirectory(path, mode: ShimLayout.directoryMode)
        } catch  where error.isExisting {
            // One that lives keeps its place, but may be on its way out.
            if let process = try process(of: layout) {
                guard try !waitUntilReadable([process.number], timeoutMilliseconds: leaveMilliseconds).isEmpty else { throw error }
            }
            do throws(SyscallError) { try removeTree(path) } catch  where error.isMissing {}
            try makeDirectory(path, mode: ShimLayout.directoryMode)
        }
    }

    /// Takes away what stands in the way of another shim in place of a killed one. - Returns: false while that one lives.
    static func empty(_ layout: ShimLayout) throws(SyscallError) -> Bool {
        if let process = try process(of: layout) {
            if try waitUntilReadable([process.number], timeoutMilliseconds: deathMilliseconds).isEmpty { return false }
        } else if try isListening(layout) {
            // Who began it was killed before it could write down which process it is.
            return false
        }
        for path in [layout.pidPath, layout.socketPath] {
            do throws(SyscallError) { try removeFile(FilePath(path)) } catch  where error.isMissing {}
        }
        return true
    }

    private static func isListening(_ layout: ShimLayout) throws(SyscallError) -> Bool {
        let directory = try openFile(FilePath(layout.directory), [.path, .directory])
        do throws(SyscallError) {
            _ = try connectUnixSocket(socketPath(layout, through: directory))
            return true
        } catch  where error.isMissing || error.isRefused { return false }
    }

    /// Takes the directory away if it is there, and containerd's parent with the last one in it.
    static func remove(_ layout: ShimLayout) throws(SyscallError) {
        do throws(SyscallError) { try removeTree(FilePath(layout.directory)) } catch  where error.isMissing {}
        guard layout.directory.hasPrefix("\(containerdParent)/") else { return }
        do throws(SyscallError) {
            try removeDirectory(FilePath(containerdParent))
        } catch  where error.isNotEmpty || error.isMissing {}
    }

    /// How long a shim that nobody has spoken to may have been begun, and how many directories one start looks at.
    private static let (forgottenSeconds, lookCount): (Int64, Int) = (120, 32)

    /// Takes away directories of containerd's shims that were killed before a container was created: containerd asks nobody to delete those.
    static func removeForgotten() {
        guard let parent = try? openFile(FilePath(containerdParent), [.readOnly, .directory]),
            let entries = try? directoryEntries(of: parent, subject: containerdParent)
        else { return }
        // Some of many, others the next time.
        for entry in entries.shuffled().prefix(lookCount) {
            // What stands in the way of this stays for another start.
            try? removeIfForgotten(ShimLayout(directory: "\(containerdParent)/\(entry.name.string)"))
        }
    }

    private static func removeIfForgotten(_ layout: ShimLayout) throws(SyscallError) {
        let path = FilePath(layout.directory)
        let begun = try fileStatus(path).modified.seconds
        let directory = Descriptor(try openFile(path, [.readOnly, .directory, .noFollow]))
        let names = try directoryEntries(of: directory.owned, subject: layout.directory).map(\.name.string)
        // From Create on there is more, which `delete` needs; of a group's, in a directory of its own below `tasks`.
        let isUnused = Set(names).isSubset(of: [ShimLayout.pidName, ShimLayout.socketName, ShimLayout.groupName, ShimLayout.tasksName])
        let age = unixNanoseconds() / 1_000_000_000 - begun
        guard isUnused, try members(layout).isEmpty, age > forgottenSeconds, try process(of: layout) == nil, try !isListening(layout) else {
            return
        }
        for name in names where name != ShimLayout.tasksName { try removeFile(FilePath(name), at: directory.number) }
        // A group's next shim has its directory in the same place.
        guard try isStill(layout, directory) else { return }
        if names.contains(ShimLayout.tasksName) { try removeDirectory(FilePath(layout.tasksPath)) }
        try removeDirectory(path)
    }

    /// The containers of a group whose directories are there.
    static func members(_ layout: ShimLayout) throws(SyscallError) -> [String] {
        do throws(SyscallError) {
            let tasks = try openFile(FilePath(layout.tasksPath), [.readOnly, .directory])
            return try directoryEntries(of: tasks, subject: layout.tasksPath).map(\.name.string)
        } catch  where error.isMissing { return [] }
    }

    /// Whether the directory at the path is still the one that `opened` is.
    static func isStill(_ layout: ShimLayout, _ opened: Descriptor) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            let (there, ours) = (try fileStatus(FilePath(layout.directory)), try fileStatus(of: opened.number))
            return there.inode == ours.inode && there.fileSystem == ours.fileSystem
        } catch  where error.isMissing { return false }
    }

    /// The process that wrote itself down there; nil when it has been reaped, or when none did.
    static func process(of layout: ShimLayout) throws(SyscallError) -> Descriptor? {
        do throws(SyscallError) {
            let bytes = try readFile(FilePath(layout.pidPath), limitBytes: ShimProcessIdentity.maximumByteCount)
            // A start that was killed may have written half of it; its shim ends by itself, for want of clients.
            guard let identity = try? ShimProcessIdentity(decoding: bytes) else { return nil }
            let process = Descriptor(try openProcess(identity.pid))
            // Looked at after the pidfd was opened: it is that very process, or it is not.
            return try startTimeTicks(of: identity.pid) == identity.startTimeTicks ? process : nil
        } catch  where error.isMissing { return nil }
    }

    /// The address of a directory's socket for a process that listens or connects: sun_path holds 107 bytes, so
    /// a longer one is reached through the open directory.
    static func socketPath(_ layout: ShimLayout, through directory: borrowing OwnedFD) -> FilePath {
        layout.socketPath.utf8.count <= 107
            ? FilePath(layout.socketPath) : FilePath("/proc/self/fd/\(directory.number)/\(ShimLayout.socketName)")
    }
}
