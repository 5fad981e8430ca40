#define _GNU_SOURCE
#include "clinux_terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int clinux_unlock_terminal(int master) {
    int locked = 0;
    return result(ioctl(master, TIOCSPTLCK, &locked));
}

int clinux_terminal_peer(int master, int flags) { return result(ioctl(master, TIOCGPTPEER, flags)); }

int clinux_take_terminal(int descriptor) { return result(ioctl(descriptor, TIOCSCTTY, 0)); }

int clinux_set_window_size(int descriptor, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return result(ioctl(descriptor, TIOCSWINSZ, &size));
}

int clinux_get_window_size(int descriptor, uint16_t *rows, uint16_t *columns) {
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) < 0) return -errno;
    *rows = size.ws_row;
    *columns = size.ws_col;
    return 0;
}
