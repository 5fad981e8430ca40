"""`apus system check`: what lies on the disk, what is on record and what the kernel has are compared, and what is wrong is put right."""

import gzip
import json
import os
import shutil

import pytest
from conftest import entries
from engine_http import api
from oci_images import Image, Pusher, busybox_layer, entry, files, tar
from processes import wait_until

LAYER = [
    *files({"d/text": "text" * 1000, "d/more": "more", "tool": "#!/bin/sh\necho tool\n", ".wh.var": ""}),
    (entry("noted", headers={"SCHILY.xattr.user.note": "kept"}), b"noted"), (entry("owned", uid=1000, gid=50), b"owned"),
]


class Store:
    """A daemon's folders, and the image of this file in them."""

    def __init__(self, daemon, apus, registry):
        self.daemon, self.apus, self.registry = daemon, apus, registry
        self.image = Image([busybox_layer(), tar(LAYER)])
        self.name = f"{registry.host}/checked"
        Pusher(registry.host).push("checked", self.image)
        apus("pull", "-q", self.name).ok()

    def blob(self, digest):
        return f"{self.daemon.data}/content/blobs/sha256/{digest[7:]}"

    @property
    def tree(self):
        """The unpacked upper layer."""
        layers = f"{self.daemon.data}/snapshots/overlayfs/layers"
        return next(f"{layers}/{name}/fs" for name in entries(layers) if os.path.exists(f"{layers}/{name}/fs/noted"))

    def check(self, *flags):
        result = self.apus("system", "check", "--format", "json", *flags, timeout=120)
        return result, [json.loads(line) for line in result.out.splitlines()]

    def fetched(self):
        return [line for line in self.registry.requests("GET /v2/checked/") if "/blobs/" in str(line) or "/manifests/" in str(line)]


@pytest.fixture
def store(own_daemon, apus, registry):
    store = Store(own_daemon, apus, registry)
    # What pulls of other tests left half done is nothing's business here.
    store.check("--repair")
    result, findings = store.check()
    assert result.code == 0 and findings == [], findings
    yield store
    apus("rmi", "-f", store.name)


def one(findings):
    assert len(findings) == 1, findings
    return {key: findings[0][key] for key in ("Kind", "Object", "State")}, findings[0]


def test_a_store_that_is_as_it_should_be_says_what_was_looked_at(store):
    out = store.apus("system", "check").ok()
    assert "blobs" in out and "layers" in out and out.strip().endswith("0 findings, 0 repaired"), out


FILES = {
    "content": lambda tree: open(f"{tree}/d/text", "r+").write("TEXT"),
    "size": lambda tree: open(f"{tree}/d/text", "a").write("x"),
    "mode": lambda tree: os.chmod(f"{tree}/tool", 0o700),
    "owner": lambda tree: os.chown(f"{tree}/owned", 0, 0),
    "attributes": lambda tree: os.removexattr(f"{tree}/noted", "user.note"),
    "kind": lambda tree: (os.remove(f"{tree}/d/more"), os.mkdir(f"{tree}/d/more")),
}


@pytest.mark.parametrize("what", sorted(FILES))
def test_a_damaged_file_of_a_layer_is_found_and_its_layer_alone_is_unpacked_again(store, what):
    FILES[what](store.tree)
    others = {name: os.stat(f"{store.tree}/../../{name}/fs").st_ino for name in entries(f"{store.tree}/../..") if f"{name}/" not in store.tree}
    result, findings = store.check()
    summary, finding = one(findings)
    assert result.code == 1 and summary == {"Kind": "damaged", "Object": "file", "State": "found"} and finding["Detail"].endswith(f": {what}")
    before = len(store.fetched())
    result, findings = store.check("--repair")
    assert result.code == 0 and one(findings)[0]["State"] == "repaired", (result, findings)
    assert len(store.fetched()) == before, "its blob was whole: nothing is fetched"
    assert {name: os.stat(f"{store.tree}/../../{name}/fs").st_ino for name in others} == others
    assert store.check()[1] == []
    assert store.apus("run", "--rm", store.name, "sh", "/tool").ok() == "tool\n"


def test_missing_and_extra_files_of_a_layer_are_found(store):
    os.remove(f"{store.tree}/d/text")
    with open(f"{store.tree}/d/stranger", "w") as file:
        file.write("x")
    _, findings = store.check("--repair")
    assert {(each["Kind"], each["Detail"], each["State"]) for each in findings} == {
        ("missing", "/d/text", "repaired"), ("extra", "/d/stranger", "repaired")}
    assert store.check()[1] == []
    assert store.apus("run", "--rm", store.name, "ls", "/d").ok().split() == ["more", "text"]


def test_a_layer_that_is_gone_is_unpacked_from_its_blob(store):
    shutil.rmtree(os.path.dirname(store.tree))
    before = len(store.fetched())
    result, findings = store.check("--repair")
    assert result.code == 0 and one(findings)[0] == {"Kind": "missing", "Object": "file", "State": "repaired"}, findings
    assert len(store.fetched()) == before and store.check()[1] == []
    assert store.apus("run", "--rm", store.name, "sh", "/tool").ok() == "tool\n"


@pytest.mark.parametrize("which", ["layer", "config", "manifest"])
@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_damaged_blob_is_fetched_again_and_no_other(store, which, damage):
    digest = {"layer": store.image.layers[1]["digest"], "config": store.image.id, "manifest": store.image.digest}[which]
    path = store.blob(digest)
    with open(path, "rb") as file:
        whole = file.read()
    if damage == "gone":
        os.remove(path)
    else:
        with open(path, "r+b") as file:
            file.seek(len(whole) // 2)
            file.write(bytes([whole[len(whole) // 2] ^ 1]))
    result, findings = store.check()
    summary, finding = one(findings)
    assert result.code == 1 and summary["Object"] == "blob" and finding["ID"] == digest
    assert summary["Kind"] == ("missing" if damage == "gone" else "damaged")
    before = len(store.fetched())
    result, findings = store.check("--repair")
    assert result.code == 0 and one(findings)[0]["State"] == "repaired", (result, findings)
    with open(path, "rb") as file:
        assert file.read() == whole
    assert len(store.fetched()) - before == 1, "only that blob is fetched"
    assert store.check()[1] == []


def test_a_damaged_blob_is_fetched_again_over_what_an_earlier_attempt_left_of_other_bytes(store, own_daemon):
    digest = store.image.layers[1]["digest"]
    os.remove(store.blob(digest))
    leftover = f"{own_daemon.data}/content/ingests/sha256-{digest[7:]}"
    with open(leftover, "wb") as file:
        file.write(b"not the beginning of it")
    result, findings = store.check("--repair")
    assert result.code == 0 and one(findings)[0] == {"Kind": "missing", "Object": "blob", "State": "repaired"}, (result, findings)
    assert not os.path.exists(leftover) and store.check()[1] == []


def test_a_layer_that_cannot_be_compared_is_a_finding_and_the_check_goes_on(store, own_daemon):
    """The daemon is to leave more room than there is: nothing is unpacked any more."""
    building = f"{own_daemon.data}/snapshots/overlayfs/building"
    stranger = f"{own_daemon.data}/content/blobs/sha256/no-digest"
    with open(stranger, "w", encoding="utf-8") as file:
        file.write("x")
    own_daemon.stop()
    own_daemon.start("--layer-limit", f"free={1 << 50}")
    try:
        checks = [store.check(), store.check("--repair")]
        left = entries(building)
    finally:
        own_daemon.stop()
        own_daemon.start()
        wait_until(lambda: store.apus("version").code == 0, "the daemon is back")
    assert left == [], "nothing of it stays"
    for result, findings in checks:
        layers = [finding for finding in findings if finding["Object"] == "layer" and store.name in finding["Images"]]
        assert result.code == 1 and layers and all("it cannot be unpacked to be compared" in finding["Detail"] for finding in layers), findings
        assert any(finding["Kind"] == "extra" and finding["ID"] == stranger for finding in findings), "the check went on"
    assert not os.path.exists(stranger) and store.check()[1] == []


def test_what_no_registry_has_is_said(store, own_daemon):
    archive = tar(files({"own": "own"}))
    store.apus("import", "-", "own:latest", stdin=archive).ok()
    manifest = json.loads(json.dumps(api(own_daemon, "GET", "/v1.51/images/own/json", expect=200)[1]))
    store.apus("save", "-o", f"{own_daemon.folder}/own.tar", "own").ok()
    path = store.blob("sha256:" + next(name for name in entries(f"{own_daemon.data}/content/blobs/sha256")
                                       if open(store.blob("sha256:" + name), "rb").read() in (archive, gzip.compress(archive))))
    os.remove(path)
    result, findings = store.check("--repair")
    assert result.code == 1 and "no registry is known that has it" in result.err, (result, findings)
    assert manifest["RepoTags"] == ["own:latest"]
    store.apus("rmi", "own").ok()
    assert store.check()[1] == []


def test_what_nothing_needs_is_found_and_removed(store, own_daemon):
    content, snapshots = f"{own_daemon.data}/content", f"{own_daemon.data}/snapshots/overlayfs"
    made = [f"{content}/blobs/sha256/no-digest", f"{snapshots}/layers/no-layer", f"{snapshots}/active/nobody"]
    for path in made:
        os.mkdir(path)
    data = os.urandom(1000)
    stray = store.blob("sha256:" + __import__("hashlib").sha256(data).hexdigest())
    with open(stray, "wb") as file:
        file.write(data)
    result, findings = store.check()
    assert result.code == 1 and {(each["Kind"], each["Object"]) for each in findings} == {("extra", "file"), ("extra", "blob")}
    assert {each["ID"] for each in findings if each["Object"] == "file"} == set(made)
    result, findings = store.check("--repair")
    assert result.code == 0 and all(each["State"] == "repaired" for each in findings)
    assert not any(os.path.exists(path) for path in [*made, stray]) and store.check()[1] == []


def test_leftovers_of_containers_that_are_on_no_record(store, own_daemon):
    nobody = "f" * 64
    bundle = f"{own_daemon.run}/bundles/{nobody}"
    os.mkdir(bundle)
    os.makedirs(f"{own_daemon.data}/containers/{nobody}")
    cgroup = f"/sys/fs/cgroup/pids/apus/{nobody}" if os.path.isdir("/sys/fs/cgroup/pids") else f"/sys/fs/cgroup/apus/{nobody}"
    os.makedirs(cgroup)
    try:
        assert __import__("subprocess").run(["mount", "-t", "tmpfs", "nobody", bundle], check=False).returncode == 0
        result, findings = store.check()
        found = {(each["Kind"], each["Object"]) for each in findings if each["ID"] == nobody}
        assert result.code == 1 and found == {("extra", "mount"), ("extra", "cgroup"), ("extra", "leftover")}, findings
        result, findings = store.check("--repair")
        assert all(each["State"] == "repaired" for each in findings), (result, findings)
        assert not os.path.exists(bundle) and not os.path.exists(cgroup) and store.check()[1] == []
    finally:
        if os.path.isdir(cgroup):
            os.rmdir(cgroup)


def test_cgroups_of_others_are_none_of_this_daemons_business(store):
    """Another daemon's container that has no process just now, of which nothing lies in this one's folders."""
    other = os.urandom(32).hex()
    cgroup = f"/sys/fs/cgroup/pids/apus/{other}" if os.path.isdir("/sys/fs/cgroup/pids") else f"/sys/fs/cgroup/apus/{other}"
    os.makedirs(cgroup)
    try:
        assert store.check("--repair")[1] == [] and os.path.isdir(cgroup)
    finally:
        os.rmdir(cgroup)


@pytest.mark.parametrize("damage", ["gone", "nonsense", "folder"])
def test_a_layer_of_which_the_notes_cannot_be_read_keeps_no_daemon_from_its_start(store, own_daemon, damage):
    notes = f"{os.path.dirname(store.tree)}/info"
    layer = os.path.basename(os.path.dirname(store.tree)).replace("-", ":")
    own_daemon.stop()
    os.remove(notes)
    if damage == "nonsense":
        with open(notes, "w") as file:
            file.write("nonsense\n")
    elif damage == "folder":
        os.mkdir(notes)
    own_daemon.start()
    wait_until(lambda: store.apus("version").code == 0, "the daemon is back")
    # What does not need the layer goes on; what does says what is wrong.
    assert store.apus("images", "-q", store.name).line() and store.apus("run", "--rm", store.name, "true").code != 0
    result, findings = store.check()
    assert result.code == 1 and one(findings)[0] == {"Kind": "damaged", "Object": "layer", "State": "found"}, findings
    assert findings[0]["ID"] == layer and "info" in findings[0]["Detail"], findings
    before = len(store.fetched())
    result, findings = store.check("--repair")
    assert result.code == 0 and one(findings)[0]["State"] == "repaired", (result, findings)
    assert len(store.fetched()) == before, "its blob was whole: nothing is fetched"
    assert store.check()[1] == [] and store.apus("run", "--rm", store.name, "sh", "/tool").ok() == "tool\n"


def test_a_layer_that_a_running_container_has_mounted_is_left_until_it_ends(store):
    store.apus("run", "-d", "--name", "user", store.name, "sleep", "100").ok()
    with open(f"{store.tree}/d/text", "a") as file:
        file.write("x")
    result, findings = store.check("--repair")
    assert result.code == 1 and one(findings)[0]["State"] == "found" and "a running container has the layer mounted" in result.err
    store.apus("rm", "-f", "user").ok()
    assert store.check("--repair")[0].code == 0 and store.check()[1] == []


def test_a_container_whose_root_is_gone_is_told(store, own_daemon):
    store.apus("create", "--name", "rootless", store.name).ok()
    identifier = store.apus.inspect("rootless", "{{.Id}}")
    root = f"{own_daemon.data}/snapshots/overlayfs/active/{identifier}"
    assert os.path.isdir(root)
    own_daemon.stop()
    shutil.rmtree(root)
    own_daemon.start()
    wait_until(lambda: store.apus("ps", "-aq").code == 0, "the daemon is back")
    result, findings = store.check()
    assert result.code == 1 and one(findings)[0] == {"Kind": "missing", "Object": "root", "State": "found"}, findings
    assert findings[0]["ID"] == identifier
    store.apus("rm", "rootless").ok()
    assert store.check()[1] == []


def test_the_api_takes_no_body_as_a_check_alone(store, own_daemon):
    _, report = api(own_daemon, "POST", "/v1.51/system/check", expect=200)
    assert report["Findings"] == [] and report["Blobs"] >= 4 and report["Layers"] >= 2 and report["Bytes"] > 1000


def link_of(store):
    """The link by which the upper layer is mounted."""
    folder, layer = f"{store.daemon.data}/snapshots/overlayfs/l", os.path.basename(os.path.dirname(store.tree))
    return next(f"{folder}/{name}" for name in entries(folder) if f"/{layer}/" in os.readlink(f"{folder}/{name}"))


@pytest.mark.parametrize("kind", ["missing", "damaged", "a folder"])
def test_a_layer_that_has_lost_the_link_that_it_is_mounted_by_gets_it_again(store, kind):
    link = link_of(store)
    text = os.readlink(link)
    os.remove(link)
    if kind == "damaged":
        os.symlink("../layers/nowhere/fs", link)
    elif kind == "a folder":
        os.mkdir(link)
    result, findings = store.check()
    summary, finding = one(findings)
    assert result.code == 1 and summary == {"Kind": "missing" if kind == "missing" else "damaged", "Object": "file", "State": "found"}
    assert finding["Detail"].endswith(f"snapshots/overlayfs/l/{os.path.basename(link)}"), finding
    result, findings = store.check("--repair")
    assert result.code == 0 and one(findings)[0]["State"] == "repaired", findings
    assert os.readlink(link) == text and store.check()[1] == []
    assert store.apus("run", "--rm", store.name, "sh", "/tool").ok() == "tool\n"


def test_a_link_that_leads_elsewhere_is_right_again_after_a_start(store, own_daemon):
    link = link_of(store)
    text = os.readlink(link)
    own_daemon.kill()
    os.remove(link)
    os.symlink("../layers/nowhere/fs", link)
    own_daemon.start()
    assert os.readlink(link) == text


def test_what_is_nobodys_is_found_in_every_folder_of_the_store(store):
    data = store.daemon.data
    strange = [f"{data}/content/x", f"{data}/content/blobs/md5", f"{data}/snapshots/junk", f"{data}/snapshots/overlayfs/junk",
               f"{data}/snapshots/overlayfs/building/junk"]
    for path in strange:
        os.makedirs(f"{path}/below")
    # The file system's own, where the folder is the top of one.
    os.mkdir(f"{data}/snapshots/lost+found")
    try:
        result, findings = store.check()
        assert result.code == 1 and sorted(each["ID"] for each in findings) == sorted(strange), findings
        result, findings = store.check("--repair")
        assert result.code == 0 and {each["State"] for each in findings} == {"repaired"}, findings
        assert not any(os.path.exists(path) for path in strange) and store.check()[1] == []
    finally:
        os.rmdir(f"{data}/snapshots/lost+found")
