/// Files and directories: what the Glibc module does not export.
#ifndef CLINUX_FILES_H
#define CLINUX_FILES_H

#include <stdint.h>

/// openat2(2), Linux 5.6. Returns a descriptor or -errno.
int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/// close_range(2), Linux 5.9. Returns 0 or -errno.
int clinux_close_range(unsigned int first, unsigned int last, unsigned int flags);

/// renameat2(2), Linux 3.15. Returns 0 or -errno.
int clinux_renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path,
                     unsigned int flags);

/// syncfs(2), Linux 2.6.39. Returns 0 or -errno.
int clinux_syncfs(int descriptor);

/// The mount that an open file lies on, and whether the file is its root. statx(2), STATX_MNT_ID, Linux 5.8. Returns 0 or -errno.
int clinux_mount_of(int descriptor, uint64_t *mount, int *is_root);

#endif
