"""Row P04: no shim can take a killed one's place for a while. What runs goes on, is said to run, and does what it is told, and has a shim again later."""

import os
import shutil
import signal
import subprocess

import pytest

from conftest import BUILD, numbered_lines
from processes import alive, read_line, read_rest, wait_until
from test_shim_death import attached_answer, numbers, shim_of


class Trouble:
    """A daemon whose shims are begun by a program that can be made to begin none in a killed one's place."""

    REFUSAL = "#!/bin/sh\ncase \"$*\" in *' adopt') echo 'no room for another shim' >&2; exit 1;; esac\nexec {real} \"$@\"\n"
    # Nothing can be taken away either.
    NOTHING = "#!/bin/sh\ncase \"$*\" in *' adopt'|*' delete') echo 'no room for anything' >&2; exit 1;; esac\nexec {real} \"$@\"\n"
    # It says that a shim is there, and none is.
    LIE = "#!/bin/sh\ncase \"$*\" in *' adopt') exit 0;; esac\nexec {real} \"$@\"\n"

    def __init__(self, daemon, folder):
        self.daemon, self.client = daemon, daemon.client
        self.program, self.real = str(folder / "apus-shim"), str(folder / "apus-shim-real")
        shutil.copy(os.path.join(BUILD, "apus-shim"), self.real)
        os.symlink(self.real, self.program)
        self.begin()

    def begin(self):
        self.daemon.start("--shim", self.program)

    def replace(self, text=None):
        new = f"{self.program}.new"
        if text:
            with open(new, "w", encoding="utf-8") as file:
                file.write(text.format(real=self.real))
            os.chmod(new, 0o755)
        else:
            os.symlink(self.real, new)
        os.rename(new, self.program)

    def lose_shim(self, name):
        """Returns when the daemon says that the container has none."""
        os.kill(shim_of(self.daemon, self.client, name), signal.SIGKILL)
        wait_until(lambda: self.is_alone(name), "it is said to have no shim", seconds=30)

    def is_alone(self, name):
        return "no shim looks after it" in self.client.inspect(name, "{{.State.Error}}")

    def wait_for_shim(self, name):
        wait_until(lambda: self.client.inspect(name, "{{.State.Error}}") == "", "it has a shim again", seconds=60)


@pytest.fixture
def trouble(brittle, tmp_path):
    assert brittle.stop() == 0
    trouble = Trouble(brittle, tmp_path)
    yield trouble
    trouble.replace()


FACTS = "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}"


@pytest.mark.parametrize("text", [Trouble.REFUSAL, Trouble.LIE], ids=["refused", "in vain"])
def test_P04_what_runs_goes_on_while_no_shim_can_be_had(trouble, text):
    client, image = trouble.client, trouble.daemon.image
    client("run", "-di", "--name", "count", image, "sh", "-c", numbered_lines(4_000, "exec cat")).ok()
    before = client.inspect("count", FACTS)
    trouble.replace(text)
    trouble.lose_shim("count")
    assert client.inspect("count", FACTS) == before
    assert "unsupervised" in client("ps", "--format", "{{.Status}}", "-f", "name=count").line()
    refused = client("exec", "count", "true")
    assert refused.code != 0 and client.inspect("count", FACTS) == before, refused
    trouble.replace()
    trouble.wait_for_shim("count")
    assert client.inspect("count", FACTS) == before
    assert client("exec", "count", "echo", "in").line() == "in"
    wait_until(lambda: client("logs", "--tail", "1", "count").line() == "4000", "all lines are written", seconds=60)
    assert client("logs", "count").ok().split() == numbers(4_000)
    assert b"hello" in attached_answer(client, "count")
    assert "unsupervised" not in client("ps", "--format", "{{.Status}}").ok()
    client("kill", "count").ok()
    assert client.inspect("count", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"


def test_P04_whoever_is_attached_and_what_was_executed_wait_for_the_next_shim(trouble):
    client, image = trouble.client, trouble.daemon.image
    client("run", "-d", "--name", "host", image, "sleep", "100").ok()
    script = "echo one; while [ ! -e /go ]; do usleep 20000; done; echo two; exit 7"
    running = client.start("exec", "host", "sh", "-c", script, stdout=subprocess.PIPE)
    assert read_line(running) == b"one\n"
    trouble.replace(Trouble.REFUSAL)
    trouble.lose_shim("host")
    assert running.poll() is None
    trouble.replace()
    trouble.wait_for_shim("host")
    client("exec", "host", "touch", "/go").ok()
    assert running.wait(20) == 7
    assert read_rest(running) == b"two\n"


OBEYS = "trap 'exit 8' TERM; trap 'touch /heard' HUP; touch /ready; while :; do usleep 20000; done"


def test_P04_what_no_shim_looks_after_can_be_signalled_stopped_killed_and_removed(trouble, tmp_path):
    client, image = trouble.client, trouble.daemon.image
    names = ("told", "stopped", "killed", "removed", "paused")
    signs = tmp_path / "signs"
    signs.mkdir(mode=0o777)
    signs.chmod(0o777)
    script = OBEYS.replace("/heard", "/signs/heard").replace("/ready", "/signs/$0")
    for name in names:
        client("run", "-d", "--name", name, "--restart", "always", "-v", f"{signs}:/signs", image, "sh", "-c", script, name).ok()
    wait_until(lambda: len(os.listdir(signs)) == len(names), "all have set their traps")
    client("pause", "paused").ok()
    pids = {name: int(client.inspect(name, "{{.State.Pid}}")) for name in names}
    trouble.replace(Trouble.REFUSAL)
    for name in names:
        trouble.lose_shim(name)
    client("kill", "-s", "HUP", "told").ok()
    wait_until(lambda: (signs / "heard").exists(), "it was told")
    assert client("stop", "-t", "30", "stopped").line() == "stopped"
    assert client.inspect("stopped", "{{.State.Status}} {{.State.ExitCode}}") == "exited 8"
    for name in ("killed", "paused"):
        client("kill", name).ok()
        assert client.inspect(name, "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    client("rm", "-f", "removed").ok()
    assert client.inspect("told", "{{.State.Status}}") == "running"
    for name in names[1:]:
        wait_until(lambda pid=pids[name]: not alive(pid), "its process is gone")
    assert alive(pids["told"])
    assert client("start", "stopped").line() == "stopped"


@pytest.mark.parametrize("is_back", [True, False], ids=["by the next shim", "without any"])
def test_P04_an_end_that_comes_while_no_shim_is_there_is_known(trouble, is_back):
    client, image = trouble.client, trouble.daemon.image
    client("run", "-d", "--name", "ends", image, "sh", "-c", "while [ ! -e /go ]; do usleep 20000; done; echo bye; exit 6").ok()
    pid = client.inspect("ends", "{{.State.Pid}}")
    trouble.replace(Trouble.REFUSAL)
    trouble.lose_shim("ends")
    waiting = client.start("wait", "ends", stdout=subprocess.PIPE)
    with open(os.path.join(f"/proc/{pid}/root", "go"), "xb"):
        pass
    if is_back:
        trouble.replace()
    assert waiting.communicate(timeout=60)[0].strip() in (b"6", b"255")
    told = client.inspect("ends", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}")
    assert told in ("exited 6", "exited 255 status unknown: supervisor lost")
    if is_back:
        assert client("logs", "ends").line() == "bye"


def test_P04_what_ends_while_no_shim_is_there_is_started_again_by_its_policy(trouble):
    client, image = trouble.client, trouble.daemon.image
    script = "[ -e /go ] && exec sleep 100; while [ ! -e /go ]; do usleep 20000; done; exit 6"
    for name, policy in (("again", "on-failure"), ("over", "no")):
        client("run", "-d", "--name", name, "--restart", policy, image, "sh", "-c", script).ok()
    trouble.replace(Trouble.REFUSAL)
    for name in ("again", "over"):
        pid = client.inspect(name, "{{.State.Pid}}")
        trouble.lose_shim(name)
        with open(os.path.join(f"/proc/{pid}/root", "go"), "xb"):
            pass
    wait_until(lambda: client.inspect("over", "{{.State.Status}}") == "exited", "the end of the one", seconds=60)
    wait_until(lambda: client.inspect("again", "{{.State.Status}}/{{.State.Error}}") == "running/", "the other one runs again", seconds=60)
    assert client("top", "again", "-o", "pid,args").ok().split()[-2:] == ["sleep", "100"]
    assert client.inspect("over", "{{.State.Status}}") == "exited"


def test_P04_what_a_shim_left_is_taken_away_later_where_it_cannot_be_at_once(trouble):
    client, image = trouble.client, trouble.daemon.image
    client("run", "-d", "--name", "left", image, "sleep", "100").ok()
    directory = os.path.join(trouble.daemon.run, "shims", client.inspect("left", "{{.Id}}"))
    trouble.replace(Trouble.NOTHING)
    trouble.lose_shim("left")
    client("kill", "left").ok()
    assert client.inspect("left", "{{.State.Status}}") == "exited" and os.path.exists(directory)
    refused = client("start", "left")
    assert refused.code != 0 and "no room for anything" in refused.err, refused
    assert client.inspect("left", "{{.State.Status}}") == "exited"
    trouble.replace()
    client("start", "left").ok()
    assert client.inspect("left", "{{.State.Status}}") == "running"
    assert client("exec", "left", "echo", "in").line() == "in"


def test_P05_a_daemon_that_returns_without_a_shim_to_be_had_ends_nothing(trouble):
    """Daemon and shims are killed together, and the next daemon can begin no shim at first."""
    client, image, daemon = trouble.client, trouble.daemon.image, trouble.daemon
    names = [f"lives-{number}" for number in range(10)]
    for name in names:
        client("run", "-di", "--name", name, image, "sh", "-c", numbered_lines(1_000, "exec cat")).ok()
    client("exec", "-d", names[0], "sleep", "77").ok()
    client("pause", names[1]).ok()
    facts = [client.inspect(name, "{{.State.Pid}} {{.State.StartedAt}}") for name in names]
    trouble.replace(Trouble.REFUSAL)
    daemon.kill()
    for pid in daemon.shims():
        os.kill(pid, signal.SIGKILL)
    trouble.begin()
    for name in names:
        assert trouble.is_alone(name)
    assert [client.inspect(name, "{{.State.Pid}} {{.State.StartedAt}}") for name in names] == facts
    assert set(client("ps", "--format", "{{.State}}").ok().split()) == {"running"}
    trouble.replace()
    for name in names:
        trouble.wait_for_shim(name)
    assert [client.inspect(name, "{{.State.Pid}} {{.State.StartedAt}}") for name in names] == facts
    assert client.inspect(names[1], "{{.State.Status}}") == "paused"
    client("unpause", names[1]).ok()
    assert client.inspect(names[0], "{{len .ExecIDs}}") == "1"
    for name in names:
        wait_until(lambda name=name: client("logs", "--tail", "1", name).line() == "1000", "all lines are written", seconds=60)
        assert client("logs", name).ok().split() == numbers(1_000)
    assert b"hello" in attached_answer(client, names[2])
