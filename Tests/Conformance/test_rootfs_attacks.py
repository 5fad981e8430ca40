"""Hostile roots and configurations: rows A of docs/threat-model.md that the file system stands against."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from boxes import Box


@pytest.fixture
def box(runtime, bundle, container):
    return Box(runtime, bundle, container)


class Canary:
    """A directory and a file of the host that no container may change."""

    def __init__(self, folder):
        self.folder, self.file = folder / "host-canary.d", folder / "host-canary"
        self.folder.mkdir()
        self.file.write_text("canary")
        self.before = self.look()

    def look(self):
        return os.listdir(self.folder), os.stat(self.folder).st_mtime_ns, os.stat(self.file).st_ino, self.file.read_text()

    def is_untouched(self):
        return self.look() == self.before


@pytest.fixture
def canary(tmp_path):
    return Canary(tmp_path)


@pytest.fixture
def core_pattern():
    """The file that makes the kernel run a program of the attacker's, put back whatever happens."""
    file = Path("/proc/sys/kernel/core_pattern")
    before = file.read_text()
    yield
    after = file.read_text()
    file.write_text(before)
    assert after == before


@pytest.mark.fails("runc", "1.1.5 makes its links there")
@pytest.mark.parametrize("target", ["relative", "absolute"])
@pytest.mark.parametrize("mounted", [True, False])
def test_A08_a_dev_that_links_out_of_the_root_makes_no_node_on_the_host(box, canary, target, mounted):
    os.rmdir(os.path.join(box.root, "dev"))
    (Path(box.root) / "dev").symlink_to(canary.folder if target == "absolute" else os.path.relpath(canary.folder, box.root))
    if not mounted:
        box.without_mounts_below("/dev")
    box.run("ls -la /dev")
    assert canary.is_untouched()


@pytest.mark.parametrize("destination", ["/etc/x/y", "/etc", "/deep/../etc/file"])
def test_A17_a_mount_point_below_a_link_out_of_the_root_stays_inside(box, canary, destination):
    shutil.rmtree(os.path.join(box.root, "etc"))
    (Path(box.root) / "etc").symlink_to(canary.folder)
    box.mount(destination, "tmpfs", type="tmpfs")
    box.mount("/etc/resolv.conf", canary.file, "bind", "ro", type="bind")
    box.run("true")
    assert canary.is_untouched()


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_A07_a_root_whose_proc_or_sys_is_a_link_is_refused(box, name):
    (Path(box.root) / "elsewhere").mkdir()
    os.rmdir(os.path.join(box.root, name))
    (Path(box.root) / name).symlink_to("elsewhere")
    box.refused("/" + name)


@pytest.mark.ours
@pytest.mark.parametrize("destination", ["/proc", "/proc/sys", "/proc/self/attr", "/proc/../proc/sysrq-trigger"])
def test_A09_nothing_is_mounted_over_proc_or_inside_it(box, destination):
    box.mount(destination, "tmpfs", type="tmpfs")
    box.refused("/proc")


@pytest.mark.ours
def test_A09_a_link_into_proc_is_no_way_to_mount_inside_it(box):
    (Path(box.root) / "innocent").symlink_to("/proc/sys")
    box.mount("/innocent", "tmpfs", type="tmpfs")
    box.refused("innocent")


@pytest.mark.parametrize("name", ["kernel.core_pattern", "kernel/../kernel/core_pattern", "vm.panic_on_oom", "kernel.core_pattern/.."])
def test_A20_a_sysctl_of_the_host_is_refused(box, name, core_pattern):
    box.linux["sysctl"] = {name: "|/attack"}
    box.refused("sysctl")


@pytest.mark.parametrize("how", ["absent", "by path"])
def test_A20_a_network_sysctl_is_refused_when_the_network_is_the_hosts(box, how):
    before = Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
    box.linux["namespaces"] = [entry for entry in box.linux["namespaces"] if entry["type"] != "network"]
    if how == "by path":
        box.linux["namespaces"].append({"type": "network", "path": "/proc/self/ns/net"})
    box.linux["sysctl"] = {"net.ipv4.ip_default_ttl": "77"}
    box.refused("sysctl")
    assert Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() == before


@pytest.mark.parametrize("number", [3, 5, 7, 8, 9, 12])
def test_A02_a_working_directory_that_is_a_descriptor_of_the_runtime_is_refused(box, number):
    box.bundle.config["process"]["cwd"] = f"/proc/self/fd/{number}"
    box.refused()


@pytest.mark.ours
def test_A05_a_null_device_of_the_image_is_not_what_masks_are_made_of(box, core_pattern):
    """The image's /dev/null leads to core_pattern; with /dev from the image, a mask made of it opens that for writing. runc 1.1.5
    falls for it, to the host's harm: ours alone is tested."""
    box.without_mounts_below("/dev")
    os.rmdir(os.path.join(box.root, "dev"))
    os.mkdir(os.path.join(box.root, "dev"))
    (Path(box.root) / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
    box.run("echo attack > /proc/kcore; echo attack > /proc/keys")


@pytest.mark.ours
@pytest.mark.parametrize("links", [45, 300])
def test_A31_chains_of_links_end_in_an_error(box, links):
    for index in range(links):
        (Path(box.root) / f"l{index}").symlink_to(f"l{index + 1}")
    box.mount("/l0", "tmpfs", type="tmpfs")
    box.refused("ELOOP")


@pytest.mark.parametrize("way", ["/" + "n" * 300, "/d" * 3000])
def test_A31_long_names_and_long_ways_end_in_an_error(box, way):
    box.mount(way, "tmpfs", type="tmpfs")
    box.refused("ENAMETOOLONG")


def test_A04_A10_a_shared_directory_swapped_for_a_link_during_create_leads_nowhere_on_the_host(box, tmp_path, canary):
    """A second container that shares the volume changes the mount point while this one is being made."""
    volume = tmp_path / "volume"
    (volume / "real").mkdir(parents=True)
    os.symlink(canary.folder, volume / "link")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for old, new in [("real", "kept"), ("link", "real"), ("real", "link"), ("kept", "real")]:
                try:
                    os.rename(volume / old, volume / new)
                except OSError:
                    (volume / "real").mkdir(exist_ok=True)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        box.mount("/volume", volume, "rbind", type="bind")
        for index in range(20):
            box.mount(f"/volume/real/{index}/x", "tmpfs", type="tmpfs")
        for _ in range(20):
            box.run("true")
    finally:
        stop.set()
        swapper.join()
    assert canary.is_untouched()
