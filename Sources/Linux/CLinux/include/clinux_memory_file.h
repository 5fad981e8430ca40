/// Files that lie in memory only, and seals on them.
#ifndef CLINUX_MEMORY_FILE_H
#define CLINUX_MEMORY_FILE_H

#include <stdint.h>

/// memfd_create(2), close-on-exec and sealable; `executable` asks for MFD_EXEC, which kernels before 6.3
/// do not know and do without. Returns a descriptor or -errno.
int clinux_memory_file(const char *name, int executable);

/// fcntl(2), F_ADD_SEALS: nothing can change, grow or shrink it, nor its seals. Returns 0 or -errno.
int clinux_seal(int descriptor);

/// fcntl(2), F_GET_SEALS. Returns 1 when sealed as by `clinux_seal`, 0 when not or no memory file.
int clinux_is_sealed(int descriptor);

/// sendfile(2) from the input's own position. Returns the bytes copied, 0 at the end, or -errno.
int clinux_copy(int output, int input, uint32_t count);

#endif
