"""Row S10: too little processor time. Its loops want it from everybody else, too: scripts/run-tests runs this file alone."""

import json
import os
import subprocess
import time

import pytest

from conftest import CLIENTS, Client, Daemon
from processes import wait_until

# The lowest priority, and twice the loops: `APUS_NICE=19 APUS_LOOPS=64`.
NICE, LOOPS = os.environ.get("APUS_NICE", "10"), int(os.environ.get("APUS_LOOPS", "32"))


def health(client, name):
    return json.loads(client.inspect(name, "{{json .State.Health}}"))


@pytest.fixture
def starving(workspace, registry):
    """A daemon at a low priority, on one processor with many busy loops, as all that it starts."""
    daemon = Daemon(os.path.join(workspace, f"s{len(os.listdir(workspace))}"))
    os.makedirs(daemon.folder)
    processor = str(max(os.sched_getaffinity(0)))
    daemon.start(under=("nice", "-n", NICE, "taskset", "-c", processor))
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    client("pull", f"{registry.host}/busybox").ok()
    daemon.client, daemon.image = client, f"{registry.host}/busybox"
    loops = []

    def begin(count):
        for _ in range(count):
            # Each in a session of its own: the scheduler shares fairly between sessions first.
            loops.append(subprocess.Popen(["taskset", "-c", processor, "sh", "-c", "while :; do :; done"], start_new_session=True))

    daemon.load = begin
    daemon.relieve = lambda: [loop.kill() or loop.wait() for loop in loops]
    yield daemon
    daemon.relieve()
    if names := client("ps", "-aq").ok().split():
        client("rm", "-f", *names).ok()
    wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended")
    assert daemon.stop() == 0
    daemon.forget_network()


def test_S10_want_of_processor_time_makes_nobody_unhealthy(starving):
    client = starving.client
    flags = ("--health-interval", "200ms", "--health-timeout", "1s", "--health-retries", "1")
    client("run", "-d", "--name", "asks", "--health-cmd", "true", *flags, starving.image, "sleep", "300").ok()
    client("run", "-d", "--name", "looks", "--health-cmd", "file:/bin/sh", *flags, starving.image, "sleep", "300").ok()
    names = ("asks", "looks")
    for name in names:
        wait_until(lambda name=name: health(client, name)["Status"] == "healthy", f"{name} is healthy")
    # Half a second of a processor's time, which takes many seconds of everybody's.
    client("run", "-d", "--name", "works", "--health-cmd", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done", *flags, starving.image, "sleep", "300").ok()
    starving.load(LOOPS)
    try:
        time.sleep(20)
    finally:
        starving.relieve()
    for name in (*names, "works"):
        found = health(client, name)
        assert found["Status"] != "unhealthy" and all(one["ExitCode"] == 0 for one in found["Log"] or []), found
    wait_until(lambda: health(client, "works")["Status"] == "healthy", "the check comes to its end", seconds=30)
