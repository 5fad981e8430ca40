#define _GNU_SOURCE
#include "clinux_seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_install_filter(const void *instructions, uint16_t count, uint32_t flags) {
    struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)instructions};
    long value = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return value < 0 ? -errno : (int)value;
}
