// trace-functions FILE STARTS COMMAND [ARGUMENT…]: runs a statically linked, position-dependent program, and writes to FILE, in the order of
// their first execution, which process executed which of the functions whose addresses STARTS lists: `0 3a1f20` for the program itself, 1 for
// the first process that it forked. Every function has a breakpoint, which its first execution removes. What goes on to another program is
// let go.
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOWEST = 0x200000, HIGHEST = 0x8000000, MOST_PROCESSES = 16, BREAKPOINT = 0xcc };
static unsigned char original[HIGHEST], marked[HIGHEST]; // by address
static unsigned long first_start = HIGHEST, last_start;
static pid_t processes[MOST_PROCESSES];
static struct stat program;

static void read_starts(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) err(1, "%s", path);
    for (unsigned long address; fscanf(file, "%lx", &address) == 1;) {
        if (address < LOWEST || address >= HIGHEST) continue;
        marked[address] = 1;
        if (address < first_start) first_start = address;
        if (address > last_start) last_start = address;
    }
    fclose(file);
}

static int memory_of(pid_t process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", process);
    int memory = open(path, O_RDWR | O_CLOEXEC);
    if (memory < 0) err(1, "%s", path);
    return memory;
}

/// Sets every breakpoint in a process that has just been made, or has just executed the program.
static void set_breakpoints(pid_t process) {
    static unsigned char text[HIGHEST];
    size_t size = last_start + 1 - first_start;
    int memory = memory_of(process);
    if (!original[first_start] && pread(memory, original + first_start, size, (off_t)first_start) != (ssize_t)size) err(1, "reading its text");
    memcpy(text, original + first_start, size);
    for (size_t index = 0; index < size; index++)
        if (marked[first_start + index]) text[index] = BREAKPOINT;
    if (pwrite(memory, text, size, (off_t)first_start) != (ssize_t)size) err(1, "writing its text");
    close(memory);
}

static int runs_the_program(pid_t process) {
    char path[64];
    struct stat found;
    snprintf(path, sizeof path, "/proc/%d/exe", process);
    return stat(path, &found) == 0 && found.st_ino == program.st_ino && found.st_dev == program.st_dev;
}

/// The number of a process, in the order in which they were first seen.
static int number_of(pid_t process) {
    for (int number = 0; number < MOST_PROCESSES; number++) {
        if (!processes[number]) {
            processes[number] = process;
            if (number > 0) set_breakpoints(process);
        }
        if (processes[number] == process) return number;
    }
    errx(1, "more than %d processes", MOST_PROCESSES);
}

/// Whether the process stands behind a breakpoint of ours, which then is taken away and noted.
static int passed(pid_t process, FILE *file) {
    struct user_regs_struct registers;
    int number = number_of(process);
    if (ptrace(PTRACE_GETREGS, process, NULL, &registers) < 0) return 0;
    unsigned long address = registers.rip - 1;
    if (address < LOWEST || address >= HIGHEST || !marked[address]) return 0;
    int memory = memory_of(process);
    if (pwrite(memory, original + address, 1, (off_t)address) != 1) err(1, "writing its text");
    close(memory);
    registers.rip = address;
    ptrace(PTRACE_SETREGS, process, NULL, &registers);
    fprintf(file, "%d %lx\n", number, address);
    return 1;
}

int main(int words, char **word) {
    if (words < 4) errx(2, "usage: trace-functions FILE STARTS COMMAND [ARGUMENT...]");
    FILE *file = fopen(word[1], "w");
    if (!file) err(1, "%s", word[1]);
    read_starts(word[2]);
    if (stat(word[3], &program) < 0) err(1, "%s", word[3]);
    pid_t first = fork();
    if (first < 0) err(1, "fork");
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        execv(word[3], word + 3);
        _exit(127);
    }
    int status, result = 1;
    if (waitpid(first, &status, 0) < 0) err(1, "waitpid");
    long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, first, NULL, options) < 0) err(1, "ptrace");
    number_of(first);
    ptrace(PTRACE_CONT, first, NULL, 0L);
    for (pid_t process; (process = waitpid(-1, &status, __WALL)) > 0;) {
        if (process == first && WIFEXITED(status)) result = WEXITSTATUS(status);
        if (!WIFSTOPPED(status)) continue;
        int signal = WSTOPSIG(status), event = status >> 16;
        if (event == PTRACE_EVENT_EXEC) {
            if (!runs_the_program(process)) {
                ptrace(PTRACE_DETACH, process, NULL, 0L);
                continue;
            }
            set_breakpoints(process);
        }
        number_of(process);
        if (event || signal == SIGSTOP || (signal == SIGTRAP && passed(process, file))) signal = 0;
        ptrace(PTRACE_CONT, process, NULL, (long)signal);
    }
    return fclose(file) == 0 ? result : 1;
}
