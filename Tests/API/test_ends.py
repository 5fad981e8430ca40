"""Rows A12, C15, P03, P10, S07: signals and ends, and that one stuck container is nobody else's affair."""
# Rows: features

import os
import re
import subprocess
import tarfile
import time

import pytest

from engine_http import api, stream
from hanging_files import HangingFiles
from processes import PATIENCE, held_in_one_of_several_rounds, state_of, wait_until

COUNTER = "n=0; while :; do n=$((n+1)); echo $n; usleep 20000; done"
# What a request about another container may take.
PROMPT_SECONDS = 0.1
# What one takes that waits for others, at least.
STUCK_SECONDS = 2
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1; done"


def state(cli, name):
    return cli.inspect(name, "{{.State.Status}} {{.State.ExitCode}}")


def lines(cli, name):
    return cli("logs", name).ok().split()


def test_A12_stop_ends_a_paused_container_by_its_stop_signal(cli, image):
    cli("run", "-d", "--name", "held", image, "sh", "-c", "trap 'exit 9' TERM; " + COUNTER).ok()
    wait_until(lambda: lines(cli, "held"), "it counts")
    cli("pause", "held").ok()
    began = time.monotonic()
    cli("stop", "-t", "50", "held").ok()
    assert time.monotonic() - began < 40 * PATIENCE and state(cli, "held") == "exited 9"


def test_A12_stop_of_a_paused_container_that_ignores_the_signal_ends_by_sigkill(cli, image):
    cli("run", "-d", "--name", "held", image, "sh", "-c", STUBBORN).ok()
    wait_until(lambda: lines(cli, "held"), "it ignores the signal")
    cli("pause", "held").ok()
    cli("stop", "-t", "1", "held").ok()
    assert state(cli, "held") == "exited 137"


@pytest.mark.parametrize("signal", ["USR1", "SIGUSR1", "10"])
def test_A12_kill_takes_names_and_numbers(cli, image, signal):
    cli("run", "-d", "--name", "target", image, "sh", "-c", "trap 'exit 4' USR1; echo ready; while :; do sleep 0.05; done").ok()
    wait_until(lambda: lines(cli, "target"), "it is ready")
    assert cli("kill", "-s", signal, "target").line() == "target"
    wait_until(lambda: state(cli, "target") == "exited 4", "the signal arrived")
    assert cli("kill", "-s", signal, "target").code == 1


@pytest.mark.parametrize("signal", ["NOSUCH", "65", "-1", "99999999999999999999"])
def test_A12_what_is_no_signal_is_refused_and_changes_nothing(apus, image, signal):
    apus("run", "-d", "--name", "target", image, "sleep", "60").ok()
    assert apus("kill", f"--signal={signal}", "target").code == 1
    assert apus.inspect("target", "{{.State.Status}}") == "running"


def test_A12_children_that_hold_the_output_open_do_not_hold_the_end_back(cli, image):
    """The container ends with its first process; in a pid namespace of its own nothing is left to write."""
    began = time.monotonic()
    result = cli("run", "--name", "parent", image, "sh", "-c", "(sleep 30; echo late) & echo early; exit 3")
    assert (result.code, result.out) == (3, "early\n") and time.monotonic() - began < 10
    assert lines(cli, "parent") == ["early"]
    # An exec's children live on in the container; the exec ends nevertheless.
    cli("run", "-d", "--name", "host", image, "sleep", "60").ok()
    began = time.monotonic()
    assert cli("exec", "host", "sh", "-c", "(sleep 30; echo late) & echo early; exit 5").code == 5
    assert time.monotonic() - began < 10
    assert "sleep 30" in cli("exec", "host", "ps", "-o", "args").ok()


def test_A12_exec_processes_are_reaped(own_daemon, cli, image):
    cli("run", "-d", "--name", "host", image, "sleep", "60").ok()
    for number in range(10):
        assert cli("exec", "host", "sh", "-c", f"exit {number}").code == number
        cli("exec", "-d", "host", "true").ok()
    shims = own_daemon.shims()
    assert len(shims) == 1

    def zombies():
        # By any thread's view the shim's children that have ended and that nobody has waited for.
        found = subprocess.run(["ps", "--ppid", str(shims[0]), "-o", "stat="], capture_output=True, text=True, check=False).stdout
        return [word for word in found.split() if word.startswith("Z")]
    wait_until(lambda: not zombies(), "every exec is reaped")


def events_since(client, second):
    return client("events", "--since", str(second), "--until", str(int(time.time()) + 1), "-f", "container=bomb", "--format", "{{.Action}}").ok().split()


def test_S07_a_fork_bomb_at_its_limit_can_be_entered_stopped_and_killed(cli, apus, image):
    # As many as the limit allows, so that any further fork fails; the shells have become sleepers, which ignore the signal.
    bomb = "trap '' TERM; (i=0; while [ $i -lt 38 ]; do sleep 100 & i=$((i+1)); done; exec sleep 100) & exec sleep 100"
    for verb in (("stop", "-t", "1"), ("kill",)):
        began = int(time.time())
        cli("run", "-d", "--name", "bomb", "--pids-limit", "40", image, "sh", "-c", bomb).ok()
        pid = cli.inspect("bomb", "{{.State.Pid}}")
        wait_until(lambda: processes_beside(pid) >= 40, "the limit is reached")
        result = cli("exec", "bomb", "echo", "inside")
        assert (result.code, result.out) == (0, "inside\n"), result
        assert cli("exec", "bomb", "sh", "-c", "true & wait").code != 0
        # Refused again and again, and told once; docker tells of nothing.
        wait_until(lambda: "pids-limit" in events_since(apus, began), "the refusal is told", seconds=30)
        assert events_since(apus, began).count("pids-limit") == 1
        cli(*verb, "bomb").ok()
        assert state(cli, "bomb") == "exited 137"
        cli("rm", "bomb").ok()


def processes_beside(pid):
    """How many processes are in the cgroups of `pid`."""
    def groups(number):
        try:
            with open(f"/proc/{number}/cgroup", encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""
    own = groups(pid)
    return sum(groups(number) == own for number in os.listdir("/proc") if number.isdigit())


def slowest_answers(daemon):
    """How long the daemon takes over each request about another container."""
    took = {}

    def ask(method, path, body=None, expect=200):
        began = time.monotonic()
        answer = api(daemon, method, path, body, expect=expect)[1]
        took[f"{method} {path.split('?')[0].replace(found.get('Id', '-'), 'ID')}"] = time.monotonic() - began
        return answer

    # Of one second: the whole journal, which all tests before have written, takes its own time to read.
    second, found = int(time.time()), {}
    for path in ("/containers/json?all=1", "/containers/other/json", f"/events?since={second}&until={second}", "/containers/other/logs?stdout=1", "/info",
                 "/containers/other/stats?stream=0&one-shot=1", "/containers/other/top", "/containers/other/changes", "/images/json", "/networks", "/volumes"):
        ask("GET", path)
    for path in ("pause", "unpause", "kill?signal=CONT", "rename?name=another"):
        ask("POST", f"/containers/other/{path}", expect=204)
    ask("POST", "/containers/another/rename?name=other", expect=204)
    ask("POST", "/containers/other/update", {"CpuShares": 1000})
    found = ask("POST", "/containers/other/exec", {"Cmd": ["sleep", "1"]}, expect=201)
    ask("POST", f"/exec/{found['Id']}/start", {"Detach": True})
    ask("GET", f"/exec/{found['Id']}/json")
    # A whole life as well.
    found = ask("POST", "/containers/create", {"Image": ask("GET", "/containers/other/json")["Image"], "Cmd": ["sleep", "600"]}, expect=201)
    ask("POST", f"/containers/{found['Id']}/start", expect=204)
    ask("GET", f"/containers/{found['Id']}/archive?path=/etc/passwd")
    ask("POST", f"/containers/{found['Id']}/stop?t=10&signal=KILL", expect=204)
    ask("POST", f"/containers/{found['Id']}/wait")
    ask("DELETE", f"/containers/{found['Id']}", expect=204)
    return took


def best_answers(daemon, rounds):
    """Of each kind the quickest: what else the machine does is not ours."""
    took = [slowest_answers(daemon) for _ in range(rounds)]
    return {kind: min(answers[kind] for answers in took) for kind in took[0]}


def delayed(daemon, undisturbed, rounds=30):
    """Requests that were never answered at once, with what their quickest answer took: whoever waits for a stuck container does so in every round.
    Where the machine is too busy to be prompt when nothing is stuck, twice as long as then is at once."""
    slow = dict.fromkeys(undisturbed, float("inf"))
    for _ in range(rounds):
        best = slowest_answers(daemon)
        slow = {kind: min(seconds, best[kind]) for kind, seconds in slow.items()}
        slow = {kind: seconds for kind, seconds in slow.items() if seconds >= max(PROMPT_SECONDS, 2 * undisturbed[kind])}
        if not slow:
            break
    return slow


@pytest.fixture
def hanging(tmp_path):
    files = HangingFiles(str(tmp_path / "hanging"))
    try:
        yield files
    finally:
        files.give_up()


def test_P10_a_process_that_no_signal_ends_delays_nobody_else(cli, apus, image, own_daemon, hanging):
    """Stuck in the kernel, in a file system that does not answer."""
    apus("run", "-d", "--name", "other", image, "sleep", "600").ok()
    undisturbed = best_answers(own_daemon, 3)
    apus("run", "-d", "--name", "stuck", "-v", f"{hanging.path}:/data", image, "cat", "/data/hang").ok()
    wait_until(lambda: hanging.stuck, "the payload hangs")
    pid = apus.inspect("stuck", "{{.State.Pid}}")
    nothing = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    busy = [apus.start("exec", "stuck", "cat", "/data/hang", **nothing), apus.start("wait", "stuck", **nothing), apus.start("rm", "-f", "stuck", **nothing)]
    stopping = cli.start("stop", "-t", "0", "stuck", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        # By SIGKILL it is stuck in earnest.
        wait_until(lambda: state_of(pid) == "D", "no signal ends it")
        assert not delayed(own_daemon, undisturbed)
        # Whoever looks sees what becomes of it, and where it is stuck.
        status = r"Up .* \(stopping, blocked in [\w ]+\)"
        wait_until(lambda: re.fullmatch(status, cli("ps", "-f", "name=stuck", "--format", "{{.Status}}").line()), "it is told to be stuck")
        assert re.fullmatch(r"stopping, blocked in [\w ]+", cli.inspect("stuck", "{{.State.Error}}"))
        assert cli("run", "--rm", image, "echo", "on").line() == "on"
        assert apus("exec", "other", "echo", "on").line() == "on"
        # It does not end, and what keeps it is told.
        said = stopping.communicate(timeout=60 * PATIENCE)[1].decode()
        assert stopping.returncode == 1 and f"process {pid} is blocked in" in said, said
        assert apus.inspect("stuck", "{{.State.Running}}") == "true"
        assert re.fullmatch(status, cli("ps", "-f", "name=stuck", "--format", "{{.Status}}").line())
    finally:
        hanging.give_up()
        for process in busy:
            process.wait(30 * PATIENCE)
    wait_until(lambda: apus("ps", "-aq", "-f", "name=stuck").line() == "" or state(apus, "stuck") == "exited 137", "it ends when it can")


def test_P10_requests_that_look_at_a_place_that_hangs_delay_nobody_else(apus, image, own_daemon, hanging):
    """More of them than the daemon has threads for what does not block."""
    apus("run", "-d", "--name", "other", image, "sleep", "600").ok()
    undisturbed = best_answers(own_daemon, 3)
    words = ("create", "--log-driver", "syslog", "--log-opt", f"syslog-address=unix://{hanging.path}/hang", image, "true")
    nothing = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    busy = [apus.start(*words, **nothing) for _ in range(6)]
    try:
        wait_until(lambda: hanging.stuck, "one looks at it")
        time.sleep(1)
        assert not delayed(own_daemon, undisturbed)
    finally:
        hanging.give_up()
        codes = [process.wait(30 * PATIENCE) for process in busy]
    assert all(codes), codes


def test_P10_what_is_being_stopped_is_told_to_be(cli, apus, image, own_daemon, hanging):
    """Before SIGKILL as well; and where a process is stuck that the first one began, which waits for it."""
    script = "trap '' TERM; cat /data/hang & while :; do sleep 1; done"
    apus("run", "-d", "--name", "stubborn", "-v", f"{hanging.path}:/data", image, "sh", "-c", script).ok()
    wait_until(lambda: hanging.stuck, "a process of the payload hangs")
    stopping = cli.start("stop", "-t", "600", "stubborn", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: re.fullmatch(r"Up .* \(stopping\)", cli("ps", "--format", "{{.Status}}").line()), "it is told to be stopped")
    assert cli.inspect("stubborn", "{{.State.Status}},{{.State.Error}}") == "running,"
    killing = cli.start("kill", "stubborn", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: re.fullmatch(r"stopping, blocked in [\w ]+", cli.inspect("stubborn", "{{.State.Error}}")), "it is told to be stuck")
    finally:
        hanging.give_up()
        for process in (stopping, killing):
            process.wait(30 * PATIENCE)
    assert state(cli, "stubborn") == "exited 137" and cli.inspect("stubborn", "{{.State.Error}}") == ""


@pytest.mark.parametrize("kind", ["frozen", "full"])
def test_P10_a_stuck_container_delays_nobody_else(apus, image, own_daemon, kind):
    apus("run", "-d", "--name", "other", image, "sleep", "600").ok()
    undisturbed = best_answers(own_daemon, 3)
    if kind == "frozen":
        apus("run", "-d", "--name", "stuck", image, "sleep", "600").ok()
        apus("pause", "stuck").ok()
        busy = [apus.start("exec", "stuck", "true", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
    else:
        apus("run", "-d", "--name", "stuck", image, "sh", "-c", "sleep 0.5; yes").ok()
        # A client that does not read holds the payload back; another waits for the end behind it.
        busy = [apus.start("attach", "--no-stdin", "stuck", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL),
                apus.start("stop", "-t", "600", "stuck", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
        time.sleep(1.5)
    try:
        assert not delayed(own_daemon, undisturbed)
        assert apus("exec", "other", "echo", "on").line() == "on"
        apus("stop", "-t", "0", "other").ok()
        assert state(apus, "other") == "exited 137"
    finally:
        for process in busy:
            process.kill()
            process.wait()


class Stalls:
    """Clients that leave the daemon waiting, a few more with each call."""

    def __init__(self, daemon, kind):
        self.daemon, self.kind, self.connections = daemon, kind, []

    def add(self, count):
        for _ in range(count):
            connection = stream(self.daemon.socket)
            self.connections.append(connection)
            getattr(self, self.kind)(connection)

    @staticmethod
    def readers(connection):
        """Take the beginning of an archive, and no more."""
        connection.sendall(b"GET /containers/stuck/export HTTP/1.1\r\nHost: d\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"

    @staticmethod
    def writers(connection):
        """Send the beginning of an archive, and no more."""
        connection.sendall(b"PUT /containers/stuck/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n"
                           b"Content-Length: 1000000\r\n\r\n" + tarfile.TarInfo("begun").tobuf())

    @staticmethod
    def files(connection):
        """Ask for a file that never answers."""
        connection.sendall(b"GET /containers/stuck/archive?path=/data/hang HTTP/1.1\r\nHost: d\r\n\r\n")

    def leave(self):
        for connection in self.connections:
            connection.close()


@pytest.mark.parametrize("kind, count", [("readers", 60), ("writers", 12), ("files", 12)])
def test_P10_clients_that_stall_delay_nobody_else(apus, image, own_daemon, hanging, kind, count):
    """Whoever reads or sends an archive at a pace of his own has a thread of the daemon's, and none that others need."""
    apus("run", "-d", "--name", "other", image, "sleep", "60").ok()
    apus("run", "-d", "--name", "stuck", "-v", f"{hanging.path}:/data", image,
         "sh", "-c", "dd if=/dev/zero of=/large bs=1M count=8; touch /there; exec sleep 300").ok()
    wait_until(lambda: apus("exec", "stuck", "ls", "/there").code == 0, "there is much to read")
    stalls = Stalls(own_daemon, kind)

    def slowest_beside_more():
        """More of them each time: what grows by and by to make room would be as slow again."""
        stalls.add(count)
        return max(slowest_answers(own_daemon).values())

    try:
        for _ in range(5):
            # Where requests wait for threads, it is another one each time that does, for seconds.
            held_in_one_of_several_rounds(slowest_beside_more, STUCK_SECONDS, "nobody else waits", rounds=3)
        assert apus("exec", "other", "echo", "on").line() == "on"
        # Of the same kind, too: there is a thread for each.
        status, _ = api(own_daemon, "GET", "/containers/other/archive?path=/etc/passwd", expect=200)
        assert status == 200
    finally:
        hanging.give_up()
        stalls.leave()


def test_C15_a_run_with_rm_ends_where_the_removal_fails(own_daemon, cli, image):
    """The client waits for the removal: it hears that there will be none, and a removal by hand is possible once it can be."""
    client = cli.start("run", "--rm", "--name", "stuck", "-i", image, "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: cli("inspect", "-f", "{{.State.Running}}", "stuck").out.strip() == "true", "it runs")
    held = f"{own_daemon.data}/containers/{cli.inspect('stuck', '{{.Id}}')}/held"
    os.mkdir(held)
    subprocess.run(["mount", "-t", "tmpfs", "held", held], check=True)
    try:
        out, err = client.communicate(b"word\n", timeout=60)
        assert out == b"word\n" and client.returncode == 125 and b"held" in err, (client.returncode, err)
        assert cli.inspect("stuck", "{{.State.Status}}") == "dead"
    finally:
        client.kill()
        subprocess.run(["umount", held], check=True)
    assert cli("rm", "stuck").line() == "stuck"
    assert "stuck" not in cli("ps", "-a", "--format", "{{.Names}}").ok()
