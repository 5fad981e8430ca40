/// Pseudo-terminals by descriptor.
#ifndef CLINUX_TERMINAL_H
#define CLINUX_TERMINAL_H

#include <stdint.h>

/// ioctl_tty(2), TIOCSPTLCK 0: lets the other end be opened. Returns 0 or -errno.
int clinux_unlock_terminal(int master);

/// ioctl_tty(2), TIOCGPTPEER, Linux 4.13: opens the other end of a master without a path. Returns a
/// descriptor or -errno.
int clinux_terminal_peer(int master, int flags);

/// ioctl_tty(2), TIOCSCTTY: makes it the controlling terminal of a session leader. Returns 0 or -errno.
int clinux_take_terminal(int descriptor);

/// ioctl_tty(2), TIOCSWINSZ and TIOCGWINSZ. Return 0 or -errno.
int clinux_set_window_size(int descriptor, uint16_t rows, uint16_t columns);
int clinux_get_window_size(int descriptor, uint16_t *rows, uint16_t *columns);

#endif
