/// Where apus-runtime begins, before the C library and Swift do: see entry.c.
#ifndef RUNTIME_ENTRY_H
#define RUNTIME_ENTRY_H

#include <stdint.h>

/// The ELF entry point; named to the linker, called by nobody.
void apus_runtime_entry(void);

/// Whether the caller allows so few descriptors (RLIMIT_NOFILE) that the limit was raised.
int apus_runtime_has_raised_descriptors(void);

/// What the limit was, the hard or the soft one.
uint64_t apus_runtime_callers_descriptors(int is_hard);

/// What Swift's library asks for the program's arguments, and is told that they are others. Named by it.
char **_swift_stdlib_getUnsafeArgvArgc(int *count);
void _swift_stdlib_overrideUnsafeArgvArgc(char **vector, int count);

#endif
