"""Two images whose manifests differ share an id where their configuration is one: each name keeps its own manifest."""

import gzip
import json
import os
import socket
import tarfile

import pytest
from conftest import entries
from engine_http import api
from oci_images import Image, Pusher, busybox_layer, files, tar
from processes import wait_until

LAYERS = [busybox_layer(), tar(files({"same": "same" * 5000}))]


@pytest.fixture
def twins(apus, registry):
    """Two names of a registry, and their images: of one configuration, packed in two ways; both are here, the second one last."""
    images = [Image(LAYERS, {"Labels": {"of": "twins"}}, compress=lambda data, level=level: gzip.compress(data, level, mtime=0)) for level in (6, 1)]
    names = [f"{registry.host}/twin{number}" for number in range(2)]
    assert images[0].id == images[1].id and images[0].digest != images[1].digest
    for number, (image, name) in enumerate(zip(images, names)):
        Pusher(registry.host).push(f"twin{number}", image)
        apus("pull", "-q", name).ok()
    yield list(zip(names, images))
    apus("rmi", "-f", images[0].id)
    apus("image", "prune", "-f").ok()


def test_each_name_is_pushed_and_tagged_with_its_own_manifest(apus, registry, twins, own_daemon):
    pusher = Pusher(registry.host)

    def pushed(number, source, image):
        target = f"{registry.host}/pushed{number}"
        apus("tag", source, target).ok()
        out = apus("push", target).ok()
        assert f"digest: {image.digest}" in out and pusher.digest(f"pushed{number}") == image.digest, out
        return target

    targets = [pushed(number, name, image) for number, (name, image) in enumerate(twins)]
    # By the digest, by a tag of a tag, and after a daemon's end.
    pushed(2, f"{twins[0][0]}@{twins[0][1].digest}", twins[0][1])
    pushed(3, targets[0], twins[0][1])
    own_daemon.kill()
    own_daemon.start()
    pushed(4, targets[0], twins[0][1])
    # By its id it is what was pulled last.
    pushed(5, twins[0][1].id, twins[1][1])
    digests = json.loads(apus.inspect(twins[0][0], "{{json .RepoDigests}}"))
    assert {f"{registry.host}/pushed0@{twins[0][1].digest}", f"{registry.host}/pushed1@{twins[1][1].digest}"} <= set(digests), digests


def test_the_manifest_of_each_name_is_described_and_all_of_them_are_listed(twins, own_daemon):
    def described(word):
        return [one["ID"] for one in api(own_daemon, "GET", f"/v1.51/images/{word}/json?manifests=1", expect=200)[1]["Manifests"]]

    for name, image in twins:
        assert described(name) == [image.digest] == described(f"{name}@{image.digest}")
    assert described(twins[0][1].id) == [twins[1][1].digest], "by its id it is what was pulled last"
    listed = [one for one in api(own_daemon, "GET", "/v1.51/images/json?manifests=1", expect=200)[1] if one["Id"] == twins[0][1].id]
    assert {one["ID"] for one in listed[0]["Manifests"]} == {image.digest for _, image in twins}


def test_an_archive_has_the_manifest_of_each_name_and_brings_them_back(apus, registry, twins, tmp_path):
    def manifests(archive):
        with tarfile.open(archive) as opened:
            index = json.load(opened.extractfile("index.json"))
        return {item["annotations"]["io.containerd.image.name"]: item["digest"] for item in index["manifests"]}

    archive = str(tmp_path / "both.tar")
    apus("save", "-o", archive, *[name for name, _ in twins]).ok()
    expected = {f"{name}:latest": image.digest for name, image in twins}
    assert manifests(archive) == expected
    one = str(tmp_path / "one.tar")
    apus("save", "-o", one, twins[0][0]).ok()
    assert manifests(one) == {f"{twins[0][0]}:latest": twins[0][1].digest}
    apus("rmi", "-f", twins[0][1].id).ok()
    apus("load", "-i", archive).ok()
    apus("save", "-o", archive, *[name for name, _ in twins]).ok()
    assert manifests(archive) == expected
    apus("system", "check").ok()


def test_blobs_of_both_manifests_are_checked_and_fetched_again(apus, twins, own_daemon):
    for _, image in twins:
        path = f"{own_daemon.data}/content/blobs/sha256/{image.layers[1]['digest'][7:]}"
        with open(path, "r+b") as file:
            file.write(b"damage")
        result = apus("system", "check", "--repair", "--format", "json", timeout=120)
        assert result.code == 0 and [json.loads(line)["State"] for line in result.out.splitlines()] == ["repaired"], result


def blobs_here(daemon):
    return {f"sha256:{name}" for name in entries(f"{daemon.data}/content/blobs/sha256")}


def own_blobs(image, other):
    """What of an image no other one of the same configuration has."""
    return {image.digest, *(layer["digest"] for layer in image.layers)} - {other.digest, *(layer["digest"] for layer in other.layers)}


def test_blobs_of_a_manifest_go_with_its_last_name_and_those_of_another_stay(apus, twins, own_daemon, tmp_path):
    (first, one), (second, two) = twins
    assert own_blobs(one, two) <= blobs_here(own_daemon)
    apus("tag", first, "kept").ok()
    apus("rmi", first).ok()
    assert own_blobs(one, two) <= blobs_here(own_daemon), "a name stands for it still"
    # The name moves to the other manifest of the same image.
    apus("tag", second, "kept").ok()
    assert not own_blobs(one, two) & blobs_here(own_daemon) and own_blobs(two, one) | {two.id} <= blobs_here(own_daemon)
    assert apus.inspect(one.id, "{{.Id}}") == two.id and apus("run", "--rm", "kept", "wc", "-c", "/same").line().split()[0] == "20000"
    apus("save", "-o", str(tmp_path / "kept.tar"), one.id, "kept").ok()
    apus("system", "check").ok()


def test_by_its_id_an_image_is_the_manifest_of_a_name_that_it_has(apus, twins, own_daemon):
    (first, one), (second, two) = twins
    # What was pulled last loses its name: by its id the image is what is left of it.
    apus("rmi", second).ok()
    assert not own_blobs(two, one) & blobs_here(own_daemon) and own_blobs(one, two) | {one.id} <= blobs_here(own_daemon)
    described = api(own_daemon, "GET", f"/v1.51/images/{one.id}/json?manifests=1", expect=200)[1]["Manifests"]
    assert [each["ID"] for each in described] == [one.digest] and described[0]["Available"]
    container = apus("create", first, "sh").line()
    made = apus("commit", container).line()
    apus("rm", container).ok()
    apus("rmi", made).ok()
    # Without any name it stays what it was, as every image that a container needs.
    apus("run", "-d", "--name", "user", "--network", "none", first, "sleep", "300").ok()
    apus("rmi", "-f", first).ok()
    assert own_blobs(one, two) <= blobs_here(own_daemon) and apus("images", "-q", "--no-trunc", "-f", "dangling=true").ok().split() == [one.id]
    apus("rm", "-f", "user").ok()


def test_a_load_that_moves_a_name_takes_what_it_stood_for(apus, twins, own_daemon, tmp_path):
    (first, one), (second, two) = twins
    apus("tag", first, "moved").ok()
    apus("save", "-o", str(tmp_path / "moved.tar"), "moved").ok()
    apus("rmi", first).ok()
    apus("tag", second, "moved").ok()
    assert not own_blobs(one, two) & blobs_here(own_daemon)
    apus("rmi", second).ok()
    apus("load", "-i", str(tmp_path / "moved.tar")).ok()
    assert own_blobs(one, two) <= blobs_here(own_daemon) and not own_blobs(two, one) & blobs_here(own_daemon)
    assert apus("run", "--rm", "moved", "wc", "-c", "/same").line().split()[0] == "20000"


def test_what_is_being_saved_goes_when_it_has_been(apus, registry, own_daemon):
    """An image that is removed while it is saved: the archive is whole, and nothing is left of the image after it."""
    image = Image([busybox_layer(), tar(files({"random": os.urandom(24 << 20)}))])
    Pusher(registry.host).push("saved", image)
    name = f"{registry.host}/saved"
    apus("pull", "-q", name).ok()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(own_daemon.socket)
        connection.sendall(f"GET /v1.51/images/{name}/get HTTP/1.1\r\nHost: apus\r\nConnection: close\r\n\r\n".encode())
        head = connection.recv(4096)
        assert b" 200 " in head[:20], head
        apus("rmi", name).ok()
        assert image.layers[1]["digest"] in blobs_here(own_daemon)
        size = len(head)
        while chunk := connection.recv(1 << 20):
            size += len(chunk)
    assert size > 24 << 20
    wait_until(lambda: not {image.digest, image.id, image.layers[1]["digest"]} & blobs_here(own_daemon), "the image has gone")
