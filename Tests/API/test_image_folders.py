"""Images as folders: an OCI layout that other tools write and read."""

import hashlib
import json
import os
import subprocess

import pytest
from oci_images import Image, Pusher, busybox_layer, files, tar

NAMES = ("folder:one", "folder:two")


@pytest.fixture
def tidy(apus):
    yield apus
    apus("rmi", "-f", *NAMES)


@pytest.fixture
def pulled(tidy, registry):
    """An image that no other test has, as `folder:one`. Returns it, and its name in the registry."""
    image = Image([busybox_layer(), tar(files({"which": os.urandom(8).hex()}))])
    Pusher(registry.host).push("folder", image)
    name = f"{registry.host}/folder"
    tidy("pull", "-q", name).ok()
    tidy("tag", name, "folder:one").ok()
    yield image, name
    tidy("rmi", "-f", name)


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def skopeo(*words):
    return run("skopeo", "--insecure-policy", *words)


def tree(folder):
    """Contents by path."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                found[os.path.relpath(os.path.join(place, name), folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def test_feature_B17_save_makes_a_layout_in_a_folder_that_skopeo_and_umoci_read(tidy, pulled, registry, tmp_path):
    image, _ = pulled
    folder = str(tmp_path / "out")
    assert tidy("save", "--format", "oci-dir", "-o", folder, "folder:one").ok() == ""
    assert sorted(os.listdir(tmp_path)) == ["out"] and set(os.listdir(folder)) >= {"oci-layout", "index.json", "blobs"}
    for path, digest in tree(f"{folder}/blobs/sha256").items():
        assert path == digest
    assert run("umoci", "ls", "--layout", folder).split() == ["one"]
    target = f"{registry.host}/from-folder"
    skopeo("copy", "-q", "--dest-tls-verify=false", f"oci:{folder}:one", f"docker://{target}")
    assert Pusher(registry.host).digest("from-folder") == image.digest, "byte for byte what was pulled"
    run("umoci", "unpack", "--image", f"{folder}:one", str(tmp_path / "bundle"))
    with open(tmp_path / "bundle" / "rootfs" / "which", encoding="utf-8") as file:
        assert file.read() == tidy("run", "--rm", "folder:one", "cat", "/which").ok()


def test_feature_B17_load_takes_a_folder_that_skopeo_or_umoci_wrote(tidy, pulled, tmp_path):
    image, name = pulled
    folder = str(tmp_path / "layout")
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"oci:{folder}:one")
    # What umoci makes of it: a layer more, in a tag of its own.
    run("umoci", "unpack", "--image", f"{folder}:one", str(tmp_path / "bundle"))
    with open(tmp_path / "bundle" / "rootfs" / "added", "w", encoding="utf-8") as file:
        file.write("by umoci")
    run("umoci", "repack", "--image", f"{folder}:two", str(tmp_path / "bundle"))
    tidy("rmi", "-f", name, "folder:one").ok()
    before = tree(folder)
    said = tidy("load", "-i", folder).ok().splitlines()
    assert tree(folder) == before and len(said) == 2 and f"Loaded image ID: {image.id}" in said, said
    other = next(line.split()[-1] for line in said if image.id not in line)
    tidy("tag", image.id, "folder:one").ok()
    tidy("tag", other, "folder:two").ok()
    assert tidy("run", "--rm", "folder:two", "cat", "/added").ok() == "by umoci"
    assert tidy("run", "--rm", "folder:one", "ls", "/added").code == 1


def test_a_folder_saved_is_loaded_again_with_its_names_and_saved_as_the_same(tidy, pulled, tmp_path):
    image, name = pulled
    tidy("tag", name, "folder:two").ok()
    first, second = str(tmp_path / "first"), tmp_path / "second"
    # One that is there and empty is taken.
    os.mkdir(first)
    tidy("save", "--format=oci-dir", "-o", first + "/", "folder:one", "folder:two").ok()
    tidy("rmi", "-f", name, *NAMES).ok()
    assert sorted(tidy("load", "-q", "-i", first).ok().splitlines()) == ["Loaded image: folder:one", "Loaded image: folder:two"]
    assert tidy.inspect("folder:two", "{{.Id}}") == image.id
    tidy("save", "--format", "oci-dir", "-o", second.name, "folder:one", "folder:two", timeout=60, cwd=str(tmp_path)).ok()
    assert tree(first) == tree(second)
    # Docker's own form, unpacked.
    for file in ("oci-layout", "index.json"):
        os.remove(second / file)
    tidy("rmi", "-f", *NAMES).ok()
    assert sorted(tidy("load", "-i", str(second)).ok().splitlines()) == ["Loaded image: folder:one", "Loaded image: folder:two"]


def test_what_is_no_folder_of_images_is_refused_and_nothing_is_left_or_changed(tidy, pulled, tmp_path):
    full, plain = tmp_path / "full", tmp_path / "plain"
    full.mkdir()
    (full / "kept").write_text("kept")
    plain.write_text("plain")
    for words, complaint in (
            (["save", "--format", "oci-dir", "folder:one"], "needs the name of a folder"),
            (["save", "--format", "tar", "-o", str(tmp_path / "x"), "folder:one"], 'oci-archive or oci-dir, not "tar"'),
            (["save", "--format", "oci-dir", "-o", str(full), "folder:one"], "ENOTEMPTY"),
            (["save", "--format", "oci-dir", "-o", str(plain), "folder:one"], "ENOTEMPTY"),
            (["save", "--format", "oci-dir", "-o", str(tmp_path / "no" / "x"), "folder:one"], "ENOENT"),
            (["save", "--format", "oci-dir", "-o", str(tmp_path / "x"), "folder:one", "folder:none"], "folder:none"),
            (["load", "-i", str(full)], "holds neither an OCI layout"), (["load", "-i", str(tmp_path / "none")], "no such file or directory")):
        refused = tidy(*words)
        assert refused.code == 1 and complaint.lower() in refused.err.lower(), (words, refused)
    assert sorted(os.listdir(tmp_path)) == ["full", "plain"] and os.listdir(full) == ["kept"] and plain.read_text() == "plain"
    # A layout that lacks what its index names.
    layout = tmp_path / "layout"
    pulled[0].write_layout(str(layout))
    os.remove(layout / "blobs" / "sha256" / json.loads(pulled[0].manifest)["config"]["digest"][7:])
    refused = tidy("load", "-i", str(layout))
    assert refused.code == 1 and "is missing" in refused.err, refused
