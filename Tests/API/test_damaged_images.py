"""Rows of an image in the database that cannot be read, for the disk lost bytes of them or somebody wrote to them: neither daemon nor any other image
is the worse for it, `system check` tells, and `--repair` writes the record anew or drops it."""
# Rows: features, reliability

import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from conftest import entries
from oci_images import Image, Pusher, busybox_layer, files, tar
from processes import Registry

# Done with the image's id as `:id`; foreign keys are not looked at, as when a disk loses bytes.
DAMAGES = {
    "manifest": "UPDATE image SET manifestDigest = 'sha256:12' WHERE id = :id",
    "created": "UPDATE image SET created = 'yesterday' WHERE id = :id",
    "bytes": "UPDATE image SET created = CAST(x'ff00fe' AS TEXT) WHERE id = :id",
    "id": "UPDATE image SET id = replace(id, 'sha256', 'sha25v') WHERE id = :id",
    "chain": "UPDATE imageLayer SET chainID = upper(chainID) WHERE imageID = :id AND position = 1",
    "difference": "UPDATE imageLayer SET diffID = '' WHERE imageID = :id",
    "blob": "UPDATE imageBlob SET digest = 'sha256:x' || substr(digest, 9) WHERE imageID = :id",
    "name": "UPDATE imageName SET name = upper(name) WHERE imageID = :id AND name LIKE '%:extra'",
    "short name": "UPDATE imageName SET name = 'alpine' WHERE imageID = :id AND name LIKE '%:extra'",
    "name's manifest": "UPDATE imageNameManifest SET manifestDigest = 'x' WHERE name LIKE '%/damaged:latest'",
    "pull": "UPDATE imagePulledAs SET tagged = 'no//name' WHERE tagged LIKE '%/damaged:latest'",
}


class Victim:
    """An image of a daemon, what it needs, and a client."""

    def __init__(self, daemon, registry):
        self.daemon, self.client, self.registry = daemon, daemon.client, registry
        self.image = Image([busybox_layer(), tar(files({"which": "damaged"}))])
        self.name = f"{registry.host}/damaged:latest"
        Pusher(registry.host).push("damaged", self.image)
        self.client("pull", "-q", self.name).ok()
        self.client("tag", self.name, "damaged:extra").ok()
        self.blobs, self.layers = self.kept()

    def kept(self):
        data = self.daemon.data
        return set(entries(f"{data}/content/blobs/sha256")), set(entries(f"{data}/snapshots/overlayfs/layers"))

    def names(self):
        return set(self.client("images", "--format", "{{.Repository}}:{{.Tag}}").ok().split())

    def damage(self, statement):
        assert self.daemon.stop() == 0
        with closing(sqlite3.connect(f"{self.daemon.data}/engine.sqlite")) as records, records:
            records.executescript("DROP TRIGGER IF EXISTS imageNameMoved")
            assert records.execute(statement, {"id": self.image.id} if ":id" in statement else {}).rowcount > 0, "it is damaged"
        self.daemon.start()

    def check(self, *flags):
        result = self.client("system", "check", "--format", "json", *flags, timeout=120)
        return result, [json.loads(line) for line in result.out.splitlines()]


@pytest.fixture
def victim(brittle, registry):
    return Victim(brittle, registry)


@pytest.mark.parametrize("damage", DAMAGES)
def test_P07_a_damaged_record_of_an_image_is_in_nobodys_way_and_is_written_anew(victim, damage):
    client, other = victim.client, f"{victim.daemon.image}:latest"
    kept = {victim.name, "damaged:extra"} - ({"damaged:extra"} if "name" in damage and "manifest" not in damage else set())
    client("create", "--name", "made-before", victim.name, "cat", "/which").ok()
    victim.damage(DAMAGES[damage])

    assert victim.names() == {other}
    client("system", "df", "-v").ok()
    assert client("run", "--rm", "--network", "none", other, "echo", "runs").line() == "runs"
    assert client("start", "-a", "made-before").line() == "damaged", "a container that was made of it has its layers"
    gone = client("inspect", "--type", "image", victim.name)
    assert gone.code == 1 and "No such image" in gone.err, gone
    client("image", "prune", "-f").ok()
    assert "cannot be read" in victim.daemon.log() and victim.image.id[10:] in victim.daemon.log()

    result, findings = victim.check()
    assert result.code == 1 and [(found["Kind"], found["Object"], found["State"]) for found in findings] == [
        ("unreadable", "record", "found")], findings
    result, findings = victim.check("--repair")
    assert result.code == 0 and [(found["Kind"], found["Object"], found["State"]) for found in findings] == [
        ("unreadable", "record", "repaired")], (result, findings)
    assert findings[0]["Detail"].endswith("; it was written anew"), findings
    assert victim.check()[1] == []

    assert victim.names() == kept | {other} and victim.kept() == (victim.blobs, victim.layers)
    assert client.inspect(victim.name, "{{.Id}} {{.RepoDigests}}") == (
        f"{victim.image.id} [{victim.name.removesuffix(':latest')}@{victim.image.digest}]")
    assert client("run", "--rm", "--network", "none", victim.name, "cat", "/which").line() == "damaged"
    # And as much of it goes as ever was there.
    client("rm", "made-before").ok()
    client("rmi", "-f", victim.image.id).ok()
    assert victim.check()[1] == [] and not {victim.image.id[7:], victim.image.digest[7:]} & victim.kept()[0]


@pytest.mark.parametrize("damage", ["created", "chain", "blob", "name"])
@pytest.mark.parametrize("way", ["pull", "load"])
def test_P07_who_brings_an_image_again_mends_its_record(victim, damage, way):
    archive = victim.client("save", victim.name).raw
    victim.damage(DAMAGES[damage])
    if way == "pull":
        victim.client("pull", "-q", victim.name).ok()
    else:
        victim.client("load", "-q", stdin=archive).ok()
    assert victim.name in victim.names() and victim.check()[1] == []
    assert victim.client("run", "--rm", "--network", "none", victim.name, "cat", "/which").line() == "damaged"


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_P07_a_lost_document_of_a_damaged_record_is_fetched_again(victim, what):
    digest = victim.image.digest if what == "manifest" else victim.image.id
    victim.damage(DAMAGES["created"])
    os.remove(f"{victim.daemon.data}/content/blobs/sha256/{digest[7:]}")
    result, findings = victim.check("--repair")
    assert result.code == 0 and [(found["Object"], found["State"]) for found in findings] == [("record", "repaired")], (result, findings)
    assert victim.name in victim.names() and victim.kept() == (victim.blobs, victim.layers) and victim.check()[1] == []


def test_P07_a_record_whose_registry_does_not_answer_now_stays_as_it_is(brittle, tmp_path):
    registry = Registry(str(tmp_path / "registry"))
    try:
        victim = Victim(brittle, registry)
        archive = victim.client("save", victim.name).raw
    finally:
        registry.stop()
    victim.damage(DAMAGES["created"])
    os.remove(f"{victim.daemon.data}/content/blobs/sha256/{victim.image.digest[7:]}")
    kept = victim.kept()
    result, findings = victim.check("--repair")
    assert result.code == 1 and [(found["Kind"], found["Object"], found["State"]) for found in findings] == [
        ("unreadable", "record", "found")], (result, findings)
    assert "cannot be fetched again" in findings[0]["Remark"] and victim.kept() == kept, findings
    victim.client("load", "-q", stdin=archive).ok()
    assert {victim.name, "damaged:extra"} <= victim.names() and victim.check()[1] == []


def test_P07_a_record_that_nobody_can_write_anew_is_dropped_with_all_that_it_had(victim):
    archive = victim.client("save", victim.name).raw
    victim.client("rmi", "-f", victim.image.id).ok()
    before = victim.kept()
    # From no registry: nobody has its manifest but the store.
    victim.client("load", "-q", stdin=archive).ok()
    victim.damage(DAMAGES["created"])
    with closing(sqlite3.connect(f"{victim.daemon.data}/engine.sqlite")) as records:
        manifest = records.execute("SELECT manifestDigest FROM image WHERE id = ?", (victim.image.id,)).fetchone()[0]
    os.remove(f"{victim.daemon.data}/content/blobs/sha256/{manifest[7:]}")
    result, findings = victim.check("--repair")
    assert result.code == 0 and [(found["Kind"], found["Object"], found["State"]) for found in findings] == [
        ("unreadable", "record", "repaired")], (result, findings)
    assert "it was dropped" in findings[0]["Detail"] and victim.name in findings[0]["Images"].split(","), findings
    assert victim.names() == {f"{victim.daemon.image}:latest"} and victim.check()[1] == [] and victim.kept() == before
    victim.client("load", "-q", stdin=archive).ok()
    assert victim.client("run", "--rm", "--network", "none", victim.name, "cat", "/which").line() == "damaged"


def test_P07_a_record_with_other_layers_than_its_configuration_is_found_and_put_right(victim):
    victim.damage("DELETE FROM imageLayer WHERE imageID = :id AND position = 1")
    result, findings = victim.check()
    assert result.code == 1 and ("damaged", "record", victim.image.id) in [(found["Kind"], found["Object"], found["ID"]) for found in findings], findings
    result, findings = victim.check("--repair")
    assert result.code == 0, (result, findings)
    assert victim.check()[1] == []
    assert victim.client("run", "--rm", "--network", "none", victim.name, "cat", "/which").line() == "damaged"


def test_P07_sizes_on_record_that_no_disk_has_end_no_daemon(victim):
    client, layers = victim.client, [busybox_layer(), tar(files({"one": "1"})), tar(files({"two": "2"}))]
    images = {"huge": Image(layers), "larger": Image([*layers, tar(files({"three": "3"}))])}
    for name, image in images.items():
        Pusher(victim.registry.host).push(name, image)
        client("pull", "-q", f"{victim.registry.host}/{name}").ok()
    client("create", "--name", "of-huge", images["huge"].id, "cat", "/two").ok()
    victim.damage(f"UPDATE imageLayer SET sizeBytes = {2**63 - 1}")
    victim.damage(f"UPDATE image SET sizeBytes = {2**63 - 1}")
    for words in (["system", "df", "-v"], ["ps", "-a", "-s"], ["images"], ["history", images["huge"].id], ["image", "inspect", images["huge"].id]):
        client(*words).ok()
    assert client("start", "-a", "of-huge").line() == "2"
    client("rm", "of-huge").ok()
    # What the record says of layers that are lost is all that is known of them.
    for chain in set(victim.kept()[1]) - set(victim.layers):
        shutil.rmtree(f"{victim.daemon.data}/snapshots/overlayfs/layers/{chain}")
    victim.damage(f"UPDATE image SET created = 'yesterday' WHERE id IN ('{images['huge'].id}', '{images['larger'].id}')")
    result, findings = victim.check("--repair")
    assert result.code == 0 and victim.check()[1] == [], (result, findings)
    assert client("run", "--rm", "--network", "none", images["larger"].id, "cat", "/two", "/three").line() == "23"
    client("system", "df").ok()
