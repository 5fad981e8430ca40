"""Sparse files of an attacker (D10, D20): maps that would fill the memory, holes that would fill the disk. Honest holes stay holes."""

import gzip
import io
import json
import os
import re
import tarfile

import pytest
from oci_images import Image, Pusher, busybox_layer, entry, files, tar

MEGABYTE = 1 << 20
PETABYTE = 1 << 50
# Of the daemon, beyond what it takes anyway, in kilobytes.
GROWTH = 100_000


def sparse(name, size, segments, data):
    """A member in pax's form 1.0: `segments` is the map, as its bytes, before the data."""
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name, "GNU.sparse.realsize": str(size)}
    return entry(f"GNUSparseFile.0/{name}", headers=headers), segments + b"\0" * (-len(segments) % 512) + data


def hole(name, offset, data=b"d" * 512):
    return sparse(name, offset + len(data), f"1\n{offset}\n{len(data)}\n".encode(), data)


def endless_map(name):
    """16 million segments of nothing: 64 MB that pack into 64 kB."""
    count = 16 * MEGABYTE
    return sparse(name, 0, f"{count}\n".encode() + b"0\n0\n" * count, b"")


def kilobytes(daemon, field):
    with open(f"/proc/{daemon.process.pid}/status", encoding="utf-8") as file:
        return int(re.search(rf"{field}:\s+(\d+)", file.read()).group(1))


class Peak:
    """How much the daemon grows meanwhile."""

    def __init__(self, daemon, limit=GROWTH):
        self.daemon, self.limit = daemon, limit

    def __enter__(self):
        with open(f"/proc/{self.daemon.process.pid}/clear_refs", "w", encoding="utf-8") as file:
            file.write("5")
        self.before = kilobytes(self.daemon, "VmRSS")

    def __exit__(self, *failure):
        grown = kilobytes(self.daemon, "VmHWM") - self.before
        assert grown < self.limit, f"{grown} kB"


def blobs(daemon):
    return sorted(os.listdir(f"{daemon.data}/content/blobs/sha256")), os.listdir(f"{daemon.data}/content/ingests")


def used(daemon):
    room = os.statvfs(daemon.data)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


def test_attack_D10_a_map_of_holes_without_end_is_refused_in_little_memory(apus, registry, own_daemon):
    archive = gzip.compress(tar([endless_map("manifest.json")]))
    assert len(archive) < MEGABYTE
    Pusher(registry.host).push("map", Image([busybox_layer(), tar([endless_map("map")])]))
    before = blobs(own_daemon)
    for words, data in (("load", archive), ("pull", None)):
        with Peak(own_daemon):
            refused = apus(words, *([f"{registry.host}/map"] if data is None else []), stdin=data)
        assert refused.code == 1 and "map of holes, of more than 2097152 bytes" in refused.err, refused
    assert apus("image", "inspect", f"{registry.host}/map").code == 1
    assert blobs(own_daemon)[1] == before[1] == []


@pytest.mark.parametrize("offset", [PETABYTE, 100 << 30, 1 << 30])
def test_attack_D20_a_hole_in_an_archive_fills_no_disk(apus, own_daemon, offset):
    archive = gzip.compress(tar([hole("manifest.json", offset)]))
    assert len(archive) < 2048
    before, room = blobs(own_daemon), used(own_daemon)
    refused = apus("load", stdin=archive, timeout=60)
    assert refused.code == 1 and re.search("more than|must stay free", refused.err), refused
    assert blobs(own_daemon) == before and used(own_daemon) - room < 64 * MEGABYTE


# A header that tells a smaller size than its map has: of a small file, all bytes of which are read at once, and of another.
@pytest.mark.parametrize("told, words", [(None, "more than 137438953472 in all"), (100_000, "more than 137438953472 in all"),
                                         (10, "data behind a small file's end")])
def test_attack_D10_a_layers_files_are_together_no_larger_than_a_layer_may_be(apus, registry, own_daemon, told, words):
    """Holes take no room, but whoever looks at the files reads them all."""
    name = f"{registry.host}/wide"
    members = [hole(f"f{number}", 40 << 30) for number in range(4)]
    if told:
        members = [sparse("f", told, f"1\n{8 << 40}\n512\n".encode(), b"d" * 512)]
    Pusher(registry.host).push("wide", Image([busybox_layer(), tar(members)]))
    refused = apus("pull", name)
    assert refused.code == 1 and words in refused.err, refused
    assert apus("image", "inspect", name).code == 1


def test_a_hole_of_a_gigabyte_stays_one_and_one_at_the_end_of_an_archives_member_is_read(apus, registry, own_daemon):
    name = f"{registry.host}/sparse"
    Pusher(registry.host).push("sparse", Image([busybox_layer(), tar([hole("large", 1 << 30)])]))
    apus("pull", "-q", name).ok()
    try:
        assert apus("run", "--rm", name, "sh", "-c", "stat -c '%s' /large; du -k /large | cut -f 1; tail -c 3 /large").ok().split()[0] == str((1 << 30) + 512)
        assert int(apus("run", "--rm", name, "du", "-k", "/large").ok().split()[0]) < 1024
    finally:
        apus("rmi", name)
    # A configuration that ends in a hole: zeros are no JSON, so it must be whole to be refused for what it is.
    image = Image([tar(files({"x": "y"}))])
    layer = gzip.decompress(image.blobs[image.layers[0]["digest"]])
    filled = len(layer.rstrip(b"\0")) + 511 & ~511
    member = sparse("0/layer.tar", len(layer), f"2\n0\n{filled}\n{len(layer)}\n0\n".encode(), layer[:filled])
    item = [{"Config": f"{image.id[7:]}.json", "RepoTags": ["holes:v1"], "Layers": ["0/layer.tar"]}]
    archive = tar([(entry(f"{image.id[7:]}.json"), image.config), member, (entry("manifest.json"), json.dumps(item).encode())])
    assert apus("load", stdin=archive).ok() == "Loaded image: holes:v1\n"
    assert apus.inspect("holes:v1", "{{.Id}}") == image.id
    apus("rmi", "holes:v1").ok()


def long_tar(count, member):
    """`count` members of names as long as they may be, each of the number's own."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for number in range(count):
            archive.addfile(member(number))
    return made.getvalue()


def joined(*archives):
    """One archive of several."""
    bare = [archive.rstrip(b"\0") for archive in archives]
    return b"".join(archive + bytes(-len(archive) % 512) for archive in bare) + bytes(1024)


def folder_of(name):
    return entry(name, tarfile.DIRTYPE, 0o755)


@pytest.mark.parametrize("kind", ["one-folder-again-and-again", "many-folders"])
def test_attack_D10_times_of_folders_take_little_memory_and_are_right(apus, registry, own_daemon, kind):
    count, deep, limit = 9000, "/".join(["d" * 250] * 4), GROWTH
    if kind.startswith("one"):
        count, deep, limit = 1000, "/".join("d" * 500), 25_000
    name = (lambda number: deep) if kind.startswith("one") else (lambda number: f"{deep}/{number}")
    # What lies in a folder of before comes after all of them, when their times are long set.
    late = [(folder_of("early"), None)]
    later = files({"early/file": "late"})[1:]
    layer = joined(tar(late), long_tar(count, lambda number: folder_of(name(number))), tar(later))
    Pusher(registry.host).push("folders", Image([busybox_layer(), layer]))
    with Peak(own_daemon, limit):
        apus("pull", "-q", f"{registry.host}/folders", timeout=240).ok()
    try:
        told = apus("run", "--rm", f"{registry.host}/folders", "sh", "-c", f"stat -c %Y /early /{name(7)} /{name(count - 1)}; cat /early/file")
        assert told.ok().split() == ["1700000000"] * 3 + ["late"]
    finally:
        apus("rmi", f"{registry.host}/folders").ok()


def test_attack_D10_names_of_whiteouts_have_a_limit(apus, registry, own_daemon):
    deep = "/".join(["w" * 250] * 15)
    layer = long_tar(10_000, lambda number: entry(f"{deep}/.wh.{number}"))
    Pusher(registry.host).push("whiteouts", Image([busybox_layer(), layer]))
    with Peak(own_daemon):
        refused = apus("pull", "-q", f"{registry.host}/whiteouts", timeout=240)
    assert refused.code == 1 and "more than 33554432 bytes of names of whiteouts" in refused.err, refused


def test_attack_D20_names_of_an_archives_members_have_a_limit(apus, own_daemon):
    deep = "/".join(["n" * 250] * 4)
    archive = gzip.compress(long_tar(10_000, lambda number: entry(f"{deep}/{number}", tarfile.SYMTYPE, link="x/" * 100)))
    before = blobs(own_daemon)
    with Peak(own_daemon):
        refused = apus("load", stdin=archive, timeout=60)
    assert refused.code == 1 and "names" in refused.err, refused
    assert blobs(own_daemon) == before


def test_a_user_copies_a_file_of_any_size_into_a_container(apus, image):
    """A disk of a virtual machine, say."""
    archive = tar([hole("disk", 200 << 30)])
    apus("create", "--name", "takes", image).ok()
    apus("cp", "-", "takes:/tmp", stdin=archive).ok()
    try:
        assert "disk" in apus("diff", "takes").ok()
    finally:
        apus("rm", "-f", "takes").ok()
