// The entry point of apus-runtime. A run that comes near a container must be made from a copy of the executable that cannot be
// written (RuntimeCore, SelfProtection), so the first run does nothing but execute that copy. Here it does so before the C library
// and Swift are set up for nothing: that saves most of what the second run costs.
//
// Nothing here is relied upon. Whatever fails, the program just begins, and SelfProtection does the same, or more, and verifies it.
//
// No C library yet: no thread-local storage, no function of libc, no relocated data. Only system calls and the stack.

#include "runtime_entry.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

enum {
    AT_CURRENT_DIRECTORY = -100,
    AT_EMPTY = 0x1000,
    TREE_CLONE = 1,
    MAXIMUM_VARIABLES = 4096,
};

static const char mark[] = "_APUS_RUNTIME_PROTECTED=1";

/// What Swift's library does when the program crashes: nothing of its own. Its handlers are not for a process on its way into a container, and
/// the program that prints the stack, which it looks for at every start, is not there.
static const char backtraces[] = "SWIFT_BACKTRACE=", no_backtraces[] = "SWIFT_BACKTRACE=enable=no,swift-backtrace=/";

#if defined(__x86_64__)

__asm__(".pushsection .text\n"
        ".globl apus_runtime_entry\n"
        ".type apus_runtime_entry, @function\n"
        "apus_runtime_entry:\n"
        "    mov %rsp, %rdi\n"
        "    push %rdx\n" // for _start: what the kernel passed
        "    sub $8, %rsp\n"
        "    call apus_runtime_protect\n"
        "    add $8, %rsp\n"
        "    pop %rdx\n"
        "    jmp _start\n"
        ".popsection\n");

static long call(long number, long first, long second, long third, long fourth, long fifth) {
    long result;
    register long r10 __asm__("r10") = fourth;
    register long r8 __asm__("r8") = fifth;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

__asm__(".pushsection .text\n"
        ".globl apus_runtime_entry\n"
        ".type apus_runtime_entry, %function\n"
        "apus_runtime_entry:\n"
        "    stp x0, x30, [sp, #-16]!\n" // for _start: what the kernel passed
        "    add x0, sp, #16\n"
        "    bl apus_runtime_protect\n"
        "    ldp x0, x30, [sp], #16\n"
        "    b _start\n"
        ".popsection\n");

static long call(long number, long first, long second, long third, long fourth, long fifth) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = first;
    register long x1 __asm__("x1") = second;
    register long x2 __asm__("x2") = third;
    register long x3 __asm__("x3") = fourth;
    register long x4 __asm__("x4") = fifth;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}

#else
#error "give this architecture its entry point"
#endif

static int equal(const char *left, const char *right) {
    while (*left && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

/// What follows a prefix, NULL where the text does not begin with it.
static const char *after(const char *text, const char *prefix) {
    while (*prefix && *text == *prefix) {
        text++;
        prefix++;
    }
    return *prefix ? NULL : text;
}

/// Whether a word of the command line may be a verb that comes near a container. Too often is harmless.
static int comes_near_container(char *const *arguments) {
    for (size_t index = 1; arguments[0] && arguments[index]; index++) {
        const char *word = arguments[index];
        if (equal(word, "create") || equal(word, "run") || equal(word, "exec")) return 1;
    }
    return 0;
}

/// Opens the null device as each of the standard files that the caller closed: nothing else that is opened must come to stand there, to be
/// taken for our input, or to be replaced by the container's terminal.
static void fill_standard_files(void) {
    long opened;
    do {
        opened = call(SYS_openat, AT_CURRENT_DIRECTORY, (long)"/dev/null", O_RDWR, 0, 0);
    } while (opened >= 0 && opened < 2);
    if (opened > 2) call(SYS_close, opened, 0, 0, 0, 0);
}

/// A descriptor of a private, read-only mount of this program's own file, or -errno.
static long read_only_self(void) {
    const struct {
        uint64_t set, clear, propagation, user_namespace;
    } read_only = {.set = 1};
    long mount = call(SYS_open_tree, AT_CURRENT_DIRECTORY, (long)"/proc/self/exe", TREE_CLONE, 0, 0);
    if (mount >= 0 && mount <= 2) {
        call(SYS_close, mount, 0, 0, 0, 0);
        fill_standard_files();
        mount = call(SYS_open_tree, AT_CURRENT_DIRECTORY, (long)"/proc/self/exe", TREE_CLONE, 0, 0);
    }
    if (mount < 0) return mount;
    long failure = call(SYS_mount_setattr, mount, (long)"", AT_EMPTY, (long)&read_only, sizeof read_only);
    if (failure >= 0) return mount;
    call(SYS_close, mount, 0, 0, 0, 0);
    return failure;
}

/// Executes the copy, with the mark by which it knows itself; returns where that is not needed or did not work.
/// `stack` is what the kernel hands a program: the number of arguments, the arguments, NULL, the environment, NULL.
__attribute__((used)) void apus_runtime_protect(long *stack) {
    char **arguments = (char **)(stack + 1);
    char **environment = arguments + stack[0] + 1;
    char *marked[MAXIMUM_VARIABLES + 3];
    size_t count = 0;
    for (char **variable = environment; *variable; variable++) {
        if (equal(*variable, mark)) return;
        if (count == MAXIMUM_VARIABLES) return;
        if (!after(*variable, backtraces)) marked[count++] = *variable;
    }
    if (!comes_near_container(arguments)) return;
    marked[count++] = (char *)no_backtraces;
    marked[count++] = (char *)mark;
    marked[count] = NULL;
    long mount = read_only_self();
    if (mount < 0) {
        // The copy will be one in memory, which must not come to stand there either.
        fill_standard_files();
        return;
    }
    long self = call(SYS_open_tree, mount, (long)"", AT_EMPTY | O_CLOEXEC, 0, 0);
    // A mount that is mounted somewhere, if nowhere but by its descriptor, is made writable again by whoever sees a file of it and has
    // CAP_SYS_ADMIN over a mount namespace. One that is mounted nowhere stays as it is for as long as the file is used.
    call(SYS_close, mount, 0, 0, 0, 0);
    if (self < 0) return;
    call(SYS_execveat, self, (long)"", (long)arguments, (long)marked, AT_EMPTY);
    call(SYS_close, self, 0, 0, 0, 0);
}
