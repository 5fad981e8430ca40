"""Rows F01-F05, F08 and P02 where something is in the way: mounts that the host made read-only, files that cannot be unlinked, descriptions that
cannot be read, volumes that change while they are read, and what a create that was killed leaves behind."""

import contextlib
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile

import pytest

import leaks
from engine_http import api
from processes import wait_until


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def unmount_below(folder):
    for place in reversed(leaks.mounts(folder)):
        subprocess.run(["umount", place], check=True)


@pytest.fixture(autouse=True)
def no_volume_stays(request, nothing_left_behind):
    apus = request.getfixturevalue("apus") if "daemon" in request.fixturenames else None
    yield
    if apus:
        if names := apus("ps", "-aq").ok().split():
            apus("rm", "-f", *names)
        apus("volume", "prune", "-af").ok()
        assert apus("volume", "ls", "-q").line() == ""


@pytest.fixture
def sealed(tmp_path):
    """A folder that the host mounted read-only, in one that may be written."""
    folder = tmp_path / "outer" / "sealed"
    folder.mkdir(parents=True)
    mount("--bind", folder, folder)
    mount("-o", "remount,bind,ro", folder)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_feature_F05_what_the_host_mounted_read_only_is_read_only_in_a_container(apus, image, sealed, own_daemon):
    apus("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={sealed}", "plain").ok()
    open_folder = sealed.parent / "open"
    (open_folder / "deep").mkdir(parents=True)
    apus("volume", "create", "-o", "type=none", "-o", "o=bind,ro", "-o", f"device={open_folder}", "asked").ok()
    apus("volume", "create", "-o", "type=tmpfs", "-o", "o=ro", "-o", "device=tmpfs", "memory").ok()
    for place, flags in (
        ("/x", ("-v", f"{sealed}:/x")), ("/x", ("-v", f"{sealed}:/x:rw")), ("/x/sealed", ("-v", f"{sealed.parent}:/x")),
        ("/x", ("--mount", f"type=bind,src={sealed},dst=/x")), ("/x", ("-v", "plain:/x")), ("/x", ("-v", "asked:/x")),
        ("/x", ("--mount", "type=volume,src=asked,dst=/x,volume-subpath=deep")), ("/x", ("-v", "memory:/x")),
    ):
        script = f"touch {place}/w; grep ' {place} ' /proc/self/mountinfo | cut -d ' ' -f 6"
        result = apus("run", "--rm", *flags, image, "sh", "-c", script)
        assert "Read-only file system" in result.err and result.ok().split(",")[0].strip() == "ro", (flags, result)
    assert not os.listdir(sealed) and os.listdir(open_folder) == ["deep"] and not os.listdir(open_folder / "deep")
    # What is beside it is written as before.
    apus("run", "--rm", "-v", f"{sealed.parent}:/x", image, "touch", "/x/w").ok()
    assert (sealed.parent / "w").exists()


def test_feature_F08_a_volume_that_cannot_be_erased_or_read_keeps_nobody_from_the_others(brittle):
    client, volumes = brittle.client, f"{brittle.data}/volumes"
    for name in ("stuck", "damaged", "fine"):
        client("volume", "create", name).ok()
    # What is mounted inside is as little to be unlinked as what is immutable, on every file system.
    os.mkdir(f"{volumes}/stuck/_data/inside")
    mount("-t", "tmpfs", "tmpfs", f"{volumes}/stuck/_data/inside")
    with contextlib.ExitStack() as stack:
        stack.callback(unmount_below, volumes)
        assert client("volume", "rm", "stuck").line() == "stuck"
        assert client("volume", "ls", "-q").ok().split() == ["damaged", "fine"]
        assert "volume stuck is removed, but for what cannot be erased" in brittle.log()
        # The name is free, also to be removed again.
        assert client("volume", "create", "stuck").line() == "stuck"
        client("run", "--rm", "-v", "stuck:/x", brittle.image, "touch", "/x/y").ok()
        client("volume", "rm", "stuck").ok()
        # A volume whose folder somebody took away is no reason to prune none.
        client("volume", "create", "emptied").ok()
        shutil.rmtree(f"{volumes}/emptied/_data")
        client("volume", "create", "--label", "pruned", "whole").ok()
        client("volume", "create", "--label", "pruned", "later").ok()
        assert set(client("volume", "prune", "-af", "--filter", "label=pruned").ok().split()) >= {"whole", "later"}
        brittle.kill()
        with open(f"{volumes}/damaged/volume.json", "w", encoding="utf-8") as file:
            file.write("{")
        brittle.start()
        assert client("volume", "ls", "-q").ok().split() == ["damaged", "emptied", "fine"]
        assert len(leaks.mounts(volumes)) == 1 and "what was removed cannot be erased" in brittle.log()
    client("volume", "rm", "emptied").ok()
    refused = client("run", "--rm", "-v", "damaged:/x", brittle.image, "true")
    assert refused.code == 125 and "volume damaged" in refused.err and "volume rm" in refused.err
    refused = client("volume", "create", "damaged")
    assert refused.code == 1 and "volume rm" in refused.err
    # Nobody knows who named it: only by its name it is removed.
    client("volume", "prune", "-af").ok()
    assert os.path.exists(f"{volumes}/damaged") and client("volume", "rm", "damaged").line() == "damaged"
    assert client("volume", "create", "damaged").line() == "damaged"
    brittle.kill()
    brittle.start()
    assert os.listdir(f"{volumes}/.trash") == []
    client("volume", "prune", "-af").ok()


def test_a_root_that_cannot_be_erased_keeps_nobody_from_the_images(brittle):
    client, overlays = brittle.client, f"{brittle.data}/snapshots/overlayfs"
    client("create", "--name", "stuck", brittle.image, "true").ok()
    (root,) = os.listdir(f"{overlays}/active")
    os.mkdir(f"{overlays}/active/{root}/fs/inside")
    mount("-t", "tmpfs", "tmpfs", f"{overlays}/active/{root}/fs/inside")
    with contextlib.ExitStack() as stack:
        stack.callback(unmount_below, overlays)
        for _ in range(2):
            client("rm", "stuck")
        client("create", "--name", "other", brittle.image, "true").ok()
        client("rm", "other").ok()
        brittle.kill()
        brittle.start()
        assert len(leaks.mounts(overlays)) == 1 and "overlayfs is not used" not in brittle.log()
        assert "what was removed cannot be erased" in brittle.log()
        client("run", "--rm", brittle.image, "true").ok()
    if client("ps", "-aq").ok():
        client("rm", "stuck").ok()
    brittle.kill()
    brittle.start()
    assert os.listdir(f"{overlays}/trash") == [] == os.listdir(f"{overlays}/active")


def test_feature_C15_F08_what_a_create_or_a_run_that_was_killed_made_goes_at_the_next_start(brittle):
    client, volumes = brittle.client, f"{brittle.data}/volumes"
    client("create", "--rm", "--name", "disposable", "-v", "/own", brittle.image, "true").ok()
    client("create", "--name", "stays", "-v", "/own", brittle.image, "true").ok()
    client("run", "-d", "--rm", "--name", "runs", "-v", "/own", brittle.image, "sleep", "600").ok()
    client("run", "--name", "removed", "-v", "/own", brittle.image, "true").ok()
    of = lambda name: client.inspect(name, "{{(index .Mounts 0).Name}}")
    gone, left, running, kept = of("disposable"), of("stays"), of("runs"), of("removed")
    # Docker's word: without -v they stay.
    client("rm", "removed").ok()
    free = client("volume", "create").line()
    lost, named = "0" * 64, "named"
    client("volume", "create", named).ok()
    brittle.kill()
    # As a daemon leaves it that is killed before the container is on record, or just after it.
    shutil.copytree(f"{volumes}/{kept}", f"{volumes}/{lost}", symlinks=True)
    for name in (lost, left):
        assert not os.path.lexists(f"{volumes}/{name}/maker")
        os.symlink("f" * 64, f"{volumes}/{name}/maker")
    brittle.start()
    assert sorted(client("ps", "-a", "--format", "{{.Names}}").ok().split()) == ["runs", "stays"]
    assert set(client("volume", "ls", "-q").ok().split()) == {left, running, kept, free, named}
    assert not os.path.exists(f"{volumes}/{gone}") and not os.path.lexists(f"{volumes}/{left}/maker")
    client("rm", "-f", "-v", "runs", "stays").ok()
    assert set(client("volume", "ls", "-q").ok().split()) == {kept, free, named}
    client("volume", "rm", kept, free, named).ok()


def test_P02_a_volume_in_memory_stays_with_a_container_whose_start_was_not_recorded(brittle):
    client, volumes = brittle.client, f"{brittle.data}/volumes"
    client("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory").ok()
    client("run", "-d", "--name", "first", "-v", "memory:/m", brittle.image, "sh", "-c", "echo kept > /m/file; exec sleep 600").ok()
    wait_until(lambda: client("exec", "first", "cat", "/m/file").out == "kept\n", "it has written")
    brittle.kill()
    # As it lies on the disk between the start of the process and its record.
    with contextlib.closing(sqlite3.connect(f"{brittle.data}/engine.sqlite")) as records, records:
        ((state, document),) = records.execute("SELECT state, document FROM container").fetchall()
        assert state == "running" and document.count(b'"phase":"running"') == 1
        records.execute("UPDATE container SET state = 'created', document = ?", (document.replace(b'"phase":"running"', b'"phase":"created"'),))
    brittle.start()
    assert client.inspect("first", "{{.State.Status}}") == "running" and len(leaks.mounts(volumes)) == 1
    assert client("run", "--rm", "-v", "memory:/m", brittle.image, "cat", "/m/file").line() == "kept"
    client("stop", "-t", "0", "first").ok()
    wait_until(lambda: not leaks.mounts(volumes), "nobody uses it")
    # One that ended while there was no daemon keeps nothing.
    client("start", "first").ok()
    assert len(leaks.mounts(volumes)) == 1
    pid = int(client.inspect("first", "{{.State.Pid}}"))
    brittle.kill()
    os.kill(pid, signal.SIGKILL)
    brittle.start()
    wait_until(lambda: client.inspect("first", "{{.State.Status}}") == "exited", "its end is known")
    wait_until(lambda: not leaks.mounts(volumes), "nobody uses it")
    client("rm", "first").ok()
    client("volume", "rm", "memory").ok()


def test_feature_F01_a_volume_in_memory_takes_an_archive_of_what_it_has_room_for(apus, own_daemon):
    apus("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "small").ok()
    def archive(size):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            member = tarfile.TarInfo("a.txt")
            member.size = size
            tar.addfile(member, io.BytesIO(b"x" * size))
        return content.getvalue()
    assert apus("volume", "import", "small", stdin=archive(2)).ok() == ""
    full = apus("volume", "import", "small", stdin=archive(2 << 20))
    assert full.code == 1 and "a.txt" in full.err and "ENOSPC" in full.err and "layer" not in full.err, full


def test_feature_F01_an_archive_of_a_volume_has_its_holes(apus, own_daemon, tmp_path):
    hole = 1 << 30
    for name in ("sparse", "back"):
        apus("volume", "create", name).ok()
    data, back = (f"{own_daemon.data}/volumes/{name}/_data" for name in ("sparse", "back"))
    parts = {"holes": (0, hole, 3 * hole), "ends": (5 << 20,), "begins": ()}
    for name, places in parts.items():
        with open(f"{data}/{name}", "wb") as file:
            for place in places:
                file.seek(place)
                file.write(b"data")
            file.truncate(4 * hole if name != "ends" else file.tell())
    archive = apus("volume", "export", "sparse")
    assert archive.code == 0 and len(archive.raw) < 1 << 20
    apus("volume", "import", "back", stdin=archive.raw).ok()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    subprocess.run(["tar", "-x", "-C", theirs], input=archive.raw, check=True, timeout=60)
    for name, places in parts.items():
        for folder in (back, theirs):
            status = os.stat(f"{folder}/{name}")
            assert (status.st_size, status.st_blocks < 2048) == (os.stat(f"{data}/{name}").st_size, True), (folder, name)
            with open(f"{folder}/{name}", "rb") as file:
                for place in places:
                    file.seek(place)
                    assert file.read(8).rstrip(b"\0") == b"data"
    with tarfile.open(fileobj=io.BytesIO(archive.raw)) as tar:
        assert {member.name.removeprefix("./"): member.size for member in tar if member.isreg()} == {
            "holes": 4 * hole, "begins": 4 * hole, "ends": (5 << 20) + 4}


def test_feature_F01_a_volume_is_measured_and_cloned_while_its_files_come_and_go(apus, image, own_daemon):
    script = "while :; do mkdir -p /v/d/e; for n in 1 2 3 4 5 6 7 8; do echo x > /v/$n; echo x > /v/d/e/$n; done; rm -rf /v/*; done"
    for number in range(2):
        apus("run", "-d", "--name", f"busy{number}", "-v", "busy:/v", image, "sh", "-c", script.replace("/v/", f"/v/{number}-")).ok()
    for number in range(12):
        apus("volume", "clone", "busy", f"copy{number}").ok()
        status, answer = api(own_daemon, "GET", "/system/df?type=volume")
        assert status == 200, answer
    apus("rm", "-f", "busy0", "busy1").ok()


def test_feature_F01_options_without_a_value_mount_nothing_and_a_servers_name_is_looked_up(apus, image, own_daemon, tmp_path):
    empty = [word for option in ("type", "device", "o") for word in ("-o", f"{option}=")]
    apus("volume", "create", *empty, "plain").ok()
    apus("run", "--rm", "-v", "plain:/x", image, "touch", "/x/y").ok()
    assert os.listdir(f"{own_daemon.data}/volumes/plain/_data") == ["y"]
    half = apus("volume", "create", "-o", "type=none", "-o", "device=", "half")
    assert half.code == 1 and 'missing required option: "device"' in half.err
    apus("volume", "create", "-o", "type=", "-o", f"device={tmp_path}", "-o", "o=bind", "bound").ok()
    apus("run", "--rm", "-v", "bound:/x", image, "touch", "/x/there").ok()
    assert os.listdir(tmp_path) == ["there"]
    # No name of a host has an empty component: no server is asked for it.
    secret = "o=addr=no..such,username=u,password=hush"
    for type_ in ("nfs", "nfs4", "cifs"):
        apus("volume", "create", "-o", f"type={type_}", "-o", "device=:/srv", "-o", secret, type_).ok()
        failed = apus("run", "--rm", "-v", f"{type_}:/x", image, "true")
        assert failed.code == 125 and "look up no..such" in failed.err and "hush" not in failed.err, failed
    assert "hush" not in own_daemon.log()


def test_feature_F02_volumes_of_no_container_are_an_invalid_request_not_a_missing_image(cli, image, own_daemon):
    status, answer = api(own_daemon, "POST", "/containers/create", {"Image": image, "HostConfig": {"VolumesFrom": ["nosuch"]}})
    assert (status, answer["message"]) == (400, "No such container: nosuch")
    refused = cli("run", "--rm", "--volumes-from", "nosuch", image, "true")
    assert refused.code == 125 and "No such container: nosuch" in refused.err and "Unable to find image" not in refused.err
