// What a container costs without a runtime: the bare system calls of runc's default bundle, none checked for more than success. It reads
// no configuration, keeps no state, protects nothing and runs no hook: no runtime can be faster.
//
// floor ROOTFS NAME: runs /bin/true of ROOTFS in new namespaces and a cgroup NAME of every hierarchy, and removes that again.
// floor exec PID: runs /bin/true in the namespaces and cgroups of process PID: what `exec` cannot do without.
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAXIMUM_HIERARCHIES = 32 };
static const char top[] = "/sys/fs/cgroup";
static char hierarchies[MAXIMUM_HIERARCHIES][256];
static int count;
static int unified = -1;

static void need(int result, const char *what) {
    if (result < 0) err(1, "%s", what);
}

static void add_hierarchy(const char *mount_point, const char *name) {
    char probe[200];
    snprintf(probe, sizeof probe, "%.150s/cgroup.procs", mount_point);
    if (count < MAXIMUM_HIERARCHIES && access(probe, F_OK) == 0)
        snprintf(hierarchies[count++], sizeof hierarchies[0], "%.150s/%.100s", mount_point, name);
}

/// v2 alone is mounted at the top, everything else below.
static void find_hierarchies(const char *name) {
    add_hierarchy(top, name);
    if (count) return;
    DIR *listing = opendir(top);
    if (!listing) err(1, "%s", top);
    for (struct dirent *entry; (entry = readdir(listing));) {
        char mount_point[200];
        snprintf(mount_point, sizeof mount_point, "%s/%.100s", top, entry->d_name);
        if (entry->d_name[0] != '.' && entry->d_type == DT_DIR) add_hierarchy(mount_point, name);
    }
    closedir(listing);
}

static int is_unified(const char *path) { return strstr(path, "/unified/") != NULL || count == 1; }

static void copy_from_above(const char *directory, const char *file) {
    char path[600], value[256];
    snprintf(path, sizeof path, "%.250s/../%s", directory, file);
    int above = open(path, O_RDONLY);
    if (above < 0) return;
    ssize_t length = read(above, value, sizeof value);
    close(above);
    snprintf(path, sizeof path, "%.250s/%s", directory, file);
    int own = open(path, O_WRONLY);
    if (own < 0 || write(own, value, (size_t)length) < 0) err(1, "%s", path);
    close(own);
}

static void enter_cgroups(void) {
    for (int index = 0; index < count; index++) {
        if (is_unified(hierarchies[index])) continue;
        char path[600];
        snprintf(path, sizeof path, "%.250s/tasks", hierarchies[index]);
        int tasks = open(path, O_WRONLY);
        if (tasks < 0 || write(tasks, "0", 1) < 0) err(1, "%s", path);
        close(tasks);
    }
}

static void mount_at(const char *type, const char *place, unsigned long flags, const char *options) {
    if (mkdir(place, 0755) < 0 && access(place, F_OK) < 0) err(1, "%s", place);
    need(mount(type, place, type, flags, options), place);
}

static void mount_all(const char *root) {
    static const struct { const char *name; int minor; } devices[] = {{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}};
    need(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "slave");
    need(mount(root, root, NULL, MS_BIND | MS_REC, NULL), root);
    need(chdir(root), root);
    mount_at("proc", "proc", 0, NULL);
    mount_at("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
    mount_at("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
    mount_at("tmpfs", "dev/shm", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k");
    mount_at("mqueue", "dev/mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
    mount_at("sysfs", "sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL);
    for (size_t index = 0; index < sizeof devices / sizeof *devices; index++) {
        char path[64];
        snprintf(path, sizeof path, "dev/%s", devices[index].name);
        need(mknod(path, S_IFCHR | 0666, makedev(1, (unsigned)devices[index].minor)), path);
    }
    need(mknod("dev/tty", S_IFCHR | 0666, makedev(5, 0)), "dev/tty");
    need(symlink("pts/ptmx", "dev/ptmx") | symlink("/proc/self/fd", "dev/fd") | symlink("/proc/self/fd/0", "dev/stdin")
             | symlink("/proc/self/fd/1", "dev/stdout") | symlink("/proc/self/fd/2", "dev/stderr"), "links of /dev");
    static const char *read_only[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
    for (size_t index = 0; index < sizeof read_only / sizeof *read_only; index++)
        if (mount(read_only[index], read_only[index], NULL, MS_BIND | MS_REC, NULL) == 0)
            need(mount(NULL, read_only[index], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), read_only[index]);
    static const char *files[] = {"proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list", "proc/sched_debug"};
    for (size_t index = 0; index < sizeof files / sizeof *files; index++) mount("dev/null", files[index], NULL, MS_BIND, NULL);
    static const char *directories[] = {"proc/acpi", "proc/asound", "sys/firmware", "proc/scsi"};
    for (size_t index = 0; index < sizeof directories / sizeof *directories; index++)
        mount("tmpfs", directories[index], "tmpfs", MS_RDONLY, NULL);
    need((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
    need(umount2(".", MNT_DETACH), "umount");
    need(mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), "read-only root");
}

static void give_rights_up(void) {
    for (unsigned long capability = 0; capability < 41; capability++)
        if (capability != CAP_KILL && capability != CAP_NET_BIND_SERVICE && capability != CAP_AUDIT_WRITE) prctl(PR_CAPBSET_DROP, capability);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const uint32_t kept = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_AUDIT_WRITE;
    struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}};
    need((int)syscall(SYS_capset, &header, data), "capset");
    need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

static int clone_into_unified(uint64_t namespaces) {
    struct clone_args arguments = {
        .flags = namespaces | (unified < 0 ? 0 : CLONE_INTO_CGROUP),
        .exit_signal = SIGCHLD,
        .cgroup = unified < 0 ? 0 : (uint64_t)unified,
    };
    int child = (int)syscall(SYS_clone3, &arguments, sizeof arguments);
    need(child, "clone3");
    return child;
}

static int end_of(int child) {
    int status;
    need(waitpid(child, &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void find_cgroups_of(const char *process) {
    char path[300], line[300];
    snprintf(path, sizeof path, "/proc/%.20s/cgroup", process);
    FILE *list = fopen(path, "r");
    if (!list) err(1, "%s", path);
    while (fgets(line, sizeof line, list) && count < MAXIMUM_HIERARCHIES) {
        char *names = strchr(line, ':') + 1, *directory = strchr(names, ':');
        *directory++ = 0;
        directory[strcspn(directory, "\n")] = 0;
        if (strncmp(names, "name=", 5) == 0) names += 5;
        snprintf(path, sizeof path, "%s/%.100s", top, *names ? names : "unified");
        snprintf(hierarchies[count++], sizeof hierarchies[0], "%.120s%.130s", access(path, F_OK) == 0 ? path : top, directory);
    }
    fclose(list);
}

static int add_process(const char *process) {
    int target = (int)syscall(SYS_pidfd_open, atoi(process), 0);
    need(target, "pidfd_open");
    find_cgroups_of(process);
    for (int index = 0; index < count; index++)
        if (is_unified(hierarchies[index])) unified = open(hierarchies[index], O_PATH | O_DIRECTORY | O_CLOEXEC);
    need(setns(target, CLONE_NEWPID), "pid namespace");
    int child = clone_into_unified(0);
    if (child == 0) {
        enter_cgroups();
        need(setns(target, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP), "namespaces");
        need(setsid(), "setsid");
        give_rights_up();
        execl("/bin/true", "/bin/true", (char *)NULL);
        err(1, "/bin/true");
    }
    return end_of(child);
}

int main(int words, char **word) {
    if (words == 3 && strcmp(word[1], "exec") == 0) return add_process(word[2]);
    if (words != 3) errx(2, "usage: floor ROOTFS NAME, or floor exec PID");
    find_hierarchies(word[2]);
    for (int index = 0; index < count; index++) {
        need(mkdir(hierarchies[index], 0755), hierarchies[index]);
        copy_from_above(hierarchies[index], "cpuset.cpus");
        copy_from_above(hierarchies[index], "cpuset.mems");
        if (is_unified(hierarchies[index])) unified = open(hierarchies[index], O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    int child = clone_into_unified(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET);
    if (child == 0) {
        need(sethostname("floor", 5), "sethostname");
        enter_cgroups();
        need(unshare(CLONE_NEWCGROUP), "cgroup namespace");
        need(setsid(), "setsid");
        mount_all(word[1]);
        give_rights_up();
        execl("/bin/true", "/bin/true", (char *)NULL);
        err(1, "/bin/true");
    }
    int status = end_of(child);
    for (int index = 0; index < count; index++) need(rmdir(hierarchies[index]), hierarchies[index]);
    return status;
}
