#define _GNU_SOURCE
#include "clinux_signal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int clinux_set_signal_mask(uint64_t blocked, uint64_t *previous) {
    return result(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, previous, sizeof blocked));
}

int clinux_default_signals(void) {
    // The kernel's own call and struct sigaction (all zeros: SIG_DFL): the C library hides its real-time signals 32 and 33 from us,
    // and a caller may have had us ignore those too.
    const struct { void (*handler)(int); unsigned long rest[3]; } standard = {SIG_DFL, {0}};
    for (int signal = 1; signal <= 64; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP) continue;
        if (syscall(SYS_rt_sigaction, signal, &standard, NULL, sizeof(uint64_t)) < 0) return -errno;
    }
    return 0;
}

int clinux_default_signal(int signal) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    return result(sigaction(signal, &standard, NULL));
}

static void end_by(int signal) { _exit(128 + signal); }

int clinux_end_by_signal(int signal) {
    struct sigaction end = {.sa_handler = end_by};
    return result(sigaction(signal, &end, NULL));
}

int clinux_ignore_signal(int signal) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    return result(sigaction(signal, &ignore, NULL));
}

int clinux_signalfd(uint64_t signals) {
    return result(syscall(SYS_signalfd4, -1, &signals, sizeof signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

int clinux_read_signal(int descriptor) {
    struct signalfd_siginfo information;
    ssize_t count = read(descriptor, &information, sizeof information);
    if (count < 0) return errno == EAGAIN ? 0 : -errno;
    return count == sizeof information ? (int)information.ssi_signo : -EIO;
}
