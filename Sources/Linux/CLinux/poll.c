#define _GNU_SOURCE
#include "clinux_poll.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MAXIMUM_EVENTS = 64 };

int clinux_epoll_create(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int clinux_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

int clinux_epoll_wait(int epoll, struct clinux_event *events, int capacity, int timeout_milliseconds) {
    struct epoll_event ready[MAXIMUM_EVENTS];
    int limit = capacity < MAXIMUM_EVENTS ? capacity : MAXIMUM_EVENTS;
    int count = epoll_wait(epoll, ready, limit, timeout_milliseconds);
    if (count < 0) return -errno;
    for (int index = 0; index < count; index++) {
        events[index].events = ready[index].events;
        events[index].token = ready[index].data.u64;
    }
    return count;
}

int clinux_eventfd(int non_blocking) {
    int descriptor = eventfd(0, EFD_CLOEXEC | (non_blocking ? EFD_NONBLOCK : 0));
    return descriptor < 0 ? -errno : descriptor;
}

struct thread_start {
    void (*body)(void *);
    void *argument;
};

static void *run_thread(void *pointer) {
    struct thread_start start = *(struct thread_start *)pointer;
    free(pointer);
    start.body(start.argument);
    return NULL;
}

int clinux_start_thread(void (*body)(void *), void *argument, int waits) {
    struct thread_start *start = malloc(sizeof *start);
    if (!start) return -ENOMEM;
    *start = (struct thread_start){.body = body, .argument = argument};
    // The thread inherits the mask: signals stay with whoever waits for them by signalfd.
    sigset_t all, previous;
    sigfillset(&all);
    int failure = pthread_sigmask(SIG_SETMASK, &all, &previous);
    pthread_t thread;
    if (!failure) {
        failure = pthread_create(&thread, NULL, run_thread, start);
        pthread_sigmask(SIG_SETMASK, &previous, NULL);
    }
    if (failure) {
        free(start);
        return -failure;
    }
    return -(waits ? pthread_join(thread, NULL) : pthread_detach(thread));
}
