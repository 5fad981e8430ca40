"""`mounts add` and `mounts rm`: mounts of a container that exists already. runc has no such verb, crun's came after 1.8."""

import json
import os

import pytest
from attackers import Canary

pytestmark = pytest.mark.ours


@pytest.fixture
def document(tmp_path):
    def write(*mounts):
        path = tmp_path / "mounts.json"
        path.write_text(json.dumps(list(mounts)))
        return str(path)
    return write


def bind(source, destination, *options):
    return {"destination": destination, "source": str(source), "type": "bind", "options": ["bind", *options]}


def mounts_inside(runtime, container):
    return [line.split()[4] for line in runtime("exec", container, "cat", "/proc/self/mountinfo").ok().lines]


def test_binds_and_file_systems_come_and_go(runtime, running, tmp_path, document):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("from the host")
    added = document(bind(shared, "/mnt/data", "ro", "nosuid"), bind(shared / "file", "/mnt/file"),
                     {"destination": "/mnt/memory", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "mode=700"]})
    runtime("mounts", "add", running, added).ok()
    script = "cat /mnt/data/file /mnt/file; touch /mnt/data/new; stat -c %a /mnt/memory; touch /mnt/memory/new && echo written"
    result = runtime("exec", running, "sh", "-c", script).ok()
    assert result.out == "from the hostfrom the host" + "700\nwritten\n" and "Read-only" in result.err
    runtime("mounts", "rm", running, added).ok()
    assert not [path for path in mounts_inside(runtime, running) if path.startswith("/mnt")]
    assert runtime("exec", running, "ls", "/mnt/memory").ok().out == ""
    assert (shared / "file").read_text() == "from the host" and os.listdir(shared) == ["file"]


def test_a_user_namespaces_container_gets_mounts_too(runtime, bundle, container, tmp_path, document):
    bundle.map_users()
    bundle.write("sleep 600")
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chmod(tmp_path, 0o755)
    (shared / "file").write_text("x")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    mapping = {"uidMappings": [{"containerID": 0, "hostID": 100000, "size": 10}], "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 10}]}
    runtime("mounts", "add", container, document({**bind(shared, "/mnt"), **mapping})).ok()
    assert runtime("exec", container, "stat", "-c", "%u", "/mnt/file").ok().lines == ["0"]
    runtime("mounts", "remove", container, document({"destination": "/mnt"})).ok()
    assert "/mnt" not in mounts_inside(runtime, container)


def test_all_or_none(runtime, running, tmp_path, document):
    before = mounts_inside(runtime, running)
    result = runtime("mounts", "add", running, document(bind(tmp_path, "/first"), bind(tmp_path, "/proc/sys"))).fails("[1].destination")
    assert len(result.err.strip().splitlines()) == 1
    tmpfs = {"type": "tmpfs", "source": "tmpfs", "destination": "/second"}
    runtime("mounts", "add", running, document(bind(tmp_path, "/first"), {**tmpfs, "options": ["nonsense=1"]})).fails("/second", "EINVAL")
    assert mounts_inside(runtime, running) == before


@pytest.mark.parametrize("mount, text", [
    ({"destination": "/", "type": "tmpfs"}, "[0].destination"), ({"destination": "/x"}, "[0].type"),
    ({"destination": "/x", "type": "cgroup"}, "[].type"), ({"destination": "/x", "type": "bind", "source": "/nowhere", "options": ["bind"]}, "/nowhere"),
    ({"type": "tmpfs"}, "destination"),
])
def test_what_cannot_be_mounted_is_named(runtime, running, document, mount, text):
    runtime("mounts", "add", running, document(mount)).fails(text)


def test_misuse(runtime, running, bundle, document):
    runtime("mounts", "move", running, document()).fails("neither add nor rm")
    runtime("mounts", "add", "no-such-container", document()).fails("container does not exist")
    runtime("mounts", "rm", running, document({"destination": "/etc"})).fails("unmount /etc", "EINVAL")
    runtime("mounts", "rm", running, document({"destination": "/"})).fails("[0].destination")
    runtime("mounts", "add", running).fails("exactly 3")


def test_links_of_the_container_lead_nowhere(runtime, running, bundle, folder, tmp_path, document):
    """A06 and A07 once more: the container says where its own names lead, never out of it."""
    canary = Canary(str(tmp_path))
    os.symlink(canary.folder, os.path.join(bundle.rootfs, "out"))
    os.symlink("/proc/1/root", os.path.join(bundle.rootfs, "magic"))
    source = tmp_path / "source"
    source.mkdir()
    runtime("mounts", "add", running, document(bind(source, "/out/inside"))).ok()
    canary.check()
    assert f"{canary.folder}/inside" in mounts_inside(runtime, running)
    runtime("mounts", "rm", running, document({"destination": "/out/inside"})).ok()
    runtime("mounts", "add", running, document(bind(source, "/magic/x/y"))).fails("ELOOP")
    canary.check()


def test_unmounting_is_all_or_none_too_and_procfs_stays(runtime, running, tmp_path, document):
    mounted = document(bind(tmp_path, "/first"))
    runtime("mounts", "add", running, mounted).ok()
    before = mounts_inside(runtime, running)
    runtime("mounts", "rm", running, document({"destination": "/first"}, {"destination": "/bin"})).fails("unmount /bin", "no mount")
    runtime("mounts", "rm", running, document({"destination": "/nowhere"}, {"destination": "/first"})).fails("unmount /nowhere")
    for place in "/proc", "/proc/sys", "/proc/../proc/kcore":
        runtime("mounts", "rm", running, document({"destination": "/first"}, {"destination": place})).fails("[1].destination", "procfs")
    assert mounts_inside(runtime, running) == before
    runtime("mounts", "rm", running, document({"destination": "/first"})).ok()


def test_links_of_the_container_lead_to_no_mask_of_procfs(runtime, container, bundle, tmp_path, document):
    bundle.config["linux"]["maskedPaths"] = ["/proc/version"]
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    runtime("mounts", "add", container, document(bind(tmp_path, "/app/version"))).ok()
    os.rename(os.path.join(bundle.rootfs, "app"), os.path.join(bundle.rootfs, "away"))
    os.symlink("/proc", os.path.join(bundle.rootfs, "app"))
    os.symlink("/", os.path.join(bundle.rootfs, "top"))
    before = mounts_inside(runtime, container)
    assert "/proc/version" in before
    for place in "/app/version", "/top/proc", "/top/app/version":
        runtime("mounts", "rm", container, document({"destination": place})).fails(f"unmount {place}", "procfs")
    assert mounts_inside(runtime, container) == before
