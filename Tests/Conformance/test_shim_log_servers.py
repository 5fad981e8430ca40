"""Lines of a log that go to a syslog server or to systemd's journal, against sockets of the test."""
import array
import fcntl
import os
import re
import signal
import socket
import struct

import pytest
from processes import PATIENCE
from shim_client import Refused, alive, log_text, message, wait_until
from shim_fixtures import shim, shims  # noqa: F401

LOCAL, DATAGRAMS, UDP, TCP = range(4)
LOCALHOST = bytes([127, 0, 0, 1])


def syslog(transport, format=0, **fields):
    return {"delivery": message(f4=message(f1=transport, f5=format, f6=3, f7="box", f8="here", **fields))}


def lines(server, count):
    """So many lines, of a listening or a datagram socket."""
    server.settimeout(20 * PATIENCE)
    if server.type == socket.SOCK_DGRAM:
        return [server.recv(65536) for _ in range(count)]
    with server.accept()[0] as connection:
        connection.settimeout(20 * PATIENCE)
        with connection.makefile("rb") as file:
            return [file.readline() for _ in range(count)]


def until(server, end):
    """All lines up to one that ends so."""
    server.settimeout(20 * PATIENCE)
    with server.accept()[0] as connection:
        connection.settimeout(20 * PATIENCE)
        with connection.makefile("rb") as file:
            found = [file.readline()]
            while not found[-1].endswith(end):
                found.append(file.readline())
                assert found[-1], found[-2]
    return found


def listening(kind, address, family=socket.AF_INET):
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address)
    if kind == socket.SOCK_STREAM:
        server.listen(4)
    return server


def reserved(server=None):
    """A socket at an address of this machine at which nobody listens yet, and which is nobody else's meanwhile: that of a server which does not
    listen yet, or one of its own."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(server.getsockname() if server else ("127.0.0.1", 0))
    return place


def server_and_next():
    """A TCP server, and the one that takes its place once it is closed and this one listens."""
    server = reserved()
    following = reserved(server)
    server.listen(4)
    return server, following


def address(server):
    return {"f3": LOCALHOST, "f4": server.getsockname()[1]}


@pytest.mark.parametrize("format, form", [
    (0, rb"<(30|27)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d box\[PID\]: "), (1, rb"<(30|27)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d here box\[PID\]: "),
    (2, rb"<(30|27)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ here box PID box - "), (3, rb"<(30|27)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z here box PID box - ")])
def test_lines_go_to_a_syslog_server_in_each_form_and_into_the_log_too(shim, format, form):
    with listening(socket.SOCK_DGRAM, ("127.0.0.1", 0)) as server:
        shim.run("sh", "-c", "echo out; usleep 50000; echo err >&2", options=syslog(UDP, format, **address(server)))
        found = lines(server, 2)
        shim.wait()
    for line, text, priority in zip(found, (b"out\n", b"err\n"), (b"30", b"27"), strict=True):
        matched = re.fullmatch(form.replace(b"PID", str(shim.pid).encode()) + text, line)
        assert matched and matched[1] == priority, line
    assert log_text(shim.log) == b"out\n"


@pytest.mark.parametrize("kind, transport", [(socket.SOCK_STREAM, LOCAL), (socket.SOCK_DGRAM, LOCAL), (socket.SOCK_DGRAM, DATAGRAMS)])
def test_a_local_syslog_socket_of_either_kind_is_reached(shim, kind, transport):
    path = str(shim.folder / "log-socket")
    with listening(kind, path, socket.AF_UNIX) as server:
        shim.run("echo", "hello", options=syslog(transport, f2=path))
        assert lines(server, 1)[0].endswith(b": hello\n")
        shim.wait()


def test_a_syslog_server_that_goes_and_comes_back_is_sent_what_it_missed(shim):
    script = "echo one; while [ ! -e /tmp/go ]; do usleep 10000; done; seq 1 5000"
    server, following = server_and_next()
    shim.run("sh", "-c", script, options=syslog(TCP, 1, **address(server)))
    assert lines(server, 1)[0].endswith(b": one\n")
    server.close()
    (shim.bundle / "rootfs/tmp/go").touch()
    # Nobody takes them, and nothing waits for that.
    assert shim.wait()[2] == 0
    assert log_text(shim.log).count(b"\n") == 5001
    with following as server:
        server.listen(4)
        assert [line.split(b": ")[1] for line in lines(server, 5000)] == [b"%d\n" % number for number in range(1, 5001)]


def test_P04_lines_that_a_killed_shim_had_not_sent_are_sent_by_the_next(shim):
    server, following = server_and_next()
    shim.run("sh", "-c", "echo one; while [ ! -e /tmp/go ]; do usleep 10000; done; seq 2 2000; sleep 1000", options=syslog(TCP, 1, **address(server)))
    assert lines(server, 1)[0].endswith(b": one\n")
    server.close()
    (shim.bundle / "rootfs/tmp/go").touch()
    wait_until(lambda: shim.supervise("SynchronizeLog") == {} and log_text(shim.log).endswith(b"\n2000\n"), "the log")
    os.kill(shim.pid, signal.SIGKILL)
    wait_until(lambda: not alive(shim.pid), "its end")
    done = shim.command("adopt")
    assert done.returncode == 0, done.stderr
    shim.connect()
    shim.pid = int((shim.directory / "pid").read_text().split()[0])
    with following as server:
        server.listen(4)
        assert [line.split(b": ")[1] for line in lines(server, 1999)] == [b"%d\n" % number for number in range(2, 2001)]
    shim.task("Kill", f3=9)
    assert shim.wait()[2] == 137


def test_what_rotation_removed_before_it_could_be_sent_is_told(shim):
    server, following = server_and_next()
    shim.run("sh", "-c", "echo one; while [ ! -e /tmp/go ]; do usleep 10000; done; seq 1 20000",
             options={**syslog(TCP, 1, **address(server)), "file_bytes": 65536, "files": 2})
    assert lines(server, 1)[0].endswith(b": one\n")
    server.close()
    (shim.bundle / "rootfs/tmp/go").touch()
    assert shim.wait()[2] == 0
    with following as server:
        server.listen(4)
        found = until(server, b": 20000\n")
    told = [line for line in found if b"[apus: output of " in line]
    assert len(told) == 1 and re.search(rb"\[apus: output of \d+ log files was not sent: they were gone by then\]\n$", told[0])
    numbers = [int(line.split(b": ")[1]) for line in found if line not in told]
    # Of the file that was being sent all is there, and of those that are kept.
    after = numbers[[one + 1 == other for one, other in zip(numbers, numbers[1:])].index(False) + 1:]
    assert after == list(range(after[0], 20001))


def test_S06_a_syslog_server_that_does_not_read_holds_up_neither_the_payload_for_long_nor_the_log(shim):
    with listening(socket.SOCK_STREAM, ("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        shim.run("sh", "-c", "seq 1 400000; exit 7", options=syslog(TCP, **address(server)))
        with server.accept()[0]:
            assert shim.wait()[2] == 7
    assert log_text(shim.log).split()[-1] == b"400000"


def test_a_syslog_server_that_is_not_there_is_a_refused_create(shim):
    shim.make_bundle("true")
    shim.begin()
    with reserved() as place, pytest.raises(Refused) as refused:
        shim.create(**syslog(TCP, **address(place)))
    assert "failed to initialize logging driver" in refused.value.text and "ECONNREFUSED" in refused.value.text


# --- the journal ----------------------------------------------------------------------------------------------

def receive_entry(server):
    """One entry's fields; those too long for a datagram come in a sealed file."""
    server.settimeout(20 * PATIENCE)
    data, ancillary, _, _ = server.recvmsg(1 << 20, socket.CMSG_SPACE(4))
    for level, kind, descriptors in ancillary:
        assert (level, kind, data) == (socket.SOL_SOCKET, socket.SCM_RIGHTS, b"")
        file = array.array("i", descriptors[:4])[0]
        assert fcntl.fcntl(file, fcntl.F_GET_SEALS) & (fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        data = os.pread(file, 1 << 22, 0)
        os.close(file)
    fields = {}
    while data:
        line, data = data.split(b"\n", 1)
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", data)
            value, data = data[8:8 + length], data[8 + length + 1:]
        fields[name.decode()] = value
    return fields


def journal(shim, *fields):
    path = str(shim.folder / "journal")
    return listening(socket.SOCK_DGRAM, path, socket.AF_UNIX), {"delivery": message(f5=message(f1=path, f2=list(fields)))}


def test_entries_go_to_the_journal_with_their_fields(shim):
    server, options = journal(shim, "CONTAINER_ID=box", "LABEL=two\nlines=here")
    with server:
        shim.run("sh", "-c", "printf 'a\\0\\377=b\\n'; usleep 50000; echo bad >&2", options=options)
        first, second = receive_entry(server), receive_entry(server)
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", first.pop("SYSLOG_TIMESTAMP"))
    assert first == {"CONTAINER_ID": b"box", "LABEL": b"two\nlines=here", "PRIORITY": b"6", "MESSAGE": b"a\0\xff=b"}
    assert second["PRIORITY"] == b"3" and second["MESSAGE"] == b"bad"
    shim.wait()


def test_a_line_longer_than_a_record_is_several_entries_that_say_so(shim):
    server, options = journal(shim)
    with server:
        shim.run("sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short", options=options)
        entries = [receive_entry(server) for _ in range(4)]
    assert [len(entry["MESSAGE"]) for entry in entries] == [16384, 16384, 7232, 5]
    assert [entry.get("CONTAINER_PARTIAL_ORDINAL") for entry in entries] == [b"1", b"2", b"3", None]
    assert [entry.get("CONTAINER_PARTIAL_MESSAGE") for entry in entries] == [b"true", b"true", None, None]
    assert [entry.get("CONTAINER_PARTIAL_LAST") for entry in entries] == [b"false", b"false", b"true", None]
    assert len({entry.get("CONTAINER_PARTIAL_ID") for entry in entries[:3]}) == 1
    shim.wait()


def test_an_entry_too_long_for_a_datagram_comes_in_a_sealed_file(shim):
    server, options = journal(shim, "BIG=" + "y" * 500_000)
    with server:
        shim.run("echo", "hello", options=options)
        entry = receive_entry(server)
    assert entry["BIG"] == b"y" * 500_000 and entry["MESSAGE"] == b"hello"
    shim.wait()


def test_a_journal_that_begins_anew_gets_what_comes_then(shim):
    server, options = journal(shim)
    path = server.getsockname()
    shim.run("sh", "-c", "echo one; while [ ! -e /tmp/go ]; do usleep 10000; done; echo two", options=options)
    assert receive_entry(server)["MESSAGE"] == b"one"
    server.close()
    os.remove(path)
    with listening(socket.SOCK_DGRAM, path, socket.AF_UNIX) as server:
        (shim.bundle / "rootfs/tmp/go").touch()
        assert receive_entry(server)["MESSAGE"] == b"two"
    shim.wait()
