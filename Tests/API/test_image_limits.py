"""Every limit of what a stranger's image, archive or registry may bring is a setting: with less it is refused, by its name, and leaves nothing."""
# Rows: attacks

import base64
import gzip
import json
import os
import subprocess

import pytest
from conftest import CLIENTS, Client, Daemon, entries
from oci_images import ARCHITECTURE, INDEX, MANIFEST, Image, busybox_layer, digest_of, entry, files, tar
from scripted_registry import ScriptedRegistry

PAX = "SCHILY.xattr.user."


def attributed(size):
    return tar([(entry("noted", headers={f"{PAX}a{number}": "x" * 1000 for number in range(size // 1000)}), b"noted")])


def nested(image, depth):
    """The image behind `depth` indexes: documents by digest, and the top one."""
    documents, kind, document = {image.digest: image.manifest}, MANIFEST, image.manifest
    for _ in range(depth):
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{
            "mediaType": kind, "digest": digest_of(document), "size": len(document), "platform": {"os": "linux", "architecture": ARCHITECTURE}}]}
        kind, document = INDEX, json.dumps(index).encode()
        documents[digest_of(document)] = document
    return documents, document


def deep(image):
    image.manifest = image.manifest[:-1] + b', "x": ' + b"[" * 12 + b"]" * 12 + b"}"
    image.digest = digest_of(image.manifest)
    return image


# The setting, the layers of an image that it lets in by default and not at this value, and the words of the refusal.
LAYERS = {
    "path=255": (lambda: tar(files({"/".join(["long" * 20] * 4): "x"})), "a path over 255 bytes"),
    "names=4096": (lambda: tar([(entry(f"folder/.wh.{number:0100}"), b"") for number in range(60)]), "more than 4096 bytes of names"),
    "attributes=1000": (lambda: attributed(2000), "attributes over 1000 bytes"),
    "header=65536": (lambda: tar([(entry("file", headers={"comment": "x" * 600_000}), b"x")]), "one header, with its map of holes, of more than 65536 bytes"),
    "ratio=5": (lambda: tar([(entry("zeros"), bytes(300 << 20))]), "more than 5 to 1"),
    "ratio-free=1000": (lambda: tar([(entry("zeros"), bytes(4 << 20))]), "more than 5 to 1"),
}
# The same of images: what a limit is about, and the words.
IMAGES = {
    "configuration=4096": (lambda: Image([busybox_layer()], {"Labels": {"long": "x" * 5000}}), "at most 4096"),
    "descriptors=2": (lambda: Image([tar(files({f"f{number}": "x"})) for number in range(3)]), "more than 2 descriptors"),
    "layers=2": (lambda: Image([tar(files({f"f{number}": "x"})) for number in range(3)]), "3 layers, at most 2 are supported"),
    "json-depth=8": (lambda: deep(Image([busybox_layer()])), "nested deeper than 8 levels"),
}


@pytest.fixture
def alone(tmp_path_factory, tmp_path):
    """Starts a daemon with flags, and gives its client."""
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))

    def start(*flags):
        if daemon.process is not None and daemon.process.poll() is None:
            assert daemon.stop() == 0, daemon.log()
        daemon.start("--bridge", "none", "--registries-conf", "", *flags)
        return Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path / "client"))
    start.daemon = daemon
    yield start
    if daemon.process is not None:
        assert daemon.stop() == 0, daemon.log()


@pytest.fixture
def serve():
    made = []

    def make(*arguments, **options):
        made.append(ScriptedRegistry(*arguments, **options))
        return made[-1]
    yield make
    for registry in made:
        registry.stop()


def archive_of(image, folder, *more):
    """The image's layout as a tar, `more` beside it."""
    image.write_layout(str(folder))
    for name, data in more:
        os.makedirs(os.path.dirname(folder / name), exist_ok=True)
        (folder / name).write_bytes(data)
    return subprocess.run(["tar", "-c", "-C", str(folder), "--transform=s,^\\./,,", "."], capture_output=True, check=True).stdout


def nothing_is_left(daemon):
    return entries(f"{daemon.data}/content/blobs/sha256") == entries(f"{daemon.data}/snapshots/overlayfs/layers") == []


def refused(result, words):
    assert result.code == 1 and words in result.err and len(result.err) < 2000, result


@pytest.mark.parametrize("limit", sorted(LAYERS))
def test_D08_D09_D10_each_limit_of_a_layer_is_a_setting(alone, serve, limit):
    layer, words = LAYERS[limit]
    registry = serve(Image([layer()], compress=lambda data: gzip.compress(data, 9, mtime=0)))
    more = ["--layer-limit", "ratio=5"] if limit.startswith("ratio-free") else ["--layer-limit", "ratio=5000"] if not limit.startswith("ratio") else []
    refused(alone("--layer-limit", limit, *more)("pull", registry.name, timeout=120), words)
    assert nothing_is_left(alone.daemon)
    # The least of ratios is met by what is free of it by default.
    alone("--layer-limit", "ratio=5" if limit.startswith("ratio-free") else "ratio=5000")("pull", registry.name, timeout=120).ok()


def test_D09_D19_what_is_packed_here_or_here_already_is_held_to_no_limit_of_strangers(alone, serve, tmp_path):
    apus, registry = alone("--layer-limit", "ratio=5", "--layer-limit", "ratio-free=8000000"), serve(Image([busybox_layer()]))
    apus("run", "--name", "writer", "--network", "none", registry.name, "sh", "-c", "head -c 16777216 /dev/zero > /zeros").ok()
    apus("commit", "writer", "made").ok()
    assert apus("run", "--rm", "--network", "none", "made", "wc", "-c", "/zeros").ok().split()[0] == "16777216"
    apus("system", "check").ok()
    archive = str(tmp_path / "made.tar")
    apus("save", "-o", archive, "made").ok()
    apus("rm", "writer").ok()
    apus("rmi", "made").ok()
    refused(apus("load", "-i", archive), "more than 5 to 1")
    apus("rmi", registry.name).ok()


def test_room_is_asked_for_what_of_a_blob_has_not_arrived(alone, serve):
    image = Image([busybox_layer(), tar(files({"random": os.urandom(100_000)}))])
    registry, apus, lower = serve(image), alone("--layer-limit", f"free={1 << 40}"), image.layers[0]
    whole = sum(layer["size"] for layer in image.layers)
    refused(apus("pull", registry.name), f": {whole} bytes are needed")
    with open(f"{alone.daemon.data}/content/ingests/sha256-{lower['digest'][7:]}", "wb") as file:
        file.write(image.blobs[lower["digest"]][:5000])
    refused(apus("pull", registry.name), f": {whole - 5000} bytes are needed")
    alone()("pull", registry.name).ok()


@pytest.mark.parametrize("limit", sorted(IMAGES))
def test_D10_D13_each_limit_of_an_image_is_a_setting_from_registries_and_archives(alone, serve, tmp_path, limit):
    make, words = IMAGES[limit]
    image = make()
    registry, archive = serve(image), archive_of(image, tmp_path / "layout")
    apus = alone("--image-limit", limit)
    refused(apus("pull", registry.name), words)
    refused(apus("load", stdin=archive), words)
    assert nothing_is_left(alone.daemon)
    apus = alone()
    apus("load", stdin=archive).ok()
    apus("pull", registry.name).ok()
    # What is here stays readable.
    assert alone("--image-limit", limit).inspect(registry.name, "{{.Id}}") == image.id
    apus("save", "-o", str(tmp_path / "saved.tar"), registry.name).ok()


def test_D13_how_deep_indexes_lie_in_indexes_is_a_setting(alone, serve):
    def by_its_kind(handler, _):
        data, _, fields = handler.body()
        return data is not None and (handler.answer(200, data, **{**fields, "Content_Type": json.loads(data)["mediaType"]}) or True)

    image = Image([busybox_layer()])
    registry = serve(image, faults={"manifest": by_its_kind})
    documents, top = nested(image, 3)
    registry.manifests.update({**documents, "latest": top})
    refused(alone("--image-limit", "indexes=2")("pull", registry.name), "no matching manifest")
    alone()("pull", registry.name).ok()


ARCHIVES = {
    "archive-members=5": ([(f"more/{number}", b"x") for number in range(9)], "more than 5 entries"),
    "archive-depth=4": ([("a/b/c/d/e/f", b"x")], "deeper than 4"),
    "archive-names=4096": ([(f"{number:0200}", b"x") for number in range(30)], "more than 4096 bytes"),
}


@pytest.mark.parametrize("limit", sorted(ARCHIVES))
def test_D20_each_limit_of_an_archive_is_a_setting(alone, tmp_path, limit):
    more, words = ARCHIVES[limit]
    archive = archive_of(Image([busybox_layer()]), tmp_path / "layout", *more)
    refused(alone("--image-limit", limit)("load", stdin=archive), words)
    assert nothing_is_left(alone.daemon)
    alone()("load", stdin=archive).ok()


def test_D20_how_many_images_an_archive_holds_is_a_setting(alone, serve, tmp_path):
    apus = alone()
    for number in range(3):
        registry = serve(Image([tar(files({f"f{number}": "x"}))]))
        apus("pull", registry.name).ok()
        apus("tag", registry.name, f"image{number}").ok()
        apus("rmi", registry.name).ok()
    archive = str(tmp_path / "three.tar")
    apus("save", "-o", archive, *[f"image{number}" for number in range(3)]).ok()
    apus("rmi", *[f"image{number}" for number in range(3)]).ok()
    refused(alone("--image-limit", "archive-images=2")("load", "-i", archive), "more than 2 images")
    alone("--image-limit", "archive-images=3")("load", "-i", archive).ok()


def test_D13_E10_what_else_a_registry_answers_is_held_to_settings(alone, serve):
    long = serve(Image([busybox_layer()]), faults={"manifest": lambda handler, _: handler.head(200, len(handler.body()[0]), **{
        **handler.body()[2], **{f"X_{number}": "y" * 1000 for number in range(10)}}) or handler.command == "HEAD" or handler.write(handler.body()[0]) or True})
    refused(alone("--image-limit", "header=8192")("pull", long.name), "header fields of more than 8192 bytes")
    alone()("pull", long.name).ok()

    closed = serve(Image([busybox_layer()]), token=True)
    closed.token = base64.b64encode(os.urandom(3500)).decode()
    refused(alone("--image-limit", "answer=4096")("pull", closed.name), "at most 4096 are taken")
    alone()("pull", closed.name).ok()

    many = serve(Image([busybox_layer()]))
    tags = json.dumps({"name": "one", "tags": ["latest"] * 5}).encode()
    many.faults["other"] = lambda handler, _: handler.path.endswith("/tags/list") and (handler.answer(200, tags) or True)
    refused(alone("--image-limit", "tags=4")("pull", "-a", many.name), "more than 4 tags")
    alone()("pull", "-a", many.name).ok()


def test_D20_links_and_the_marker_of_an_archive_have_settings(alone, tmp_path):
    image = Image([busybox_layer()])
    image.write_layout(str(tmp_path / "layout"))
    # The marker behind three links, and with a long comment of its own.
    folder = tmp_path / "layout"
    (folder / "oci-layout").rename(folder / "m3")
    for name, target in (("m2", "m3"), ("m1", "m2"), ("oci-layout", "m1")):
        os.symlink(target, folder / name)
    archive = subprocess.run(["tar", "-c", "-C", str(folder), "--transform=s,^\\./,,", "."], capture_output=True, check=True).stdout
    refused(alone("--image-limit", "archive-links=2")("load", stdin=archive), "it holds neither an OCI layout")
    alone("--image-limit", "archive-links=3")("load", stdin=archive).ok()
    (folder / "m3").write_text(json.dumps({"imageLayoutVersion": "1.0.0", "comment": "x" * 200}), encoding="utf-8")
    archive = subprocess.run(["tar", "-c", "-C", str(folder), "--transform=s,^\\./,,", "."], capture_output=True, check=True).stdout
    refused(alone("--image-limit", "marker=100")("load", stdin=archive), "at most 100 are read")
    alone()("load", stdin=archive).ok()


def test_E10_redirects_pages_and_errors_of_registries_have_settings(alone, serve):
    """How often a registry may send elsewhere, over how many pages its tags go, and how much it may say of an error."""
    registry = serve(Image([busybox_layer()]))

    def hops(count):
        def hop(handler, _):
            done = int(handler.path.partition("?hop=")[2] or 0)
            return done < count and (handler.answer(307, Location=f"{handler.path.partition('?')[0]}?hop={done + 1}") or True)
        return hop

    registry.faults["blob"] = hops(3)
    refused(alone("--image-limit", "redirects=2")("pull", registry.name), "stopped after 2 redirects")
    alone("--image-limit", "redirects=3")("pull", registry.name).ok()
    registry.faults.clear()

    def pages(count):
        def page(handler, _):
            if "/tags/list" not in handler.path:
                return False
            number = int(handler.path.partition("page=")[2] or 1)
            more = {"Link": f'</v2/one/tags/list?page={number + 1}>; rel="next"'} if number < count else {}
            return handler.answer(200, json.dumps({"name": "one", "tags": ["latest"] if number == 1 else []}).encode(), **more) or True
        return page

    registry.faults["other"] = pages(3)
    refused(alone("--image-limit", "tag-pages=2")("pull", "-a", registry.name), "more than 2 pages of tags")
    alone("--image-limit", "tag-pages=3")("pull", "-a", registry.name).ok()
    registry.faults.clear()

    words = json.dumps({"padding": "x" * 2000, "errors": [{"code": "DENIED", "message": "because of the weather"}]}).encode()
    closed = serve(Image([tar(files({"closed": "x"}))]), faults={"config": lambda handler, _: handler.answer(403, words) or True})
    brief = alone("--image-limit", "error=1024")("pull", closed.name)
    assert brief.code == 1 and "because of the weather" not in brief.err, brief
    refused(alone()("pull", closed.name), "because of the weather")


def test_E10_redirects_and_refusals_of_an_import_have_settings(alone, serve):
    server, layer = serve(), tar(files({"file": "text"}))

    def answer(handler, _):
        place, _, done = handler.path.partition("?hop=")
        if place == "/lost":
            return handler.answer(404, b"x" * 5000) or True
        if int(done or 0) < 3:
            return handler.answer(302, Location=f"{place}?hop={int(done or 0) + 1}") or True
        return handler.answer(200, layer) or True

    server.faults["other"] = answer
    refused(alone("--image-limit", "download-redirects=2")("import", f"http://{server.host}/rootfs"), "stopped after 2 redirects")
    alone("--image-limit", "download-redirects=3")("import", f"http://{server.host}/rootfs").ok()
    refused(alone("--image-limit", "unread=4096")("import", f"http://{server.host}/lost"), "status 404 with more than 4096 bytes")
    refused(alone()("import", f"http://{server.host}/lost"), "failed to GET")


NONE = [
    ("--image-limit", "redirects=0", "redirects takes 1 to 50"), ("--image-limit", "download-redirects=51", "download-redirects takes 1 to 50"),
    ("--image-limit", "tag-pages=x", "tag-pages takes 1 to 1000000"), ("--image-limit", "error=1", "error takes 1024 to 1048576"),
    ("--image-limit", "unread=1", "unread takes 1024 to 67108864"), ("--image-limit", "archive-links=0", "archive-links takes 1 to 128"),
    ("--image-limit", "marker=1", "marker takes 64 to 1048576"),
    ("--image-limit", "layers=0", "layers takes 1 to 128"), ("--image-limit", "layers=129", "1 to 128"), ("--image-limit", "layers", "NAME=NUMBER"),
    ("--image-limit", "files=3", "knows configuration, descriptors"), ("--image-limit", "descriptors=x", "descriptors takes 1 to 65536"),
    ("--image-limit", "json-depth=7", "8 to 64"), ("--layer-limit", "path=4096", "path takes 255 to 4095"), ("--layer-limit", "names=1", "4096"),
]


def test_limits_that_are_none_are_refused_in_one_line_and_a_file_says_them_too(alone, tmp_path):
    daemon = os.path.join(os.path.dirname(CLIENTS["apus"]), "apusd")
    settings = tmp_path / "settings.toml"
    for flag, value, words in NONE:
        ways = [[flag, value]]
        if "=" in value:
            name, number = value.split("=")
            settings.write_text(f"[{flag[2:]}s]\n{name} = '{number}'\n", encoding="utf-8")
            ways.append(["--config", str(settings)])
        for way in ways:
            ended = subprocess.run([daemon, "--validate", *way], capture_output=True, text=True, timeout=20, check=False)
            assert ended.returncode != 0 and words in ended.stderr and len(ended.stderr.strip().splitlines()) <= 2, ended
    settings.write_text("[image-limits]\nlayers = 3\ndescriptors = 9\n[layer-limits]\npath = 300\n", encoding="utf-8")
    subprocess.run([daemon, "--validate", "--config", str(settings)], check=True, timeout=20)
