/// The memory of the calling process.
#ifndef CLINUX_MEMORY_H
#define CLINUX_MEMORY_H

/// Gives back what the process holds and does not need now: free heap pages (malloc_trim(3)), and the mapped
/// pages of its own program text, which come back from the page cache when they are run again (madvise(2),
/// MADV_DONTNEED). For programs linked statically. Returns 0 or -errno.
int clinux_release_memory(void);

/// Gives back the pages of the calling thread's stack that lie beyond what it uses now. For threads with stacks of 128 KiB at least.
void clinux_release_stack(void);

/// Has all threads take memory from `count` heaps (mallopt(3), M_ARENA_MAX).
void clinux_limit_heaps(int count);

#endif
