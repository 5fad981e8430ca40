#define _GNU_SOURCE
#include "clinux_quota.h"

#include <errno.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

static int quota(int descriptor, unsigned command, uint32_t project, void *block) {
    return syscall(SYS_quotactl_fd, descriptor, QCMD(command, PRJQUOTA), project, block) < 0 ? -errno : 0;
}

int clinux_project(int descriptor, uint32_t *project) {
    struct fsxattr attributes;
    if (ioctl(descriptor, FS_IOC_FSGETXATTR, &attributes) < 0) return -errno;
    *project = attributes.fsx_projid;
    return 0;
}

int clinux_set_project(int descriptor, uint32_t project) {
    struct fsxattr attributes;
    if (ioctl(descriptor, FS_IOC_FSGETXATTR, &attributes) < 0) return -errno;
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(descriptor, FS_IOC_FSSETXATTR, &attributes) < 0 ? -errno : 0;
}

int clinux_limits_projects(int descriptor) {
    struct fs_quota_statv state;
    memset(&state, 0, sizeof state);
    state.qs_version = FS_QSTATV_VERSION1;
    int result = quota(descriptor, Q_XGETQSTATV, 0, &state);
    return result < 0 ? result : (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

int clinux_project_quota(int descriptor, uint32_t project, uint64_t *limit_bytes, uint64_t *used_bytes) {
    struct if_dqblk block;
    memset(&block, 0, sizeof block);
    int result = quota(descriptor, Q_GETQUOTA, project, &block);
    *limit_bytes = block.dqb_bhardlimit << QIF_DQBLKSIZE_BITS;
    *used_bytes = block.dqb_curspace;
    return result;
}

int clinux_set_project_limit(int descriptor, uint32_t project, uint64_t limit_bytes) {
    struct if_dqblk block;
    memset(&block, 0, sizeof block);
    // Rounded up: a limit of less than one block is a limit, too.
    block.dqb_bhardlimit = (limit_bytes + QIF_DQBLKSIZE - 1) >> QIF_DQBLKSIZE_BITS;
    block.dqb_valid = QIF_BLIMITS;
    return quota(descriptor, Q_SETQUOTA, project, &block);
}
