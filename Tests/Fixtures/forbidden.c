/* Tries from inside a container, one by one, what a sandbox forbids, and tells what came of it: `name 0`, `name ERRNO` or `name signal N`.
   Each attempt is a process of its own, and harmless where it succeeds: nothing is asked for whose asking loads a module of the kernel.
   `forbidden NAME` makes one attempt, `forbidden families N…` tries those families of sockets, `forbidden who` tells real and effective user. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PLACE "/tmp/forbidden"

static int outcome(long result) { return result < 0 ? errno : 0; }

/* Rights */

static int raw_socket(void) { return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }
static int packet_socket(void) { return outcome(socket(AF_PACKET, SOCK_RAW, 0)); }
static int change_root(void) { return outcome(chroot("/")); }

static int device_node(void) {
    unlink(PLACE "-node");
    return outcome(mknod(PLACE "-node", S_IFCHR | 0600, makedev(1, 3)));
}

static int file_capability(void) {
    struct vfs_cap_data data = {.magic_etc = VFS_CAP_REVISION_2, .data = {{.permitted = 1 << CAP_NET_BIND_SERVICE}}};
    int file = open(PLACE "-file", O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    return file < 0 ? errno : outcome(setxattr(PLACE "-file", "security.capability", &data, sizeof data, 0));
}

/* Other processes */

static int traced(void) { return outcome(ptrace(PTRACE_TRACEME, 0, 0, 0)); }

static int attach(void) {
    pid_t child = fork();
    if (child == 0) for (;;) pause();
    int result = outcome(ptrace(PTRACE_ATTACH, child, 0, 0));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return result;
}

static char theirs[16], ours[16];
static struct iovec remote = {theirs, sizeof theirs}, local = {ours, sizeof ours};
static int read_memory(void) { return outcome(process_vm_readv(getpid(), &local, 1, &remote, 1, 0)); }
static int write_memory(void) { return outcome(process_vm_writev(getpid(), &local, 1, &remote, 1, 0)); }

/* Calls */

static int splice_memory(void) {
    int ends[2];
    return pipe(ends) < 0 ? errno : outcome(vmsplice(ends[1], &local, 1, 0));
}

static int remap(void) {
    size_t size = 2 * sysconf(_SC_PAGESIZE);
    void *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return place == MAP_FAILED ? errno : outcome(syscall(SYS_remap_file_pages, place, size / 2, 0, 1, 0));
}

static int new_users(void) { return outcome(unshare(CLONE_NEWUSER)); }
static int new_users_by_clone(void) {
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return outcome(child);
}
static int new_process_by_clone3(void) { return outcome(syscall(SYS_clone3, NULL, 0)); }
static int ring(void) { return outcome(syscall(SYS_io_uring_setup, 1, NULL)); }
static int faults(void) { return outcome(syscall(SYS_userfaultfd, O_CLOEXEC)); }
static int keys(void) { return outcome(syscall(SYS_keyctl, 0, -3, 0, 0, 0)); }
static int new_key(void) { return outcome(syscall(SYS_add_key, NULL, NULL, NULL, 0, -3)); }
static int kernel_program(void) { return outcome(syscall(SYS_bpf, 0, NULL, 0)); }
static int counters(void) { return outcome(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0)); }
static int by_handle(void) { return outcome(syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0)); }
static int mount_file_system(void) { return outcome(mount("x", "/tmp", "tmpfs", 0, NULL)); }
static int unknown(void) { return outcome(syscall(9999)); }

#ifdef __x86_64__
static int descriptor_table(void) {
    char table[64];
    return outcome(syscall(SYS_modify_ldt, 0, table, sizeof table));
}

/* As a program of 32 bits does it. */
static int multiplexed(unsigned family, unsigned type) {
    unsigned *arguments = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (arguments == MAP_FAILED) return errno;
    arguments[0] = family, arguments[1] = type, arguments[2] = 0;
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(102), "b"(1), "c"((unsigned)(uintptr_t)arguments) : "memory", "r8", "r9", "r10", "r11");
    return result < 0 ? (int)-result : 0;
}
static int multiplexed_internet(void) { return multiplexed(AF_INET, SOCK_STREAM); }
static int multiplexed_old(void) { return multiplexed(AF_ECONET, SOCK_DGRAM); }
#endif

/* What services need */

static int change_owner(void) {
    int file = open(PLACE "-owned", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    return file < 0 ? errno : outcome(fchown(file, 1000, 1000));
}
static int change_user(void) { return outcome(setgid(1000)) + outcome(setuid(1000)); }
static int end_another_users(void) {
    pid_t child = fork();
    if (child == 0) {
        if (setuid(1000) < 0) _exit(1);
        for (;;) pause();
    }
    int result = outcome(kill(child, SIGKILL));
    waitpid(child, NULL, 0);
    return result;
}
static int listen_at_80(void) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(80)};
    int door = socket(AF_INET, SOCK_STREAM, 0);
    return door < 0 || bind(door, (struct sockaddr *)&place, sizeof place) < 0 ? errno : outcome(listen(door, 1));
}
static int echo_socket(void) { return outcome(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)); }
static int named_pipe(void) {
    unlink(PLACE "-pipe");
    return outcome(mkfifo(PLACE "-pipe", 0600));
}
static int memory_file(void) { return outcome(memfd_create("x", 0)); }
static int old_shared_memory(void) { return outcome(syscall(SYS_shmget, 0, 4096, 0600)); }
static int local_pair(void) {
    int ends[2];
    return outcome(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}
static int internet_pair(void) {
    int ends[2];
    return outcome(socketpair(AF_INET, SOCK_STREAM, 0, ends));
}

static const struct {
    const char *name;
    int (*attempt)(void);
} attempts[] = {
    {"raw-socket", raw_socket}, {"packet-socket", packet_socket}, {"change-root", change_root}, {"device-node", device_node},
    {"file-capability", file_capability}, {"traced", traced}, {"attach", attach}, {"read-memory", read_memory}, {"write-memory", write_memory},
    {"splice-memory", splice_memory}, {"remap", remap}, {"new-users", new_users}, {"new-users-by-clone", new_users_by_clone},
    {"clone3", new_process_by_clone3}, {"ring", ring}, {"faults", faults}, {"keys", keys}, {"new-key", new_key},
    {"kernel-program", kernel_program}, {"counters", counters}, {"by-handle", by_handle}, {"mount", mount_file_system}, {"unknown", unknown},
#ifdef __x86_64__
    {"descriptor-table", descriptor_table}, {"multiplexed-internet", multiplexed_internet}, {"multiplexed-old", multiplexed_old},
#endif
    {"change-owner", change_owner}, {"change-user", change_user}, {"end-another-users", end_another_users}, {"listen-at-80", listen_at_80},
    {"echo-socket", echo_socket}, {"named-pipe", named_pipe}, {"memory-file", memory_file}, {"old-shared-memory", old_shared_memory},
    {"local-pair", local_pair}, {"internet-pair", internet_pair},
};

/* AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET and AF_XDP, which are never modules, and those that Linux has no more or never had. */
static const int harmless_families[] = {1, 2, 10, 16, 17, 44, 7, 13, 14, 18, 19, 22, 23, 24};

static int family;
static int of_family(void) {
    /* Whichever type a family has: what is refused is refused by all of them. */
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW};
    for (int i = 0; i < 4; i++)
        if (socket(family, types[i], 0) >= 0) return 0;
    return errno;
}

static void tell(const char *name, int number, int (*attempt)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(attempt());
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) exit(1);
    printf("%s", name);
    if (number >= 0) printf("-%d", number);
    if (WIFSIGNALED(status)) printf(" signal %d\n", WTERMSIG(status));
    else printf(" %d\n", WEXITSTATUS(status));
}

static void tell_family(int number) {
    family = number;
    tell("family", number, of_family);
}

int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "who") == 0) return printf("%d %d\n", getuid(), geteuid()) < 0;
    if (count > 1 && strcmp(words[1], "families") == 0) {
        for (int i = 2; i < count; i++) tell_family(atoi(words[i]));
        return 0;
    }
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
        if (count < 2 || strcmp(words[1], attempts[i].name) == 0) tell(attempts[i].name, -1, attempts[i].attempt);
    for (size_t i = 0; count < 2 && i < sizeof harmless_families / sizeof *harmless_families; i++) tell_family(harmless_families[i]);
    return 0;
}
