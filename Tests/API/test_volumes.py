"""Rows C17, C19 and F01-F06, F08: volumes, and attack D14 on what an image declares."""

import contextlib
import json
import os
import re
import stat
import tarfile

import docker
import pytest

import leaks
import oci_images
from conftest import CLIENTS, Client, Daemon, end_without_remains
from engine_http import api
from leaks import mounts
from processes import wait_until


@pytest.fixture(autouse=True)
def no_volume_stays(daemon, apus, nothing_left_behind):
    """Runs before the comparison of `nothing_left_behind`: containers first, which hold volumes."""
    yield
    if names := apus("ps", "-aq").ok().split():
        apus("rm", "-f", *names)
    apus("volume", "prune", "-af").ok()
    assert apus("volume", "ls", "-q").line() == ""


@pytest.fixture(scope="module")
def stocked(daemon, registry, image):
    """An image with files of all kinds at /stock, and a link at /link, declaring /stock and a path that leads out as volumes."""
    folder = oci_images.entry
    members = [
        (folder("stock/", tarfile.DIRTYPE, 0o751, uid=7, gid=8), None), (folder("stock/text", mode=0o640, uid=1000, gid=50), b"hello"),
        (folder("stock/again", tarfile.LNKTYPE, link="stock/text"), None),
        (folder("stock/soft", tarfile.SYMTYPE, 0o777, "text"), None), (folder("stock/deep/", tarfile.DIRTYPE, 0o700), None),
        (folder("stock/deep/run", mode=0o4755, headers={"SCHILY.xattr.user.colour": "blue", "SCHILY.xattr.trusted.q": "7"}), b"#!/bin/sh\n"),
        (folder("stock/fifo", tarfile.FIFOTYPE, 0o600), None), (folder("link", tarfile.SYMTYPE, 0o777, "/stock"), None),
        (folder("out", tarfile.SYMTYPE, 0o777, "/../../../../etc"), None),
    ]
    oci_images.Pusher(registry.host).push(
        "stocked", oci_images.busybox({"Volumes": {"/declared": {}, "/out": {}}}, [oci_images.tar(members)]))
    return f"{registry.host}/stocked"


@pytest.fixture
def pulled(apus, stocked):
    apus("pull", "-q", stocked).ok()
    return stocked


def mountpoint(cli, name):
    return cli("volume", "inspect", "-f", "{{.Mountpoint}}", name).line()


def test_feature_F01_C17_a_named_volume_is_made_and_outlives_the_container(cli, image):
    cli("run", "--rm", "-v", "store:/data", image, "sh", "-c", "echo kept > /data/file").ok()
    assert cli("volume", "ls", "-q").line() == "store"
    assert cli("run", "--rm", "-v", "store:/data", image, "cat", "/data/file").line() == "kept"
    assert cli("volume", "rm", "store").line() == "store"
    assert cli("volume", "ls", "-q").line() == ""


def test_feature_F02_two_containers_share_a_volume(cli, image):
    cli("run", "-d", "--name", "writer", "-v", "shared:/a", image, "sh", "-c", "while :; do date > /a/now; sleep 0.1; done").ok()
    cli("run", "-d", "--name", "reader", "-v", "shared:/b:ro", image, "sleep", "60").ok()
    wait_until(lambda: cli("exec", "reader", "cat", "/b/now").out, "the reader sees what the writer wrote")
    refused = cli("exec", "reader", "touch", "/b/x")
    assert refused.code == 1 and "Read-only file system" in refused.err
    points = cli.inspect("reader", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Driver}} {{.Mode}} {{.RW}}{{end}}")
    assert points == "volume shared /b local ro false"
    assert cli.inspect("writer", "{{range .Mounts}}{{.Mode}} {{.RW}}{{end}}") == "z true"
    in_use = cli("volume", "rm", "shared")
    assert in_use.code == 1
    identifiers = sorted(cli("ps", "-aq", "--no-trunc").ok().split())
    assert f"remove shared: volume is in use - [{', '.join(identifiers)}]" in in_use.err
    cli("rm", "-f", "writer", "reader").ok()
    assert cli("volume", "rm", "shared").line() == "shared"


def test_feature_F03_F04_an_empty_volume_gets_the_images_files_once(cli, pulled, own_daemon):
    cli("create", "--name", "first", "-v", "filled:/stock", pulled, "true").ok()
    data = mountpoint(cli, "filled")
    assert data == f"{own_daemon.data}/volumes/filled/_data"
    root = os.stat(data)
    assert (stat.S_IMODE(root.st_mode), root.st_uid, root.st_gid) == (0o751, 7, 8)
    text = os.stat(f"{data}/text")
    assert (stat.S_IMODE(text.st_mode), text.st_uid, text.st_gid, text.st_nlink, int(text.st_mtime)) == (0o640, 1000, 50, 2, 1_700_000_000)
    assert os.stat(f"{data}/again").st_ino == text.st_ino
    assert os.readlink(f"{data}/soft") == "text"
    assert stat.S_IMODE(os.stat(f"{data}/deep/run").st_mode) == 0o4755
    assert os.getxattr(f"{data}/deep/run", "user.colour") == b"blue" and os.getxattr(f"{data}/deep/run", "trusted.q") == b"7"
    assert stat.S_ISFIFO(os.stat(f"{data}/fifo").st_mode)
    # From now on what is in the volume counts, whatever an image has there.
    cli("run", "--rm", "-v", "filled:/stock", pulled, "sh", "-c", "rm -r /stock/deep; echo changed > /stock/text").ok()
    script = "cat /stock/text; ls /stock"
    assert cli("run", "--rm", "-v", "filled:/stock", pulled, "sh", "-c", script).ok().split() == ["changed", "again", "fifo", "soft", "text"]


def test_feature_F03_nocopy_and_a_place_that_the_image_lacks_leave_a_volume_empty(cli, pulled):
    assert cli("run", "--rm", "-v", "bare:/stock:nocopy", pulled, "ls", "/stock").line() == ""
    assert cli("run", "--rm", "-v", "fresh:/nowhere/deep", pulled, "ls", "/nowhere/deep").line() == ""
    # A link in the image is followed inside the image.
    assert "text" in cli("run", "--rm", "-v", "linked:/link", pulled, "ls", "/link").line()


@pytest.mark.parametrize("where", ("bridge", "none", "host"))
def test_feature_F03_a_new_volume_is_filled_where_it_is_read_only_and_etc_too(cli, image, where):
    """With places, empty, for the files of every container's own, as volumes of dockerd's have them."""
    kept = cli("run", "--rm", image, "sh", "-c", "cd /etc; stat -c '%n %f %u %g' *; cat passwd").ok()
    known = dict(line.split(" ", 1) for line in kept.splitlines() if line.split(" ")[0] in ("passwd", "group"))
    script = "cat /etc/hosts /etc/resolv.conf >/dev/null && hostname && cat /etc/hostname; stat -c '%n %f %u %g' /etc/*; touch /etc/x; "
    script += "grep ' /etc ' /proc/mounts"
    for _ in range(2):
        shown = cli("run", "--rm", "--network", where, "--hostname", "sealed", "-v", "settings:/etc:ro", image, "sh", "-c", script)
        lines = shown.out.splitlines()
        assert lines[:2] == ["sealed", "sealed"] and "touch: /etc/x: Read-only file system" in shown.err, shown
        assert " ro," in lines[-1], shown
        assert {name: dict(line.split(" ", 1) for line in lines[2:-1])[f"/etc/{name}"] for name in known} == known
    for name in ("hosts", "hostname", "resolv.conf"):
        place = os.stat(f"{mountpoint(cli, 'settings')}/{name}")
        assert (stat.S_IMODE(place.st_mode), place.st_uid, place.st_gid, place.st_size) == (0o755, 0, 0, 0), name
    # Who wants nothing copied has no such places, and is told so; dockerd's container does not start either.
    refused = cli("run", "--rm", "-v", "empty:/etc:ro,nocopy", image, "true")
    assert refused.code == 125 and "/resolv.conf onto /etc/resolv.conf: EROFS" in refused.err, refused


def test_feature_F03_a_filling_that_was_cut_off_goes_on_or_is_begun_again(brittle, registry, stocked):
    client = brittle.client
    client("pull", "-q", stocked).ok()
    for name in ("half", "whole", "old"):
        client("volume", "create", name).ok()
    brittle.kill()
    half, whole, old = (f"{brittle.data}/volumes/{name}" for name in ("half", "whole", "old"))
    # Cut off while it was copied; when all was there, and a container had written meanwhile; and by a version that copied into the volume itself.
    for path, text in ((f"{half}/copying/text", "half"), (f"{whole}/copied/text", "all"), (f"{whole}/copied/mine", "the image's"),
                       (f"{whole}/_data/mine", "a container's"), (f"{old}/copying", ""), (f"{old}/_data/mine", "a container's")):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    os.chmod(f"{whole}/copied", 0o1777)
    # And volumes that were not made yet, or removed already, are neither there nor left.
    for path in (".making/early", ".trash/late"):
        os.makedirs(f"{brittle.data}/volumes/{path}/_data")
    brittle.start()
    contents = lambda folder: {name: open(f"{folder}/_data/{name}", encoding="utf-8").read() for name in sorted(os.listdir(f"{folder}/_data"))}
    assert contents(half) == {} and contents(whole) == {"mine": "a container's", "text": "all"} and contents(old) == {"mine": "a container's"}
    assert os.stat(f"{whole}/_data").st_mode & 0o7777 == 0o1777
    assert all(sorted(os.listdir(folder)) == ["_data", "volume.json"] for folder in (half, whole, old))
    assert client("volume", "ls", "-q").ok().split() == ["half", "old", "whole"]
    assert client("run", "--rm", "-v", "half:/stock", stocked, "cat", "/stock/text").line() == "hello"
    # So does one that failed, in the same daemon's life: what is copied is moved in, what is half copied is copied again.
    for name, left in (("late", "copied"), ("anew", "copying")):
        client("volume", "create", name).ok()
        os.makedirs(f"{brittle.data}/volumes/{name}/{left}")
        with open(f"{brittle.data}/volumes/{name}/{left}/text", "w", encoding="utf-8") as file:
            file.write("left")
    assert client("run", "--rm", "-v", "late:/stock", stocked, "cat", "/stock/text").line() == "left"
    assert client("run", "--rm", "-v", "anew:/stock", stocked, "cat", "/stock/text").line() == "hello"
    assert os.listdir(f"{brittle.data}/volumes/.making") == os.listdir(f"{brittle.data}/volumes/.trash") == []


def test_feature_F03_a_bound_folder_outlives_its_volume_however_the_data_root_is_reached(workspace, registry):
    """By a symbolic link, the mount table has another path of it than the daemon."""
    daemon = Daemon(os.path.join(workspace, f"linked{len(os.listdir(workspace))}"))
    os.makedirs(f"{daemon.folder}/real")
    os.symlink("real", daemon.data)
    daemon.start()
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    image, own = f"{registry.host}/busybox", f"{daemon.folder}/own"
    os.makedirs(f"{own}/deep")
    client("pull", image).ok()
    client("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={own}", "bound").ok()
    for _ in range(2):
        client("run", "--rm", "-v", "bound:/v", image, "sh", "-c", "echo kept > /v/deep/file").ok()
    assert not leaks.mounts(f"{daemon.folder}/real")
    client("volume", "rm", "bound").ok()
    with open(f"{own}/deep/file", encoding="utf-8") as file:
        assert file.read() == "kept\n"
    client("network", "prune", "-f").ok()
    end_without_remains(daemon)


def test_feature_F03_the_long_form_names_what_the_short_one_implies(cli, pulled):
    mount = "type=volume,src=long,dst=/stock,volume-label=a=b"
    assert cli("run", "--rm", "--mount", f"{mount},readonly", pulled, "cat", "/stock/text").line() == "hello"
    assert cli("volume", "inspect", "-f", "{{json .Labels}}", "long").line() == '{"a":"b"}'
    assert cli("run", "--rm", "--mount", "type=volume,src=none,dst=/stock,volume-nocopy", pulled, "ls", "/stock").line() == ""
    result = cli("run", "--rm", "--mount", "type=volume,src=long,dst=/x,volume-driver=nfs4", pulled, "true")
    assert result.code == 125 and 'plugin "nfs4" not found' in result.err


def test_feature_F05_F06_a_bind_shows_the_host_and_hides_the_image(cli, pulled, tmp_path):
    tmp_path.joinpath("host").write_text("from the host\n")
    flags = ("-v", f"{tmp_path}:/stock")
    assert cli("run", "--rm", *flags, pulled, "ls", "/stock").line() == "host"
    cli("run", "-d", "--name", "live", *flags, pulled, "sleep", "60").ok()
    tmp_path.joinpath("later").write_text("live\n")
    assert cli("exec", "live", "cat", "/stock/later").line() == "live"
    cli("exec", "live", "sh", "-c", "echo back > /stock/reply").ok()
    assert tmp_path.joinpath("reply").read_text() == "back\n"
    assert "text" in cli("run", "--rm", pulled, "ls", "/stock").line()
    assert cli("volume", "ls", "-q", "-f", "name=host").line() == ""


def test_feature_C15_F08_volumes_that_nobody_named_go_with_their_container(cli, pulled):
    cli("run", "--rm", "-v", "/own", pulled, "touch", "/own/x", "/declared/y").ok()
    assert cli("volume", "ls", "-q").line() == ""
    cli("run", "--name", "kept", "-v", "/own", "-v", "named:/n", pulled, "true").ok()
    names = cli("volume", "ls", "-q").ok().split()
    assert len(names) == 4 and sum(bool(re.fullmatch("[0-9a-f]{64}", name)) for name in names) == 3
    cli("rm", "kept").ok()
    assert len(cli("volume", "ls", "-q", "-f", "dangling=true").ok().split()) == 4
    cli("volume", "prune", "-f", *(("--filter", "label=com.docker.volume.anonymous") if cli.name == "docker-20.10" else ())).ok()
    assert cli("volume", "ls", "-q").line() == "named"
    cli("run", "--name", "gone", "-v", "/own", "-v", "named:/n", pulled, "true").ok()
    cli("rm", "-v", "gone").ok()
    assert cli("volume", "ls", "-q").line() == "named"


def test_feature_F08_volumes_are_made_listed_inspected_and_pruned(cli, image):
    assert cli("volume", "create", "--label", "team=blue", "one").line() == "one"
    assert cli("volume", "create", "one").line() == "one"
    anonymous = cli("volume", "create").line()
    assert re.fullmatch("[0-9a-f]{64}", anonymous)
    lines = cli("volume", "ls").ok().splitlines()
    assert re.fullmatch(r"DRIVER +VOLUME NAME", lines[0]) and lines[1:] == sorted(f"local     {name}" for name in ("one", anonymous))
    assert cli("volume", "ls", "-q", "-f", "label=team=blue").line() == "one"
    assert cli("volume", "ls", "-q", "-f", "name=on").line() == "one"
    assert cli("volume", "ls", "-q", "-f", "driver=other").line() == ""
    assert cli("volume", "inspect", "-f", "{{.Driver}} {{.Scope}} {{json .Labels}} {{json .Options}}", "one").line() \
        == 'local local {"team":"blue"} null'
    assert cli("inspect", "--type", "volume", "-f", "{{.Name}}", "one").line() == "one"
    cli("create", "--name", "user", "-v", "one:/o", image).ok()
    assert cli("volume", "ls", "-q", "-f", "dangling=true").line() == anonymous
    # The older command line speaks of an API that spares nobody, and has no flag for it.
    everything = () if cli.name == "docker-20.10" else ("-a",)
    pruned = cli("volume", "prune", "-f", *everything).ok()
    assert f"Deleted Volumes:\n{anonymous}\n" in pruned and "Total reclaimed space: " in pruned
    assert cli("volume", "ls", "-q").line() == "one"


def refused_spec(spec, kind, fault):
    return f"invalid volume specification: '{spec}': invalid mount config for type \"{kind}\": {fault}"


def test_feature_F08_what_cannot_be_is_refused_in_dockers_words(cli, image):
    for words, message in (
        (("volume", "create", "a"), "create a: volume name is too short, names should be at least two alphanumeric characters"),
        (("volume", "create", "x" * 256), "volume name is too long, names should be at most 255 bytes"),
        (("volume", "create", "a/b"), 'create a/b: "a/b" includes invalid characters for a local volume name'),
        (("volume", "create", "-d", "nfs4", "ab"), 'error looking up volume plugin nfs4: plugin "nfs4" not found'),
        (("volume", "create", "-o", "colour=blue", "ab"), 'create ab: invalid option: "colour"'),
        (("volume", "create", "-o", "type=tmpfs", "ab"), 'create ab: missing required option: "device"'),
        (("volume", "create", "-o", "size=1m", "ab"), "create ab: quota size requested but no quota support: "),
        (("volume", "ls", "-f", "colour=blue"), "invalid filter 'colour'"),
    ):
        result = cli(*words)
        assert result.code == 1 and message in result.err, (words, result)
    for verb in ("inspect", "rm"):
        gone = cli("volume", verb, "nosuch")
        assert gone.code == 1 and re.search("no such volume", gone.err, re.I)
    for flags, message in (
        (("-v", "va:/x", "-v", "vb:/x"), "Duplicate mount point: /x"),
        (("-v", "va:/x:sideways"), "invalid mode: sideways"),
        (("-v", "va:/"), "destination can't be '/'"),
        (("-v", "va:x"), refused_spec("va:x", "volume", "invalid mount path: 'x' mount path must be absolute")),
        (("-v", "/tmp:/x:nocopy"), refused_spec("/tmp:/x:nocopy", "bind", "field VolumeOptions must not be specified")),
        (("-v", "va:/x:rshared"), refused_spec("va:/x:rshared", "volume", "field BindOptions must not be specified")),
        (("--volumes-from", "nosuch"), "No such container: nosuch"),
        (("--volume-driver", "nfs4", "-v", "va:/x"), 'plugin "nfs4" not found'),
    ):
        result = cli("run", "--rm", *flags, image, "true")
        assert result.code == 125 and message in result.err, (flags, result)
    assert cli("volume", "ls", "-q").line() == "" and cli("ps", "-aq").line() == ""
    assert cli("volume", "rm", "-f", "nosuch").code == 0


def test_a_driver_that_is_not_there_is_looked_for_when_it_is_to_make_a_volume(cli, image, tmp_path):
    """As by dockerd, which keeps the name of one of which nothing is wanted."""
    for name, flags in (("plain", ()), ("bound", ("-v", f"{tmp_path}:/x"))):
        cli("run", "--name", name, "--volume-driver", "nosuch", *flags, image, "true").ok()
        assert cli.inspect(name, "{{.HostConfig.VolumeDriver}}") == "nosuch"
    cli("rm", "plain", "bound").ok()


def test_feature_C18_a_relative_path_of_the_host_is_counted_from_where_the_client_is(cli, image, tmp_path):
    if cli.name == "docker-20.10":
        return  # It sends relative paths as they are.
    tmp_path.joinpath("deep", "there").mkdir(parents=True)
    deep = tmp_path / "deep"
    for flag, path in ((".:/b", deep), ("./there:/b:ro", deep / "there"), ("..:/b", tmp_path), ("./made/here:/b", deep / "made" / "here")):
        cli("create", "--name", "relative", "-v", flag, image, "sh", "-c", "echo x > /b/mark", cwd=deep).ok()
        assert cli.inspect("relative", "{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}}{{end}}") == f"bind {path} /b"
        cli("start", "-a", "relative")
        assert path.joinpath("mark").exists() == (not flag.endswith(":ro"))
        cli("rm", "relative").ok()
    assert cli("volume", "ls", "-q").line() == ""


def test_feature_C19_a_single_relative_path_is_no_volume(cli, image):
    result = cli("run", "--rm", "-v", "./file/path/", image, "true")
    assert result.code == 125 and "mount path must be absolute" in result.err, result
    assert "-v ./file/path:/target" in result.err
    assert cli("ps", "-aq").line() == ""


def test_a_volume_that_is_declared_without_a_slash_is_below_the_root(cli, own_daemon, image):
    cli("create", "--name", "plain", image).ok()
    changes = ["VOLUME data", 'VOLUME ["./x/y", "/a/../b/"]']
    cli("commit", *[word for change in changes for word in ("-c", change)], "plain", "declares").ok()
    cli("run", "--name", "declared", "-v", "one", "declares", "sh", "-c", "for place in /data /x/y /b /one; do grep -c \" $place \" /proc/mounts; done").ok()
    assert cli("logs", "declared").out.split() == ["1"] * 4
    assert sorted(mount["Destination"] for mount in json.loads(cli.inspect("declared", "{{json .Mounts}}"))) == ["/b", "/data", "/one", "/x/y"]
    body = {"Image": image, "Volumes": {"a:/b": {}}}
    made = api(own_daemon, "POST", "/containers/create", body, expect=201)[1]["Id"]
    assert [mount["Destination"] for mount in api(own_daemon, "GET", f"/containers/{made}/json")[1]["Mounts"]] == ["/a:/b"]
    cli("rm", "-v", "plain", "declared", made).ok()
    cli("rmi", "declares").ok()
    assert cli("volume", "ls", "-q").line() == ""


def test_feature_F08_volumes_from_another_container(cli, image, tmp_path):
    tmp_path.joinpath("f").write_text("bound")
    cli("run", "--name", "source", "-v", "vol:/v", "-v", "/own", "-v", f"{tmp_path}:/b:ro", image, "sh", "-c", "echo a > /v/x; echo b > /own/y").ok()
    script = "cat /v/x /own/y /b/f; touch /v/new; touch /b/no"
    result = cli("run", "--name", "second", "--volumes-from", "source", image, "sh", "-c", script)
    assert result.out.split() == ["a", "b", "bound"] and "Read-only file system" in result.err
    nobody = cli("run", "--rm", "--volumes-from", "nosuch", image, "true")
    assert nobody.code == 125 and "No such container: nosuch" in nobody.err and "Unable to find image" not in nobody.err, nobody
    read_only = cli("run", "--rm", "--volumes-from", "source:ro", image, "touch", "/v/more")
    assert read_only.code == 1 and "Read-only file system" in read_only.err
    # The anonymous one stays for as long as anyone has it.
    cli("rm", "-v", "source").ok()
    assert len(cli("volume", "ls", "-q").ok().split()) == 2
    cli("rm", "-v", "second").ok()
    assert cli("volume", "ls", "-q").line() == "vol"


def test_feature_F08_a_volume_that_a_command_line_names_stays_though_nobody_gave_it_a_name(cli, image):
    """It goes with the container that asked for one without a name, and with no other."""
    cli("create", "--name", "first", "-v", "/own", image, "true").ok()
    left = cli.inspect("first", "{{range .Mounts}}{{.Name}}{{end}}")
    cli("rm", "first").ok()
    for name in (cli("volume", "create").line(), left):
        cli("run", "--rm", "-v", f"{name}:/d", image, "sh", "-c", "echo precious > /d/x").ok()
        assert cli("run", "--rm", "--mount", f"type=volume,src={name},dst=/d", image, "cat", "/d/x").line() == "precious"
        cli("create", "--name", "holder", "-v", f"{name}:/d", image, "true").ok()
        cli("create", "--name", "heir", "--volumes-from", "holder", image, "true").ok()
        cli("rm", "-v", "holder").ok()
        cli("rm", "-v", "heir").ok()
        assert cli("run", "--rm", "-v", f"{name}:/d", image, "cat", "/d/x").line() == "precious"
        assert name in cli("volume", "ls", "-q", "-f", "dangling=true").ok().split()


def test_feature_F08_a_create_that_fails_leaves_what_it_asked_for_by_name_and_nothing_else(cli, pulled, own_daemon):
    """By then another container may have written there: as with Docker, nobody's create takes away a volume that has a name."""
    cli("volume", "create", "-o", "type=ext4", "-o", "device=/nowhere", "broken").ok()
    result = cli("create", "-v", "fresh:/stock", "-v", "/own", "-v", "broken:/link", pulled)
    assert result.code == 1 and "mount volume broken: /nowhere of type ext4" in result.err, result
    assert cli("ps", "-aq").line() == "" and cli("volume", "ls", "-q").ok().split() == ["broken", "fresh"]


def test_feature_F01_options_are_mounted_while_a_container_runs(cli, image, own_daemon, tmp_path):
    cli("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000", "memory").ok()
    cli("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind", "bound").ok()
    tmp_path.joinpath("there").write_text("x")
    before = mounts(own_daemon.folder)
    for name in ("aa", "bb"):
        cli("run", "-d", "--name", name, "-v", "memory:/m", "-v", "bound:/b", image, "sleep", "60").ok()
    assert cli("exec", "aa", "sh", "-c", "stat -f -c %T /m; stat -c %u /m; ls /b").ok().split() == ["tmpfs", "1000", "there"]
    cli("exec", "aa", "touch", "/m/common").ok()
    cli("rm", "-f", "aa").ok()
    assert cli("exec", "bb", "ls", "/m").line() == "common"
    cli("rm", "-f", "bb").ok()
    assert mounts(own_daemon.folder) == before
    cli("volume", "rm", "memory", "bound").ok()
    assert tmp_path.joinpath("there").exists()


def test_feature_F01_a_device_that_is_not_there_yet_is_asked_for_by_the_start(cli, image, own_daemon, tmp_path):
    """As with Docker: a create needs what the options mount only where the image has something to put there."""
    later = tmp_path / "later"
    cli("volume", "create", "-o", "type=none", "-o", f"device={later}", "-o", "o=bind", "bound").ok()
    before = mounts(own_daemon.folder)
    refused = cli("create", "-v", "bound:/etc", image, "true")
    assert refused.code == 1 and f"mount volume bound: {later} of type bind" in refused.err and cli("ps", "-aq").line() == "", refused
    result = cli("run", "--name", "waits", "-v", "bound:/x", image, "touch", "/x/here")
    assert result.code == 125 and f"mount volume bound: {later} of type bind" in result.err, result
    assert mounts(own_daemon.folder) == before and cli.inspect("waits", "{{.State.Status}}") == "created"
    later.mkdir()
    cli("start", "-a", "waits").ok()
    assert os.listdir(later) == ["here"] and mounts(own_daemon.folder) == before


def test_feature_F01_a_killed_daemon_loses_no_volume(brittle):
    client = brittle.client
    client("volume", "create", "--label", "a=b", "kept").ok()
    client("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory").ok()
    client("run", "-d", "--name", "on", "-v", "kept:/k", "-v", "memory:/m", "-v", "/own", brittle.image, "sh", "-c",
           "touch /m/x; while :; do date >> /k/log; sleep 0.05; done").ok()
    log = f"{brittle.data}/volumes/kept/_data/log"
    wait_until(lambda: os.path.exists(log), "it writes")
    brittle.kill()
    size = os.path.getsize(log)
    wait_until(lambda: os.path.getsize(log) > size, "it writes on")
    brittle.start()
    assert client("exec", "on", "ls", "/m").line() == "x"
    assert client("volume", "rm", "kept").code == 1
    assert client("volume", "inspect", "-f", "{{json .Labels}}", "kept").line() == '{"a":"b"}'
    brittle.kill()
    os.kill(int(client_pid(brittle)), 9)
    brittle.start()
    wait_until(lambda: client("ps", "-q").line() == "", "the end is known")
    assert not [path for path in mounts(brittle.folder) if "volumes" in path]
    client("rm", "-v", "on").ok()
    assert client("volume", "ls", "-q").ok().split() == ["kept", "memory"]


def client_pid(brittle):
    """The payload of the only container, from the runtime's own record: its daemon is dead."""
    folder, = os.listdir(f"{brittle.run}/runtime")
    with open(f"{brittle.run}/runtime/{folder}/init.json", encoding="utf-8") as file:
        return re.search(r'"pid": ?(\d+)', file.read()).group(1)


def test_attack_D14_a_declared_volume_that_leads_out_reads_nothing_of_the_host(cli, pulled):
    cli("create", "--name", "trap", pulled).ok()
    source = cli.inspect("trap", '{{range .Mounts}}{{if eq .Destination "/out"}}{{.Source}}{{end}}{{end}}')
    # What /out leads to inside the image is the image's own /etc, with what every container has there.
    assert sorted(os.listdir(source)) == ["group", "mtab", "passwd"]
    # So does a path with .. in it, which is shown where it leads inside.
    cli("commit", "-c", "VOLUME /../../../../../etc", "trap", "escapes").ok()
    try:
        cli("create", "--name", "second", "escapes").ok()
        [place] = cli.inspect("second", '{{range .Mounts}}{{if eq .Destination "/etc"}}{{.Source}} {{end}}{{end}}').split()
        # With places for the files of every container's own, which are empty.
        assert sorted(os.listdir(place)) == ["group", "hostname", "hosts", "mtab", "passwd", "resolv.conf"]
        assert {os.path.getsize(f"{place}/{name}") for name in ("hostname", "hosts", "resolv.conf")} == {0}
        cli("rm", "-v", "second").ok()
    finally:
        cli("rmi", "-f", "escapes").ok()


def test_feature_F08_versions_of_the_api_differ_in_what_they_prune(own_daemon, apus):
    for version, left in (("1.41", []), ("1.42", ["named"])):
        api(own_daemon, "POST", f"/v{version}/volumes/create", {"Name": "named"}, 201)
        _, unnamed = api(own_daemon, "POST", f"/v{version}/volumes/create", {}, 201)
        with open(f"{unnamed['Mountpoint']}/file", "w", encoding="ascii") as file:
            file.write("x" * 4096)
        _, report = api(own_daemon, "POST", f"/v{version}/volumes/prune", expect=200)
        assert report["SpaceReclaimed"] >= 4096
        assert apus("volume", "ls", "-q").ok().split() == left
    status, answer = api(own_daemon, "PUT", "/v1.44/volumes/named?version=1", {})
    assert status == 503 and "not a swarm manager" in answer["message"]
    _, created = api(own_daemon, "GET", "/v1.44/volumes/named", expect=200)
    assert set(created) == {"CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"}
    _, listed = api(own_daemon, "GET", "/v1.44/volumes", expect=200)
    assert listed == {"Volumes": [created], "Warnings": None}


def test_feature_A06_F08_the_sdk_manages_volumes(own_daemon, image):
    with contextlib.closing(docker.DockerClient(base_url=own_daemon.host)) as sdk:
        volume = sdk.volumes.create("sdk", labels={"a": "b"})
        assert volume.attrs["Labels"] == {"a": "b"} and [one.name for one in sdk.volumes.list()] == ["sdk"]
        said = sdk.containers.run(image, "sh -c 'echo x > /v/x; ls /v'", volumes={"sdk": {"bind": "/v", "mode": "rw"}}, remove=True)
        assert said == b"x\n"
        volume.remove()
        with pytest.raises(docker.errors.NotFound):
            sdk.volumes.get("sdk")
