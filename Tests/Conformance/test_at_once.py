"""Several commands at one container at the same time: each has its effect or says that it has none, and what ends meanwhile is no error."""

import fcntl
import json
import os
import signal
import subprocess
import time

import pytest
from claims import spec
from processes import PATIENCE, read_line, read_rest, wait_until

ours = pytest.mark.ours


def marks(bundle, kind):
    """A hook of this kind that leaves a mark each time; and a function that counts the marks."""
    path = os.path.join(bundle.path, "marks")
    made = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > /dev/null; echo {kind} >> {path}"], "env": ["PATH=/bin:/usr/bin"]}]}

    def count():
        if not os.path.exists(path):
            return 0
        with open(path, encoding="utf-8") as file:
            return len(file.readlines())
    return made, count


@pytest.fixture
def in_foreground(runtime, bundle, container):
    """Starts a container whose `run` stays with it; ends what is left of it."""
    started = []

    def start(number=0):
        name = f"{container}-{number}"
        process = subprocess.Popen(runtime.command("run", "-b", bundle.path, name), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        started.append((name, process))
        wait_until(lambda: (result := runtime("state", name)).code == 0 and json.loads(result.out)["status"] == "running", "it runs")
        return name, process
    yield start
    for name, process in started:
        if process.poll() is None:
            process.kill()
            # It has the other end of the errors' pipe, too.
            runtime("delete", "-f", name)
        process.communicate(timeout=60 * PATIENCE)


@spec("runtime.md#runtimeStart", "Attempting to `start` a container that is not `created`")
def test_of_several_starts_one_has_started_it(runtime, bundle, container):
    hooks, count = marks(bundle, "poststart")
    bundle.write("sleep 600", hooks=hooks if runtime.kind == "apus" else {})
    for number in range(1, 11):
        name = f"{container}-{number}"
        runtime.detached("create", "-b", bundle.path, name).ok()
        starts = [subprocess.Popen(runtime.command("start", name), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE) for _ in range(3)]
        errors = [start.communicate(timeout=60 * PATIENCE)[1].decode() for start in starts]
        assert sorted(start.returncode != 0 for start in starts) == [False, True, True], errors
        if runtime.kind == "apus":
            assert sum("cannot start an already running container" in error for error in errors) == 2, errors
            assert count() == number
        assert runtime.status(name) == "running"
        runtime("delete", "-f", name).ok()


@ours
def test_a_container_whose_run_stays_with_it_is_deleted_by_force_once(runtime, bundle, in_foreground):
    hooks, count = marks(bundle, "poststop")
    bundle.write("sleep 600", hooks=hooks)
    name, process = in_foreground()
    runtime("delete", name).fails("that is not stopped: running")
    runtime("delete", "-f", name).ok()
    assert (process.wait(20 * PATIENCE), read_rest(process.stderr)) == (137, b"")
    assert count() == 1
    runtime("state", name).fails("does not exist")


@ours
def test_what_ends_a_container_is_no_error_however_soon_its_run_removes_it(runtime, bundle, in_foreground):
    bundle.write("sleep 600")
    for number in range(16):
        name, process = in_foreground(number)
        killed = runtime("kill", name, "KILL").ok()
        looked = runtime("list")
        assert (killed.err, looked.code, looked.err) == ("", 0, "")
        assert (process.wait(20 * PATIENCE), read_rest(process.stderr)) == (137, b"")


@ours
def test_events_end_with_the_container_whatever_they_were_reading(runtime, bundle, in_foreground):
    bundle.write("sleep 600")
    for number in range(10):
        name, process = in_foreground(number)
        events = subprocess.Popen(runtime.command("events", "--interval", "1ms", name), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        read_line(events)
        process.send_signal(signal.SIGQUIT)
        runtime("kill", name, "KILL")
        assert (events.communicate(timeout=20 * PATIENCE)[1], events.returncode) == (b"", 0)
        assert process.wait(20 * PATIENCE) in (131, 137)


@ours
def test_whoever_looks_at_a_container_that_begins_does_not_hinder_it(runtime, bundle, container):
    """The name is taken, and before the runtime locks it somebody who looks has it locked for a moment."""
    bundle.write(["true"])
    place = os.path.join(runtime.state_root, container)
    # Who looks must come in the moment between the directory and its lock: where it was missed, once more.
    for _ in range(10):
        with open(os.path.join(bundle.path, "errors"), "w", encoding="utf-8") as errors:
            process = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-e", "trace=mkdir,mkdirat", "-e",
                                        "inject=mkdir,mkdirat:delay_exit=150000", *runtime.command("create", "-b", bundle.path, container)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        wait_until(lambda: os.path.isdir(place), "its state directory", every=0.001)
        looking = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(looking, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(0.5)
            came_in_time = True
        except BlockingIOError:
            came_in_time = False
        finally:
            os.close(looking)
            code = process.wait(60 * PATIENCE)
        assert code == 0, open(errors.name, encoding="utf-8").read()
        runtime("delete", "-f", container).ok()
        if came_in_time:
            return
    raise AssertionError("the moment before the lock was missed ten times")


@ours
def test_a_caller_that_ignores_the_end_of_its_children_is_told_ours(runtime, bundle, container):
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN), "timeout": 20}
    bundle.write("sleep 600", hooks={"createRuntime": [{"path": "/bin/true"}]})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    assert runtime("exec", container, "sh", "-c", "exit 9", **ignoring).code == 9
    assert len(runtime("ps", container, **ignoring).ok().lines) == 2
    runtime("delete", "-f", container, **ignoring).ok()
    bundle.write("exit 7")
    result = runtime("run", "-b", bundle.path, container, **ignoring)
    assert (result.code, result.err) == (7, "")


@pytest.mark.parametrize("verb", ["create", "run"])
def test_a_name_that_is_taken_is_said_to_be_taken(runtime, bundle, container, verb):
    """Also where the cgroup is named after it, as without a cgroupsPath, and is that container's."""
    bundle.config["linux"].pop("cgroupsPath", None)
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    runtime(verb, "-b", bundle.path, container).fails("container with given ID already exists", code=1)
    assert runtime.status(container) == "running"


@ours
def test_of_many_creates_of_one_name_the_others_hear_that_it_is_taken(runtime, bundle, container):
    bundle.config["linux"].pop("cgroupsPath", None)
    bundle.write("sleep 600")
    creates = [subprocess.Popen(runtime.command("create", "-b", bundle.path, container), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=open(os.path.join(bundle.path, f"said-{number}"), "wb")) for number in range(20)]
    codes = [create.wait(timeout=60 * PATIENCE) for create in creates]
    said = [open(os.path.join(bundle.path, f"said-{number}"), encoding="utf-8").read() for number, code in enumerate(codes) if code]
    assert codes.count(0) == 1 and {text.split("create failed: ")[-1].strip() for text in said} == {'container with given ID already exists"'}
