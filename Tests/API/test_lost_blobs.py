"""Blobs that lost bytes on the disk, of layers that are unpacked: who needs them has them fetched again, or learns what to do."""

import os

import pytest
from oci_images import Image, busybox_layer, digest_of, files, tar
from scripted_registry import ScriptedRegistry

CASES = [(which, damage) for which in ("layer", "configuration", "manifest") for damage in ("flipped", "gone")]


class Lost:
    """An image that is here, pulled from `source`, with one blob of which something is missing."""

    def __init__(self, daemon, apus, which, damage):
        self.image = Image([busybox_layer(), tar(files({"own": os.urandom(100_000)}))])
        self.source, self.target = ScriptedRegistry(self.image), ScriptedRegistry()
        self.name = self.source.name
        apus("pull", "-q", self.name).ok()
        self.digest = {"layer": self.image.layers[1]["digest"], "configuration": self.image.id, "manifest": self.image.digest}[which]
        self.path = f"{daemon.data}/content/blobs/sha256/{self.digest[7:]}"
        if damage == "gone":
            os.remove(self.path)
        else:
            with open(self.path, "r+b") as file:
                file.seek(20)
                file.write(b"damage")

    def is_whole(self):
        with open(self.path, "rb") as file:
            return digest_of(file.read()) == self.digest

    def forget(self):
        """Nobody has it any more."""
        self.source.blobs.clear()
        self.source.manifests.clear()


@pytest.fixture
def lose(own_daemon, apus):
    made = []

    def make(which, damage):
        made.append(Lost(own_daemon, apus, which, damage))
        return made[-1]
    yield make
    for lost in made:
        apus("rmi", "-f", lost.image.id)
        lost.source.stop()
        lost.target.stop()
    apus("image", "prune", "-f").ok()


@pytest.mark.parametrize("which, damage", CASES)
def test_R02_a_push_fetches_what_the_disk_lost_and_goes_on(lose, apus, which, damage):
    lost = lose(which, damage)
    apus("tag", lost.name, lost.target.name).ok()
    out = apus("push", lost.target.name, timeout=120).ok()
    assert f"digest: {lost.image.digest}" in out and lost.is_whole(), out
    assert lost.target.manifests["latest"] == lost.image.manifest and lost.target.blobs == lost.image.blobs


@pytest.mark.parametrize("which, damage", CASES)
def test_R02_a_save_fetches_what_the_disk_lost_and_holds_all_of_it(lose, apus, tmp_path, which, damage):
    lost = lose(which, damage)
    archive = str(tmp_path / "saved.tar")
    apus("save", "-o", archive, lost.name, timeout=120).ok()
    assert lost.is_whole()
    apus("rmi", "-f", lost.image.id).ok()
    apus("load", "-i", archive).ok()
    assert apus("run", "--rm", lost.name, "wc", "-c", "/own").line().split()[0] == "100000"


@pytest.mark.parametrize("way", ["load", "pull", "system check --repair"])
def test_R02_what_nobody_has_is_told_with_the_ways_out(lose, apus, tmp_path, way):
    lost = lose("layer", "flipped")
    manifests, blobs, archive = dict(lost.source.manifests), dict(lost.source.blobs), str(tmp_path / "none.tar")
    lost.forget()
    apus("tag", lost.name, lost.target.name).ok()
    for words in (("save", "-o", archive, lost.name), ("push", lost.target.name)):
        refused = apus(*words)
        assert refused.code == 1 and f"the disk lost bytes of {lost.digest}" in refused.err and "`apus system check --repair`" in refused.err, refused
        assert not os.path.exists(archive)
    assert apus("run", "--rm", lost.name, "wc", "-c", "/own").line().split()[0] == "100000", "what is unpacked runs on"
    lost.source.manifests.update(manifests)
    lost.source.blobs.update(blobs)
    if way == "load":
        lost.image.write_layout(str(tmp_path / "layout"))
        apus("load", "-i", str(tmp_path / "layout")).ok()
    else:
        apus(*(("pull", lost.name) if way == "pull" else way.split()), timeout=120).ok()
    assert lost.is_whole()
    apus("save", "-o", archive, lost.name).ok()
