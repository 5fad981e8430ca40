"""Options of mounts, seen from inside. - Spec: config.md, "Mounts", "Linux mount options"."""

import json
import os
import subprocess

import pytest
from conftest import Result

PER_MOUNT = {"nosuid": "nosuid", "nodev": "nodev", "noexec": "noexec", "ro": "ro", "noatime": "noatime", "nodiratime": "nodiratime",
             "nosymfollow": "nosymfollow"}


def mount(bundle, destination, source, *options, type="none", **members):
    bundle.config["mounts"].append({"destination": destination, "type": type, "source": str(source), "options": list(options), **members})


def options_of(result, place):
    """The per-mount and per-superblock options of a mount in the mountinfo that a container printed."""
    for line in result.ok().lines:
        fields = line.split()
        if fields[4] == place:
            return set(fields[5].split(",")), set(fields[fields.index("-") + 3].split(","))
    raise AssertionError(f"no mount at {place}:\n{result.out}")


def shown(runtime, bundle, container):
    bundle.write(["cat", "/proc/self/mountinfo"])
    return runtime("run", "-b", bundle.path, container)


@pytest.mark.parametrize("option", sorted(PER_MOUNT))
def test_an_option_of_the_mount_is_set_and_its_opposite_takes_it_back(runtime, bundle, container, option):
    mount(bundle, "/one", "tmpfs", option, type="tmpfs")
    opposite = {"ro": "rw", "noatime": "atime"}.get(option, option[2:])
    mount(bundle, "/two", "tmpfs", option, opposite, type="tmpfs")
    result = shown(runtime, bundle, container)
    assert PER_MOUNT[option] in options_of(result, "/one")[0]
    assert PER_MOUNT[option] not in options_of(result, "/two")[0]


@pytest.mark.parametrize("option", ["sync", "dirsync", "lazytime"])
def test_an_option_of_the_file_system_is_set(runtime, bundle, container, option):
    mount(bundle, "/one", "tmpfs", option, "size=64k", type="tmpfs")
    result = options_of(shown(runtime, bundle, container), "/one")[1]
    assert option in result and "size=64k" in result


@pytest.mark.ours
@pytest.mark.parametrize("options", [["silent"], ["loud"], ["silent", "loud"], ["noiversion"], ["norelatime", "strictatime"]], ids="/".join)
def test_an_option_that_no_list_of_mounts_shows_is_taken(runtime, bundle, container, options):
    """What the kernel tells of a mount has no word for them; an option that is unknown is refused."""
    mount(bundle, "/one", "tmpfs", *options, "nodev", type="tmpfs")
    found = options_of(shown(runtime, bundle, container), "/one")[0]
    assert "nodev" in found and ("strictatime" not in options or "relatime" not in found)


@pytest.fixture
def nested(folder, bundle):
    """A directory with a mount below it, in a mount namespace of the test's own: run the runtime with `nested.run`."""
    path = os.path.join(bundle.path, "nested")
    os.makedirs(os.path.join(path, "below"))

    def run(runtime, container):
        command = runtime.command("run", "-b", bundle.path, container)
        script = f'mount --make-rprivate / && mount -t tmpfs tmpfs {path}/below && exec "$@"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *command], capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False)
        return Result(command, done, True)

    run.path = path
    return run


@pytest.mark.parametrize("option, shows", [("rro", "ro"), ("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"),
                                           ("rnoatime", "noatime"), ("rnodiratime", "nodiratime"), ("rnosymfollow", "nosymfollow")])
def test_a_recursive_option_reaches_the_mounts_below_and_a_plain_one_does_not(runtime, bundle, container, nested, option, shows):
    mount(bundle, "/recursive", nested.path, "rbind", option)
    if option != "rnosymfollow":
        mount(bundle, "/plain", nested.path, "rbind", option[1:])
    bundle.write(["cat", "/proc/self/mountinfo"])
    result = nested(runtime, container)
    assert shows in options_of(result, "/recursive")[0] and shows in options_of(result, "/recursive/below")[0]
    if option != "rnosymfollow":
        assert shows in options_of(result, "/plain")[0] and shows not in options_of(result, "/plain/below")[0]


@pytest.mark.ours
@pytest.mark.parametrize("option, here, below", [
    ("rstrictatime", set(), set()), ("rrelatime", {"relatime"}, {"relatime"}), ("strictatime", set(), {"relatime"}), ("rnoatime", {"noatime"}, {"noatime"})])
def test_a_recursive_time_of_access_is_that_of_the_mounts_below_too(runtime, bundle, container, nested, option, here, below):
    """The three exclude each other, so that a mount has the last one said."""
    mount(bundle, "/one", nested.path, "rbind", option)
    bundle.write(["cat", "/proc/self/mountinfo"])
    result, times = nested(runtime, container), {"relatime", "noatime"}
    assert (options_of(result, "/one")[0] & times, options_of(result, "/one/below")[0] & times) == (here, below)


# Id-mapped mounts. - Spec: config.md, "Mounts", uidMappings, gidMappings, idmap, ridmap.

MAPS = {"uidMappings": [{"containerID": 0, "hostID": 5000, "size": 1000}], "gidMappings": [{"containerID": 0, "hostID": 6000, "size": 1000}]}


@pytest.fixture
def owned(bundle):
    """A directory on a tmpfs or disk of the host, with a file of user 7 and group 9."""
    path = os.path.join(bundle.path, "owned")
    os.makedirs(path)
    with open(os.path.join(path, "file"), "w", encoding="utf-8") as file:
        file.write("content\n")
    os.chown(os.path.join(path, "file"), 7, 9)
    return path


@pytest.mark.parametrize("options", [["bind"], ["bind", "idmap"], ["rbind", "ridmap"]])
def test_the_owners_of_an_id_mapped_mount_are_those_of_its_mappings(runtime, bundle, container, owned, options):
    mount(bundle, "/mapped", owned, *options, **MAPS)
    mount(bundle, "/plain", owned, "bind")
    bundle.config["process"]["user"] = {"uid": 5003, "gid": 6004}
    bundle.write("stat -c '%u %g' /mapped/file /plain/file; touch /mapped/new")
    os.chmod(owned, 0o777)
    assert runtime("run", "-b", bundle.path, container).ok().lines == ["5007 6009", "7 9"]
    status = os.stat(os.path.join(owned, "new"))
    assert (status.st_uid, status.st_gid) == (3, 4)


def test_the_mappings_may_stand_in_the_option(runtime, bundle, container, owned):
    mount(bundle, "/mapped", owned, "bind", "idmap=uids=0-5000-1000;gids=0-6000-1000")
    bundle.write("stat -c '%u %g' /mapped/file")
    assert runtime("run", "-b", bundle.path, container).ok().lines == ["5007 6009"]


def test_idmap_alone_takes_the_mappings_of_the_user_namespace(runtime, bundle, container, owned):
    os.chown(bundle.rootfs, 100000, 100000)
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    mappings = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    mount(bundle, "/mapped", owned, "bind", "idmap")
    mount(bundle, "/plain", owned, "bind")
    bundle.write("stat -c '%u %g' /mapped/file /plain/file", linux={"uidMappings": mappings, "gidMappings": mappings})
    os.chmod(bundle.path, 0o755)
    assert runtime("run", "-b", bundle.path, container).ok().lines == ["7 9", "65534 65534"]


@pytest.mark.ours
def test_ridmap_maps_the_mounts_below_and_idmap_does_not(runtime, bundle, container, nested):
    mount(bundle, "/deep", nested.path, "rbind", "ridmap", **MAPS)
    mount(bundle, "/flat", nested.path, "rbind", "idmap", **MAPS)
    bundle.write("stat -c '%u' /deep /deep/below /flat /flat/below")
    assert nested(runtime, container).ok().lines == ["5000", "5000", "5000", "0"]


@pytest.mark.ours
def test_a_mount_below_an_id_mapped_one_does_not_reach_the_host(runtime, bundle, container, owned):
    os.mkdir(os.path.join(owned, "inner"))
    mount(bundle, "/mapped", owned, "bind", "idmap", **MAPS)
    mount(bundle, "/mapped/inner", "tmpfs", type="tmpfs")
    bundle.write("touch /mapped/inner/inside && ls /mapped/inner")
    assert runtime("run", "-b", bundle.path, container).ok().out == "inside\n"
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert owned not in file.read()
    assert os.listdir(os.path.join(owned, "inner")) == []


@pytest.mark.ours
@pytest.mark.parametrize("options, members, text", [
    (["bind", "idmap"], {}, "mounts[5].options"), (["bind"], {"uidMappings": MAPS["uidMappings"]}, "mounts[5].uidMappings"),
    (["idmap=uids=0-1-1", "bind"], {}, "idmap=uids"),
])
def test_an_id_mapping_that_makes_no_sense_is_refused_by_its_member(runtime, bundle, container, owned, options, members, text):
    mount(bundle, "/mapped", owned, *options, **members)
    bundle.write("true")
    runtime("run", "-b", bundle.path, container).fails(text, code=1)


# tmpcopyup, copy-symlink, src-nofollow, dest-nofollow

def test_tmpcopyup_begins_with_what_lies_there(runtime, bundle, container):
    bundle.file("/data/deep/file", "content\n", mode=0o666)
    bundle.file("/data/tool", "#!/bin/sh\necho it runs\n", mode=0o4755)
    os.chown(os.path.join(bundle.rootfs, "data/deep"), 7, 9)
    os.symlink("deep/file", os.path.join(bundle.rootfs, "data/link"))
    os.chown(os.path.join(bundle.rootfs, "data/deep/file"), 7, 9)
    mount(bundle, "/data", "tmpfs", "tmpcopyup", type="tmpfs")
    bundle.write("cat /data/link; /data/tool; stat -c '%u %g %a' /data/deep /data/deep/file; stat -c %a /data/tool; readlink /data/link; "
                 "echo changed > /data/deep/file; grep -c ' /data tmpfs' /proc/mounts")
    lines = runtime("run", "-b", bundle.path, container).ok().lines
    mode = "4755" if runtime.kind == "apus" else lines[4]
    assert lines == ["content", "it runs", "7 9 755", "7 9 666", mode, "deep/file", "1"]
    with open(os.path.join(bundle.rootfs, "data/deep/file"), encoding="utf-8") as file:
        assert file.read() == "content\n"


def test_copy_symlink_makes_the_link_again(runtime, bundle, container):
    link = os.path.join(bundle.path, "link")
    os.symlink("/somewhere/else", link)
    mount(bundle, "/etc/copied", link, "bind", "copy-symlink")
    bundle.write("readlink /etc/copied; grep -c copied /proc/mounts || true")
    assert runtime("run", "-b", bundle.path, container).ok().lines == ["/somewhere/else", "0"]


def test_links_that_are_not_followed_are_mounted_themselves(runtime, bundle, container):
    bundle.file("/etc/real", "real\n")
    os.symlink("real", os.path.join(bundle.rootfs, "etc/inside"))
    link = os.path.join(bundle.path, "link")
    os.symlink("/etc/hidden/target", link)
    mount(bundle, "/etc/inside", link, "bind", "src-nofollow", "dest-nofollow")
    bundle.write("readlink /etc/inside; cat /etc/real")
    assert runtime("run", "-b", bundle.path, container).ok().lines == ["/etc/hidden/target", "real"]


@pytest.mark.ours
@pytest.mark.parametrize("option", ["sync", "dirsync", "lazytime", "mand", "iversion"])
def test_a_flag_of_a_file_system_does_not_matter_to_a_bind_mount(runtime, bundle, container, tmp_path, option):
    """As with mount(8): what is bound keeps what its file system has; the mount's own options act."""
    mount(bundle, "/mnt", tmp_path, "bind", option, "nosuid")
    mount(bundle, "/plain", tmp_path, "bind")
    result = shown(runtime, bundle, container)
    (own, whole), (plain, same) = options_of(result, "/mnt"), options_of(result, "/plain")
    assert own == plain | {"nosuid"} and whole == same


def test_features_names_the_options_that_are_known(runtime):
    features = json.loads(runtime("features").ok().out)
    options = set(features["mountOptions"])
    assert {"idmap", "ridmap", "tmpcopyup", "rro", "nosymfollow", "rnosymfollow", "lazytime", "copy-symlink", "rprivate"} <= options
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is True
