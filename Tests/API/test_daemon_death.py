"""Rows A10 and C15, and what belongs to them: the daemon killed at any moment, and what the next one finds."""
# Rows: features

import http.client
import os
import random
import signal
import subprocess
import threading
import time

import pytest
from engine_http import api
from processes import UNTIL_GO, alive, go, read_line, wait_until

import leaks
from conftest import BUILD, CLIENTS, Client
from test_shim_death import numbers, shim_of
from test_stats import ControlFiles

# Writes the numbers from 1 on, two thousand a second, until it is told that there are enough; for as long as its daemon is dead, and longer.
COUNTING = "i=0; while [ ! -e /enough ]; do i=$((i+1)); echo $i; [ $((i % 100)) = 0 ] && usleep 50000; done; echo $i >/last; exec sleep 60"
# How often the daemon is killed in the midst of work; more than the default is for hand-made searches.
ROUNDS = int(os.environ.get("APUS_KILL_ROUNDS", "10"))


def test_A10_a_killed_daemon_takes_nothing_along(brittle):
    """SIGKILL while a container writes thousands of lines a second: same process, no gap, no duplicate, all verbs afterwards."""
    client = brittle.client
    client("run", "-d", "--name", "count", brittle.image, "sh", "-c", COUNTING).ok()
    client("run", "-d", "--name", "brief", brittle.image, "sh", "-c", f"{UNTIL_GO}; exit 6").ok()
    client("run", "-d", "--rm", "--name", "vanish", brittle.image, "sh", "-c", UNTIL_GO).ok()
    client("run", "-di", "--name", "held", brittle.image, "cat").ok()
    before = client.inspect("count", "{{.State.Pid}} {{.State.StartedAt}}")
    ending = [int(client.inspect(name, "{{.State.Pid}}")) for name in ("brief", "vanish")]
    log = f"{brittle.data}/containers/{client.inspect('count', '{{.Id}}')}/log"
    wait_until(lambda: client("logs", "--tail", "1", "count").line(), "it counts")
    brittle.kill()
    for pid in ending:
        go(pid)
    for pid in ending:
        wait_until(lambda pid=pid: not alive(pid), "it ends without a daemon")
    written = os.path.getsize(log)
    wait_until(lambda: os.path.getsize(log) > written, "the other one counts on without a daemon, and is heard")
    assert alive(before.split()[0])
    brittle.start()
    assert client.inspect("count", "{{.State.Pid}} {{.State.StartedAt}}") == before
    assert client.inspect("brief", "{{.State.Status}} {{.State.ExitCode}}") == "exited 6"
    assert client("wait", "brief").line() == "6"
    wait_until(lambda: "vanish" not in client("ps", "-a", "--format", "{{.Names}}").out, "--rm is honoured")
    assert client("exec", "count", "echo", "in").line() == "in"
    client("exec", "count", "touch", "/enough").ok()
    last = wait_until(lambda: client("exec", "count", "cat", "/last").out.strip(), "it has come to its end")
    wait_until(lambda: client("logs", "--tail", "1", "count").line() == last, "all lines are written", seconds=30)
    assert int(last) > 1000 and client("logs", "count").ok().split() == numbers(int(last))
    attached = client.start("attach", "held", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    attached.stdin.write(b"still\n")
    attached.stdin.flush()
    assert read_line(attached) == b"still\n"
    client("kill", "held").ok()
    attached.stdin.close()
    assert attached.wait(20) == 137
    client("stop", "-t", "1", "count").ok()
    assert client.inspect("count", "{{.State.ExitCode}}") == "137"


@pytest.mark.parametrize("name", CLIENTS)
def test_C15_rm_takes_container_and_volumes_without_its_client_and_by_the_next_daemon(brittle, workspace, name):
    """One ends while no daemon is there, one when the next one is, one whose client was killed; and each had a volume of its own."""
    client = Client(name, CLIENTS[name], brittle.host, workspace)
    run = ("--rm", "-v", "/own", brittle.image, "sh", "-c", "touch /own/file; sleep 3600")
    attached = client.start("run", "--name", "left", *run, stdout=subprocess.DEVNULL)
    for kind in ("meanwhile", "after"):
        client("run", "-d", "--name", kind, *run).ok()
    wait_until(lambda: len(client("ps", "-q").ok().split()) == 3, "all of them run")
    attached.kill()
    attached.wait()
    process = int(client.inspect("meanwhile", "{{.State.Pid}}"))
    assert len(client("volume", "ls", "-q").ok().split()) == 3
    brittle.kill()
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not alive(process), "one ends")
    brittle.start()

    def left():
        return sorted(client("ps", "-a", "--format", "{{.Names}}").ok().split()), len(client("volume", "ls", "-q").ok().split())

    wait_until(lambda: left() == (["after", "left"], 2), "what ended meanwhile is gone")
    client("kill", "after", "left").ok()
    wait_until(lambda: left() == ([], 0), "all is gone")


def test_A10_a_daemon_asked_to_end_leaves_its_containers_running(brittle):
    client = brittle.client
    client("run", "-d", "--name", "stays", brittle.image, "sleep", "60").ok()
    pid = client.inspect("stays", "{{.State.Pid}}")
    assert brittle.stop() == 0
    assert alive(pid)
    assert not os.path.exists(brittle.socket)
    brittle.start()
    assert client.inspect("stays", "{{.State.Pid}} {{.State.Running}}") == f"{pid} true"


def test_A10_a_paused_container_stays_paused_while_the_daemon_is_dead(brittle):
    client = brittle.client
    client("run", "-d", "--name", "held", brittle.image, "sleep", "60").ok()
    client("pause", "held").ok()
    brittle.kill()
    brittle.start()
    assert client.inspect("held", "{{.State.Status}} {{.State.Paused}}") == "paused true"
    client("unpause", "held").ok()
    assert client("exec", "held", "echo", "on").line() == "on"


def test_a_daemon_killed_while_containers_start_leaves_them_whole_or_not_at_all(brittle):
    client = brittle.client
    starting = [client.start("run", "-d", "--name", f"many{number}", brittle.image, "sleep", "60",
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for number in range(6)]
    time.sleep(0.15)
    brittle.kill()
    for process in starting:
        process.wait(30)
    brittle.start()
    for line in client("ps", "-a", "--format", "{{.Names}} {{.State}}").ok().splitlines():
        name, state = line.split()
        assert state in ("created", "running", "exited"), line
        if state == "running":
            assert client("exec", name, "true").code == 0
        assert client("rm", "-f", name).line() == name
    wait_until(lambda: not brittle.shims(), "no shim is left")
    assert not leaks.mounts(f"{brittle.data}/containers") and brittle.cgroups() == []
    for number in range(6):
        assert client("run", "--rm", "--name", f"many{number}", brittle.image, "true").code == 0


def test_A10_execs_are_known_to_the_next_daemon(brittle):
    """One that runs, one that ends meanwhile, one that had ended and one that nobody has started yet."""
    brittle.client("run", "-d", "--name", "host", brittle.image, "sleep", "120").ok()

    def create(*command):
        return api(brittle, "POST", "/containers/host/exec", {"Cmd": command, "AttachStdout": True, "User": "ann"}, expect=201)[1]["Id"]

    def inspect(identifier):
        return api(brittle, "GET", f"/exec/{identifier}/json", expect=200)[1]

    runs, ends, over, fresh = create("sleep", "100"), create("sh", "-c", "sleep 2; exit 7"), create("sh", "-c", "exit 3"), create("true")
    for identifier in (runs, ends, over):
        api(brittle, "POST", f"/exec/{identifier}/start", {"Detach": True}, expect=200)
    wait_until(lambda: inspect(over)["ExitCode"] == 3, "an exec has ended")
    before = {identifier: inspect(identifier) for identifier in (runs, over, fresh)}
    brittle.kill()
    wait_until(lambda: not leaks.processes("sh -c sleep 2; exit 7"), "an exec ends without a daemon")
    brittle.start()
    for identifier, document in before.items():
        assert inspect(identifier) == document
    wait_until(lambda: inspect(ends)["ExitCode"] == 7, "the end meanwhile is known")
    assert inspect(ends)["ProcessConfig"] == {
        "tty": False, "entrypoint": "sh", "arguments": ["-c", "sleep 2; exit 7"], "privileged": False, "user": "ann"}
    assert api(brittle, "GET", "/containers/host/json")[1]["ExecIDs"] == [runs]
    assert api(brittle, "POST", f"/exec/{over}/start", {"Detach": True})[0] == 409
    api(brittle, "POST", f"/exec/{fresh}/start", {"Detach": True}, expect=200)
    wait_until(lambda: inspect(fresh)["ExitCode"] == 0, "the exec of the former daemon runs with the new one")
    os.kill(inspect(runs)["Pid"], 9)
    wait_until(lambda: inspect(runs)["ExitCode"] == 137, "the adopted exec's end is known")
    brittle.kill()
    brittle.start()
    assert [inspect(identifier)["ExitCode"] for identifier in (runs, ends, over, fresh)] == [137, 7, 3, 0]


def test_A10_a_client_of_an_exec_sees_its_stream_end_with_the_daemon(brittle):
    brittle.client("run", "-d", "--name", "host", brittle.image, "sleep", "120").ok()
    client = brittle.client.start("exec", "host", "sh", "-c", "echo on; sleep 60", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert read_line(client) == b"on\n"
    brittle.kill()
    assert client.wait(20) != 0
    brittle.start()
    running = api(brittle, "GET", "/containers/host/json")[1]["ExecIDs"]
    assert running, (api(brittle, "GET", "/containers/host/json")[1]["State"], brittle.log())
    assert len(running) == 1 and api(brittle, "GET", f"/exec/{running[0]}/json")[1]["Running"]


def test_an_exec_that_was_just_being_started_is_known_to_the_next_daemon(brittle, workspace):
    """Its process runs, and the runtime has not told the shim yet."""
    slow = os.path.join(workspace, "slow-runtime")
    with open(slow, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\n{BUILD}/apus-runtime "$@"\ncode=$?\ncase " $* " in *" exec "*) sleep 3;; esac\nexit $code\n')
    os.chmod(slow, 0o755)
    brittle.stop()
    brittle.start("--runtime", f"slow={slow}")
    brittle.client("run", "-d", "--runtime", "slow", "--name", "host", brittle.image, "sleep", "120").ok()
    client = brittle.client.start("exec", "host", "sh", "-c", "echo on; sleep 60", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert read_line(client) == b"on\n"
    brittle.kill()
    assert client.wait(20) != 0
    brittle.start("--runtime", f"slow={slow}")
    [running] = api(brittle, "GET", "/containers/host/json")[1]["ExecIDs"]
    wait_until(lambda: api(brittle, "GET", f"/exec/{running}/json")[1]["Pid"] > 0, "the exec's process is known")
    os.kill(api(brittle, "GET", f"/exec/{running}/json")[1]["Pid"], signal.SIGKILL)
    wait_until(lambda: api(brittle, "GET", f"/exec/{running}/json")[1]["ExitCode"] == 137, "its end is known")


def test_two_restarts_at_once_leave_a_container_that_goes_away_with_its_process(brittle):
    script = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    brittle.client("run", "-d", "--rm", "--name", "spared", brittle.image, "sh", "-c", script).ok()
    for _ in range(5):
        answers = together([lambda: api(brittle, "POST", "/containers/spared/restart?t=5") for _ in range(4)])
        assert [status for status, _ in answers] == [204] * 4, answers
        assert api(brittle, "GET", "/containers/spared/json", expect=200)[1]["State"]["Running"]
    brittle.client("stop", "-t", "0", "spared").ok()
    wait_until(lambda: api(brittle, "GET", "/containers/spared/json")[0] == 404, "it goes away once nobody restarts it")


def together(calls):
    """The results of calls that are made at the same time."""
    results = [None] * len(calls)

    def run(place):
        results[place] = calls[place]()

    threads = [threading.Thread(daemon=True, target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


class Visitor(threading.Thread):
    """Does what clients do, in an order of its own, until the daemon is gone."""

    def __init__(self, daemon, seed, number, images):
        super().__init__()
        self.daemon, self.random, self.number, self.images = daemon, random.Random(seed * 1000 + number), number, images
        self.surprises = []

    def run(self):
        try:
            while True:
                self.step()
        except (OSError, ValueError, http.client.HTTPException):
            # The daemon was killed.
            return

    def step(self):
        name = f"v{self.number}-{self.random.randrange(3)}"
        command = self.random.choice([["true"], ["sleep", "30"], ["sh", "-c", "exit 3"], ["/nosuch"]])
        body = {"Image": self.images[0], "Cmd": command, "HostConfig": {"AutoRemove": self.random.random() < 0.2}}
        verb, path, body = self.random.choice([
            ("POST", f"/containers/create?name={name}", body), ("POST", f"/containers/create?name={name}", body),
            ("POST", f"/containers/{name}/start", None), ("POST", f"/containers/{name}/start", None),
            ("POST", f"/containers/{name}/stop?t=0", None), ("POST", f"/containers/{name}/restart?t=0", None),
            ("POST", f"/containers/{name}/kill", None), ("DELETE", f"/containers/{name}?force=1", None),
            ("POST", f"/containers/{name}/exec", {"Cmd": ["true"]}), ("GET", f"/containers/{name}/json", None),
            ("POST", f"/images/create?fromImage={self.images[1]}&tag=latest", None), ("DELETE", f"/images/{self.images[1]}", None),
        ])
        status, answer = api(self.daemon, verb, path, body)
        if verb == "POST" and path.endswith("/exec") and status == 201:
            status, answer = api(self.daemon, "POST", f"/exec/{answer['Id']}/start", {"Detach": True})
        if status >= 500:
            self.surprises.append((verb, path, status, answer))


def test_A10_a_daemon_killed_at_any_moment_leaves_everything_whole_or_not_there(brittle, registry):
    """Create, start, stop, restart, exec, remove, pull and untag, cut off by SIGKILL after a random while, again and again."""
    images = [brittle.image, f"{registry.host}/alpha"]
    clean = brittle.state()
    first = int(os.environ.get("APUS_KILL_SEED", random.randrange(1_000_000)))
    for seed in range(first, first + ROUNDS):
        print(f"APUS_KILL_SEED={seed}")
        visitors = [Visitor(brittle, seed, number, images) for number in range(4)]
        for visitor in visitors:
            visitor.start()
        time.sleep(random.Random(seed).uniform(0.05, 1.5))
        brittle.kill()
        for visitor in visitors:
            visitor.join(60)
            assert not visitor.surprises, (seed, visitor.surprises)
        brittle.start()
        examine(brittle, images)
        wait_until(lambda: brittle.state() == clean, f"seed {seed} leaves nothing behind: {differences(clean, brittle)}", seconds=20)


def differences(clean, daemon):
    now = daemon.state()
    return {key: (clean[key], now[key]) for key in clean if clean[key] != now[key]}


def examine(daemon, images):
    """Every container and image that is listed does what it should; then all go."""
    for line in api(daemon, "GET", "/containers/json?all=1", expect=200)[1]:
        identifier, state = line["Id"], line["State"]
        assert state in ("created", "running", "exited"), line
        document = api(daemon, "GET", f"/containers/{identifier}/json", expect=200)[1]
        for path in (document["HostsPath"], document["HostnamePath"], document["ResolvConfPath"]):
            assert os.path.exists(path), path
        if state == "running":
            made = api(daemon, "POST", f"/containers/{identifier}/exec", {"Cmd": ["true"]})
            # It may end by itself meanwhile.
            assert made[0] in (201, 409), made
        else:
            status, answer = api(daemon, "POST", f"/containers/{identifier}/start")
            assert status == 204 or document["Config"]["Cmd"] == ["/nosuch"] and status == 400, (status, answer)
        status, answer = api(daemon, "DELETE", f"/containers/{identifier}?force=1")
        assert status in (204, 404, 409), answer
    wait_until(lambda: api(daemon, "GET", "/containers/json?all=1")[1] == [], "all containers go")
    # What a pull that was cut off had brought is kept to be gone on with.
    api(daemon, "POST", f"/images/create?fromImage={images[1]}&tag=latest", expect=200)
    for line in api(daemon, "GET", "/images/json", expect=200)[1]:
        name = line["RepoTags"][0]
        file = "/alpha.txt" if name.startswith(images[1]) else "/etc/passwd"
        assert daemon.client("run", "--rm", name, "test", "-s", file).code == 0
        if name.startswith(images[1]):
            api(daemon, "DELETE", f"/images/{name}", expect=200)


def test_A12_limits_that_a_daemon_had_written_down_when_it_died_are_set_by_the_next_one(brittle):
    """Its shim stands still when it is to set them, so that the daemon dies before they are."""
    client, data = brittle.client, "{{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}"
    identity = client("run", "-d", "--name", "limited", "--pids-limit", "40", "--restart", "always", brittle.image, "sleep", "300").line()
    files, shim = ControlFiles(identity), shim_of(brittle, client, "limited")
    os.kill(shim, signal.SIGSTOP)
    try:
        asking = client.start("update", "--pids-limit", "33", "--cpu-shares", "512", "limited", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: client.inspect("limited", data) == "33 512", "they are written down")
        time.sleep(0.5)
        brittle.kill()
        assert asking.wait(20) != 0 and files.number("pids.max") == 40
    finally:
        os.kill(shim, signal.SIGCONT)
    brittle.start()
    assert client.inspect("limited", data) == "33 512"
    wait_until(lambda: files.number("pids.max") == 33, "the next daemon sets them")
    wait_until(lambda: files.number("cpu.shares") == 512 if not files.is_unified else files.number("cpu.weight") < 100, "all of them")
    # Of those that its shim starts, too.
    os.kill(int(client.inspect("limited", "{{.State.Pid}}")), signal.SIGKILL)
    wait_until(lambda: client.inspect("limited", "{{.State.Status}} {{.RestartCount}}") == "running 1", "it was started again")
    assert files.number("pids.max") == 33


def test_a_daemon_that_finds_running_containers_has_nothing_to_complain_of(brittle):
    brittle.client("run", "-d", "--name", "quiet", brittle.image, "sleep", "3600").ok()
    brittle.kill()
    brittle.start()
    assert brittle.client.inspect("quiet", "{{.State.Running}}") == "true"
    assert not [line for line in brittle.log().splitlines() if " error " in line]


def test_a_client_whose_daemon_dies_says_that_the_answer_broke_off(brittle):
    brittle.client("create", "--name", "told", brittle.image).ok()
    with brittle.client.start("events", "--since", "1h", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while b"container create" not in read_line(process):
            assert process.poll() is None
        brittle.kill()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and err == b"the daemon's answer broke off: the daemon closed the connection\n"
    brittle.start()
