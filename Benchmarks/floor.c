// What a container costs without a runtime: the bare system calls of runc's default bundle, none checked for more than success. It reads
// no configuration, keeps no state, protects nothing and runs no hook: no runtime can be faster.
//
// floor ROOTFS NAME [FILTER]: runs /bin/true of ROOTFS in new namespaces and a cgroup NAME of every hierarchy, and removes that again; FILTER is a
// file with the instructions of a seccomp filter, compiled, which is loaded last.
// floor exec PID: runs /bin/true in the namespaces and cgroups of process PID: what `exec` cannot do without.
// floor create ROOTFS NAME STATE, floor start NAME STATE, floor delete NAME STATE: the same life by three programs, as a runtime's. What they must know
// of each other is a socket and a number in the directory STATE.
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
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

static struct sock_filter instructions[BPF_MAXINSNS];
static struct sock_fprog filter = {.filter = instructions};

/// The path is the host's: read before the container's root is entered.
static void read_filter(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) err(1, "%s", path);
    ssize_t length = read(file, instructions, sizeof instructions);
    if (length <= 0) err(1, "%s", path);
    filter.len = (unsigned short)((size_t)length / sizeof *instructions);
    close(file);
}

static void make_cgroups(const char *name) {
    find_hierarchies(name);
    for (int index = 0; index < count; index++) {
        need(mkdir(hierarchies[index], 0755), hierarchies[index]);
        copy_from_above(hierarchies[index], "cpuset.cpus");
        copy_from_above(hierarchies[index], "cpuset.mems");
        if (is_unified(hierarchies[index])) unified = open(hierarchies[index], O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
}

static void remove_cgroups(void) {
    for (int index = 0; index < count; index++) need(rmdir(hierarchies[index]), hierarchies[index]);
}

/// From the clone to where only the program is missing.
static void become_container(const char *root) {
    need(sethostname("floor", 5), "sethostname");
    enter_cgroups();
    need(unshare(CLONE_NEWCGROUP), "cgroup namespace");
    need(setsid(), "setsid");
    mount_all(root);
    give_rights_up();
}

static _Noreturn void execute(void) {
    execl("/bin/true", "/bin/true", (char *)NULL);
    err(1, "/bin/true");
}

static const uint64_t all_namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET;

static int run(const char *root, const char *name) {
    make_cgroups(name);
    int child = clone_into_unified(all_namespaces);
    if (child == 0) {
        become_container(root);
        // With no_new_privs it needs no right.
        if (filter.len) need((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "seccomp");
        execute();
    }
    int status = end_of(child);
    remove_cgroups();
    return status;
}

static struct sockaddr_un address(const char *state, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.50s/%.50s", state, name);
    return address;
}

static void path_of_number(char path[static 200], const char *state, const char *name) { snprintf(path, 200, "%.80s/%.80s.pid", state, name); }

/// Ends when the container waits to be started.
static int create(const char *root, const char *name, const char *state) {
    make_cgroups(name);
    int ready[2], gate = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un place = address(state, name);
    need(gate, "socket");
    need(bind(gate, (struct sockaddr *)&place, sizeof place), place.sun_path);
    need(listen(gate, 1), "listen");
    need(pipe2(ready, O_CLOEXEC), "pipe");
    int child = clone_into_unified(all_namespaces);
    if (child == 0) {
        become_container(root);
        close(ready[0]);
        need((int)write(ready[1], "r", 1), "ready");
        close(ready[1]);
        // It stays open until the program is executed, which is what `start` waits for.
        need(accept4(gate, NULL, NULL, SOCK_CLOEXEC), "accept");
        execute();
    }
    close(ready[1]);
    char byte, path[200], number[16];
    if (read(ready[0], &byte, 1) != 1) errx(1, "the container's process ended");
    path_of_number(path, state, name);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    need(file, path);
    need((int)write(file, number, (size_t)snprintf(number, sizeof number, "%d", child)), path);
    return 0;
}

static int start(const char *name, const char *state) {
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un place = address(state, name);
    need(connection, "socket");
    need(connect(connection, (struct sockaddr *)&place, sizeof place), place.sun_path);
    char byte;
    need((int)read(connection, &byte, 1), "start");
    return 0;
}

/// Whoever is the parent by now reaps.
static int delete(const char *name, const char *state) {
    char path[200], number[16] = "";
    path_of_number(path, state, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    need(file, path);
    need((int)read(file, number, sizeof number - 1), path);
    int process = (int)syscall(SYS_pidfd_open, atoi(number), 0);
    if (process >= 0) {
        syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
        struct pollfd ended = {.fd = process, .events = POLLIN};
        need(poll(&ended, 1, -1), "poll");
    }
    find_hierarchies(name);
    remove_cgroups();
    need(unlink(path), path);
    need(unlink(address(state, name).sun_path), "socket");
    return 0;
}

int main(int words, char **word) {
    if (words == 3 && strcmp(word[1], "exec") == 0) return add_process(word[2]);
    if (words == 5 && strcmp(word[1], "create") == 0) return create(word[2], word[3], word[4]);
    if (words == 4 && strcmp(word[1], "start") == 0) return start(word[2], word[3]);
    if (words == 4 && strcmp(word[1], "delete") == 0) return delete(word[2], word[3]);
    if (words == 4) read_filter(word[3]);
    if (words == 3 || words == 4) return run(word[1], word[2]);
    errx(2, "usage: floor ROOTFS NAME [FILTER], floor exec PID, floor create ROOTFS NAME STATE, floor start|delete NAME STATE");
}
