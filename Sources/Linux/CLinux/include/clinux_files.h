/// Files and directories: what the Glibc module does not export.
#ifndef CLINUX_FILES_H
#define CLINUX_FILES_H

#include <stdint.h>

/// openat2(2), Linux 5.6. Returns a descriptor or -errno.
int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/// close_range(2), Linux 5.9. Returns 0 or -errno.
int clinux_close_range(unsigned int first, unsigned int last, unsigned int flags);

/// syncfs(2), Linux 2.6.39. Returns 0 or -errno.
int clinux_syncfs(int descriptor);

#endif
