#define _GNU_SOURCE
#include "clinux_splice.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int64_t result(int64_t value) { return value < 0 ? -errno : value; }

int64_t clinux_splice(int source, int target, int64_t offset, uint64_t count) {
    off64_t position = offset;
    return result(splice(source, NULL, target, offset < 0 ? NULL : &position, count, SPLICE_F_NONBLOCK));
}

int64_t clinux_pread(int descriptor, void *bytes, uint64_t count, int64_t offset) {
    return result(pread(descriptor, bytes, count, offset));
}

int clinux_punch_hole(int descriptor, int64_t offset, int64_t count) {
    return (int)result(fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count));
}

/// struct pidfd_info of linux/pidfd.h as of Linux 6.15, which the C library's headers may not have yet.
struct pidfd_information {
    uint64_t mask, cgroup;
    uint32_t process, thread_group, parent, users[8];
    int32_t exit_code;
};

int clinux_pidfd_exit(int pidfd, int *status) {
    const uint64_t wants_exit = 8;
    struct pidfd_information information = { .mask = wants_exit };
    if (ioctl(pidfd, _IOWR(0xFF, 11, struct pidfd_information), &information) < 0) return -errno;
    if (!(information.mask & wants_exit)) return 0;
    *status = information.exit_code;
    return 1;
}
