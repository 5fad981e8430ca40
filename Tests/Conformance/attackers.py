"""What attack tests work with: canaries of the host, a swapper of names, a kernel that lacks calls, a trace of the runtime."""

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from processes import PATIENCE

LIBC = ctypes.CDLL(None, use_errno=True)


class Canary:
    """A directory and a file of the host that no container may change. They belong to the test: an attack that works does no harm; and to who
    is root in the container, so that none fails for want of a right."""

    def __init__(self, folder, owner=0):
        self.folder, self.file = os.path.join(folder, "host-canary.d"), os.path.join(folder, "host-canary")
        os.mkdir(self.folder)
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("canary")
        for path in (self.folder, self.file):
            os.chown(path, owner, owner)
        self.before = self.look()

    def look(self):
        folder, file = os.stat(self.folder), os.stat(self.file)
        with open(self.file, encoding="utf-8") as contents:
            return (os.listdir(self.folder), folder.st_mtime_ns, folder.st_mode, folder.st_uid,
                    file.st_ino, file.st_mtime_ns, file.st_mode, file.st_uid, contents.read())

    def check(self):
        assert self.look() == self.before, "an attack reached the host"


class Swapper:
    """Exchanges two names again and again, as another container that shares their directory would, for as long as the scope lasts."""

    EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)

    def __init__(self, *pairs):
        self.pairs = [tuple(os.fsencode(name) for name in pair) for pair in pairs]
        self.stop, self.count, self.problem = threading.Event(), 0, None
        self.thread = threading.Thread(daemon=True, target=self.swap)

    def exchange(self, first, second):
        if LIBC.renameat2(-100, first, -100, second, self.EXCHANGE) != 0:
            raise OSError(ctypes.get_errno(), "renameat2", first)

    def swap(self):
        try:
            # An odd number of exchanges at the end would leave the names swapped for the next test.
            while not self.stop.is_set() or self.count % 2:
                for pair in self.pairs:
                    self.exchange(*pair)
                self.count += 1
                # Short against the runtime's work, and of no fixed ratio to it; the machine has others to serve.
                time.sleep(0.00002)
        except OSError as error:
            self.problem = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        assert self.problem is None, self.problem


# The numbers from 424 up are the same on every architecture. - Source: syscalls.h of Linux.
CALLS = {
    "pidfd_send_signal": 424, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_open": 434, "clone3": 435, "close_range": 436, "openat2": 437, "pidfd_getfd": 438, "faccessat2": 439, "mount_setattr": 442, **{
        "x86_64": {"openat": 257, "sched_setaffinity": 203, "clone": 56, "setns": 308, "accept4": 288},
        "aarch64": {"openat": 56, "sched_setaffinity": 122, "clone": 220, "setns": 268, "accept4": 242},
    }[platform.machine()],
}
LOAD, EQUAL, GIVE, AND, AND_X, SUBTRACT, COPY_TO_X = 0x20, 0x15, 0x06, 0x54, 0x5C, 0x14, 0x07  # linux/bpf_common.h
# Calls that are denied for some arguments alone: steps that leave 0 for the others.
PARTS = {
    "CLONE_PIDFD": ("clone", [(LOAD, 0, 0, 16), (AND, 0, 0, 0x1000)]),
    "setns of several": ("setns", [(LOAD, 0, 0, 24), (COPY_TO_X, 0, 0, 0), (SUBTRACT, 0, 0, 1), (AND_X, 0, 0, 0)]),
}
NEW_MOUNT_CALLS = ("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr")
# What clone3 asks for no filter can look at.
PIDFD_CALLS = ("pidfd_open", "pidfd_send_signal", "pidfd_getfd", "clone3", "CLONE_PIDFD")
# What the runtime uses and a kernel like that of RHEL 8 lacks.
CALLS_SINCE_4_18 = (*NEW_MOUNT_CALLS, "fspick", *PIDFD_CALLS, "close_range", "openat2", "faccessat2", "setns of several")


def without(*names, code=errno.ENOSYS):
    """For `preexec_fn`: the program, and all that it starts, lives on a kernel that lacks these calls."""
    program, held = filter_of(names, 0x0005_0000 | code)

    def load_filter():
        # Kept alive by the closure until execve.
        assert held is not None
        if LIBC.prctl(22, 2, program, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")

    return load_filter


def below_without(runtime, *names, code=errno.ENOSYS):
    """The scope in which every command lives on such a kernel."""
    lacking = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lacking.py")
    return runtime.below(sys.executable, lacking, str(code), ",".join(names))


def filter_of(names, answer):
    """A seccomp filter that gives these calls an answer and lets the others through, and the memory that it points to."""
    program = [(LOAD, 0, 0, 0)]
    for name in names:
        call, steps = PARTS.get(name, (name, None))
        if steps is None:
            program += [(EQUAL, 0, 1, CALLS[call]), (GIVE, 0, 0, answer)]
        else:
            refused = 0x0005_0000 | errno.EINVAL if name == "setns of several" else answer
            program += [(EQUAL, 0, len(steps) + 2, CALLS[call]), *steps, (EQUAL, 1, 0, 0), (GIVE, 0, 0, refused), (LOAD, 0, 0, 0)]
    program.append((GIVE, 0, 0, 0x7FFF_0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    return ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))), code


class Standstill:
    """For `preexec_fn`: a program that stands still, it or what it starts, where it opens a file whose path matches, until it is killed.

    Its openat(2) are told to us, by a filter with a listener, and go on when we have looked at them. It takes `close_fds=False`."""

    NOTIFICATION, ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")  # struct seccomp_notif, seccomp_notif_resp
    RECEIVE, SEND, GO_ON = 0xC0502100, 0xC0182101, 1

    def __init__(self, pattern):
        self.pattern, self.reached, self.problem = re.compile(pattern), threading.Event(), None
        self.ours, self.theirs = socket.socketpair()
        self.program, self.held = filter_of(("openat",), 0x7FC0_0000)  # SECCOMP_RET_USER_NOTIF
        self.thread = threading.Thread(daemon=True, target=self.serve)

    def __call__(self):
        listener = LIBC.syscall(317 if IS_X86 else 277, 1, 8, self.program)  # seccomp(SET_MODE_FILTER, NEW_LISTENER)
        if listener < 0:
            raise OSError(ctypes.get_errno(), "seccomp")
        socket.send_fds(self.theirs, [b"x"], [listener])
        os.close(listener)

    def serve(self):
        listener = socket.recv_fds(self.ours, 1, 1)[1][0]
        try:
            poller = select.poll()
            poller.register(listener, select.POLLIN)
            # Without anybody who has the filter there is a hang-up.
            while poller.poll()[0][1] & select.POLLIN:
                self.look_at(listener)
        except OSError as error:
            self.problem = error
        finally:
            os.close(listener)

    def look_at(self, listener):
        buffer = bytearray(self.NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, self.RECEIVE, buffer)
            identifier, process, _, _, _, _, _, address, *_ = self.NOTIFICATION.unpack(buffer)
            with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
                memory.seek(address)
                path = memory.read(256).split(b"\0")[0].decode(errors="replace")
            if self.pattern.fullmatch(path):
                self.reached.set()
                return
            fcntl.ioctl(listener, self.SEND, self.ANSWER.pack(identifier, 0, 0, self.GO_ON))
        except OSError as error:
            # Who was killed waits for no answer.
            if error.errno not in (errno.ENOENT, errno.EIO, errno.ESRCH):
                raise

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.theirs.close()
        self.thread.join(30)
        self.ours.close()
        assert not self.thread.is_alive() and self.problem is None, self.problem


class Call:
    """One line of strace: the process, the call's name, its arguments and its result."""

    def __init__(self, match):
        self.process, self.name, self.arguments, self.result = int(match[1]), match[2], match[3], match[4]

    def __repr__(self):
        return f"{self.process} {self.name}({self.arguments}) = {self.result}"


LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (.+)$")


def trace(runtime, folder, *words, calls="all", code=0):
    """Runs the runtime and returns what it, and every process that it started, asked of the kernel, in order."""
    path = os.path.join(folder, "trace")
    command = ["strace", "-f", "-qq", "-s", "200", "-e", f"trace={calls}", "-e", "signal=none", "-o", path, *runtime.command(*words)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120 * PATIENCE, check=False)
    assert done.returncode == code, done.stderr.decode()
    unfinished, found = {}, []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            process, _, text = line.rstrip("\n").partition(" ")
            if text.endswith("<unfinished ...>"):
                unfinished[process] = text.removesuffix("<unfinished ...>").strip()
                continue
            if resumed := re.match(r" *<\.\.\. \w+ resumed>(.*)$", text):
                line = f"{process} {unfinished.pop(process, '')}{resumed[1]}"
            if match := LINE.match(line):
                found.append(Call(match))
    os.unlink(path)
    return found


IS_X86 = platform.machine() == "x86_64"
