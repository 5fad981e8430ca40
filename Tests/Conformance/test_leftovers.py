"""A creation that fails, or whose runtime is killed at any moment, leaves nothing, or `delete -f` removes it."""

import json
import os
import random
import signal
import subprocess
import time

import leaks
import pytest


def traces(runtime, folder, container):
    return leaks.mounts(folder), leaks.cgroups(container), leaks.processes(container), os.path.isdir(os.path.join(runtime.state_root, container))


NOTHING = ([], [], [], False)

FAILURES = {
    "a mount source that is missing": lambda bundle: bundle.config["mounts"].append(
        {"destination": "/mnt", "type": "bind", "source": "/nonexistent", "options": ["bind"]}),
    "a program that is missing": lambda bundle: bundle.write(["/nonexistent"]),
    "a directory that is missing": lambda bundle: bundle.write(root={"path": "nowhere"}),
    "a hook that fails": lambda bundle: bundle.write(hooks={"createRuntime": [{"path": "/bin/false"}]}),
    "a container hook that fails": lambda bundle: bundle.write(hooks={"createContainer": [{"path": "/bin/false"}]}),
    "a limit that the kernel refuses": lambda bundle: bundle.write(linux={"resources": {"cpu": {"cpus": "4096"}}}),
    "a console socket that is missing": lambda bundle: bundle.write(process={"terminal": True}),
}


@pytest.mark.spares("crun", "crun 1.8.1 leaves cgroups behind")
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_create_leaves_nothing(runtime, bundle, folder, container, failure):
    bundle.write(["true"])
    FAILURES[failure](bundle)
    bundle.write()
    words = ["--console-socket", "/nonexistent/socket"] if "console" in failure else []
    runtime.detached("create", *words, "-b", bundle.path, container).fails()
    deadline = time.monotonic() + 5
    while traces(runtime, folder, container) != NOTHING and time.monotonic() < deadline:
        time.sleep(0.02)
    assert traces(runtime, folder, container) == NOTHING


@pytest.mark.ours
def test_a32_whenever_the_runtime_is_killed_delete_removes_all_that_there_is(runtime, bundle, folder, container):
    bundle.write("sleep 600", hooks={"createRuntime": [{"path": "/bin/true"}]})
    generator = random.Random(42)
    left = 0
    for round_number in range(60):
        name = f"{container}-{round_number}"
        process = subprocess.Popen(runtime.command("create", "-b", bundle.path, name), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(generator.uniform(0, 0.04))
        process.send_signal(signal.SIGKILL)
        process.wait()
        left += os.path.isdir(os.path.join(runtime.state_root, name))
        runtime("delete", "-f", name).ok()
        runtime("delete", "-f", name).ok()
        deadline = time.monotonic() + 5
        while traces(runtime, folder, name) != NOTHING and time.monotonic() < deadline:
            time.sleep(0.01)
        assert traces(runtime, folder, name) == NOTHING, f"round {round_number}"
    assert left > 5, "the runtime was never killed at work"


@pytest.mark.ours
def test_a33_a_later_process_of_the_same_number_is_never_signalled(runtime, bundle, running):
    """The record is made to name another process's number: it started at another time, so it is not the container's."""
    path = os.path.join(runtime.state_root, running, "init.json")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    time.sleep(0.05)  # start times are counted in hundredths of a second
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        record = json.loads(text)
        record["pid"] = stranger.pid
        with open(path, "w", encoding="utf-8") as file:
            json.dump(record, file, separators=(",", ":"))
        runtime("kill", running, "KILL").fails("not running")
        assert runtime.status(running) == "stopped"
        time.sleep(0.05)
        assert stranger.poll() is None
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        stranger.kill()
        stranger.wait()
    assert runtime.status(running) == "running"


def test_a_finished_run_leaves_nothing(runtime, bundle, folder, container):
    bundle.write("sleep 0.01 & exit 3")
    assert runtime("run", "-b", bundle.path, container).code == 3
    assert traces(runtime, folder, container) == NOTHING


@pytest.mark.spares("crun", "crun 1.8.1 waits for them")
def test_processes_that_outlive_init_in_a_shared_pid_namespace_end_with_the_container(runtime, bundle, folder, container):
    bundle.without_namespace("pid").write("sleep 601 & exit 0")
    runtime("run", "-b", bundle.path, container, timeout=20)
    runtime("delete", "-f", container)
    deadline = time.monotonic() + 5
    while leaks.processes("sleep 601") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert leaks.processes("sleep 601") == []
