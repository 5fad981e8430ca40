"""containerd's own shim in the place of a runtime: apusd has it look after containers, and keeps what it keeps of any."""

import os
import signal
from pathlib import Path

import pytest

import leaks
from processes import UNTIL_GO, alive, go, wait_until

FOREIGN = "/usr/bin/containerd-shim-runc-v2"
# The daemon's own command line names it, too.
THEIRS = f"{FOREIGN} -namespace"


@pytest.fixture
def foreign(brittle):
    """A daemon with that shim as one of its runtimes; `run` runs a container by it."""
    assert brittle.stop() == 0
    brittle.flags = ("--runtime", f"theirs={FOREIGN}")
    brittle.start(*brittle.flags)
    client = brittle.client
    brittle.run_container = lambda *words: client("run", "--runtime", "theirs", *words)
    yield brittle
    client("rm", "-f", *(client("ps", "-aq").ok().split() or ["none"]))
    wait_until(lambda: not leaks.processes(THEIRS), "their shims are gone", seconds=20)
    state = Path("/run/containerd/runc/apus")
    assert not state.exists() or not list(state.iterdir())


def test_a_container_of_containerds_shim_lives_as_any_other(foreign):
    client, image = foreign.client, foreign.image
    done = foreign.run_container("--rm", image, "sh", "-c", "echo out; echo err >&2; exit 33")
    assert (done.code, done.out, done.err) == (33, "out\n", "err\n"), (done, foreign.log())
    assert foreign.run_container("--rm", image, "cat").code == 0
    assert client("run", "--runtime", "theirs", "--rm", "-i", image, "cat", stdin="to and fro\n").ok() == "to and fro\n"
    foreign.run_container("-d", "--name", "box", "-p", "127.0.0.1::80", "-m", "64m", image, "sh", "-c",
                          "trap 'exit 7' TERM; i=0; while :; do i=$((i+1)); echo $i; usleep 20000; done").ok()
    pid = int(client.inspect("box", "{{.State.Pid}}"))
    # It is their child, not ours.
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert FOREIGN.encode() in Path(f"/proc/{parent}/cmdline").read_bytes()
    done = client("exec", "box", "sh", "-c", "echo in; exit 5")
    assert (done.code, done.out) == (5, "in\n")
    assert client("exec", "-i", "box", "cat", stdin="through\n").out == "through\n"
    client("pause", "box").ok()
    assert client.inspect("box", "{{.State.Status}}") == "paused"
    client("unpause", "box").ok()
    client("update", "-m", "128m", "--memory-swap", "256m", "box").ok()
    assert "128MiB" in client("stats", "--no-stream", "--format", "{{.MemUsage}}", "box").ok()
    client("stop", "box").ok()
    assert client.inspect("box", "{{.State.Status}} {{.State.ExitCode}}") == "exited 7"
    numbers = client("logs", "box").ok().split()
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)] and len(numbers) > 10
    client("start", "box").ok()
    client("kill", "box").ok()
    assert client.inspect("box", "{{.State.ExitCode}}") == "137"
    client("rm", "box").ok()


def test_it_outlives_the_daemon_and_its_end_meanwhile_is_known(foreign):
    client, image = foreign.client, foreign.image
    foreign.run_container("-d", "--name", "stays", image, "sleep", "300").ok()
    foreign.run_container("-d", "--name", "ends", image, "sh", "-c", f"{UNTIL_GO}; exit 6").ok()
    pid, ending = (client.inspect(name, "{{.State.Pid}}") for name in ("stays", "ends"))
    foreign.kill()
    go(ending)
    wait_until(lambda: not alive(ending), "the one ends")
    foreign.start(*foreign.flags)
    assert client.inspect("stays", "{{.State.Status}} {{.State.Pid}}") == f"running {pid}"
    assert client.inspect("ends", "{{.State.Status}} {{.State.ExitCode}}") == "exited 6"
    assert client("exec", "stays", "echo", "in").line() == "in"
    client("stop", "-t", "0", "stays").ok()
    assert client.inspect("stays", "{{.State.ExitCode}}") == "137"


def test_a_restart_policy_works_and_a_program_that_is_missing_is_told(foreign):
    client, image = foreign.client, foreign.image
    foreign.run_container("-d", "--name", "again", "--restart", "on-failure:2", image, "sh", "-c", "echo run; exit 3").ok()
    wait_until(lambda: client.inspect("again", "{{.State.Status}}") == "exited", "the policy gives up", seconds=30)
    assert client.inspect("again", "{{.RestartCount}} {{.State.ExitCode}}") == "2 3" and client("logs", "again").ok() == "run\n" * 3
    refused = foreign.run_container("--name", "wrong", image, "no-such-program")
    assert refused.code == 127 and "no-such-program" in refused.err, refused
    refused = foreign.run_container("--rm", "-t", image, "true")
    assert refused.code != 0 and "terminal" in refused.err, refused


def test_a_killed_shim_of_theirs_ends_its_container(foreign):
    """Its payload has no supervisor any more that could say how it ends."""
    client, image = foreign.client, foreign.image
    foreign.run_container("-d", "--name", "box", image, "sleep", "300").ok()
    pid = int(client.inspect("box", "{{.State.Pid}}"))
    for shim in leaks.processes(THEIRS):
        os.kill(shim, signal.SIGKILL)
    wait_until(lambda: client.inspect("box", "{{.State.Status}}") == "exited", "the loss is told", seconds=20)
    client("rm", "-f", "box").ok()
    assert not alive(pid)


def test_a_container_is_gone_with_their_shim_and_another_one_of_its_name_has_its_own(foreign, tmp_path):
    """That shim takes its socket away after it has answered that it ends: whoever asks for the next one meanwhile would be sent to the one that goes,
    or lose the new socket. Here it takes long over it."""
    slow = tmp_path / "containerd-shim-slow"
    slow.write_text(f"#!/bin/sh\nexec strace -D -f -qq -o {tmp_path}/calls -e trace=unlinkat -e inject=unlinkat:delay_enter=700000 {FOREIGN} \"$@\"\n")
    slow.chmod(0o755)
    assert foreign.stop() == 0
    foreign.start("--runtime", f"theirs={slow}")
    client = foreign.client
    foreign.run_container("-d", "--name", "again", "--restart", "on-failure:2", foreign.image, "sh", "-c", "echo run; exit 3").ok()
    wait_until(lambda: client.inspect("again", "{{.State.Status}}") == "exited", "the policy gives up", seconds=60)
    assert client.inspect("again", "{{.RestartCount}} {{.State.ExitCode}}") == "2 3", client.inspect("again", "{{.State.Error}}")
    assert client("logs", "again").ok() == "run\n" * 3
    client("rm", "again").ok()
    assert not leaks.processes(THEIRS)
