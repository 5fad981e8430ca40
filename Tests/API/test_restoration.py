"""Rows P01 and P03: fifty containers of every kind while their daemon is killed, and what the next one finds."""

import calendar
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from conftest import numbered_lines
from processes import read_line, wait_until

COUNT = 50
WRITERS = 10
LINES = 6000
# Those that write begin together, once all fifty run, and write for three seconds at least.
NUMBERS = "while [ ! -e /gate/open ]; do usleep 200000; done; " + numbered_lines(LINES, "exec sleep 300")
KINDS = {
    "pipes": ((), NUMBERS), "terminal": (("-t",), NUMBERS), "input": (("-i",), "exec cat"), "policy": (("--restart", "always"), NUMBERS),
    "stubborn": (("--init",), "trap '' TERM; " + NUMBERS),
    "checked": (("--health-cmd", "true", "--health-interval", "1s"), NUMBERS),
}


def test_P01_fifty_containers_outlive_their_daemon(brittle):
    client, image = brittle.client, brittle.image
    names = [f"{list(KINDS)[number % len(KINDS)]}-{number}" for number in range(COUNT)]

    def begin(name):
        flags, script = KINDS[name.split("-")[0]]
        gate = os.path.join(brittle.folder, "gate" if name in names[:WRITERS] else "closed")
        client("run", "-d", "--name", name, "-v", f"{gate}:/gate", *flags, image, "sh", "-c", script, timeout=120).ok()

    def facts():
        found = client("inspect", "-f", "{{.Name}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}} {{.State.Status}}", *names, timeout=120)
        return found.ok().splitlines()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, names))
    before = facts()
    assert all(line.endswith(" 0 running") for line in before)
    writers = [name for name in names[:WRITERS] if not name.startswith("input")]
    # A program for each of these questions would take longer than what they write.
    logs = [f"{brittle.data}/containers/{client.inspect(name, '{{.Id}}')}/log" for name in writers]
    empty = [os.path.getsize(log) for log in logs]
    with open(os.path.join(brittle.folder, "gate", "open"), "xb"):
        pass
    wait_until(lambda: all(os.path.getsize(log) > size for log, size in zip(logs, empty)), "all write")
    assert int(client("logs", "--tail", "1", writers[0]).line()) < LINES - 1000
    brittle.kill()
    time.sleep(1)
    brittle.start()
    assert facts() == before
    wanted = [str(number) for number in range(1, LINES + 1)]

    def all_lines(name):
        wait_until(lambda: client("logs", "--tail", "1", name).ok().strip() == str(LINES), f"{name} has written all", seconds=60)
        return client("logs", name).ok().split()

    for name in writers:
        assert all_lines(name) == wanted, name
    assert client("exec", names[0], "echo", "in").line() == "in"
    attached = client.start("attach", names[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    attached.stdin.write(b"still\n")
    attached.stdin.flush()
    assert read_line(attached) == b"still\n"
    attached.kill()
    attached.wait()
    wait_until(lambda: client.inspect(names[5], "{{.State.Health.Status}}") == "healthy", "it is checked on")
    assert len(client("ps", "-q").ok().split()) == COUNT
    # Every one still answers to the new daemon.
    client("kill", *names, timeout=120).ok()
    states = client("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", *names, timeout=120).ok().splitlines()
    assert states == ["exited 137"] * COUNT


def test_P03_what_ended_while_no_daemon_was_there_is_known_to_the_next(brittle, tmp_path):
    client, image = brittle.client, brittle.image
    tmp_path.chmod(0o755)
    wait = "while [ ! -e /signs/go ]; do usleep 20000; done"
    begun = [client("run", "-d", "-v", f"{tmp_path}:/signs", *flags, image, "sh", "-c", f"{wait}; {script}").line() for flags, script in (
        (("--name", "ends"), "exit 6"), (("--name", "hog", "-m", "16m"), "exec tail /dev/zero"), (("--name", "gone", "--rm"), "true"))]
    waiting = client.start("wait", "ends", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    killed = time.time()
    brittle.kill()
    assert waiting.wait(20) != 0
    (tmp_path / "go").touch()
    wait_until(lambda: all(os.path.exists(f"{brittle.data}/containers/{one}/exit") for one in begun), "all have ended, and that is on record", seconds=30)
    began = time.time()
    brittle.start()
    # A client that comes back gets the end that nobody told the first one.
    assert client("wait", "ends").line() == "6"
    assert client.inspect("ends", "{{.State.ExitCode}} {{.State.OOMKilled}}") == "6 false"
    assert client.inspect("hog", "{{.State.ExitCode}} {{.State.OOMKilled}}") == "137 true"
    finished = client.inspect("ends", "{{.State.FinishedAt}}")
    moment = calendar.timegm(time.strptime(finished[:19], "%Y-%m-%dT%H:%M:%S"))
    assert killed - 1 <= moment <= began, finished
    wait_until(lambda: "gone" not in client("ps", "-a", "--format", "{{.Names}}").ok(), "--rm is honoured")


def test_P01_a_container_that_removes_itself_and_was_never_started_does_not_outlive_the_daemon(brittle):
    client = brittle.client
    client("create", "--rm", "--name", "own", "-v", "/data", brittle.image, "true").ok()
    client("create", "--name", "kept", brittle.image, "true").ok()
    brittle.kill()
    brittle.start()
    assert client("ps", "-a", "--format", "{{.Names}}").ok().split() == ["kept"]
    assert client("volume", "ls", "-q").ok() == ""
