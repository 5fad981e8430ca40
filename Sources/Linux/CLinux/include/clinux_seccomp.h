/// seccomp(2), which has no wrapper in the C library.
#ifndef CLINUX_SECCOMP_H
#define CLINUX_SECCOMP_H

#include <stdint.h>

/// SECCOMP_SET_MODE_FILTER with `count` instructions of eight bytes each, Linux 3.17. Returns what the flags promise, or -errno.
int clinux_install_filter(const void *instructions, uint16_t count, uint32_t flags);

#endif
