internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// The device nodes of the host, which a privileged container gets. Blocks.
enum HostDevices {
    /// Most nodes that are passed on.
    static let limit = 4096
    /// Directories with file systems of their own, which the container has its own of.
    private static let skipped: Set<String> = ["pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"]

    static func list() throws(EngineError) -> [LinuxDevice] {
        var devices: [LinuxDevice] = []
        do throws(SyscallError) { try collect("/dev", into: &devices) } catch { throw .system("list the devices of the host", error) }
        return devices
    }

    private static func collect(_ path: FilePath, into devices: inout [LinuxDevice]) throws(SyscallError) {
        let directory = try openFile(path, [.readOnly, .directory])
        for entry in try directoryEntries(of: directory, subject: path.string) where !skipped.contains(entry.name.string) {
            guard devices.count < limit else { return }
            let child = path.pushing(entry.name)
            let status: FileStatus
            do throws(SyscallError) { status = try fileStatus(entry.name, at: directory.number) } catch {
                // Gone between the listing and the look.
                if error.errno == Errno.noSuchFileOrDirectory.rawValue { continue }
                throw error
            }
            switch status.type {
            case .directory: try collect(child, into: &devices)
            case .characterDevice: devices.append(device(.character, child, status))
            case .blockDevice: devices.append(device(.block, child, status))
            default: continue
            }
        }
    }

    /// The number of the device at a path.
    /// - Throws: `.system` that names the path, as Docker does.
    static func number(of path: String) throws(EngineError) -> DeviceNumber {
        do throws(SyscallError) {
            return try fileStatus(FilePath(path), followingLinks: true).device
        } catch { throw EngineError(.system, "stat \(path): \(Errno(rawValue: error.errno).description.lowercased())", cause: error) }
    }

    private static func device(_ kind: LinuxDevice.Kind, _ path: FilePath, _ status: FileStatus) -> LinuxDevice {
        LinuxDevice(
            kind, path: path.string, major: Int64(status.device.major), minor: Int64(status.device.minor), fileMode: status.mode & 0o7777,
            uid: status.userID, gid: status.groupID)
    }
}
