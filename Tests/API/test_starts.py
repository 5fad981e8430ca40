"""What is asked of a container while it starts waits for the start, as with Docker, and is not told that nothing runs."""

import concurrent.futures
import json
import os
import signal
import subprocess
import time

import leaks
import pytest
from conftest import BUILD, entries
from engine_http import api, stream
from processes import PATIENCE, wait_until
from test_stats import ControlFiles


@pytest.fixture
def held(own_daemon, apus, image, tmp_path):
    """A container `late` that repeats a line and sleeps, and whose start a hook holds until the file is there; the process of `apus start`, and
    the file."""
    arrived, go = tmp_path / "arrived", tmp_path / "go"
    hook = {"hookName": "poststart", "path": "/bin/sh", "args": ["sh", "-c", f": >{arrived}; until [ -e {go} ]; do sleep 0.01; done"]}
    specification = f"{own_daemon.folder}/cdi/held.json"
    os.makedirs(os.path.dirname(specification), exist_ok=True)
    with open(specification, "w", encoding="utf-8") as file:
        json.dump({"cdiVersion": "0.6.0", "kind": "example.org/held", "devices": [{"name": "start", "containerEdits": {"hooks": [hook]}}]}, file)
    script = "read line && echo got $line; exec sleep 100"
    apus("create", "-i", "--name", "late", "--device", "example.org/held=start", image, "sh", "-c", script).ok()
    start = apus.start("start", "late", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(arrived.exists, "the start is held by its hook")
        yield start, go
    finally:
        go.touch()
        start.communicate(timeout=30)
        apus("rm", "-f", "late").ok()
        os.remove(specification)


ASKED = {"kill": ("kill", "late"), "exec": ("exec", "late", "true"), "top": ("top", "late"), "pause": ("pause", "late"), "stop": ("stop", "-t", "0", "late")}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_during_a_start_waits_for_it(apus, held, name):
    waits_and_succeeds(apus, held, *ASKED[name])


def test_a_network_is_joined_and_left_after_the_start(apus, held):
    apus("network", "create", "during").ok()
    try:
        waits_and_succeeds(apus, held, "network", "connect", "during", "late")
        assert "during" in json.loads(apus.inspect("late", "{{json .NetworkSettings.Networks}}"))
        apus("network", "disconnect", "during", "late").ok()
    finally:
        apus("network", "rm", "during").ok()


def waits_and_succeeds(apus, held, *words):
    start, go = held
    asked = apus.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.3)
    early = asked.poll()
    go.touch()
    answer = asked.communicate(timeout=30)
    assert early is None and asked.returncode == 0, answer
    assert start.wait(timeout=30) == 0


def test_an_update_during_a_start_holds_for_the_run_and_for_those_that_the_shim_begins(apus, held):
    waits_and_succeeds(apus, held, "update", "-m", "64m", "--memory-swap", "64m", "--restart", "always", "late")
    identifier, pid = apus.inspect("late", "{{.Id}} {{.State.Pid}}").split()
    assert ControlFiles(identifier).number("memory.max", "memory.limit_in_bytes") == 64 << 20
    assert apus.inspect("late", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}") == f"{64 << 20} always"
    os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: apus.inspect("late", "{{.State.Status}} {{.RestartCount}}") == "running 1", "it was started again")
    assert ControlFiles(identifier).number("memory.max", "memory.limit_in_bytes") == 64 << 20


def test_who_attaches_during_the_last_step_of_a_start_has_input_output_and_end(own_daemon, apus, held):
    """The process may run already: it must not be the next run that the client is joined to."""
    start, go = held
    with stream(own_daemon.socket, timeout=30) as client:
        client.sendall(b"POST /containers/late/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\n"
                       b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        said = b""
        while b"\r\n\r\n" not in said:
            said += client.recv(4096)
        assert said.startswith(b"HTTP/1.1 101 "), said
        client.sendall(b"word\n")
        go.touch()
        assert start.wait(timeout=30) == 0
        while b"got word\n" not in said:
            said += client.recv(4096)
        apus("kill", "late").ok()
        while client.recv(4096):
            pass


def test_who_follows_the_log_during_a_start_reads_what_comes(apus, held):
    start, go = held
    following = apus.start("logs", "-f", "late", stdout=subprocess.PIPE)
    time.sleep(0.3)
    early = following.poll()
    go.touch()
    assert start.wait(timeout=30) == 0 and early is None
    time.sleep(0.3)
    assert following.poll() is None
    apus("kill", "late").ok()
    assert following.communicate(timeout=30) == (b"", None)


def test_statistics_that_are_asked_for_during_a_start_are_those_of_the_process(own_daemon, held):
    start, go = held
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(api, own_daemon, "GET", "/containers/late/stats?stream=0&one-shot=1")
        time.sleep(0.3)
        early = asked.done()
        go.touch()
        status, sample = asked.result(timeout=30)
    assert not early and status == 200 and sample["pids_stats"]["current"] == 1 and sample["read"] > "2000", sample
    assert start.wait(timeout=30) == 0


def test_a_start_that_fails_behind_its_network_gives_the_network_back(brittle):
    apus = brittle.client
    apus("network", "create", "left").ok()
    brittle.stop()
    brittle.start("--runtime", f"another={BUILD}/apus-runtime")
    apus("create", "--name", "first", "--runtime", "another", "--network", "left", "-p", "127.0.0.1:18080:80", brittle.image, "true").ok()
    brittle.stop()
    brittle.start()
    for _ in range(2):
        # Not that its own port is in use.
        refused = apus("start", "first")
        assert refused.code == 1 and "another" in refused.err
    assert not entries(f"{brittle.run}/netns")
    apus("run", "--rm", "--network", "left", "-p", "127.0.0.1:18080:80", brittle.image, "true").ok()
    apus("network", "rm", "left").ok()
    apus("rm", "first").ok()


def test_a_daemon_ends_though_a_start_does_not(brittle, tmp_path):
    """Held by a hook: the request cannot be taken back, and is found as after a crash."""
    go = tmp_path / "go"
    hook = {"hookName": "poststart", "path": "/bin/sh", "args": ["sh", "-c", f"until [ -e {go} ]; do sleep 0.05; done"]}
    os.makedirs(f"{brittle.folder}/cdi", exist_ok=True)
    with open(f"{brittle.folder}/cdi/held.json", "w", encoding="utf-8") as file:
        json.dump({"cdiVersion": "0.6.0", "kind": "example.org/held", "devices": [{"name": "start", "containerEdits": {"hooks": [hook]}}]}, file)
    brittle.client("create", "--name", "late", "--device", "example.org/held=start", brittle.image, "sleep", "100").ok()
    start = brittle.client.start("start", "late", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: brittle.client.inspect("late", "{{.State.Status}}") == "created" and brittle.shims(), "the start is held")
        brittle.process.terminate()
        assert brittle.process.wait(timeout=60 * PATIENCE) == 0
        assert "stopped while requests are under way" in brittle.log()
    finally:
        go.touch()
        start.wait(timeout=30)
    # It was not torn down: by the time that the hook is over it runs.
    wait_until(lambda: not leaks.processes(f"--root {brittle.run}/runtime"), "the runtime has begun it")
    brittle.start()
    assert brittle.client.inspect("late", "{{.State.Running}}") == "true"
    brittle.client("rm", "-f", "late").ok()


def test_a_shim_that_was_begun_in_vain_is_not_in_the_next_starts_way(brittle, tmp_path):
    shim, flag = tmp_path / "shim", tmp_path / "fails"
    shim.write_text(f'#!/bin/bash\n{BUILD}/apus-shim "$@"; code=$?\n[ -e {flag} ] && [ "${{@: -1}}" = start ] && exit 1\nexit $code\n')
    shim.chmod(0o755)
    brittle.stop()
    brittle.start("--shim", str(shim))
    apus = brittle.client
    apus("create", "--name", "again", "-p", "127.0.0.1:18081:80", brittle.image, "sleep", "100").ok()
    flag.touch()
    assert apus("start", "again").code == 1 and brittle.shims()
    flag.unlink()
    apus("start", "again").ok()
    assert apus.inspect("again", "{{.State.Running}}") == "true" and len(brittle.shims()) == 1
    apus("rm", "-f", "again").ok()
