/// What files and directories hold: reads and writes at an offset, copies inside the kernel, locks, listings, free space.
#ifndef CLINUX_CONTENTS_H
#define CLINUX_CONTENTS_H

#include <stdint.h>

/// pwrite(2). Returns the count or -errno.
int64_t clinux_pwrite(int descriptor, const void *bytes, uint64_t count, int64_t offset);

/// copy_file_range(2) from and to the descriptors' own offsets, Linux 5.3. Returns the count or -errno.
int64_t clinux_copy_file_range(int source, int target, uint64_t count);

/// lseek(2) with SEEK_DATA (3) or SEEK_HOLE (4) and their kin. Returns the offset or -errno.
int64_t clinux_lseek(int descriptor, int64_t offset, int whence);

/// ftruncate(2). Returns 0 or -errno.
int clinux_ftruncate(int descriptor, int64_t size);

/// flock(2). Returns 0 or -errno.
int clinux_flock(int descriptor, int operation);

/// futimens(2) with one time for access and modification. Returns 0 or -errno.
int clinux_futimens(int descriptor, int64_t seconds, int64_t nanoseconds);

/// getdents64(2). Returns the bytes put into `buffer`, 0 at the end, or -errno.
int clinux_getdents64(int directory, void *buffer, uint32_t size);

/// What statvfs(3) says is left for those without privilege. Returns 0 or -errno.
int clinux_free_space(int descriptor, uint64_t *free_bytes, uint64_t *free_inodes, uint64_t *all_inodes);

#endif
