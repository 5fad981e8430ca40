/// When and where a process runs: scheduler, priority of its input and output, CPUs, memory nodes.
#ifndef CLINUX_SCHEDULING_H
#define CLINUX_SCHEDULING_H

#include <stddef.h>
#include <stdint.h>

/// struct sched_attr of linux/sched/types.h, first version.
struct clinux_scheduler {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/// sched_setattr(2), Linux 3.14; 0 is the caller. Returns 0 or -errno.
int clinux_set_scheduler(int process, struct clinux_scheduler *scheduler);

/// ioprio_set(2) of one process, 0 for the caller. Returns 0 or -errno.
int clinux_set_io_priority(int process, int priority);

/// sched_setaffinity(2), 0 for the caller. Returns 0 or -errno.
int clinux_set_affinity(int process, const uint64_t *cpus, size_t words);

/// set_mempolicy(2) of the calling thread. Returns 0 or -errno.
int clinux_set_memory_policy(int mode, const uint64_t *nodes, size_t words);

#endif
