"""Containers in a user namespace of their own: for one by `apus run --userns private`, for all by the daemon's userns-remap. B07 of the attacks."""
# Rows: attacks

import io
import json
import os
import re
import signal
import subprocess
import tarfile

import pytest

from conftest import CLIENTS, Client, Daemon, end_without_remains, numbered_lines, sweep
from processes import wait_until

FIRST_ID = 0x70000000
SHARE = 65536


@pytest.fixture(scope="module")
def remapping(workspace, registry):
    """A daemon all of whose containers are remapped."""
    daemon = Daemon(os.path.join(workspace, "remapping"))
    os.makedirs(daemon.folder)
    config = os.path.join(daemon.folder, "daemon.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"userns-remap": "default"}, file)
    daemon.start("--config", config)
    daemon.image = f"{registry.host}/busybox"
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    client("pull", daemon.image).ok()
    daemon.config = config
    yield daemon
    sweep(daemon)
    end_without_remains(daemon)


@pytest.fixture(params=sorted(CLIENTS))
def remapped(request, remapping, workspace):
    client = Client(request.param, CLIENTS[request.param], remapping.host, workspace)
    client.image = remapping.image
    before = remapping.state()
    yield client
    sweep(remapping)
    client("volume", "rm", "-f", "shared")
    client("volume", "prune", "-f")
    wait_until(lambda: remapping.state() == before, "the machine is as it was", seconds=30)


def id_map(pid, kind="uid"):
    with open(f"/proc/{pid}/{kind}_map", encoding="ascii") as file:
        return [tuple(int(word) for word in line.split()) for line in file]


def root_of(pid):
    return id_map(pid)[0][1]


def run_detached(client, name, *words, flags=()):
    client("run", "-d", "--name", name, *flags, client.image, *words).ok()
    return int(client.inspect(name, "{{.State.Pid}}"))


def upper_directory(daemon, name, client):
    return os.path.join(daemon.data, "snapshots/overlayfs/active", client.inspect(name, "{{.Id}}"), "fs")


def test_B07_every_container_has_ids_that_no_other_has(remapped):
    pids = [run_detached(remapped, name, "sleep", "600") for name in ("one", "two")]
    maps = [id_map(pid) for pid in pids]
    assert id_map(pids[0], "gid") == maps[0]
    for (inside, outside, count), in maps:
        assert inside == 0 and count == SHARE and FIRST_ID <= outside < 0x80000000
    assert abs(maps[0][0][1] - maps[1][0][1]) >= SHARE
    assert os.stat(f"/proc/{pids[0]}").st_uid == maps[0][0][1]
    assert remapped("exec", "one", "id", "-u").line() == "0"
    assert os.readlink(f"/proc/{pids[0]}/ns/user") not in (os.readlink("/proc/self/ns/user"), os.readlink(f"/proc/{pids[1]}/ns/user"))


def test_B07_a_container_that_asks_for_the_hosts_ids_has_them(remapped):
    pid = run_detached(remapped, "host", "sleep", "600", flags=["--userns", "host"])
    assert id_map(pid) == [(0, 0, 4294967295)]
    assert remapped.inspect("host", "{{.HostConfig.UsernsMode}}") == "host"


def test_B07_one_container_has_a_namespace_of_its_own_where_others_have_none(apus, image):
    apus.image = image
    pid = run_detached(apus, "own", "sleep", "600", flags=["--userns", "private"])
    assert id_map(pid)[0][1] >= FIRST_ID and apus.inspect("own", "{{.HostConfig.UsernsMode}}") == "private"
    assert id_map(run_detached(apus, "plain", "sleep", "600")) == [(0, 0, 4294967295)]


def test_B07_files_are_the_containers_inside_and_lie_on_disk_with_its_own_ids(remapping, remapped):
    script = "touch /made && mkdir /d && chown 12:34 /d && chmod 4755 /made && echo x >> /etc/passwd && rm /bin/vi && stat -c '%u:%g %a' / /bin /made /d"
    assert remapped("run", "--name", "writes", remapped.image, "sh", "-c", script).ok().splitlines() == ["0:0 755", "0:0 755", "0:0 4755", "12:34 755"]
    upper = upper_directory(remapping, "writes", remapped)
    made, folder = os.stat(f"{upper}/made"), os.stat(f"{upper}/d")
    assert (made.st_uid, made.st_gid, folder.st_uid, folder.st_gid) == (0, 0, 12, 34)
    assert set(remapped("diff", "writes").ok().split("\n")) >= {"A /made", "A /d", "D /bin/vi"}


@pytest.fixture(scope="module")
def identity_program(tmp_path_factory):
    """A program that tells its effective user; busybox gives up what its file's mode has given it."""
    folder = tmp_path_factory.mktemp("identity")
    (folder / "who.c").write_text("#include <stdio.h>\n#include <unistd.h>\nint main(void) { return printf(\"%d %d\\n\", getuid(), geteuid()) < 0; }\n")
    subprocess.run(["cc", "-static", "-o", folder / "who", folder / "who.c"], check=True)
    return str(folder / "who")


def test_B07_a_file_that_runs_as_another_user_does_so_inside_alone(remapped, identity_program):
    pid = run_detached(remapped, "setuid", "sleep", "600")
    remapped("cp", identity_program, "setuid:/who").ok()
    remapped("exec", "setuid", "sh", "-c", "chown 0:0 /who; chmod 4755 /who").ok()
    assert remapped("exec", "-u", "1000", "setuid", "/who").line() == "1000 0"
    assert root_of(pid) >= FIRST_ID
    # The rights that count there are none on the host.
    assert "ermitted" in remapped("exec", "setuid", "mknod", "/disk", "b", "8", "0").err


def test_B07_root_inside_is_nobody_to_what_is_the_hosts_roots(remapped, tmp_path):
    secret, free = tmp_path / "secret", tmp_path / "free"
    secret.write_text("of the host's root")
    secret.chmod(0o600)
    free.mkdir()
    free.chmod(0o777)
    tmp_path.chmod(0o755)
    script = ("cat /there/secret; echo x >> /there/secret; rm -f /there/secret; chmod 666 /there/secret; chown 0 /there/secret;"
              "touch /there/free/x; stat -c %u /there/secret")
    result = remapped("run", "--rm", "-v", f"{tmp_path}:/there", remapped.image, "sh", "-c", script)
    assert result.out.strip() == "65534" and result.err.lower().count("permission denied") + result.err.count("ermitted") >= 4, result
    assert secret.read_text() == "of the host's root" and os.stat(free / "x").st_uid >= FIRST_ID


def test_B07_a_bind_that_asks_for_it_shows_the_containers_ids(remapped, tmp_path):
    (tmp_path / "file").write_text("x")
    os.chown(tmp_path / "file", 5, 6)
    out = remapped("run", "--rm", "-v", f"{tmp_path}:/there:idmap", remapped.image, "sh", "-c", "stat -c %u:%g /there/file; touch /there/made")
    assert out.ok().strip() == "5:6" and os.stat(tmp_path / "made").st_uid == 0


def test_B07_volumes_are_the_same_to_containers_of_either_kind(remapped):
    fill = "touch /v/of-root && chown 7:8 /v/of-root && stat -c %u:%g /v"
    assert remapped("run", "--rm", "-v", "shared:/v", remapped.image, "sh", "-c", fill).line() == "0:0"
    look = "stat -c %u:%g /v/of-root /v; touch /v/more"
    assert remapped("run", "--rm", "--userns", "host", "-v", "shared:/v", remapped.image, "sh", "-c", look).ok().split() == ["7:8", "0:0"]
    # What the image has is copied with its owners.
    assert remapped("run", "--rm", "-v", "/bin", remapped.image, "stat", "-c", "%u", "/bin/busybox").line() == "0"


def test_B07_the_kernels_settings_and_devices_are_as_in_any_container(remapped):
    script = ("cat /proc/sys/net/ipv4/ping_group_range; echo; ls -ln /dev/null /dev/shm /proc/1/stat | awk '{print $3}'; echo hi > /dev/stdout;"
              "echo 1 > /dev/null; head -c 4 /dev/urandom | wc -c; mount | grep -c ' /sys '; cat /etc/hostname; echo x >> /etc/hosts; id -G")
    out = remapped("run", "--rm", "--hostname", "named", "--sysctl", "net.ipv4.ip_forward=1", "-p", "127.0.0.1::80", remapped.image, "sh", "-c", script).ok()
    words = out.split()
    assert words[:2] == ["0", "65535"] and "hi" in words and "named" in words, out
    assert remapped("run", "--rm", remapped.image, "ping", "-c", "1", "-W", "3", "127.0.0.1").code == 0
    web = "mkdir /www; echo served > /www/index.html; httpd -p 80 -h /www; wget -qO- http://127.0.0.1/index.html"
    assert remapped("run", "--rm", "--user", "0", remapped.image, "sh", "-c", web).line() == "served"
    # The network is the user namespace's: whoever may administrate it does so inside.
    assert remapped("run", "--rm", "--cap-add", "NET_ADMIN", remapped.image, "ip", "link", "set", "lo", "mtu", "1400").code == 0
    assert remapped("run", "--rm", "--network", "none", remapped.image, "cat", "/proc/sys/net/ipv4/ping_group_range").ok().split() == ["0", "65535"]


def test_B07_a_terminal_and_shared_memory_belong_to_the_root_inside(remapped):
    out = remapped("run", "--rm", "--ipc", "shareable", remapped.image, "sh", "-c", "stat -c '%u %a' /dev/shm; touch /dev/shm/x")
    assert out.line() == "0 1777"
    run_detached(remapped, "typed", "sh", "-c", "stat -c %u $(tty) /dev/console; sleep 600", flags=["-t"])
    wait_until(lambda: remapped("logs", "typed").ok().split() == ["0", "0"], "the terminal is root's")
    assert remapped("exec", "-t", "typed", "sh", "-c", "stat -c %u $(tty)").line() == "0"
    # What the runtime was given in the terminal's place is the host's.
    assert (os.stat("/dev/null").st_uid, os.stat("/dev/null").st_gid) == (0, 0)


def test_B07_processes_that_are_added_and_those_that_look_at_health_are_in_it(remapped):
    pid = run_detached(remapped, "base", "sleep", "600", flags=["--health-cmd", "id -u > /seen; test $(id -u) = 0", "--health-interval", "1s"])
    assert remapped("exec", "base", "sh", "-c", "echo out > /dev/stdout; cat /proc/self/uid_map").ok().split()[:3] == ["out", "0", str(root_of(pid))]
    assert remapped("exec", "-u", "1000", "base", "id", "-u").line() == "1000"
    assert remapped("exec", "--privileged", "base", "sh", "-c", "echo 1 > /proc/sysrq-trigger").code != 0
    wait_until(lambda: remapped.inspect("base", "{{.State.Health.Status}}") == "healthy", "it is healthy", seconds=20)


@pytest.mark.parametrize("runs", [True, False], ids=["running", "stopped"])
def test_B07_files_are_copied_in_and_out_with_the_containers_ids(remapped, runs):
    run_detached(remapped, "copied", "sh", "-c", "echo x > /out; chown 5:6 /out; touch /ready; sleep 600")
    wait_until(lambda: remapped("exec", "copied", "ls", "/ready").code == 0, "the file is there")
    if not runs:
        remapped("kill", "copied").ok()
    # Through the archive itself, whose ids no client changes.
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, owner in (("in", 0), ("theirs", 1234)):
            header = tarfile.TarInfo(name)
            header.uid = header.gid = owner
            tar.addfile(header)
    remapped("cp", "-", "copied:/tmp", stdin=archive.getvalue()).ok()
    copied = remapped("cp", "copied:/out", "-")
    with tarfile.open(fileobj=io.BytesIO(copied.raw)) as tar:
        assert [(entry.uid, entry.gid) for entry in tar] == [(5, 6)]
    with tarfile.open(fileobj=io.BytesIO(remapped("export", "copied").raw)) as tar:
        owners = {entry.name: (entry.uid, entry.gid) for entry in tar}
    assert owners["out"] == (5, 6) and owners["bin"] == (0, 0) and owners["tmp/theirs"] == (1234, 1234) and owners["tmp/in"] == (0, 0)
    if not runs:
        remapped("start", "copied").ok()
    assert remapped("exec", "copied", "stat", "-c", "%u:%g", "/tmp/in", "/tmp/theirs").ok().split() == ["0:0", "1234:1234"]


def test_B07_an_image_made_of_it_is_anybodys(remapped):
    remapped("run", "--name", "made", remapped.image, "sh", "-c", "touch /file; chown 77:88 /file; mkdir /of-root").ok()
    remapped("commit", "made", "committed").ok()
    try:
        for flags in ([], ["--userns", "host"]):
            assert remapped("run", "--rm", *flags, "committed", "stat", "-c", "%u:%g", "/file", "/of-root").ok().split() == ["77:88", "0:0"]
    finally:
        remapped("rm", "made")
        remapped("rmi", "committed")


def test_B07_it_is_the_same_after_a_restart_and_by_the_restart_policy(remapped):
    pid = run_detached(remapped, "again", "sh", "-c", "touch /of-root; sleep 600", flags=["--restart", "always"])
    ids = id_map(pid)
    remapped("restart", "-t", "0", "again").ok()
    pid = int(remapped.inspect("again", "{{.State.Pid}}"))
    assert id_map(pid) == ids
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: int(remapped.inspect("again", "{{.State.Pid}}")) not in (0, pid), "it was started again", seconds=20)
    assert id_map(int(remapped.inspect("again", "{{.State.Pid}}"))) == ids
    wait_until(lambda: remapped("exec", "again", "stat", "-c", "%u", "/of-root").out == "0\n", "it has written as the root inside")


def test_B07_it_outlives_the_daemon(remapping, remapped):
    count = 4000
    pid = run_detached(remapped, "outlives", "sh", "-c", numbered_lines(count, "sleep 600"))
    ids = id_map(pid)
    remapping.kill()
    assert id_map(pid) == ids
    remapping.start("--config", remapping.config)
    assert remapped("exec", "outlives", "cat", "/proc/self/uid_map").ok().split() == [str(word) for word in ids[0]]
    wait_until(lambda: len(remapped("logs", "outlives").ok().split()) == count, "every line is there", seconds=30)
    assert remapped("logs", "outlives").ok().split() == [str(number + 1) for number in range(count)]
    # A new one does not get the ids of one that was adopted.
    assert id_map(run_detached(remapped, "newer", "sleep", "600")) != ids


def test_B07_who_joins_a_container_is_in_its_user_namespace(remapped):
    pid = run_detached(remapped, "joined", "sleep", "600", flags=["--ipc", "shareable"])
    for flags in (["--network", "container:joined"], ["--pid", "container:joined"], ["--ipc", "container:joined"]):
        said = remapped("run", "--rm", *flags, remapped.image, "sh", "-c", "readlink /proc/self/ns/user; touch /file; stat -c %u /file")
        assert said.ok().split() == [os.readlink(f"/proc/{pid}/ns/user"), "0"], flags


def test_B07_who_joins_a_container_is_started_again_in_its_user_namespace(remapped):
    kinds = ("network", "pid", "ipc")
    pid = run_detached(remapped, "joined", "sleep", "600", flags=["--ipc", "shareable"])
    for kind in kinds:
        former = run_detached(remapped, kind, "sleep", "600", flags=["--restart", "always", f"--{kind}", "container:joined"])
        os.kill(former, signal.SIGKILL)
        wait_until(lambda kind=kind: remapped.inspect(kind, "{{.RestartCount}} {{.State.Status}}") == "1 running", "it runs again", seconds=30)
        present = remapped.inspect(kind, "{{.State.Pid}}")
        for name in ("user", {"network": "net"}.get(kind, kind)):
            assert os.stat(f"/proc/{present}/ns/{name}").st_ino == os.stat(f"/proc/{pid}/ns/{name}").st_ino, (kind, name)


def test_B07_what_a_user_namespace_has_no_rights_to_is_refused_in_dockers_words(remapped):
    for flags, words in ((["--privileged"], "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace"),
                         (["--network", "host"], "cannot share the host's network namespace when user namespaces are enabled"),
                         (["--pid", "host"], "cannot share the host PID namespace when user namespaces are enabled"),
                         (["--ipc", "host"], "cannot share the host's IPC namespace when user namespaces are enabled")):
        result = remapped("run", "--rm", *flags, remapped.image, "true")
        assert result.code == 125 and words in result.err, result
        assert remapped("run", "--rm", *flags, "--userns", "host", remapped.image, "true").code == 0, flags
    assert "name=userns" in json.loads(remapped("info", "-f", "{{json .SecurityOptions}}").ok())


def test_B07_an_image_beside_the_own_one_is_shown_with_the_containers_ids(remapping, workspace):
    client = Client("apus", CLIENTS["apus"], remapping.host, workspace)
    mount = f"type=image,source={remapping.image},target=/other"
    out = client("run", "--rm", "--mount", mount, remapping.image, "sh", "-c", "stat -c %u /other /other/bin/busybox; touch /other/x 2>&1")
    assert out.out.split()[:2] == ["0", "0"] and re.search("ead-only", out.out)


def test_B07_a_user_without_ids_to_lend_is_refused_with_the_way_out(workspace):
    daemon = Daemon(os.path.join(workspace, "nobodys"))
    os.makedirs(daemon.folder)
    with pytest.raises(AssertionError) as failure:
        daemon.start("--userns-remap", "nosuchuser")
    assert 'no subordinate ids of nosuchuser in /etc/subuid: add a line like nosuchuser:100000:65536, or say "default"' in str(failure.value)
