"""Digests other than SHA-256, and sizes that are not those of their blobs: images stay what they are through pull, save, load and run."""

import hashlib
import json
import os

import pytest
from oci_images import Image, busybox_layer, digest_of, files, tar
from scripted_registry import ScriptedRegistry


@pytest.fixture
def serve():
    made = []

    def make(image):
        made.append(ScriptedRegistry(image))
        return made[-1]
    yield make
    for registry in made:
        registry.stop()


def longer(data):
    return "sha512:" + hashlib.sha512(data).hexdigest()


def with_long_digests(image, parts):
    """The image with its uppermost layer or its configuration named by SHA-512."""
    manifest = json.loads(image.manifest)
    for descriptor in [manifest["layers"][-1]] * ("layer" in parts) + [manifest["config"]] * ("configuration" in parts):
        data = image.blobs[descriptor["digest"]]
        descriptor["digest"] = longer(data)
        image.blobs[longer(data)] = data
    image.id = manifest["config"]["digest"]
    image.manifest = json.dumps(manifest).encode()
    image.digest = digest_of(image.manifest)
    return image


@pytest.mark.parametrize("parts", [["layer"], ["configuration"], ["layer", "configuration"]], ids="+".join)
def test_an_image_named_by_longer_digests_is_pulled_saved_loaded_and_run(apus, serve, tmp_path, parts):
    image = with_long_digests(Image([busybox_layer(), tar(files({"long": "long"}))], {"Labels": {"parts": "+".join(parts)}}), parts)
    registry = serve(image)
    apus("pull", "-q", registry.name).ok()
    archive = str(tmp_path / "long.tar")
    hexadecimal = image.id.split(":")[1]
    try:
        for word in (registry.name, image.id, hexadecimal, hexadecimal[:12], hexadecimal[:70] if "configuration" in parts else hexadecimal):
            assert apus.inspect(word, "{{.Id}}") == image.id
        assert apus("run", "--rm", image.id, "cat", "/long").ok() == "long"
        apus("save", "-o", archive, registry.name).ok()
        apus("system", "check").ok()
        apus("rmi", registry.name).ok()
        assert "Loaded image" in apus("load", "-i", archive).ok()
        assert apus.inspect(registry.name, "{{.Id}}") == image.id
        assert apus("run", "--rm", registry.name, "cat", "/long").ok() == "long"
    finally:
        apus("rmi", "-f", image.id)


def test_a_configuration_that_is_here_is_taken_by_no_manifest_that_says_another_size(apus, serve):
    """The archive of such an image would hold fewer bytes than its headers say."""
    image = Image([busybox_layer()], {"Labels": {"of": "sizes"}})
    honest = serve(image)
    apus("pull", "-q", honest.name).ok()
    try:
        manifest = json.loads(image.manifest)
        manifest["config"]["size"] = 100
        image.manifest = json.dumps(manifest).encode()
        lying = serve(image)
        refused = apus("pull", lying.name)
        assert refused.code == 1 and f"has {len(image.config)} bytes, not the 100" in refused.err, refused
        assert apus("image", "inspect", lying.name).code == 1
    finally:
        apus("rmi", honest.name).ok()


def test_R02_a_layers_blob_that_lost_bytes_on_the_disk_is_fetched_again(apus, serve, daemon):
    """It is here for an image that has it on another layer, so it is unpacked from the disk."""
    layer = tar(files({"kept": os.urandom(80_000)}))
    first, second = Image([busybox_layer(), layer]), Image([busybox_layer(), tar(files({"between": "x"})), layer])
    digest = first.layers[1]["digest"]
    one = serve(first)
    apus("pull", "-q", one.name).ok()
    path = f"{daemon.data}/content/blobs/sha256/{digest[7:]}"
    with open(path, "r+b") as file:
        file.seek(len(first.blobs[digest]) // 2)
        file.write(b"lost bytes")
    two = serve(second)
    try:
        apus("pull", "-q", two.name).ok()
        assert [request["status"] for request in two.of("blob", "GET") if request["path"].endswith(digest)] == [200]
        with open(path, "rb") as file:
            assert file.read() == first.blobs[digest]
        assert apus("run", "--rm", two.name, "wc", "-c", "/kept").ok().split()[0] == "80000"
    finally:
        apus("rmi", "-f", one.name, two.name)
