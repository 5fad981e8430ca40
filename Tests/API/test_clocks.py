"""Rows T01 and T02: clocks that are set, and whole machines that stand still."""

import calendar
import json
import os
import shutil
import signal
import time

import pytest

import leaks
from clocks import Clock
from conftest import CLIENTS, Client, Daemon
from processes import PATIENCE, UNTIL_GO, go, wait_until

TEN_YEARS, AN_HOUR = 315_360_000, 3600
# Of Central Europe, in words that need no data base: summer time from the last Sunday of March to that of October, 01:00 UTC each.
CENTRAL_EUROPE = "CET-1CEST,M3.5.0,M10.5.0/3"
SUMMER_TIME, WINTER_TIME = calendar.timegm((2027, 3, 28, 1, 0, 0)), calendar.timegm((2027, 10, 31, 1, 0, 0))
STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def clockwork(workspace, registry):
    """A daemon whose wall clock `set` puts off by some seconds while it runs."""
    daemon = Daemon(os.path.join(workspace, "clock"))
    os.makedirs(daemon.folder)
    clock = Clock(daemon.folder)
    # The shim and the runtime are linked whole: it is the daemon alone that believes the clock.
    daemon.variables, daemon.put_off = {**clock.environment, "TZ": CENTRAL_EUROPE}, clock.put_off
    daemon.start(env=daemon.variables)
    daemon.client, daemon.image = Client("apus", CLIENTS["apus"], daemon.host, workspace), f"{registry.host}/busybox"
    daemon.client("pull", daemon.image).ok()
    yield daemon
    clock.put_off(0)
    daemon.client("rm", "-f", *(daemon.client("ps", "-aq").ok().split() or ["none"]))
    wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended")
    assert daemon.stop() == 0
    daemon.forget_network()


def shortly_before(moment):
    """Two seconds, so that it passes while the test looks."""
    return int(moment - 2 - time.time())


@pytest.mark.parametrize("offset", [
    lambda: TEN_YEARS, lambda: -TEN_YEARS, lambda: AN_HOUR, lambda: -AN_HOUR,
    # How the kernel inserts a leap second: the last one of the day comes again.
    lambda: -1, lambda: shortly_before(SUMMER_TIME), lambda: shortly_before(WINTER_TIME),
], ids=["ten-years-on", "ten-years-back", "an-hour-on", "an-hour-back", "leap-second", "summer-time", "winter-time"])
def test_T01_a_clock_that_is_set_changes_no_timer_and_no_age(clockwork, offset):
    client = clockwork.client
    client("run", "-d", "--name", "old", "--health-cmd", "true", "--health-interval", "300ms", clockwork.image, "sleep", "300").ok()
    client("run", "-d", "--name", "stubborn", "--stop-timeout", "300", clockwork.image, "sh", "-c", STUBBORN).ok()
    wait_until(lambda: "up" in client("logs", "stubborn").ok(), "it ignores the signal")
    before = json.loads(client.inspect("old", "{{json .State.Health}}"))
    clockwork.put_off(offset())
    try:
        assert client("version", "--format", "{{.Server.Version}}").code == 0
        words = client("ps", "-f", "name=old", "--format", "{{.Status}}").line()
        assert words.startswith("Up ") and ("second" in words or "Less than" in words), words
        began = time.monotonic()
        client("stop", "-t", "2", "stubborn").ok()
        # By the clock that was set it would be over at once, or take hours.
        assert 1.5 < time.monotonic() - began < 30 * PATIENCE
        assert client.inspect("stubborn", "{{.State.ExitCode}}") == "137"
        wait_until(lambda: json.loads(client.inspect("old", "{{json .State.Health}}"))["Log"] != before["Log"], "it is checked on")
        assert json.loads(client.inspect("old", "{{json .State.Health}}"))["Status"] == "healthy"
        # A wait and an exec, whose deadlines are the daemon's.
        assert client("run", "--rm", clockwork.image, "sh", "-c", "sleep 0.5; exit 3").code == 3
        assert client("exec", "old", "echo", "in").line() == "in"
    finally:
        clockwork.put_off(0)
        client("rm", "-f", "old", "stubborn").ok()


def test_T01_an_end_is_known_though_the_clock_says_that_it_was_before_the_start(clockwork):
    """Set back while the container ran; and then nothing is left but what the shim wrote down, as after a boot."""
    client = clockwork.client
    clockwork.put_off(AN_HOUR)
    try:
        name = client("run", "-d", "--name", "brief", clockwork.image, "sh", "-c", f"{UNTIL_GO}; exit 7").line()
        pid = client.inspect("brief", "{{.State.Pid}}")
        clockwork.kill()
        go(pid)
        record = f"{clockwork.data}/containers/{name}/exit"
        wait_until(lambda: os.path.exists(record), "its end is written down")
        shim = int(open(f"{clockwork.run}/shims/{name}/pid", encoding="ascii").read().split()[0])
        os.kill(shim, signal.SIGKILL)
        shutil.rmtree(f"{clockwork.run}/shims/{name}")
    finally:
        clockwork.put_off(0)
        clockwork.start(env=clockwork.variables)
    assert client.inspect("brief", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}") == "exited 7"
    client("rm", "-f", "brief").ok()


def test_T01_the_daemons_clock_was_really_set(clockwork):
    client = clockwork.client
    clockwork.put_off(TEN_YEARS)
    try:
        made = client("create", "--name", "later", clockwork.image, "true").line()
        created = client.inspect(made, "{{.Created}}")
        assert int(created[:4]) >= time.gmtime().tm_year + 9
    finally:
        clockwork.put_off(0)
        client("rm", "-f", "later").ok()


def test_T01_another_time_zone_moves_no_moment(brittle):
    """A daemon begins anew in zones a day apart: what it says of moments is in UTC, and stays."""
    client = brittle.client
    client("run", "-d", "--name", "here", brittle.image, "sh", "-c", "echo now; exec sleep 300").ok()
    wait_until(lambda: "now" in client("logs", "here").ok(), "it has written")
    moments = "{{.Created}} {{.State.StartedAt}} {{.State.Pid}}"
    facts, line = client.inspect("here", moments), client("logs", "-t", "here").line()
    started = facts.split()[1]

    def start_told():
        """When, in seconds: it is told once it has been done."""
        return client("events", "--since", started, "--until", "0s", "-f", "container=here", "-f", "event=start", "--format", "{{.Time}}").ok().split()

    [told] = start_told()
    assert 0 <= int(told) - calendar.timegm(time.strptime(started[:19], "%Y-%m-%dT%H:%M:%S")) < 60
    assert abs(calendar.timegm(time.strptime(started[:19], "%Y-%m-%dT%H:%M:%S")) - time.time()) < 600 and started.endswith("Z")
    for zone in ("WEST+12", "EAST-14", CENTRAL_EUROPE):
        brittle.kill()
        brittle.start(env={"TZ": zone})
        assert client.inspect("here", moments) == facts and client("logs", "-t", "here").line() == line
        status = client("ps", "-f", "name=here", "--format", "{{.Status}}").line()
        assert status.startswith("Up ") and ("second" in status or "minute" in status), status
        assert client("logs", "--since", "1h", "here").line() == "now" and client("logs", "--until", "1h", "here").ok() == ""
        assert start_told() == [told]


def test_T02_a_machine_that_stood_still_makes_nobody_unhealthy_and_restarts_nothing(brittle):
    """Daemon, shims and payloads are held together, as a paused virtual machine or a frozen cgroup holds them."""
    client = brittle.client
    # Far longer than a check takes, and far shorter than what is held.
    flags = ("--health-interval", "300ms", "--health-timeout", "3s", "--health-retries", "1", "--restart", "always")
    names = [f"c{number}" for number in range(8)]
    for name in names:
        # Under way nearly always, so that the standing still comes into its time.
        client("run", "-d", "--name", name, "--health-cmd", "sleep 0.6", *flags, brittle.image, "sleep", "300").ok()
    for name in names:
        wait_until(lambda name=name: client.inspect(name, "{{.State.Health.Status}}") == "healthy", f"{name} is healthy", seconds=30)
    facts = client("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}", *names).ok()
    pids = [brittle.process.pid, *brittle.shims(), *leaks.processes("sleep 0.6"), *(int(line.split()[0]) for line in facts.splitlines())]
    for pid in pids:
        send(pid, signal.SIGSTOP)
    # What began meanwhile.
    later = [pid for pid in leaks.processes("sleep 0.6") if pid not in pids]
    for pid in later:
        send(pid, signal.SIGSTOP)
    time.sleep(5)
    for pid in reversed(pids + later):
        send(pid, signal.SIGCONT)
    time.sleep(3)
    assert client("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}", *names).ok() == facts
    for name in names:
        found = json.loads(client.inspect(name, "{{json .State.Health}}"))
        assert found["Status"] == "healthy" and all(one["ExitCode"] == 0 for one in found["Log"]), found


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # A check's process that has ended.
