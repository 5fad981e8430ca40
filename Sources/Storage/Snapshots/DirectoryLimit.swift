package import LinuxSyscalls
internal import Synchronization
package import SystemPackage

/// Directories that may take so many bytes of their file system and no more, by a project of their own each.
package enum DirectoryLimit {
    /// Projects from here on are looked at for a free one: below are those of `/etc/projects`, and Docker's.
    private static let firstProject: UInt32 = 0x4150_0000
    private static let searchLimit: UInt32 = 1 << 20
    /// Two that look for a free project at once would find the same.
    private static let searching = Mutex(())

    /// Why a directory cannot be limited, for who asked for it; nil where it can.
    /// - Parameter directory: one that lies where the limited one will.
    package static func obstacle(at directory: FilePath) throws(SyscallError) -> String? {
        let opened = try openFile(directory, [.readOnly, .directory])
        if ProjectQuota.isEnforced(on: opened) { return nil }
        return "\(directory) lies on \(try fileSystem(of: directory)), which limits no directories; "
            + "an xfs or ext4 that is mounted with the option prjquota does"
    }

    /// What a directory lies on, as `/proc/self/mountinfo` names it.
    private static func fileSystem(of directory: FilePath) throws(SyscallError) -> String {
        let mounts = try mountTable().filter { directory.starts(with: FilePath($0.mountPoint)) }
        let found = mounts.max { FilePath($0.mountPoint).components.count <= FilePath($1.mountPoint).components.count }
        return found?.type ?? "a file system"
    }

    /// Holds empty directories to so many bytes together.
    package static func set(_ bytes: UInt64, of directories: [FilePath]) throws(SyscallError) {
        let failure = searching.withLock { _ -> SyscallError? in
            do throws(SyscallError) {
                guard let first = directories.first else { return nil }
                let place = try openFile(first, [.readOnly, .directory, .noFollow])
                let project = try freeProject(on: place)
                try ProjectQuota.setLimit(bytes, of: project, on: place)
                for directory in directories {
                    try ProjectQuota.setProject(project, of: try openFile(directory, [.readOnly, .directory, .noFollow]))
                }
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    private static func freeProject(on directory: borrowing OwnedFD) throws(SyscallError) -> UInt32 {
        for project in firstProject..<(firstProject + searchLimit) {
            let quota = try ProjectQuota.quota(of: project, on: directory)
            if quota.limitBytes == 0 && quota.usedBytes == 0 { return project }
        }
        throw SyscallError("quotactl", "a free project", errno: 28)  // ENOSPC
    }

    /// Counts what is made in an empty directory as a limited one's: only then can it be moved there.
    package static func share(of limited: FilePath, with directory: borrowing OwnedFD) throws(SyscallError) {
        if let project = project(of: limited) { try ProjectQuota.setProject(project, of: directory) }
    }

    /// The project that a directory is limited by; nil for one that is not.
    package static func project(of directory: FilePath) -> UInt32? {
        guard let opened = try? openFile(directory, [.readOnly, .directory, .noFollow]),
            let project = try? ProjectQuota.project(of: opened), project >= firstProject
        else { return nil }
        return project
    }

    /// Makes a project free again whose directories are gone.
    /// - Parameter place: a directory of the same file system.
    package static func free(_ project: UInt32, at place: FilePath) throws(SyscallError) {
        try ProjectQuota.setLimit(0, of: project, on: try openFile(place, [.readOnly, .directory]))
    }
}
