/// What files are: type, owner, mode, device number. The calls and macros that Swift cannot spell, and xattr(7),
/// which the Glibc module lacks.
#ifndef CLINUX_METADATA_H
#define CLINUX_METADATA_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/// fstatat(2) with AT_EMPTY_PATH allowed in `flags`. Returns 0 or -errno.
int clinux_fstatat(int directory, const char *path, struct stat *status, int flags);

/// mknodat(2), with the device number in its two parts. Returns 0 or -errno.
int clinux_mknodat(int directory, const char *path, uint32_t mode, uint32_t major, uint32_t minor);

/// The major number of a device.
uint32_t clinux_major(uint64_t device);

/// The minor number of a device.
uint32_t clinux_minor(uint64_t device);

#endif
