"""Where the time of one container goes: the runtime's and init's system calls by their kind, with what is done between one and the next.

`perf record` tells when each begins. It adds a third to what it looks at; to what parts the whole consists of, that does not matter."""

import collections
import glob
import os
import re
import shutil
import subprocess
import sys

from runtimes import OURS, Runtimes, docker_seccomp, sleeping, unique

KINDS = {
    "execute, start": "execve execveat brk arch_prctl set_tid_address set_robust_list rseq mprotect mmap munmap prlimit64 getrandom",
    "clone": "clone clone3 vfork",
    "wait": "wait4 waitid poll ppoll recvmsg recvfrom accept4 pidfd_open epoll_wait rt_sigtimedwait",
    "tell": "sendmsg sendto socket socketpair bind listen connect setsockopt getsockname shutdown",
    "open below the root": "openat2",
    "mount something new": "fsopen fsconfig fsmount",
    "put a mount in its place": "move_mount",
    "copy a mount": "open_tree",
    "change a mount": "mount_setattr mount",
    "devices and links": "mknodat symlinkat fchownat fchmodat fchmod fchown chown",
    "directories": "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2",
    "look": "newfstatat fstat statx fstatfs statfs readlink readlinkat access faccessat faccessat2 getdents64 getcwd",
    "open, read, write": "open openat read pread64 write pwrite64 close close_range lseek fcntl dup dup2 dup3 ioctl",
    "change the root": "pivot_root umount2 chdir fchdir chroot",
    "namespaces and names": "setns unshare sethostname setdomainname setsid add_key keyctl",
    "rights": "prctl capget capset setresuid setresgid setgroups setuid setgid setfsuid setfsgid umask getuid geteuid getgid getegid",
    "filter": "seccomp",
    "signals": "rt_sigprocmask rt_sigaction rt_sigreturn kill tgkill pidfd_send_signal signalfd4 sigaltstack",
}
KIND = {call: kind for kind, calls in KINDS.items() for call in calls.split()}
HEADERS = ("/usr/include/*/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h")
ENTRY = re.compile(r"^\s*(\d+)\s+([0-9.]+):\s+raw_syscalls:sys_enter:\s+NR (\d+) ")


def names():
    """The calls' names by their numbers, as the C library's headers have them."""
    for pattern in HEADERS:
        for path in glob.glob(pattern):
            with open(path, encoding="utf-8") as file:
                return {int(number): name for name, number in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", file.read(), re.M)}
    sys.exit("the names of system calls are in linux-libc-dev")


def parts(lines, call_names):
    """Milliseconds of each process of a trace by kind: from one call's begin to the next one's."""
    calls = collections.defaultdict(list)
    for line in lines:
        if match := ENTRY.match(line):
            calls[int(match[1])].append((float(match[2]) * 1000, call_names.get(int(match[3]), match[3])))
    found = collections.Counter()
    for order, own in enumerate(sorted(calls.values(), key=lambda own: own[0])):
        # Who changes the root, or joins namespaces and is not the runtime itself, is on its way into the container.
        enters = {"pivot_root", "setns"} & {name for _, name in own}
        who = "the runtime" if order == 0 else "the container's process" if enters else "others"
        for (begin, name), (end, _) in zip(own, own[1:]):
            found[who, KIND.get(name, "other calls")] += end - begin
    return found


def trace(worker, folder, call_names, words):
    path = os.path.join(folder, "perf.data")
    worker.time(["perf", "record", "-q", "-o", path, "-e", "raw_syscalls:sys_enter", "--", *words])
    done = subprocess.run(["perf", "script", "-i", path, "-F", "pid,time,event,trace"], capture_output=True, text=True, check=True)
    return parts(done.stdout.splitlines(), call_names)


def show(title, traces):
    """The lower tenth of every part: what it takes where nobody else is in the way."""
    print(f"\n{title}, by the times of its system calls ({len(traces)} runs, lower tenth)")
    lower = {part: sorted(each[part] for each in traces)[len(traces) // 10] for part in set().union(*traces)}
    for who in ("the runtime", "the container's process", "others"):
        own = sorted(((ms, kind) for (whose, kind), ms in lower.items() if whose == who and ms >= 0.01), reverse=True)
        if own:
            print(f"  {who}: {sum(ms for ms, _ in own):.2f} ms")
        for ms, kind in own:
            print(f"    {ms:8.2f}  {kind}")
    sys.stdout.flush()


def bench_calls(folder, rounds):
    if not shutil.which("perf"):
        sys.exit("perf is not installed; Debian: linux-perf")
    call_names = names()
    with Runtimes(folder) as runtimes:
        worker, words = runtimes.words["apus-runtime"]
        # The tracepoints are told of there; in a mount namespace of the worker's own.
        worker.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"])
        bundles = {"plain": runtimes.bundle("plain"), "seccomp": runtimes.bundle("seccomp", docker_seccomp), "sleep": runtimes.bundle("sleep", sleeping)}
        running = unique("calls")
        worker.time([*words, "run", "--detach", "--bundle", bundles["sleep"], running])
        try:
            lives = {"run": ["run", "--bundle", bundles["plain"]], "run, with Docker's seccomp profile": ["run", "--bundle", bundles["seccomp"]],
                     "create": ["create", "--bundle", bundles["plain"]], "start": ["start"], "delete": ["delete", "--force"],
                     "exec": ["exec", running, "/bin/true"]}
            traces = {title: [] for title in lives}
            for number in range(rounds):
                for title, verb in lives.items():
                    cycle = unique("cycle", number)
                    name = [] if title == "exec" else [cycle if title in ("create", "start", "delete") else unique(verb[-1].rsplit("/", 1)[-1], number)]
                    traces[title].append(trace(worker, folder, call_names, [*words, *verb, *name]))
            for title, found in traces.items():
                show(title, found)
        finally:
            worker.time([*words, "delete", "--force", running])


COMPARISONS = {"calls": bench_calls}
