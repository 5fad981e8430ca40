#define _GNU_SOURCE
#include "clinux_process.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/nsfs.h>
#include <malloc.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

/// struct clone_args of linux/sched.h, which cannot be included beside sched.h everywhere.
struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

int clinux_clone3(uint64_t flags, int exit_signal, int cgroup, int *pidfd) {
    struct clone_arguments arguments = {
        .flags = flags,
        .pidfd = (uintptr_t)pidfd,
        .exit_signal = (uint64_t)exit_signal,
        .cgroup = cgroup < 0 ? 0 : (uint64_t)cgroup,
    };
    return result(syscall(SYS_clone3, &arguments, sizeof arguments));
}

int clinux_clone(uint64_t flags, int exit_signal, int *pidfd) {
    // The first three arguments are the same on every architecture that we know, the others are not used.
    return result(syscall(SYS_clone, (unsigned long)flags | (unsigned long)exit_signal, NULL, pidfd, NULL, NULL));
}

int clinux_setns(int descriptor, int types) { return result(setns(descriptor, types)); }

int clinux_unshare(int types) { return result(unshare(types)); }

int clinux_namespace_type(int descriptor) { return result(ioctl(descriptor, NS_GET_NSTYPE)); }

int clinux_pidfd_open(int process, unsigned int flags) { return result(syscall(SYS_pidfd_open, process, flags)); }

int clinux_pidfd_send_signal(int pidfd, int signal) {
    return result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

int clinux_pidfd_getfd(int pidfd, int descriptor) { return result(syscall(SYS_pidfd_getfd, pidfd, descriptor, 0)); }

int clinux_waitid(int id_type, int id, int options, struct clinux_exit *exit) {
    siginfo_t information = {0};
    if (waitid((idtype_t)id_type, (id_t)id, &information, options) < 0) return -errno;
    exit->process = information.si_pid;
    exit->code = information.si_code;
    exit->status = information.si_status;
    return 0;
}

int clinux_prctl(int option, unsigned long second, unsigned long third, unsigned long fourth, unsigned long fifth) {
    return result(prctl(option, second, third, fourth, fifth));
}

int clinux_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct halves[2];
    if (syscall(SYS_capget, &header, halves) < 0) return -errno;
    *effective = halves[0].effective | (uint64_t)halves[1].effective << 32;
    *permitted = halves[0].permitted | (uint64_t)halves[1].permitted << 32;
    *inheritable = halves[0].inheritable | (uint64_t)halves[1].inheritable << 32;
    return 0;
}

int clinux_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct halves[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    return result(syscall(SYS_capset, &header, halves));
}

int clinux_setresuid(uint32_t user) { return result(syscall(SYS_setresuid, user, user, user)); }

int clinux_setresgid(uint32_t group) { return result(syscall(SYS_setresgid, group, group, group)); }

int clinux_setgroups(size_t count, const uint32_t *groups) { return result(syscall(SYS_setgroups, count, groups)); }

int clinux_set_limit(int process, int resource, uint64_t soft, uint64_t hard) {
    struct rlimit64 limit = {.rlim_cur = soft, .rlim_max = hard};
    return result(syscall(SYS_prlimit64, process, resource, &limit, NULL));
}

int clinux_get_limit(int process, int resource, uint64_t *soft, uint64_t *hard) {
    struct rlimit64 limit;
    if (syscall(SYS_prlimit64, process, resource, NULL, &limit) < 0) return -errno;
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return 0;
}

int clinux_personality(unsigned long persona) { return result(personality(persona)); }

/// What a session keyring is made with, and the owner's right to find it: without that, who joins it by its name gets another one.
/// - Source: KEY_POS_ALL, KEY_USR_VIEW, _READ, _SEARCH and _LINK of linux/key.h.
static const unsigned int shared_keyring = 0x3f1b0000;

int clinux_join_session_keyring(const char *name) {
    int keyring = result(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name, 0, 0, 0));
    if (keyring < 0) return keyring;
    return result(syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, shared_keyring, 0, 0));
}

int clinux_execveat(int directory, const char *path, char *const arguments[], char *const environment[]) {
    // A container's filter may know the older call alone.
    if (directory == AT_FDCWD && path[0]) return result(syscall(SYS_execve, path, arguments, environment));
    return result(syscall(SYS_execveat, directory, path, arguments, environment, path[0] ? 0 : AT_EMPTY_PATH));
}

void clinux_hoard_memory(void) {
    mallopt(M_TOP_PAD, 512 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
}

/// Adds the descriptors. A source among 0 to 2 could be overwritten before it is read,
/// so callers give others, or the same number, which posix_spawn then marks as inherited. Those for 3 and up go by way of numbers above all
/// others, as any may lie among the targets.
static int give_descriptors(posix_spawn_file_actions_t *actions, const int given[], int count) {
    int failure = 0, above = count;
    for (int number = 0; number < count; number++) {
        if (given[number] >= above) above = given[number] + 1;
    }
    for (int number = 3; number < count && !failure; number++) {
        failure = posix_spawn_file_actions_adddup2(actions, given[number], above + number);
    }
    for (int number = 0; number < 3 && !failure; number++) {
        failure = posix_spawn_file_actions_adddup2(actions, given[number], number);
    }
    for (int number = 3; number < count && !failure; number++) {
        failure = posix_spawn_file_actions_adddup2(actions, above + number, number);
        if (!failure) failure = posix_spawn_file_actions_addclose(actions, above + number);
    }
    return failure;
}

/// The soft limit of descriptors, the hard one as it is: not everybody could raise that again.
static int set_descriptors(uint64_t soft, uint64_t hard) {
    return -clinux_set_limit(0, RLIMIT_NOFILE, soft < hard ? soft : hard, hard);
}

int clinux_spawn(const char *path, char *const arguments[], char *const environment[], const int given[], int count,
                 int new_session, int64_t descriptors) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t process = 0;
    uint64_t soft = 0, hard = 0;
    int failure = descriptors < 0 ? 0 : -clinux_get_limit(0, RLIMIT_NOFILE, &soft, &hard);
    if (failure) return -failure;
    failure = posix_spawn_file_actions_init(&actions);
    if (failure) return -failure;
    failure = posix_spawnattr_init(&attributes);
    if (failure) {
        posix_spawn_file_actions_destroy(&actions);
        return -failure;
    }
    sigemptyset(&none);
    sigfillset(&all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (new_session ? POSIX_SPAWN_SETSID : 0);
    failure = give_descriptors(&actions, given, count);
    if (!failure) failure = posix_spawnattr_setsigmask(&attributes, &none);
    if (!failure) failure = posix_spawnattr_setsigdefault(&attributes, &all);
    if (!failure) failure = posix_spawnattr_setflags(&attributes, flags);
    // Not before: adding a descriptor at or beyond the limit is EBADF.
    if (!failure && descriptors >= 0) failure = set_descriptors((uint64_t)descriptors, hard);
    if (!failure) {
        failure = posix_spawn(&process, path, &actions, &attributes, arguments, environment);
        // What was allowed just now is still: nothing of this can fail.
        if (descriptors >= 0) set_descriptors(soft, hard);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure ? -failure : process;
}
