"""Images as archives: what save writes, read by others."""
# Rows: features

import hashlib
import io
import json
import os
import re
import stat
import subprocess
import tarfile

import pytest
from oci_images import Pusher


@pytest.fixture
def pulled(cli, registry):
    """The names of two images that share layers."""
    names = [f"{registry.host}/{name}" for name in ("alpha", "beta")]
    for name in names:
        cli("pull", "-q", name).ok()
    yield names
    cli("rmi", "-f", *names)


def contents(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def skopeo(*words):
    return subprocess.run(["skopeo", "--insecure-policy", *words], capture_output=True, check=True, text=True).stdout


def test_B16_save_writes_a_layout_in_which_each_blob_is_once(cli, pulled, registry, tmp_path):
    path = tmp_path / "both.tar"
    assert cli("save", "-o", str(path), *pulled).ok() == ""
    found = contents(path.read_bytes())
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    blobs = {name: data for name, data in found.items() if name.startswith("blobs/")}
    for name, data in blobs.items():
        assert name == "blobs/sha256/" + hashlib.sha256(data).hexdigest()
    assert len(blobs) == 2 + 2 + 2 + 2, "two manifests, two configurations, two layers of their own and two in common"
    index = json.loads(found["index.json"])
    digests = [Pusher(registry.host).digest(name) for name in ("alpha", "beta")]
    assert sorted(entry["digest"] for entry in index["manifests"]) == sorted(digests)
    assert {entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]} == {f"{name}:latest" for name in pulled}
    listed = {item["RepoTags"][0]: item for item in json.loads(found["manifest.json"])}
    for name in pulled:
        item = listed[f"{name}:latest"]
        assert item["Config"] == "blobs/sha256/" + cli.inspect(name, "{{.Id}}")[7:] and item["Config"] in blobs
        assert len(item["Layers"]) == 3 and all(layer in blobs for layer in item["Layers"])


def test_a_saved_image_is_the_image_for_other_tools(cli, pulled, registry, tmp_path):
    path = tmp_path / "one.tar"
    path.write_bytes(cli("save", pulled[0]).raw)
    config = json.loads(skopeo("inspect", "--config", f"docker-archive:{path}"))
    assert config["rootfs"]["diff_ids"] == json.loads(cli.inspect(pulled[0], "{{json .RootFS.Layers}}"))
    skopeo("copy", f"docker-archive:{path}", f"dir:{tmp_path}/docker")
    skopeo("copy", f"oci-archive:{path}:latest", f"dir:{tmp_path}/oci")
    with open(tmp_path / "oci" / "manifest.json", "rb") as file:
        assert "sha256:" + hashlib.sha256(file.read()).hexdigest() == Pusher(registry.host).digest("alpha")


def test_save_takes_ids_and_repositories_and_says_what_is_not_here(cli, pulled, tmp_path):
    cli("tag", pulled[0], "kept:v1").ok()
    cli("tag", pulled[0], "kept:v2").ok()
    try:
        by_id = json.loads(contents(cli("save", cli.inspect(pulled[0], "{{.Id}}")).raw)["manifest.json"])
        assert [item["RepoTags"] for item in by_id] == [None]
        both = json.loads(contents(cli("save", "kept").raw)["manifest.json"])
        assert [item["RepoTags"] for item in both] == [["kept:v1", "kept:v2"]]
        one = json.loads(contents(cli("save", "kept:v2", pulled[0]).raw)["manifest.json"])
        assert [sorted(item["RepoTags"]) for item in one] == [sorted(["kept:v2", f"{pulled[0]}:latest"])]
        missing = cli("save", "-o", str(tmp_path / "never.tar"), pulled[0], "nosuch:v1")
        assert missing.code == 1 and "No such image: nosuch:v1" in missing.err, missing
        assert os.listdir(tmp_path) == []
    finally:
        cli("rmi", "kept:v1", "kept:v2").ok()


def test_what_is_neither_file_nor_folder_is_not_replaced_by_an_archive(cli, pulled, tmp_path):
    place = str(tmp_path / "null")
    os.mknod(place, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    refused = cli("save", "-o", place, pulled[0])
    assert refused.code == 1 and re.search("cannot write to a character device file|regular file: got a device", refused.err), refused
    assert stat.S_ISCHR(os.lstat(place).st_mode) and os.listdir(tmp_path) == ["null"]


def test_a_folder_is_no_place_for_an_archive_and_nothing_is_asked_for_it(apus, tmp_path):
    """Nor is the container looked for, which is not there."""
    for verb in ("export", "save"):
        refused = apus(verb, "-o", str(tmp_path), "nosuch")
        assert refused.code == 1 and "cannot write to a directory" in refused.err, refused
    assert os.listdir(tmp_path) == []
