"""Images by Docker's own manifests, by digest and for a platform, and the filters of lists (rows B04, B12, B17, D03)."""

import gzip
import json
import tarfile

import oci_images
import pytest
from oci_images import Image, Pusher, busybox_layer, digest_of, entry, files, tar

DOCKER = "application/vnd.docker"
MANIFEST, LIST = f"{DOCKER}.distribution.manifest.v2+json", f"{DOCKER}.distribution.manifest.list.v2+json"
CONFIG, LAYER = f"{DOCKER}.container.image.v1+json", f"{DOCKER}.image.rootfs.diff.tar.gzip"
ALIEN = "arm64" if oci_images.ARCHITECTURE == "amd64" else "amd64"


class DockerImage(Image):
    """The same, in the words of Docker's schema 2."""

    def __init__(self, layers, config=None, **changes):
        super().__init__(layers, config, media_type=LAYER)
        del self.blobs[self.id]
        self.config = json.dumps({**json.loads(self.config), **changes}).encode()
        self.id = digest_of(self.config)
        # As docker writes it: with a tab's width of three, so that one that is written anew would be another.
        self.manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.add(CONFIG, self.config), "layers": self.layers}, indent=3).encode()
        self.digest = digest_of(self.manifest)


def image_of(text, **changes):
    return DockerImage([busybox_layer(), tar(files({"which": text}))], **changes)


def push(registry, name, image, tag="latest"):
    pusher = Pusher(registry.host)
    for blob in image.blobs.values():
        pusher.push_blob(name, blob)
    pusher.push_manifest(name, tag, image.manifest, MANIFEST)


def push_list(registry, name, images):
    """images: pairs of an architecture and an image. Returns the list's digest."""
    descriptors = []
    for architecture, image in images:
        push(registry, name, image, image.digest)
        descriptors.append({"mediaType": MANIFEST, "digest": image.digest, "size": len(image.manifest),
                            "platform": {"os": "linux", "architecture": architecture}})
    document = json.dumps({"schemaVersion": 2, "mediaType": LIST, "manifests": descriptors}, indent=3).encode()
    Pusher(registry.host).push_manifest(name, "latest", document, LIST)
    return digest_of(document)


def served(registry, name, tag="latest"):
    with Pusher(registry.host).request("GET", f"http://{registry.host}/v2/{name}/manifests/{tag}", headers={"Accept": f"{MANIFEST}, {LIST}"}) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_feature_B12_a_manifest_of_dockers_is_pulled_run_and_pushed_as_it_is(cli, registry):
    image, name, copy = image_of("docker"), f"{registry.host}/docker-2", f"{registry.host}/docker-2-copy"
    push(registry, "docker-2", image)
    try:
        lines = cli("pull", name).ok().splitlines()
        assert f"Digest: {image.digest}" in lines
        assert cli("run", "--rm", name, "cat", "/which").ok() == "docker"
        assert (cli.inspect(name, "{{.Id}}"), cli.inspect(name, "{{json .RepoDigests}}")) == (image.id, f'["{name}@{image.digest}"]')
        cli("tag", name, f"{copy}:{cli.name}").ok()
        assert cli("push", "-q", f"{copy}:{cli.name}").ok() == f"{copy}:{cli.name}\n", "the name alone"
        assert served(registry, "docker-2-copy", cli.name) == (MANIFEST, image.manifest), "byte for byte"
    finally:
        cli("rmi", "-f", name, f"{copy}:{cli.name}")


def test_feature_B17_layers_of_dockers_types_are_saved_and_loaded_with_the_same_digest(cli, registry, tmp_path):
    image, name = image_of("saved"), f"{registry.host}/docker-saved"
    push(registry, "docker-saved", image)
    path = str(tmp_path / "saved.tar")
    try:
        cli("pull", "-q", name).ok()
        cli("save", "-o", path, name).ok()
        with tarfile.open(path) as archive:
            assert archive.extractfile(f"blobs/sha256/{image.digest[7:]}").read() == image.manifest
            descriptor, = json.load(archive.extractfile("index.json"))["manifests"]
            assert (descriptor["mediaType"], descriptor["digest"]) == (MANIFEST, image.digest)
        cli("rmi", name).ok()
        assert cli("load", "-q", "-i", path).ok() == f"Loaded image: {name}:latest\n"
        assert cli.inspect(name, "{{.Id}}") == image.id and cli("run", "--rm", name, "cat", "/which").ok() == "saved"
        cli("push", "-q", name).ok()
        assert served(registry, "docker-saved") == (MANIFEST, image.manifest)
    finally:
        cli("rmi", "-f", name)


def test_a_layout_of_dockers_types_is_loaded(cli):
    image = image_of("layout")
    index = {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": image.digest, "size": len(image.manifest)}]}
    members = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
    members.update({f"blobs/sha256/{digest[7:]}": data for digest, data in {**image.blobs, image.digest: image.manifest}.items()})
    assert cli("load", stdin=tar([(entry(path), data) for path, data in members.items()])).ok() == f"Loaded image ID: {image.id}\n"
    assert cli("run", "--rm", image.id, "cat", "/which").ok() == "layout"
    cli("rmi", image.id).ok()


def test_feature_B01_by_digest_an_image_has_no_tag_and_is_told_by_its_whole_name(cli, registry):
    image, name = image_of("pinned"), f"{registry.host}/pinned"
    push(registry, "pinned", image)
    whole = f"{name}@{image.digest}"
    try:
        lines = cli("pull", whole).ok().splitlines()
        assert lines[0] == f"{whole}: Pulling from pinned", lines
        assert lines[-3:] == [f"Digest: {image.digest}", f"Status: Downloaded newer image for {whole}", whole]
        assert cli("pull", whole).ok().splitlines()[-2] == f"Status: Image is up to date for {whole}"
        assert cli("pull", "-q", whole).ok() == f"{whole}\n"
        assert cli("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}}", "--no-trunc", name).line() == (
            f"{name} <none> {image.digest} {image.id}")
        assert (cli.inspect(whole, "{{json .RepoTags}}"), cli.inspect(whole, "{{json .RepoDigests}}")) == ("[]", f'["{whole}"]')
        assert cli("image", "inspect", name).code == 1, "latest was not asked for"
        assert cli("run", "--rm", whole, "cat", "/which").ok() == "pinned"
        missing = cli("pull", f"{name}@sha256:{'0' * 64}")
        assert missing.code == 1 and f"manifest for {name}@sha256:{'0' * 64} not found" in missing.err, missing
    finally:
        cli("rmi", whole)
    assert cli("images", "-q", name).ok() == ""


def test_a_list_of_dockers_gives_the_platform_that_is_asked_for(cli, registry):
    ours, theirs = image_of("ours"), image_of("theirs", architecture=ALIEN)
    name, whole = f"{registry.host}/docker-list", push_list(registry, "docker-list", [(ALIEN, theirs), (oci_images.ARCHITECTURE, ours)])
    try:
        for words, image, architecture in (((), ours, oci_images.ARCHITECTURE), (("--platform", f"linux/{ALIEN}"), theirs, ALIEN),
                                           (("--platform", f"linux/{oci_images.ARCHITECTURE}"), ours, oci_images.ARCHITECTURE)):
            out = cli("pull", *words, name).ok()
            assert f"Digest: {whole}\n" in out and f"Status: Downloaded newer image for {name}:latest\n" in out, (words, out)
            assert cli.inspect(name, "{{.Id}} {{.Os}}/{{.Architecture}}") == f"{image.id} linux/{architecture}"
            assert cli.inspect(name, "{{json .RepoDigests}}") == f'["{name}@{whole}"]'
    finally:
        cli("rmi", "-f", name, ours.id, theirs.id)


@pytest.fixture
def three(cli):
    """Three images, each a day older than the next, the last without a name."""
    images = [image_of(str(day), created=f"2025-01-0{day}T00:00:00Z", config={"Labels": {"day": str(day), "kind": "filtered"}}) for day in (1, 2, 3)]
    for number, image in enumerate(images):
        item = [{"Config": f"{image.id[7:]}.json", "RepoTags": [f"filtered/{'abc'[number]}:v{number}"] if number < 2 else None,
                 "Layers": ["0.tar", "1.tar"]}]
        members = {f"{image.id[7:]}.json": image.config, "manifest.json": json.dumps(item).encode()}
        members.update({f"{place}.tar": gzip.decompress(image.blobs[layer["digest"]]) for place, layer in enumerate(image.layers)})
        cli("load", "-q", stdin=tar([(entry(path), data) for path, data in members.items()])).ok()
    yield cli, images
    cli("rmi", "-f", *(image.id for image in images))


def test_feature_B04_D03_lists_of_images_are_narrowed_by_every_filter(three):
    cli, (first, second, third) = three

    def listed(*filters):
        words = [word for text in ("label=kind=filtered", *filters) for word in ("--filter", text)]
        return cli("images", "-q", "--no-trunc", *words).ok().split()

    assert listed() == [third.id, second.id, first.id], "newest first"
    for filters, expected in (
            (["before=filtered/b:v1"], [first]), ([f"before={third.id}"], [second, first]), (["since=filtered/a:v0"], [third, second]),
            (["since=filtered/a:v0", f"before={third.id}"], [second]), (["label=day"], [third, second, first]), (["label=day=2"], [second]),
            (["label=day=2", "label=day=3"], []), (["label=nosuch"], []), (["dangling=true"], [third]), (["dangling=false"], [second, first]),
            (["reference=filtered/a"], [first]), (["reference=filtered/*"], [second, first]), (["reference=*/*:v1"], [second]),
            (["reference=filtered/a", "reference=*/b:v1"], [second, first]), (["reference=filtered"], [])):
        assert listed(*filters) == [image.id for image in expected], filters
    refused = cli("images", "--filter", "before=nosuch:v1")
    assert refused.code == 1 and "nosuch:v1" in refused.err, refused
