/// Project quotas: what a directory tree may take of its file system. - Source: quotactl(2), ioctl_xfs_fsgetxattr(2).
#ifndef CLINUX_QUOTA_H
#define CLINUX_QUOTA_H

#include <stdint.h>

/// FS_IOC_FSGETXATTR: the project of a file or directory; 0 is none.
int clinux_project(int descriptor, uint32_t *project);
/// FS_IOC_FSSETXATTR: gives a directory a project, which what is made in it inherits.
int clinux_set_project(int descriptor, uint32_t project);
/// Q_XGETQSTATV of quotactl_fd(2), Linux 5.14: 1 where the descriptor's file system holds projects to their limits, 0 where not.
int clinux_limits_projects(int descriptor);
/// Q_GETQUOTA: the hard limit, 0 for none, and what is used, in bytes. -ENOENT for a project that nothing is known of.
int clinux_project_quota(int descriptor, uint32_t project, uint64_t *limit_bytes, uint64_t *used_bytes);
/// Q_SETQUOTA: sets the hard limit; 0 is none.
int clinux_set_project_limit(int descriptor, uint32_t project, uint64_t limit_bytes);

#endif
