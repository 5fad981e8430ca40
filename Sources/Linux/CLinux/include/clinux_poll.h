/// Waiting for descriptors, and what threads and processes wake each other with.
#ifndef CLINUX_POLL_H
#define CLINUX_POLL_H

#include <stddef.h>
#include <stdint.h>

/// One readiness of epoll_wait(2): EPOLL… bits and the token that was registered.
struct clinux_event {
    uint32_t events;
    uint64_t token;
};

/// epoll_create1(2), close-on-exec. Returns a descriptor or -errno.
int clinux_epoll_create(void);

/// epoll_ctl(2); `operation` is EPOLL_CTL_ADD 1, _DEL 2 or _MOD 3. Returns 0 or -errno.
int clinux_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t token);

/// epoll_wait(2) for at most 64 events; -1 waits for ever. Returns their number or -errno.
int clinux_epoll_wait(int epoll, struct clinux_event *events, int capacity, int timeout_milliseconds);

/// eventfd(2), close-on-exec. Returns a descriptor or -errno.
int clinux_eventfd(int non_blocking);

/// Starts a thread with all signals blocked: pthread_create(3). `waits` for its end: pthread_join(3); else it is detached.
/// Returns 0 or -errno.
int clinux_start_thread(void (*body)(void *), void *argument, int waits);

#endif
