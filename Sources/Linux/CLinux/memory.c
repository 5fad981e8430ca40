#define _GNU_SOURCE
#include "clinux_memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

// Set by the linker: where the program's text begins and ends.
extern const char __executable_start[] __attribute__((weak));
extern const char etext[] __attribute__((weak));

int clinux_release_memory(void) {
    malloc_trim(0);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)__executable_start + page - 1) & ~(page - 1);
    uintptr_t end = (uintptr_t)etext & ~(page - 1);
    if (__executable_start == NULL || etext == NULL || start >= end) return 0;
    return madvise((void *)start, end - start, MADV_DONTNEED) < 0 ? -errno : 0;
}
