"""What is asked of a container while it starts waits for the start, as with Docker, and is not told that nothing runs."""

import json
import os
import subprocess
import time

import pytest

from processes import wait_until


@pytest.fixture
def held(own_daemon, apus, image, tmp_path):
    """A container `late` whose start a hook holds until the file is there; the process of `apus start`, and the file."""
    arrived, go = tmp_path / "arrived", tmp_path / "go"
    hook = {"hookName": "poststart", "path": "/bin/sh", "args": ["sh", "-c", f": >{arrived}; until [ -e {go} ]; do sleep 0.01; done"]}
    specification = f"{own_daemon.folder}/cdi/held.json"
    os.makedirs(os.path.dirname(specification), exist_ok=True)
    with open(specification, "w", encoding="utf-8") as file:
        json.dump({"cdiVersion": "0.6.0", "kind": "example.org/held", "devices": [{"name": "start", "containerEdits": {"hooks": [hook]}}]}, file)
    apus("create", "--name", "late", "--device", "example.org/held=start", image, "sleep", "100").ok()
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
