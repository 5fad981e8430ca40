"""Rows S09, S13, P06, P08 and P09: too few descriptors, clients that come and vanish, daemons that stand still."""

import json
import os
import resource
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import leaks
from conftest import Daemon
from engine_http import Connection, api, stream
from processes import alive, wait_until

# Ten thousand of each kind: `APUS_CONNECTS=10000`.
CONNECTS = int(os.environ.get("APUS_CONNECTS", "600"))
# A minute under a hundred clients: `APUS_STALL_SECONDS=60 APUS_CLIENTS=100`.
STALL_SECONDS, STALLED_CLIENTS = int(os.environ.get("APUS_STALL_SECONDS", "0")), int(os.environ.get("APUS_CLIENTS", "25"))
NUMBERS = "i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo $i; usleep 500; done; exec sleep 300"


# --- S09 ------------------------------------------------------------------------------------------------------

def limited(process, descriptors):
    """Changes how many files a process that runs may have open."""
    resource.prlimit(process, resource.RLIMIT_NOFILE, (descriptors, resource.prlimit(process, resource.RLIMIT_NOFILE)[1]))


def test_S09_a_daemon_without_descriptors_refuses_and_recovers(brittle):
    client = brittle.client
    client("run", "-d", "--name", "before", brittle.image, "sleep", "300").ok()
    pid, started = client.inspect("before", "{{.State.Pid}} {{.State.StartedAt}}").split()
    calm = leaks.descriptors(brittle.process.pid)
    limited(brittle.process.pid, calm + 20)
    held = []
    try:
        for _ in range(60):
            held.append(stream(brittle.socket, timeout=2))
        # No further client is taken now; the daemon lives.
        time.sleep(1)
        assert brittle.process.poll() is None, brittle.log()
    finally:
        for connection in held:
            connection.close()
    wait_until(lambda: client("ps", "-q").code == 0, "it answers again", seconds=20)
    wait_until(lambda: leaks.descriptors(brittle.process.pid) <= calm + 2, "it has closed what nobody wants any more", seconds=20)
    # Still too few for a start: that is an error, and the container is whole.
    limited(brittle.process.pid, calm + 3)
    refused = client("run", "-d", "--name", "meanwhile", brittle.image, "sleep", "300")
    assert refused.code != 0 and brittle.process.poll() is None, refused
    limited(brittle.process.pid, 1024)
    client("rm", "-f", "meanwhile")
    client("run", "-d", "--name", "after", brittle.image, "sleep", "300").ok()
    assert client("exec", "before", "echo", "in").line() == "in"
    assert client.inspect("before", "{{.State.Pid}} {{.State.StartedAt}}") == f"{pid} {started}"


def test_S09_a_busy_daemon_without_descriptors_lives(brittle):
    """While there is more to do than there are threads: whoever watches over these must not need a descriptor."""
    client = brittle.client
    client("run", "-d", "--name", "before", brittle.image, "sleep", "300").ok()
    pid = brittle.process.pid
    clients = [Connection(brittle.socket) for _ in range(16)]

    def answers(connection, seconds):
        """How many requests are answered, one after the other."""
        count, begun = 0, time.monotonic()
        while time.monotonic() < begun + (seconds if count else 60):
            connection.request("GET", "/containers/json?all=1")
            answer = connection.getresponse()
            answer.read()
            count += answer.status == 200
        return count

    try:
        # Each is taken, and keeps its descriptor.
        assert all(answers(connection, 0) for connection in clients)
        limited(pid, leaks.descriptors(pid))
        with ThreadPoolExecutor(len(clients)) as pool:
            assert all(pool.map(lambda connection: answers(connection, 5), clients))
        assert brittle.process.poll() is None, brittle.log()
    finally:
        limited(pid, 1024)
        for connection in clients:
            connection.close()
    assert client("exec", "before", "echo", "in").line() == "in" and brittle.process.pid == pid


def test_S09_a_shim_without_descriptors_refuses_and_recovers(own_daemon, apus, image):
    apus("run", "-d", "--name", "scarce", image, "sh", "-c", NUMBERS.format(count=4000)).ok()
    directory = os.path.join(own_daemon.run, "shims", apus.inspect("scarce", "{{.Id}}"))
    with open(os.path.join(directory, "pid"), encoding="utf-8") as file:
        shim = int(file.read().split()[0])
    limited(shim, leaks.descriptors(shim) + 2)
    held = []
    try:
        for _ in range(30):
            held.append(stream(os.path.join(directory, "socket"), timeout=2))
        refused = apus("exec", "scarce", "true", timeout=30)
        assert refused.code != 0
    finally:
        for connection in held:
            connection.close()
        limited(shim, 1024)
    wait_until(lambda: apus("exec", "scarce", "echo", "in").out == "in\n", "it serves again")
    wait_until(lambda: apus("logs", "--tail", "1", "scarce").line() == "4000", "all lines are written", seconds=60)
    assert apus("logs", "scarce").ok().split() == [str(number) for number in range(1, 4001)]
    apus("stop", "-t", "0", "scarce").ok()
    assert apus.inspect("scarce", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"


# --- S13 ------------------------------------------------------------------------------------------------------

def vanish(daemon, method, path, body=None):
    """A request whose client is gone before the answer's end."""
    connection = stream(daemon.socket, timeout=20)
    payload = json.dumps(body).encode() if body is not None else b""
    head = (f"{method} {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    connection.sendall(head.encode() + payload)
    connection.recv(64)
    # A reset, not an end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def test_S13_clients_that_vanish_leave_nothing(own_daemon, apus, image):
    apus("run", "-d", "--name", "busy", image, "sh", "-c", "while :; do echo line; usleep 1000; done").ok()
    shim = int(open(os.path.join(own_daemon.run, "shims", apus.inspect("busy", "{{.Id}}"), "pid"), encoding="utf-8").read().split()[0])

    def one(number):
        kind = number % 3
        if kind == 0:
            vanish(own_daemon, "POST", "/containers/busy/attach?stream=1&stdout=1&stderr=1")
        elif kind == 1:
            vanish(own_daemon, "GET", "/containers/busy/logs?follow=1&stdout=1&tail=1")
        else:
            _, made = api(own_daemon, "POST", "/containers/busy/exec", {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}, expect=201)
            vanish(own_daemon, "POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False})

    def counts():
        return tuple(count(process) for process in (own_daemon.process.pid, shim) for count in (leaks.descriptors, leaks.threads))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(30)))
    time.sleep(2)
    before = counts()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(CONNECTS)))
    wait_until(lambda: all(now <= then + 4 for now, then in zip(counts(), before)), f"what they had open is closed: {before}", seconds=60)
    assert api(own_daemon, "GET", "/containers/busy/json")[1]["State"]["Running"]
    assert apus("exec", "busy", "echo", "on").line() == "on"


# --- P06, P08, P09 --------------------------------------------------------------------------------------------

def test_P06_a_daemon_that_stands_still_holds_no_payload_up(brittle, tmp_path):
    """The payload writes all the time, and knows how much; clients that wait get all of it."""
    client = brittle.client
    script = ("i=0; while [ ! -e /data/stop ]; do i=$((i+1)); echo $i; [ $((i % 100)) = 0 ] && echo $i > /data/reached; usleep 500; done; "
              "echo $i > /data/written")
    client("run", "-d", "--name", "writes", "-v", f"{tmp_path}:/data", brittle.image, "sh", "-c", script).ok()
    pid = int(client.inspect("writes", "{{.State.Pid}}"))

    def reached():
        text = (tmp_path / "reached").read_text() if (tmp_path / "reached").exists() else ""
        return int(text or 0)

    followers = [client.start("logs", "-f", "writes", stdout=subprocess.PIPE) for _ in range(STALLED_CLIENTS * 4 // 5)]
    os.kill(brittle.process.pid, signal.SIGSTOP)
    try:
        until = time.monotonic() + STALL_SECONDS
        askers = [client.start("inspect", "-f", "{{.State.Status}}", "writes", stdout=subprocess.PIPE) for _ in range(STALLED_CLIENTS // 5)]
        wait_until(lambda: reached() >= 3000, "the payload writes on", seconds=60)
        while (left := until - time.monotonic()) > 0:
            before = reached()
            time.sleep(min(left, 5))
            wait_until(lambda before=before: reached() > before, "the payload still writes", seconds=30)
        (tmp_path / "stop").touch()
        wait_until(lambda: not alive(pid), "the payload has ended", seconds=30)
    finally:
        os.kill(brittle.process.pid, signal.SIGCONT)
    wanted = "".join(f"{number}\n" for number in range(1, int((tmp_path / "written").read_text()) + 1)).encode()
    assert all(one.communicate(timeout=120)[0] == wanted for one in followers)
    assert all(one.communicate(timeout=60)[0] in (b"running\n", b"exited\n") for one in askers)
    assert client("logs", "writes").raw == wanted and client.inspect("writes", "{{.State.ExitCode}}") == "0"


@pytest.mark.parametrize("verb", ["run", "exec", "logs", "pull"])
def test_P08_a_client_that_is_killed_takes_only_its_own_affairs_along(own_daemon, cli, image, verb):
    cli("run", "-d", "--name", "stays", image, "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; usleep 1000; done").ok()
    pid = cli.inspect("stays", "{{.State.Pid}}")
    words, runs = {
        "run": (("run", "-i", "--name", "left", image, "cat"), lambda: "running" in cli("ps", "-f", "name=left", "--format", "{{.State}}").out),
        "exec": (("exec", "-i", "stays", "cat"), lambda: cli("top", "stays").out.count(" cat")),
        "logs": (("logs", "-f", "stays"), lambda: True), "pull": (("pull", image), lambda: True)}[verb]
    process = cli.start(*words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(runs, "it is under way", seconds=20)
    process.kill()
    process.wait()
    if verb == "run":
        # Its input was the client's alone, and has ended with it.
        assert cli("wait", "left").line() == "0"
    wait_until(lambda: cli("top", "stays").ok().count(" cat") == 0, "the exec has ended by the end of its input")
    assert cli.inspect("stays", "{{.State.Pid}} {{.State.Running}}") == f"{pid} true"
    cli("pull", image).ok()
    numbers = cli("logs", "stays").ok().split()
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_P08_a_copy_whose_client_vanishes_holds_nothing_up(own_daemon, apus, image):
    apus("run", "-d", "--name", "stays", image, "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null; echo written; exec sleep 300").ok()
    wait_until(lambda: "written" in apus("logs", "stays").ok(), "the file is written", seconds=30)
    before = leaks.descriptors(own_daemon.process.pid)
    for _ in range(10):
        vanish(own_daemon, "GET", "/containers/stays/archive?path=/big")
    wait_until(lambda: leaks.descriptors(own_daemon.process.pid) <= before + 4, "what the copies had open is closed", seconds=20)
    whole = subprocess.run(["curl", "-sf", "-m", "60", "--unix-socket", own_daemon.socket, "http://d/containers/stays/archive?path=/big"],
                           capture_output=True, check=True)
    assert len(whole.stdout) >= 64 << 20


def test_P08_a_client_that_writes_all_before_it_reads_comes_to_its_end(own_daemon, apus, image):
    """More output waits for it than is taken from the shim, which says in vain how much input it took."""
    script = "head -c 700000 /dev/zero; head -c 20000000 >/dev/null; echo read"
    apus("create", "-i", "--name", "deaf", image, "sh", "-c", script).ok()
    connection = stream(own_daemon.socket, timeout=120)
    connection.sendall(b"POST /containers/deaf/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    assert connection.recv(12) == b"HTTP/1.1 101"
    apus("start", "deaf").ok()
    connection.sendall(bytes(20_000_000))
    connection.shutdown(socket.SHUT_WR)
    said = b""
    while part := connection.recv(65536):
        said = (said + part)[-100:]
    connection.close()
    assert said.endswith(b"read\n")


def test_P09_who_begins_the_daemon_may_spare_it_less(workspace):
    """In a measure of their own. What is without CAP_SYS_RESOURCE, as in a container, gives it none."""
    daemon = Daemon(os.path.join(workspace, "spared"))
    os.makedirs(daemon.folder)

    def score(pid):
        with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
            return int(file.read())

    lower = "echo -500 2>/dev/null > /proc/self/oom_score_adj"
    may_lower = subprocess.run(["sh", "-c", lower], capture_output=True, check=False).returncode == 0
    daemon.start(under=["sh", "-c", f'{lower}; exec "$@"', "sh"])
    try:
        assert score(daemon.process.pid) == (-500 if may_lower else score(os.getpid()))
    finally:
        assert daemon.stop() == 0
        daemon.forget_network()


def test_P09_payloads_are_killed_for_want_of_memory_before_shims_and_daemon(own_daemon, apus, image):
    apus("run", "-d", "--name", "payload", image, "sleep", "300").ok()
    directory = os.path.join(own_daemon.run, "shims", apus.inspect("payload", "{{.Id}}"))
    with open(os.path.join(directory, "pid"), encoding="utf-8") as file:
        shim = int(file.read().split()[0])

    def score(pid):
        with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
            return int(file.read())

    (keeper,) = own_daemon.keepers()
    # Whoever began the daemon, by hand as by its unit. What is without CAP_SYS_RESOURCE, as in a container, can lower none: then all have the same at most.
    may_lower = subprocess.run(["sh", "-c", "echo -999 > /proc/self/oom_score_adj"], capture_output=True, check=False).returncode == 0
    own = score(os.getpid())
    scores = (score(own_daemon.process.pid), score(shim), score(keeper))
    assert scores == ((-999, -998, -998) if may_lower else (own, own + (own < 0), own + (own < 0))), (scores, may_lower)
    payload = score(apus.inspect("payload", "{{.State.Pid}}"))
    assert payload == 0 and (payload > score(shim) or not may_lower)
    assert apus("exec", "payload", "cat", "/proc/self/oom_score_adj").line() == "0"
    apus("run", "-d", "--name", "cheap", "--oom-score-adj", "500", image, "sleep", "300").ok()
    assert score(apus.inspect("cheap", "{{.State.Pid}}")) == 500
    apus("run", "-d", "--name", "hog", "-m", "16m", image, "tail", "/dev/zero").ok()
    assert apus("wait", "hog").line() == "137"
    assert apus.inspect("hog", "{{.State.OOMKilled}}") == "true" and alive(shim) and own_daemon.process.poll() is None
