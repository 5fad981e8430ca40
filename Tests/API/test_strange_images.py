"""Images of which one document, one layer or the name is not as others are. What docker takes is taken, and none of them is in the way of others."""
# Rows: features

import gzip
import json
import subprocess
import tarfile

import oci_images
import pytest
from conftest import entries
from engine_http import api
from oci_images import Image, Pusher, busybox_layer, entry, files, tar

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"
ABSENT = object()


def strange(layers=(), media_type=oci_images.LAYER, compress=oci_images.gzipped, **members):
    """An image whose configuration has other members, or lacks them. Two of the same members are one image."""
    image = Image([busybox_layer(), *layers], media_type=media_type, compress=compress)
    document = json.loads(image.config)
    document.update(members)
    image.config = json.dumps({key: value for key, value in document.items() if value is not ABSENT}).encode()
    image.id = oci_images.digest_of(image.config)
    manifest = json.loads(image.manifest)
    manifest["config"] = image.add(oci_images.CONFIG, image.config)
    image.manifest = json.dumps(manifest).encode()
    image.digest = oci_images.digest_of(image.manifest)
    return image


CONFIGURATIONS = {
    "empty-architecture": {"architecture": ""}, "no-architecture": {"architecture": ABSENT}, "no-system": {"os": ABSENT}, "empty-system": {"os": ""},
    "neither": {"os": ABSENT, "architecture": ABSENT}, "spaced-variant": {"variant": "v1 / x"}, "slashes": {"architecture": "a/b/c/d"},
    "null-label": {"config": {"Cmd": ["sh"], "Labels": {"x": None}}}, "unknown-member": {"config": {"Cmd": ["sh"], "AttachStdout": "yes"}},
    "no-config": {"config": None}, "no-history": {"history": None}, "not-created": {"created": ABSENT}, "null-created": {"created": None},
}


@pytest.mark.parametrize("way", ["pull", "load"])
def test_B01_B17_images_of_strange_configurations_keep_no_image_from_being_listed(brittle, registry, way):
    """Nor the daemon from starting: what a stranger's image says is let in as it is read again, and as docker takes it."""
    names = {}
    for kind, members in CONFIGURATIONS.items():
        image = strange(**members)
        names[kind] = f"{registry.host}/strange-{kind}:latest"
        if way == "pull":
            Pusher(registry.host).push(f"strange-{kind}", image)
            brittle.client("pull", "-q", names[kind]).ok()
        else:
            paths = [f"{layer['digest'][7:]}.tar" for layer in image.layers]
            members = [(entry(path), gzip.decompress(image.blobs[layer["digest"]])) for path, layer in zip(paths, image.layers)]
            item = {"Config": "config.json", "RepoTags": [names[kind]], "Layers": paths}
            archive = tar([*members, (entry("config.json"), image.config), (entry("manifest.json"), json.dumps([item]).encode())])
            brittle.client("load", "-q", stdin=archive).ok()
        expected = {*names.values(), f"{brittle.image}:latest"}
        assert set(brittle.client("images", "--format", "{{.Repository}}:{{.Tag}}").ok().split()) == expected, kind
    brittle.client("system", "df").ok()
    brittle.client("system", "check").ok()
    assert brittle.stop() == 0
    brittle.start()
    assert set(brittle.client("images", "--format", "{{.Repository}}:{{.Tag}}").ok().split()) == expected
    assert brittle.client("inspect", "-f", "{{.Os}}/{{.Architecture}}", names["neither"]).line() == f"linux/{oci_images.ARCHITECTURE}"
    for kind, name in names.items():
        brittle.client("history", name).ok()
        assert brittle.client("run", "--rm", "--network", "none", name, "echo", "runs").line() == "runs", kind
        assert brittle.client("rmi", name).code == 0


@pytest.mark.parametrize("members, expected", [({"os": ABSENT}, "linux"), ({"os": ""}, "linux"), ({"created": ABSENT}, "linux")])
def test_B01_an_image_that_says_no_system_is_linuxs(cli, registry, members, expected):
    Pusher(registry.host).push("no-system", strange(**members))
    name = f"{registry.host}/no-system"
    try:
        cli("pull", "-q", name).ok()
        assert cli.inspect(name, "{{.Os}}") == expected
        assert cli("run", "--rm", "--network", "none", name, "echo", "runs").line() == "runs"
    finally:
        cli("rmi", "-f", name)


def test_B04_an_image_that_was_never_made_is_of_no_age(cli, registry):
    Pusher(registry.host).push("ageless", strange(created=ABSENT))
    name = f"{registry.host}/ageless"
    try:
        cli("pull", "-q", name).ok()
        assert cli("images", "--format", "{{.CreatedSince}}", name).ok() == "\n"
        assert cli("images", name).ok().splitlines()[1].split()[3] == "N/A"
    finally:
        cli("rmi", "-f", name)


# MARK: layers

@pytest.mark.parametrize("media_type", [
    FOREIGN, f"{FOREIGN}.gzip", NONDISTRIBUTABLE, f"{NONDISTRIBUTABLE}+gzip", f"{NONDISTRIBUTABLE}+zstd"])
def test_B01_a_layer_that_is_not_to_be_given_away_is_pulled_like_any_other(apus, registry, media_type):
    """As image-spec has it: "Implementations MUST support at least the following media types", media-types.md and manifest.md, `layers`."""
    compress = oci_images.gzipped if media_type.endswith("gzip") else zstd if media_type.endswith("zstd") else bytes
    image = strange([tar(files({"which": media_type}))], media_type, compress)
    Pusher(registry.host).push("foreign", image)
    name, copy = f"{registry.host}/foreign", f"{registry.host}/foreign-copy"
    try:
        apus("pull", "-q", name).ok()
        assert apus("run", "--rm", "--network", "none", name, "cat", "/which").line() == media_type
        apus("tag", name, copy).ok()
        apus("push", "-q", copy).ok()
        assert Pusher(registry.host).digest("foreign-copy") == image.digest, "it is what it was"
    finally:
        apus("rmi", "-f", name, copy)


def zstd(data):
    return subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout


LAYERS = {
    "a long name": (entry("n" * 256), b"1"),
    "a long link": (entry("link", tarfile.SYMTYPE, link="l" * 4096), None),
    "a long attribute's name": (entry("x", headers={"SCHILY.xattr.user." + "n" * 300: "v"}), b"1"),
    "a large attribute": (entry("x", headers={"SCHILY.xattr.user.big": "v" * 70_000}), b"1"),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_R01_a_layer_that_no_linux_could_hold_is_refused_and_leaves_nothing(apus, own_daemon, registry, kind):
    Pusher(registry.host).push("unholdable", strange([tar([LAYERS[kind]])]))
    apus("pull", "-q", f"{registry.host}/busybox").ok()
    blobs = entries(f"{own_daemon.data}/content/blobs/sha256")
    refused = apus("pull", "-q", f"{registry.host}/unholdable")
    assert refused.code == 1 and "failed to register layer" in refused.err and "unpack entry" in refused.err, refused
    assert entries(f"{own_daemon.data}/content/blobs/sha256") == blobs


# MARK: names

def test_B11_no_image_is_named_as_an_id_begins(cli, image):
    """Whoever writes `sha256:…` means an image by its id."""
    words = "refusing to create an ambiguous tag using digest algorithm as name"
    short = cli.inspect(image, "{{.Id}}")[7:19]
    for target in (f"sha256:{short}", "sha256", "docker.io/library/sha256:x"):
        refused = cli("tag", image, target)
        assert refused.code == 1 and words in refused.err, (target, refused)
    root = tar(files({"some": "thing"}))
    refused = cli("import", "-", f"sha256:{short}", stdin=root)
    assert refused.code == 1 and words in refused.err, refused
    cli("create", "--name", "committed", image, "true").ok()
    refused = cli("commit", "committed", f"sha256:{short}")
    assert refused.code == 1 and words in refused.err, refused
    cli("tag", image, "sha512:x").ok()
    cli("rmi", "sha512:x").ok()
    assert cli.inspect(f"sha256:{short}", "{{.Id}}") == cli.inspect(image, "{{.Id}}")


def test_B11_nor_does_an_archive_or_a_registry_name_one_so(apus, own_daemon, image):
    words = "refusing to create an ambiguous tag using digest algorithm as name"
    made = strange(author="nobody")
    item = {"Config": "config.json", "RepoTags": ["sha256:0123456789ab"], "Layers": ["layer.tar"]}
    archive = tar([(entry("layer.tar"), busybox_layer()), (entry("config.json"), made.config), (entry("manifest.json"), json.dumps([item]).encode())])
    refused = apus("load", stdin=archive)
    assert refused.code == 1 and words in refused.err, refused
    assert api(own_daemon, "POST", "/images/create?fromImage=sha256&tag=0123456789ab") == (400, {"message": words})
