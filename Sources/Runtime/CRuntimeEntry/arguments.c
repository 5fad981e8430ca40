// Where Swift's CommandLine has the program's arguments from. The Swift library's own file of these two functions, which a linker takes only
// where nobody else has them, looks for the arguments before main: it has the kernel list the program's memory and walks the stack.

#include "runtime_entry.h"

static char *no_arguments[] = {0};
static char **arguments = no_arguments;
static int argument_count;

// The C library calls what stands in .init_array with what main gets.
__attribute__((constructor)) static void note_arguments(int count, char **vector) {
    argument_count = count;
    arguments = vector;
}

char **_swift_stdlib_getUnsafeArgvArgc(int *count) {
    *count = argument_count;
    return arguments;
}

void _swift_stdlib_overrideUnsafeArgvArgc(char **vector, int count) { note_arguments(count, vector); }
