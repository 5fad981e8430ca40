/// Notices of changes to files.
#ifndef CLINUX_WATCH_H
#define CLINUX_WATCH_H

#include <stdint.h>

/// inotify_init1(2), non-blocking and close-on-exec. Returns a descriptor or -errno.
int clinux_watch_open(void);

/// inotify_add_watch(2) for changes of what is in a directory: IN_MODIFY, IN_CREATE, IN_MOVED_TO. Returns a watch or -errno.
int clinux_watch_directory(int descriptor, const char *path);

/// inotify_rm_watch(2). Returns 0 or -errno.
int clinux_watch_remove(int descriptor, int watch);

#endif
