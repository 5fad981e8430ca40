/// Moving what a pipe holds without its passing through the program, and how a process that is no child ended.
#ifndef CLINUX_SPLICE_H
#define CLINUX_SPLICE_H

#include <stdint.h>

/// splice(2) without waiting, to `offset` of the target, or to where the target stands for -1. Returns bytes moved or -errno.
int64_t clinux_splice(int source, int target, int64_t offset, uint64_t count);

/// pread(2). Returns bytes read or -errno.
int64_t clinux_pread(int descriptor, void *bytes, uint64_t count, int64_t offset);

/// fallocate(2) with FALLOC_FL_PUNCH_HOLE. Returns 0 or -errno.
int clinux_punch_hole(int descriptor, int64_t offset, int64_t count);

/// PIDFD_GET_INFO of ioctl_pidfd(2) for PIDFD_INFO_EXIT, Linux 6.15. Returns 1 and a status as wait(2) has it, 0 where the process
/// has not been reaped, or -errno.
int clinux_pidfd_exit(int pidfd, int *status);

#endif
