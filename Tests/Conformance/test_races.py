"""Races: another container that shares a directory exchanges names in it while this one is being made, again and again.

Five hundred times each, and a share of that with a user namespace and as an ordinary user; `make nightly` asks for ten thousand with APUS_RACES.
What is aimed at belongs to the test."""
# Rows: attacks

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from attackers import NEW_MOUNT_CALLS, Canary, Swapper, below_without
from boxes import Box

RACES = int(os.environ.get("APUS_RACES", "500"))

# How mounts are made, whose container it is, and the part of RACES that is run so. Who has fewer rights has fewer ways out.
WAYS = {
    "mounts by descriptors": ((), "root's", 1),
    "mounts by mount(2)": (NEW_MOUNT_CALLS, "root's", 1),
    "own users": ((), "root's with own users", 5),
    "own users, mounts by mount(2)": (NEW_MOUNT_CALLS, "root's with own users", 10),
    "an ordinary user": ((), "an ordinary user's", 10),
}


@pytest.fixture
def box(request, runtime, bundle, container, owner):
    if runtime.kind != "apus":
        pytest.skip("peers lose some of these races")
    lacking, part = request.param
    box = Box(runtime, bundle, container, owner)
    box.races = max(RACES // part, 10)
    # What no race is about takes half the time.
    for place in ("/sys", "/dev/mqueue", "/dev/shm"):
        box.without_mounts_below(place)
    with below_without(runtime, *lacking) if lacking else contextlib.nullcontext():
        yield box


def pytest_generate_tests(metafunc):
    ways = [((lacking, part), whose) for lacking, whose, part in WAYS.values()]
    metafunc.parametrize("box, owner", ways, ids=list(WAYS), indirect=True)


@pytest.fixture
def place(owner):
    """A directory of the container's owner, beside the root."""
    return Path(owner.folder)


@pytest.fixture
def canary(owner):
    return Canary(owner.folder, owner.root)


@pytest.fixture
def masked(box):
    """A file that every kernel has, to be hidden."""
    box.linux["maskedPaths"].append("/proc/uptime")


def swapped(*pairs):
    """The scope of a swapper, which must have been at work all the time."""
    return Swapper(*[tuple(map(str, pair)) for pair in pairs])


def test_A04_A10_a_shared_directory_swapped_for_a_link_leads_nowhere_on_the_host(box, canary, place):
    """Mounts onto directories and files that are missing, so that the runtime makes them, below one that is now a link to the canary."""
    volume = place / "volume"
    (volume / "real").mkdir(parents=True)
    os.symlink(canary.folder, volume / "link")
    box.mount("/volume", volume, "rbind", type="bind")
    for index in range(2):
        box.mount(f"/volume/real/{index}/x", "tmpfs", type="tmpfs")
        box.mount(f"/volume/real/file{index}", canary.file, "bind", "ro", type="bind")
    with swapped((volume / "real", volume / "link")) as swapper:
        _, refused = box.run_often(box.races, "true")
    assert swapper.count > box.races and refused < box.races
    canary.check()


def test_A04_a_mount_point_swapped_for_a_link_gets_its_mount_inside(box, canary, place):
    """Whatever the name leads to at the moment: what the payload writes there reaches a tmpfs, never the canary."""
    volume = place / "volume"
    (volume / "real").mkdir(parents=True)
    os.symlink(canary.folder, volume / "link")
    box.mount("/volume", volume, "rbind", type="bind")
    box.mount("/volume/real", "tmpfs", type="tmpfs")
    with swapped((volume / "real", volume / "link")):
        _, refused = box.run_often(box.races, "echo attack > /volume/real/attack; echo attack > /volume/link/attack; true")
    assert refused < box.races
    canary.check()


@pytest.mark.usefixtures("masked")
def test_A05_a_null_device_of_a_volume_swapped_for_a_link_does_not_become_a_mask(box, place):
    """/dev is a volume: nothing that is written to a masked file arrives at the decoy."""
    box.without_mounts_below("/dev")
    os.mknod(place / "null", 0o020666, os.makedev(1, 3))
    (place / "link").symlink_to("/decoy")
    box.mount("/dev", place, "rbind", type="bind")
    box.bundle.file("/decoy", "decoy", 0o666)
    with swapped((place / "null", place / "link")):
        lines, refused = box.run_often(box.races, "stat -c %t:%T /proc/uptime; echo attack > /proc/uptime")
    assert (set(lines), len(lines), refused) == ({"1:3"}, box.races, 0)
    with open(os.path.join(box.root, "decoy"), encoding="utf-8") as file:
        assert file.read() == "decoy"


def test_A06_a_console_swapped_for_a_link_does_not_get_the_terminal_elsewhere(box):
    """The terminal is bound onto /dev/console or the container does not start: never onto a file of procfs."""
    box.without_mounts_below("/dev/null")
    box.bundle.config["mounts"] = [entry for entry in box.bundle.config["mounts"] if entry["destination"] != "/dev"]
    console, link = os.path.join(box.root, "dev/console"), os.path.join(box.root, "dev/link")
    os.makedirs(os.path.join(box.root, "dev/pts"))
    with open(console, "w", encoding="utf-8"):
        pass
    os.symlink("/proc/self/attr/exec" if os.path.exists("/proc/self/attr/exec") else "/proc/sys/kernel/domainname", link)
    box.bundle.config["process"]["terminal"] = True
    script = "while read -r _ _ _ _ place _ rest; do case $rest in *'- devpts '*) echo $place;; esac; done < /proc/self/mountinfo"
    with swapped((console, link)):
        lines, refused = box.run_often(box.races, script)
    places = {line.strip() for line in lines}
    # The mount goes along with the file that it lies on, whatever name that has by now.
    assert places <= {"/dev/pts", "/dev/console", "/dev/link"} and "/dev/pts" in places, places
    assert refused < box.races


@pytest.mark.usefixtures("masked")
def test_A07_a_proc_swapped_for_a_link_gets_no_setting_that_is_meant_for_the_kernel(box):
    """The decoy has the files that settings, masks and scores are written to; none of them is ever touched."""
    decoy = os.path.join(box.root, "decoy")
    for name in ("sys/net/ipv4/ip_default_ttl", "self/oom_score_adj", "self/attr/exec", "uptime", "sysrq-trigger"):
        box.bundle.file(f"/decoy/{name}", "decoy", 0o666)
    before = {path: os.stat(path).st_mtime_ns for path, _, _ in os.walk(decoy)}
    os.symlink("/decoy", os.path.join(box.root, "link"))
    box.linux["sysctl"] = {"net.ipv4.ip_default_ttl": "77"}
    box.bundle.config["process"]["oomScoreAdj"] = 500
    with swapped((os.path.join(box.root, "proc"), os.path.join(box.root, "link"))):
        # Where the kernel's procfs is seen, it has the setting, and what is to be hidden in it is hidden.
        script = ("for p in /proc /link; do cd $p && [ -e self/stat ] && cat sys/net/ipv4/ip_default_ttl self/oom_score_adj && "
                  "stat -c %t:%T uptime && break; done 2> /dev/null; true")
        lines, refused = box.run_often(box.races, script)
    assert set(lines) <= {"77", "500", "1:3"} and refused < box.races, set(lines)
    for folder, _, names in os.walk(decoy):
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                assert file.read() == "decoy", name
    assert {path: os.stat(path).st_mtime_ns for path, _, _ in os.walk(decoy)} == before


@pytest.mark.parametrize("name", ["shm", "mqueue", "cache"])
def test_A28_a_tmpfs_swapped_for_a_link_to_the_host_lies_in_the_root(box, canary, name):
    """/dev and what is in it come from the image here; directories to mount on are made below the one that is swapped, and what the
    cache begins with is copied from its place."""
    with open(os.path.join(canary.folder, "secret"), "w", encoding="utf-8") as file:
        file.write("secret")
    canary.before = canary.look()
    box.without_mounts_below("/dev")
    shutil.rmtree(os.path.join(box.root, "dev"))
    place, link = os.path.join(box.root, "dev", name), os.path.join(box.root, "dev/link")
    os.makedirs(place)
    os.symlink(canary.folder, link)
    kind = {"shm": "tmpfs", "mqueue": "mqueue", "cache": "tmpfs"}[name]
    box.mount(f"/dev/{name}", kind, "nosuid", *(["tmpcopyup"] if name == "cache" else []), type=kind)
    box.mount(f"/dev/{name}/below/it" if kind == "tmpfs" else "/dev/other", "tmpfs", type="tmpfs")
    with swapped((place, link)):
        lines, refused = box.run_often(
            box.races, f"echo attack > /dev/{name}/attack; echo attack > /dev/link/attack; cat /dev/{name}/secret /dev/link/secret; true")
    assert lines == [] and refused < box.races
    canary.check()
