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
    STACK = 3, // RLIMIT_STACK and RLIMIT_NOFILE, the same on all architectures here
    DESCRIPTORS = 7,
    LEAST_DESCRIPTORS = 256,
    WANTED_DESCRIPTORS = 1024,
    LEAST_STACK = 1 << 20,
    OWN_STACK = 8 << 20,
    GUARD = 1 << 16, // as large as the largest page
    READ_AND_WRITE = 3, // PROT_READ, PROT_WRITE
    PRIVATE_MEMORY = 0x4022, // MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE
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
        "    test %rax, %rax\n"
        "    cmovnz %rax, %rsp\n"
        "    jmp _start\n"
        ".popsection\n");

static long call(long number, long first, long second, long third, long fourth, long fifth) {
    long result;
    register long r10 __asm__("r10") = fourth;
    register long r8 __asm__("r8") = fifth;
    register long r9 __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), "r"(r9)
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
        "    mov x9, x0\n"
        "    ldp x0, x30, [sp], #16\n"
        "    cbz x9, 1f\n"
        "    mov sp, x9\n"
        "1:  b _start\n"
        ".popsection\n");

static long call(long number, long first, long second, long third, long fourth, long fifth) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = first;
    register long x1 __asm__("x1") = second;
    register long x2 __asm__("x2") = third;
    register long x3 __asm__("x3") = fourth;
    register long x4 __asm__("x4") = fifth;
    register long x5 __asm__("x5") = 0;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
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

struct limit {
    uint64_t soft, hard;
};

/// How many descriptors the caller allows, where that was too few to run with: the payload gets that limit all the same.
static struct limit callers_descriptors;
static int has_raised;

int apus_runtime_has_raised_descriptors(void) { return has_raised; }

uint64_t apus_runtime_callers_descriptors(int is_hard) { return is_hard ? callers_descriptors.hard : callers_descriptors.soft; }

/// Beyond the hard limit where the caller may.
static void raise_limit(void) {
    if (call(SYS_prlimit64, 0, DESCRIPTORS, 0, (long)&callers_descriptors, 0) < 0) return;
    if (callers_descriptors.soft >= LEAST_DESCRIPTORS) return;
    uint64_t hard = callers_descriptors.hard;
    struct limit raised = {WANTED_DESCRIPTORS, hard > WANTED_DESCRIPTORS ? hard : WANTED_DESCRIPTORS};
    has_raised = call(SYS_prlimit64, 0, DESCRIPTORS, (long)&raised, 0, 0) >= 0;
    if (has_raised) return;
    raised = (struct limit){hard < WANTED_DESCRIPTORS ? hard : WANTED_DESCRIPTORS, hard};
    has_raised = call(SYS_prlimit64, 0, DESCRIPTORS, (long)&raised, 0, 0) >= 0;
}

/// Says why the program cannot even begin, and ends.
static void refuse(const char *reason) {
    size_t length = 0;
    while (reason[length]) length++;
    call(SYS_write, 2, (long)reason, (long)length, 0, 0);
    call(SYS_exit_group, 1, 0, 0, 0, 0);
}

/// A stack of the program's own, where the caller allows too little of one, with what the kernel has put on the other; NULL where that will do.
static long *own_stack(const long *stack) {
    struct limit limit;
    if (call(SYS_prlimit64, 0, STACK, 0, (long)&limit, 0) < 0 || limit.soft >= LEAST_STACK) return NULL;
    long memory = call(SYS_mmap, 0, OWN_STACK, READ_AND_WRITE, PRIVATE_MEMORY, -1);
    if (memory < 0 && memory > -4096) refuse("apus-runtime: there is no memory for a stack: raise its limit (ulimit -s)\n");
    // Whoever goes beyond it is ended, and writes into nothing that lies below.
    call(SYS_mprotect, memory, GUARD, 0, 0, 0);
    // The arguments, NULL, the environment, NULL, and pairs that end with a zero.
    size_t count = (size_t)stack[0] + 2;
    while (stack[count++]) {}
    while (stack[count]) count += 2;
    count += 2;
    long *own = (long *)(memory + OWN_STACK) - (count + (count & 1));
    for (size_t index = 0; index < count; index++) own[index] = stack[index];
    return own;
}

/// Executes the copy, with the mark by which it knows itself; returns where that is not needed or did not work.
/// `stack` is what the kernel hands a program: the number of arguments, the arguments, NULL, the environment, NULL.
static void execute_copy(long *stack) {
    char **arguments = (char **)(stack + 1);
    char **environment = arguments + stack[0] + 1;
    // Not on the stack, of which there may be little.
    static char *marked[MAXIMUM_VARIABLES + 3];
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

/// What comes first of all.
/// - Returns: the stack to go on with, NULL for the one that there is.
__attribute__((used)) long *apus_runtime_protect(long *stack) {
    char byte;
    if (call(SYS_readlinkat, AT_CURRENT_DIRECTORY, (long)"/proc/self/exe", (long)&byte, sizeof byte, 0) < 0)
        refuse("apus-runtime: /proc/self/exe cannot be read: mount procfs at /proc\n");
    execute_copy(stack);
    raise_limit();
    return own_stack(stack);
}
