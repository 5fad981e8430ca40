#define _GNU_SOURCE
#include "clinux_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return result(syscall(SYS_openat2, directory, path, &how, sizeof how));
}

int clinux_close_range(unsigned int first, unsigned int last, unsigned int flags) {
    return result(syscall(SYS_close_range, first, last, flags));
}

int clinux_renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path,
                     unsigned int flags) {
    return result(syscall(SYS_renameat2, old_directory, old_path, new_directory, new_path, flags));
}

int clinux_syncfs(int descriptor) { return result(syncfs(descriptor)); }

int clinux_mount_of(int descriptor, uint64_t *mount, int *is_root) {
    struct statx status;
    int failure = result(statx(descriptor, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status));
    if (failure < 0) return failure;
    if (!(status.stx_mask & STATX_MNT_ID)) return -EOPNOTSUPP;
    *mount = status.stx_mnt_id;
    *is_root = (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    return 0;
}
