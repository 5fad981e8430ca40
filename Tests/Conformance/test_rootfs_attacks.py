"""Hostile roots and mounts: rows of the attack list that the file system stands against. Races are in test_races.py. What an attack
aims at belongs to the test: were it to work, the machine would be none the worse."""
# Rows: attacks

import contextlib
import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest
from attackers import NEW_MOUNT_CALLS, Canary, trace, without
from boxes import Box
from consoles import ConsoleSocket
from ordinary import everywhere
from processes import held_in_one_of_several_rounds


@pytest.fixture
def box(runtime, bundle, container, owner):
    return Box(runtime, bundle, container, owner)


@pytest.fixture
def canary(owner):
    return Canary(owner.folder, owner.root)


@pytest.mark.ours
@pytest.mark.parametrize("target", ["relative", "absolute", "far up"])
@pytest.mark.parametrize("name", ["dev", "dev/pts", "dev/shm"])
@pytest.mark.parametrize("mounted", [True, False])
def test_A08_a_dev_that_links_out_of_the_root_makes_no_node_on_the_host(box, canary, target, name, mounted):
    links = {"relative": os.path.relpath(canary.folder, os.path.dirname(os.path.join(box.root, name))), "absolute": canary.folder,
             "far up": "../" * 30 + canary.folder.lstrip("/")}
    if name == "dev":
        os.rmdir(os.path.join(box.root, "dev"))
    os.symlink(links[target], os.path.join(box.root, name))
    if not mounted:
        box.without_mounts_below("/dev")
    box.linux["devices"] = [{"path": "/dev/extra", "type": "c", "major": 1, "minor": 3}, {"path": "/dev/pts/extra", "type": "p"}]
    box.run("ls -la /dev")
    canary.check()


@pytest.mark.parametrize("destination", ["/etc/x/y", "/etc", "/deep/../etc/file"])
@everywhere
def test_A17_a_mount_point_below_a_link_out_of_the_root_stays_inside(box, canary, destination):
    shutil.rmtree(os.path.join(box.root, "etc"))
    (Path(box.root) / "etc").symlink_to(canary.folder)
    box.mount(destination, "tmpfs", type="tmpfs")
    box.mount("/etc/resolv.conf", canary.file, "bind", "ro", type="bind")
    box.run("true")
    canary.check()


@pytest.mark.parametrize("name", ["proc", "sys"])
@everywhere
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
@everywhere
def test_A09_a_link_into_proc_is_no_way_to_mount_inside_it(box):
    (Path(box.root) / "innocent").symlink_to("/proc/sys")
    box.mount("/innocent", "tmpfs", type="tmpfs")
    box.refused("innocent")


@pytest.mark.ours
@pytest.mark.parametrize("decoy", ["/decoy", "/proc/sys/kernel/domainname"])
@everywhere
def test_A05_a_null_device_of_a_volume_is_not_what_masks_are_made_of(box, owner, decoy):
    """/dev is a volume, and its null leads to a file, or to a setting of the container's own that it may not write: a mask made of
    that could be written through. runc 1.1.5 falls for it (CVE-2025-31133)."""
    box.without_mounts_below("/dev")
    volume = Path(owner.folder)
    (volume / "null").symlink_to(decoy)
    box.mount("/dev", volume, "rbind", type="bind")
    box.bundle.file("/decoy", "decoy\n", 0o666)
    box.linux["maskedPaths"] += ["/proc/uptime", "/proc/version"]
    lines = box.output(f"before=$(cat {decoy}); for f in /proc/uptime /proc/version; do stat -c %t:%T $f; echo attack > $f; done; "
                       f"[ \"$(cat {decoy})\" = \"$before\" ] && echo same").split()
    assert lines == ["1:3", "1:3", "same"]


def refused_soon(box, *texts, **popen):
    def attempt():
        box.refused(*texts, **popen)

    held_in_one_of_several_rounds(attempt, 10, "a way like that is refused")


@pytest.mark.ours
@pytest.mark.parametrize("lacking", [(), ("openat2",)], ids=["openat2", "without openat2"])
@pytest.mark.parametrize("links", [45, 300, 10_000])
def test_A31_chains_of_links_end_in_an_error(box, links, lacking):
    for index in range(links):
        os.symlink(f"l{index + 1}", os.path.join(box.root, f"l{index}"))
    box.mount("/l0", "tmpfs", type="tmpfs")
    refused_soon(box, "ELOOP", preexec_fn=without(*lacking))


@pytest.mark.ours
@pytest.mark.parametrize("lacking", [(), ("openat2",)], ids=["openat2", "without openat2"])
def test_A31_links_that_lead_through_ever_more_names_end_in_an_error(box, lacking):
    """Thirty links, each of which goes through the one before it many times over: the names of the whole way are beyond counting."""
    (Path(box.root) / "l0").symlink_to("/".join(["."] * 100))
    for index in range(30):
        (Path(box.root) / f"l{index + 1}").symlink_to("/".join([f"l{index}"] * 40))
    box.mount("/l30/x", "tmpfs", type="tmpfs")
    refused_soon(box, preexec_fn=without(*lacking))


@pytest.mark.parametrize("way", ["/" + "n" * 300, "/" + "n" * 4096, "/d" * 3000])
def test_A31_long_names_and_long_ways_end_in_an_error(box, way):
    box.mount(way, "tmpfs", type="tmpfs")
    refused_soon(box, "ENAMETOOLONG")


@pytest.mark.ours
@pytest.mark.parametrize("lacking", [(), ("openat2",)], ids=["openat2", "without openat2"])
@pytest.mark.parametrize("target", ["/nowhere/at/all", "../../nowhere", "/host-canary.d/x", "itself"])
def test_A31_a_link_to_nothing_leads_to_nothing_outside(box, canary, target, lacking):
    target = target.replace("/host-canary.d", canary.folder).replace("itself", "/link")
    (Path(box.root) / "link").symlink_to(target)
    box.mount("/link", "tmpfs", type="tmpfs")

    def attempt():
        box.run("true", preexec_fn=without(*lacking))

    held_in_one_of_several_rounds(attempt, 10, "a link like that is followed to its end")
    canary.check()


@contextlib.contextmanager
def host_with(runtime, script):
    """While it lasts, commands begin in a mount namespace of their own, where the host's file systems are what an attack needs them to be."""
    before = runtime.prefix
    runtime.prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'set -e; {script}; exec "$@"', "sh", *before]
    try:
        yield
    finally:
        runtime.prefix = before


FLAGS = ("ro", "nosuid", "nodev", "noexec")


# What mountinfo says of the volume, before and after the container tries to have it all.
LOOK = "while read -r _ _ _ _ place options _; do [ $place = /volume ] && echo $options; done < /proc/self/mountinfo; true"
TAKE = f"{LOOK}; mount -o remount,bind,rw,suid,dev,exec /volume 2>/dev/null; echo attack 2>/dev/null > /volume/attack; {LOOK}"


@pytest.fixture
def restricted(runtime, box, owner):
    """A directory of the host that is a mount with restrictions; the container may do everything in its own user namespace."""
    volume = os.path.join(owner.folder, "volume")
    os.mkdir(volume)
    box.bundle.config["process"]["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    script = f"mount -t tmpfs -o {','.join(FLAGS)},mode=777 canary {volume}"
    with host_with(runtime, script):
        yield volume


def has_all(options):
    return not set(FLAGS) - set(options.split(","))


@everywhere
@pytest.mark.parametrize("lacking", [(), NEW_MOUNT_CALLS], ids=["mounts by descriptors", "mounts by mount(2)"])
def test_A29_restrictions_of_a_mount_of_the_host_are_kept(box, owner, restricted, lacking):
    """Read-only and without devices: so it stays although nobody says so, and in a user namespace whatever its root tries."""
    box.mount("/volume", restricted, "rbind", type="bind")
    lines = box.run(LOOK if owner.whose == "root's" else TAKE, preexec_fn=without(*lacking)).out.split()
    assert len(lines) == (1 if owner.whose == "root's" else 2) and all(map(has_all, lines)), lines


@pytest.mark.ours
@everywhere
@pytest.mark.parametrize("lacking", [(), NEW_MOUNT_CALLS], ids=["mounts by descriptors", "mounts by mount(2)"])
@pytest.mark.parametrize("options", [["rbind"], ["bind", "rprivate"]], ids="/".join)
def test_A29_a_user_namespaces_mounts_have_no_options_that_the_host_forbids(box, owner, restricted, options, lacking):
    """Without one, who writes the configuration is the machine's root and gets what it says."""
    box.mount("/volume", restricted, *options, "rw", "suid", "dev", "exec", type="bind")
    if owner.whose == "root's":
        assert box.run(LOOK, preexec_fn=without(*lacking)).ok().out.split() == ["rw,relatime"]
    else:
        box.refused(f"mounts[{len(box.bundle.config['mounts']) - 1}]: bind", "onto /volume: EPERM", preexec_fn=without(*lacking))


@pytest.mark.ours
@everywhere
def test_A29_restrictions_of_what_is_mounted_below_are_kept_too(runtime, box, owner):
    volume = os.path.join(owner.folder, "volume")
    os.mkdir(volume)
    box.bundle.config["process"]["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    box.mount("/volume", volume, "rbind", type="bind")
    script = f"mount -t tmpfs upper {volume}; mkdir {volume}/below; mount -t tmpfs -o {','.join(FLAGS)},mode=777 canary {volume}/below"
    look, take = (text.replace("/volume", "/volume/below") for text in (LOOK, TAKE))
    with host_with(runtime, script):
        lines = box.run(look if owner.whose == "root's" else take).out.split()
    assert len(lines) == (1 if owner.whose == "root's" else 2) and all(map(has_all, lines)), lines


@pytest.mark.ours
@pytest.mark.parametrize("owner", ["root's with own users"], indirect=True)
def test_A29_restrictions_of_a_mount_whose_owners_are_mapped_are_kept(box, owner, restricted):
    box.mount("/volume", restricted, "rbind", "idmap", type="bind")
    lines = box.run(f"stat -c %u /volume; {TAKE}").ok().out.split()
    assert lines[0] == "0" and len(lines) == 3 and all(map(has_all, lines[1:])), lines


@pytest.mark.ours
@pytest.mark.parametrize("owner", ["root's with own users"], indirect=True)
@pytest.mark.parametrize("options", [["bind"], ["bind", "slave"], ["bind", "shared"], ["bind", "idmap"]], ids="/".join)
def test_A29_restrictions_of_a_mount_without_what_is_mounted_inside_it_are_kept(runtime, box, owner, options):
    """The kernel copies no such mount, for what it hides would come to light: nor does it here."""
    volume = os.path.join(owner.folder, "volume")
    os.mkdir(volume)
    box.bundle.config["process"]["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    box.mount("/volume", volume, *options, type="bind")
    script = (f"mount -t tmpfs -o nosuid,nodev,noexec,mode=777 upper {volume}; mkdir {volume}/below; mount -t tmpfs lower {volume}/below; "
              f"touch {volume}/below/hidden; mount -o remount,bind,{','.join(FLAGS)} {volume}")
    with host_with(runtime, script):
        lines = box.run(f"ls -A /volume /volume/below; {TAKE}").ok().out.split()
    assert lines[:3] == ["/volume:", "below", "/volume/below:"] and len(lines) == 5 and all(map(has_all, lines[3:])), lines


@pytest.mark.ours
@pytest.mark.parametrize("owner", ["root's with own users"], indirect=True)
@pytest.mark.parametrize("source", ["mount", "namespace"])
def test_what_the_kernel_copies_for_no_user_namespace_is_bound_as_before(runtime, box, owner, source):
    """A restricted mount without what is mounted in it, under which something would come to light; and a file of nsfs."""
    volume = os.path.join(owner.folder, "volume")
    os.mkdir(volume)
    box.mount("/volume", volume if source == "mount" else "/proc/self/ns/net", "bind", type="bind")
    script = f"mount -t tmpfs -o nosuid,nodev,noexec,mode=777 upper {volume}; mkdir {volume}/below; mount -t tmpfs lower {volume}/below; touch {volume}/file"
    with host_with(runtime, script):
        found = box.run("ls -d /volume/* 2>/dev/null || stat -f -c %t /volume").ok().out.split()
    assert found == (["/volume/below", "/volume/file"] if source == "mount" else ["6e736673"])


@pytest.mark.ours
@pytest.mark.parametrize("owner", ["root's with own users"], indirect=True)
def test_the_hosts_mounts_are_copied_and_read_once_for_all_that_is_restricted(runtime, box, owner, restricted):
    """There may be thousands."""
    for name in "abc":
        box.mount(f"/{name}", restricted, "bind", type="bind")
        box.mount(f"/{name}-below", owner.folder, "rbind", type="bind")
    box.write("true")
    calls = trace(runtime, owner.folder, "run", "-b", box.bundle.path, box.name, calls="openat,open_tree")
    opened = [call for call in calls if call.name == "open_tree" and f'"{owner.folder}' in call.arguments]
    # Each among the host's mounts, and among those of the copy.
    assert len(opened) == 12, opened
    meanwhile = [call.arguments for call in calls[calls.index(opened[0]):calls.index(opened[-1])] if call.process == opened[0].process]
    for what in (r"/proc/[0-9]+/ns/mnt", "/proc/self/mountinfo"):
        assert len([words for words in meanwhile if re.search(f'"{what}"', words)]) == 1, meanwhile


@pytest.mark.ours
@pytest.mark.parametrize("owner", ["root's with own users"], indirect=True)
def test_the_first_error_stays_the_first_where_the_way_back_to_the_hosts_mounts_fails(runtime, box, owner, restricted):
    box.mount("/volume", restricted, "bind", type="bind")
    box.write("true")
    run = ("run", "-b", box.bundle.path, box.name)
    calls = trace(runtime, owner.folder, *run, calls="open_tree,setns")
    opened = [call for call in calls if call.name == "open_tree" and f'"{restricted}"' in call.arguments]
    ours = [call for call in calls if call.process == opened[0].process]
    # Among the host's mounts, then among the copies; then the way back.
    tree, back = (1 + [call for call in ours if call.name == name].index(wanted) for name, wanted in [
        ("open_tree", opened[1]), ("setns", next(call for call in ours[ours.index(opened[1]):] if call.name == "setns"))])
    with runtime.below("strace", "-qq", "-o", os.path.join(owner.folder, "trace"), "-e", "trace=open_tree,setns",
                       "-e", f"inject=open_tree:error=EIO:when={tree}", "-e", f"inject=setns:error=EACCES:when={back}"):
        refused = runtime(*run).fails("open_tree", "EIO", "; then going back to the runtime's own mounts: setns", "EACCES").message
    assert refused.index("EIO") < refused.index("EACCES"), refused


@pytest.mark.ours
@pytest.mark.parametrize("owner", ["root's with own users"], indirect=True)
def test_A29_restrictions_of_a_mount_that_is_added_later_are_kept(runtime, box, bundle, container, owner):
    """By `mounts add`, whose runtime opens it among the host's mounts."""
    box.bundle.config["process"]["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    volume, document = os.path.join(owner.folder, "volume"), Path(owner.folder) / "mounts.json"
    os.mkdir(volume)
    document.write_text(json.dumps([{"destination": "/volume", "type": "bind", "source": volume, "options": ["rbind"]}]))
    box.write("exec sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    with host_with(runtime, f"mount -t tmpfs -o {','.join(FLAGS)},mode=777 canary {volume}"):
        runtime("mounts", "add", container, str(document)).ok()
    lines = runtime("exec", "--cap", "CAP_SYS_ADMIN", container, "sh", "-c", TAKE).ok().out.split()
    assert len(lines) == 2 and all(map(has_all, lines)), lines


@pytest.mark.ours
def test_A29_a_recursively_read_only_bind_is_read_only_all_the_way_down(runtime, box, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    box.mount("/volume", volume, "rbind", "rro", type="bind")
    with host_with(runtime, f"mount -t tmpfs upper {volume}; mkdir {volume}/below; mount -t tmpfs lower {volume}/below"):
        assert box.output("touch /volume/x /volume/below/y 2>/dev/null; ls /volume /volume/below | grep -c '[xy]$'; true").strip() == "0"


@pytest.mark.parametrize("options", [["rbind", "rprivate"], ["rbind"], ["rbind", "rslave"]])
@pytest.mark.parametrize("propagation", ["private", "slave", ""])
def test_A30_what_a_container_mounts_stays_in_it_although_the_hosts_mounts_are_shared(runtime, box, tmp_path, options, propagation):
    volume = tmp_path / "volume"
    (volume / "inner").mkdir(parents=True)
    box.mount("/volume", volume, *options, type="bind")
    if propagation and runtime.kind != "apus":
        pytest.skip("peers take the word for the topmost mount alone")
    if propagation:
        box.linux["rootfsPropagation"] = propagation
    for sets in box.bundle.config["process"]["capabilities"].values():
        sets.append("CAP_SYS_ADMIN")
    script = 'mount -t tmpfs host "$0"; mkdir "$0"/inner; "$@"; grep -c "$0" /proc/self/mountinfo'
    with runtime.below("unshare", "--mount", "--propagation", "shared", "sh", "-c", script, str(volume)):
        done = box.run("mount -t tmpfs attack /volume/inner && echo mounted; mount --make-rshared / 2>/dev/null; mkdir -p /x; mount -t tmpfs attack /x")
    assert done.out.split() == ["mounted", "1"], done.out + done.err


@pytest.mark.parametrize("word, here", [("rshared", "2"), ("shared", "2"), ("rslave", "1"), ("rprivate", "1")])
def test_what_is_mounted_in_a_shared_bind_appears_on_the_host_and_in_no_other(runtime, box, tmp_path, word, here):
    """As storage drivers count on (Bidirectional of Kubernetes), whatever the binds beside it are; and the other way round."""
    volumes = [tmp_path / "first", tmp_path / "second"]
    for volume in volumes:
        (volume / "inner").mkdir(parents=True)
    box.mount("/first", volumes[0], "rbind", word, type="bind")
    box.mount("/second", volumes[1], "rbind", "rprivate", type="bind")
    box.linux["rootfsPropagation"] = "rshared"
    for sets in box.bundle.config["process"]["capabilities"].values():
        sets.append("CAP_SYS_ADMIN")
    prepare = 'for place; do mount -t tmpfs host "$place"; mkdir "$place"/inner; done'
    count = 'for place in "$first" "$second"; do grep -c "$place" /proc/self/mountinfo; done'
    script = f'first=$1 second=$2; shift 2; ( set -- "$first" "$second"; {prepare} ); "$@"; {count}'
    with runtime.below("unshare", "--mount", "--propagation", "shared", "sh", "-c", script, "sh", *map(str, volumes)):
        done = box.run("for place in first second; do mount -t tmpfs inside /$place/inner && echo mounted; done")
    assert done.out.split() == ["mounted", "mounted", here, "1"], done.out + done.err


@pytest.mark.parametrize("inside", ["", "/below"], ids=["in-it", "in-a-mount-inside"])
@pytest.mark.parametrize("way", ["/volume", "/link", "/volume/link"], ids=["its-name", "a-link-of-the-image", "a-link-of-the-volume"])
def test_what_the_runtime_mounts_in_a_shared_bind_stays_the_containers(runtime, box, tmp_path, way, inside):
    """The host would get it too, and keep it: a mask over its own files, as with -v /sys:/sys:rshared."""
    for folder in ("below", "volume"):
        for name in ("nested", "masked", "readonly"):
            (tmp_path / folder / name).mkdir(parents=True)
    (tmp_path / "volume" / "below").mkdir()
    for link in (tmp_path / "volume" / "link", Path(box.root) / "link"):
        link.symlink_to("/volume")
    box.mount("/volume", tmp_path / "volume", "rbind", "rshared", type="bind")
    box.mount(f"{way}{inside}/nested", "tmpfs", type="tmpfs")
    box.linux.update(rootfsPropagation="rshared", maskedPaths=[f"{way}{inside}/masked"], readonlyPaths=[f"{way}{inside}/readonly"])
    script = """volume=$1 below=$2; shift 2; mount --bind "$volume" "$volume"
                mount --make-private "$volume"; mount --make-shared "$volume"; mount --bind "$below" "$volume"/below; "$@"
                grep -c " $volume" /proc/self/mountinfo"""
    with runtime.below("unshare", "--mount", "--propagation", "shared", "sh", "-c", script, "sh", str(tmp_path / "volume"), str(tmp_path / "below")):
        done = box.run(f"grep -c ' /volume' /proc/self/mountinfo; cd {way}{inside}; for name in nested masked readonly; do "
                       "touch $name/file 2>/dev/null && echo $name; done; true")
    assert done.out.split() == ["5", "nested", "2"], done.out + done.err


def test_the_terminal_in_a_shared_bind_of_devices_stays_the_containers(runtime, bundle, container, tmp_path):
    devices = tmp_path / "devices"
    (devices / "pts").mkdir(parents=True)
    for name, number in ("null", (1, 3)), ("ptmx", (5, 2)):
        os.mknod(devices / name, 0o666 | stat.S_IFCHR, os.makedev(*number))
    bundle.config["mounts"] = [mount for mount in bundle.config["mounts"] if not mount["destination"].startswith("/dev")]
    bundle.config["mounts"].append({"destination": "/dev", "type": "bind", "source": str(devices), "options": ["rbind", "rshared"]})
    bundle.write("exec sleep 600", process={"terminal": True}, linux={"rootfsPropagation": "rshared"})
    console = ConsoleSocket(bundle.path, "s")
    script = """devices=$1; shift; mount --bind "$devices" "$devices"
                mount --make-private "$devices"; mount --make-shared "$devices"; mount -t devpts -o newinstance,ptmxmode=666 devpts "$devices"/pts; "$@" || exit
                grep -c " $devices" /proc/self/mountinfo"""
    with runtime.below("unshare", "--mount", "--propagation", "shared", "sh", "-c", script, "sh", str(devices)):
        done = runtime.detached("create", "--console-socket", console.path, "-b", bundle.path, container).ok()
    os.close(console.master())
    assert done.out.split() == ["2"], done.out + done.err
