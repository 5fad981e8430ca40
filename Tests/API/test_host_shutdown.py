"""Rows P05 and P11: the machine goes down, and comes up: containers that need each other end and begin in their order."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import leaks
from processes import alive, wait_until

# `APUS_CONTAINERS=500 pytest …` for as many as a machine has.
COUNT = int(os.environ.get("APUS_CONTAINERS", "40"))
GRACE_SECONDS = 4
# What is told to end writes down when it was, takes its time, and writes down when it had.
PAYLOAD = ("trap 'echo told $(cat /proc/uptime) >> /log/$NAME; sleep 0.7; echo ended $(cat /proc/uptime) >> /log/$NAME; kill $!; exit 0' TERM; "
           "echo up; sleep 3600 & wait")


def forget_what_lay_in_memory(machine):
    """Nothing that lies in memory is there after a boot: mounts, cgroups, links, what is in /run."""
    for path in reversed(leaks.mounts(machine.folder)):
        subprocess.run(["umount", "-l", path], check=True)
    wait_until(lambda: not leaks.processes(machine.run), "the processes are gone")
    leaks.remove_cgroups([path for path in leaks.cgroups("/apus/") if os.path.basename(path) in os.listdir(f"{machine.data}/containers")])
    machine.forget_network()
    shutil.rmtree(machine.run)


@pytest.fixture
def machine(brittle, tmp_path):
    """A daemon on a machine that may go down; `begin` runs a container, `times` tells what it wrote down."""
    client = brittle.client
    tmp_path.chmod(0o755)

    def begin(name, *flags, payload=PAYLOAD):
        client("run", "-d", "--name", name, "-e", f"NAME={name}", "-v", f"{tmp_path}:/log", *flags, brittle.image, "sh", "-c", payload, timeout=120).ok()
        wait_until(lambda: "up" in client("logs", name).ok(), f"{name} listens")

    def times(name):
        text = (tmp_path / name).read_text() if (tmp_path / name).exists() else ""
        return {words[0]: float(words[1]) for words in map(str.split, text.splitlines())}

    def go_down():
        """What an init system's unit does; returns how long it took."""
        began = time.monotonic()
        brittle.process.send_signal(signal.SIGPWR)
        assert brittle.process.wait(120) == 0, brittle.log()
        return time.monotonic() - began

    brittle.begin, brittle.times, brittle.go_down = begin, times, go_down
    return brittle


def states(machine):
    found = machine.client("ps", "-a", "--format", "{{.Names}} {{.State}}").ok().splitlines()
    return dict(line.split() for line in found)


def test_P11_many_containers_end_side_by_side_and_none_is_killed_before_its_time(machine):
    names = [f"c{number}" for number in range(COUNT)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: machine.begin(name, "--stop-timeout", "60"), names))
    machine.begin("stubborn", "--stop-timeout", str(GRACE_SECONDS), payload="trap '' TERM; echo up; while :; do sleep 0.1; done")
    mounted = len(leaks.mounts(machine.folder))
    took = machine.go_down()
    # One after another they would take as many times as long.
    assert GRACE_SECONDS <= took < GRACE_SECONDS + 0.5 * COUNT, took
    assert all(set(machine.times(name)) == {"told", "ended"} for name in names)
    assert mounted > COUNT and not leaks.mounts(f"{machine.folder}/r/bundles")
    wait_until(lambda: not machine.shims(), "the shims have ended")
    machine.start()
    found = machine.client("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", *names, "stubborn").ok().splitlines()
    assert found == ["exited 0"] * COUNT + ["exited 137"]


def test_P11_what_others_need_ends_after_them_and_begins_before_them(machine):
    machine.begin("base", "--restart", "always", "-v", "/shared")
    machine.begin("middle", "--restart", "always", "--volumes-from", "base")
    machine.begin("top", "--restart", "unless-stopped", "--volumes-from", "middle")
    machine.begin("joined", "--network", "container:base", "--pid", "container:base")
    machine.go_down()
    base, middle, top, joined = (machine.times(name) for name in ("base", "middle", "top", "joined"))
    assert top["ended"] <= middle["told"] and middle["ended"] <= base["told"] and joined["ended"] <= base["told"], (top, middle, base, joined)
    machine.start()
    # Nobody had stopped them by hand.
    wait_until(lambda: states(machine) == {"base": "running", "middle": "running", "top": "running", "joined": "exited"}, "the policies' ones run")
    started = {name: machine.client.inspect(name, "{{.State.StartedAt}}") for name in ("base", "middle", "top")}
    assert started["base"] < started["middle"] < started["top"]


def test_P11_nothing_is_started_while_the_machine_goes_down_and_another_signal_ends_the_waiting(machine):
    machine.begin("patient", "--stop-timeout", "300", payload="trap '' TERM; echo up; while :; do sleep 0.1; done")
    machine.client("create", "--name", "late", machine.image, "sleep", "60").ok()
    machine.process.send_signal(signal.SIGPWR)
    wait_until(lambda: "(stopping)" in machine.client("ps", "--format", "{{.Status}}").ok(), "it begins to stop")
    refused = wait_until(lambda: (lambda result: result if result.code else None)(machine.client("start", "late")), "starts are refused")
    assert "the machine is going down" in refused.err
    machine.process.send_signal(signal.SIGTERM)
    assert machine.process.wait(20) == 0
    machine.start()
    assert states(machine) == {"patient": "running", "late": "created"}


def test_P05_after_a_crash_of_the_machine_containers_begin_in_their_order(machine):
    """Shims, keeper, processes and daemon go at once, as with the power."""
    client = machine.client
    machine.begin("base", "--restart", "always", "-v", "/shared")
    for number in range(1, 5):
        machine.begin(f"c{number}", "--restart", "always", "--volumes-from", "base" if number == 1 else f"c{number - 1}")
    names = ["base"] + [f"c{number}" for number in range(1, 5)]
    client("stop", "-t", "0", *names).ok()
    client("start", *reversed(names)).ok()
    pids = [int(pid) for pid in client("inspect", "-f", "{{.State.Pid}}", *names).ok().split()]
    machine.kill()
    for pid in machine.supervisors() + leaks.processes(f"{machine.run}/names") + pids:
        # Some end with those that were before them.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        wait_until(lambda pid=pid: not alive(pid), "its processes are gone")
    forget_what_lay_in_memory(machine)
    machine.start()
    wait_until(lambda: set(states(machine).values()) == {"running"}, "all run again", seconds=20)
    started = [client.inspect(name, "{{.State.StartedAt}}") for name in names]
    assert started == sorted(started)
