// trace-steps FILE COMMAND [ARGUMENT…]: runs a statically linked, position-dependent program and all that it forks instruction by
// instruction, and writes to FILE, in the order of their first execution, the addresses that were executed. Slow: a minute a run.
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOWEST = 0x200000, HIGHEST = 0x8000000 };
static unsigned char seen[HIGHEST];

static void note(pid_t process, FILE *file) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, process, NULL, &registers) < 0) return;
    unsigned long address = registers.rip;
    if (address < LOWEST || address >= HIGHEST || seen[address]) return;
    seen[address] = 1;
    fprintf(file, "%lx\n", address);
}

int main(int words, char **word) {
    if (words < 3) errx(2, "usage: trace-steps FILE COMMAND [ARGUMENT...]");
    FILE *file = fopen(word[1], "w");
    if (!file) err(1, "%s", word[1]);
    pid_t first = fork();
    if (first < 0) err(1, "fork");
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        execv(word[2], word + 2);
        _exit(127);
    }
    int status, result = 1;
    if (waitpid(first, &status, 0) < 0) err(1, "waitpid");
    long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, first, NULL, options) < 0) err(1, "ptrace");
    ptrace(PTRACE_SINGLESTEP, first, NULL, 0L);
    for (pid_t process; (process = waitpid(-1, &status, __WALL)) > 0;) {
        if (process == first && WIFEXITED(status)) result = WEXITSTATUS(status);
        if (!WIFSTOPPED(status)) continue;
        int signal = WSTOPSIG(status);
        if (signal == SIGTRAP) note(process, file);
        if (signal == SIGTRAP || signal == SIGSTOP) signal = 0;
        ptrace(PTRACE_SINGLESTEP, process, NULL, (long)signal);
    }
    return fclose(file) == 0 ? result : 1;
}
