"""A shim that is refused descriptors or processes, and one whose children are many."""
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from shim_client import CGROUPS, Refused, SHIM, alive, log_text, message, wait_until
from shim_fixtures import keeper_of, shim, shims  # noqa: F401


def said(shim):
    """What the shim told whoever reads its standard error."""
    return (shim.bundle / "log").read_text(errors="replace")


def wakings(pid):
    """How often a process has waited for something and gone on."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("voluntary_ctxt_switches:"))


def created_unseen(shims, *args, lacking="cgroup of", **resources):
    """A created container that its shim could not look at, which says what it lacks: the runtime takes the descriptors away just before it answers. How
    many the look needs at least depends on the hierarchy."""
    for count in range(1, 40):
        shim = shims(f"box{count}")
        shim.make_bundle(*args)
        config = json.loads((shim.bundle / "config.json").read_text())
        config["linux"]["resources"] |= resources
        (shim.bundle / "config.json").write_text(json.dumps(config))
        (shim.bundle / "log").touch()
        runtime = shim.folder / f"runtime{count}"
        limit = "/usr/bin/python3 -c 'import resource, os, sys; shim = int(sys.argv[1]); " \
            "used = {int(name) for name in os.listdir(f\"/proc/{shim}/fd\")}; " \
            f"free = [n for n in range(1024) if n not in used]; resource.prlimit(shim, resource.RLIMIT_NOFILE, (free[{count}], 1024))' $PPID"
        runtime.write_text(f"""#!/bin/sh
case " $* " in *' create '*) {shim.runtime} "$@"; status=$?; {limit}; exit $status;; esac
exec {shim.runtime} "$@"
""")
        runtime.chmod(0o755)
        shim.runtime = str(runtime)
        shim.begin()
        try:
            shim.create()
        except Refused:
            # Not even the process's number could be read.
            resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (1024, 1024))
            continue
        if lacking in said(shim):
            break
        resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    assert "EMFILE" in said(shim), said(shim)
    return shim


def test_what_a_shim_cannot_look_at_for_want_of_descriptors_it_looks_at_later_and_says_so_once(shims):
    shim = created_unseen(shims, "sleep", "600")
    with pytest.raises(Refused, match="no cgroup"):
        # Nothing runs yet that could be counted, and nobody knows where.
        shim.task("Stats")
    # It looks again after one second, two, four, which is all that wakes it up, but for a rest after each: what it meets may be another thing, and is not
    # told twice.
    before = wakings(shim.pid)
    wait_until(lambda: wakings(shim.pid) >= before + 3, "more looks", seconds=60)
    told = [line for line in said(shim).splitlines() if "cgroup of" in line]
    assert told and len(told) == len(set(told)), told
    resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (1024, 1024))

    def is_known():
        try:
            return shim.task("Stats")
        except Refused:
            return False

    wait_until(is_known, "the look", seconds=60)


def test_a_refusal_of_a_process_before_a_shim_could_watch_for_any_is_told_later(shims):
    shim = created_unseen(shims, "sh", "-c", "sh -c 'sleep 600 & sleep 600 & sleep 600'; exec sleep 600", pids={"limit": 3})
    # The next look is some seconds away, in which the program begins and meets its limit.
    before = wakings(shim.pid)
    wait_until(lambda: wakings(shim.pid) >= before + 3, "more looks", seconds=60)
    resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    shim.start()
    wait_until(lambda: 9 in [kind for _, kind in shim.changes()], "the refusal", seconds=60)


def test_a_log_is_compressed_later_where_no_process_can_be_begun_for_it(shim):
    """The shim's executable is no program any more for a while."""
    shim.program = shim.folder / "apus-shim"
    shutil.copy(SHIM, shim.program)
    (shim.folder / "apus-runtime").symlink_to(shim.runtime)
    shim.make_bundle("sh", "-c", "seq 1 30000; while [ ! -e /tmp/end ]; do usleep 10000; done")
    (shim.bundle / "log").touch()
    shim.begin()
    shim.program.chmod(0)
    shim.create(file_bytes=200_000, files=10, delivery=message(f1=True))
    shim.start()
    wait_until(lambda: "compress the log" in said(shim), "the refusal")
    older = Path(f"{shim.log}.1")
    assert "EACCES" in said(shim)
    # The log goes on meanwhile.
    wait_until(lambda: shim.supervise("SynchronizeLog") == {} and log_text(shim.log).endswith(b"\n30000\n"), "all of the log")
    assert older.read_bytes().startswith(b"APUSLOG")
    shim.program.chmod(0o755)
    wait_until(lambda: not older.read_bytes().startswith(b"APUSLOG"), "the older files to be compressed", seconds=60)
    (shim.bundle / "rootfs/tmp/end").touch()
    shim.wait()


def test_each_child_is_reaped_and_each_end_is_its_own_among_many_orphans(shim):
    """Without a pid namespace the container's orphans become the shim's children."""
    shim.run("sh", "-c", "while [ ! -e /tmp/end ]; do (usleep 1000 & usleep 1000 &); usleep 2000; done; echo done",
             namespaces=["network", "ipc", "uts", "mount"])
    names = [(shim.exec("sh", "-c", f"usleep {number * 3000}; exit {number}", attach=False)[0], number) for number in range(40)]
    for name, number in names:
        assert shim.wait(name)[2] == number

    def zombies():
        children = Path(f"/proc/{shim.pid}/task/{shim.pid}/children").read_text().split()
        return [child for child in children if not alive(int(child))]

    # A child that ends while nobody is announced is nobody's later: an exec that is begun now has an end of its own.
    os.kill(shim.pid, signal.SIGCHLD)
    late = shim.exec("sh", "-c", "exit 41", attach=False)[0]
    assert shim.wait(late)[2] == 41
    (shim.bundle / "rootfs/tmp/end").touch()
    assert shim.wait()[2] == 0
    wait_until(lambda: not zombies(), "all orphans to be reaped")


def first_free(pid):
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in range(1024) if number not in used)


KILLED = ("sh", "-c", "while [ ! -e /tmp/go ]; do usleep 10000; done; exec tail -c 300000000 /dev/zero")


def test_S08_the_oom_killers_end_of_a_container_is_told_as_that_by_a_shim_without_descriptors(shim):
    shim.make_bundle(*KILLED, memory=16 << 20)
    shim.begin()
    shim.create()
    shim.start()
    resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (first_free(shim.pid), 1024))
    (shim.bundle / "rootfs/tmp/go").touch()
    exit = shim.wait()
    resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    assert (exit[2], exit[5]) == (137, 1)
    assert 5 in [kind for _, kind in shim.changes()]


def test_S08_the_oom_killers_end_of_a_container_that_a_shim_could_not_watch_is_told_as_that(shims):
    shim = created_unseen(shims, *KILLED, lacking="watch for the OOM killer", memory={"limit": 16 << 20, "swap": 16 << 20})
    # It tries again after one second, two, four: it is to end before that.
    time.sleep(3.5)
    resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    shim.start()
    resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (first_free(shim.pid), 1024))
    (shim.bundle / "rootfs/tmp/go").touch()
    exit = shim.wait()
    resource.prlimit(shim.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    assert (exit[2], exit[5]) == (137, 1)


def test_S08_a_kill_that_the_kernel_has_no_memory_to_tell_of_is_told_later_and_why_once(shim):
    shim.make_bundle("sh", "-c", "while [ ! -e /tmp/go ]; do usleep 10000; done; tail -c 300000000 /dev/zero; echo killed; sleep 600", memory=16 << 20)
    (shim.bundle / "log").touch()
    shim.begin()
    shim.create()
    events = shim.subscribe()
    shim.start()
    places = [f"/sys/fs/cgroup/{part}{CGROUPS}-{shim.id}/{name}" for part, name in (("memory/", "memory.oom_control"), ("", "memory.events"))]
    (counts,) = [place for place in places if os.path.exists(place)]
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", shim.folder / "trace", "-P", counts, "-e", "trace=read", "-e", "inject=read:error=ENOMEM",
                               "-p", str(shim.pid)])
    try:
        wait_until(lambda: is_traced(shim.pid), "the tracer")
        (shim.bundle / "rootfs/tmp/go").touch()
        wait_until(lambda: log_text(shim.log).count(b"killed") == 1, "the kill", seconds=60)
        wait_until(lambda: "ENOMEM" in said(shim), "the refusal", seconds=60)
        # It looks again after one second, two, four, and says no more of it.
        time.sleep(4)
        refusals = [line for line in said(shim).splitlines() if "ENOMEM" in line]
        assert len(refusals) == len(set(refusals)), refusals
    finally:
        tracer.terminate()
        tracer.wait()
    events.topics("oom")
    shim.task("Kill", f3=9)
    assert "/tasks/oom" not in events.topics("exit")


def is_traced(pid):
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()


def processor_ticks(pid):
    return sum(int(word) for word in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])


def test_a_keeper_that_cannot_take_a_containers_files_is_asked_now_and_then_and_that_is_told_once(shims):
    first, second = shims("one"), shims("two")
    first.run("sleep", "600")
    keeper = keeper_of(first)
    soft, hard = resource.prlimit(keeper, resource.RLIMIT_NOFILE)
    # One more container's six files fit always.
    assert soft == hard and hard >= 1024
    second.make_bundle("sleep", "600")
    (second.bundle / "log").touch()
    # A connection fits, and what it brings does not.
    resource.prlimit(keeper, resource.RLIMIT_NOFILE, (first_free(keeper) + 1, hard))
    second.begin()
    second.create()
    second.start()
    wait_until(lambda: "keeper" in said(second), "it to be told")
    before = wakings(keeper) + wakings(second.pid)
    time.sleep(2)
    assert wakings(keeper) + wakings(second.pid) - before < 100
    assert len([line for line in said(second).splitlines() if "keeper" in line]) == 1, said(second)
    open_before = len(os.listdir(f"/proc/{keeper}/fd"))
    resource.prlimit(keeper, resource.RLIMIT_NOFILE, (soft, hard))
    # Its connection, and two streams at least.
    wait_until(lambda: len(os.listdir(f"/proc/{keeper}/fd")) >= open_before + 3, "the files to be kept")


def test_a_keeper_without_descriptors_waits_for_some_and_then_serves_who_came_meanwhile(shim):
    shim.run("sleep", "600")
    keeper = keeper_of(shim)
    soft, hard = resource.prlimit(keeper, resource.RLIMIT_NOFILE)
    open_before = len(os.listdir(f"/proc/{keeper}/fd"))
    resource.prlimit(keeper, resource.RLIMIT_NOFILE, (first_free(keeper), hard))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(shim.directory.parent / ".keeper"))
        ticks = processor_ticks(keeper)
        time.sleep(2)
        # Of two hundred, were it to try without a pause.
        assert processor_ticks(keeper) - ticks < 10
        resource.prlimit(keeper, resource.RLIMIT_NOFILE, (soft, hard))
        wait_until(lambda: len(os.listdir(f"/proc/{keeper}/fd")) == open_before + 1, "the client to be taken")
    wait_until(lambda: len(os.listdir(f"/proc/{keeper}/fd")) == open_before, "the client to be forgotten")
