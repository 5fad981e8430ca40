#define _GNU_SOURCE
#include "clinux_mount.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int clinux_mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data) {
    return result(mount(source, target, type, flags, data));
}

int clinux_umount2(const char *target, int flags) { return result(umount2(target, flags)); }

int clinux_pivot_root(const char *new_root, const char *put_old) {
    return result(syscall(SYS_pivot_root, new_root, put_old));
}

int clinux_open_tree(int directory, const char *path, uint32_t flags) {
    return result(syscall(SYS_open_tree, directory, path, flags));
}

int clinux_move_mount(int from_directory, const char *from, int to_directory, const char *to, uint32_t flags) {
    return result(syscall(SYS_move_mount, from_directory, from, to_directory, to, flags));
}

int clinux_fsopen(const char *type, uint32_t flags) { return result(syscall(SYS_fsopen, type, flags)); }

int clinux_fsconfig(int context, uint32_t command, const char *key, const void *value, int auxiliary) {
    return result(syscall(SYS_fsconfig, context, command, key, value, auxiliary));
}

int clinux_fsmount(int context, uint32_t flags, uint32_t attributes) {
    return result(syscall(SYS_fsmount, context, flags, attributes));
}

int clinux_mount_setattr(int directory, const char *path, uint32_t flags, uint64_t set, uint64_t clear,
                         uint64_t propagation, uint64_t user_namespace) {
    uint64_t attributes[4] = {set, clear, propagation, user_namespace};
    return result(syscall(SYS_mount_setattr, directory, path, flags, attributes, sizeof attributes));
}

static int is_there(long value) { return value >= 0 || (errno != ENOSYS && errno != EPERM); }

int clinux_mounts_by_descriptor(void) {
    // Flags that no kernel knows, and descriptors that are none, are refused with EINVAL by whoever knows the call.
    return is_there(syscall(SYS_open_tree, -1, "", ~0u)) && is_there(syscall(SYS_move_mount, -1, "", -1, "", ~0u)) &&
           is_there(syscall(SYS_fsopen, "", ~0u)) && is_there(syscall(SYS_fsconfig, -1, ~0u, NULL, NULL, 0)) &&
           is_there(syscall(SYS_fsmount, -1, ~0u, 0)) && is_there(syscall(SYS_mount_setattr, -1, "", ~0u, NULL, 0));
}

int64_t clinux_filesystem_type(int descriptor) {
    struct statfs status;
    return fstatfs(descriptor, &status) < 0 ? -errno : (int64_t)status.f_type;
}

int clinux_getcwd(char *buffer, uint64_t size) { return result(syscall(SYS_getcwd, buffer, size)); }
