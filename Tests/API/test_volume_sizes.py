"""Volumes and roots of a limited size, on a file system that limits directories: the kernel of `make cgroup2` does, in `make nightly`."""
# Rows: features

import os
import shutil
import subprocess

import pytest
from conftest import daemon_with_an_image

MEGABYTE = 1 << 20


def prepare(folder, kind):
    """A sparse file system of half a gigabyte mounted on `folder` with project quotas."""
    image = f"{folder}.image"
    with open(image, "wb") as file:
        file.truncate((512 if kind == "ext4" else 640) * MEGABYTE)
    make = ["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"] if kind == "ext4" else ["mkfs.xfs", "-q"]
    program = shutil.which(make[0], path=f"{os.environ['PATH']}:/sbin:/usr/sbin")
    os.makedirs(folder)
    steps = ([program or "false", *make[1:], image], ["mount", "-o", "loop,prjquota", image, folder])
    mounted = all(subprocess.run(step, capture_output=True, check=False).returncode == 0 for step in steps)
    if not mounted:
        os.unlink(image)
        os.rmdir(folder)
        pytest.skip(f"this kernel mounts no {kind} with project quotas")
    return image


@pytest.fixture(params=["ext4", "xfs"])
def limited(workspace, request):
    """A daemon whose data lies on such a file system."""
    place = os.path.join(workspace, f"q{len(os.listdir(workspace))}")
    image = prepare(place, request.param)
    try:
        with daemon_with_an_image(workspace, "l", os.path.join(place, "data")) as daemon:
            yield daemon
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        os.rmdir(place)
        os.unlink(image)


def written(client, image, *flags, path="/full", megabytes=12):
    """How many megabytes a container writes until nothing more fits."""
    said = client("run", "--rm", "--network", "none", *flags, image, "sh", "-c",
                  f"dd if=/dev/zero of={path}/file bs=65536 count={megabytes * 16} 2>/dev/null; stat -c %s {path}/file")
    return int(said.line()) / MEGABYTE


def test_F01_a_volume_takes_what_its_size_says_and_no_more(limited):
    client, image = limited.client, limited.image
    client("volume", "create", "-o", "size=5m", "small").ok()
    client("volume", "create", "large").ok()
    assert client("volume", "inspect", "-f", "{{json .Options}}", "small").line() == '{"size":"5m"}'
    assert 4 <= written(client, image, "-v", "small:/full") <= 5
    # The others are limited by nothing, and it stays so after a restart of the daemon.
    assert written(client, image, "-v", "large:/full") == 12
    limited.stop()
    limited.start()
    assert 4 <= written(client, image, "-v", "small:/full") <= 5
    client("volume", "clone", "small", "second").ok()
    assert 4 <= written(client, image, "-v", "second:/full") <= 5
    # One that is gone gives back its place, and its number to the next one.
    client("volume", "rm", "small", "second", "large").ok()
    client("volume", "create", "-o", "size=2m", "next").ok()
    assert 1 <= written(client, image, "-v", "next:/full") <= 2
    assert 2 <= written(client, image, "--mount", "type=volume,dst=/full,volume-opt=size=3m") <= 3


def test_F01_a_root_takes_what_its_size_says_and_no_more(limited):
    client, image = limited.client, limited.image
    assert 4 <= written(client, image, "--storage-opt", "size=5m", path="/tmp") <= 5
    assert written(client, image, path="/tmp") == 12
    assert 4 <= written(client, image, "--storage-opt", "size=5m", path="/tmp") <= 5


def test_F01_what_limits_no_directories_says_so(cli, image, own_daemon):
    kind = subprocess.run(["stat", "-f", "-c", "%T", own_daemon.data], capture_output=True, text=True, check=True).stdout.strip()
    names = {"ext2/ext3": "ext4"}
    for flags, words in ((("volume", "create", "-o", "size=5m", "small"), "create small: quota size requested but no quota support"),
                         (("create", "--storage-opt", "size=5m", image, "true"),
                          "--storage-opt is supported only for overlay over xfs with 'pquota' mount option")):
        refused = cli(*flags)
        assert refused.code == 1 and words in refused.err and f" lies on {names.get(kind, kind)}, which limits no directories" in refused.err, refused
    assert cli("ps", "-aq").line() == ""
    for size in ("0", "x", "-5m", "5q"):
        refused = cli("volume", "create", "-o", f"size={size}", "small")
        assert refused.code == 1 and "invalid s" in refused.err, refused
    mixed = cli("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "size=5m", "small")
    assert mixed.code == 1 and "o=size=5m" in mixed.err
    assert cli("volume", "ls", "-q").line() == ""


def test_F01_a_volume_in_memory_takes_what_its_size_says_and_no_more(cli, image):
    cli("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=2m", "memory").ok()
    try:
        assert written(cli, image, "-v", "memory:/full") == 2
        assert written(cli, image, "--tmpfs", "/full:size=3m") == 3
        assert written(cli, image, "--mount", "type=tmpfs,dst=/full,tmpfs-size=1m") == 1
    finally:
        cli("volume", "rm", "memory").ok()
