"""Rows S09, P09 and T01 where they are the whole machine's: its table of files, its memory, its clock. They would harm everybody else, and run only in a
virtual machine of `make cgroup2`."""

import contextlib
import ctypes
import glob
import json
import os
import re
import time

import pytest
import leaks
from conftest import daemon_with_an_image
from processes import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(os.uname().nodename != "cgroup2-vm" or not os.path.isdir("/run/cgroup2-vm"),
                                reason="changes what is the whole machine's: in one of `make cgroup2` alone")

TEN_YEARS, AN_HOUR = 315_360_000, 3600
FACTS = "{{.State.Status}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}"


@pytest.fixture
def machine(workspace):
    with daemon_with_an_image(workspace, "w") as daemon:
        yield daemon


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        file.write(str(value))


# --- S09: no file can be opened ------------------------------------------------------------------------------

@contextlib.contextmanager
def no_file_left():
    """Who may open one all the same has CAP_SYS_ADMIN: a daemon of root's and its shims, this test, but no payload.
    Of unix sockets twice as many are let be as of files, and nobody may have more."""
    path = "/proc/sys/fs/file-max"
    former, used = read(path), int(read("/proc/sys/fs/file-nr").split()[0])
    write(path, used // 2)
    try:
        yield
    finally:
        write(path, former)


def test_S09_without_a_file_for_anybody_a_start_is_refused_and_what_runs_is_ended(machine):
    client, image = machine.client, machine.image
    for name in ("before", "ends"):
        client("run", "-d", "--name", name, image, "sh", "-c", "echo begun; exec sleep 3000").ok()
        wait_until(lambda name=name: client("logs", name).ok() == "begun\n", "it has written")
    facts = client.inspect("before", FACTS)
    with no_file_left():
        refused = client("run", "--name", "refused", image, "true")
        assert refused.code == 125 and "failed to start task" in refused.err, refused
        # Said by whoever first needs one: the label's file, or execve.
        assert "ENFILE" in refused.err or "too many open files" in refused.err.lower(), refused
        exec_refused = client("exec", "before", "true")
        assert exec_refused.code != 0, exec_refused
        assert client.inspect("before", FACTS) == facts and client("logs", "before").ok() == "begun\n"
        client("stop", "-t", "0", "ends").ok()
        assert client.inspect("ends", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
        client("rm", "ends").ok()
        assert sorted(client("ps", "-a", "--format", "{{.Names}}").ok().split()) == ["before", "refused"]
    assert client("start", "-a", "refused").code == 0
    assert client("exec", "before", "echo", "in").line() == "in"
    assert client.inspect("before", FACTS) == facts


# --- P09: no memory is left ----------------------------------------------------------------------------------

MEGABYTE = 1_048_576
# Payloads that are larger than any other, and each smaller than a daemon.
SIZE, COUNT = 4 * MEGABYTE, 30


def score(pid):
    return int(read(f"/proc/{pid}/oom_score_adj"))


class Kills:
    """Whom the kernel kills from now on, as its log tells: process id and name; for want of the machine's memory, not of a cgroup's."""

    def __init__(self, log):
        self.log, self.found = log, []
        os.set_blocking(log, False)
        os.lseek(log, 0, os.SEEK_END)

    def so_far(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    record = os.read(self.log, 8192).decode(errors="replace")
                except BrokenPipeError:
                    # Records have been overwritten before they were read; the oldest that is left comes next. - Source: Documentation/ABI/testing/dev-kmsg.
                    continue
                if killed := re.search(r"emory cgroup out of memory|ut of memory: Killed process (\d+) \((.*?)\)", record):
                    assert killed[1], record
                    self.found.append((int(killed[1]), killed[2]))
        return self.found


@pytest.fixture
def kills():
    log = os.open("/dev/kmsg", os.O_RDONLY)
    yield Kills(log)
    os.close(log)


@pytest.fixture
def others_spared(machine):
    """It is a daemon, its shims and its payloads that the kernel may choose from."""
    former = {}
    for path in glob.glob("/proc/[0-9]*/oom_score_adj"):
        pid = int(path.split("/")[2])
        # One that ends meanwhile.
        with contextlib.suppress(OSError):
            if pid != machine.process.pid and score(pid) == 0:
                former[path] = 0
                write(path, -1000)
    yield
    for path, value in former.items():
        with contextlib.suppress(OSError):
            write(path, value)


@pytest.fixture
def crowd(machine, others_spared):
    client = machine.client
    script = f"i=0; while [ $i -lt {COUNT} ]; do i=$((i+1)); dd if=/dev/zero bs={SIZE} | sleep 3000 & done; wait"
    for name in ("one", "two"):
        client("run", "-d", "--name", name, machine.image, "sleep", "3000").ok()
    client("run", "-d", "--name", "many", machine.image, "sh", "-c", script).ok()
    wait_until(lambda: sum(resident(pid) >= SIZE for pid in leaks.processes(f"bs={SIZE}")) >= COUNT, "they have taken what they want", seconds=30)
    machine.facts = {name: client.inspect(name, FACTS) for name in ("one", "two", "many")}
    return machine


def resident(pid):
    """Of a process, in bytes."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(read(f"/proc/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def take_all_memory(kills):
    """In this process, which is spared, until the kernel has killed some for it; then all is given back."""
    # What runs here shall not have to be read again meanwhile.
    assert ctypes.CDLL(None).mlockall(3) == 0
    available = int(re.search(r"MemAvailable: *(\d+) kB", read("/proc/meminfo"))[1]) * 1024
    held = os.memfd_create("held")
    try:
        length = available - 32 * MEGABYTE
        os.posix_fallocate(held, 0, length)
        # At most what is free, and what can be had for it: caches of files.
        until = length + 400 * MEGABYTE
        while len(kills.so_far()) < 4:
            assert length < until, "memory has no end"
            os.posix_fallocate(held, length, 2 * MEGABYTE)
            length += 2 * MEGABYTE
    finally:
        os.close(held)
        ctypes.CDLL(None).munlockall()


def shim_of(machine, name):
    return int(read(f"{machine.run}/shims/{machine.client.inspect(name, '{{.Id}}')}/pid").split()[0])


def test_P09_when_the_machine_has_no_memory_left_payloads_are_killed_and_no_shim_nor_the_daemon(crowd, kills):
    client, supervisors = crowd.client, crowd.supervisors()
    # Without its score the daemon would be the largest.
    assert resident(crowd.process.pid) > 2 * SIZE
    assert score(crowd.process.pid) == -999 and {score(pid) for pid in supervisors} == {-998}
    take_all_memory(kills)
    assert {name for _, name in kills.so_far()} == {"dd"}, kills.so_far()
    assert crowd.process.poll() is None and crowd.supervisors() == supervisors
    assert {name: client.inspect(name, FACTS) for name in crowd.facts} == crowd.facts
    assert client("exec", "one", "echo", "in").line() == "in"
    client("stop", "-t", "0", "many").ok()
    assert client.inspect("many", "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}") == "exited 137 true"
    assert client("run", "--rm", crowd.image, "echo", "on").line() == "on"


@pytest.mark.parametrize("whose", ["daemon", "shim"])
def test_P09_but_for_their_scores_it_is_they_and_payloads_live_even_then(crowd, kills, whose):
    """A daemon without its own is larger than any payload here. A shim is not: it is given the highest there is."""
    client = crowd.client
    victim = crowd.process.pid if whose == "daemon" else shim_of(crowd, "one")
    write(f"/proc/{victim}/oom_score_adj", 0 if whose == "daemon" else 1000)
    take_all_memory(kills)
    assert kills.so_far()[0][0] == victim and {name for _, name in kills.so_far()[1:]} == {"dd"}, kills.so_far()
    if whose == "daemon":
        assert crowd.process.wait(20 * PATIENCE) == -9
        crowd.start()
    wait_until(lambda: client("exec", "one", "echo", "in").out == "in\n", "it is looked after again", seconds=20)
    assert {name: client.inspect(name, FACTS) for name in crowd.facts} == crowd.facts
    client("rm", "-f", "many").ok()


# --- T01: the clock is set -----------------------------------------------------------------------------------

@pytest.fixture
def clock():
    """Sets the machine's clock, for shims as for everybody; it is right again afterwards."""
    offset = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)

    def put_off(seconds):
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_BOOTTIME) + offset + seconds)

    yield put_off
    put_off(0)


def bytes_below(folder):
    return sum(os.path.getsize(path) for path in glob.glob(f"{folder}/**", recursive=True) if os.path.isfile(path))


def health(client, name):
    return json.loads(client.inspect(name, "{{json .State.Health}}"))


@pytest.mark.parametrize("seconds", [TEN_YEARS, -TEN_YEARS], ids=["ten-years-on", "ten-years-back"])
def test_T01_a_clock_that_is_set_changes_no_timer_of_a_shim(machine, clock, seconds):
    """The daemon is dead while it is set, so that restarts and checks are the shims' alone."""
    client, image = machine.client, machine.image
    client("run", "-d", "--name", "checked", "--health-cmd", "date -u +%Y >> /years", "--health-interval", "500ms", image, "sleep", "3000").ok()
    client("run", "-d", "--name", "loops", "--restart", "always", image, "sh", "-c", "cut -d' ' -f1 /proc/uptime; exit 1").ok()
    client("run", "-d", "--name", "stubborn", image, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done").ok()
    wait_until(lambda: health(client, "checked")["Status"] == "healthy", "it is healthy", seconds=20)
    wait_until(lambda: "up" in client("logs", "stubborn").ok(), "it ignores the signal")
    wait_until(lambda: len(client("logs", "loops").ok().split()) >= 4, "it is restarted", seconds=20)
    years = f"/proc/{client.inspect('checked', '{{.State.Pid}}')}/root/years"
    known, facts = len(client("logs", "loops").ok().split()), client.inspect("checked", FACTS)
    folder = f"{machine.data}/containers/{client.inspect('loops', '{{.Id}}')}"
    machine.kill()
    clock(seconds)
    checked, logged = len(read(years).split()), bytes_below(folder)
    wait_until(lambda: len(read(years).split()) >= checked + 3, "it is checked on", seconds=20)
    # Its pause may have grown to a minute by now.
    wait_until(lambda: bytes_below(folder) > logged, "it is restarted on", seconds=90)
    machine.start()
    moments = [float(word) for word in client("logs", "loops").ok().split()]
    assert len(moments) > known, "it was restarted on"
    # From 0.1 s on each is twice as long as the one before, up to a minute, and what a start takes longer; by the clock it would be none, or ten years.
    for number, (earlier, later) in enumerate(zip(moments, moments[1:])):
        pause = min(0.1 * 2 ** number, 60)
        assert pause - 0.02 <= later - earlier < pause + 10 * PATIENCE, moments
    assert client.inspect("checked", FACTS) == facts and health(client, "checked")["Status"] == "healthy"
    began = time.monotonic()
    client("stop", "-t", "2", "stubborn").ok()
    assert 1.5 < time.monotonic() - began < 4 * PATIENCE
    assert client.inspect("stubborn", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    status = client("ps", "-f", "name=checked", "--format", "{{.Status}}").line()
    assert status.startswith("Up "), status


def test_T01_a_clock_that_is_set_costs_no_line_and_no_end(machine, clock):
    """A line's moment is the clock's; while that was set back it is the last one before, so that moments grow as lines do."""
    client, image = machine.client, machine.image
    script = "i=0; while [ ! -e /end ]; do i=$((i+1)); echo $i; usleep 20000; done; exit 7"
    client("run", "-d", "--name", "writes", image, "sh", "-c", script).ok()
    root = f"/proc/{client.inspect('writes', '{{.State.Pid}}')}/root"
    for seconds in (AN_HOUR, -AN_HOUR, -TEN_YEARS):
        had = len(client("logs", "writes").ok().split())
        clock(seconds)
        wait_until(lambda had=had: len(client("logs", "writes").ok().split()) > had + 10, "it writes on")
    write(f"{root}/end", "")
    assert client("wait", "writes").line() == "7"
    numbers = [int(number) for number in client("logs", "writes").ok().split()]
    assert numbers == list(range(1, len(numbers) + 1))
    moments = [line.split()[0] for line in client("logs", "-t", "writes").ok().splitlines()]
    assert moments == sorted(moments)
    assert client("logs", "--tail", "2", "writes").ok().split() == [str(number) for number in numbers[-2:]]
    assert client.inspect("writes", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}") == "exited 7"
