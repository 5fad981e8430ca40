"""A creation that fails, or whose runtime is killed at any moment, leaves nothing, or `delete -f` removes it."""
# Rows: attacks

import collections
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

import leaks
import pytest
from attackers import Standstill
from claims import spec
from processes import PATIENCE, alive, wait_until


def traces(runtime, folder, container):
    return leaks.mounts(folder), leaks.cgroups(container), leaks.processes(container), os.path.isdir(os.path.join(runtime.state_root, container))


NOTHING = ([], [], [], False)
KILLS_AT_ALL = os.environ.get("APUS_KILLS") == "all"

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


@spec("runtime.md#runtimeLifecycle", "it MUST generate an error.")
@spec("runtime.md#runtimeErrors", "MUST leave the state of the environment")
@spec("runtime.md#runtimeCreate", "If the runtime cannot apply a property")
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_create_leaves_nothing(runtime, bundle, folder, container, failure):
    bundle.write(["true"])
    FAILURES[failure](bundle)
    bundle.write()
    words = ["--console-socket", "/nonexistent/socket"] if "console" in failure else []
    runtime.detached("create", *words, "-b", bundle.path, container).fails()
    vanishes(runtime, folder, container, failure)


@pytest.mark.ours
@pytest.mark.parametrize("call, error", [("openat", "ENFILE"), ("flock", "ENOLCK"), ("newfstatat", "ENOMEM")])
def test_a_create_that_fails_right_after_its_directory_was_made_leaves_the_name_free(runtime, bundle, folder, container, call, error):
    bundle.write("sleep 600")
    failures = 0
    for number in (1, 2, 3):
        tracing = ["strace", "-qq", "-o", os.path.join(folder, "trace"), "-P", os.path.join(runtime.state_root, container),
                   "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}"]
        done = subprocess.run([*tracing, *runtime.command("create", "-b", bundle.path, container)], check=False, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            runtime("delete", "-f", container).ok()
        failures += done.returncode != 0
        vanishes(runtime, folder, container, f"{call} {number}")
    assert failures


def vanishes(runtime, folder, container, what, seconds=5):
    """Nothing of a container is left, after what its processes need to end."""
    deadline = time.monotonic() + seconds * PATIENCE
    while traces(runtime, folder, container) != NOTHING and time.monotonic() < deadline:
        time.sleep(0.01)
    assert traces(runtime, folder, container) == NOTHING, what


def is_deleted_whole(runtime, folder, container, what, seconds=5):
    """Both removals succeed, of whatever there is and of nothing at all."""
    runtime("delete", "-f", container).ok()
    runtime("delete", "-f", container).ok()
    vanishes(runtime, folder, container, what, seconds)


@pytest.mark.ours
def test_A32_whenever_the_runtime_is_killed_delete_removes_all_that_there_is(runtime, bundle, folder, container):
    bundle.write("sleep 600", hooks={"createRuntime": [{"path": "/bin/true"}]})
    # On an emulated machine it takes twenty times as long as on another, and the first one longer than the next.
    took = []
    for _ in range(3):
        began = time.monotonic()
        runtime.detached("create", "-b", bundle.path, container).ok()
        took.append(time.monotonic() - began)
        runtime("delete", "-f", container).ok()
    whole = min(took)
    generator = random.Random(42)
    left = 0
    for round_number in range(60):
        name = f"{container}-{round_number}"
        process = subprocess.Popen(runtime.command("create", "-b", bundle.path, name), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(generator.uniform(0, whole))
        process.send_signal(signal.SIGKILL)
        process.wait()
        was_killed, has_begun = process.returncode == -signal.SIGKILL, os.path.isdir(os.path.join(runtime.state_root, name))
        left += was_killed and has_begun
        # How long it takes changes with what else the machine does: the next one is killed earlier than one that came to its end, and later than
        # one that had done nothing yet.
        whole *= 1 if was_killed and has_begun else 1.15 if was_killed else 0.85
        is_deleted_whole(runtime, folder, name, f"round {round_number}")
    assert left > 5, "the runtime was never killed at work"


def traced(command, *flags, below=()):
    return subprocess.run([*below, "strace", "-qq", *flags, *command], check=False, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_points(runtime, words, folder, name, follow, below=()):
    """Every call that a creation makes, as what strace counts: the call's name, and which of that name it is."""
    path = os.path.join(folder, "calls")
    assert traced(runtime.command(*words, name), *follow, "-e", "signal=none", "-o", path, below=below).returncode == 0
    runtime("delete", "-f", name).ok()
    counts = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            process, _, text = line.partition(" ") if follow else ("", "", line)
            if match := re.match(r" *(\w+)\(", text):
                counts.setdefault(process, collections.Counter())[match[1]] += 1
    os.unlink(path)
    # Of each name as often as the process does that calls it most: strace counts for each of them.
    most = collections.Counter()
    for counter in counts.values():
        most |= counter
    return [(call, number) for call in sorted(most) for number in range(1, most[call] + 1)]


@pytest.mark.ours
@pytest.mark.parametrize("verb, follow", [("create", []), ("run", []), ("run", ["-f"])], ids=["create", "run", "run, or a process of it"])
def test_A32_killed_at_any_of_its_system_calls_a_creation_is_undone_by_delete(runtime, bundle, folder, container, verb, follow):
    """Sixty of them in a normal run; each single one with APUS_KILLS=all. Of several processes, whoever is first is killed."""
    bundle.write(["true"], hooks={"createRuntime": [{"path": "/bin/true"}]})
    words = [verb, "-b", bundle.path]
    points = kill_points(runtime, words, folder, f"{container}-plain", follow)
    assert len(points) > 100
    assert killed_at(few_of(points, 60), runtime, words, folder, container, follow) > 5, "the runtime was never killed at work"


def few_of(points, count):
    """So many of them, evenly; all of them in the nightly run."""
    return points if KILLS_AT_ALL else points[::len(points) // count + 1]


def killed_at(points, runtime, words, folder, container, follow, below=()):
    """Kills a creation at each of its calls, and deletes what there is. - Returns: how often a container was left."""
    left = 0
    for index, (call, number) in enumerate(points):
        name = f"{container}-{index}"
        traced(runtime.command(*words, name), *follow, "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}", below=below)
        left += os.path.isdir(os.path.join(runtime.state_root, name))
        is_deleted_whole(runtime, folder, name, f"killed at {call} number {number}", seconds=10)
    return left


def with_id_mapped_mount(bundle):
    mappings = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": bundle.path, "options": ["bind"],
                                    "uidMappings": mappings, "gidMappings": mappings})


RICHER = {
    "a user namespace": lambda bundle: bundle.map_users(),
    "an id-mapped mount": with_id_mapped_mount,
    "network devices": lambda bundle: bundle.write(linux={"netDevices": {"apus0": {"name": "eth0"}}}),
    "a terminal": lambda bundle: bundle.write(process={"terminal": True}),
    "hooks of all kinds": lambda bundle: bundle.write(hooks={kind: [{"path": "/bin/true"}] for kind in (
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")}),
}
# In a network namespace of its own, with a pair of devices.
WITH_DEVICES = ["unshare", "-n", "sh", "-ec", 'ip link add apus0 type veth peer name apus1; exec "$@"', "sh"]


@pytest.mark.ours
@pytest.mark.parametrize("follow", [[], ["-f"]] if KILLS_AT_ALL else [[]], ids=["the runtime", "or a process of it"][:1 + KILLS_AT_ALL])
@pytest.mark.parametrize("kind", RICHER)
def test_A32_killed_at_any_of_its_system_calls_a_creation_with_more_is_undone_by_delete(runtime, bundle, folder, container, console, kind, follow):
    """Ten of them in a normal run, of the runtime alone; each single one with APUS_KILLS=all."""
    RICHER[kind](bundle)
    bundle.write(["true"])
    # strace waits for all that it follows, and what is created for its start.
    words = ["run" if follow else "create", "-b", bundle.path]
    if kind == "a terminal" and not follow:
        words += ["--console-socket", console]
    below = WITH_DEVICES if kind == "network devices" else ()
    points = kill_points(runtime, words, folder, f"{container}-plain", follow, below)
    left = killed_at(few_of(points, 10), runtime, words, folder, container, follow, below)
    assert left > 1, "the runtime was never killed at work"


@pytest.fixture
def console(bundle):
    """A socket whose owner takes every terminal and closes it at once."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(bundle.path, "console.sock"))
    listener.listen(64)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            # Who connected may be killed before a word.
            with connection, contextlib.suppress(OSError):
                connection.settimeout(20 * PATIENCE)
                for descriptor in socket.recv_fds(connection, 4096, 8)[1]:
                    os.close(descriptor)

    thread = threading.Thread(daemon=True, target=serve)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(20)


@pytest.mark.ours
def test_A32_killed_while_it_maps_the_owners_of_a_mount_the_runtime_leaves_nobody_who_holds_the_lock(
        runtime, bundle, folder, container, tmp_path):
    """A user namespace for the mount has a process for that moment, which has all that the runtime has."""
    mappings = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(tmp_path), "options": ["bind"],
                                    "uidMappings": mappings, "gidMappings": mappings})
    bundle.write("sleep 600")
    with Standstill(r"/proc/\d+/uid_map") as standstill:
        process = subprocess.Popen(runtime.command("create", "-b", bundle.path, container), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=standstill, close_fds=False)
        assert standstill.reached.wait(30 * PATIENCE), "the runtime maps no owners"
        process.kill()
        process.wait()
        is_deleted_whole(runtime, folder, container, "killed while it mapped owners")


@pytest.mark.ours
def test_A33_a_later_process_of_the_same_number_is_never_signalled(runtime, bundle, running):
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


@pytest.mark.ours
def test_A33_delete_kills_no_later_process_of_the_same_number(runtime, bundle, folder, running):
    """All that is the container's goes, by its cgroup; the process that the record names by mistake stays."""
    path = os.path.join(runtime.state_root, running, "init.json")
    time.sleep(0.05)  # start times are counted in hundredths of a second
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**record, "pid": stranger.pid}, file, separators=(",", ":"))
        runtime("delete", "-f", running).ok()
        assert traces(runtime, folder, running)[1:] == NOTHING[1:]
        wait_until(lambda: not alive(record['pid']), "the container's process is gone")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@spec("runtime.md#runtimeLifecycle", "The container MUST be destroyed by undoing the steps")
@spec("runtime.md#runtimeDelete", "Deleting a container MUST delete the resources")
def test_a_finished_run_leaves_nothing(runtime, bundle, folder, container):
    bundle.write("sleep 0.01 & exit 3")
    assert runtime("run", "-b", bundle.path, container).code == 3
    assert traces(runtime, folder, container) == NOTHING


def test_processes_that_outlive_init_in_a_shared_pid_namespace_end_with_the_container(runtime, bundle, folder, container):
    bundle.without_namespace("pid").write("sleep 7392 & exit 0")
    runtime("run", "-b", bundle.path, container, timeout=20)
    runtime("delete", "-f", container)
    wait_until(lambda: not leaks.processes("sleep 7392"), "they end", seconds=5)
