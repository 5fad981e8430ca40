/// Where apus-runtime begins, before the C library and Swift do: see entry.c.
#ifndef RUNTIME_ENTRY_H
#define RUNTIME_ENTRY_H

/// The ELF entry point; named to the linker, called by nobody.
void apus_runtime_entry(void);

/// What Swift's library asks for the program's arguments, and is told that they are others. Named by it.
char **_swift_stdlib_getUnsafeArgvArgc(int *count);
void _swift_stdlib_overrideUnsafeArgvArgc(char **vector, int count);

#endif
