"""Row D15: further processes of a container, as clients ask for them that are no command lines."""
# Rows: features

import json
import os
import re
import signal
import time
import urllib.parse

import pytest
from engine_http import api, stream
from processes import UNTIL_GO, alive, go, wait_until


@pytest.fixture
def host(apus, image):
    apus("run", "-d", "--name", "host", image, "sleep", "3600").ok()
    return "host"


def made(daemon, version="", **request):
    """The id of an exec with a terminal."""
    wanted = {"Tty": True, "AttachStdin": True, "AttachStdout": True, **request}
    return api(daemon, "POST", f"{version}/containers/host/exec", wanted, expect=201)[1]["Id"]


class Started:
    """A connection to an exec that was started by it."""

    def __init__(self, daemon, exec_id, body=b'{"Tty":true}', version=""):
        self.connection = stream(daemon.socket, timeout=30)
        kind = b"Content-Type: application/json\r\n" if body else b""
        self.connection.sendall(
            f"POST {version}/exec/{exec_id}/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n".encode() + kind
            + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.said = b""
        head = self.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.said = self.said[len(head):]

    def until(self, end):
        while end not in self.said:
            part = self.connection.recv(65536)
            assert part, self.said
            self.said += part
        return self.said[:self.said.index(end) + len(end)]

    def rest(self):
        while part := self.connection.recv(65536):
            self.said += part
        self.connection.close()
        return self.said


def test_D15_a_size_that_comes_before_the_process_waits_for_it(own_daemon, host):
    """A client that hears of the start gives the size once, at once."""
    for _ in range(10):
        exec_id = made(own_daemon, Cmd=["sh", "-c", "read line; stty size"])
        started = Started(own_daemon, exec_id)
        api(own_daemon, "POST", f"/exec/{exec_id}/resize?h=33&w=77", expect=200)
        started.connection.sendall(b"\n")
        assert b"33 77" in started.rest()


def test_D15_a_size_for_an_exec_that_nobody_starts_is_refused(own_daemon, host):
    status, answer = api(own_daemon, "POST", f"/exec/{made(own_daemon, Cmd=['true'])}/resize?h=33&w=77")
    assert status == 409 and "is not running" in answer["message"]


def test_D15_a_size_for_an_exec_that_has_ended_is_refused_at_once(own_daemon, host):
    exec_id = made(own_daemon, Cmd=["true"])
    Started(own_daemon, exec_id).rest()
    status, answer = api(own_daemon, "POST", f"/exec/{exec_id}/resize?h=33&w=77", timeout=8)
    assert status == 409 and "is not running" in answer["message"]


def test_D15_an_exec_starts_by_a_request_without_a_body(own_daemon, host):
    exec_id = made(own_daemon, Tty=False, Cmd=["echo", "word"])
    # Framed, as nothing says that it has a terminal.
    assert Started(own_daemon, exec_id, body=b"").rest() == b"\x01\0\0\0\0\0\0\x05word\n"
    assert api(own_daemon, "POST", f"/exec/{made(own_daemon, Cmd=['true'])}/start", "null", expect=200)


def test_D15_a_size_at_creation_counts_from_the_version_on_that_has_it(own_daemon, host):
    for version, counts in (("/v1.41", False), ("/v1.42", True)):
        exec_id = made(own_daemon, version, ConsoleSize=[11, 22], Cmd=["stty", "size"])
        said = Started(own_daemon, exec_id, b'{"Tty":true,"ConsoleSize":[11,22]}', version).rest()
        assert said and (b"11 22" in said) == counts, (version, said)


@pytest.mark.parametrize("name", ["DetachKeys", "detachKeys"])
def test_D15_detach_keys_leave_an_exec_running(own_daemon, host, name):
    """docker-py writes the name in its own way."""
    exec_id = made(own_daemon, Cmd=["cat"], **{name: "ctrl-x"})
    started = Started(own_daemon, exec_id)
    started.connection.sendall(b"word\n")
    started.until(b"word\r\nword\r\n")
    started.connection.sendall(b"\x18")
    started.rest()
    assert api(own_daemon, "GET", f"/exec/{exec_id}/json", expect=200)[1]["Running"]
    assert wait_until(lambda: api(own_daemon, "GET", "/containers/host/json")[1]["ExecIDs"], "the exec is told of")


def test_D15_an_exec_that_never_ran_does_not_die(own_daemon, host):
    since, execs = int(time.time()), []
    for command in (["nonesuch"], ["true"]):
        execs.append(made(own_daemon, Cmd=command))
        Started(own_daemon, execs[-1]).rest()
    time.sleep(1)
    filters = json.dumps({"container": ["host"], "event": ["exec_create", "exec_start", "exec_die"]})
    _, text = api(own_daemon, "GET", f"/events?since={since}&until={int(time.time()) + 1}&filters={urllib.parse.quote(filters)}")
    # Others of the container end as well.
    told = [re.search(r'"Action":"(exec_\w+(?:: \w+)?)"', line)[1] for line in text.splitlines() if any(one in line for one in execs)]
    assert told == ["exec_create: nonesuch", "exec_create: true", "exec_start: true", "exec_die"]


def test_D15_an_exec_that_ended_before_its_container_was_not_killed_with_it(own_daemon, apus, image):
    """The daemon, which stood still, is told of both ends at once."""
    for _ in range(10):
        apus("run", "-d", "--name", "host", image, "sleep", "600").ok()
        exec_id = made(own_daemon, Tty=False, Cmd=["sh", "-c", f"{UNTIL_GO}; exit 3"])
        api(own_daemon, "POST", f"/exec/{exec_id}/start", {"Detach": True}, expect=200)
        pid, process = int(apus.inspect("host", "{{.State.Pid}}")), api(own_daemon, "GET", f"/exec/{exec_id}/json", expect=200)[1]["Pid"]
        own_daemon.process.send_signal(signal.SIGSTOP)
        try:
            go(pid)
            wait_until(lambda: not alive(process), "the exec ends")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "and then its container")
            # The shim writes that down before it tells.
            time.sleep(0.3)
        finally:
            own_daemon.process.send_signal(signal.SIGCONT)
        assert apus("wait", "host").line() == "137"
        assert api(own_daemon, "GET", f"/exec/{exec_id}/json", expect=200)[1]["ExitCode"] == 3
        apus("rm", "host").ok()


@pytest.mark.parametrize(("request_", "reason"), [
    ({"Cmd": ["true\0"]}, "a NUL byte"), ({"Cmd": ["true"], "User": "root\0"}, "a NUL byte"), ({"Cmd": ["true"], "WorkingDir": "/\0"}, "a NUL byte"),
    ({"Cmd": ["true"], "Env": ["A=b\0"]}, "a NUL byte"), ({"Cmd": ["true"], "Env": [f"A{number}=b" for number in range(4097)]}, "more than 4096"),
])
def test_an_exec_is_refused_what_a_container_is(daemon, host, request_, reason):
    assert reason in str(api(daemon, "POST", f"/containers/{host}/exec", request_, expect=400))


def test_execs_that_nobody_starts_are_bounded_in_bytes(own_daemon, host):
    """What one of them holds in memory, and in /run, is a client's to choose."""
    large = [f"A{number}={'x' * 100_000}" for number in range(35)]
    ids = [made(own_daemon, Cmd=["true"], Env=large) for _ in range(12)]
    known = [api(own_daemon, "GET", f"/exec/{exec_id}/json")[0] for exec_id in ids]
    assert known == [404] * 3 + [200] * 9, "32 MiB hold nine of 3.5 MB, and the oldest are forgotten"
    place = f"{own_daemon.run}/bundles/{api(own_daemon, 'GET', '/containers/host/json')[1]['Id']}/execs"
    assert sum(entry.stat().st_size for entry in os.scandir(place)) < 40 << 20
