/// Processes: making, joining, marking, awaiting and replacing them.
#ifndef CLINUX_PROCESS_H
#define CLINUX_PROCESS_H

#include <stddef.h>
#include <stdint.h>

/// clone3(2), Linux 5.3, as fork: the child goes on after the call with a copy of the memory, and no
/// handler of pthread_atfork(3) runs, so the caller must have one thread. `cgroup` is used with
/// CLONE_INTO_CGROUP (Linux 5.7), `pidfd` filled with CLONE_PIDFD (may be NULL otherwise).
/// Returns the child's pid, 0 in the child, or -errno.
int clinux_clone3(uint64_t flags, int exit_signal, int cgroup, int *pidfd);

/// clone(2) in the same way, for kernels and filters without clone3: no CLONE_INTO_CGROUP, and no flag in the bits of the exit signal.
/// Returns the child's pid, 0 in the child, or -errno.
int clinux_clone(uint64_t flags, int exit_signal, int *pidfd);

/// setns(2); with a pidfd and several types from Linux 5.8. Returns 0 or -errno.
int clinux_setns(int descriptor, int types);

/// unshare(2). Returns 0 or -errno.
int clinux_unshare(int types);

/// ioctl_ns(2), NS_GET_NSTYPE: the CLONE_NEW… constant of a namespace's descriptor, or -errno.
int clinux_namespace_type(int descriptor);

/// Makes namespaces, `types` of unshare(2), that are there as long as a process of ours holds them; `user_namespace` is a descriptor of the
/// user namespace that they shall belong to, or -1 for the caller's. The caller may have threads. `hold` is given what
/// `clinux_release_namespaces` takes; the caller's death releases them too. Returns the process, or -errno.
int clinux_hold_namespaces(int user_namespace, int types, int *hold);

/// Ends the process of `clinux_hold_namespaces` and reaps it.
void clinux_release_namespaces(int process, int hold);

/// setfsuid(2) of the calling thread; `before` is given the user before. Returns 0 or -EPERM.
int clinux_setfsuid(uint32_t user, uint32_t *before);

/// setfsgid(2) of the calling thread; `before` is given the group before. Returns 0 or -EPERM.
int clinux_setfsgid(uint32_t group, uint32_t *before);

/// pidfd_open(2), Linux 5.3. Returns a descriptor or -errno.
int clinux_pidfd_open(int process, unsigned int flags);

/// pidfd_send_signal(2), Linux 5.1, without siginfo. Returns 0 or -errno.
int clinux_pidfd_send_signal(int pidfd, int signal);

/// pidfd_getfd(2), Linux 5.6: a close-on-exec copy of another process's descriptor. Returns it or -errno.
int clinux_pidfd_getfd(int pidfd, int descriptor);

/// How a process changed its state: si_code and si_status of waitid(2).
struct clinux_exit {
    int process;
    int code;
    int status;
};

/// waitid(2). Returns 0, with `process` 0 where WNOHANG found nothing, or -errno.
int clinux_waitid(int id_type, int id, int options, struct clinux_exit *exit);

/// prctl(2). Returns its value or -errno.
int clinux_prctl(int option, unsigned long second, unsigned long third, unsigned long fourth, unsigned long fifth);

/// capget(2), version 3, of the calling thread. Returns 0 or -errno.
int clinux_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable);

/// capset(2), version 3. Returns 0 or -errno.
int clinux_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);

/// setresuid(2), setresgid(2), setgroups(2) of the calling thread only. Return 0 or -errno.
int clinux_setresuid(uint32_t user);
int clinux_setresgid(uint32_t group);
int clinux_setgroups(size_t count, const uint32_t *groups);

/// prlimit(2), the setting half; UINT64_MAX is RLIM_INFINITY. Returns 0 or -errno.
int clinux_set_limit(int process, int resource, uint64_t soft, uint64_t hard);

/// prlimit(2), the reading half. Returns 0 or -errno.
int clinux_get_limit(int process, int resource, uint64_t *soft, uint64_t *hard);

/// personality(2). Returns the previous one or -errno.
int clinux_personality(unsigned long persona);

/// keyctl(2), KEYCTL_JOIN_SESSION_KEYRING. Returns the keyring's serial number or -errno.
int clinux_join_session_keyring(const char *name);

/// execveat(2); returns only to say why not, -errno. An empty path is the descriptor itself (AT_EMPTY_PATH).
int clinux_execveat(int directory, const char *path, char *const arguments[], char *const environment[]);

/// mallopt(3) for a program that ends soon: memory is taken in large steps and never given back.
void clinux_hoard_memory(void);

/// posix_spawn(3) with an empty signal mask, default dispositions and the `count` descriptors given, three or more, as 0, 1, 2 and so on;
/// all others from 3 up must be close-on-exec. `new_session` calls setsid(2) first. `descriptors` is the program's soft RLIMIT_NOFILE, as far
/// as the hard one goes, which the calling process then has meanwhile; -1 is the calling process's own.
/// Returns the pid or -errno.
int clinux_spawn(const char *path, char *const arguments[], char *const environment[], const int given[], int count,
                 int new_session, int64_t descriptors);

#endif
