"""Images that come as archives, and images made of containers: rows B17, D19, A13, A19, and the archives of an attacker (D20)."""

import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import tarfile
import time
from pathlib import Path

import oci_images
import pytest
from engine_http import stream
from oci_images import Image, Pusher, busybox_layer, entry, files, tar
from processes import wait_until

NAMES = ("loaded:v1", "loaded:v2", "made:v1", "library/taken:latest", "rootfs:v1", "moved:v1")


@pytest.fixture
def tidy(cli):
    """The client; what these tests name goes away with them."""
    yield cli
    cli("rmi", "-f", *NAMES)


def archive(members):
    """A tar of {path: bytes}, or of pairs of a TarInfo and its bytes."""
    return tar([(entry(path), data) for path, data in members.items()] if isinstance(members, dict) else members)


def docker_archive(image, names=("loaded:v1",), **changes):
    """What `docker save` wrote of old: a configuration, layers, manifest.json."""
    layers = [f"{number}/layer.tar" for number in range(len(image.layers))]
    item = {"Config": f"{image.id[7:]}.json", "RepoTags": list(names), "Layers": layers, **changes}
    members = {f"{image.id[7:]}.json": image.config}
    members.update({path: gzip.decompress(image.blobs[layer["digest"]]) for path, layer in zip(layers, image.layers)})
    return {**members, "manifest.json": json.dumps([item]).encode()}


def layout(folder, image, name=None):
    """An OCI layout as a tar."""
    image.write_layout(str(folder))
    if name:
        index = json.loads((folder / "index.json").read_text())
        index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": name}
        (folder / "index.json").write_text(json.dumps(index))
    return subprocess.run(["tar", "-C", str(folder), "-c", "."], capture_output=True, check=True).stdout


def image_with(text):
    return Image([busybox_layer(), tar(files({"which": text}))])


def ids(cli):
    return set(cli("images", "-q", "--no-trunc").ok().split())


def blobs(daemon):
    return sorted(os.listdir(f"{daemon.data}/content/blobs/sha256"))


def test_feature_B17_A19_what_one_daemon_saves_another_loads_with_the_same_digests(tidy, image, registry, brittle, tmp_path):
    path = tmp_path / "saved.tar"
    tidy("tag", image, "moved:v1").ok()
    tidy("save", "-o", str(path), "moved:v1", image).ok()
    other = brittle.client
    other("rmi", "-f", brittle.image).ok()
    assert other("load", "-i", str(path)).ok().splitlines()[::-1] == [f"Loaded image: {image}:latest", "Loaded image: moved:v1"]
    assert other.inspect("moved:v1", "{{.Id}}") == tidy.inspect("moved:v1", "{{.Id}}")
    again = other("save", "moved:v1", image).raw
    assert hashlib.sha256(again).hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest(), "save, load and save are one archive"
    assert other("run", "--rm", "moved:v1", "echo", "runs").ok() == "runs\n"
    other("rmi", "moved:v1").ok()


@pytest.mark.parametrize("pack", ["plain", "gzip", "zstd", "xz", "bzip2"])
def test_feature_B17_load_takes_what_docker_saved_of_old_from_standard_input(tidy, pack, own_daemon):
    image = image_with(pack)
    data = archive(docker_archive(image, names=("loaded:v1", "loaded:v2")))
    if pack != "plain":
        data = subprocess.run([pack, "-c"], input=data, capture_output=True, check=True).stdout
    assert tidy("load", stdin=data).ok() == "Loaded image: loaded:v1\nLoaded image: loaded:v2\n"
    assert tidy.inspect("loaded:v2", "{{.Id}}") == image.id
    assert tidy("run", "--rm", "loaded:v1", "cat", "/which").ok() == pack
    config = image.id[7:]
    assert config in blobs(own_daemon)
    tidy("rmi", "loaded:v1", "loaded:v2").ok()
    assert config not in blobs(own_daemon), "nothing of it stays"


def test_feature_B17_a_layout_loads_with_its_name_and_without(tidy, tmp_path):
    image = image_with("layout")
    (tmp_path / "named").mkdir()
    (tmp_path / "bare").mkdir()
    assert tidy("load", stdin=layout(tmp_path / "named", image, "loaded:v1")).ok() == "Loaded image: loaded:v1\n"
    assert tidy.inspect("loaded:v1", "{{.Id}}") == image.id
    bare = image_with("bare")
    assert tidy("load", stdin=layout(tmp_path / "bare", bare)).ok() == f"Loaded image ID: {bare.id}\n"
    tidy("rmi", bare.id).ok()


def test_feature_B17_other_tools_archives_load(tidy, image, registry, tmp_path):
    source = f"docker://{registry.host}/busybox"
    for kind in ("docker-archive", "oci-archive"):
        path = tmp_path / f"{kind}.tar"
        target = f"{kind}:{path}:{'loaded:v1' if kind == 'docker-archive' else 'docker.io/library/loaded:v1'}"
        subprocess.run(["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", source, target], capture_output=True, check=True)
        assert tidy("load", "-q", "-i", str(path)).ok() == "Loaded image: loaded:v1\n"
        assert tidy.inspect("loaded:v1", "{{.Id}}") == tidy.inspect(image, "{{.Id}}")
        tidy("rmi", "loaded:v1").ok()


def hostile():
    """Archives that no honest packer writes, with what is said of them."""
    image = image_with("hostile")
    good = docker_archive(image)
    pairs = [(entry(path), data) for path, data in good.items()]
    config = f"{image.id[7:]}.json"

    def changed(**changes):
        return archive(docker_archive(image, **changes))

    return {
        "duplicate-manifest": (archive(pairs + [(entry("manifest.json"), b"[]")]), "twice"),
        "path-upwards": (archive({**good, "../../canary": b"x"}), "a path upwards"),
        "layer-upwards": (changed(Layers=["../../../etc/passwd", "1/layer.tar"]), "missing"),
        "config-absolute": (changed(Config="/etc/passwd"), "missing"),
        "link-out": (archive(pairs + [(entry("0/x", tarfile.SYMTYPE, link="../../../etc/shadow"), None)]), "a link out of the archive"),
        "link-loop": (archive([(entry("manifest.json", tarfile.SYMTYPE, link="manifest.json"), None)]), "neither"),
        "device": (archive(pairs + [(entry("sda", tarfile.BLKTYPE, device=(8, 0)), None)]), "device"),
        "layers-too-few": (changed(Layers=["0/layer.tar"]), "layers"),
        "wrong-layer": (changed(Layers=["1/layer.tar", "0/layer.tar"]), "is not the"),
        "bad-name": (changed(RepoTags=["a/UPPER:y"]), "lowercase"),
        "digest-name": (changed(RepoTags=["x@sha256:" + "0" * 64]), "digest"),
        "no-image": (archive({"a": b"b"}), "neither"),
        "empty": (b"", "neither"),
        "noise": (b"\x00\x01noise" * 1000, "cannot be read"),
        "cut-off": (archive(good)[:3000], "truncated"),
        "huge-manifest": (archive({"manifest.json": b" " * (5 << 20) + b"[]"}), "at most"),
        "deep-json": (archive({"manifest.json": b"[" * 100_000}), "manifest.json"),
        "foreign-config": (archive({**good, config: b'{"rootfs": 1}'}), "configuration"),
        "xz": (b"\xfd7zXZ\x00" + b"\x00" * 100, "xz"),
        "bzip2": (b"BZh91AY&SY" + b"\x00" * 100, "bzip2"),
        "layer-of-xz": (archive({**good, "0/layer.tar": lzma.compress(good["0/layer.tar"])}), "packed with xz"),
    }


@pytest.mark.parametrize("kind", sorted(hostile()))
def test_attack_D20_an_archive_of_an_attacker_is_refused_and_leaves_nothing(apus, own_daemon, kind):
    data, said = hostile()[kind]
    before = (ids(apus), blobs(own_daemon), sorted(os.listdir(f"{own_daemon.data}/snapshots/overlayfs/layers")))
    result = apus("load", stdin=data)
    assert result.code == 1 and said in result.err, result
    assert (ids(apus), blobs(own_daemon), sorted(os.listdir(f"{own_daemon.data}/snapshots/overlayfs/layers"))) == before


def test_attack_D20_a_layout_whose_blob_is_another_is_refused(apus, own_daemon, tmp_path):
    image = image_with("forged")
    image.write_layout(str(tmp_path))
    with open(tmp_path / "blobs" / "sha256" / image.layers[1]["digest"][7:], "r+b") as file:
        file.seek(30)
        file.write(b"\xff")
    data = subprocess.run(["tar", "-C", str(tmp_path), "-c", "."], capture_output=True, check=True).stdout
    before = blobs(own_daemon)
    result = apus("load", stdin=data)
    assert result.code == 1 and "invalid archive: blobs/sha256/" in result.err, result
    assert blobs(own_daemon) == before


def test_attack_D20_a_name_that_moves_to_a_loaded_image_is_told(tidy):
    first, second = image_with("first"), image_with("second")
    tidy("load", stdin=archive(docker_archive(first, names=["taken"]))).ok()
    said = tidy("load", stdin=archive(docker_archive(second, names=["taken"]))).ok()
    assert said == (f"The image taken:latest already exists, renaming the old one with ID {first.id} to empty string\n"
                    "Loaded image: taken:latest\n")
    assert tidy.inspect("taken", "{{.Id}}") == second.id
    assert first.id in ids(tidy), "the old one is there without a name"
    tidy("rmi", first.id, "taken").ok()


def test_a_client_that_leaves_in_the_middle_of_a_load_leaves_nothing(apus, own_daemon):
    before = blobs(own_daemon)
    data = archive(docker_archive(image_with("half")))[:200_000]
    with stream(own_daemon.socket) as connection:
        connection.sendall(b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n"
                           b"Content-Length: 9999999\r\n\r\n" + data)
    apus("version").ok()
    wait_until(lambda: blobs(own_daemon) == before and not os.listdir(f"{own_daemon.data}/content/ingests"), "nothing is left")


def test_import_makes_an_image_of_a_tar_and_the_changes(tidy, tmp_path):
    root = busybox_layer()
    path = tmp_path / "root.tar.gz"
    path.write_bytes(gzip.compress(root))
    identity = tidy("import", "-m", "from a tar", "-c", 'CMD ["echo", "imported"]', "-c", "ENV A=1 B='two words'", "-c", "EXPOSE 80 53/udp",
                    "-c", "LABEL kind=root", "-c", "WORKDIR /tmp", "-c", "USER ann", str(path), "rootfs:v1").line()
    assert identity == tidy.inspect("rootfs:v1", "{{.Id}}") and identity.startswith("sha256:")
    assert tidy("run", "--rm", "rootfs:v1").ok() == "imported\n"
    document = json.loads(tidy("inspect", "rootfs:v1").ok())[0]
    assert document["Config"]["Env"] == ["A=1", "B=two words"] and document["Config"]["WorkingDir"] == "/tmp"
    assert document["Config"]["User"] == "ann" and document["Config"]["Labels"] == {"kind": "root"}
    assert sorted(document["Config"]["ExposedPorts"]) == ["53/udp", "80/tcp"] and document["Comment"] == "from a tar"
    assert document["RootFS"]["Layers"] == [oci_images.digest_of(root)], "the layer is the tar"
    refused = tidy("import", "-c", "RUN true", str(path))
    assert refused.code == 1 and "run is not a valid change command" in refused.err.lower(), refused


@pytest.mark.parametrize("pack", ["xz", "bzip2"])
def test_import_packs_anew_what_no_layer_is_packed_with(tidy, own_daemon, pack):
    root = busybox_layer()
    packed = subprocess.run([pack, "-c"], input=root, capture_output=True, check=True).stdout
    tidy("import", "-", "rootfs:v1", stdin=packed).ok()
    assert tidy("run", "--rm", "rootfs:v1", "echo", "in").ok() == "in\n"
    assert json.loads(tidy("inspect", "rootfs:v1").ok())[0]["RootFS"]["Layers"] == [oci_images.digest_of(root)]
    kept = [Path(own_daemon.data, "content/blobs/sha256", name).read_bytes() for name in blobs(own_daemon)]
    assert packed not in kept and root in [gzip.decompress(blob) for blob in kept if blob.startswith(b"\x1f\x8b")]


def test_import_from_standard_input(tidy):
    assert tidy("import", "-", "rootfs:v1", stdin=busybox_layer()).line().startswith("sha256:")
    assert tidy("run", "--rm", "rootfs:v1", "echo", "in").ok() == "in\n"
    broken = tidy("import", "-", "rootfs:v2", stdin=b"no tar at all" * 100)
    assert broken.code == 1 and tidy("inspect", "rootfs:v2").code == 1, broken


def test_feature_D19_commit_makes_an_image_of_what_a_container_wrote(tidy, image):
    tidy("run", "--name", "writer", "-e", "OWN=1", image, "sh", "-c",
         "echo new > /etc/new; rm /etc/group; rm -r /home/ann; mkdir -p /var/deep/er; ln /etc/new /var/deep/link; chmod 700 /root").ok()
    identity = tidy("commit", "-m", "a message", "-a", "Ann <ann@example.org>", "-c", 'CMD ["cat", "/etc/new"]', "-c", "LABEL from=commit",
                    "writer", "made:v1").line()
    assert identity == tidy.inspect("made:v1", "{{.Id}}")
    assert tidy("run", "--rm", "made:v1").ok() == "new\n"
    script = "test ! -e /etc/group && test ! -e /home/ann && test /etc/new -ef /var/deep/link && stat -c %a /root && echo $OWN"
    assert tidy("run", "--rm", "made:v1", "sh", "-c", script).ok() == "700\n1\n"
    document = json.loads(tidy("inspect", "made:v1").ok())[0]
    assert document["Author"] == "Ann <ann@example.org>" and document["Comment"] == "a message"
    assert document["Config"]["Labels"]["from"] == "commit" and "OWN=1" in document["Config"]["Env"]
    base = json.loads(tidy("inspect", image).ok())[0]["RootFS"]["Layers"]
    assert document["RootFS"]["Layers"][:-1] == base, "one layer more"
    history = tidy("history", "--no-trunc", "made:v1").ok().splitlines()
    assert "a message" in history[1] and identity in history[1]
    listing = tidy("run", "--rm", "made:v1", "sh", "-c", "find / -xdev -name '.wh.*' | wc -l").line()
    assert listing == "0"


def test_feature_D19_a_running_container_is_paused_meanwhile_and_runs_on(tidy, image, own_daemon):
    tidy("run", "-d", "--name", "ticker", image, "sh", "-c", "while :; do date +%s > /new; mv /new /tick; done").ok()
    wait_until(lambda: tidy("exec", "ticker", "ls", "/tick").code == 0, "it ticks")
    started = time.time()
    tidy("commit", "ticker", "made:v1").ok()
    assert tidy.inspect("ticker", "{{.State.Status}}") == "running"

    def events():
        return tidy("events", "--since", f"{started:.9f}", "--until", f"{time.time():.9f}", "--filter", "container=ticker",
                    "--format", "{{.Action}}").ok().split()

    assert events() == ["pause", "unpause", "commit"]
    assert tidy("run", "--rm", "made:v1", "cat", "/tick").ok().strip().isdigit()
    tidy("rmi", "made:v1").ok()
    tidy("commit", "--pause=false", "ticker", "made:v1").ok()
    assert events() == ["pause", "unpause", "commit", "commit"]


def test_feature_D19_a_container_that_wrote_nothing_gives_no_layer_and_unknown_ones_are_told(tidy, image):
    tidy("create", "--name", "idle", image).ok()
    tidy("commit", "idle", "made:v1").ok()
    assert tidy.inspect("made:v1", "{{json .RootFS.Layers}}") == tidy.inspect(image, "{{json .RootFS.Layers}}")
    missing = tidy("commit", "nosuch", "made:v1")
    assert missing.code == 1 and "No such container: nosuch" in missing.err, missing
    bad = tidy("commit", "-c", "COPY a b", "idle")
    assert bad.code == 1 and "copy is not a valid change command" in bad.err.lower(), bad


def test_feature_A13_a_container_moves_to_another_host_by_commit_save_and_load(tidy, image, brittle, tmp_path):
    tidy("run", "--name", "mover", image, "sh", "-c", "echo state > /state").ok()
    tidy("commit", "mover", "moved:v1").ok()
    path = tmp_path / "moved.tar"
    tidy("save", "-o", str(path), "moved:v1").ok()
    assert brittle.client("load", "-i", str(path)).ok() == "Loaded image: moved:v1\n"
    assert brittle.client("run", "--rm", "moved:v1", "cat", "/state").ok() == "state\n"
    assert brittle.client.inspect("moved:v1", "{{.Id}}") == tidy.inspect("moved:v1", "{{.Id}}")
    brittle.client("rmi", "moved:v1").ok()


def test_feature_D19_what_was_committed_is_pushed_and_pulled_as_the_same(tidy, image, registry):
    tidy("run", "--name", "pusher", image, "sh", "-c", "echo pushed > /pushed").ok()
    name = f"{registry.host}/committed"
    tidy("commit", "pusher", name).ok()
    identity = tidy.inspect(name, "{{.Id}}")
    tidy("push", name).ok()
    manifest = json.loads(Pusher(registry.host).manifest("committed"))
    assert manifest["config"]["digest"] == identity
    tidy("rm", "pusher").ok()
    tidy("rmi", name).ok()
    assert tidy("run", "--rm", name, "cat", "/pushed").ok() == "pushed\n"
    assert tidy.inspect(name, "{{.Id}}") == identity
    tidy("rmi", name).ok()
