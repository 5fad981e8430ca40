#define _GNU_SOURCE
#include "clinux_memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

static const int all_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

int clinux_memory_file(const char *name, int executable) {
    const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int descriptor = memfd_create(name, flags | (executable ? MFD_EXEC : 0));
    if (descriptor < 0 && executable && errno == EINVAL) descriptor = memfd_create(name, flags);
    return descriptor < 0 ? -errno : descriptor;
}

int clinux_seal(int descriptor) { return fcntl(descriptor, F_ADD_SEALS, all_seals) < 0 ? -errno : 0; }

int clinux_is_sealed(int descriptor) {
    int seals = fcntl(descriptor, F_GET_SEALS);
    return seals >= 0 && (seals & all_seals) == all_seals;
}

int clinux_copy(int output, int input, uint32_t count) {
    ssize_t copied = sendfile(output, input, NULL, count);
    return copied < 0 ? -errno : (int)copied;
}
