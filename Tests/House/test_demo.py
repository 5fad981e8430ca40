"""The demonstration: the whole path in under a minute, and nothing left of it, however it ends."""

import glob
import os
import re
import signal
import subprocess
import time

import leaks
import pytest
from conftest import ROOT

DEMO = os.path.join(ROOT, "scripts", "demo")


def left_behind():
    """What the kernel and /tmp hold of any demonstration."""
    return {
        "folders": glob.glob("/tmp/apus-demo-*"), "mounts": leaks.mounts("/tmp/apus-demo-"),
        "processes": leaks.processes("/tmp/apus-demo-"), "namespaces": sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else [],
        "cgroups": leaks.cgroups("/apus/"),
    }


@pytest.fixture
def nothing_is_left():
    before = left_behind()
    yield
    assert left_behind() == before


def start():
    return subprocess.Popen([DEMO], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def test_the_demo_shows_the_whole_path_in_under_a_minute(nothing_is_left):
    begin = time.monotonic()
    demo = start()
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    assert time.monotonic() - begin < 60
    typed = re.findall(r"^\$ apus (\w+)", said, re.M)
    assert typed == ["pull", "images", "run", "run", "ps", "logs", "exec", "inspect", "logs", "stop", "ps", "rm", "rmi"], said
    assert "Hello from a container\n" in said and re.search(r"^tick \d+$", said, re.M) and "Exited (0)" in said


@pytest.mark.parametrize("moment", ["$ apusd", "$ apus pull", "$ apus run -d", "$ apus ps", "$ apus exec", "$ kill", "$ apusd …", "$ apus stop"])
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_nothing(nothing_is_left, moment, number, code):
    """The signal goes to every process of the terminal's foreground group, as Ctrl-C does."""
    demo = start()
    for line in demo.stdout:
        if line.startswith(moment):
            break
    os.killpg(demo.pid, number)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == code, said
