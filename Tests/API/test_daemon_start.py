"""How the daemon begins, says that it is ready, and whom it lets in."""

import grp
import os
import socket
import subprocess

import pytest
from conftest import BUILD, Client, Daemon
from engine_http import api
from processes import wait_until

import leaks


@pytest.fixture
def folder(workspace):
    path = os.path.join(workspace, f"s{len(os.listdir(workspace))}")
    os.makedirs(path)
    return path


@pytest.fixture
def notified(folder):
    """A service manager's socket."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(20)
    manager.bind(f"{folder}/notify")
    yield manager
    manager.close()


def test_the_service_manager_hears_when_the_daemon_is_ready_and_when_it_stops(folder, notified, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/notify")
    daemon = Daemon(folder).start()
    assert notified.recv(100) == b"READY=1"
    assert api(daemon, "GET", "/_ping") == (200, "OK")
    assert daemon.stop() == 0
    assert notified.recv(100) == b"STOPPING=1"


def test_a_notify_socket_that_is_not_served_is_said_at_once(folder, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "@abstract")
    said = subprocess.run([f"{BUILD}/apusd", "--data-root", f"{folder}/d", "--exec-root", f"{folder}/r"],
                          capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1 and said.stderr == "apusd: NOTIFY_SOCKET=@abstract is not served: it is no absolute path\n"


def test_the_socket_belongs_to_the_group_apus_where_there_is_one(folder):
    """In a mount namespace of its own, whose /etc/group has the group."""
    with open("/etc/group", encoding="utf-8") as file:
        text = file.read()
    with open(f"{folder}/group", "w", encoding="utf-8") as file:
        file.write("\n".join(line for line in text.splitlines() if not line.startswith("apus:")) + "\napus:x:4711:\n")
    daemon = Daemon(folder)
    command = f"mount --bind {folder}/group /etc/group && exec {BUILD}/apusd --host {daemon.host} --data-root {daemon.data} --exec-root {daemon.run}"
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(["unshare", "-m", "sh", "-c", command], stdout=log, stderr=log)
    wait_until(daemon.answers, "apusd answers")
    status = os.stat(daemon.socket)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 4711, 0o660)
    may = ["setpriv", "--reuid=65534", "--regid=65534", "curl", "-sf", "--unix-socket", daemon.socket, "http://d/_ping"]
    assert subprocess.run([*may[:3], "--clear-groups", *may[3:]], capture_output=True, check=False).returncode != 0
    assert subprocess.run([*may[:3], "--groups=4711", *may[3:]], capture_output=True, check=False).stdout == b"OK"
    assert daemon.stop() == 0


def test_without_the_group_the_socket_is_roots(own_daemon):
    if any(group.gr_name == "apus" for group in grp.getgrall()):
        pytest.skip("this machine has a group apus")
    status = os.stat(own_daemon.socket)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 0, 0o660)


def test_folders_deeper_than_a_sockets_address_serve_when_the_socket_is_elsewhere(folder, registry, workspace):
    """A socket's address holds 107 bytes: those of shims and consoles are reached through their folders."""
    deep = os.path.join(folder, *["deep" * 10] * 4)
    daemon = Daemon(folder)
    daemon.data, daemon.run = f"{deep}/data", f"{deep}/run"
    daemon.start()
    client = Client("apus", f"{BUILD}/apus", daemon.host, workspace)
    image = f"{registry.host}/busybox"
    assert client("run", "--rm", image, "echo", "deep").ok().endswith("deep\n")
    client("run", "-dit", "--name", "deep", image, "sh").ok()
    assert client("exec", "deep", "echo", "in").line() == "in"
    out = subprocess.run(["script", "-qec", f"{client.path} exec -t deep tty", "/dev/null"], capture_output=True,
                         env=client.environment, timeout=30, check=True).stdout
    assert b"/dev/pts/" in out
    daemon.kill()
    daemon.start()
    assert client("exec", "deep", "echo", "again").line() == "again"
    client("rm", "-f", "deep").ok()
    wait_until(lambda: not leaks.processes(f"{daemon.run}/shims"), "the shim is gone")
    assert daemon.stop() == 0


def test_a_default_socket_that_does_not_fit_is_refused_with_the_way_out(folder):
    deep = os.path.join(folder, *["deep" * 10] * 4)
    said = subprocess.run([f"{BUILD}/apusd", "--data-root", f"{folder}/d", "--exec-root", deep],
                          capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1
    assert said.stderr == (f"apusd: the socket {deep}/apus.sock is longer than 107 bytes: "
                           "give a shorter one with --host unix://PATH\n")


def test_a_daemon_that_cannot_start_leaves_no_socket(folder):
    said = subprocess.run([f"{BUILD}/apusd", "--data-root", f"{folder}/d", "--exec-root", f"{folder}/r", "--host", f"unix://{folder}/a.sock",
                           "--host", f"unix://{folder}/group/b.sock", "--pidfile", f"{folder}/nosuch/pid"],
                          capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1 and "nosuch" in said.stderr
    assert not os.path.exists(f"{folder}/a.sock") and not os.path.exists(f"{folder}/group/b.sock")


def test_copies_in_the_place_of_overlays_are_told(folder):
    """On a file system that cannot be an overlay's upper layer, an overlay's own say."""
    script = (f"mkdir -p {folder}/data {folder}/o && mount -t tmpfs tmpfs {folder}/o && mkdir {folder}/o/u {folder}/o/w {folder}/o/l && "
              f"mount -t overlay overlay -o lowerdir={folder}/o/l,upperdir={folder}/o/u,workdir={folder}/o/w {folder}/data && exec \"$@\"")
    daemon = Daemon(folder).start(under=["unshare", "-m", "sh", "-c", script, "sh"])
    _, info = api(daemon, "GET", "/info", expect=200)
    assert info["Driver"] == "copy"
    assert [line for line in info["Warnings"] if line.startswith("WARNING: overlayfs is not used, so every container has a whole copy")]
    assert "overlayfs is not used" in daemon.log()
    assert daemon.stop() == 0
    daemon.forget_network()
