"""Rows F01, F03-F06 and attacks D15, F09-F11: paths inside volumes, names that change, copies and archives, owners shown otherwise."""

import gzip
import io
import json
import os
import stat
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor

import oci_images
from engine_http import api
from leaks import mounts
from processes import wait_until
from test_volumes import mountpoint, no_volume_stays, pulled, stocked  # noqa: F401 (fixtures)


def test_feature_F01_a_path_inside_a_volume_is_all_that_a_container_sees(cli, image, own_daemon):
    if cli.name == "docker-20.10":
        return  # It knows no paths inside volumes.
    cli("run", "--rm", "-v", "whole:/w", image, "sh", "-c", "mkdir -p /w/deep/part; echo in > /w/deep/part/f; echo one > /w/file; echo out > /w/secret").ok()
    before = mounts(own_daemon.folder)
    flags = ("--mount", "type=volume,src=whole,dst=/d,volume-subpath=deep/part")
    cli("run", "-d", "--name", "part", *flags, image, "sleep", "60").ok()
    assert cli("exec", "part", "ls", "-a", "/d").ok().split() == [".", "..", "f"]
    cli("exec", "part", "sh", "-c", "echo new > /d/g; echo x > /d/../secret").ok()
    data = mountpoint(cli, "whole")
    with open(f"{data}/deep/part/g", encoding="utf-8") as file:
        assert file.read() == "new\n"
    assert cli.inspect("part", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Source}} {{.Destination}}{{end}}") == f"volume whole {data} /d"
    # A file is as good as a directory, and read-only is read-only.
    one = ("--mount", "type=volume,src=whole,dst=/one,volume-subpath=file,readonly")
    assert cli("run", "--rm", *one, image, "sh", "-c", "cat /one; echo x > /one").out == "one\n"
    cli("rm", "-f", "part").ok()
    assert mounts(own_daemon.folder) == before and os.path.exists(f"{data}/deep/part/g")


def test_feature_F01_a_path_inside_a_volume_outlives_the_daemon_and_its_restarts(brittle):
    client = brittle.client
    client("run", "--rm", "-v", "whole:/w", brittle.image, "mkdir", "-p", "/w/part").ok()
    client("run", "-d", "--name", "one", "--restart", "always", "--mount", "type=volume,src=whole,dst=/d,volume-subpath=part",
           brittle.image, "sh", "-c", "echo again >> /d/starts; sleep 60").ok()
    path = f"{brittle.data}/volumes/whole/_data/part/starts"
    wait_until(lambda: os.path.exists(path) and read(path) == "again\n", "it has started once")
    pid = int(client.inspect("one", "{{.State.Pid}}"))
    brittle.kill()
    os.kill(pid, 9)
    wait_until(lambda: read(path) == "again\nagain\n", "it is started again without a daemon")
    brittle.start()
    client("rm", "-f", "one").ok()
    assert not [mount for mount in mounts(brittle.folder) if "pins" in mount]
    assert read(path) == "again\nagain\n"
    client("volume", "rm", "whole").ok()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_attack_F10_no_link_leads_out_of_a_volume(cli, image, own_daemon):
    if cli.name == "docker-20.10":
        return  # It knows no paths inside volumes.
    flags = lambda path: ("--mount", f"type=volume,src=trap,dst=/d,volume-subpath={path}")
    cli("run", "--rm", "-v", "trap:/t", image, "sh", "-c",
        "ln -s /etc /t/abs; ln -s ../../../../../../../etc /t/rel; ln -s /proc/self/root /t/magic; mkdir /t/etc; touch /t/etc/mine").ok()
    before = mounts(own_daemon.folder)
    # A link to /etc is the volume's own.
    for name in ("abs", "rel"):
        assert cli("run", "--rm", *flags(name), image, "ls", "/d").line() == "mine", name
    for name in ("magic", "nowhere"):
        result = cli("run", "--name", "no", *flags(name), image, "ls", "/d")
        # docker takes the words for those about a program that is not there.
        assert result.code == 127 and "cannot access path" in result.err and "trap" in result.err, result
        assert cli.inspect("no", "{{.State.Status}}") == "created"
        cli("rm", "no").ok()
    for path, message in (("../x", "subpath must be a relative path within the volume"), ("/etc", "subpath must be a relative path")):
        result = cli("run", "--rm", *flags(path), image, "true")
        assert result.code == 125 and message in result.err
    anonymous = cli("run", "--rm", *("--mount", "type=volume,dst=/d,volume-subpath=x"), image, "true")
    assert anonymous.code == 125 and "must not set Subpath when using anonymous volumes" in anonymous.err
    assert mounts(own_daemon.folder) == before


def test_attack_F10_a_name_exchanged_on_the_way_shows_nothing_of_the_host(apus, image, own_daemon):
    apus("run", "--rm", "-v", "race:/r", image, "sh", "-c", "mkdir /r/real; touch /r/real/inside; ln -s /etc /r/link").ok()
    apus("run", "-d", "--name", "swap", "-v", "race:/r", image, "sh", "-c",
         "cd /r; mv real way; while :; do mv way real; mv link way; mv way link; mv real way; done").ok()
    seen = set()
    for _ in range(12):
        result = apus("run", "--rm", "--mount", "type=volume,src=race,dst=/d,volume-subpath=way", image, "ls", "/d")
        seen.add(result.out.strip() if result.code == 0 else "refused")
    assert seen <= {"inside", "refused"}, seen


def test_attack_F09_a_binds_source_is_opened_once(apus, image, tmp_path):
    """Whoever exchanges names on the host gets one of the two directories into the container, whole, and never a mixture."""
    for name in ("one", "two"):
        tmp_path.joinpath(name).mkdir()
        tmp_path.joinpath(name, name).write_text(name)
    way, spare, over = tmp_path.joinpath("way"), tmp_path.joinpath("spare"), threading.Event()
    way.symlink_to(tmp_path.joinpath("one"))

    def exchange():
        while not over.is_set():
            for name in ("two", "one"):
                spare.symlink_to(tmp_path.joinpath(name))
                spare.rename(way)

    swapper = threading.Thread(daemon=True, target=exchange)
    swapper.start()
    try:
        for _ in range(10):
            shown = apus("run", "--rm", "-v", f"{way}:/b:ro", image, "sh", "-c", "ls /b; cat /b/*; touch /b/x")
            assert shown.out.split() in (["one", "one"], ["two", "two"]) and "Read-only file system" in shown.err, shown
    finally:
        over.set()
        swapper.join()
    # What is made where a source is missing is a directory, and a link that leads nowhere is not followed to make one.
    spare.symlink_to(tmp_path.joinpath("nowhere"))
    result = apus("run", "--rm", "-v", f"{spare}:/b", image, "true")
    assert result.code == 125 and not tmp_path.joinpath("nowhere").exists()


def test_attack_F09_relabel_flags_are_accepted_and_change_nothing(cli, image, tmp_path):
    tmp_path.joinpath("f").write_text("x")
    before = os.listxattr(tmp_path) + os.listxattr(tmp_path / "f")
    for flag in ("z", "Z", "ro,Z"):
        assert cli("run", "--rm", "-v", f"{tmp_path}:/b:{flag}", "-v", f"lab:/v:{flag}", image, "cat", "/b/f").line() == "x"
    assert os.listxattr(tmp_path) + os.listxattr(tmp_path / "f") == before


def test_attack_F11_no_name_is_a_path(own_daemon, apus, image):
    for name in ("..", "../x", "a/b", ".x", "-x", "a%2fb", "a\n", "x" * 300, "%2e%2e"):
        for path, body in (("/volumes/create", {"Name": name}), ("/networks/create", {"Name": name}),
                           (f"/containers/create?name={quoted(name)}", {"Image": image})):
            if name == "x" * 300 and path.startswith("/networks"):
                continue
            status, answer = api(own_daemon, "POST", path, body)
            assert status == 400, (path, name, status, answer)
    apus("volume", "create", "good").ok()
    for name in ("..", "../../x", ".making"):
        for action in ("rename", "clone"):
            status, _ = api(own_daemon, "POST", f"/volumes/good/{action}?name={quoted(name)}")
            assert status == 400
        assert api(own_daemon, "DELETE", f"/volumes/{quoted(name)}")[0] in (400, 404)
    assert apus("volume", "ls", "-q").line() == "good"


def quoted(text):
    return "".join(f"%{byte:02x}" for byte in text.encode())


def test_attack_D15_what_is_in_a_volume_is_never_overwritten_by_the_image(cli, pulled, own_daemon):
    cli("volume", "create", "full").ok()
    data = mountpoint(cli, "full")
    with open(f"{data}/text", "w", encoding="utf-8") as file:
        file.write("mine")
    assert cli("run", "--rm", "-v", "full:/stock", pulled, "sh", "-c", "cat /stock/text; ls /stock").out == "minetext\n"


def test_attack_D15_a_volume_that_changes_while_it_is_filled_leads_nowhere(apus, pulled, own_daemon):
    """A container that has the volume already puts links to the host's files in the way of what the image brings."""
    canary = f"{own_daemon.folder}/canary"
    with open(canary, "w", encoding="utf-8") as file:
        file.write("untouched")
    for round_ in range(3):
        apus("run", "-d", "--name", "rival", "-v", "raced:/v", pulled, "sh", "-c",
             f"while :; do ln -sf {canary} /v/text; ln -s / /v/deep; rm -rf /v/text /v/deep; done").ok()
        apus("run", "--rm", "-v", "raced:/stock", pulled, "true")
        apus("rm", "-f", "rival").ok()
        apus("volume", "rm", "raced").ok()
        assert read(canary) == "untouched" and stat.S_IMODE(os.stat("/").st_mode) == 0o755, round_
    os.remove(canary)


def test_attack_D15_what_a_container_writes_while_its_volume_is_filled_is_never_lost(apus, registry, image, own_daemon):
    """One that has the volume already writes a file of its own as soon as the filling begins, and then stands in its way."""
    files = {f"many/{number}": "x" for number in range(2000)}
    oci_images.Pusher(registry.host).push("crowded", oci_images.busybox({}, [oci_images.tar(oci_images.files(files))]))
    apus("pull", "-q", f"{registry.host}/crowded").ok()
    in_the_way = " ".join(f"/v/{number}" for number in range(0, 2000, 20))
    apus("run", "-d", "--name", "rival", "-v", "raced:/v", image, "sh", "-c",
         f"until ls /v | grep -q .; do :; done; echo mine > /v/mine; mkdir {in_the_way}; sleep 600").ok()
    filled = apus("create", "-v", "raced:/many", f"{registry.host}/crowded", "true")
    data = mountpoint(apus, "raced")
    written = lambda: os.path.exists(f"{data}/mine") and read(f"{data}/mine") == "mine\n"
    wait_until(lambda: written() or filled.code != 0, "the rival has written")
    if filled.code != 0:
        assert "copy the image's /many into volume raced" in filled.err, filled
        # All that the copy made is gone, and nothing else.
        wait_until(written, "the rival's file is there")
        assert not [name for name in os.listdir(data) if os.path.isfile(f"{data}/{name}") and name != "mine"]
    assert read(f"{data}/mine") == "mine\n" and not os.path.exists(f"{os.path.dirname(data)}/copying")
    apus("rm", "-f", *apus("ps", "-aq").ok().split()).ok()
    apus("volume", "rm", "raced").ok()
    apus("rmi", f"{registry.host}/crowded").ok()


def test_feature_F04_a_volume_is_filled_once_whoever_comes_for_it_meanwhile(apus, registry, own_daemon):
    oci_images.Pusher(registry.host).push(
        "plenty", oci_images.busybox({}, [oci_images.tar(oci_images.files({f"many/{number}": "x" for number in range(3000)}))]))
    plenty = f"{registry.host}/plenty"
    apus("pull", "-q", plenty).ok()
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda _: apus("run", "--rm", "-v", "once:/many", plenty, "sh", "-c", "ls /many | wc -l"), range(4)))
    assert [each.line() for each in seen] == ["3000"] * 4
    apus("volume", "rm", "once").ok()
    apus("rmi", plenty).ok()


def test_feature_F01_volumes_are_renamed_cloned_exported_and_imported(apus, pulled, own_daemon):
    apus("volume", "create", "--label", "a=b", "old").ok()
    apus("run", "--rm", "-v", "old:/stock", pulled, "true").ok()
    assert apus("volume", "rename", "old", "new").ok() == "" and apus("volume", "ls", "-q").line() == "new"
    assert apus("run", "--rm", "-v", "new:/stock:nocopy", pulled, "cat", "/stock/text").line() == "hello"
    apus("run", "-d", "--name", "user", "-v", "new:/stock", pulled, "sleep", "60").ok()
    busy = apus("volume", "rename", "new", "other")
    assert busy.code == 1 and "rename new: volume is in use - [" in busy.err
    # A copy is made of a volume in use.
    assert apus("volume", "clone", "new", "copy").line() == "copy"
    assert apus("volume", "inspect", "-f", "{{json .Labels}}", "copy").line() == '{"a":"b"}'
    data = mountpoint(apus, "copy")
    root, text = os.stat(data), os.stat(f"{data}/text")
    assert (stat.S_IMODE(root.st_mode), root.st_uid, root.st_gid, text.st_uid, text.st_nlink) == (0o751, 7, 8, 1000, 2)
    apus("exec", "user", "sh", "-c", "echo changed > /stock/text").ok()
    assert read(f"{data}/text") == "hello"
    taken = apus("volume", "clone", "new", "copy")
    assert taken.code == 1 and "a volume with the name copy already exists" in taken.err
    # Archives hold owners, modes, links and attributes, of the volume's own directory as well.
    archive = apus("volume", "export", "copy")
    assert archive.code == 0
    with tarfile.open(fileobj=io.BytesIO(archive.raw)) as tar:
        members = {member.name.rstrip("/").removeprefix("./") or ".": member for member in tar}
    assert (members["."].uid, members["."].mode & 0o7777, members["deep/run"].mode & 0o7777) == (7, 0o751, 0o4755)
    apus("volume", "create", "back").ok()
    apus("volume", "import", "back", "-", stdin=archive.raw).ok()
    back = mountpoint(apus, "back")
    root = os.stat(back)
    assert (stat.S_IMODE(root.st_mode), root.st_uid, root.st_gid) == (0o751, 7, 8)
    assert os.getxattr(f"{back}/deep/run", "user.colour") == b"blue" and os.stat(f"{back}/text").st_nlink == 2
    for words in (("rename", "nosuch", "other"), ("clone", "nosuch", "other"), ("export", "nosuch"), ("import", "nosuch")):
        result = apus("volume", *words)
        assert result.code == 1 and "no such volume" in result.err, words
    bad = apus("volume", "import", "back", stdin=b"no archive at all" * 100)
    assert bad.code == 1 and bad.err
    update = apus("volume", "update", "back")
    assert update.code == 1 and "can only update cluster volumes" in update.err


def test_feature_F01_a_volume_that_is_given_a_name_is_not_pruned_for_having_none(apus, image, own_daemon):
    names = [apus("volume", "create", "--label", "a=b").line() for _ in range(3)]
    apus("volume", "rename", names[0], "renamed").ok()
    apus("volume", "clone", names[1], "cloned").ok()
    apus("volume", "prune", "-f").ok()
    assert apus("volume", "ls", "-q").ok().split() == ["cloned", "renamed"]
    for name in ("cloned", "renamed"):
        assert apus("volume", "inspect", "-f", "{{json .Labels}}", name).line() == '{"a":"b"}'
        # What the next daemon reads.
        assert json.loads(read(f"{own_daemon.data}/volumes/{name}/volume.json"))["labels"] == {"a": "b"}


def test_feature_F01_a_volume_whose_renaming_failed_is_what_the_disk_says(apus, own_daemon):
    name = apus("volume", "create").line()
    in_the_way = f"{own_daemon.data}/volumes/taken"
    os.makedirs(f"{in_the_way}/something")
    failed = apus("volume", "rename", name, "taken")
    assert failed.code == 1 and f"rename {name}" in failed.err, failed
    # It was written down first that somebody named it.
    assert json.loads(read(f"{own_daemon.data}/volumes/{name}/volume.json"))["labels"] == {}
    apus("volume", "prune", "-f").ok()
    assert apus("volume", "ls", "-q").line() == name and apus("volume", "inspect", "-f", "{{json .Labels}}", name).line() in ("{}", "null")
    os.removedirs(f"{in_the_way}/something")
    apus("volume", "rename", name, "taken").ok()
    apus("volume", "rm", "taken").ok()


def test_feature_F01_a_volume_of_zeros_goes_into_an_archive_and_comes_back(apus, pulled, own_daemon):
    """Limits of layers are for strangers' archives: zeros are packed a thousand to one."""
    apus("volume", "create", "zeros").ok()
    apus("volume", "create", "back").ok()
    with open(f"{mountpoint(apus, 'zeros')}/zeros", "wb") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    packed = gzip.compress(apus("volume", "export", "zeros").raw, 1)
    assert len(packed) < 3 << 20
    apus("volume", "import", "back", stdin=packed).ok()
    assert os.stat(f"{mountpoint(apus, 'back')}/zeros").st_size == 300 << 20


def test_feature_F01_an_import_leaves_room_on_the_data_roots_own_file_system(brittle):
    """As much as a layer does; what is mounted elsewhere may be filled."""
    client = brittle.client
    assert brittle.stop() == 0
    free = os.statvfs(brittle.folder)
    brittle.start("--layer-limit", f"free={min(free.f_bavail * free.f_frsize * 2, (1 << 50) - 1)}")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        member = tarfile.TarInfo("one")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    client("volume", "create", "plain").ok()
    full = client("volume", "import", "plain", stdin=content.getvalue())
    assert full.code == 1 and "bytes must stay free" in full.err, full
    assert os.listdir(mountpoint(client, "plain")) == []
    client("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "memory").ok()
    client("volume", "import", "memory", stdin=content.getvalue()).ok()


def test_feature_F01_an_archive_leads_nowhere_outside_the_volume(apus, own_daemon):
    canary = f"{own_daemon.folder}/outside"
    apus("volume", "create", "trap").ok()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, own_daemon.folder
        tar.addfile(link)
        for name in ("way/outside", "../../../../outside", "/outside"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    apus("volume", "import", "trap", stdin=content.getvalue())
    assert not os.path.exists(canary) and not os.path.exists("/outside")


def test_feature_F01_an_export_of_a_volume_whose_options_mount_something(apus, image, own_daemon, tmp_path):
    tmp_path.joinpath("there").write_text("x")
    before = mounts(own_daemon.folder)
    apus("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind", "bound").ok()
    with tarfile.open(fileobj=io.BytesIO(apus("volume", "export", "bound").raw)) as tar:
        assert any(name.endswith("there") for name in tar.getnames())
    assert mounts(own_daemon.folder) == before
    # A copy shows the same.
    apus("volume", "clone", "bound", "again").ok()
    assert apus("run", "--rm", "-v", "again:/b", image, "ls", "/b").line() == "there"


def test_feature_F05_owners_of_a_bind_are_shown_otherwise(cli, image, tmp_path):
    folder = tmp_path / "mapped"
    folder.mkdir()
    (folder / "mine").write_text("x")
    for path in (folder, folder / "mine"):
        os.chown(path, 1000, 1001)
    idmap = "idmap=uids=1000-0-1#0-1000-1;gids=1001-0-1"
    shown = cli("run", "--rm", "-v", f"{folder}:/b:{idmap}", image, "sh", "-c", "stat -c %u:%g /b/mine; touch /b/new").line()
    assert shown == "0:0"
    new = os.stat(folder / "new")
    assert (new.st_uid, new.st_gid) == (1000, 1001)
    for bad in ("idmap", "idmap=uids=x", "idmap=uids=0-0-1"):
        result = cli("run", "--rm", "-v", f"{folder}:/b:{bad}", image, "true")
        assert result.code == 125 and "invalid mode" in result.err
    if cli.name == "apus":
        mount = f"type=bind,src={folder},dst=/b,{idmap}"
        assert cli("run", "--rm", "--mount", mount, image, "stat", "-c", "%u", "/b/mine").line() == "0"


def test_feature_F05_mounts_of_the_host_pass_into_a_container_that_asks_for_them(cli, image, tmp_path):
    """In a mount namespace of the test's own, the daemon's: a bind's own mount is of the group of a shared source where that is asked for."""
    os.system(f"mount -t tmpfs outer {tmp_path} && mount --make-shared {tmp_path}")
    try:
        shown = lambda word: cli("run", "--rm", "-v", f"{tmp_path}:/t:{word}", image, "sh", "-c", "grep ' /t ' /proc/self/mountinfo").line()
        for word in ("private", "rprivate"):
            assert "shared:" not in shown(word) and "master:" not in shown(word), word
        for word in ("slave", "rslave"):
            assert "master:" in shown(word) and "shared:" not in shown(word), word
        for word in ("shared", "rshared"):
            assert "shared:" in shown(word), word
    finally:
        os.system(f"umount -R {tmp_path}")


def test_feature_F08_filters_of_volumes(cli, image):
    for name, labels in (("aa", ["k=1"]), ("bb", ["k=2", "other"]), ("cc", [])):
        cli("volume", "create", *(word for label in labels for word in ("--label", label)), name).ok()
    cli("create", "--name", "user", "-v", "cc:/c", image).ok()
    listed = lambda *filters: cli("volume", "ls", "-q", *(word for each in filters for word in ("-f", each))).ok().split()
    assert listed("label=k") == ["aa", "bb"] and listed("label=k=2") == ["bb"] and listed("label=k", "label=other") == ["bb"]
    assert listed("name=aa", "name=cc") == ["aa", "cc"] and listed("name=^a") == ["aa"] and listed("driver=local", "name=b") == ["bb"]
    assert listed("dangling=true") == ["aa", "bb"] and listed("dangling=0") == ["cc"]
    assert "invalid filter 'dangling=" in cli("volume", "ls", "-f", "dangling=maybe").err
    everything = [] if cli.name == "docker-20.10" else ["-a"]
    cli("volume", "prune", "-f", *everything, "--filter", "label!=k=1").ok()
    assert listed() == ["aa", "cc"]
    cli("volume", "prune", "-f", *everything, "--filter", "label=nosuch").ok()
    cli("volume", "prune", "-f", *everything, "--filter", "label=k").ok()
    assert listed() == ["cc"]


def test_a_stopped_containers_volumes_are_among_its_files(cli, image, tmp_path):
    if cli.name == "apus":
        return  # It has no cp yet.
    tmp_path.joinpath("f").write_text("copied")
    cli("create", "--name", "idle", "-v", "kept:/k", image, "cat", "/k/f").ok()
    # Its first start makes the place where the volume is seen.
    assert cli("start", "-a", "idle").code == 1
    cli("cp", str(tmp_path / "f"), "idle:/k/f").ok()
    assert read(f"{mountpoint(cli, 'kept')}/f") == "copied"
    assert cli("start", "-a", "idle").line() == "copied"
