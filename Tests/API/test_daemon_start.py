"""How the daemon begins, says that it is ready, and whom it lets in."""

import grp
import json
import os
import shutil
import socket
import stat
import subprocess

import pytest
from conftest import BUILD, CLIENTS, Client, Daemon
from engine_http import api
from hanging_files import HangingFiles
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


def start_with_the_group(daemon):
    """In a mount namespace of its own, whose /etc/group has the group."""
    with open("/etc/group", encoding="utf-8") as file:
        text = file.read()
    with open(f"{daemon.folder}/group", "w", encoding="utf-8") as file:
        file.write("\n".join(line for line in text.splitlines() if not line.startswith("apus:")) + "\napus:x:4711:\n")
    daemon.start(under=["unshare", "-m", "sh", "-c", f'mount --bind {daemon.folder}/group /etc/group && exec "$@"', "sh"])


def reached_by(daemon, groups):
    """Whether somebody who is not root, with these groups, reaches the daemon."""
    command = ["setpriv", "--reuid=65534", "--regid=65534", groups, "curl", "-sf", "-m", "60", "--unix-socket", daemon.socket, "http://d/_ping"]
    return subprocess.run(command, capture_output=True, check=False).stdout == b"OK"


def test_the_socket_belongs_to_the_group_apus_where_there_is_one(folder):
    daemon = Daemon(folder)
    start_with_the_group(daemon)
    status = os.stat(daemon.socket)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 4711, 0o660)
    assert reached_by(daemon, "--groups=4711") and not reached_by(daemon, "--clear-groups")
    assert daemon.stop() == 0


@pytest.fixture
def bundle(folder):
    """One whose process has a seccomp filter, and ends at once."""
    path = os.path.join(folder, "bundle")
    os.makedirs(f"{path}/rootfs")
    shutil.copy(shutil.which("busybox") or "/bin/busybox", f"{path}/rootfs/true")
    subprocess.run([f"{BUILD}/apus-runtime", "spec", "-b", path], check=True)
    with open(f"{path}/config.json", encoding="utf-8") as file:
        document = json.load(file)
    document["process"] |= {"terminal": False, "args": ["/true"]}
    document["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO"}]}
    with open(f"{path}/config.json", "w", encoding="utf-8") as file:
        json.dump(document, file)
    return path


def test_a_runtime_alone_closes_its_own_folders_but_not_what_holds_them(bundle):
    """That is a daemon's, too: of both there is one on most machines."""
    script = f"mount -t tmpfs tmpfs /run && umask 022 && {BUILD}/apus-runtime run -b {bundle} first && stat -c '%a %n' /run/apus /run/apus/*"
    said = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout.splitlines() == ["711 /run/apus", "700 /run/apus/runtime", "700 /run/apus/seccomp"], said.stderr


@pytest.mark.parametrize("first", ["runtime", "administrator"])
def test_group_and_containers_pass_through_a_folder_that_somebody_made_before_the_daemon(folder, bundle, registry, workspace, first):
    daemon = Daemon(folder)
    if first == "runtime":
        subprocess.run([f"{BUILD}/apus-runtime", "--root", f"{daemon.run}/runtime", "run", "-b", bundle, "first"], check=True, timeout=60)
    else:
        os.mkdir(daemon.run, 0o700)
    daemon.socket = f"{daemon.run}/apus.sock"
    daemon.host = f"unix://{daemon.socket}"
    start_with_the_group(daemon)
    try:
        assert stat.S_IMODE(os.stat(daemon.run).st_mode) == 0o711
        assert reached_by(daemon, "--groups=4711") and not reached_by(daemon, "--clear-groups")
        client = Client("apus", f"{BUILD}/apus", daemon.host, workspace)
        for flags in (["--security-opt", "profile=strict"], ["--userns", "private"]):
            assert client("run", "--rm", *flags, f"{registry.host}/busybox", "echo", "passed").line().endswith("passed"), flags
        wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended", seconds=30)
    finally:
        assert daemon.stop() == 0
    daemon.forget_network()


def test_what_a_folder_of_another_owner_lets_pass_is_left_to_them(folder):
    daemon = Daemon(folder)
    os.mkdir(daemon.run, 0o700)
    os.chown(daemon.run, 65534, 65534)
    daemon.start()
    assert stat.S_IMODE(os.stat(daemon.run).st_mode) == 0o700
    assert daemon.stop() == 0


def test_filters_of_a_daemons_containers_are_kept_in_its_own_folder_for_all_of_them(own_daemon, apus, image):
    """Nothing is written where a runtime without a daemon keeps its own."""
    elsewhere = leaks.files("/run/apus")
    apus("run", "--rm", image, "true").ok()
    kept = leaks.files(f"{own_daemon.run}/seccomp")
    assert [path for path in kept if path.endswith(".bpf")], kept
    apus("run", "--rm", image, "true").ok()
    assert leaks.files(f"{own_daemon.run}/seccomp") == kept and leaks.files("/run/apus") == elsewhere


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


def test_what_is_no_file_is_not_replaced_by_the_pid_file(folder):
    os.mkfifo(f"{folder}/pid")
    os.symlink(f"{folder}/pid", f"{folder}/link")
    for name in "pid", "link":
        said = subprocess.run([f"{BUILD}/apusd", "--data-root", f"{folder}/d", "--exec-root", f"{folder}/r", "--host", f"unix://{folder}/a.sock",
                               "--pidfile", f"{folder}/{name}"], capture_output=True, text=True, timeout=20, check=False)
        assert said.returncode == 1 and f"--pidfile {folder}/{name}: it is no file" in said.stderr
    assert stat.S_ISFIFO(os.stat(f"{folder}/pid").st_mode) and os.path.islink(f"{folder}/link") and not os.path.exists(f"{folder}/a.sock")


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


def info(daemon):
    told = api(daemon, "GET", "/info", expect=200)[1]
    return told["Driver"], " ".join(line for line in told["Warnings"] or [] if "overlayfs" in line)


def test_copies_stay_in_use_when_overlays_can_be_made_until_all_of_them_are_removed(folder, registry):
    """As Docker takes the storage driver that has something there. An overlay's options cannot name the first path."""
    daemon, name = Daemon(folder), f"{registry.host}/alpha"
    apus = Client("apus", CLIENTS["apus"], daemon.host, folder)
    daemon.data = f"{folder}/da,ta"
    assert info(daemon.start())[0] == "copy"
    apus("run", "--name", "wrote", "--network", "none", name, "sh", "-c", "echo kept > /kept").ok()
    assert daemon.stop() == 0
    os.rename(f"{folder}/da,ta", f"{folder}/data")
    daemon.data = f"{folder}/data"
    driver, warning = info(daemon.start())
    assert driver == "copy" and f"images and containers lie in {daemon.data}/snapshots/copy" in warning and warning[9:] in daemon.log()
    assert apus("run", "--rm", "--network", "none", name, "echo", "runs").ok() == "runs\n"
    apus("cp", "wrote:/kept", f"{folder}/kept").ok()
    with open(f"{folder}/kept", encoding="ascii") as file:
        assert file.read() == "kept\n"
    apus("system", "check").ok()
    apus("rm", "wrote").ok()
    apus("rmi", name).ok()
    assert daemon.stop() == 0
    assert info(daemon.start()) == ("overlayfs", "")
    assert apus("run", "--rm", "--network", "none", name, "echo", "runs").ok() == "runs\n"
    apus("rmi", name).ok()
    assert daemon.stop() == 0
    daemon.forget_network()


def test_a_daemon_whose_overlays_cannot_be_made_any_more_tells_the_way_out(folder, registry):
    daemon, name = Daemon(folder), f"{registry.host}/alpha"
    apus = Client("apus", CLIENTS["apus"], daemon.host, folder)
    daemon.start()
    apus("run", "--name", "wrote", "--network", "none", name, "sh", "-c", "echo gone > /gone").ok()
    assert daemon.stop() == 0
    os.rename(daemon.data, f"{folder}/da,ta")
    daemon.data = f"{folder}/da,ta"
    with pytest.raises(AssertionError, match="apusd ended with 1"):
        daemon.start()
    assert f"move {daemon.data}/snapshots/overlayfs away" in daemon.log()
    os.rename(f"{daemon.data}/snapshots/overlayfs", f"{folder}/away")
    assert info(daemon.start())[0] == "copy"
    repaired = apus("system", "check", "--repair")
    assert repaired.code == 1 and "4 findings, 3 repaired" in repaired.out and "what the container wrote is gone: remove it" in repaired.err, repaired
    assert apus("run", "--rm", "--network", "none", name, "echo", "runs").ok() == "runs\n"
    refused = apus("start", "wrote")
    assert refused.code == 1 and "wrote" in refused.err, refused
    apus("rm", "wrote").ok()
    apus("rmi", name).ok()
    assert daemon.stop() == 0
    daemon.forget_network()


def test_a_daemon_without_standard_streams_writes_into_nothing_else(folder):
    daemon = Daemon(folder)
    with open(daemon.resolver, "w", encoding="utf-8") as file:
        file.write("nameserver 127.0.0.54\n")
    words = [f"{BUILD}/apusd", "--host", daemon.host, "--data-root", daemon.data, "--exec-root", daemon.run, "--resolv-conf", daemon.resolver,
             "--log-level", "debug"]
    daemon.process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words])
    wait_until(daemon.answers, "apusd answers /_ping", seconds=20)
    assert [os.readlink(f"/proc/{daemon.process.pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
    assert api(daemon, "GET", "/info")[0] == 200
    assert daemon.stop() == 0
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                assert b" info serving" not in file.read(1 << 20), name


def test_fault_T10_a_start_that_hangs_keeps_nobody_from_being_served(brittle, tmp_path):
    """What it mounts lies in a file system that does not answer."""
    client = brittle.client
    place = tmp_path / "files"
    os.makedirs(place / "hang")
    client("run", "-d", "--restart", "always", "--name", "stuck", "-v", f"{place}/hang:/data", brittle.image, "sleep", "600").ok()
    client("run", "-d", "--restart", "always", "--name", "fine", brittle.image, "sleep", "600").ok()
    # It is started again by the next daemon, whoever has stopped it.
    client("stop", "-t", "0", "stuck", "fine").ok()
    brittle.stop()
    files = HangingFiles(str(place))
    try:
        # Others are waited for, but not for ever.
        brittle.start(seconds=40)
        wait_until(lambda: files.stuck, "the start hangs")
        wait_until(lambda: client.inspect("fine", "{{.State.Status}}") == "running", "the other is started")
        assert client("run", "--rm", brittle.image, "echo", "on").line() == "on"
        assert "still being started" in brittle.log()
    finally:
        files.give_up()
    wait_until(lambda: client.inspect("stuck", "{{.State.Error}}"), "the start is given up")
    client("rm", "-f", "stuck", "fine").ok()
