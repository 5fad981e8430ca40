"""What layers hold, unpacked and packed, beside what umoci and skopeo make of the same: attributes, links, holes, devices, long names,
whiteouts, in tars of both dialects; and manifests that are artifacts or refer to others."""

import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile

import oci_images
import pytest
from oci_images import Image, Pusher, busybox_layer, entry, files, tar
from scripted_registry import ScriptedRegistry

LONG, DEEP = "n" * 200, "/".join(["deep" * 12] * 12)
CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00" + b"\x00" * 12
HOLE = 1 << 20


def kinds(folder):
    """One of everything that a layer can hold, in a folder of this machine."""
    os.makedirs(f"{folder}/{DEEP}")
    os.makedirs(f"{folder}/opaque")
    os.makedirs(f"{folder}/below")
    for name, text in {"plain": "plain", LONG: "long", f"{DEEP}/{LONG}": "deep", "größe-\u65e5": "unicode", "opaque/hidden": "h", "gone": "g",
                       "below/gone": "g", "below/kept": "k", "replaced": "before"}.items():
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    os.chmod(f"{folder}/plain", 0o4751)
    os.chown(f"{folder}/{LONG}", 3_000_000, 70_000)
    os.link(f"{folder}/plain", f"{folder}/linked")
    os.link(f"{folder}/plain", f"{folder}/{DEEP}/linked")
    os.symlink("l" * 150, f"{folder}/symbolic")
    os.symlink("/absolute", f"{folder}/{DEEP}/{'s' * 120}")
    os.lchown(f"{folder}/symbolic", 5, 6)
    os.mkfifo(f"{folder}/pipe", 0o620)
    os.mknod(f"{folder}/character", 0o640 | stat.S_IFCHR, os.makedev(10, 200))
    os.mknod(f"{folder}/block", 0o600 | stat.S_IFBLK, os.makedev(7, 300))
    with open(f"{folder}/sparse", "wb") as file:
        for place in (0, HOLE, 3 * HOLE):
            file.seek(place)
            file.write(b"data" * 100)
        file.truncate(4 * HOLE)
    with open(f"{folder}/capable", "wb") as file:
        file.write(b"capable")
    os.setxattr(f"{folder}/capable", "security.capability", CAPABILITY)
    os.setxattr(f"{folder}/capable", "user.note", b"a\0b\xff")
    os.setxattr(f"{folder}/below", "user.of-a-folder", b"x" * 300)
    os.utime(f"{folder}/{DEEP}/linked", ns=(1, 1_600_000_000_123_456_789))
    os.utime(f"{folder}/below/kept", ns=(1, -86_400 * 10**9))
    os.utime(f"{folder}/below", ns=(1, 1_500_000_000 * 10**9))


def packed(folder, dialect, *flags):
    words = ["tar", "-c", f"--format={dialect}", "--numeric-owner", *flags, "-C", os.path.dirname(folder), os.path.basename(folder)]
    return subprocess.run(words, check=True, capture_output=True).stdout


# What a layer above takes away, puts in its place, and hides.
ABOVE = [
    (entry("t/.wh.gone"), b""), (entry("t/below/.wh.gone"), b""), (entry("t/opaque/", tarfile.DIRTYPE, 0o750), None), (entry("t/opaque/.wh..wh..opq"), b""),
    (entry("t/opaque/shown"), b"shown"), (entry("t/replaced/", tarfile.DIRTYPE, 0o755), None), (entry("t/replaced/inside"), b"i"),
]


def described(root, with_nanoseconds=True):
    """Everything of a tree that can be told from it, by path."""
    found, names = {}, {}
    for place, folders, plain in os.walk(root):
        for name in [".", *folders, *plain] if place == root else [*folders, *plain]:
            path = os.path.normpath(os.path.join(place, name))
            status = os.lstat(path)
            attributes = {} if stat.S_ISLNK(status.st_mode) else {
                key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
                if key.startswith("user.") or key == "security.capability"}
            content = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            relative = os.path.relpath(path, root)
            if not stat.S_ISDIR(status.st_mode):
                names.setdefault((status.st_dev, status.st_ino), []).append(relative)
            device = status.st_rdev if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode) else 0
            moment = status.st_mtime_ns if with_nanoseconds else status.st_mtime_ns // 10**9
            found[relative] = (stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, moment,
                               status.st_size if content is not None else 0, content, device, attributes)
    links = sorted(sorted(group) for group in names.values() if len(group) > 1)
    return found, links


def same(one, other):
    assert one[1] == other[1], "hard links"
    differences = {path: (one[0].get(path), other[0].get(path)) for path in {*one[0], *other[0]} if one[0].get(path) != other[0].get(path)}
    assert not differences, differences


def by_umoci(source, folder):
    """What umoci makes of an image that skopeo fetches. Returns the root."""
    os.makedirs(folder)
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", source, f"oci:{folder}/layout:x"], check=True, capture_output=True)
    subprocess.run(["umoci", "unpack", "--image", f"{folder}/layout:x", f"{folder}/bundle"], check=True, capture_output=True)
    return f"{folder}/bundle/rootfs"


@pytest.fixture
def running(apus):
    """Starts a container of an image. Returns its root as this machine sees it."""
    def start(name, container):
        apus("run", "-d", "--name", container, "--network", "none", name, "sleep", "1000").ok()
        return f"/proc/{apus.inspect(container, '{{.State.Pid}}')}/root"
    return start


@pytest.mark.parametrize("dialect", ["pax", "gnu"])
def test_a_layer_is_unpacked_as_umoci_does_and_saved_as_it_came(apus, registry, own_daemon, running, tmp_path, dialect):
    made = str(tmp_path / "t")
    kinds(made)
    # GNU's own dialect has no attributes, and whole seconds; umoci does not know its way to write holes.
    layer = packed(made, dialect, *(["--sparse", "--xattrs", "--xattrs-include=*"] if dialect == "pax" else []))
    image = Image([busybox_layer(), layer, tar(ABOVE)])
    Pusher(registry.host).push(f"kinds-{dialect}", image)
    name = f"{registry.host}/kinds-{dialect}"
    apus("pull", "-q", name).ok()
    try:
        ours = described(running(name, "kinds") + "/t")
        same(ours, described(by_umoci(f"docker://{name}", str(tmp_path / "umoci")) + "/t"))
        for path in ("plain", LONG, f"{DEEP}/{LONG}", "symbolic", "pipe", "character", "block", "sparse", "linked"):
            here = os.lstat(f"{made}/{path}")
            assert ours[0][path][:4] == (stat.S_IFMT(here.st_mode), stat.S_IMODE(here.st_mode), here.st_uid, here.st_gid), path
        assert ours[1] == [sorted(["plain", "linked", f"{DEEP}/linked"])]
        assert {"gone", "below/gone", "opaque/hidden"}.isdisjoint(ours[0]) and {"below/kept", "opaque/shown", "replaced/inside"} <= set(ours[0])
        if dialect == "pax":
            assert ours[0]["capable"][8] == {"security.capability": CAPABILITY, "user.note": b"a\0b\xff"}
            assert ours[0]["plain"][4] == 1_600_000_000_123_456_789
            sparse = os.lstat(f"/proc/{apus.inspect('kinds', '{{.State.Pid}}')}/root/t/sparse")
            assert sparse.st_size == 4 * HOLE and sparse.st_blocks * 512 < HOLE, "holes stay holes"
        archive = str(tmp_path / "saved.tar")
        apus("save", "-o", archive, name).ok()
        same(ours, described(by_umoci(f"oci-archive:{archive}:latest", str(tmp_path / "saved")) + "/t"))
        with tarfile.open(archive) as opened:
            for blob in image.layers:
                data = opened.extractfile("blobs/sha256/" + blob["digest"][7:]).read()
                assert oci_images.digest_of(data) == blob["digest"]
    finally:
        apus("rm", "-f", "kinds")
        apus("rmi", "-f", name)


def test_holes_as_gnu_tar_writes_them_stay_holes(apus, registry, own_daemon, running, tmp_path):
    made = str(tmp_path / "t")
    kinds(made)
    layer = subprocess.run(["tar", "-c", "--format=gnu", "--sparse", "-C", str(tmp_path), "t/sparse"], check=True, capture_output=True).stdout
    assert len(layer) < HOLE
    Pusher(registry.host).push("holes", Image([busybox_layer(), layer]))
    name = f"{registry.host}/holes"
    try:
        path = running(name, "holes") + "/t/sparse"
        assert os.lstat(path).st_size == 4 * HOLE and os.lstat(path).st_blocks * 512 < HOLE
        with open(path, "rb") as one, open(f"{made}/sparse", "rb") as other:
            assert one.read() == other.read()
    finally:
        apus("rm", "-f", "holes")
        apus("rmi", "-f", name)


def test_holes_of_what_is_committed_are_zeros_in_the_layer_and_holes_in_the_image(apus, image, running):
    try:
        path = running(image, "sparse-writer") + "/sparse"
        with open(path, "wb") as file:
            file.truncate(64 * HOLE)
            for place, word in ((0, b"begin"), (31 * HOLE + 17, b"middle"), (64 * HOLE - 3, b"end")):
                file.seek(place)
                file.write(word)
        assert os.lstat(path).st_blocks * 512 < HOLE
        exported = apus("export", "sparse-writer").raw
        with tarfile.open(fileobj=io.BytesIO(exported)) as archive, open(path, "rb") as file:
            member = archive.getmember("sparse")
            assert not member.sparse and archive.extractfile(member).read() == file.read(), "every reader of tars knows zeros"
        apus("commit", "sparse-writer", "sparse:here").ok()
        copy = running("sparse:here", "sparse-reader") + "/sparse"
        assert os.lstat(copy).st_size == 64 * HOLE and os.lstat(copy).st_blocks * 512 < 4 * HOLE
        with open(copy, "rb") as one, open(path, "rb") as other:
            assert one.read() == other.read()
        assert apus("system", "check").code == 0
    finally:
        apus("rm", "-f", "sparse-writer", "sparse-reader")
        apus("rmi", "-f", "sparse:here")


def test_what_a_container_wrote_is_packed_so_that_umoci_unpacks_the_same(apus, registry, image, running, tmp_path):
    Pusher(registry.host).push("written", Image([busybox_layer(), tar(files({"t/gone": "g", "t/opaque/hidden": "h", "t/below/kept": "k"}))]))
    name = f"{registry.host}/written"
    apus("pull", "-q", name).ok()
    try:
        root = running(name, "writer")
        made = str(tmp_path / "t")
        kinds(made)
        # Straight into its root: a container's own program could make no devices beyond its leave.
        subprocess.run(["rm", "-r", f"{root}/t/gone", f"{root}/t/opaque"], check=True)
        subprocess.run(["cp", "-a", "--sparse=always", f"{made}/.", f"{root}/t/"], check=True)
        wrote = described(f"{root}/t", with_nanoseconds=False)
        apus("commit", "writer", "written:here").ok()
        archive = str(tmp_path / "committed.tar")
        apus("save", "-o", archive, "written:here").ok()
        same(wrote, described(by_umoci(f"docker-archive:{archive}", str(tmp_path / "committed")) + "/t", with_nanoseconds=False))
        # And taken in again, by ourselves.
        apus("rmi", "written:here").ok()
        apus("load", "-q", "-i", archive).ok()
        same(wrote, described(running("written:here", "reader") + "/t", with_nanoseconds=False))
    finally:
        apus("rm", "-f", "writer", "reader")
        apus("rmi", "-f", "written:here", name)


def test_a_layout_of_another_tool_is_a_folder_in_a_tar_or_a_tar_in_a_registry(apus, registry, tmp_path):
    image = Image([busybox_layer(), tar(files({"which": "layout"}))])
    layout = str(tmp_path / "layout")
    image.write_layout(layout)
    packed_layout = subprocess.run(["tar", "-c", "-C", layout, "."], check=True, capture_output=True).stdout
    said = apus("load", stdin=packed_layout).ok()
    assert said == f"Loaded image ID: {image.id}\n"
    apus("tag", image.id, "layout:one").ok()
    try:
        assert apus("run", "--rm", "layout:one", "cat", "/which").ok() == "layout"
        archive = str(tmp_path / "out.tar")
        apus("save", "-o", archive, "layout:one").ok()
        folder = str(tmp_path / "out")
        os.makedirs(folder)
        subprocess.run(["tar", "-x", "-f", archive, "-C", folder], check=True)
        index = json.loads(open(f"{folder}/index.json", encoding="utf-8").read())
        assert index["manifests"][0]["digest"] == image.digest
        listed = subprocess.run(["umoci", "ls", "--layout", folder], check=True, capture_output=True, text=True).stdout
        assert listed.split() == ["one"], "umoci reads it as a layout in a folder"
    finally:
        apus("rmi", "-f", "layout:one")


# Artifacts


SBOM, EMPTY = "application/vnd.example.sbom", "application/vnd.oci.empty.v1+json"


def manifest_of(image, **members):
    """The image, with members of image-spec 1.1 in its manifest."""
    document = json.loads(image.manifest)
    document.update(members)
    image.manifest = json.dumps(document).encode()
    image.digest = oci_images.digest_of(image.manifest)
    return image


def artifact(subject):
    """A list of parts that refers to an image."""
    made = Image([])
    config, part = made.add(EMPTY, b"{}"), made.add("text/plain", b"parts")
    made.manifest = json.dumps({"schemaVersion": 2, "mediaType": oci_images.MANIFEST, "artifactType": SBOM, "config": config, "layers": [part],
                                "subject": subject, "annotations": {"made": "here"}}).encode()
    made.digest = oci_images.digest_of(made.manifest)
    return made


def descriptor(image):
    return {"mediaType": oci_images.MANIFEST, "digest": image.digest, "size": len(image.manifest)}


def test_an_artifact_is_no_image_and_is_told_as_such(cli, registry):
    # Not the image that other tests run, which goes with its last name.
    image = Image([busybox_layer()], {"Labels": {"of": "beside"}})
    made = artifact(descriptor(image))
    Pusher(registry.host).push("artifact", image)
    Pusher(registry.host).push("artifact", made, tag="sbom")
    name = f"{registry.host}/artifact:sbom"
    refused = cli("pull", name)
    assert refused.code == 1 and f"unsupported media type {EMPTY}" in refused.err and name in refused.err, refused
    assert cli("inspect", name).code == 1
    # What it holds can be looked at all the same.
    if cli.name == "apus":
        shown = json.loads(cli("manifest", "inspect", "--insecure", name).ok())
        assert shown["config"]["mediaType"] == EMPTY and [part["mediaType"] for part in shown["layers"]] == ["text/plain"]


def test_artifacts_beside_an_image_leave_it_what_it_is(apus, registry, tmp_path):
    # Not the image that other tests run, which goes with its last name.
    image = Image([busybox_layer()], {"Labels": {"of": "beside"}})
    made = artifact(descriptor(image))
    # In an index, as attestations are, and in a layout.
    for each in (image, made):
        for blob in each.blobs.values():
            Pusher(registry.host).push_blob("beside", blob)
        Pusher(registry.host).push_manifest("beside", each.digest, each.manifest)
    index = json.dumps({"schemaVersion": 2, "mediaType": oci_images.INDEX, "manifests": [
        {**descriptor(made), "artifactType": SBOM, "platform": {"os": "unknown", "architecture": "unknown"}},
        {**descriptor(image), "platform": {"os": "linux", "architecture": oci_images.ARCHITECTURE}}]}).encode()
    Pusher(registry.host).push_manifest("beside", "latest", index, oci_images.INDEX)
    name = f"{registry.host}/beside"
    apus("pull", "-q", name).ok()
    assert apus.inspect(name, "{{.Id}}") == image.id
    apus("rmi", name).ok()
    layout = tmp_path / "layout"
    image.write_layout(str(layout))
    for digest, data in {**made.blobs, made.digest: made.manifest}.items():
        (layout / "blobs" / "sha256" / digest[7:]).write_bytes(data)
    top = json.loads((layout / "index.json").read_text())
    top["manifests"].insert(0, {**descriptor(made), "artifactType": SBOM})
    (layout / "index.json").write_text(json.dumps(top))
    said = apus("load", stdin=subprocess.run(["tar", "-c", "-C", str(layout), "."], check=True, capture_output=True).stdout).ok()
    assert said == f"Loaded image ID: {image.id}\n"
    apus("rmi", image.id).ok()


def test_an_image_that_refers_to_another_is_pushed_as_it_was_pulled_and_the_registry_knows_who_refers(apus, registry, own_daemon):
    base = Image([busybox_layer()])
    Pusher(registry.host).push("refers", base, tag="base")
    image = manifest_of(Image([busybox_layer(), tar(files({"more": "more"}))]), subject=descriptor(base), artifactType=SBOM, annotations={"a": "b"})
    Pusher(registry.host).push("refers", image)
    name = f"{registry.host}/refers"
    apus("pull", "-q", name).ok()
    target = f"{registry.host}/referring"
    apus("tag", name, target).ok()
    try:
        # This registry has no referrers: who pushes writes the list down, once.
        Pusher(registry.host).push("referring", base, tag="base")
        listed = f"sha256-{base.digest[7:]}"
        for _ in range(2):
            assert f"latest: digest: {image.digest}" in apus("push", target).ok()
        assert Pusher(registry.host).digest("referring") == image.digest
        index = json.loads(Pusher(registry.host).manifest("referring", listed))
        assert index["mediaType"] == oci_images.INDEX and index["manifests"] == [
            {**descriptor(image), "artifactType": SBOM, "annotations": {"a": "b"}}], index
        # One that has referrers says so, and is left to it.
        scripted = ScriptedRegistry(base, subjects=True)
        try:
            apus("tag", name, scripted.name).ok()
            apus("push", scripted.name).ok()
            assert not [request for request in scripted.requests if listed in request["path"]]
            apus("rmi", scripted.name).ok()
        finally:
            scripted.stop()
    finally:
        apus("rmi", "-f", target, name)
