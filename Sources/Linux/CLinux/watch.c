#define _GNU_SOURCE
#include "clinux_watch.h"

#include <errno.h>
#include <sys/inotify.h>

int clinux_watch_open(void) {
    int result = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return result < 0 ? -errno : result;
}

int clinux_watch_directory(int descriptor, const char *path) {
    int result = inotify_add_watch(descriptor, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    return result < 0 ? -errno : result;
}

int clinux_watch_remove(int descriptor, int watch) {
    return inotify_rm_watch(descriptor, watch) < 0 ? -errno : 0;
}
