/// Mounts: mount(2) and its kin, and the descriptor-based calls of Linux 5.2 to 5.12.
#ifndef CLINUX_MOUNT_H
#define CLINUX_MOUNT_H

#include <stdint.h>

/// mount(2). `source`, `type` and `data` may be NULL. Returns 0 or -errno.
int clinux_mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data);

/// umount2(2). Returns 0 or -errno.
int clinux_umount2(const char *target, int flags);

/// pivot_root(2). Returns 0 or -errno.
int clinux_pivot_root(const char *new_root, const char *put_old);

/// open_tree(2), Linux 5.2. Returns a descriptor or -errno.
int clinux_open_tree(int directory, const char *path, uint32_t flags);

/// move_mount(2), Linux 5.2. Returns 0 or -errno.
int clinux_move_mount(int from_directory, const char *from, int to_directory, const char *to, uint32_t flags);

/// fsopen(2), Linux 5.2. Returns a descriptor or -errno.
int clinux_fsopen(const char *type, uint32_t flags);

/// fsconfig(2), Linux 5.2. `key` and `value` may be NULL, as the command wants. Returns 0 or -errno.
int clinux_fsconfig(int context, uint32_t command, const char *key, const void *value, int auxiliary);

/// fsmount(2), Linux 5.2. Returns a descriptor or -errno.
int clinux_fsmount(int context, uint32_t flags, uint32_t attributes);

/// Whether there are open_tree, move_mount, fsopen, fsconfig, fsmount and mount_setattr, and no filter denies one of them: each is asked for what
/// it must refuse. Returns 1 or 0, which is also the answer to callers who may not mount.
int clinux_mounts_by_descriptor(void);

/// mount_setattr(2), Linux 5.12; `user_namespace` is a descriptor for MOUNT_ATTR_IDMAP. Returns 0 or -errno.
int clinux_mount_setattr(int directory, const char *path, uint32_t flags, uint64_t set, uint64_t clear,
                         uint64_t propagation, uint64_t user_namespace);

/// The f_type of statfs(2) for an open descriptor, or -errno.
int64_t clinux_filesystem_type(int descriptor);

/// Puts the working directory into `buffer` as the kernel says it: getcwd(2) itself, because the C library's
/// hides `(unreachable)`. Returns the length with the final NUL, or -errno.
int clinux_getcwd(char *buffer, uint64_t size);

#endif
