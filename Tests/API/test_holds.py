"""Rows A12, D11, D19, P02: containers that end while they are paused, and those that are paused for a commit, whoever dies meanwhile."""
# Rows: features

import contextlib
import os
import signal
import subprocess
import time

import leaks
import pytest
from engine_http import api
from processes import PATIENCE, alive, wait_until
from test_shim_death import shim_of

# What a commit of the container reads for a while.
BIG = "dd if=/dev/urandom of=/big bs=1M count=128 2>/dev/null; "
COUNTING = "n=0; while :; do n=$((n+1)); echo $n; usleep 20000; done"


def status(daemon, name):
    return api(daemon, "GET", f"/containers/{name}/json", expect=200)[1]["State"]["Status"]


def actions(client, name):
    identity = client.inspect(name, "{{.Id}}")
    told = client("events", "--since", "1", "--until", f"{time.time() + 1:.0f}", "-f", f"container={identity}", "--format", "{{.Action}}").ok().split()
    return [action for action in told if action in ("pause", "unpause", "commit")]


def run_with_a_big_file(client, image, name, *flags):
    """Returns when there is much for a commit to read, and the container counts."""
    client("run", "-d", "--name", name, *flags, image, "sh", "-c", BIG + COUNTING).ok()
    wait_until(lambda: client("logs", "--tail", "1", name).line(), "it counts", seconds=60)


def wait_until_held(daemon, name, committing):
    """Returns when a commit has it, or has had it: it does not take long."""
    wait_until(lambda: status(daemon, name) == "paused" or committing.poll() is not None, "the commit has it")


def held_by_a_commit(daemon, client, name):
    """A commit that has the container paused; one that is over before anybody has looked is made once more."""
    for _ in range(20):
        committing = client.start("commit", name, "made:v1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until_held(daemon, name, committing)
        if committing.poll() is None:
            return committing
        assert answer(committing)[0] == 0
        client("rmi", "-f", "made:v1").ok()
    raise AssertionError("no commit was seen to have it paused")


def last(client, name):
    return int(client("logs", "--tail", "1", name).line())


def thaw(pid):
    """Lets a process go on that the freezer holds, without anybody else's knowing it."""
    name = freezer(pid)
    with open(name, "w", encoding="utf-8") as file:
        file.write("THAWED" if name.endswith("freezer.state") else "0")


def freezer(pid):
    """The file that says whether a process is held, and has it so."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        paths = {names: path for _, names, path in (line.strip().split(":", 2) for line in file)}
    return f"/sys/fs/cgroup/freezer{paths['freezer']}/freezer.state" if "freezer" in paths else f"/sys/fs/cgroup{paths['']}/cgroup.freeze"


def is_frozen(pid):
    with open(freezer(pid), encoding="utf-8") as file:
        return file.read().strip() in ("FROZEN", "1")


class HeldShim:
    def __init__(self, pid):
        self.pid = pid

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)


@contextlib.contextmanager
def ended_behind_the_shim(daemon, client, name, frozen=False):
    """The container's process ends while its shim is held, and somebody else has its output open: the shim, which is yielded, knows first of all of
    the end once it goes on, and tells of it two seconds later."""
    pid, shim = int(client.inspect(name, "{{.State.Pid}}")), HeldShim(shim_of(daemon, client, name))
    output = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY)
    os.kill(shim.pid, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        if frozen:
            thaw(pid)
        wait_until(lambda: not alive(pid), "the process ends")
        yield shim
    finally:
        with contextlib.suppress(ProcessLookupError):
            shim.go_on()
        os.close(output)


def asked(shim, client, *words):
    """A command that has asked the daemon, which has asked the shim, that does not answer yet."""
    before = leaks.unread(shim.pid)
    process = client.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: leaks.unread(shim.pid) > before or process.poll() is not None, "the shim is asked", seconds=30)
    assert process.poll() is None, process.communicate()
    return process


def answer(process):
    """The exit code, and what a command said."""
    out, error = process.communicate(timeout=60 * PATIENCE)
    return process.returncode, (out + error).decode()


@pytest.mark.parametrize("policy", ["no", "always"])
def test_D11_a_container_that_ends_while_it_is_paused_lets_unpause_succeed(own_daemon, apus, image, policy):
    apus("run", "-d", "--name", "count", "--restart", policy, image, "sh", "-c", COUNTING).ok()
    apus("pause", "count").ok()
    with ended_behind_the_shim(own_daemon, apus, "count", frozen=True) as shim:
        unpausing = asked(shim, apus, "unpause", "count")
        shim.go_on()
        assert answer(unpausing) == (0, "count\n")
        assert status(own_daemon, "count") in (["exited"] if policy == "no" else ["restarting", "running"])


@pytest.mark.parametrize("policy, reason", [("no", "is not running"), ("always", "is restarting, wait until the container is running")])
def test_D11_a_container_that_is_just_ending_is_not_paused_and_its_state_is_the_reason(own_daemon, apus, image, policy, reason):
    apus("run", "-d", "--name", "count", "--restart", policy, image, "sh", "-c", COUNTING).ok()
    with ended_behind_the_shim(own_daemon, apus, "count") as shim:
        pausing = asked(shim, apus, "pause", "count")
        shim.go_on()
        code, words = answer(pausing)
    assert code == 1 and reason in words, words


def test_D11_a_container_that_somebody_let_go_on_at_the_host_is_unpaused(own_daemon, apus, image):
    apus("run", "-d", "--name", "count", image, "sh", "-c", COUNTING).ok()
    apus("pause", "count").ok()
    thaw(int(apus.inspect("count", "{{.State.Pid}}")))
    apus("unpause", "count").ok()
    assert status(own_daemon, "count") == "running"


def test_D19_a_container_that_is_just_ending_is_committed(own_daemon, apus, image):
    apus("run", "-d", "--name", "count", image, "sh", "-c", "echo new > /new; " + COUNTING).ok()
    wait_until(lambda: apus("logs", "--tail", "1", "count").line(), "it counts")
    with ended_behind_the_shim(own_daemon, apus, "count") as shim:
        committing = asked(shim, apus, "commit", "count", "made:v1")
        shim.go_on()
        assert answer(committing)[0] == 0
    assert apus("run", "--rm", "made:v1", "cat", "/new").line() == "new"
    apus("rmi", "-f", "made:v1").ok()


def test_D19_a_container_that_ends_while_a_commit_has_it_paused_is_committed(own_daemon, apus, image):
    run_with_a_big_file(apus, image, "count")
    committing = held_by_a_commit(own_daemon, apus, "count")
    with ended_behind_the_shim(own_daemon, apus, "count", frozen=True) as shim:
        wait_until(lambda: apus("images", "-q", "made:v1").line(), "the image is made", seconds=60)
        time.sleep(0.5)
        shim.go_on()
        assert answer(committing)[0] == 0
        assert status(own_daemon, "count") == "exited"
    apus("rmi", "-f", "made:v1").ok()


def test_D19_of_two_commits_the_one_that_is_done_first_leaves_the_container_paused_for_the_other(own_daemon, apus, image):
    run_with_a_big_file(apus, image, "count")
    told = []
    # The second one may come late, or both be done at the same time, where the machine does something else; but not each time.
    while len(told) < 5:
        before = len(actions(apus, "count"))
        committing = [apus.start("commit", "count", "made:v1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)]
        wait_until_held(own_daemon, "count", committing[0])
        committing.append(apus.start("commit", "count", "made:v2", stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        assert [answer(one)[0] for one in committing] == [0, 0]
        assert status(own_daemon, "count") == "running"
        apus("rmi", "-f", "made:v1", "made:v2").ok()
        told.append(actions(apus, "count")[before:])
        if told[-1] == ["pause", "commit", "unpause", "commit"]:
            return
    raise AssertionError(told)


@pytest.mark.parametrize("verb", ["pause", "unpause"])
@pytest.mark.parametrize("dies", ["daemon", "daemon and shim"])
def test_P02_what_a_daemon_had_its_shim_do_and_may_not_have_lived_to_tell_is_told_once(brittle, verb, dies):
    """By it or by the next one, and not again by the one after that."""
    client = brittle.client
    client("run", "-d", "--name", "count", brittle.image, "sh", "-c", COUNTING).ok()
    before = []
    if verb == "unpause":
        client("pause", "count").ok()
        before = ["pause"]
        wait_until(lambda: actions(client, "count") == before, "that is told")
    pid, shim = int(client.inspect("count", "{{.State.Pid}}")), shim_of(brittle, client, "count")
    asking = client.start(verb, "count", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # At once: the shim has not answered yet.
    wait_until(lambda: is_frozen(pid) == (verb == "pause"), "the kernel has done it", every=0)
    brittle.kill()
    asking.wait(20)
    if dies == "daemon and shim":
        os.kill(shim, signal.SIGKILL)
    for _ in range(2):
        brittle.start()
        wait_until(lambda: status(brittle, "count") == ("paused" if verb == "pause" else "running"), "the next one sees it")
        assert actions(client, "count") == [*before, verb]
        brittle.kill()
    brittle.start()


def test_D12_a_paused_container_that_is_stopped_goes_on_first_which_is_told(own_daemon, apus, image):
    apus("run", "-d", "--name", "count", image, "sh", "-c", "trap 'exit 7' TERM; " + COUNTING).ok()
    wait_until(lambda: apus("logs", "--tail", "1", "count").line(), "it counts, and will heed the signal")
    apus("pause", "count").ok()
    apus("stop", "count").ok()
    assert apus.inspect("count", "{{.State.ExitCode}}") == "7" and actions(apus, "count") == ["pause", "unpause"]


@pytest.mark.parametrize("dies", ["daemon", "daemon and shim", "daemon that is told to end"])
def test_P02_a_container_that_a_commit_has_paused_when_the_daemon_dies_goes_on_with_the_next_one(brittle, dies):
    client = brittle.client
    run_with_a_big_file(client, brittle.image, "count")
    committing = held_by_a_commit(brittle, client, "count")
    if dies == "daemon that is told to end":
        brittle.stop()
    else:
        brittle.kill()
    if dies == "daemon and shim":
        os.kill(brittle.shims()[0], signal.SIGKILL)
    answer(committing)
    brittle.start()
    wait_until(lambda: status(brittle, "count") == "running", "it is let go")
    before = last(client, "count")
    wait_until(lambda: last(client, "count") > before, "it counts on")
    assert actions(client, "count")[-2:] == ["pause", "unpause"]
    # What somebody pauses from now on is that one's own.
    client("pause", "count").ok()
    brittle.kill()
    brittle.start()
    assert status(brittle, "count") == "paused"


def test_P02_a_container_that_somebody_has_paused_stays_so_though_the_daemon_dies_in_a_commit(brittle):
    client = brittle.client
    run_with_a_big_file(client, brittle.image, "count")
    client("pause", "count").ok()
    committing = client.start("commit", "count", "made:v1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.2)
    brittle.kill()
    committing.wait(20)
    brittle.start()
    assert status(brittle, "count") == "paused"
