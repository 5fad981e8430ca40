"""Blobs that lost bytes on the disk, of layers that are unpacked: who needs them has them fetched again, or learns what to do."""

import os
import subprocess
import threading

import pytest
from conftest import entries
from engine_http import api
from oci_images import Image, busybox_layer, digest_of, files, tar
from scripted_registry import ScriptedRegistry

CASES = [(which, damage) for which in ("layer", "configuration", "manifest") for damage in ("flipped", "gone")]


class Lost:
    """An image that is here, pulled from `source`, with one blob of which something is missing."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.image = Image([busybox_layer(), tar(files({"own": os.urandom(100_000)}))])
        self.source, self.target = ScriptedRegistry(self.image), ScriptedRegistry()
        self.name = self.source.name

    def pull_and_lose(self, apus, which, damage):
        apus("pull", "-q", self.name).ok()
        self.digest = {"layer": self.image.layers[1]["digest"], "configuration": self.image.id, "manifest": self.image.digest}[which]
        self.path = f"{self.daemon.data}/content/blobs/sha256/{self.digest[7:]}"
        self.damage = damage
        self.lose()

    def lose(self):
        if self.damage == "gone":
            if os.path.exists(self.path):
                os.remove(self.path)
        else:
            with open(self.path, "r+b") as file:
                file.seek(20)
                file.write(b"damage")

    def is_there_whole(self):
        return os.path.exists(self.path) and self.is_whole()

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
        made.append(Lost(own_daemon))
        made[-1].pull_and_lose(apus, which, damage)
        return made[-1]
    yield make
    for lost in made:
        try:
            apus("rmi", "-f", lost.image.id)
        finally:
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
def test_R02_what_nobody_has_is_told_with_the_ways_out(lose, apus, own_daemon, tmp_path, way):
    lost = lose("layer", "flipped")
    ingests = f"{own_daemon.data}/content/ingests"
    manifests, blobs, archive = dict(lost.source.manifests), dict(lost.source.blobs), str(tmp_path / "none.tar")
    lost.forget()
    apus("tag", lost.name, lost.target.name).ok()
    for words in (("save", "-o", archive, lost.name), ("push", lost.target.name)):
        refused = apus(*words)
        assert refused.code == 1 and f"the disk lost bytes of {lost.digest}" in refused.err and "`apus system check --repair`" in refused.err, refused
        assert not os.path.exists(archive) and entries(ingests) == []
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


@pytest.mark.parametrize("which, damage", [case for case in CASES if case[0] != "layer"])
def test_R02_an_inspection_and_a_commit_fetch_what_the_disk_lost(lose, apus, which, damage):
    lost = lose(which, damage)
    if which == "configuration":
        assert apus.inspect(lost.name, "{{.Id}}") == lost.image.id and lost.is_whole()
    container = apus("create", lost.name, "sh").line()
    try:
        lost.lose()
        made = apus("commit", container).line()
        assert lost.is_whole() and apus("run", "--rm", made, "wc", "-c", "/own").line().split()[0] == "100000"
        apus("rmi", made).ok()
    finally:
        apus("rm", "-f", container)


@pytest.mark.parametrize("which, damage", [case for case in CASES if case[0] != "configuration"])
def test_R02_images_are_listed_with_what_is_here_of_their_manifests(lose, own_daemon, image, which, damage):
    lost = lose(which, damage)
    described = api(own_daemon, "GET", "/v1.51/images/json?manifests=1", expect=200)[1]
    by_name = {name.removesuffix(":latest"): one["Manifests"] for one in described for name in one["RepoTags"]}
    found, other = by_name[lost.name][0], by_name[image][0]
    assert (found["ID"], other["Available"]) == (lost.image.digest, True)
    # The bytes of what is not small are read by those alone who need them.
    assert found["Available"] == ((which, damage) == ("layer", "flipped")), found
    content = sum(len(blob) for digest, blob in [*lost.image.blobs.items(), (lost.image.digest, lost.image.manifest)] if digest != lost.digest)
    if which == "manifest":
        assert found["Size"]["Content"] == content and found["Descriptor"]["size"] == 0


def test_R02_a_fetch_of_what_the_disk_lost_ends_with_its_caller(lose, apus, tmp_path):
    lost = lose("layer", "gone")
    met, gone = threading.Event(), threading.Event()

    def holds(handler, _):
        """Half of the layer, and nothing until the other side goes."""
        if handler.command != "GET" or met.is_set():
            return False
        met.set()
        handler.send_part(50_000)
        handler.connection.settimeout(60)
        if handler.connection.recv(1) == b"":
            gone.set()
        handler.close_connection = True
        return True
    lost.source.faults["blob"] = holds
    caller = apus.start("save", "-o", str(tmp_path / "saved.tar"), lost.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert met.wait(30)
    caller.kill()
    caller.wait()
    assert gone.wait(30), "nobody waits for it any more"
    apus("save", "-o", str(tmp_path / "saved.tar"), lost.name).ok()
    assert lost.is_whole()


@pytest.mark.parametrize("way", ["a save's", "a pull's"])
def test_R02_wrong_bytes_that_the_disk_keeps_are_asked_for_a_few_times_alone(lose, apus, own_daemon, tmp_path, way):
    """What a fetch goes on with is not the beginning of the blob, and cannot be removed: something is mounted on it."""
    lost = lose("layer", "gone")
    if way == "a pull's":
        apus("rmi", "-f", lost.image.id).ok()
    ingest = f"{own_daemon.data}/content/ingests/sha256-{lost.digest[7:]}"
    with open(ingest, "wb") as file:
        file.write(b"wrong")
    subprocess.run(["mount", "--bind", ingest, ingest], check=True)
    words = ("pull", lost.name) if way == "a pull's" else ("save", "-o", str(tmp_path / "saved.tar"), lost.name)
    try:
        refused = apus(*words)
        assert refused.code == 1 and f"verification failed for digest {lost.digest}" in refused.err, refused
    finally:
        subprocess.run(["umount", ingest], check=True)
    os.remove(ingest)
    apus(*words).ok()
    assert lost.is_whole()


@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_R02_a_list_asks_no_registry_for_what_the_disk_lost(lose, apus, own_daemon, damage):
    lost = lose("configuration", damage)
    # The labels of those that have been listed are known.
    own_daemon.kill()
    own_daemon.start()
    count = len(lost.source.requests)
    lost.source.faults["config"] = lambda handler, _: handler.answer(500) or True
    listed = {one["Id"]: one for one in api(own_daemon, "GET", "/v1.51/images/json", expect=200)[1]}
    assert listed[lost.image.id]["RepoTags"] == [f"{lost.name}:latest"] and listed[lost.image.id]["Labels"] in ({}, None)
    for words in (("images", "--filter", "label=one"), ("images",), ("system", "df", "-v"), ("image", "prune", "-a", "-f", "--filter", "label=one")):
        apus(*words).ok()
    assert len(lost.source.requests) == count and not lost.is_there_whole()
    assert apus("images", "-q", "--no-trunc", lost.name).ok().split() == [lost.image.id]
    # Who is to show it has it fetched.
    del lost.source.faults["config"]
    assert apus.inspect(lost.name, "{{.Id}}") == lost.image.id and lost.is_there_whole()


def read_bytes(daemon):
    """What the daemon has read so far. - Source: proc(5), /proc/PID/io."""
    with open(f"/proc/{daemon.process.pid}/io", encoding="ascii") as file:
        return int(file.readline().removeprefix("rchar: "))


def test_a_save_reads_each_layer_once_unless_somebody_has_written_to_it(apus, own_daemon, tmp_path):
    big = Image([busybox_layer(), tar(files({"big": os.urandom(32 << 20)}))])
    registry = ScriptedRegistry(big)
    try:
        apus("pull", "-q", registry.name).ok()
        size = sum(layer["size"] for layer in big.layers)

        def save():
            before = read_bytes(own_daemon)
            apus("save", "-o", str(tmp_path / "big.tar"), registry.name, timeout=120).ok()
            return read_bytes(own_daemon) - before

        assert size <= save() < 1.3 * size
        own_daemon.kill()
        own_daemon.start()
        assert size <= save() < 1.3 * size, "a daemon that has started anew knows it, too"
        # What shows that it was written to is read before the first byte goes out, and brought again.
        path = f"{own_daemon.data}/content/blobs/sha256/{big.layers[1]['digest'][7:]}"
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"damage")
        assert save() > 1.9 * size
        with open(path, "rb") as file:
            assert digest_of(file.read()) == big.layers[1]["digest"]
        # What does not show it ends the archive, which is none.
        status = os.stat(path)
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"damage")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        broken = apus("save", "-o", str(tmp_path / "broken.tar"), registry.name, timeout=120)
        assert broken.code != 0 and not os.path.exists(tmp_path / "broken.tar"), broken
        # It is known from then on, and brought again for the next one.
        assert save() > 1.9 * size
        with open(path, "rb") as file:
            assert digest_of(file.read()) == big.layers[1]["digest"]
        apus("system", "check", "--repair", timeout=120).ok()
        apus("save", "-o", str(tmp_path / "broken.tar"), registry.name, timeout=120).ok()
    finally:
        apus("rmi", "-f", big.id)
        registry.stop()
