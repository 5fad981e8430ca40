"""Archives of an attacker, told in two ways, packed over and over, or named as what is somebody else's (D08, D09, D20)."""
# Rows: attacks

import gzip
import io
import json
import os
import subprocess
import tarfile

import oci_images
import pytest
from oci_images import Image, Pusher, busybox_layer, digest_of, entry, files, tar
from test_image_formats import by_umoci
from test_load import archive, blobs, docker_archive, ids, image_with
from test_sparse_attacks import Peak

LAYER = "application/vnd.oci.image.layer.v1.tar"
NAME = "attacked"


def block(name, kind=b"0", data=b"", size=None, link=""):
    """A header and data, whatever they say of each other."""
    header = bytearray(entry(name, kind, link=link).tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"%011o\0" % (len(data) if size is None else size)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data + bytes(-len(data) % 512)


def pax(*records):
    """An extended header of such records, in that order."""
    body = b""
    for key, value in records:
        rest = f" {key}={value}\n".encode()
        length = next(count for count in range(len(rest), len(rest) + 10) if len(str(count)) + len(rest) == count)
        body += str(length).encode() + rest
    return block("pax", b"x", body)


SMUGGLED = block("smuggled", data=b"s")

# Layers that say one thing twice: what GNU's tar or umoci makes of each is what there is, or the layer is refused. Data that one reading takes
# for a file's is an entry of another's.
TOLD_TWICE = {
    "D08_the size is larger in the extended header": pax(("size", str(len(SMUGGLED)))) + block("carrier", data=SMUGGLED, size=0),
    "D08_the size is smaller in the extended header": pax(("size", "0")) + block("carrier", size=len(SMUGGLED)) + SMUGGLED,
    "D08_a record stands twice": pax(("path", "first"), ("path", "second")) + block("third", data=b"x"),
    "D08_two extended headers in a row": pax(("path", "first")) + pax(("path", "second")) + block("third", data=b"x"),
    "D08_a long name and a path of an extended header": block("././@LongLink", b"L", b"long\0") + pax(("path", "extended")) + block("third", data=b"x"),
    "D08_the same file twice": block("file", data=b"one") + block("file", data=b"two"),
    "D08_a directory with data": block("folder/", b"5", SMUGGLED),
    "D08_a hard link with data": block("file", data=b"one") + block("link", b"1", SMUGGLED, link="file"),
}


def by_gnu_tar(layer, folder):
    """The files that GNU's tar makes of it, by path; nil where it gives up."""
    os.makedirs(folder)
    done = subprocess.run(["tar", "-x", "-C", folder, "--ignore-zeros"], input=layer, capture_output=True, check=False)
    return tree(folder) if done.returncode == 0 else None


def of_umoci(name, folder):
    """The same of umoci."""
    try:
        return tree(by_umoci(f"docker://{name}", folder))
    except subprocess.CalledProcessError:
        return None


def tree(folder):
    found = {}
    for place, folders, names in os.walk(folder):
        for name in folders:
            found[os.path.relpath(os.path.join(place, name), folder)] = None
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                found[os.path.relpath(os.path.join(place, name), folder)] = file.read()
    return found


@pytest.mark.parametrize("kind", sorted(TOLD_TWICE))
def test_D08_what_is_told_in_two_ways_is_read_as_others_read_it_or_refused(apus, registry, own_daemon, tmp_path, kind):
    layer = TOLD_TWICE[kind] + bytes(1024)
    Pusher(registry.host).push("told", Image([layer]))
    name = f"{registry.host}/told"
    pulled = apus("pull", name)
    try:
        if pulled.code != 0:
            assert "failed to register layer" in pulled.err, pulled
            return
        chain = json.loads(apus("inspect", name).ok())[0]["RootFS"]["Layers"][0]
        assert chain == digest_of(layer)
        # The lowest layer's chain is its own digest.
        ours = tree(f"{own_daemon.data}/snapshots/overlayfs/layers/sha256-{chain[7:]}/fs")
        others = by_gnu_tar(layer, str(tmp_path / "tar")), of_umoci(name, str(tmp_path / "umoci"))
        assert ours in others, (ours, others)
        # Who verifies reads it as who unpacked did.
        assert apus("system", "check").code == 0
    finally:
        apus("rmi", "-f", name)


@pytest.mark.parametrize("kind", ["long names", "extended headers", "global headers"])
def test_D08_headers_upon_headers_cost_little_memory_and_are_refused_or_read(apus, registry, own_daemon, kind):
    """64 MB of headers that belong to one file, or to none, packed into some hundred kilobytes."""
    part = {"long names": block("././@LongLink", b"L", b"a" * 100_000 + b"\0"), "extended headers": pax(("comment", "a" * 100_000)),
            "global headers": block("pax", b"g", pax(("comment", "a" * 100_000))[512:])}[kind]
    layer = part * 640 + block("file", data=b"x") + bytes(1024)
    Pusher(registry.host).push("headers", Image([layer]))
    name = f"{registry.host}/headers"
    with Peak(own_daemon):
        pulled = apus("pull", name)
    assert pulled.code == 0 or "failed to register layer" in pulled.err, pulled
    apus("rmi", "-f", name)
    assert apus("version").code == 0


def packed(layer, kind):
    """The layer in many streams, one behind the other."""
    parts = [layer[start:start + 4096] for start in range(0, len(layer), 4096)]
    if kind == "gzip":
        return b"".join(gzip.compress(part, mtime=0) for part in parts)
    frames = [subprocess.run(["zstd", "-q", "-c"], input=part, capture_output=True, check=True).stdout for part in parts[:20]]
    frames.append(subprocess.run(["zstd", "-q", "-c"], input=b"".join(parts[20:]), capture_output=True, check=True).stdout)
    skipped = b"\x50\x2a\x4d\x18" + (1000).to_bytes(4, "little") + b"s" * 1000
    return skipped.join([b"", *frames, b""])


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_D09_streams_one_behind_the_other_are_one_layer_and_what_zstd_skips_is_skipped(apus, registry, own_daemon, kind):
    layer = tar(files({"noise": os.urandom(200_000), "text": "text" * 10_000}))
    image = Image([busybox_layer(), layer], compress=lambda data: packed(data, kind), media_type=f"{LAYER}+{kind}")
    Pusher(registry.host).push("streams", image)
    name = f"{registry.host}/streams"
    assert apus("run", "--rm", "--network", "none", name, "sh", "-c", "wc -c < /noise; wc -c < /text").ok().split() == ["200000", "40000"]
    apus("rmi", name).ok()


@pytest.mark.parametrize("kind", ["skipped frames alone", "a frame that skips what is not there", "empty streams without end", "a bomb in the last stream"])
def test_D09_streams_that_give_nothing_or_all_at_the_end_are_refused_in_little_memory(apus, registry, own_daemon, kind):
    skipped = b"\x50\x2a\x4d\x18" + (0).to_bytes(4, "little")
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=9, mtime=0) as file:
        for _ in range(600):
            file.write(bytes(1 << 20))
    data, kind_of_layer = {
        "skipped frames alone": (skipped * 500_000, "zstd"),
        "a frame that skips what is not there": (b"\x50\x2a\x4d\x18" + (0xffffffff).to_bytes(4, "little") + b"s" * 1000, "zstd"),
        "empty streams without end": (gzip.compress(b"", mtime=0) * 200_000, "gzip"),
        "a bomb in the last stream": (gzip.compress(block("zeros", size=600 << 20), mtime=0) + bomb.getvalue(), "gzip"),
    }[kind]
    layer = tar(files({"x": "x"}))
    image = Image([layer], compress=lambda _: data, media_type=f"{LAYER}+{kind_of_layer}")
    Pusher(registry.host).push("nothing", image)
    layers = sorted(os.listdir(f"{own_daemon.data}/snapshots/overlayfs/layers"))
    with Peak(own_daemon):
        refused = apus("pull", f"{registry.host}/nothing", timeout=120)
    assert refused.code == 1 and "failed to register layer" in refused.err, refused
    assert sorted(os.listdir(f"{own_daemon.data}/snapshots/overlayfs/layers")) == layers
    assert os.listdir(f"{own_daemon.data}/snapshots/overlayfs/building") == []
    apus("image", "prune", "-f").ok()


@pytest.mark.parametrize("name", [f"{place}attacked:latest" for place in ("library/", "docker.io/library/", "localhost/", "registry.example/")])
def test_D20_a_loaded_archive_takes_nobodys_name_without_saying_so(apus, own_daemon, name):
    """Whatever a name is called in the archive: it is the one that is told, and the old image stays."""
    first, second = image_with("first"), image_with("second")
    familiar = name.removeprefix("docker.io/").removeprefix("library/")
    try:
        apus("load", stdin=archive(docker_archive(first, names=[familiar]))).ok()
        said = apus("load", "-q", stdin=archive(docker_archive(second, names=[name]))).ok()
        assert said == (f"The image {familiar} already exists, renaming the old one with ID {first.id} to empty string\nLoaded image: {familiar}\n")
        assert apus.inspect(familiar, "{{.Id}}") == second.id and first.id in ids(apus)
    finally:
        apus("rmi", "-f", first.id, familiar)


def linked(kind):
    """A layout whose layer is a link: to another blob, to itself, or to what the archive has outside of its blobs."""
    image = image_with(kind)
    layer = f"blobs/sha256/{image.layers[1]['digest'][7:]}"
    target = {"another blob": image.layers[0]["digest"][7:], "itself": layer.rsplit("/", 1)[1], "a member elsewhere": "../../layer"}[kind]
    members = {f"blobs/sha256/{digest[7:]}": data for digest, data in {**image.blobs, image.digest: image.manifest}.items()}
    taken = members.pop(layer)
    descriptor = {"mediaType": oci_images.MANIFEST, "digest": image.digest, "size": len(image.manifest)}
    members["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
    if kind == "a member elsewhere":
        members["layer"] = taken
    pairs = [(entry(path), data) for path, data in members.items()] + [(entry(layer, tarfile.SYMTYPE, link=target), None)]
    return image, archive(pairs)


@pytest.mark.parametrize("kind", ["another blob", "itself", "a member elsewhere"])
def test_D20_a_blob_that_is_a_link_is_what_its_digest_says_or_the_archive_is_refused(apus, own_daemon, kind):
    image, data = linked(kind)
    before = blobs(own_daemon)
    loaded = apus("load", stdin=data)
    if kind == "a member elsewhere":
        assert loaded.ok() == f"Loaded image ID: {image.id}\n"
        apus("rmi", image.id).ok()
    else:
        assert loaded.code == 1 and "invalid archive: blobs/sha256/" in loaded.err, loaded
    assert blobs(own_daemon) == before
