/// apus-init: the first process of a container that asked for one (`--init`).
///
///     apus-init [--] program [arguments]
///
/// It runs the program in a process group of its own, which gets the terminal where there is one, hands every signal on to it,
/// reaps whatever is orphaned in the container, and ends as the program ended: with its status, or 128 plus the number of the
/// signal that killed it. Written in C and linked statically: it runs in any root file system, with or without /proc.

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { usage_error = 2, not_executable = 126, not_found = 127, killed = 128 };

/// Signals that tell of a fault in the process that gets them: blocked, they would be lost.
static const int faults[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS };

static void handed_on_signals(sigset_t *signals) {
    sigfillset(signals);
    for (size_t index = 0; index < sizeof faults / sizeof *faults; index++) sigdelset(signals, faults[index]);
}

/// Replaces the child by the program. Returns only to say why not.
static int run(char **arguments, const sigset_t *former) {
    // The group becomes the terminal's foreground group; without a terminal there is none, which is no error.
    if (setpgid(0, 0) < 0) return not_executable;
    signal(SIGTTOU, SIG_IGN);
    if (tcsetpgrp(STDIN_FILENO, getpgrp()) < 0 && errno != ENOTTY && errno != ENXIO && errno != EBADF && errno != EPERM) return not_executable;
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, former, NULL);
    execvp(arguments[0], arguments);
    int status = errno == ENOENT ? not_found : not_executable;
    fprintf(stderr, "apus-init: %s: %s\n", arguments[0], strerror(errno));
    return status;
}

/// Reaps all that has ended. Returns the program's exit status, or -1 while it runs.
static int reap(pid_t program) {
    int result = -1;
    for (;;) {
        int status;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended < 0 && errno == EINTR) continue;
        if (ended <= 0) return result;
        if (ended == program) result = WIFSIGNALED(status) ? killed + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

int main(int count, char **arguments) {
    char **command = arguments + 1;
    if (count > 1 && strcmp(*command, "--") == 0) command++;
    if (*command == NULL) {
        fprintf(stderr, "usage: apus-init [--] program [arguments]\n");
        return usage_error;
    }
    sigset_t signals, former;
    handed_on_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, &former);
    // Else a write of ours to a terminal whose foreground group is the program's would stop us.
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);

    pid_t program = fork();
    if (program < 0) {
        fprintf(stderr, "apus-init: fork: %s\n", strerror(errno));
        return not_executable;
    }
    if (program == 0) {
        signal(SIGTTIN, SIG_DFL);
        _exit(run(command, &former));
    }
    for (;;) {
        int signal_number = sigwaitinfo(&signals, NULL);
        if (signal_number < 0) continue;
        if (signal_number != SIGCHLD) {
            // A program that has just ended needs no signal.
            kill(program, signal_number);
            continue;
        }
        int status = reap(program);
        if (status >= 0) return status;
    }
}
