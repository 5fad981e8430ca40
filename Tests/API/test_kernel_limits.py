"""Row S09: limits of the kernel that somebody is at the end of (namespaces, watches of directories, cgroups): an error that says so, and all is well once there
is room again. Namespaces and cgroups of the tests' own: nobody else's limits are changed. The file table's, fs.file-max, is the whole
machine's: test_whole_machine.py."""
# Rows: features

import contextlib
import os
import subprocess

import pytest
from conftest import CLIENTS, Client
from processes import read_line, wait_until
from test_rootless import folder, rootless  # noqa: F401


class Limits:
    """What user namespaces may have, `user.max_*`, in the daemon's own."""

    def __init__(self, daemon):
        self.process = wait_until(lambda: self.found(daemon), "the daemon is in its namespace")
        self.changed = {}

    @staticmethod
    def found(daemon):
        for pid in daemon.processes():
            # One that ends meanwhile has no namespace any more.
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
                    return pid
        return None

    def set(self, name, value):
        """Of the namespace in which it is written, whoever has the file."""
        path = f"/proc/sys/user/{name}"
        done = subprocess.run(["nsenter", "-t", self.process, "-U", "sh", "-ec", f"cat {path}; echo {value} > {path}; cat {path}"],
                              capture_output=True, text=True, check=True)
        former, now = done.stdout.split()
        assert now == str(value)
        self.changed.setdefault(name, former)

    def restore(self):
        for name, value in list(self.changed.items()):
            self.set(name, value)


@pytest.fixture
def scarce(rootless, registry):  # noqa: F811
    client = rootless.client("apus")
    client.image = f"{registry.host}/busybox"
    client("run", "-d", "--name", "before", client.image, "sh", "-c", "echo begun; exec sleep 300").ok()
    client.facts = client.inspect("before", "{{.State.Pid}} {{.State.StartedAt}}")
    client.limits = Limits(rootless)
    yield client
    client.limits.restore()
    assert client.inspect("before", "{{.State.Pid}} {{.State.StartedAt}}") == client.facts
    assert client("exec", "before", "echo", "in").line() == "in"


@pytest.mark.parametrize("name", ["max_net_namespaces", "max_mnt_namespaces", "max_pid_namespaces", "max_ipc_namespaces"])
def test_S09_where_no_namespace_is_left_a_start_is_refused_and_later_is_not(scarce, name):
    scarce.limits.set(name, 0)
    refused = scarce("run", "--name", "refused", scarce.image, "true")
    assert refused.code in (125, 126, 127) and "ENOSPC" in refused.err, refused
    assert scarce("exec", "before", "echo", "in").line() == "in"
    scarce.limits.restore()
    assert scarce("start", "-a", "refused").code == 0
    assert scarce("run", "--rm", scarce.image, "echo", "on").line() == "on"


@pytest.mark.parametrize("name", ["max_inotify_watches"])
def test_S09_where_no_watch_is_left_following_is_refused_and_reading_is_not(scarce, name):
    scarce.limits.set(name, 0)
    refused = scarce("logs", "-f", "before")
    assert refused.code == 1 and "ENOSPC" in refused.err, refused
    assert scarce("logs", "before").line() == "begun"
    assert scarce("run", "--rm", scarce.image, "echo", "on").line() == "on"
    scarce.limits.restore()
    follower = scarce.start("logs", "-f", "before", stdout=subprocess.PIPE, text=True)
    assert read_line(follower) == "begun\n"
    scarce("kill", "before").ok()
    assert follower.wait(20) == 0
    scarce("start", "before").ok()
    scarce.facts = scarce.inspect("before", "{{.State.Pid}} {{.State.StartedAt}}")


def unified():
    """Where cgroup v2 is, alone or beside v1."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return next((line.split()[4] for line in file if " - cgroup2 " in line), None)


def test_S09_where_no_cgroup_is_left_a_start_is_refused_and_later_is_not(own_daemon, workspace, image):
    client = Client("apus", CLIENTS["apus"], own_daemon.host, workspace)
    root, name = unified(), f"apus-few-{os.getpid()}"
    assert root, "no cgroup v2 is mounted"
    parent = os.path.join(root, name)
    os.mkdir(parent)
    try:
        with open(f"{parent}/cgroup.max.descendants", "w", encoding="ascii") as file:
            file.write("0")
        refused = client("run", "--name", "refused", "--cgroup-parent", f"/{name}", image, "true")
        assert refused.code == 125 and "EAGAIN" in refused.err, refused
        assert client("run", "--rm", image, "echo", "on").line() == "on"
        with open(f"{parent}/cgroup.max.descendants", "w", encoding="ascii") as file:
            file.write("max")
        assert client("start", "-a", "refused").code == 0
    finally:
        client("rm", "-f", "refused")
        wait_until(lambda: not [entry for entry in os.scandir(parent) if entry.is_dir()], "the container's cgroup is gone")
        os.rmdir(parent)
        for folder_of_v1 in sorted({os.path.join("/sys/fs/cgroup", entry, name) for entry in os.listdir("/sys/fs/cgroup")}):
            if os.path.isdir(folder_of_v1):
                os.rmdir(folder_of_v1)
