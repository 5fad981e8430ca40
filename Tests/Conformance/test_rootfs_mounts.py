"""The container's file system as its payload sees it. - Spec: runtime-spec, config.md "Mounts", config-linux.md."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from claims import spec
from boxes import Box


@pytest.fixture
def box(runtime, bundle, container):
    return Box(runtime, bundle, container)


def table(text):
    """Mount points and their options, as the last mount of each has them."""
    return {line.split()[2]: (line.split()[4], line.split("(")[1].rstrip(")").split(",")) for line in text.splitlines() if " on " in line}


def test_default_file_systems_are_mounted_with_their_options(box):
    mounts = table(box.output("mount"))
    assert mounts["/proc"][0] == "proc"
    assert mounts["/dev"][0] == "tmpfs" and {"nosuid", "mode=755", "size=65536k"} <= set(mounts["/dev"][1])
    assert mounts["/dev/pts"][0] == "devpts" and {"mode=620", "ptmxmode=666"} <= set(mounts["/dev/pts"][1])
    assert mounts["/dev/shm"][0] == "tmpfs" and {"nosuid", "noexec", "nodev"} <= set(mounts["/dev/shm"][1])
    assert mounts["/dev/mqueue"][0] == "mqueue"
    assert mounts["/sys"][0] == "sysfs" and "ro" in mounts["/sys"][1]


def test_the_layers_of_an_overlay_may_have_long_names(box, tmp_path):
    """As builders of images write them; fsconfig(2) takes 255 bytes, and mount(2) a page."""
    layers = [tmp_path / f"{number}-{'long' * 30}" for number in range(3)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / f"file{number}").write_text(str(number))
    for name in ("upper", "work"):
        (tmp_path / name).mkdir()
    options = [f"lowerdir={':'.join(map(str, layers))}", f"upperdir={tmp_path}/upper", f"workdir={tmp_path}/work", "nodev", "nosuid", "noatime"]
    box.mount("/layers/inner", "overlay", *options, type="overlay")
    box.mount("/layers/none", "n" * 300, "ro", "size=64k", type="tmpfs")
    lines = box.output("cat /layers/inner/file*; echo; echo x > /layers/inner/new; pwd; touch /layers/none/x 2>/dev/null || echo refused; mount").splitlines()
    assert lines[:3] == ["012", "/", "refused"]
    mounts = table("\n".join(lines))
    assert mounts["/layers/inner"][0] == "overlay" and {"nodev", "nosuid", "noatime", "rw"} <= set(mounts["/layers/inner"][1])
    assert not any(place.endswith("/mount") or mounts[place][1] == ["mode=700"] for place in mounts)
    assert (tmp_path / "upper/new").read_text() == "x\n"


def test_options_that_no_kernel_takes_are_refused_by_their_length(box):
    box.mount("/layers", "overlay", f"lowerdir={'/x' * 2500}", type="overlay")
    box.refused("longer than 4095 bytes")


@pytest.mark.parametrize("options, text", [
    ([f"lowerdir=/{'x' * 300}:relative"], "lowerdir has a relative path"), ([f"lowerdir=/{'x' * 300}", "upperdir=up"], "upperdir has a relative path"),
    ([f"lowerdir=/{'x' * 300},y"], "lowerdir has a comma")])
def test_long_options_that_would_be_misread_are_refused_by_their_name(box, options, text):
    box.mount("/layers", "overlay", *options, type="overlay")
    box.refused(text)


@spec("runtime-linux.md#runtimeLinuxDevSymbolicLinks", "runtimes MUST create the following symlinks")
@spec("config-linux.md#configLinuxDefaultDevices", "the runtime MUST also supply")
def test_default_devices_and_links_exist(box):
    text = box.output("cd /dev; stat -c '%n %F %t:%T %a' null zero full random urandom tty; for l in ptmx fd stdin stdout stderr; do readlink $l; done")
    for name, number in [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0")]:
        assert f"{name} character special file {number} 666" in text
    assert text.splitlines()[-5:] == ["pts/ptmx", "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"]


@spec("config-linux.md#configLinuxDevices", "lists devices that MUST be available")
def test_configured_devices_have_their_mode_and_owner(box):
    box.linux["devices"] = [
        {"path": "/dev/sub/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o622},
        {"path": "/dev/disk", "type": "b", "major": 7, "minor": 300, "fileMode": 0o660, "gid": 6},
        {"path": "/dev/unbuffered", "type": "u", "major": 1, "minor": 7, "fileMode": 0o600},
    ]
    text = box.output("stat -c '%n %F %t:%T %a %u:%g' /dev/sub/fuse /dev/disk /dev/unbuffered; stat -c '%n %F %a' /dev/pipe")
    assert "/dev/sub/fuse character special file a:e5 640 3:4" in text
    assert "/dev/pipe fifo 622" in text
    assert "/dev/disk block special file 7:12c 660 0:6" in text
    assert "/dev/unbuffered character special file 1:7 600 0:0" in text


@pytest.mark.parametrize("kind, options, denied", [
    ("directory", ["bind", "ro"], True), ("directory", ["rbind", "rro"], True), ("directory", ["bind", "rw"], False),
    ("file", ["bind", "ro"], True), ("file", ["bind"], False),
])
def test_bind_mounts_of_files_and_directories_make_their_mount_points(box, tmp_path, kind, options, denied):
    source = tmp_path / "source"
    if kind == "directory":
        source.mkdir()
        (source / "inside").write_text("content")
    else:
        source.write_text("content")
    box.mount("/made/here", source, *options, type="bind")
    path = "/made/here/inside" if kind == "directory" else "/made/here"
    done = box.run(f"cat {path}; echo more >> {path}")
    assert done.out.startswith("content")
    assert ("Read-only" in done.err) == denied
    written = (source / "inside" if kind == "directory" else source).read_text()
    assert (written == "content") == denied


def test_recursive_read_only_reaches_the_mounts_below_a_bind(box, mounted):
    for place, option in [("/plain", "ro"), ("/whole", "rro")]:
        box.mount(place, mounted, "rbind", option, type="bind")
    done = box.run("touch /plain/x /plain/below/x /whole/x /whole/below/x; busybox find /plain/below /whole/below -name x")
    assert done.out.split() == ["/plain/below/x", "/whole/below/x"]
    assert done.err.count("Read-only") == 3 and "/plain/below/x" not in done.err


@pytest.fixture
def mounted(tmp_path):
    """A directory with a tmpfs mounted below it."""
    below = tmp_path / "tree/below"
    below.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", below], check=True)
    yield tmp_path / "tree"
    subprocess.run(["umount", below], check=True)


def test_a_read_only_tmpfs_has_the_mount_points_of_later_mounts(box, tmp_path):
    box.mount("/ro", "tmpfs", "ro", "size=1m", type="tmpfs")
    box.mount("/ro/in", tmp_path, "bind", type="bind")
    done = box.run("ls /ro; touch /ro/x")
    assert done.out.split() == ["in"] and "Read-only" in done.err


def test_a_tmpfs_takes_the_mode_of_the_directory_it_covers(box):
    (Path(box.root) / "keep").mkdir(mode=0o700)
    box.mount("/keep", "tmpfs", type="tmpfs")
    box.mount("/new", "tmpfs", type="tmpfs")
    assert box.output("stat -c %a /keep /new").split() == ["700", "1777"]


def test_masked_paths_are_empty_and_read_only_paths_cannot_be_written(box):
    done = box.run("cat /proc/timer_list /proc/keys | wc -c; ls -A /sys/firmware /proc/acpi | grep -v :; "
                      "for f in /proc/sys/kernel/hostname /proc/fs/x; do echo x > $f; done; echo end")
    assert done.out.split() == ["0", "end"]
    assert done.err.count("Read-only file system") >= 1 and "hostname: Read-only" in done.err


def test_a_masked_path_that_does_not_exist_is_no_error(box):
    box.linux["maskedPaths"] += ["/proc/no-such-file", "/none/at/all"]
    box.linux["readonlyPaths"] += ["/proc/no-such-file"]
    assert box.output("echo fine") == "fine\n"


@spec("config.md#configRoot", "If true then the root filesystem MUST be read-only")
def test_a_read_only_root_is_read_only_and_its_mounts_are_not(box):
    box.bundle.config["root"]["readonly"] = True
    done = box.run("touch /x; touch /dev/shm/y && echo written")
    assert "Read-only" in done.err and done.out == "written\n"


def test_nothing_of_the_hosts_tree_stays_mounted_in_the_container(box):
    points = [line.split()[4] for line in box.output("cat /proc/self/mountinfo").splitlines()]
    wanted = {"/", "/proc", "/dev", "/sys"}
    assert wanted <= set(points) and all(point == "/" or point.split("/")[1] in ("proc", "dev", "sys") for point in points)


def test_mounts_made_by_the_runtime_do_not_reach_the_host(box):
    before = Path("/proc/self/mountinfo").read_text()
    box.output("true")
    assert Path("/proc/self/mountinfo").read_text() == before


@pytest.mark.parametrize("propagation, marker", [
    ("private", None), ("slave", None),
    ("shared", "shared:"),
    ("unbindable", "unbindable"),
])
def test_rootfs_propagation_of_all_four_kinds(box, propagation, marker):
    box.linux["rootfsPropagation"] = propagation
    lines = [line for line in box.output("cat /proc/self/mountinfo").splitlines() if line.split()[4] == "/"]
    optional = lines[-1].split(" - ")[0].split()[6:]
    assert any(field.startswith(marker) for field in optional) if marker else not any(f.startswith("shared") for f in optional)


def test_cgroups_are_laid_out_as_on_the_host_and_read_only(box):
    names = box.output("ls /sys/fs/cgroup; touch /sys/fs/cgroup/x || true").split()
    if (Path("/sys/fs/cgroup") / "cgroup.controllers").exists():
        assert "cgroup.controllers" in names
    else:
        host = {line.split()[4].rsplit("/", 1)[1] for line in Path("/proc/self/mountinfo").read_text().splitlines()
                if line.split(" - ")[1].startswith("cgroup ")}
        assert host <= set(names)


def test_sysctls_of_the_containers_namespaces_are_set(box):
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "net.ipv4.ping_group_range": "0 1000", "kernel.msgmax": "9999"}
    before = Path("/proc/sys/kernel/msgmax").read_text()
    text = box.output("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/msgmax")
    assert text.split() == ["1", "0", "1000", "9999"]
    assert Path("/proc/sys/kernel/msgmax").read_text() == before


def test_the_working_directory_is_made_where_it_is_missing(box):
    box.bundle.config["process"]["cwd"] = "/made/for/it"
    assert box.output("pwd") == "/made/for/it\n"
    assert stat.S_IMODE(os.stat(Path(box.root) / "made/for").st_mode) == 0o755


@pytest.mark.ours
@pytest.mark.parametrize("entry, words", [
    ({"destination": "/t", "type": "tmpfs", "source": "t", "options": ["sise=1k"]}, ["mount tmpfs onto /t", "EINVAL (22)", "sise=1k"]),
    ({"destination": "/t", "type": "nosuchfs", "source": "t"}, ["mount nosuchfs onto /t", "ENODEV (19)"]),
    ({"destination": "/t", "type": "bind", "source": "/no/such/source", "options": ["bind"]},
     ["bind /no/such/source onto /t", "ENOENT (2)"]),
    ({"destination": "/etc", "type": "none", "options": ["remount", "ro"]}, ["remount /etc", "EINVAL (22)"]),
    ({"destination": "/dev", "type": "none", "options": ["remount", "size=1k"]}, ["'size'", "remount"]),
    ({"destination": "/t", "type": "none", "source": "/tmp", "options": ["bind", "roo"]}, ["'roo'", "not supported for a bind mount"]),
])
def test_a_mount_that_fails_names_step_subject_and_errno(box, entry, words):
    box.bundle.config["mounts"].append(entry)
    box.refused(*words)


@pytest.mark.ours
@pytest.mark.parametrize("path", ["/", "/etc/..", "/up"])
def test_a_root_among_the_read_only_paths_is_read_only(runtime, bundle, container, path):
    os.symlink("/", os.path.join(bundle.rootfs, "up"))
    bundle.write("touch /x; touch /dev/shm/x && echo written", linux={"readonlyPaths": [path], "maskedPaths": ["/etc"]})
    result = runtime("run", "-b", bundle.path, container).ok()
    assert "Read-only file system" in result.err and result.out == "written\n"


@pytest.mark.ours
@pytest.mark.parametrize("path", ["/", "/etc/..", "/up"])
def test_a_root_among_the_masked_paths_is_refused_by_name(runtime, bundle, container, path):
    os.symlink("/", os.path.join(bundle.rootfs, "up"))
    bundle.write(["true"], linux={"maskedPaths": [path]})
    runtime("run", "-b", bundle.path, container).fails(f"linux.maskedPaths: mask {path}: EINVAL (22), verify: the root itself cannot be hidden")


@pytest.mark.ours
def test_the_way_to_the_root_is_cleaned_as_runcs(runtime, bundle, container):
    bundle.write(["echo", "inside"], root={"path": "./none/../rootfs/."})
    assert runtime("run", "-b", bundle.path, container).ok().out == "inside\n"
