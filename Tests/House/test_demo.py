"""The demonstration: the whole path in under a minute, and nothing left of it, however it ends."""

import contextlib
import glob
import os
import re
import signal
import subprocess
import time

import leaks
import pytest
from conftest import ROOT
from processes import read_line, wait_until

DEMO = os.path.join(ROOT, "scripts", "demo")


def left_behind():
    """What the kernel, /tmp and a daemon's usual places hold of any demonstration."""
    return {
        "folders": glob.glob("/tmp/apus-demo-*"), "mounts": leaks.mounts("/tmp/apus-demo-"),
        "processes": leaks.processes("/tmp/apus-demo-"), "namespaces": sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else [],
        "cgroups": leaks.cgroups("/apus/"), "run": leaks.files("/run/apus"), "data": os.path.exists("/var/lib/apus"),
    }


@pytest.fixture
def nothing_is_left():
    before = left_behind()
    yield
    # The daemon's shims, and its network, end a moment after it.
    with contextlib.suppress(AssertionError):
        wait_until(lambda: left_behind() == before, "nothing to be left")
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
    lines = re.findall(r"^\$ (.+)$", said, re.M)
    words = [line.split()[0] for line in lines]
    # Each line can be typed as it stands, by whoever has typed those before: what it runs and speaks to is said first.
    folder = re.search(r"^\$ mkdir -p (/tmp/apus-demo-\w+)$", said, re.M)[1]
    assert lines[0] == f"export PATH={ROOT}/.build/release:$PATH" and lines[1] == f"export DOCKER_HOST=unix://{folder}/apus.sock"
    assert "…" not in "".join(lines) and words[2:7] == ["mkdir", "cat", "docker-registry", "/usr/bin/python3", "apusd"], lines
    assert len({line for line in lines if line.startswith("apusd")}) == 1 and words.count("apusd") == 2, "the killed daemon is started as the first one"
    assert "Hello from a container\n" in said and re.search(r"^tick \d+$", said, re.M) and "Exited (0)" in said


@pytest.mark.parametrize("moment", ["$ apusd", "$ apus pull", "$ apus run -d", "$ apus ps", "$ apus exec", "$ kill", "again $ apusd", "$ apus stop"])
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_nothing(nothing_is_left, moment, number, code):
    """The signal goes to every process of the terminal's foreground group, as Ctrl-C does."""
    demo = start()
    again = moment.startswith("again ")
    for line in iter(lambda: read_line(demo), ""):
        if line.startswith(moment.removeprefix("again ")):
            if not again:
                break
            again = False
    os.killpg(demo.pid, number)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == code, said


def words_of(variable):
    """What the Makefile's variable lists."""
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as file:
        return re.search(rf"^{variable} *= *((?:.*\\\n)*.*)$", file.read(), re.M)[1].replace("\\\n", " ").split()


@pytest.mark.parametrize("script, variable", [("split-swift-core", "BUILD_PACKAGES"), ("demo", "BUILD_PACKAGES"), ("need-python", "TEST_PACKAGES")])
def test_an_interpreter_that_a_script_of_the_makefile_runs_is_among_what_it_installs(script, variable):
    """A fresh Debian has none of them: Python is there where a package wants it."""
    with open(os.path.join(ROOT, "scripts", script), encoding="utf-8") as file:
        text = file.read()
    assert "python3" in text
    assert ("python3-pip" if "-m pip" in text else "python3") in words_of(variable)
