#define _GNU_SOURCE
#include "clinux_metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int clinux_fstatat(int directory, const char *path, struct stat *status, int flags) {
    return result(fstatat(directory, path, status, flags));
}

int clinux_mknodat(int directory, const char *path, uint32_t mode, uint32_t major, uint32_t minor) {
    return result(mknodat(directory, path, mode, makedev(major, minor)));
}

uint32_t clinux_major(uint64_t device) { return major(device); }

uint32_t clinux_minor(uint64_t device) { return minor(device); }
