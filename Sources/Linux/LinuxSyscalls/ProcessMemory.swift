internal import CLinux

/// Gives back memory that an idle program holds and does not need: free heap pages, the calling thread's unused stack, and mapped pages of its own
/// text, which the page cache has still. Running on costs some page faults.
/// - Source: malloc_trim(3); madvise(2), MADV_DONTNEED.
package func releaseUnusedMemory() throws(SyscallError) {
    try checked("madvise", "program text") { clinux_release_memory() }
}

/// Gives back the pages of the calling thread's stack that it used once and does not use now. - Source: madvise(2), MADV_DONTNEED.
package func releaseUnusedStack() { clinux_release_stack() }

/// Has all threads of the program take memory from so few heaps. By default the C library gives threads heaps of their own, up to eight for each
/// processor, and what one has free no thread of another can use. To be called before there are threads. - Source: mallopt(3), M_ARENA_MAX.
package func limitHeaps(to count: Int32) { clinux_limit_heaps(count) }
