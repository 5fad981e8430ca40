"""What flags of checkpoint and restore are for: the thing that one is about outlives both, and without the flag nothing is written.
--shell-job alone makes no difference: the first process of a container leads a session, and terminals of others may always be left.

criu works where `criu check` passes; in `make cgroup2` it does, and runc with it, which proves the tests."""

import fcntl
import os
import socket
import subprocess
import threading

import criu
import pytest
from checkpoints import counter, images  # noqa: F401
from processes import wait_until

pytestmark = criu.needed
ours = pytest.mark.ours
HERE = os.path.dirname(os.path.abspath(__file__))
PORT = 5150


@pytest.fixture(scope="module")
def program(folder):
    path = os.path.join(folder, "holds")
    subprocess.run(["cc", "-static", "-O1", "-Wall", "-Werror", "-o", path, os.path.join(HERE, "holds.c")], check=True)
    return path


@pytest.fixture
def holding(program, bundle, counter):
    """Starts the program that holds something."""
    def start(*words, **changes):
        with open(program, "rb") as file:
            bundle.file("/bin/holds", file.read(), mode=0o755)
        counter.start(["/bin/holds", *words], **changes)
        return counter
    return start


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [int(line) for line in file.read().split("\n")[:-1]]


def test_an_open_connection_outlives_both_with_tcp_established_alone(program, bundle, counter):
    """Between two processes of the container: from dump to restore criu drops every packet of the container's network namespace that does not
    bear its own mark, also those of others who live there (criu/net.c, network_lock_internal), so that no peer sees the connection gone."""
    with open(program, "rb") as file:
        bundle.file("/bin/holds", file.read(), mode=0o755)
    counter.start(f"sleep 6000 | busybox nc -l -p {PORT} > /got & exec /bin/holds tcp 127.0.0.1 {PORT}")
    counter.cannot_be_written_without("--tcp-established")
    stopped_at = counter.checkpoint("--tcp-established")
    counter.restore("--tcp-established")
    counter.goes_on(stopped_at)
    got = os.path.join(bundle.rootfs, "got")
    wait_until(lambda: lines(got)[-1] > stopped_at + 3, "the numbers at the other end", seconds=30)
    assert lines(got) == list(range(1, len(lines(got)) + 1))


def is_locked(path):
    with open(path, "rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def test_a_lock_is_held_by_who_held_it_with_file_locks_alone(bundle, holding):
    counter = holding("lock", "/lock")
    path = os.path.join(bundle.rootfs, "lock")
    assert is_locked(path)
    counter.cannot_be_written_without("--file-locks")
    stopped_at = counter.checkpoint("--file-locks")
    assert not is_locked(path)
    counter.restore("--file-locks")
    counter.goes_on(stopped_at)
    assert is_locked(path)
    counter.runtime("delete", "-f", counter.name).ok()
    assert not is_locked(path)


def test_an_open_file_that_lost_the_name_it_was_opened_by_is_kept_with_link_remap_alone(bundle, holding):
    counter = holding("unlinked", "/first", "/second")
    second = os.path.join(bundle.rootfs, "second")
    counter.cannot_be_written_without("--link-remap")
    stopped_at = counter.checkpoint("--link-remap")
    assert not os.path.exists(os.path.join(bundle.rootfs, "first"))
    counter.restore()
    counter.goes_on(stopped_at)
    wait_until(lambda: lines(second)[-1] > stopped_at, "the file of the other name grows")
    assert lines(second) == list(range(1, len(lines(second)) + 1))
    # No name that was made for the images stays.
    assert [name for name in os.listdir(bundle.rootfs) if "remap" in name or name == "first"] == []


@pytest.fixture
def outer(folder):
    """A socket of the host: its path, and the numbers that it has got so far."""
    # By the same name inside and outside: criu looks for it by that.
    path, got = os.path.join(folder, "sockets", "outer"), []
    os.makedirs(os.path.dirname(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(path)

        def collect():
            while number := int(end.recv(32)):
                got.append(number)
        reader = threading.Thread(daemon=True, target=collect)
        reader.start()
        yield path, got
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"0", path)
        reader.join()
    os.unlink(path)


def test_a_socket_that_leads_out_is_connected_again_with_ext_unix_sk_alone(bundle, holding, outer):
    path, got = outer
    place = os.path.dirname(path)
    # criu looks for the other end among the sockets of the container's network namespace.
    bundle.without_namespace("network")
    counter = holding("socket", path, mounts={"$add": [{"destination": place, "type": "bind", "source": place, "options": ["bind"]}]})
    counter.cannot_be_written_without("--ext-unix-sk")
    stopped_at = counter.checkpoint("--ext-unix-sk")
    counter.restore("--ext-unix-sk")
    counter.goes_on(stopped_at)
    wait_until(lambda: got[-1] > stopped_at + 3, "the numbers at the other end", seconds=30)
    counter.runtime("delete", "-f", counter.name).ok()
    assert got == list(range(1, len(got) + 1))


@pytest.fixture
def dummy():
    """Makes a network device, in a namespace of a process or in the host's."""
    made = []

    def make(name, address):
        made.append(name)
        for words in (["link", "add", name, "type", "dummy"], ["addr", "add", f"{address}/24", "dev", name]):
            subprocess.run(["ip", *words], check=True)
    yield make
    for name in made:
        subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)


@ours
def test_network_devices_move_into_a_restored_containers_own_namespace(runtime, counter, dummy):
    dummy("apus-ct0", "10.91.0.1")
    counter.start(linux={"netDevices": {"apus-ct0": {"name": "inner"}}})
    stopped_at = counter.checkpoint()
    # The container's end ended its namespace, and with it the device that was there.
    assert runtime("restore", "-d", *images(counter.bundle), "-b", counter.bundle.path, counter.name).fails("apus-ct0")
    assert runtime("list", "-q").ok().out == ""
    dummy("apus-ct0", "10.91.0.2")
    # A restoration that fails gives it back.
    counter.bundle.write(hooks={"createRuntime": [{"path": "/bin/false"}]})
    assert runtime("restore", "-d", *images(counter.bundle), "-b", counter.bundle.path, counter.name).fails("createRuntime hook #0")
    assert "10.91.0.2/24" in subprocess.run(["ip", "addr", "show", "dev", "apus-ct0"], capture_output=True, text=True, check=True).stdout
    counter.bundle.write(hooks={"createRuntime": []})
    counter.restore()
    counter.goes_on(stopped_at)
    assert "10.91.0.2/24" in runtime("exec", counter.name, "ip", "addr", "show", "dev", "inner").ok().out


def test_network_devices_in_a_namespace_by_path_stay_there(runtime, bundle, counter, other, dummy):
    bundle.join("network", f"/proc/{other}/ns/net")
    dummy("apus-ct1", "10.92.0.1")
    counter.start(linux={"netDevices": {"apus-ct1": {}}})
    for round_name in ("once", "twice"):
        stopped_at = counter.checkpoint(name=round_name)
        counter.restore(name=round_name)
        counter.goes_on(stopped_at)
        assert "10.92.0.1/24" in runtime("exec", counter.name, "ip", "addr", "show", "dev", "apus-ct1").ok().out


def test_another_cgroup_is_taken_when_criu_shall_not_manage_them(runtime, bundle, counter):
    counter.start(linux={"cgroupsPath": f"/{counter.name}-first", "resources": {"pids": {"limit": 50}}})
    stopped_at = counter.checkpoint("--manage-cgroups-mode", "ignore")
    assert not os.path.exists(f"/sys/fs/cgroup/{counter.name}-first")
    bundle.write(linux={"cgroupsPath": f"/{counter.name}-second", "resources": {"pids": {"limit": 40}}})
    counter.restore("--manage-cgroups-mode", "ignore")
    counter.goes_on(stopped_at)
    assert not os.path.exists(f"/sys/fs/cgroup/{counter.name}-first")
    with open(f"/proc/{runtime.state(counter.name)['pid']}/cgroup", encoding="utf-8") as file:
        assert file.read().strip() == f"0::/{counter.name}-second"
    with open(f"/sys/fs/cgroup/{counter.name}-second/pids.max", encoding="utf-8") as file:
        assert file.read().strip() == "40"


@ours
def test_mount_points_in_what_is_bound_from_the_host_are_made_again(runtime, bundle, counter, tmp_path):
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    outer.mkdir()
    inner.mkdir()
    (inner / "file").write_text("of the host\n")
    counter.start(mounts={"$add": [
        {"destination": "/test", "type": "bind", "source": str(outer), "options": ["bind"]},
        {"destination": "/test/for/nested", "type": "bind", "source": str(inner), "options": ["bind"]}]})
    stopped_at = counter.checkpoint()
    (outer / "for/nested").rmdir()
    (outer / "for").rmdir()
    counter.restore()
    counter.goes_on(stopped_at)
    assert runtime("exec", counter.name, "cat", "/test/for/nested/file").ok().out == "of the host\n"


def test_the_containers_own_settings_of_criu_are_heeded(runtime, bundle, counter, tmp_path):
    (tmp_path / "criu.conf").write_text("log-file=of-the-annotation.log\n")
    counter.start(annotations={"org.criu.config": str(tmp_path / "criu.conf")})
    stopped_at = counter.checkpoint()
    path = os.path.join(bundle.path, "work/of-the-annotation.log")
    assert os.path.getsize(path) > 0
    os.unlink(path)
    counter.restore()
    counter.goes_on(stopped_at)
    assert os.path.getsize(path) > 0


@ours
def test_a_cache_policy_that_cannot_be_set_restores_nothing(runtime, counter):
    counter.start()
    counter.checkpoint()
    counter.bundle.write(linux={"intelRdt": {"l3CacheSchema": "L3:0=f"}})
    runtime("restore", "-d", *images(counter.bundle), "-b", counter.bundle.path, counter.name).fails("linux.intelRdt", "resctrl")
    assert runtime("list", "-q").ok().out == ""
