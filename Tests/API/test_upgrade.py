"""Row P07: another version takes the daemon's place, and the former one again, while containers live; shims of both versions serve side by side.

`APUS_OTHER_BUILD=DIR` names the programs of another version; without it they are those of this one in another place, with the former ones gone."""

import os
import shutil
import signal
import socket
import struct
import threading

import pytest

from conftest import BUILD, numbered_lines
from processes import wait_until
from test_shim_death import attached_answer, kill_shim, numbers, shim_of

OTHER = os.environ.get("APUS_OTHER_BUILD")
PROGRAMS = ("apusd", "apus-shim", "apus-runtime", "apus-net", "apus-init")
KINDS = {
    "count": ((), ("sh", "-c", numbered_lines(12_000, "exec sleep 300"))), "shell": (("-it",), ("sh",)), "cat": (("-i",), ("cat",)),
    "again": (("--restart", "always"), ("sh", "-c", "sleep 300")),
    "checked": (("--health-cmd", "test -e /bin/sh", "--health-interval", "500ms"), ("sleep", "300")),
    "held": ((), ("sleep", "300")),
}


@pytest.fixture
def versions(brittle, tmp_path):
    """The folders of both versions' programs; the daemon runs by the first."""
    folders = []
    for name, source in (("old", BUILD), ("new", OTHER or BUILD)):
        folders.append(str(tmp_path / name))
        os.makedirs(folders[-1])
        for program in PROGRAMS:
            if os.path.exists(os.path.join(source, program)):
                shutil.copy(os.path.join(source, program), folders[-1])
    assert brittle.stop() == 0
    brittle.programs = folders[0]
    brittle.start()
    yield folders
    # The fixture's own end is by what is there.
    brittle.programs = next(folder for folder in (*folders, BUILD) if os.path.exists(os.path.join(folder, "apusd")))


def program(pid):
    return os.readlink(f"/proc/{pid}/exe")


def test_P07_containers_live_through_an_upgrade_and_a_rollback(brittle, versions):
    client, image, (old, new) = brittle.client, brittle.image, versions
    for name, (flags, words) in KINDS.items():
        client("run", "-d", "--name", name, *flags, image, *words).ok()
    client("pause", "held").ok()
    client("exec", "-d", "count", "sleep", "77").ok()

    def facts():
        found = client("inspect", "-f", "{{.Name}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}} {{.State.Status}} {{json .ExecIDs}}", *KINDS)
        return found.ok().splitlines()

    def change(programs):
        assert brittle.stop() == 0
        brittle.programs = programs
        brittle.start()
        assert facts() == before
        assert program(brittle.process.pid) == f"{programs}/apusd"
        assert client("exec", "count", "echo", "in").line() == "in"
        assert b"hello" in attached_answer(client, "cat")
        # A check that falls into the time in which its programs are away fails, and the next one does not.
        wait_until(lambda: client.inspect("checked", "{{.State.Health.Status}} {{.State.Health.FailingStreak}}") == "healthy 0", "its check goes on")

    before = facts()
    change(new)
    # A package manager takes the former programs away; what runs of them runs on. Versions before that are not asked for it.
    away = old if OTHER else f"{old}-away"
    os.rename(old, away)
    for name in ("count", "cat"):
        kill_shim(brittle, client, name)
        assert program(shim_of(brittle, client, name)) == f"{new}/apus-shim"
    assert program(shim_of(brittle, client, "shell")).startswith(away)
    client("run", "-d", "--name", "later", image, "sleep", "300").ok()
    os.rename(away, old)
    change(old)
    for name in ("cat", "shell"):
        kill_shim(brittle, client, name)
        assert program(shim_of(brittle, client, name)) == f"{old}/apus-shim"
    assert facts() == before and program(shim_of(brittle, client, "later")) == f"{new}/apus-shim"
    assert b"hello" in attached_answer(client, "cat")
    assert client("exec", "later", "echo", "in").line() == "in"
    os.kill(int(client.inspect("again", "{{.State.Pid}}")), signal.SIGKILL)
    wait_until(lambda: client.inspect("again", "{{.State.Status}} {{.RestartCount}}") == "running 1", "its policy starts it again")
    wait_until(lambda: client("logs", "--tail", "1", "count").line() == "12000", "all lines are written", seconds=60)
    assert client("logs", "count").ok().split() == numbers(12_000)
    client("unpause", "held").ok()
    client("kill", *KINDS, "later").ok()
    assert set(client("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", *KINDS, "later").ok().splitlines()) == {"exited 137"}


# --- a shim that knows more than its daemon -------------------------------------------------------------------

# Fields that no version has yet: a number, and bytes.
UNKNOWN = bytes([0xF8, 0x3E, 7]) + bytes([0xFA, 0x3E, 3]) + b"new"
REQUEST, RESPONSE, DATA = 1, 2, 3


def varint(value):
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def fields(data):
    """The fields of a message: number and value, a number or bytes."""
    place = 0

    def number():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(data):
        tag = number()
        if tag & 7 == 0:
            yield tag >> 3, number()
        else:
            assert tag & 7 == 2, tag
            count = number()
            yield tag >> 3, data[place:place + count]
            place += count


def encoded(pairs):
    return b"".join(varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value
                    for number, value in pairs)


class NewerShim:
    """Stands before a shim's socket and speaks for it as a newer version would: says so, and adds to every message what nobody knows yet."""

    def __init__(self, directory):
        self.path, self.real = f"{directory}/socket", f"{directory}/real"
        os.rename(self.path, self.real)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.described = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            shim, asked = socket.socket(socket.AF_UNIX), {}
            shim.connect(self.real)
            for source, target, change in ((client, shim, self.request), (shim, client, self.answer)):
                threading.Thread(target=self.carry, args=(source, target, change, asked), daemon=True).start()

    def request(self, kind, payload, asked, stream):
        if kind != REQUEST:
            return payload
        found = list(fields(payload))
        asked[stream] = dict(found).get(2, b"")
        return encoded([(number, value + UNKNOWN) if number == 3 else (number, value) for number, value in found]) + UNKNOWN

    def answer(self, kind, payload, asked, stream):
        if kind != RESPONSE:
            return payload + UNKNOWN if kind == DATA and payload else payload
        found = list(fields(payload))
        if asked.get(stream) == b"Describe":
            self.described += 1
            described = [(number, 9 if number == 1 else value) for number, value in fields(dict(found)[2])]
            found = [(number, encoded(described)) if number == 2 else (number, value) for number, value in found]
        return encoded([(number, value + UNKNOWN) if number == 2 else (number, value) for number, value in found]) + UNKNOWN

    @staticmethod
    def carry(source, target, change, asked):
        def exactly(count):
            data = b""
            while len(data) < count:
                piece = source.recv(count - len(data))
                if not piece:
                    raise EOFError
                data += piece
            return data

        try:
            while True:
                count, stream, kind, flags = struct.unpack(">IIBB", exactly(10))
                payload = change(kind, exactly(count), asked, stream)
                target.sendall(struct.pack(">IIBB", len(payload), stream, kind, flags) + payload)
        except (EOFError, OSError):
            pass
        finally:
            for one in (source, target):
                one.close()

    def leave(self):
        """The shim serves there itself again, unless it has ended."""
        self.listener.close()
        if os.path.exists(self.real):
            os.rename(self.real, self.path)


def test_P07_a_shim_that_is_newer_than_its_daemon_is_adopted(brittle):
    client = brittle.client
    client("run", "-di", "--name", "cat", brittle.image, "cat").ok()
    facts = client.inspect("cat", "{{.State.Pid}} {{.State.StartedAt}}")
    brittle.kill()
    newer = NewerShim(f"{brittle.run}/shims/{os.listdir(f'{brittle.data}/containers')[0]}")
    try:
        brittle.start()
        assert client.inspect("cat", "{{.State.Pid}} {{.State.StartedAt}}") == facts and newer.described > 0
        assert b"hello" in attached_answer(client, "cat")
        done = client("exec", "-i", "cat", "sh", "-c", "cat; exit 5", stdin="through\n")
        assert (done.code, done.out) == (5, "through\n")
        client("pause", "cat").ok()
        client("unpause", "cat").ok()
        client("update", "--restart", "on-failure", "cat").ok()
        assert client("stats", "--no-stream", "--format", "{{.PIDs}}", "cat").line() == "1"
        client("kill", "cat").ok()
        assert client.inspect("cat", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}") == "exited 137 0"
    finally:
        newer.leave()
