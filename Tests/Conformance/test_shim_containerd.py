"""The shim under the real containerd, as io.containerd.apus.v2, through ctr."""
import fcntl
import itertools
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from containerds import Containerd, containerd_of_a_module
from processes import UNTIL_GO, go, held_in_one_of_several_rounds
from shim_client import alive, wait_until
from shim_fixtures import CHOSEN, RUNTIMES


@pytest.fixture(scope="module", params=CHOSEN)
def containerd(request):
    with containerd_of_a_module(Containerd, RUNTIMES[request.param]) as daemon:
        yield daemon


@pytest.fixture
def name(request):
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-")


def test_ctr_run_prints_the_output_and_passes_the_exit_code_on(containerd, name):
    done = containerd.run("--rm", containerd.image, name, "sh", "-c", "echo out; echo err >&2; exit 33", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (33, b"out\n", b"err\n"), containerd.said()
    wait_until(lambda: not containerd.shims(), "the shim to end")
    assert not containerd.ctr("tasks", "list", "-q").stdout


def test_every_line_of_much_output_comes_through_the_fifos(containerd, name):
    done = containerd.run("--rm", containerd.image, name, "seq", "1", "200000")
    assert done.stdout == b"".join(b"%d\n" % n for n in range(1, 200001))


def test_input_reaches_the_payload(containerd, name):
    # ctr's run never ends a payload's input, whichever the shim; its exec does.
    done = containerd.run("--rm", containerd.image, name, "sh", "-c", "read line; echo got $line", stdin=None, input=b"this\n")
    assert done.stdout == b"got this\n"


def test_a_detached_container_is_listed_signalled_and_deleted(containerd, name):
    containerd.run("--detach", containerd.image, name, "sleep", "600")
    listed = containerd.ctr("tasks", "list").stdout.decode()
    pid = int(re.search(rf"{name}\s+(\d+)\s+RUNNING", listed)[1])
    assert alive(pid)
    assert str(pid) in containerd.ctr("tasks", "ps", name).stdout.decode()
    containerd.ctr("tasks", "kill", "--signal", "SIGKILL", name)
    wait_until(lambda: b"STOPPED" in containerd.ctr("tasks", "list").stdout, "the end to be told")
    # Its cgroup is there until it is deleted.
    assert b"memory" in containerd.ctr("tasks", "metrics", name).stdout
    assert b"137" in containerd.ctr("tasks", "delete", name).stderr
    containerd.ctr("containers", "delete", name)


def test_exec_runs_beside_the_payload_and_passes_its_exit_code_on(containerd, name):
    containerd.run("--detach", containerd.image, name, "sleep", "600")
    done = containerd.ctr("tasks", "exec", "--exec-id", "one", name, "sh", "-c", "echo from exec; exit 21", check=False)
    assert (done.returncode, done.stdout) == (21, b"from exec\n")
    done = containerd.ctr("tasks", "exec", "--exec-id", "two", name, "cat", check=False, stdin=None, input=b"through exec\n")
    assert (done.returncode, done.stdout) == (0, b"through exec\n")
    done = containerd.ctr("tasks", "exec", "--exec-id", "three", name, "no-such-program", check=False)
    assert done.returncode != 0 and told_once(containerd, done.stderr)
    containerd.ctr("tasks", "kill", "--signal", "SIGKILL", name)
    containerd.ctr("tasks", "delete", "--force", name, check=False)
    containerd.ctr("containers", "delete", name)


def test_an_exec_that_leaves_a_process_behind_comes_back_to_its_client(containerd, name):
    containerd.run("--detach", containerd.image, name, "sleep", "600")
    pid = re.search(rf"{name}\s+(\d+)\s+RUNNING", containerd.ctr("tasks", "list").stdout.decode())[1]
    root = Path(f"/proc/{pid}/root")
    # More than a pipe holds, when nobody reads any more.
    left = "while [ ! -e /go ]; do usleep 10000; done; seq 1 100000; : > /went-on; exec sleep 600"
    numbers = itertools.count()

    def attempt():
        done = containerd.ctr("tasks", "exec", "--exec-id", f"exec{next(numbers)}", name, "sh", "-c", f"({left}) & echo hi", timeout=30)
        assert done.stdout == b"hi\n"

    held_in_one_of_several_rounds(attempt, 5, "the client comes back")
    (root / "go").touch()
    wait_until((root / "went-on").exists, "what was left behind to go on", seconds=30)
    containerd.ctr("tasks", "delete", "--force", name, check=False)
    containerd.ctr("containers", "delete", name)


@pytest.mark.parametrize("flags", [["--no-pivot"], ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]], ids=["no-pivot", "user-namespace"])
def test_options_of_a_client_that_does_not_know_the_runtime_are_heeded(containerd, name, flags):
    """containerd 1.x's library sends runtimes of a name of their own the options of its first shim."""
    done = containerd.run("--rm", *flags, containerd.image, name, "cat", "/proc/self/uid_map")
    assert done.stdout.split() == ([b"0", b"100000", b"65536"] if "--uidmap" in flags else [b"0", b"0", b"4294967295"])


def test_pausing_shows_in_the_list_refuses_execs_and_ends_with_resuming(containerd, name):
    containerd.run("--detach", containerd.image, name, "sleep", "600")
    containerd.ctr("tasks", "pause", name)
    assert re.search(rf"{name}\s+\d+\s+PAUSED", containerd.ctr("tasks", "list").stdout.decode())
    done = containerd.ctr("tasks", "exec", "--exec-id", "one", name, "true", check=False)
    assert done.returncode != 0 and b"paused" in done.stderr
    containerd.ctr("tasks", "resume", name)
    assert re.search(rf"{name}\s+\d+\s+RUNNING", containerd.ctr("tasks", "list").stdout.decode())
    assert containerd.ctr("tasks", "exec", "--exec-id", "two", name, "echo", "on").stdout == b"on\n"
    containerd.ctr("tasks", "delete", "--force", name, check=False)
    containerd.ctr("containers", "delete", name)


def test_statistics_are_read_by_containerd(containerd, name):
    limit = ("--memory-limit", str(16 << 20))
    script = "head -c 100000000 /dev/zero | tail -c 100000000; echo over > /over; exec sleep 600"
    containerd.run("--detach", *limit, containerd.image, name, "sh", "-c", script)

    def metrics():
        return json.loads(containerd.ctr("tasks", "metrics", "--format", "json", name).stdout)

    # Not by an exec, which the kernel might kill for memory in place of the work.
    pid = re.search(rf"{name}\s+(\d+)\s+RUNNING", containerd.ctr("tasks", "list").stdout.decode())[1]
    wait_until(Path(f"/proc/{pid}/root/over").exists, "the work", seconds=60)
    wait_until(lambda: metrics()["pids"]["current"] == 1, "what was killed to be gone")
    found = metrics()
    assert found["memory"]["usage"], found
    if "memory_events" in found:
        # containerd 1.6 knows no pressure yet, and passes over it.
        assert found["memory_events"]["max"] > 0 and found["memory_events"]["oom_kill"] == 1, found
    else:
        assert found["memory"]["usage"]["max"] >= 15 << 20, found
        # How many have to go is for the kernel to say.
        group = re.search(r"^\d+:memory:(.*)$", Path(f"/proc/{pid}/cgroup").read_text(), re.M)[1]
        kills = re.search(r"^oom_kill (\d+)$", Path(f"/sys/fs/cgroup/memory{group}/memory.oom_control").read_text(), re.M)[1]
        assert found["memory_oom_control"]["oom_kill"] == int(kills) > 0, found
        # The whole is read first.
        assert sum(found["cpu"]["usage"]["per_cpu"]) >= found["cpu"]["usage"]["total"] > 0, found
        assert "limit" in found["memory"]["kernel"], found
    containerd.ctr("tasks", "delete", "--force", name, check=False)
    containerd.ctr("containers", "delete", name)


def test_a_terminal_goes_through_the_fifos(containerd, name):
    words = " ".join(map(str, containerd.command("run", "--rm", "-t", "--runtime", "io.containerd.apus.v2", "--snapshotter", "native",
                                                 containerd.image, name, "tty")))
    done = subprocess.run(["script", "-qec", words, "/dev/null"], env=containerd.environment, capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    assert b"/dev/pts/0" in done.stdout, (done, containerd.said())


def test_a_terminal_is_as_large_as_its_clients_and_changes_with_it(containerd, name):
    """ctr follows the size of its own terminal."""
    master, slave = pty.openpty()
    set_size(master, 33, 77)
    script = "for size in '33 77' '44 99'; do until [ \"$(stty size 2>&1)\" = \"$size\" ]; do usleep 50000; done; echo is $size; done; exit 5"
    words = containerd.command("run", "--rm", "-t", "--runtime", "io.containerd.apus.v2", "--snapshotter", "native", containerd.image, name,
                               "sh", "-c", script)
    with subprocess.Popen(words, env=containerd.environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                          preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) as client:
        os.close(slave)
        try:
            read_until(master, b"is 33 77")
            set_size(master, 44, 99)
            read_until(master, b"is 44 99")
            drain(master)
            assert client.wait(30) == 5
        finally:
            client.kill()
            os.close(master)


def set_size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(terminal, wanted):
    found = b""
    while wanted not in found:
        assert select.select([terminal], [], [], 30)[0], found
        found += os.read(terminal, 4096)


def drain(terminal):
    try:
        while select.select([terminal], [], [], 30)[0] and os.read(terminal, 4096):
            pass
    except OSError:
        pass


def test_events_reach_containerd_in_order(containerd, name, tmp_path):
    said, numbers = tmp_path / "events", itertools.count()

    def hears():
        """An event of the test's own, which comes behind all that there were before."""
        mark = f"{name}-{next(numbers)}"
        containerd.ctr("namespaces", "label", containerd.namespace, f"mark={mark}")
        return mark in said.read_text()

    with open(said, "wb") as output, subprocess.Popen(containerd.command("events"), stdout=output, env=containerd.environment) as events:
        try:
            wait_until(hears, "events are listened to", seconds=30)
            containerd.run("--rm", containerd.image, name, "true")
            wait_until(lambda: not containerd.shims(), "the shim to end")
            wait_until(hears, "all events are told", seconds=30)
        finally:
            events.kill()
    topics = [topic for topic in re.findall(r"(/tasks/\S+) \{", said.read_text())]
    assert topics == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]


def test_a_program_that_is_missing_is_said_by_ctr_and_leaves_no_shim(containerd, name):
    done = containerd.run("--rm", containerd.image, name, "no-such-program", check=False)
    assert done.returncode != 0 and told_once(containerd, done.stderr)
    wait_until(lambda: not containerd.shims(), "the shim to end")


def told_once(containerd, errors):
    """By ctr alone: the FIFO is the payload's. Other runtimes say it there as well."""
    lines = [line for line in errors.splitlines() if b"no-such-program" in line]
    return lines and lines[-1].startswith(b"ctr: ") and (len(lines) == 1 or (containerd.folder / "bin" / "apus-runtime").resolve().name != "apus-runtime")


def test_containers_outlive_a_killed_containerd_which_finds_them_and_their_ends_again(containerd, name):
    containerd.run("--detach", containerd.image, name, "sh", "-c", "while :; do usleep 10000; done")
    containerd.run("--detach", containerd.image, f"{name}-2", "sh", "-c", UNTIL_GO)
    listed = containerd.ctr("tasks", "list").stdout.decode()
    pid, ending = (int(re.search(rf"{one}\s+(\d+)\s+RUNNING", listed)[1]) for one in (name, f"{name}-2"))
    containerd.end(signal.SIGKILL)
    go(ending)
    wait_until(lambda: not alive(ending), "the other one to end")
    assert alive(pid)
    containerd.begin()
    listed = containerd.ctr("tasks", "list").stdout.decode()
    assert re.search(rf"{name}\s+{pid}\s+RUNNING", listed) and re.search(rf"{name}-2\s+\d+\s+STOPPED", listed), listed
    assert containerd.ctr("tasks", "exec", "--exec-id", "again", name, "echo", "found").stdout == b"found\n"
    containerd.ctr("tasks", "kill", "--signal", "SIGKILL", name)
    wait_until(lambda: b"RUNNING" not in containerd.ctr("tasks", "list").stdout, "the end to be told")
    for one in (name, f"{name}-2"):
        containerd.ctr("tasks", "delete", one, check=False)
        containerd.ctr("containers", "delete", one)


def test_a_killed_shim_is_cleaned_up_after_by_the_delete_command(containerd, name):
    containerd.run("--detach", containerd.image, name, "sleep", "600")
    listed = containerd.ctr("tasks", "list").stdout.decode()
    pid = int(re.search(rf"{name}\s+(\d+)\s+RUNNING", listed)[1])
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    wait_until(lambda: not alive(pid), "the payload to be ended")
    wait_until(lambda: name.encode() not in containerd.ctr("tasks", "list").stdout, "the task to go")
    containerd.ctr("containers", "delete", name)
