#define _GNU_SOURCE
#include "clinux_scheduling.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int clinux_set_scheduler(int process, struct clinux_scheduler *scheduler) {
    scheduler->size = sizeof *scheduler;
    return result(syscall(SYS_sched_setattr, process, scheduler, 0));
}

int clinux_set_io_priority(int process, int priority) {
    // IOPRIO_WHO_PROCESS.
    return result(syscall(SYS_ioprio_set, 1, process, priority));
}

int clinux_set_affinity(int process, const uint64_t *cpus, size_t words) {
    return result(syscall(SYS_sched_setaffinity, process, words * sizeof *cpus, cpus));
}

int clinux_set_memory_policy(int mode, const uint64_t *nodes, size_t words) {
    // The kernel takes one bit less than the number that it is told.
    return result(syscall(SYS_set_mempolicy, mode, words == 0 ? NULL : nodes, words == 0 ? 0 : words * 64 + 1));
}
