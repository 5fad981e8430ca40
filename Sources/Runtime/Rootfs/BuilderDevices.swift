internal import Glibc
package import LinuxSyscalls
internal import SystemPackage

/// Both ends of the container's terminal.
package struct ContainerTerminal: ~Copyable {
    /// For the one who asked for the terminal.
    package let master: OwnedFD
    /// For the container's standard streams; bound onto /dev/console already.
    package let slave: OwnedFD
}

extension RootfsBuilder {
    /// Makes a device node, or binds the host's.
    mutating func make(_ device: DeviceStep) throws(SyscallError) {
        if device.boundFromHost { return try bindFromHost(device) }
        let (directory, name) = try openDeviceParent(of: device.path)
        do throws(SyscallError) {
            try makeNode(name, device.type, mode: device.mode, device: device.number, at: directory.descriptor.number)
            if device.userID != 0 || device.groupID != 0 {
                try changeOwner(name, userID: device.userID, groupID: device.groupID, at: directory.descriptor.number)
            }
        } catch {
            switch error.errno {
            case EEXIST: try verifyNode(name, at: directory.descriptor.number, is: device)
            // Privileged in a user namespace only: someone above us made it.
            case EPERM where device.type != .pipe: try bindFromHost(device)
            default: throw error
            }
        }
    }

    /// A node that the image brought, or an earlier step made, serves when it is the right one.
    private func verifyNode(_ name: FilePath, at directory: Int32, is device: DeviceStep) throws(SyscallError) {
        let status = try fileStatus(name, at: directory)
        if status.type != device.type || (device.type != .pipe && status.device != device.number) {
            throw SyscallError("mknod", device.path, errno: EEXIST)
        }
    }

    private mutating func bindFromHost(_ device: DeviceStep) throws(SyscallError) {
        let tree = try copyMount(at: device.path, followingLast: false)
        let status = try fileStatus(of: tree.number, subject: device.path)
        if status.type != device.type || status.device != device.number {
            throw SyscallError("verify:", "the host's \(device.path) is another device", errno: EPERM)
        }
        let place = try openedRoot { root throws(SyscallError) in try root.openMountPoint(device.path, creating: .file) }
        try leavePeers(at: place.descriptor.number)
        try put(tree, onto: place.descriptor, subject: "")
    }

    /// Makes a symbolic link whose name is free, or is made free.
    mutating func makeLink(_ path: String, to target: String, replacing: Bool) throws(SyscallError) {
        let (directory, name) = try openDeviceParent(of: path)
        do throws(SyscallError) { try makeSymbolicLink(name, to: FilePath(target), at: directory.descriptor.number) } catch {
            if error.errno != EEXIST { throw error }
            if !replacing { return }
            try removeFile(name, at: directory.descriptor.number)
            try makeSymbolicLink(name, to: FilePath(target), at: directory.descriptor.number)
        }
    }

    /// Opens the directory of a device; /dev itself, which most are in, only once.
    private mutating func openDeviceParent(of path: String) throws(SyscallError) -> (directory: HeldMount, name: FilePath) {
        // By bytes: a dozen devices and links are made for every container.
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), path.utf8.index(after: slash) < path.endIndex else {
            throw SyscallError("open", path, errno: EINVAL)
        }
        let parent = slash == path.startIndex ? "/" : String(path[..<slash])
        let name = FilePath(String(path[path.utf8.index(after: slash)...]))
        if parent == "/dev", let deviceDirectory { return (deviceDirectory, name) }
        let opened = try openedRoot { root throws(SyscallError) in
            try root.openMountPoint(parent, creating: .directory).take()
        }
        let held = HeldMount(opened)
        if parent == "/dev" { deviceDirectory = held }
        return (held, name)
    }

    /// Makes the container's terminal in its own devpts and binds it onto /dev/console. Between `prepare()` and `complete()`.
    /// No path that the container could change is trusted: the slave is opened through the master (CVE-2025-52565).
    package mutating func openTerminal() throws(RootfsError) -> ContainerTerminal {
        let mask = setFileCreationMask(0)
        defer { setFileCreationMask(mask) }
        do throws(SyscallError) {
            let terminal = try makeTerminal()
            try yard?.close()
            return terminal
        } catch {
            try? yard?.close()
            throw RootfsError("open terminal", error)
        }
    }

    private mutating func makeTerminal() throws(SyscallError) -> ContainerTerminal {
        let multiplexer = try openedRoot { root throws(SyscallError) in try root.open("/dev/ptmx") }
        let status = try fileStatus(of: multiplexer.number, subject: "/dev/ptmx")
        guard status.type == .characterDevice, status.device == DeviceNumber(major: 5, minor: 2) else {
            throw SyscallError("verify:", "/dev/ptmx is not the terminal multiplexer", errno: EPERM)
        }
        // The host's procfs is still ours to see, and leads to exactly what was verified.
        let master = try openFile(FilePath("/proc/self/fd/\(multiplexer.number)"), [.readWrite, .noControllingTerminal])
        let slave = try openTerminalPeer(of: master)
        try verifyKind(of: slave.number, is: .devpts, "the terminal does not lie on devpts")
        // Nor does a link of the image decide what the terminal covers.
        let place = try openedRoot { root throws(SyscallError) in
            try root.openMountPoint("/dev/console", creating: .file, followingLinks: false)
        }
        let tree = try copyMount(of: slave.number, recursive: false, subject: "/dev/console")
        try leavePeers(at: place.descriptor.number)
        try put(tree, onto: place.descriptor, subject: "/dev/console")
        return ContainerTerminal(master: master, slave: slave)
    }
}
