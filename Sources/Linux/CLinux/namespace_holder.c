#define _GNU_SOURCE
#include "clinux_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// In a copy of a process that may have had other threads: system calls only. Ends when the other end of `hold` is closed, be it by the
/// caller's death.
static _Noreturn void hold_namespaces(int user_namespace, int types, int report, int hold) {
    int problem = 0;
    if (user_namespace >= 0 && setns(user_namespace, CLONE_NEWUSER) < 0) problem = errno;
    if (!problem && unshare(types) < 0) problem = errno;
    if (write(report, &problem, sizeof problem) == sizeof problem && !problem) {
        char byte;
        while (read(hold, &byte, 1) < 0 && errno == EINTR) {}
    }
    _exit(0);
}

static void close_pair(const int pair[2]) {
    close(pair[0]);
    close(pair[1]);
}

static int begin_holder(int user_namespace, int types, const int report[2], const int hold[2]) {
    // No signal at its end: who waits for children in general does not see this one.
    long process = syscall(SYS_clone, 0UL, NULL, NULL, NULL, NULL);
    if (process < 0) return -errno;
    if (process == 0) {
        close(hold[1]);
        hold_namespaces(user_namespace, types, report[1], hold[0]);
    }
    return (int)process;
}

int clinux_hold_namespaces(int user_namespace, int types, int *hold) {
    int report[2], kept[2];
    if (pipe2(report, O_CLOEXEC) < 0) return -errno;
    if (pipe2(kept, O_CLOEXEC) < 0) {
        int problem = errno;
        close_pair(report);
        return -problem;
    }
    int process = begin_holder(user_namespace, types, report, kept);
    close(report[1]);
    close(kept[0]);
    int problem = EIO;
    if (process > 0) {
        while (read(report[0], &problem, sizeof problem) < 0 && errno == EINTR) {}
        if (problem) clinux_release_namespaces(process, kept[1]);
    } else {
        problem = -process;
        close(kept[1]);
    }
    close(report[0]);
    if (problem) return -problem;
    *hold = kept[1];
    return process;
}

void clinux_release_namespaces(int process, int hold) {
    close(hold);
    while (waitpid(process, NULL, __WALL) < 0 && errno == EINTR) {}
}

int clinux_setfsuid(uint32_t user, uint32_t *before) {
    *before = (uint32_t)syscall(SYS_setfsuid, user);
    // It tells no failure but by the number that is there afterwards.
    return (uint32_t)syscall(SYS_setfsuid, UINT32_MAX) == user ? 0 : -EPERM;
}

int clinux_setfsgid(uint32_t group, uint32_t *before) {
    *before = (uint32_t)syscall(SYS_setfsgid, group);
    return (uint32_t)syscall(SYS_setfsgid, UINT32_MAX) == group ? 0 : -EPERM;
}
