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

// Of what a thread used of its stack once, below where it stands now: no more than a part of the smallest stack.
static const uintptr_t released_stack_size = 112 * 1024;

__attribute__((noinline)) void clinux_release_stack(void) {
    char here;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    // A page is left for the call itself, and the 128 bytes below it that are its own by the ABI.
    uintptr_t end = ((uintptr_t)&here - page) & ~(page - 1);
    // ENOMEM says that the main thread's stack has not grown so far; what there is was given back.
    (void)madvise((void *)(end - released_stack_size), released_stack_size, MADV_DONTNEED);
}

int clinux_release_memory(void) {
    malloc_trim(0);
    clinux_release_stack();
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)__executable_start + page - 1) & ~(page - 1);
    uintptr_t end = (uintptr_t)etext & ~(page - 1);
    if (__executable_start == NULL || etext == NULL || start >= end) return 0;
    return madvise((void *)start, end - start, MADV_DONTNEED) < 0 ? -errno : 0;
}

void clinux_limit_heaps(int count) {
    // What it refuses is a number below 1.
    (void)mallopt(M_ARENA_MAX, count);
}
