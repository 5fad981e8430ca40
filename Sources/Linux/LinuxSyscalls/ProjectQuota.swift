internal import CLinux

/// Project quotas hold directory trees to a size, on file systems that know them: XFS and ext4, mounted so.
/// - Source: quotactl(2), ioctl_xfs_fsgetxattr(2).
package enum ProjectQuota {
    /// The project that a directory belongs to; 0 is none.
    package static func project(of directory: borrowing OwnedFD) throws(SyscallError) -> UInt32 {
        let number = directory.number
        var project: UInt32 = 0
        try checked("ioctl FS_IOC_FSGETXATTR") { unsafe clinux_project(number, &project) }
        return project
    }

    /// Gives a directory to a project, and with it all that is made in it from now on.
    package static func setProject(_ project: UInt32, of directory: borrowing OwnedFD) throws(SyscallError) {
        let number = directory.number
        try checked("ioctl FS_IOC_FSSETXATTR", "project \(project)") { clinux_set_project(number, project) }
    }

    /// Whether the file system that a directory lies on holds projects to their limits.
    package static func isEnforced(on directory: borrowing OwnedFD) -> Bool { clinux_limits_projects(directory.number) == 1 }

    /// What a project may take and takes, in bytes; no limit is 0.
    package static func quota(
        of project: UInt32, on directory: borrowing OwnedFD
    ) throws(SyscallError) -> (limitBytes: UInt64, usedBytes: UInt64) {
        let number = directory.number
        var (limit, used): (UInt64, UInt64) = (0, 0)
        let unknown: Int32 = 2  // ENOENT: nothing was ever counted for it
        do throws(SyscallError) {
            try checked("quotactl Q_GETQUOTA", "project \(project)") { unsafe clinux_project_quota(number, project, &limit, &used) }
        } catch { if error.errno != unknown { throw error } }
        return (limit, used)
    }

    /// Holds a project to so many bytes, rounded up to a kilobyte; 0 is no limit.
    package static func setLimit(_ bytes: UInt64, of project: UInt32, on directory: borrowing OwnedFD) throws(SyscallError) {
        let number = directory.number
        try checked("quotactl Q_SETQUOTA", "project \(project)") { clinux_set_project_limit(number, project, bytes) }
    }
}
