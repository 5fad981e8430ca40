"""Files with holes in what is committed: the image is made, and goes by archives and registries to whoever takes no bombs."""

import gzip
import hashlib
import json
import os
import tarfile

import pytest
from oci_images import Pusher

MEGABYTE = 1 << 20
# Beyond what any amount of zeros is free of the ratio, by default.
LARGE = 320 * MEGABYTE
WORDS = ((0, b"begin"), (131 * MEGABYTE + 17, b"middle"), (LARGE - 3, b"end"))


def write_holes(path, size=LARGE, words=WORDS):
    with open(path, "wb") as file:
        file.truncate(size)
        for place, word in words:
            file.seek(place)
            file.write(word)
    assert os.lstat(path).st_blocks * 512 < MEGABYTE


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read()).hexdigest()


@pytest.fixture
def running(apus):
    """Starts a container of an image. Returns its root as this machine sees it."""
    started = []

    def start(name, container):
        started.append(container)
        apus("run", "-d", "--name", container, "--network", "none", name, "sleep", "1000").ok()
        return f"/proc/{apus.inspect(container, '{{.State.Pid}}')}/root"
    yield start
    apus("rm", "-f", *started)


def test_feature_D19_a_container_with_large_holes_is_committed_and_its_image_goes_wherever_images_go(apus, image, registry, running, tmp_path):
    path = running(image, "sparse-writer") + "/sparse"
    write_holes(path)
    name, archive, before = f"{registry.host}/committed-holes", str(tmp_path / "saved.tar"), digest(path)
    apus("commit", "sparse-writer", name).ok()
    identity = apus.inspect(name, "{{.Id}}")
    apus("save", "-o", archive, name).ok()
    apus("push", "-q", name).ok()
    apus("rm", "-f", "sparse-writer").ok()
    for words in (["load", "-i", archive], ["pull", name]):
        apus("rmi", name).ok()
        apus(*words, timeout=120).ok()
        assert apus.inspect(name, "{{.Id}}") == identity
        assert digest(running(name, f"sparse-{words[0]}") + "/sparse") == before, words
        apus("rm", "-f", f"sparse-{words[0]}").ok()
    # To others it is gzip like any other.
    layer = json.loads(Pusher(registry.host).manifest("committed-holes"))["layers"][-1]
    assert LARGE / 200 < layer["size"] < LARGE / 100
    with tarfile.open(archive) as saved, gzip.open(saved.extractfile("blobs/sha256/" + layer["digest"][7:])) as packed:
        with tarfile.open(fileobj=packed, mode="r|") as inside:
            sizes = {member.name: member.size for member in inside}
    assert sizes["sparse"] == LARGE
    apus("rmi", name).ok()
