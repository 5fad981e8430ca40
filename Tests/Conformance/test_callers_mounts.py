"""Containers that have no mount namespace of their own: their mounts are made in their caller's, below their root, and are undone with them."""
# Rows: attacks

import os
import subprocess

import leaks
import pytest
from claims import spec
from processes import wait_until
from test_cgroups import cgroup_of
from test_leftovers import is_deleted_whole

pytestmark = pytest.mark.ours


@pytest.fixture
def shared(bundle):
    """The bundle without a mount namespace and without what that protects."""
    for member in ("maskedPaths", "readonlyPaths"):
        bundle.without_namespace("mount").config["linux"].pop(member, None)
    return bundle


LOOK = """
readlink /proc/self/ns/mnt
echo data > /dev/null && stat -c %t:%T /dev/null
mount | while read -r _ _ place rest; do echo "at $place"; done
touch /new 2> /dev/null || echo read-only
"""


@spec("config-linux.md#configLinuxNamespaces", "MUST inherit the runtime namespace")
def test_the_mounts_lie_below_the_root_and_go_with_the_container(runtime, shared, folder, container):
    shared.write(LOOK, root={"readonly": True})
    lines = runtime("run", "-b", shared.path, container).ok().lines
    assert lines[:2] == [os.readlink("/proc/self/ns/mnt"), "1:3"] and lines[-1] == "read-only"
    assert {"at /proc", "at /dev", "at /sys"} <= set(lines)
    assert leaks.mounts(folder) == []
    shared.write("exit 7", root={"readonly": False})
    assert runtime("run", "-b", shared.path, container).code == 7


@pytest.mark.parametrize("end", ["delete", "killed from outside", "a failure after the mounts"])
def test_however_it_ends_nothing_stays_mounted(runtime, shared, folder, container, end):
    if "failure" in end:
        shared.write(["true"], hooks={"createContainer": [{"path": "/bin/false"}]})
        runtime.detached("create", "-b", shared.path, container).fails()
        assert leaks.mounts(folder) == []
        return
    shared.write("sleep 600")
    runtime.detached("create", "-b", shared.path, container).ok()
    runtime("start", container).ok()
    assert os.path.join(shared.rootfs, "proc") in leaks.mounts(folder)
    # What exec adds is among them too.
    assert runtime("exec", container, "sh", "-c", "cd /; echo /proc/1/comm; ls /..").ok().lines[1:] == sorted(os.listdir(shared.rootfs))
    if "outside" in end:
        os.kill(runtime.state(container)["pid"], 9)
        runtime.wait_for(container, "stopped")
    runtime("delete", *([] if "outside" in end else ["-f"]), container).ok()
    assert leaks.mounts(folder) == []


def test_mounts_are_undone_where_the_cgroup_cannot_be_removed_and_the_rest_may_be_tried_again(runtime, shared, folder, container):
    shared.write("sleep 600")
    runtime.detached("create", "-b", shared.path, container).ok()
    held = os.path.join(cgroup_of(runtime.state(container)["pid"], "pids"), "held")
    os.mkdir(held)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", held], check=True)
    try:
        runtime("delete", "-f", container).fails("cgroup")
        assert leaks.mounts(folder) == []
        assert runtime.status(container) == "stopped"
    finally:
        subprocess.run(["umount", held], check=True)
    runtime("delete", container).ok()


def test_a_namespace_that_shares_mounts_with_the_callers_keeps_none_of_them(runtime, shared, folder, container):
    """Hosts of systemd's share every mount with the namespaces of their services."""
    peer = None
    subprocess.run(["mount", "--bind", shared.path, shared.path], check=True)
    try:
        subprocess.run(["mount", "--make-shared", shared.path], check=True)
        peer = subprocess.Popen(["unshare", "-m", "--propagation", "unchanged", "sleep", "600"])
        wait_until(lambda: os.readlink(f"/proc/{peer.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"), "the other namespace")
        shared.write("sleep 600")
        runtime.detached("run", "-d", "-b", shared.path, container).ok()

        def seen():
            with open(f"/proc/{peer.pid}/mountinfo", encoding="utf-8") as file:
                return {line.split()[4] for line in file if line.split()[4].startswith(shared.path)}

        assert os.path.join(shared.rootfs, "proc") not in seen()
        runtime("delete", "-f", container).ok()
        assert seen() == {shared.path} and leaks.mounts(folder) == [shared.path]
    finally:
        if peer:
            peer.kill()
            peer.wait()
        subprocess.run(["umount", shared.path], check=True)


def test_mounts_in_another_namespace_are_left_with_a_word(runtime, shared, folder, container):
    shared.write("sleep 600")
    with runtime.below("unshare", "-m", "--propagation", "private"):
        runtime.detached("run", "-d", "-b", shared.path, container).ok()
    assert "are left: they are in another mount namespace" in runtime("delete", "-f", container).ok().message
    assert leaks.mounts(folder) == []


def test_a_mount_that_covers_the_root_meanwhile_is_not_the_containers(runtime, shared, folder, container):
    shared.write("sleep 600")
    runtime.detached("run", "-d", "-b", shared.path, container).ok()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", shared.rootfs], check=True)
    try:
        assert "covers what is" in runtime("delete", "-f", container).ok().message
        assert leaks.mounts(folder).count(shared.rootfs) == 2
    finally:
        for _ in range(2):
            subprocess.run(["umount", "-l", shared.rootfs], check=True)


def test_a_mount_to_which_the_way_to_the_root_leads_meanwhile_is_not_the_containers(runtime, shared, folder, container):
    """On the same mount below as the container's own, which is what the record tells."""
    shared.write("sleep 600")
    runtime.detached("run", "-d", "-b", shared.path, container).ok()
    subprocess.run(["umount", "-l", shared.rootfs], check=True)
    stranger, kept = os.path.join(shared.path, "stranger"), f"{shared.rootfs}-kept"
    os.mkdir(stranger)
    os.rename(shared.rootfs, kept)
    os.symlink(stranger, shared.rootfs)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", stranger], check=True)
    try:
        assert "is not the container's" in runtime("delete", "-f", container).ok().message
        assert leaks.mounts(folder) == [stranger]
    finally:
        subprocess.run(["umount", stranger], check=True)


@pytest.mark.parametrize("member, value", [("maskedPaths", ["/proc/kcore"]), ("readonlyPaths", ["/proc/sys"]), ("rootfsPropagation", "slave")])
def test_what_would_protect_the_host_is_refused(runtime, shared, container, member, value):
    shared.write(["true"], linux={member: value})
    runtime("run", "-b", shared.path, container).fails(f"linux.{member}: needs a mount namespace in linux.namespaces")


@pytest.mark.parametrize("verb", ["create", "run"])
def test_A32_of_a_runtime_that_is_killed_once_all_is_mounted_delete_undoes_the_mounts(runtime, shared, folder, container, verb):
    """The hook's parent is the runtime, and the container's own process dies with it."""
    shared.write(["true"], hooks={"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"]}]})
    assert runtime.detached(verb, "-b", shared.path, container).code == -9
    assert os.path.join(shared.rootfs, "proc") in leaks.mounts(folder)
    is_deleted_whole(runtime, folder, container, "killed by its hook")
