/// Signals as 64-bit sets, bit n-1 for signal n.
#ifndef CLINUX_SIGNAL_H
#define CLINUX_SIGNAL_H

#include <stdint.h>

/// rt_sigprocmask(2), SIG_SETMASK: replaces the mask of the calling thread. Returns 0 or -errno.
int clinux_set_signal_mask(uint64_t blocked, uint64_t *previous);

/// Gives every signal that is ignored or handled its default action again. Returns 0 or -errno.
int clinux_default_signals(void);

/// Gives one signal its default action again: sigaction(2), SIG_DFL. Returns 0 or -errno.
int clinux_default_signal(int signal);

/// Ends the process by a signal, with 128 and its number as the status, also where it is the first one of a pid namespace, whom default actions do not
/// end: sigaction(2). Returns 0 or -errno.
int clinux_end_by_signal(int signal);

/// Ignores a signal: sigaction(2), SIG_IGN. Returns 0 or -errno.
int clinux_ignore_signal(int signal);

/// signalfd4(2), a new one, close-on-exec and non-blocking. Returns a descriptor or -errno.
int clinux_signalfd(uint64_t signals);

/// Reads one signal from a signalfd. Returns its number, 0 when none waits, or -errno.
int clinux_read_signal(int descriptor);

#endif
