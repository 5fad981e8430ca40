"""Files in and out of containers: C01-C07 of the attacks, and docker's own ways to copy, export and compare."""
# Rows: attacks

import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time

import oci_images
import pytest

import leaks
from engine_http import Connection, api, stream
from oci_images import Image, Pusher, busybox_layer
from processes import PATIENCE, stop, wait_until


def archive(daemon, name, path, method="GET", expect=200):
    """The status document and, of a GET, the tar."""
    connection = Connection(daemon.socket)
    connection.request(method, f"/containers/{name}/archive?path={path}")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == expect, body
    if expect != 200:
        return json.loads(body)["message"] if body else None
    stat = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
    return stat, tarfile.open(fileobj=io.BytesIO(body)) if method == "GET" else None


def put(daemon, name, path, body, expect=200, query=""):
    connection = Connection(daemon.socket)
    connection.request("PUT", f"/containers/{name}/archive?path={path}{query}", body, {"Content-Type": "application/x-tar"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == expect, (answer.status, text)
    return json.loads(text)["message"] if text else None


def tar(*members, mode="w"):
    """A tar of (name, type, data or target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, kind, data in members:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            entry.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            if kind == tarfile.REGTYPE:
                entry.size = len(data)
                file.addfile(entry, io.BytesIO(data))
            else:
                entry.linkname = data or ""
                file.addfile(entry)
    return buffer.getvalue()


def regular(name, data=b"data"):
    return (name, tarfile.REGTYPE, data)


@pytest.fixture(params=["running", "stopped"])
def box(request, apus, image):
    """A container with some files, running or not."""
    script = "mkdir -p /box/below; echo one > /box/one; echo two > /box/below/two; ln -s /box/one /box/link; ln -s /box /way; sleep 600"
    apus("run", "-d", "--name", "box", image, "sh", "-c", script).ok()
    wait_until(lambda: apus("exec", "box", "ls", "/way/one").code == 0, "the files are there")
    if request.param == "stopped":
        apus("kill", "box").ok()
        apus("wait", "box").ok()
    return "box"


# The API


def test_a_file_a_directory_and_its_contents_are_read(own_daemon, box):
    stat, files = archive(own_daemon, box, "/box/one")
    assert (stat["name"], stat["size"], stat["mode"], stat["linkTarget"]) == ("one", 4, 0o644, "")
    assert files.getnames() == ["one"] and files.extractfile("one").read() == b"one\n"
    stat, files = archive(own_daemon, box, "/box")
    assert stat["mode"] == 1 << 31 | 0o755
    assert sorted(files.getnames()) == ["box", "box/below", "box/below/two", "box/link", "box/one"]
    assert sorted(archive(own_daemon, box, "/box/.")[1].getnames()) == [".", "./below", "./below/two", "./link", "./one"]
    assert archive(own_daemon, box, "/way/below/two")[1].getnames() == ["two"]


def test_a_link_is_told_and_read_as_a_link_unless_a_directory_is_meant(own_daemon, box):
    stat, _ = archive(own_daemon, box, "/box/link", method="HEAD")
    assert (stat["linkTarget"], stat["mode"] & 1 << 27) == ("/box/one", 1 << 27)
    assert archive(own_daemon, box, "/way")[1].getmember("way").issym()
    assert "way/one" in archive(own_daemon, box, "/way/")[1].getnames()


def test_what_is_not_there_is_refused_in_dockers_words(own_daemon, box):
    assert archive(own_daemon, box, "/nosuch", expect=404) == "Could not find the file /nosuch in container box"
    assert archive(own_daemon, box, "/nosuch", method="HEAD", expect=404) is None
    assert archive(own_daemon, "nobody", "/x", expect=404) == "No such container: nobody"
    assert "path" in archive(own_daemon, box, "", expect=400)
    assert put(own_daemon, box, "/nosuch", tar(regular("x")), expect=404) == "Could not find the file /nosuch in container box"
    assert put(own_daemon, box, "/box/one", tar(regular("x")), expect=400) == "extraction point is not a directory"


def test_an_archive_is_unpacked_where_the_path_leads(own_daemon, apus, box):
    put(own_daemon, box, "/way/below", tar(("new", tarfile.DIRTYPE, None), regular("new/file", b"put"), regular("two", b"2")))
    assert archive(own_daemon, box, "/box/below/new/file")[1].extractfile("file").read() == b"put"
    assert archive(own_daemon, box, "/box/below/two")[1].extractfile("two").read() == b"2"
    assert json.loads(apus("inspect", "-f", "{{json .State.Status}}", box).ok()) in ("running", "exited")


@pytest.mark.parametrize("mode", ["w:gz", "w", "w:xz", "w:bz2"])
def test_C02_a_compressed_body_is_unpacked_in_the_daemon(own_daemon, apus, image, mode):
    """The container's own gzip and unpigz are traps: whoever runs one leaves a mark."""
    script = "for name in gzip unpigz xz bzip2 tar zstd; do printf '#!/bin/sh\\ntouch /trapped' > /usr/bin/$name; chmod 755 /usr/bin/$name; done; sleep 600"
    apus("run", "-d", "--name", "traps", image, "sh", "-c", f"mkdir -p /usr/bin; {script}").ok()
    wait_until(lambda: apus("exec", "traps", "ls", "/usr/bin/zstd").code == 0, "the traps are set")
    put(own_daemon, "traps", "/tmp", tar(regular("inside", b"unpacked"), mode=mode))
    assert apus("exec", "traps", "cat", "/tmp/inside").ok() == "unpacked"
    archive(own_daemon, "traps", "/tmp")
    assert apus("exec", "traps", "ls", "/trapped").code == 1


def test_a_body_that_is_no_tar_is_refused(own_daemon, box):
    assert put(own_daemon, box, "/", b"no tar at all" * 100, expect=400)


def test_kinds_are_kept_where_the_client_says_so(own_daemon, box):
    keep = "&noOverwriteDirNonDir=1"
    assert "cannot overwrite directory with non-directory" in put(own_daemon, box, "/box", tar(regular("below")), expect=400, query=keep)
    assert "cannot overwrite non-directory with directory" in put(
        own_daemon, box, "/box", tar(("one", tarfile.DIRTYPE, None)), expect=400, query=keep)
    put(own_daemon, box, "/box", tar(regular("below", b"file now")))
    assert archive(own_daemon, box, "/box/below")[1].extractfile("below").read() == b"file now"


def test_what_is_unpacked_belongs_to_the_containers_user_where_asked(own_daemon, apus, image):
    apus("run", "-d", "--name", "anns", "-u", "ann", image, "sleep", "600").ok()
    put(own_daemon, "anns", "/tmp", tar(regular("mine")), query="&copyUIDGID=true")
    put(own_daemon, "anns", "/tmp", tar(regular("roots")))
    assert apus("exec", "anns", "stat", "-c", "%u:%g", "/tmp/mine", "/tmp/roots").ok().split() == ["1000:1000", "0:0"]


def test_read_only_places_are_kept(own_daemon, apus, image, tmp_path):
    apus("run", "-d", "--name", "closed", "--read-only", "-v", f"{tmp_path}:/open", "-v", "/tmp:/shut:ro", image, "sleep", "600").ok()
    assert put(own_daemon, "closed", "/etc", tar(regular("x")), expect=403) == "container rootfs is marked read-only"
    assert put(own_daemon, "closed", "/shut", tar(regular("x")), expect=403) == "mounted volume is marked read-only"
    put(own_daemon, "closed", "/open", tar(regular("x", b"through")))
    assert (tmp_path / "x").read_bytes() == b"through"
    apus("kill", "closed").ok()
    apus("wait", "closed").ok()
    put(own_daemon, "closed", "/open", tar(regular("y", b"stopped")))
    assert (tmp_path / "y").read_bytes() == b"stopped"
    assert sorted(archive(own_daemon, "closed", "/open/.")[1].getnames()) == [".", "./x", "./y"]


def test_the_files_in_etc_are_those_that_the_container_sees_also_when_it_does_not_run(own_daemon, cli, image):
    cli("run", "--name", "ended", "--hostname", "here", "--add-host", "far:192.0.2.7", image, "true").ok()
    for path, words in [("/etc/hosts", b"192.0.2.7\tfar\n"), ("/etc/hostname", b"here\n"), ("/etc/resolv.conf", b"nameserver")]:
        name = path.rsplit("/", 1)[1]
        assert words in archive(own_daemon, "ended", path)[1].extractfile(name).read()
        # What lies below would be lost at the next start.
        assert "EBUSY" in put(own_daemon, "ended", "/etc", tar(regular(name, b"lost")), expect=500)
        assert words in archive(own_daemon, "ended", path)[1].extractfile(name).read()


def test_a_file_that_is_mounted_in_a_running_container_is_not_taken_away_by_one_put_in_its_place(own_daemon, cli, image):
    cli("run", "-d", "--name", "held", "--add-host", "far:192.0.2.7", image, "sleep", "600").ok()
    assert "EBUSY" in put(own_daemon, "held", "/etc", tar(regular("hosts", b"lost")), expect=500)
    assert "EBUSY" in put(own_daemon, "held", "/etc", tar(("hosts", tarfile.DIRTYPE, None)), expect=500)
    assert "EBUSY" in put(own_daemon, "held", "/", tar(regular("etc", b"lost")), expect=500)
    assert "192.0.2.7" in cli("exec", "held", "cat", "/etc/hosts").ok()


def test_what_is_bound_is_read_before_the_first_start_where_the_image_has_no_place_for_it(own_daemon, apus, image, tmp_path):
    (tmp_path / "f").write_text("bound")
    flags = ["-v", f"{tmp_path}:/deep/below", "-v", f"{tmp_path}/f:/deep/file"]
    apus("create", "--name", "fresh", *flags, image, "cat", "/deep/below/f", "/deep/file").ok()
    assert archive(own_daemon, "fresh", "/deep/below/f")[1].extractfile("f").read() == b"bound"
    assert archive(own_daemon, "fresh", "/deep/file")[1].extractfile("file").read() == b"bound"
    assert archive(own_daemon, "fresh", "/nosuch", expect=404) == "Could not find the file /nosuch in container fresh"
    assert apus("start", "-a", "fresh").ok() == "boundbound"


# The attacks


def test_C06_an_archive_does_not_leave_the_container(own_daemon, apus, box, tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("as it was")
    for members in ([regular(f"../../../../../..{canary}")], [regular("a/../../x")]):
        assert put(own_daemon, box, "/box", tar(*members), expect=400)
    # An absolute name, and a link that leads out: both are taken inside the container's root.
    put(own_daemon, box, "/box", tar(regular("/absolute", b"in"), ("out", tarfile.SYMTYPE, str(tmp_path)), regular("out2")))
    assert archive(own_daemon, box, "/box/absolute")[1].extractfile("absolute").read() == b"in"
    put(own_daemon, box, "/box", tar(("far", tarfile.SYMTYPE, "/way"), regular("far/through", b"here")), expect=200)
    assert archive(own_daemon, box, "/box/through")[1].extractfile("through").read() == b"here"
    assert put(own_daemon, box, "/box", tar(("out", tarfile.SYMTYPE, str(tmp_path)), regular("out/canary", b"gone")), expect=400)
    assert put(own_daemon, box, "/box", tar(("hard", tarfile.LNKTYPE, str(canary))), expect=400)
    assert canary.read_text() == "as it was" and os.listdir(tmp_path) == ["canary"]


def test_C03_a_link_that_is_swapped_meanwhile_leads_nowhere_else(own_daemon, apus, image, tmp_path):
    """The container exchanges a directory for a link to the host's folder, as fast as it can."""
    (tmp_path / "secret").write_text("of the host")
    script = (f"mkdir /real; echo inside > /real/secret; ln -s {tmp_path} /evil; "
              "while :; do ln -sfn /real /swap; ln -sfn /evil /swap; mv -T /real /r2; mv -T /r2 /real; done")
    apus("run", "-d", "--name", "racer", image, "sh", "-c", script).ok()
    wait_until(lambda: apus("exec", "racer", "ls", "-d", "/swap").code == 0, "the race has begun")
    end = time.monotonic() + 4
    read = 0
    while time.monotonic() < end or (not read and time.monotonic() < end + 60 * PATIENCE):
        connection = Connection(own_daemon.socket)
        connection.request("GET", "/containers/racer/archive?path=/swap/secret")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status == 200:
            read += 1
            assert b"of the host" not in body
        connection = Connection(own_daemon.socket)
        connection.request("PUT", "/containers/racer/archive?path=/swap", tar(regular("planted")))
        connection.getresponse().read()
        connection.close()
    assert read > 0, "the race never let a read through"
    assert os.listdir(tmp_path) == ["secret"]


def test_C04_nothing_is_mounted_for_a_copy(own_daemon, apus, image, tmp_path):
    apus("run", "-d", "--name", "held", "-v", f"{tmp_path}:/data", image, "sleep", "600").ok()
    before = subprocess.run(["cat", "/proc/self/mountinfo"], capture_output=True, check=True).stdout
    seen = []
    done = threading.Event()

    def watch():
        while not done.is_set():
            with open("/proc/self/mountinfo", "rb") as file:
                seen.append(file.read())

    watcher = threading.Thread(daemon=True, target=watch)
    watcher.start()
    try:
        for _ in range(20):
            put(own_daemon, "held", "/data", tar(regular("x")))
            archive(own_daemon, "held", "/data")
    finally:
        done.set()
        watcher.join()
    assert all(table == before for table in seen)


def test_C01_nothing_of_the_container_is_loaded_or_run(own_daemon, apus, box):
    """The daemon starts no process for a copy, and maps no file of the container, not even for a moment at its end."""
    def started():
        return subprocess.run(["pgrep", "-P", str(own_daemon.process.pid)], capture_output=True, check=False).stdout

    def mapped():
        with open(f"/proc/{own_daemon.process.pid}/maps", encoding="utf-8") as file:
            return {line.split(maxsplit=5)[5] for line in file if len(line.split(maxsplit=5)) == 6}

    archive(own_daemon, box, "/etc")
    before = started(), mapped()
    for _ in range(5):
        put(own_daemon, box, "/tmp", tar(regular("x")), query="&copyUIDGID=1")
        archive(own_daemon, box, "/etc")
    assert started() == before[0]
    assert not [path for path in mapped() - before[1] if ".so" in path]


PLANTED = [f"{folder}/{name}" for folder in ("lib", "lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
           for name in ("libnss_files.so.2", "libnss_compat.so.2", "libnss_dns.so.2", "liblzma.so.5", "libz.so.1")]


def test_C01_C02_for_files_of_a_container_no_program_begins_and_none_of_its_own_is_mapped(brittle, tmp_path):
    """As the kernel is asked for it by the daemon, at any moment: what was over at once would leave nothing to look at."""
    members = [regular(name, b"\x7fELF nonsense") for name in PLANTED]
    evil = [regular(f"{folder}/{name}", b"#!/bin/sh\ntouch /ran\n")
            for folder in ("bin", "usr/bin", "sbin") for name in ("xz", "unxz", "unpigz", "gzip", "tar")]
    brittle.client("run", "-d", "--name", "trap", "--network", "none", brittle.image, "sleep", "600").ok()
    put(brittle, "trap", "/", tar(*members, *evil))
    trace = tmp_path / "trace"
    watch = subprocess.Popen(
        ["strace", "-f", "-qq", "-y", "-e", "signal=none", "-e", "trace=execve,execveat,mmap", "-o", trace, "-p", str(brittle.process.pid)])

    def is_watched():
        tasks = f"/proc/{brittle.process.pid}/task"
        try:
            return all(f"TracerPid:\t{watch.pid}\n" in open(f"{tasks}/{task}/status", encoding="utf-8").read() for task in os.listdir(tasks))
        except (FileNotFoundError, ProcessLookupError):
            # One that rested has ended meanwhile.
            return False

    try:
        wait_until(is_watched, "each thread is watched")
        for mode in ("w", "w:gz", "w:xz", "w:bz2"):
            put(brittle, "trap", "/tmp", tar(regular("x"), mode=mode), query="&copyUIDGID=1")
        archive(brittle, "trap", "/etc")
        archive(brittle, "trap", "/lib", method="HEAD")
        assert api(brittle, "GET", "/containers/trap/changes", expect=200)[1]
        whole = subprocess.run(["curl", "-s", "--unix-socket", brittle.socket, "http://d/containers/trap/export"], capture_output=True, timeout=60, check=True)
        assert PLANTED[0] in tarfile.open(fileobj=io.BytesIO(whole.stdout)).getnames()
        brittle.client("commit", "trap", "trap:kept").ok()
        brittle.client("rmi", "trap:kept").ok()
    finally:
        # Before its end strace lets go of whom it watches.
        stop(watch)
    lines = trace.read_text(errors="replace").splitlines()
    assert any("mmap(" in line for line in lines), "something was seen"
    assert [line for line in lines if "execve" in line or ("PROT_EXEC" in line and "<" in line.partition("mmap(")[2])] == []
    assert brittle.client("exec", "trap", "test", "-e", "/ran").code == 1


def test_C05_a_file_that_becomes_a_link_is_not_followed(own_daemon, apus, image, tmp_path):
    (tmp_path / "secret").write_text("of the host")
    apus("run", "-d", "--name", "sly", image, "sh", "-c", f"mkdir /d; ln -s {tmp_path}/secret /d/x; sleep 600").ok()
    wait_until(lambda: apus("exec", "sly", "ls", "/d/x").code in (0, 1) and apus("exec", "sly", "ls", "/d").out, "the link is there")
    assert archive(own_daemon, "sly", "/d")[1].getmember("d/x").issym()
    # A directory is meant, and there is none: not that of the host.
    assert archive(own_daemon, "sly", "/d/x/", expect=404)


def test_C07_pipes_devices_and_sockets_are_not_opened(own_daemon, apus, image):
    script = "mkdir /odd; mkfifo /odd/pipe; mknod /odd/zero c 1 5; truncate -s 5G /odd/sparse; nc -l -U /odd/socket & sleep 600"
    apus("run", "-d", "--name", "odd", image, "sh", "-c", script).ok()
    wait_until(lambda: apus("exec", "odd", "ls", "/odd/sparse").code == 0, "the files are there")
    apus("exec", "odd", "rm", "/odd/sparse").ok()
    begin = time.monotonic()
    names = archive(own_daemon, "odd", "/odd")[1]
    assert names.getmember("odd/pipe").isfifo() and names.getmember("odd/zero").ischr()
    assert time.monotonic() - begin < 30 * PATIENCE
    whole = subprocess.run(["curl", "-s", "--unix-socket", own_daemon.socket, "http://d/containers/odd/export"], capture_output=True,
                           timeout=60, check=True).stdout
    assert "odd/pipe" in tarfile.open(fileobj=io.BytesIO(whole)).getnames()
    _, changes = api(own_daemon, "GET", "/containers/odd/changes", expect=200)
    assert {"Path": "/odd/pipe", "Kind": 1} in changes
    # A socket is what listens at it: like Docker's, an image has none.
    apus("commit", "odd", "odd:kept").ok()
    try:
        kinds = apus("run", "--rm", "--network", "none", "odd:kept", "stat", "-c", "%n %F", "/odd/pipe", "/odd/zero").ok()
        assert kinds.splitlines() == ["/odd/pipe fifo", "/odd/zero character special file"]
    finally:
        apus("rmi", "-f", "odd:kept").ok()


def test_C11_a_client_that_leaves_in_the_middle_costs_nothing(own_daemon, apus, image):
    apus("run", "-d", "--name", "big", image, "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=64 2> /dev/null; sleep 600").ok()
    wait_until(lambda: apus("exec", "big", "stat", "-c", "%s", "/big").out.strip() == str(64 << 20), "the file is whole")
    descriptors = f"/proc/{own_daemon.process.pid}/fd"
    before = len(os.listdir(descriptors))
    for _ in range(10):
        half = stream(own_daemon.socket)
        half.sendall(b"GET /containers/big/archive?path=/big HTTP/1.1\r\nHost: d\r\n\r\n")
        half.recv(1000)
        half.close()
        half = stream(own_daemon.socket)
        half.sendall(b"PUT /containers/big/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\nhalf")
        half.close()
    wait_until(lambda: len(os.listdir(descriptors)) <= before + 2, "the descriptors are closed", seconds=20)


def test_C11_who_attaches_and_leaves_over_and_over_costs_nothing(own_daemon, apus, image):
    """Neither at the daemon nor at the shim, whether they hear an answer or not, nor do processes that are asked for beside it."""
    box = apus("run", "-d", "-i", "--network", "none", image, "cat").line()
    shim, = leaks.processes(f"{own_daemon.run}/shims/{box}")
    upgrade = "Host: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"

    def leave(path, body, hears):
        client = stream(own_daemon.socket)
        client.sendall(f"POST {path} HTTP/1.1\r\n{upgrade}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        if hears:
            assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
        client.close()

    def come_and_go(attachments, execs):
        for number in range(attachments):
            leave(f"/containers/{box}/attach?stream=1&stdin=1&stdout=1&stderr=1", "", number % 2)
        for number in range(execs):
            # Its own input's end is its end.
            asked = {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}
            made = api(own_daemon, "POST", f"/containers/{box}/exec", asked, expect=201)[1]["Id"]
            assert api(own_daemon, "POST", f"/exec/{made}/resize?h=10&w=10")[0] == 409
            leave(f"/exec/{made}/start", "{}", number % 2)

    def held():
        return [len(os.listdir(f"/proc/{process}/fd")) for process in (own_daemon.process.pid, shim)]

    def processes():
        return apus("top", box, "-o", "pid").ok().split()[1:]

    come_and_go(200, 5)
    wait_until(lambda: len(processes()) == 1, "what was begun beside it has ended", seconds=60)
    before = held()
    come_and_go(400, 10)
    wait_until(lambda: len(processes()) == 1, "what was begun beside it has ended", seconds=60)
    wait_until(lambda: all(now <= then + 2 for now, then in zip(held(), before, strict=True)), "the descriptors are closed", seconds=20)
    # It heard nobody's end.
    assert apus.inspect(box, "{{.State.Running}}") == "true"


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "created"])
def test_a_container_is_removed_while_files_are_written_into_it(own_daemon, apus, image, is_running):
    """Whoever writes is told, and does not keep it."""
    apus(*(["run", "-d"] if is_running else ["create"]), "--name", "filled", image, "sleep", "600").ok()
    client = stream(own_daemon.socket)
    client.sendall(b"PUT /containers/filled/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n")
    begun, over = threading.Event(), threading.Event()

    def write():
        # Without an end: the files of a thousand members after those before.
        number = 0
        try:
            while not over.is_set():
                members = b"".join(tarfile.TarInfo(f"many/{number + index}").tobuf() for index in range(1000))
                client.sendall(b"%x\r\n%s\r\n" % (len(members), members))
                number += 1000
                begun.set()
        except OSError:
            pass

    writer = threading.Thread(daemon=True, target=write)
    writer.start()
    try:
        assert begun.wait(60)
        # Some of it is there.
        if is_running:
            wait_until(lambda: apus("exec", "filled", "ls", "/tmp/many/100").code == 0, "files are written")
        status, said = api(own_daemon, "DELETE", "/containers/filled?force=1")
        assert status == 204, said
        client.settimeout(60)
        assert b" 200 " not in client.recv(100)
    finally:
        over.set()
        client.shutdown(socket.SHUT_RDWR)
        writer.join()
        client.close()
    assert api(own_daemon, "GET", "/containers/filled/json")[0] == 404


# docker's own ways


@pytest.fixture
def tree(tmp_path):
    """Files here, to be copied."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "one").write_text("1\n")
    (tmp_path / "in" / "sub" / "two").write_text("2\n")
    (tmp_path / "in" / "link").symlink_to("one")
    (tmp_path / "out").mkdir()
    return tmp_path


WAYS_IN = {
    # source, target, what is there then
    "in/one /box": "/box/one", "in/one /box/new": "/box/new", "in/one /box/": "/box/one", "in /box": "/box/in/sub/two",
    "in/. /box": "/box/sub/two", "in /box/made": "/box/made/sub/two", "in/. /box/made": "/box/made/sub/two", "in/ /box": "/box/in/sub/two",
    "in/one /way": "/box/one", "in/one way/": "/box/one", ". /box/all": "/box/all/in/one", "in/link /box/l": "/box/l", "-L in/link /box/l": "/box/l",
}


def test_cp_copies_in_as_docker_does(cli, image, tree):
    cli("run", "-d", "--name", "box", image, "sleep", "600").ok()
    for words, place in WAYS_IN.items():
        cli("exec", "box", "sh", "-c", "rm -rf /box /way; mkdir /box; ln -s /box /way; echo old > /box/one").ok()
        *flags, source, target = words.split()
        cli("cp", *flags, source, f"box:{target}", cwd=tree).ok()
        kind = "-L" if words == "in/link /box/l" else "! -L"
        assert cli("exec", "box", "sh", "-c", f"[ {kind} {place} ] && cat {place}").out in (("old\n",) if kind == "-L" else ("1\n", "2\n")), words


WAYS_OUT = {
    "/box/one out": "out/one", "/box/one out/new": "out/new", "/box/one out/": "out/one", "/box out": "out/box/below/two",
    "/box/. out": "out/below/two", "/box made": "made/below/two", "/box/. made": "made/below/two", "/box/one in/one": "in/one",
    "-L /box/link out": "out/link", "/box/link out": "out/link", "-L /way out": "out/way/below/two", "/way/ out": "out/way/below/two",
    "box/one out": "out/one", "-a /box/one out": "out/one", "/ all": "all/box/below/two",
}


def test_cp_copies_out_as_docker_does(cli, image, tree):
    cli("create", "--name", "box", image).ok()
    content = tar(("box", tarfile.DIRTYPE, None), ("box/below", tarfile.DIRTYPE, None), regular("box/one", b"one\n"),
                  regular("box/below/two", b"two\n"), ("box/link", tarfile.SYMTYPE, "one"), ("way", tarfile.SYMTYPE, "/box"))
    cli("cp", "-", "box:/", stdin=content).ok()
    for words, place in WAYS_OUT.items():
        shutil.rmtree(tree / "out")
        shutil.rmtree(tree / "made", ignore_errors=True)
        (tree / "out").mkdir()
        *flags, source, target = words.split()
        cli("cp", *flags, f"box:{source}", target, cwd=tree).ok()
        found = tree / place
        assert found.is_symlink() == (words == "/box/link out"), words
        assert found.is_symlink() or found.read_text() in ("one\n", "two\n"), words


def test_cp_speaks_tar_on_the_standard_streams_and_says_what_it_did(cli, image, tree):
    cli("create", "--name", "box", image).ok()
    cli("cp", "-", "box:/tmp", stdin=tar(regular("piped", b"by pipe\n"))).ok()
    with tarfile.open(fileobj=io.BytesIO(cli("cp", "box:/tmp/piped", "-").raw)) as file:
        assert file.extractfile("piped").read() == b"by pipe\n"
    done = cli("cp", "box:/tmp/piped", "out", cwd=tree)
    assert done.ok() + done.err == ""
    if cli.name != "docker-20.10":
        told = cli("cp", "--quiet=false", "box:/tmp/piped", "out/.", cwd=tree)
        assert f"Successfully copied 2.05kB to {tree}/out/." in told.err and told.code == 0
    assert cli("cp", "in", "box:/tmp", cwd=tree).err == ""


def test_cp_refuses_what_docker_refuses(cli, image, tree):
    cli("create", "--name", "box", image).ok()
    for words, reason in {
        "in/none box:/": "no such file or directory", "in box:/etc/passwd": "cannot copy directory", "in/one box:/none/": "no such directory",
        "in/one box:/none/x": "Could not find the file /none in container box", "box:/none out": "Could not find the file /none in container box",
        "box:/etc in/one": "cannot copy directory", "box:/etc/passwd out/none/": "no such directory",
        "box:/etc/passwd none/x": f'invalid output path: directory "{tree}/none" does not exist',
        "box:/a box:/b": "copying between containers is not supported", "in out": "must specify at least one container source",
        "- box:/etc/passwd": 'destination "box:/etc/passwd" must be a directory', "in nobox:/": "No such container: nobox",
        "nobox:/etc out": "No such container: nobox",
    }.items():
        refused = cli("cp", *words.split(), cwd=tree)
        old = cli.name == "docker-20.10" and "No such container:path: " in refused.err
        assert refused.code == 1 and (reason in refused.err or old), (words, refused)


def test_C06_what_comes_out_of_a_container_stays_under_the_name_that_was_asked_for(apus, image, tree):
    """A container's links do not lead its files elsewhere, and a daemon cannot send what nobody asked for."""
    apus("run", "--name", "box", image, "sh", "-c", "mkdir -p /box/way; echo evil > /box/way/file").ok()
    (tree / "out" / "box").mkdir()
    (tree / "out" / "box" / "way").symlink_to(tree / "in")
    assert apus("cp", "box:/box", "out", cwd=tree).code == 1
    assert sorted(os.listdir(tree / "in")) == ["link", "one", "sub"]


def test_cp_keeps_many_files_and_a_large_one(apus, image, tree):
    apus("create", "--name", "box", image).ok()
    for number in range(300):
        (tree / "in" / "sub" / f"file{number}").write_text(str(number))
    with open(tree / "in" / "big", "wb") as file:
        file.truncate(40 << 20)
    apus("cp", "in", "box:/tmp", cwd=tree).ok()
    apus("cp", "box:/tmp/in", "out", cwd=tree).ok()
    assert len(os.listdir(tree / "out" / "in" / "sub")) == 301
    assert os.stat(tree / "out" / "in" / "big").st_size == 40 << 20
    assert (tree / "out" / "in" / "sub" / "file7").read_text() == "7"


def test_export_is_the_whole_tree(cli, image, tmp_path):
    cli("run", "--name", "whole", image, "sh", "-c", "echo mine > /mine; rm /etc/group").ok()
    cli("export", "-o", str(tmp_path / "whole.tar"), "whole").ok()
    with tarfile.open(tmp_path / "whole.tar") as file:
        names = file.getnames()
        assert file.extractfile("mine").read() == b"mine\n"
    assert "etc/passwd" in names and "etc/group" not in names and "." not in names
    assert cli("export", "whole").raw[257:262] == b"ustar"


def test_first_files_are_dockers_and_count_as_nobodys(cli, own_daemon, registry):
    """Beside an image that has nothing there stand one that has files of its own there, and one whose /etc is not everybody's."""
    entry = oci_images.entry
    own = [(entry("etc/", tarfile.DIRTYPE, 0o751, uid=7, gid=8), None), (entry("etc/mtab"), b"old"), (entry(".dockerenv"), b"text"), (entry("etc/hosts"), b"")]
    for name, layers, mode in (("bare", [busybox_layer()], "755 0:0"), ("own", [busybox_layer(), oci_images.tar(own)], "751 7:8")):
        Pusher(registry.host).push(f"first-{name}", Image(layers))
        image = f"{registry.host}/first-{name}"
        cli("create", "--name", name, image, "sh", "-c", "stat -c '%a %u:%g' /etc; stat -c '%s %a' /.dockerenv; readlink /etc/mtab; grep -c . /etc/mtab").ok()
        for _ in range(2):
            with tarfile.open(fileobj=io.BytesIO(cli("export", name).raw)) as exported:
                mark, table, folder = (exported.getmember(path) for path in (".dockerenv", "etc/mtab", "etc"))
            assert (mark.size, mark.mode, mark.isreg(), table.linkname) == (0, 0o755, True, "/proc/mounts")
            assert f"{folder.mode:o} {folder.uid}:{folder.gid}" == mode
            assert cli("diff", name).ok() == "" and cli.inspect(name, "{{.State.Status}}") in ("created", "exited")
            status, listed = api(own_daemon, "GET", f"/containers/{name}/json?size=1")
            assert status == 200 and listed["SizeRw"] == 0
            said = cli("start", "-a", name).ok().splitlines()
            assert said[:3] == [mode, "0 755", "/proc/mounts"] and int(said[3]) > 10
        cli("commit", name, "first:made").ok()
        with tarfile.open(fileobj=io.BytesIO(cli("save", "first:made").raw)) as saved:
            last = json.load(saved.extractfile("manifest.json"))[0]["Layers"][-1]
            with tarfile.open(fileobj=saved.extractfile(last)) as layer:
                assert not {".dockerenv", "etc/mtab"} & set(layer.getnames())
        # What somebody has put there is the container's.
        cli("rm", name).ok()
        cli("run", "--name", name, image, "sh", "-c", "rm /etc/mtab; echo mine >/etc/mtab; echo mine >/.dockerenv").ok()
        assert {line[2:] for line in cli("diff", name).ok().splitlines()} == {"/.dockerenv", "/etc", "/etc/mtab"}
        cli("commit", name, "first:made").ok()
        assert cli("run", "--rm", "--network", "none", "first:made", "cat", "/etc/mtab").code == 0
        cli("rm", name).ok()
        cli("rmi", "first:made", image).ok()


def test_diff_tells_what_is_added_changed_and_deleted(cli, image):
    cli("run", "--name", "changed", image, "sh", "-c", "mkdir -p /new/below; echo x > /new/below/file; echo x >> /etc/passwd; rm /etc/group").ok()
    assert sorted(cli("diff", "changed").ok().splitlines()) == [
        "A /new", "A /new/below", "A /new/below/file", "C /etc", "C /etc/passwd", "D /etc/group"]
    cli("create", "--name", "fresh", image).ok()
    assert cli("diff", "fresh").ok() == ""
    cli("run", "--name", "idle", image, "true").ok()
    assert cli("diff", "idle").ok() == ""


def test_the_size_written_is_docker_s_nothing_for_a_fresh_container(own_daemon, apus, image):
    apus("run", "-d", "--name", "fresh", image, "sleep", "600").ok()
    assert apus("inspect", "-s", "-f", "{{.SizeRw}}", "fresh").line() == "0"
    apus("exec", "fresh", "sh", "-c", "head -c 5000 /dev/zero > /file; ln /file /other").ok()
    assert apus("inspect", "-s", "-f", "{{.SizeRw}}", "fresh").line() == "5000"


def test_cp_fills_a_small_file_system(apus, image, tmp_path):
    """What stays free elsewhere is the daemon's: here the room is that of who copies."""
    apus("create", "--name", "source", image).ok()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path], check=True)
    try:
        apus("cp", "source:/bin/busybox", f"{tmp_path}/x").ok()
        assert os.path.getsize(f"{tmp_path}/x") > 100_000
        with open(f"{tmp_path}/rest", "wb") as file:
            file.truncate(0)
            os.posix_fallocate(file.fileno(), 0, os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize)
        full = apus("cp", "source:/bin/busybox", f"{tmp_path}/y")
        assert full.code == 1 and "ENOSPC" in full.err, full
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    apus("rm", "source").ok()


@pytest.mark.parametrize("restart", [[], ["--restart", "always"]], ids=["ends", "restarts"])
def test_files_are_those_of_a_process_that_ended_before_its_shim_could_tell(own_daemon, apus, image, tmp_path, restart):
    # The next run, which may begin before the copy does, leaves it as it is.
    script = "[ -e /result ] || echo result >/result; while [ ! -e /go ]; do usleep 10000; done; rm -f /go"
    apus("run", "-d", "--name", "ending", *restart, image, "sh", "-c", script).ok()
    pid, (shim,) = apus.inspect("ending", "{{.State.Pid}}"), own_daemon.shims()
    wait_until(lambda: os.path.exists(f"/proc/{pid}/root/result"), "the result")
    os.kill(shim, signal.SIGSTOP)
    try:
        with open(f"/proc/{pid}/root/go", "w", encoding="utf-8"):
            pass
        wait_until(lambda: not os.path.exists(f"/proc/{pid}/ns/mnt"), "the process's end")
        copying = apus.start("cp", "ending:/result", str(tmp_path))
        exporting = apus.start("export", "-o", str(tmp_path / "tar"), "ending")
        # Long enough for both to have begun.
        time.sleep(2)
    finally:
        os.kill(shim, signal.SIGCONT)
    assert copying.wait(timeout=20) == 0 and exporting.wait(timeout=20) == 0
    assert (tmp_path / "result").read_text() == "result\n" and "result" in tarfile.open(tmp_path / "tar").getnames()
    apus("rm", "-f", "ending").ok()


THREADS = """
#include <pthread.h>
#include <unistd.h>
static void *stay(void *none) { for (;;) pause(); return none; }
int main(void) { pthread_t other; pthread_create(&other, 0, stay, 0); pthread_exit(0); }
"""


def test_a_process_whose_first_thread_has_ended_alone_is_reached_by_another(own_daemon, apus, image, tmp_path):
    """The kernel shows nothing of the namespaces of that thread."""
    subprocess.run(["cc", "-Wall", "-Werror", "-static", "-pthread", "-x", "c", "-o", tmp_path / "program", "-"], input=THREADS, text=True, check=True)
    apus("run", "-d", "--name", "threads", "-v", f"{tmp_path}:/own:ro", image, "/own/program").ok()
    pid = apus.inspect("threads", "{{.State.Pid}}")
    wait_until(lambda: not os.path.exists(f"/proc/{pid}/ns/mnt"), "its first thread has ended")
    (tmp_path / "brought").write_text("brought", encoding="utf-8")
    apus("cp", str(tmp_path / "brought"), "threads:/tmp/brought", timeout=20).ok()
    apus("export", "-o", str(tmp_path / "tar"), "threads", timeout=20).ok()
    assert "tmp/brought" in tarfile.open(tmp_path / "tar").getnames()
    assert apus("run", "--rm", "--network", "container:threads", image, "hostname").line() == apus.inspect("threads", "{{.Config.Hostname}}")
    assert apus.inspect("threads", "{{.State.Status}}") == "running"
    apus("rm", "-f", "threads").ok()
