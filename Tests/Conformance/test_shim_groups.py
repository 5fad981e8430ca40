"""One shim for several containers, and version 3 of the task service: what containerd asks of a shim for a pod."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from shim_client import (ALREADY_EXISTS, BINARIES, CGROUPS, NOT_FOUND, RESPONSE, SHIM, UNIMPLEMENTED, Connection, Events, EventSink, Refused, alive, any_of,
                         make_bundle, message, parse, wait_until)
from shim_fixtures import CHOSEN, RUNTIMES, groups_left, processes_below

TASKS = ("containerd.task.v2.Task", "containerd.task.v3.Task")
GROUP_LABELS = ("io.kubernetes.cri.sandbox-id", "io.containerd.runc.v2.group")


class Pods:
    """Bundles side by side as containerd lays them out, and its calls of the shim's command line."""

    def __init__(self, runtime):
        self.folder = Path(tempfile.mkdtemp(prefix="apus-pods-"))
        self.namespace = self.folder / "state" / "tests"
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        self.program = self.programs / "containerd-shim-apus-v2"
        shutil.copy(SHIM, self.program)
        (self.programs / "apus-runtime").symlink_to(runtime)
        self.made = []
        self.events = EventSink(self.folder / "containerd.sock.ttrpc")

    def bundle(self, id):
        return self.namespace / id

    def prepare(self, id, *args, annotations=None, **changes):
        make_bundle(self.bundle(id), args, False, f"/{CGROUPS}-{id}", **changes)
        if annotations:
            path = self.bundle(id) / "config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": annotations}))
        self.made.append(id)

    def command(self, id, *words, input=b"", environment=(), where=None):
        flags = ("-namespace", "tests", "-address", self.folder / "containerd.sock", "-publish-binary", "/usr/bin/containerd", "-id", id)
        return subprocess.run([self.program, *flags, *words], cwd=where or self.bundle(id), capture_output=True, timeout=60, input=input,
                              env={**os.environ, **dict(environment)})

    def start(self, id, **options):
        done = self.command(id, "start", **options)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout

    def begin(self, id, *args, annotations, **changes):
        """Bundle, start, Create, Start; returns the connection and the process's pid."""
        self.prepare(id, *args, annotations=annotations, **changes)
        connection = Connection(socket_of(self.start(id)))
        pid = self.create(connection, id)
        connection.call(TASKS[0], "Start", message(f1=id))
        return connection, pid

    def create(self, connection, id, service=TASKS[0], **fields):
        return connection.call(service, "Create", message(f1=id, f2=str(self.bundle(id)), **fields))[1]

    def shims(self):
        return processes_below(self.program)

    def clean(self):
        for id in self.made:
            self.command(id, "-bundle", self.bundle(id), "delete", where=self.folder)
        wait_until(lambda: not self.shims(), "the shims to end")
        self.events.close()
        groups = groups_left()
        left = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.folder) in line]
        parent = Path("/run/apus-shim")
        assert (groups, left, list(parent.iterdir()) if parent.exists() else []) == ([], [], [])
        shutil.rmtree(self.folder)


def socket_of(address):
    return Path(address.decode().removeprefix("unix://"))


@pytest.fixture(params=CHOSEN)
def pods(request):
    made = Pods(RUNTIMES[request.param])
    try:
        yield made
    finally:
        made.clean()


def kill(connection, id, service=TASKS[0]):
    """Kills, waits, deletes; returns the exit status that Delete told."""
    connection.call(service, "Kill", message(f1=id, f3=9))
    assert connection.call(service, "Wait", message(f1=id))[1] == 137
    return connection.call(service, "Delete", message(f1=id))[2]


def left_by_killed_shims(pods, annotations_of):
    """Directories of shims that were killed: long ago before a container was created, just now, and long ago after it; the container `next` is prepared."""
    for id in ("killed", "recent", "created", "next"):
        pods.prepare(id, "sleep", "600", annotations=annotations_of(id))
    directories = {id: socket_of(pods.start(id)).parent for id in ("killed", "recent")}
    connection, _ = pods.begin("created", "sleep", "600", annotations=annotations_of("created"))
    directories["created"] = socket_of((pods.bundle("created") / "address").read_bytes()).parent
    for directory in directories.values():
        shim = int((directory / "pid").read_text().split()[0])
        os.kill(shim, signal.SIGKILL)
        # A zombie that nobody has reaped yet is a process still.
        wait_until(lambda shim=shim: not os.path.exists(f"/proc/{shim}"), "the shim is gone", seconds=30)
    connection.close()
    for id in ("killed", "created"):
        os.utime(directories[id], (0, 0))
    return directories


# `delete` needs what is known of a container, and a start may be under way.
STAY = {"killed": False, "recent": True, "created": True}


def test_a_start_takes_away_what_a_shim_left_that_was_killed_before_a_container_was_created(pods):
    directories = left_by_killed_shims(pods, lambda _: {})
    pods.start("next")
    assert {id: directory.exists() for id, directory in directories.items()} == STAY


def test_a_start_of_a_member_takes_away_what_a_groups_shim_left_that_was_killed_before_a_container_was_created(pods):
    """Where every container is one of a pod, no other start would."""
    directories = left_by_killed_shims(pods, lambda id: {GROUP_LABELS[0]: id})
    pods.start("next")
    assert {id: directory.exists() for id, directory in directories.items()} == STAY
    # Whoever comes after it has its place.
    connection, _ = pods.begin("killed", "sleep", "600", annotations={GROUP_LABELS[0]: "killed"})
    assert kill(connection, "killed") == 137
    connection.call(TASKS[0], "Shutdown", message(f1="killed"))


# --- how start answers ----------------------------------------------------------------------------------------

def bootstrap(id, namespace="tests"):
    return message(f1=id, f2=namespace, f4="v2.3.4", f5="/run/nobody.ttrpc", f6="/run/nobody")


def test_start_answers_a_containerd_that_asks_for_nothing_with_the_bare_address(pods):
    pods.prepare("one", "sleep", "600")
    # What it writes are the runtime's options: they must not be taken for the newer question.
    address = pods.start("one", input=any_of("containerd.runc.v1.Options", message(f6="runc")), environment={"MAX_SHIM_VERSION": "2"})
    assert address.startswith(b"unix:///run/apus-shim/") and (pods.bundle("one") / "address").read_bytes() == address
    assert socket_of(address).is_socket()


def test_start_answers_whoever_can_speak_version_3_in_json(pods):
    pods.prepare("one", "sleep", "600")
    answer = json.loads(pods.start("one", environment={"MAX_SHIM_VERSION": "3"}))
    assert answer == {"version": 3, "address": (pods.bundle("one") / "address").read_text(), "protocol": "ttrpc"}
    assert Connection(socket_of(answer["address"].encode())).call(TASKS[1], "Connect", message(f1="one"))[1] > 1


def test_start_answers_a_bootstrap_message_in_kind(pods):
    pods.prepare("one", "sleep", "600")
    answer = parse(pods.start("one", input=bootstrap("one")))
    assert (answer[1], answer[2], answer[3]) == (3, (pods.bundle("one") / "address").read_bytes(), b"ttrpc")


def test_a_bootstrap_message_for_another_container_is_not_believed(pods):
    pods.prepare("one", "sleep", "600")
    assert pods.start("one", input=bootstrap("other")).startswith(b"unix://")


def test_what_a_shim_has_to_say_goes_to_containerds_fifo_and_nothing_to_its_output(pods):
    pods.prepare("one", "sleep", "600")
    os.mkfifo(pods.bundle("one") / "log")
    shim = int((socket_of(pods.start("one")).parent / "pid").read_text().split()[0])
    assert [os.readlink(f"/proc/{shim}/fd/{number}") for number in range(3)] == ["/dev/null", "/dev/null", str(pods.bundle("one") / "log")]


@pytest.fixture
def somewhere():
    """The name of a cgroup that is there in every hierarchy; it goes with the test."""
    name = f"{CGROUPS}-shims"
    top = Path("/sys/fs/cgroup")
    roots = [top] if (top / "cgroup.procs").exists() else [path for path in top.iterdir() if path.is_dir() and not path.is_symlink()]
    made = [root / name for root in roots]
    for path in made:
        path.mkdir()
        for knob in ("cpuset.cpus", "cpuset.mems"):
            if (path / knob).exists() and not (path / "cgroup.controllers").exists():
                (path / knob).write_text((path.parent / knob).read_text())
    yield name
    for path in made:
        wait_until(lambda path=path: not (path / "cgroup.procs").read_text(), "the cgroup to be left")
        path.rmdir()


@pytest.mark.parametrize("how", ["options", "message"])
def test_a_shim_is_put_into_the_cgroup_that_its_options_name(pods, somewhere, how):
    def said(path):
        options = any_of("containerd.runc.v1.Options", message(f3=path))
        return options if how == "options" else bootstrap("one") + message(f8=message(f1=options))

    pods.prepare("one", "sleep", "600")
    done = pods.command("one", "start", input=said("/no-such-cgroup"))
    assert done.returncode != 0 and b"shim_cgroup /no-such-cgroup" in done.stderr and not pods.shims(), done
    pods.start("one", input=said(f"/{somewhere}"))
    address = (pods.bundle("one") / "address").read_bytes()
    shim = int((socket_of(address).parent / "pid").read_text().split()[0])
    places = [line.split(":", 2)[2] for line in Path(f"/proc/{shim}/cgroup").read_text().splitlines()]
    assert places and set(places) == {f"/{somewhere}"}, places
    connection = Connection(socket_of(address))
    pid = pods.create(connection, "one")
    connection.call(TASKS[0], "Start", message(f1="one"))
    assert somewhere not in Path(f"/proc/{pid}/cgroup").read_text()
    assert kill(connection, "one") == 137
    connection.call(TASKS[0], "Shutdown", message(f1="one"))


def test_info_tells_of_the_shim_and_of_what_its_runtime_can_do(pods):
    options = any_of("containerd.runc.v1.Options", message(f6=os.path.realpath(pods.programs / "apus-runtime")))
    done = subprocess.run([pods.program, "-info"], input=options, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
    told = parse(done.stdout)
    assert told[1] == b"io.containerd.apus.v2" and parse(told[2])[1] and told[3] == options
    features = parse(told[4])
    assert features[1] == b"types.containerd.io/opencontainers/runtime-spec/1/features/Features"
    assert "ociVersionMax" in json.loads(features[2])


def test_info_about_a_runtime_that_is_missing_says_so(pods):
    options = any_of("containerd.runc.v1.Options", message(f6="/nowhere/runtime"))
    done = subprocess.run([pods.program, "-info"], input=options, capture_output=True, timeout=30)
    assert done.returncode == 1 and b"/nowhere/runtime" in done.stderr and not done.stdout


# --- version 3 ------------------------------------------------------------------------------------------------

def test_a_whole_life_in_version_3(pods):
    task = TASKS[1]
    pods.prepare("one", "sleep", "600")
    connection = Connection(socket_of(pods.start("one")))
    pid = pods.create(connection, "one", task)
    assert alive(pid) and connection.call(task, "Connect", message(f1="one"))[2] == pid
    assert connection.call(task, "State", message(f1="one"))[4] == 1
    assert connection.call(task, "Start", message(f1="one"))[1] == pid
    process = json.dumps({"user": {"uid": 0, "gid": 0}, "args": ["sleep", "600"], "cwd": "/", "env": ["PATH=/bin"]})
    spec = any_of("types.containerd.io/opencontainers/runtime-spec/1/Process", process.encode())
    connection.call(task, "Exec", message(f1="one", f2="more", f7=spec))
    exec_pid = connection.call(task, "Start", message(f1="one", f2="more"))[1]
    listed = {parse(one)[1]: parse(one)[2] for one in connection.call(task, "Pids", message(f1="one"))[-1]}
    assert set(listed) == {pid, exec_pid} and not listed[pid]
    details = parse(listed[exec_pid])
    assert details[1] == b"containerd.runc.v1.ProcessDetails" and parse(details[2])[1] == b"more"
    connection.call(task, "Pause", message(f1="one"))
    assert connection.call(task, "State", message(f1="one"))[4] == 4
    connection.call(task, "Resume", message(f1="one"))
    assert parse(connection.call(task, "Stats", message(f1="one"))[1])[1].startswith(b"io.containerd.cgroups.")
    limits = any_of("types.containerd.io/opencontainers/runtime-spec/1/LinuxResources", b'{"pids":{"limit":77}}')
    connection.call(task, "Update", message(f1="one", f2=limits))
    for call in ("CloseIO",):
        connection.call(task, call, message(f1="one", f3=True))
    assert kill(connection, "one", task) == 137
    with pytest.raises(Refused) as refused:
        connection.call(task, "State", message(f1="one"))
    assert refused.value.code == NOT_FOUND
    connection.call(task, "Shutdown", message(f1="one"))
    wait_until(lambda: not pods.shims(), "the shim to end")


def test_both_versions_speak_of_the_same_container_and_no_other_version_is_served(pods):
    pods.prepare("one", "sleep", "600")
    connection = Connection(socket_of(pods.start("one")))
    pid = pods.create(connection, "one", TASKS[1])
    for service in TASKS:
        assert connection.call(service, "State", message(f1="one"))[3] == pid
    with pytest.raises(Refused) as refused:
        connection.call("containerd.task.v4.Task", "State", message(f1="one"))
    assert refused.value.code == UNIMPLEMENTED


# --- groups ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("label", GROUP_LABELS)
def test_containers_of_one_group_are_served_by_one_shim(pods, label):
    first, first_pid = pods.begin("pod", "sleep", "600", annotations={label: "pod"})
    second, second_pid = pods.begin("app", "sh", "-c", "sleep 1; exit 7", annotations={label: "pod"})
    assert (pods.bundle("pod") / "address").read_text() == (pods.bundle("app") / "address").read_text()
    assert len(pods.shims()) == 1
    shims = {connection.call(TASKS[0], "Connect", message(f1=id))[1] for connection, id in ((first, "pod"), (second, "app"))}
    assert len(shims) == 1
    assert [first.call(TASKS[0], "Connect", message(f1=id))[2] for id in ("pod", "app")] == [first_pid, second_pid]
    assert second.call(TASKS[0], "Wait", message(f1="app"))[1] == 7
    second.call(TASKS[0], "Delete", message(f1="app"))
    # containerd asks after each Delete, and runs the command after each that it closes its connection for.
    second.call(TASKS[0], "Shutdown", message(f1="app"))
    second.close()
    assert pods.command("app", "-bundle", pods.bundle("app"), "delete", where=pods.folder).returncode == 0
    assert alive(first_pid) and first.call(TASKS[0], "State", message(f1="pod"))[4] == 2
    assert kill(first, "pod") == 137
    first.call(TASKS[0], "Shutdown", message(f1="pod"))
    wait_until(lambda: not pods.shims(), "the shim to end with its last container")


def test_other_groups_and_containers_without_one_have_shims_of_their_own(pods):
    for id, annotations in (("a", {GROUP_LABELS[0]: "a"}), ("b", {GROUP_LABELS[0]: "b"}), ("c", None), ("d", {"other": "a"})):
        pods.begin(id, "sleep", "600", annotations=annotations)
    assert len(pods.shims()) == 4


def test_the_more_particular_label_of_two_counts(pods):
    pods.begin("a", "sleep", "600", annotations={GROUP_LABELS[0]: "pod", GROUP_LABELS[1]: "own"})
    pods.begin("b", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    pods.begin("c", "sleep", "600", annotations={GROUP_LABELS[1]: "own"})
    assert len(pods.shims()) == 2


def test_members_that_are_started_at_once_find_one_shim(pods):
    names = [f"m{number}" for number in range(6)]
    for id in names:
        pods.prepare(id, "sleep", "600", annotations={GROUP_LABELS[1]: "crowd"})
    addresses = []
    threads = [threading.Thread(daemon=True, target=lambda id=id: addresses.append(pods.start(id))) for id in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(addresses) == len(names) and len(set(addresses)) == 1 and len(pods.shims()) == 1


def test_a_member_that_was_announced_keeps_the_shim_while_the_last_other_one_leaves(pods):
    first, _ = pods.begin("pod", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    pods.prepare("app", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    address = pods.start("app")
    kill(first, "pod")
    first.call(TASKS[0], "Shutdown", message(f1="pod"))
    second = Connection(socket_of(address))
    assert alive(pods.create(second, "app"))
    kill(second, "app")
    second.call(TASKS[0], "Shutdown", message(f1="app"))
    wait_until(lambda: not pods.shims(), "the shim to end")


def test_a_member_that_fails_to_be_created_disturbs_no_other(pods):
    first, pid = pods.begin("pod", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    pods.prepare("app", "no-such-program", annotations={GROUP_LABELS[0]: "pod"})
    second = Connection(socket_of(pods.start("app")))
    with pytest.raises(Refused, match="no-such-program"):
        pods.create(second, "app")
        second.call(TASKS[0], "Start", message(f1="app"))
    with pytest.raises(Refused) as refused:
        pods.create(first, "pod")
    assert refused.value.code == ALREADY_EXISTS
    assert alive(pid)


def test_a_group_begins_anew_after_its_shim_has_gone(pods):
    for _ in range(3):
        connection, _ = pods.begin("pod", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
        kill(connection, "pod")
        connection.call(TASKS[0], "Shutdown", message(f1="pod"))
        shutil.rmtree(pods.bundle("pod"))


def test_the_delete_command_takes_one_running_member_and_leaves_the_others(pods):
    first, first_pid = pods.begin("pod", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    _, second_pid = pods.begin("app", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    done = pods.command("app", "-bundle", pods.bundle("app"), "delete", where=pods.folder)
    assert done.returncode == 0 and parse(done.stdout)[2] == 137, done
    assert not alive(second_pid) and alive(first_pid)
    with pytest.raises(Refused) as refused:
        first.call(TASKS[0], "State", message(f1="app"))
    assert refused.value.code == NOT_FOUND


def test_members_of_a_killed_shim_are_taken_away_one_by_one(pods):
    first, first_pid = pods.begin("pod", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    _, second_pid = pods.begin("app", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    directory = socket_of((pods.bundle("pod") / "address").read_bytes()).parent
    shim = first.call(TASKS[0], "Connect", message(f1="pod"))[1]
    os.kill(shim, signal.SIGKILL)
    wait_until(lambda: not alive(shim), "the shim to die")
    for id, pid, stays in (("app", second_pid, True), ("pod", first_pid, False)):
        assert pods.command(id, "-bundle", pods.bundle(id), "delete", where=pods.folder).returncode == 0
        assert not alive(pid) and directory.exists() is stays


def test_members_of_a_killed_shim_are_taken_away_at_once(pods):
    names = ["pod", "a", "b", "c"]
    started = [pods.begin(id, "sleep", "600", annotations={GROUP_LABELS[0]: "pod"}) for id in names]
    directory = socket_of((pods.bundle("pod") / "address").read_bytes()).parent
    os.kill(started[0][0].call(TASKS[0], "Connect", message(f1="pod"))[1], signal.SIGKILL)
    done = []
    threads = [threading.Thread(daemon=True, target=lambda id=id: done.append(pods.command(id, "-bundle", pods.bundle(id), "delete", where=pods.folder)))
               for id in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.returncode for one in done] == [0] * len(names), done
    assert not directory.exists() and not any(alive(pid) for _, pid in started)


def test_processes_of_a_member_in_the_pods_pid_namespace_end_with_its_first_one(pods):
    first, first_pid = pods.begin("pod", "sleep", "600", annotations={GROUP_LABELS[0]: "pod"})
    pods.prepare("app", "sh", "-c", "sleep 600 & sleep 600 & while [ ! -e /tmp/go ]; do usleep 10000; done", annotations={GROUP_LABELS[0]: "pod"})
    path = pods.bundle("app") / "config.json"
    config = json.loads(path.read_text())
    for namespace in config["linux"]["namespaces"]:
        if namespace["type"] == "pid":
            namespace["path"] = f"/proc/{first_pid}/ns/pid"
    path.write_text(json.dumps(config))
    second = Connection(socket_of(pods.start("app")))
    pods.create(second, "app")
    second.call(TASKS[0], "Start", message(f1="app"))
    process = json.dumps({"user": {"uid": 0, "gid": 0}, "args": ["sleep", "600"], "cwd": "/", "env": ["PATH=/bin"]})
    second.call(TASKS[0], "Exec", message(f1="app", f2="more", f7=any_of("types.containerd.io/opencontainers/runtime-spec/1/Process", process.encode())))
    second.call(TASKS[0], "Start", message(f1="app", f2="more"))
    events = Events(socket_of((pods.bundle("app") / "address").read_bytes()), "app")
    (pods.bundle("app") / "rootfs/tmp/go").touch()
    assert second.call(TASKS[0], "Wait", message(f1="app"))[1] == 0
    # containerd takes the container for ended with the first process's end: it is told last.
    ends = [parse(parse(envelope[4])[2])[2]
            for envelope in events.until(lambda envelope: envelope[3] == b"/tasks/exit" and parse(parse(envelope[4])[2])[2] == b"app")
            if envelope[3] == b"/tasks/exit"]
    assert ends == [b"more", b"app"]
    groups = [Path(group, "cgroup.procs") for group in groups_left() if group.endswith(f"/{CGROUPS}-app")]
    wait_until(lambda: not any(path.read_text() for path in groups if path.exists()), "what is left to be killed")
    assert alive(first_pid)
    second.call(TASKS[0], "Delete", message(f1="app"))


def test_a_config_that_is_no_json_is_refused_by_start(pods):
    pods.prepare("one", "true")
    (pods.bundle("one") / "config.json").write_text('{"annotations": {"io.kubernetes.cri.sandbox-id": 7}}')
    done = pods.command("one", "start")
    assert done.returncode == 1 and b"config.json" in done.stderr and not done.stdout


class LateSink(EventSink):
    """Answers what tells of an exec only when the test says so; has the execs that it was told of."""

    def __init__(self, path):
        self.execs, self.goes_on = [], threading.Event()
        super().__init__(path)

    def hear(self, connection):
        with connection.socket:
            try:
                while True:
                    stream, _, _, payload = connection.receive()
                    envelope = parse(parse(parse(payload)[3])[1])
                    if envelope[3] == b"/tasks/exec-added":
                        self.execs.append(parse(parse(envelope[4])[2])[2].decode())
                        self.goes_on.wait()
                    connection.frame(stream, RESPONSE, 0)
            except (EOFError, ConnectionError):
                return


def test_of_more_events_than_may_wait_the_oldest_are_dropped_and_never_the_one_that_is_on_its_way(pods):
    pods.events.close()
    (pods.folder / "containerd.sock.ttrpc").unlink()
    pods.events = LateSink(pods.folder / "containerd.sock.ttrpc")
    connection, _ = pods.begin("one", "sleep", "600", annotations={})
    calls = [(TASKS[0], method, message(f1="one", f2=f"exec{number}", **fields))
             for number in range(1100) for method, fields in (("Exec", {"f7": any_of("", b"{}")}), ("Delete", {}))]
    for call in calls[:2]:
        connection.call(*call)
    wait_until(lambda: pods.events.execs, "the first event")
    # Many at a time: an event that is not answered for ten seconds is told once more.
    for start in range(2, len(calls), 200):
        for stream in connection.open_together(*calls[start:start + 200]):
            connection.answer(stream)
    pods.events.goes_on.set()
    wait_until(lambda: pods.events.execs[-1] == "exec1099", "the last event")
    # Only now: what tells of its end is one more.
    assert kill(connection, "one") == 137
    assert pods.events.execs == ["exec0", *(f"exec{number}" for number in range(1100 - 1023, 1100))]
