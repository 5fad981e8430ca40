#define _GNU_SOURCE
#include "clinux_contents.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static int64_t result(int64_t value) { return value < 0 ? -errno : value; }

int64_t clinux_pwrite(int descriptor, const void *bytes, uint64_t count, int64_t offset) {
    return result(pwrite(descriptor, bytes, count, offset));
}

int64_t clinux_copy_file_range(int source, int target, uint64_t count) {
    return result(copy_file_range(source, NULL, target, NULL, count, 0));
}

int64_t clinux_lseek(int descriptor, int64_t offset, int whence) { return result(lseek(descriptor, offset, whence)); }

int clinux_ftruncate(int descriptor, int64_t size) { return (int)result(ftruncate(descriptor, size)); }

int clinux_flock(int descriptor, int operation) { return (int)result(flock(descriptor, operation)); }

int clinux_futimens(int descriptor, int64_t seconds, int64_t nanoseconds) {
    struct timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
    return (int)result(futimens(descriptor, times));
}

int clinux_getdents64(int directory, void *buffer, uint32_t size) {
    return (int)result(syscall(SYS_getdents64, directory, buffer, size));
}

int clinux_free_space(int descriptor, uint64_t *free_bytes, uint64_t *free_inodes, uint64_t *all_inodes) {
    struct statvfs status;
    if (fstatvfs(descriptor, &status) < 0) return -errno;
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    *free_inodes = status.f_favail;
    *all_inodes = status.f_files;
    return 0;
}
