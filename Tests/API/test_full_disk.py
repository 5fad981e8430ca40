"""A data root on a file system without a byte or an inode left: what takes away still does, and who finds no room says where and how much."""

import contextlib
import os
import re
import subprocess
import threading

import pytest
from conftest import CLIENTS, Client, Daemon, entries
from oci_images import Image, Pusher, busybox_layer, files, tar
from processes import read_line, wait_until
from scripted_registry import ScriptedRegistry

MEGABYTE = 1 << 20


@contextlib.contextmanager
def daemon_on(folder, disk, *options):
    """A daemon whose data root is an ext4 file system of 320 MB, made with these options; stopped at the end."""
    daemon = Daemon(os.path.realpath(folder))
    with open(disk, "wb") as file:
        file.truncate(320 * MEGABYTE)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", *options, str(disk)], check=True)
    os.makedirs(daemon.data)
    subprocess.run(["mount", "-o", "loop", str(disk), daemon.data], check=True)
    try:
        yield daemon.start()
        assert daemon.stop() == 0, daemon.log()
        wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended")
    finally:
        subprocess.run(["umount", "-l", daemon.data], check=True)


@pytest.fixture
def small(tmp_path_factory, tmp_path):
    """A daemon and its client."""
    with daemon_on(tmp_path_factory.mktemp("s"), tmp_path / "disk") as daemon:
        yield daemon, Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))


@pytest.fixture
def narrow(tmp_path_factory, tmp_path):
    """The same where there is room for few files, a little more than what stays free beside a layer."""
    with daemon_on(tmp_path_factory.mktemp("s"), tmp_path / "disk", "-N", "6144") as daemon:
        yield daemon, Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))


def fill_bytes(daemon):
    """Takes every byte, also of what is freed meanwhile."""
    wait_until(lambda: is_filled(daemon), "no byte is left")


def is_filled(daemon):
    with open(f"{daemon.data}/filler", "ab") as file:
        for size in (MEGABYTE, 4096, 1):
            try:
                while True:
                    os.write(file.fileno(), b"x" * size)
            except OSError as error:
                assert error.errno == 28
    return os.statvfs(daemon.data).f_bavail == 0


def fill_inodes(daemon):
    """Takes every inode, also of what is freed meanwhile."""
    os.makedirs(f"{daemon.data}/filler.d", exist_ok=True)
    wait_until(lambda: is_filled_with_files(daemon), "no inode is left")


def is_filled_with_files(daemon):
    try:
        while True:
            os.close(os.open(f"{daemon.data}/filler.d/{os.urandom(8).hex()}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except OSError as error:
        assert error.errno == 28
    return os.statvfs(daemon.data).f_favail == 0


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_on_a_full_disk_rm_rmi_and_prune_succeed(request, registry, what):
    daemon, apus = request.getfixturevalue({"bytes": "small", "inodes": "narrow"}[what])
    fill = {"bytes": fill_bytes, "inodes": fill_inodes}[what]
    names = []
    for number in range(3):
        Pusher(registry.host).push(f"full{number}", Image([busybox_layer(), tar(files({"x": os.urandom(MEGABYTE)}))]))
        names.append(f"{registry.host}/full{number}")
        apus("pull", "-q", names[-1]).ok()
    apus("run", "-d", "--name", "runs", names[0], "sleep", "1000").ok()
    apus("run", "--name", "ended", "-v", "kept:/v", names[1], "true").ok()
    apus("create", "--name", "made", names[1]).ok()
    assert os.path.getsize(f"{daemon.data}/reserve") == 16 * MEGABYTE and len(entries(f"{daemon.data}/reserve-inodes")) == 128
    fill(daemon)
    assert apus("rm", "ended").ok() == "ended\n"
    assert apus("rm", "-f", "runs").ok() == "runs\n"
    fill(daemon)
    assert apus("container", "prune", "-f").ok().startswith("Deleted Containers:")
    fill(daemon)
    assert "Deleted: sha256:" in apus("rmi", names[0]).ok()
    fill(daemon)
    assert apus("volume", "rm", "kept").ok() == "kept\n"
    fill(daemon)
    assert "deleted: sha256:" in apus("image", "prune", "-a", "-f").ok()
    assert apus("ps", "-aq").ok() == apus("images", "-q").ok() == apus("volume", "ls", "-q").ok() == ""
    assert entries(f"{daemon.data}/snapshots/overlayfs/layers") == entries(f"{daemon.data}/content/blobs/sha256") == []
    subprocess.run(f"rm -r {daemon.data}/filler*", shell=True, check=True)
    apus("pull", "-q", names[0]).ok()
    apus("rmi", names[0]).ok()
    assert os.path.getsize(f"{daemon.data}/reserve") == 16 * MEGABYTE, "room is kept again"
    assert len(entries(f"{daemon.data}/reserve-inodes")) == 128


def test_on_a_full_disk_a_log_is_followed(small, registry):
    """Though nothing can be kept for who reads too slowly."""
    daemon, apus = small
    apus("run", "-d", "--name", "runs", f"{registry.host}/alpha", "sh", "-c", "echo begun; exec sleep 1000").ok()
    wait_until(lambda: apus("logs", "runs").out == "begun\n", "the line is in the log")
    fill_bytes(daemon)
    follower = apus.start("logs", "-f", "runs", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert read_line(follower) == "begun\n"
        assert not [name for name in os.listdir(f"{daemon.data}/containers/{apus.inspect('runs', '{{.Id}}')}") if name.startswith("log.followed")]
        apus("rm", "-f", "runs").ok()
        assert follower.communicate(timeout=60) == ("", "") and follower.returncode == 0
    finally:
        follower.kill()
        follower.communicate()


def test_what_is_kept_for_removals_is_a_setting(small, registry):
    daemon, apus = small
    reserve = f"{daemon.data}/reserve"
    for flags, size in (["--disk-reserve", str(2 * MEGABYTE)], 2), (["--disk-reserve=0"], None), ([], 16):
        assert daemon.stop() == 0, daemon.log()
        daemon.start(*flags)
        assert (os.path.getsize(reserve) if os.path.exists(reserve) else None) == (size and size * MEGABYTE)
    with open(f"{daemon.folder}/settings.toml", "w", encoding="utf-8") as file:
        file.write(f"disk-reserve = {3 * MEGABYTE}\nmanifest-limit = 8192\n")
    assert daemon.stop() == 0, daemon.log()
    daemon.start("--config", f"{daemon.folder}/settings.toml")
    apus("pull", "-q", f"{registry.host}/alpha").ok()
    fill_bytes(daemon)
    apus("rmi", f"{registry.host}/alpha").ok()
    assert os.path.getsize(reserve) <= 3 * MEGABYTE and apus("images", "-q").ok() == ""


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_a_daemon_begins_on_a_full_disk_and_frees_it(request, registry, what):
    daemon, apus = request.getfixturevalue({"bytes": "small", "inodes": "narrow"}[what])
    fill = {"bytes": fill_bytes, "inodes": fill_inodes}[what]
    name = f"{registry.host}/alpha"
    apus("run", "--name", "ended", name, "true").ok()
    # A daemon that ends takes the database's own files along, and the next one makes them anew.
    for end in daemon.kill, daemon.stop:
        fill(daemon)
        end()
        fill(daemon)
        daemon.start()
    assert apus.inspect("ended", "{{.State.Status}}") == "exited" and " 0 " not in apus("images").ok()
    apus("rm", "ended").ok()
    apus("rmi", name).ok()
    assert apus("images", "-q").ok() == ""


def test_who_finds_no_inode_says_where_and_how_many(narrow, registry):
    daemon, apus = narrow
    name = f"{registry.host}/alpha"
    apus("pull", "-q", name).ok()
    apus("create", "--name", "made", name, "true").ok()
    fill_inodes(daemon)
    for words in ("pull", f"{registry.host}/beta"), ("create", name, "true"), ("commit", "made", "again"), ("volume", "create", "more"):
        refused = apus(*words)
        needs = r"ENOSPC \(28\), a free inode and a free block are needed|\d+ inodes must stay free, 0 are"
        assert refused.code != 0 and re.search(rf"{daemon.data}/\S+: ({needs})", refused.err), refused
    assert apus("ps", "-aq").ok().count("\n") == apus("images", "-q").ok().count("\n") == 1 and apus("volume", "ls", "-q").ok() == ""
    assert daemon.stop() == 0, daemon.log()
    # Who has taken away what is kept for this is told what is lacking.
    subprocess.run(["rm", "-r", f"{daemon.data}/reserve-inodes"], check=False)
    fill_inodes(daemon)
    with pytest.raises(AssertionError, match="apusd ended with 1"):
        daemon.start()
    assert re.search(rf"{daemon.data}: 0 inodes and \S+ are free, a start takes 16 inodes", daemon.log().splitlines()[-1]), daemon.log()
    assert entries(f"{daemon.data}/snapshots") == ["overlayfs"], "no copies for want of an inode"
    subprocess.run(["rm", "-r", f"{daemon.data}/filler.d"], check=True)
    daemon.start()
    apus("rm", "made").ok()
    apus("rmi", name).ok()


def test_who_finds_no_room_says_where_and_how_much(small, registry):
    daemon, apus = small
    Pusher(registry.host).push("large", Image([busybox_layer(), tar(files({"large": os.urandom(60 * MEGABYTE), "zeros": bytes(20 * MEGABYTE)}))]))
    name = f"{registry.host}/large"
    with open(f"{daemon.data}/filler", "wb") as file:
        room = os.statvfs(daemon.data)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - 30 * MEGABYTE)
    refused = apus("pull", name)
    assert refused.code == 1 and re.search(
        rf"{daemon.data}/content: \d{{8}} bytes are needed and 134217728 must stay free, \d+ are: no space left on device", refused.err), refused
    assert apus("images", "-q").ok() == "" and entries(f"{daemon.data}/content/ingests") == []
    # Room for the blob, but not for what it unpacks to beside it: the download finds that, or the unpacking.
    os.truncate(f"{daemon.data}/filler", os.path.getsize(f"{daemon.data}/filler") - 190 * MEGABYTE)
    refused = apus("pull", name)
    assert refused.code == 1 and re.search(
        rf"{daemon.data}/(snapshots\S*|content): 134217728 bytes must stay free, \d+ are: no space left",
        refused.err), refused
    os.remove(f"{daemon.data}/filler")
    apus("pull", "-q", name).ok()
    fill_bytes(daemon)
    refused = apus("import", "-", "more:latest", stdin=tar(files({"more": os.urandom(MEGABYTE)})))
    assert refused.code == 1 and re.search(rf"{daemon.data}/content: \d+ bytes must stay free, 0 are: no space left", refused.err), refused
    apus("rmi", name).ok()


def test_a_download_and_a_commit_leave_free_what_is_to_stay_free_whatever_else_fills_the_disk(small, registry):
    """There was room when each began: what fills the disk meanwhile ends it, and what is removed then has room to be removed."""
    daemon, apus = small
    layer = tar(files({"large": os.urandom(70 * MEGABYTE)}))
    image = Image([busybox_layer(), layer])
    filled = threading.Event()

    def wait(handler, _):
        """Half of the layer, and the rest once the disk is nearly full."""
        data, _, fields = handler.body()
        if len(data) < MEGABYTE or handler.command != "GET":
            return False
        handler.head(206 if "Content_Range" in fields else 200, len(data), **fields)
        handler.write(data[:len(data) // 2])
        filled.wait(60)
        handler.write(data[len(data) // 2:])
        return True

    server = ScriptedRegistry(image, faults={"blob": wait})
    server.knows_ranges = False
    try:
        results = []
        pull = threading.Thread(daemon=True, target=lambda: results.append(apus("pull", server.name, timeout=120)))
        pull.start()
        ingests = f"{daemon.data}/content/ingests"
        wait_until(lambda: any(os.path.getsize(f"{ingests}/{name}") > 30 * MEGABYTE for name in entries(ingests)), "half of it is here", 60)
        with open(f"{daemon.data}/filler", "wb") as file:
            room = os.statvfs(daemon.data)
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - 60 * MEGABYTE)
        filled.set()
        pull.join()
        assert results[0].code == 1 and re.search(r"134217728 bytes must stay free, \d+ are: no space left on device", results[0].err), results
        assert os.statvfs(daemon.data).f_bavail * os.statvfs(daemon.data).f_frsize > 30 * MEGABYTE, "the download went on to the last byte"
    finally:
        filled.set()
        server.stop()
    os.remove(f"{daemon.data}/filler")
    apus("image", "prune", "-f").ok()
    apus("run", "--name", "wrote", "--network", "none", f"{registry.host}/alpha", "sh", "-c", "head -c 60000000 /dev/urandom > /large").ok()
    with open(f"{daemon.data}/filler", "wb") as file:
        room = os.statvfs(daemon.data)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - 150 * MEGABYTE)
    refused = apus("commit", "wrote", "made", timeout=120)
    assert refused.code == 1 and re.search(
        rf"{daemon.data}/content: 134217728 bytes must stay free, \d+ are: no space left on device", refused.err), refused
    fill_bytes(daemon)
    apus("rm", "wrote").ok()
    fill_bytes(daemon)
    apus("rmi", f"{registry.host}/alpha").ok()
    fill_bytes(daemon)
    apus("image", "prune", "-a", "-f").ok()
    assert apus("ps", "-aq").ok() == apus("images", "-q").ok() == ""
