/// bpf(2) for the one kind of program that containers need: BPF_PROG_TYPE_CGROUP_DEVICE.
#ifndef CLINUX_BPF_H
#define CLINUX_BPF_H

#include <stdint.h>

/// BPF_PROG_LOAD of `count` instructions of 8 bytes. Returns a close-on-exec descriptor or -errno.
int clinux_bpf_load_device_program(const void *instructions, uint32_t count);

/// BPF_PROG_ATTACH to a cgroup with BPF_F_ALLOW_MULTI. Returns 0 or -errno.
int clinux_bpf_attach_device_program(int cgroup, int program);

/// BPF_PROG_DETACH. Returns 0 or -errno.
int clinux_bpf_detach_device_program(int cgroup, int program);

/// BPF_PROG_QUERY: the ids of the programs attached to the cgroup itself. Returns their number or -errno.
int clinux_bpf_query_device_programs(int cgroup, uint32_t *ids, uint32_t capacity);

/// BPF_PROG_GET_FD_BY_ID. Returns a close-on-exec descriptor or -errno.
int clinux_bpf_open_program(uint32_t id);

#endif
