internal import EngineAPI
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// The device nodes of the host that containers get. Blocks.
enum HostDevices {
    /// Most nodes that are passed on.
    static let limit = 4096
    /// Directories below one that is passed on.
    private static let depthLimit = 32
    /// Directories with file systems of their own, which the container has its own of.
    private static let skipped: Set<String> = ["pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"]

    /// Every node, for a privileged container.
    static func list() throws(EngineError) -> [LinuxDevice] {
        var devices: [LinuxDevice] = []
        do throws(SyscallError) { try collect("/dev", as: "/dev", depth: 0, into: &devices) } catch {
            throw .system("list the devices of the host", error)
        }
        return devices
    }

    /// The nodes of one entry of `HostConfig.Devices`: a node, or all below a directory.
    /// - Throws: `.system` in Docker's words where there are none.
    static func passed(_ mapping: DeviceMapping) throws(EngineError) -> [LinuxDevice] {
        let inside = mapping.pathInContainer.isEmpty ? mapping.pathOnHost : mapping.pathInContainer
        let reason: String
        do throws(SyscallError) {
            let status = try fileStatus(FilePath(mapping.pathOnHost), followingLinks: true)
            if let device = device(FilePath(inside), status) { return [device] }
            var devices: [LinuxDevice] = []
            if status.type == .directory { try collect(FilePath(mapping.pathOnHost), as: FilePath(inside), depth: 0, into: &devices) }
            if !devices.isEmpty { return devices }
            reason = "not a device node"
        } catch { reason = words(error) }
        throw EngineError(
            .system,
            "error gathering device information while adding custom device \(ContainerChecks.quoted(mapping.pathOnHost)): \(reason)")
    }

    /// The node at a path of the host, under another path.
    /// - Throws: `.system` where there is none.
    static func node(at path: String, as inside: String) throws(EngineError) -> LinuxDevice {
        do throws(SyscallError) {
            if let device = device(FilePath(inside), try fileStatus(FilePath(path), followingLinks: true)) { return device }
        } catch { throw EngineError(.system, "stat \(path): \(words(error))", cause: error) }
        throw EngineError(.system, "\(path) is not a device node")
    }

    /// The number of the device at a path.
    /// - Throws: `.system` that names the path, as Docker does.
    static func number(of path: String) throws(EngineError) -> DeviceNumber {
        do throws(SyscallError) { return try fileStatus(FilePath(path), followingLinks: true).device } catch {
            throw EngineError(.system, "stat \(path): \(words(error))", cause: error)
        }
    }

    /// What the kernel said, in the words of strerror(3) as Docker writes them.
    private static func words(_ error: SyscallError) -> String { Errno(rawValue: error.errno).description.lowercased() }

    private static func collect(
        _ path: FilePath, as inside: FilePath, depth: Int, into devices: inout [LinuxDevice]
    ) throws(SyscallError) {
        guard depth < depthLimit else { return }
        let directory = try openFile(path, [.readOnly, .directory])
        for entry in try directoryEntries(of: directory, subject: path.string) where !skipped.contains(entry.name.string) {
            guard devices.count < limit else { return }
            let status: FileStatus
            do throws(SyscallError) { status = try fileStatus(entry.name, at: directory.number) } catch {
                // Gone between the listing and the look.
                if error.errno == Errno.noSuchFileOrDirectory.rawValue { continue }
                throw error
            }
            if status.type == .directory {
                try collect(path.pushing(entry.name), as: inside.pushing(entry.name), depth: depth + 1, into: &devices)
            } else if let device = device(inside.pushing(entry.name), status) {
                devices.append(device)
            }
        }
    }

    /// nil for what is no device.
    private static func device(_ path: FilePath, _ status: FileStatus) -> LinuxDevice? {
        let kind: LinuxDevice.Kind
        switch status.type {
        case .characterDevice: kind = .character
        case .blockDevice: kind = .block
        default: return nil
        }
        return LinuxDevice(
            kind, path: path.string, major: Int64(status.device.major), minor: Int64(status.device.minor), fileMode: status.mode & 0o7777,
            uid: status.userID, gid: status.groupID)
    }
}
