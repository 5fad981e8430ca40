"""A client of the shim's socket, and of the two files it writes, independent of the product's own code.

Protobuf, ttrpc and the log format are spelled again here from docs/shim-protocol.md: a mistake in the product
and its mirror image in a shared library could not be told apart.
"""
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import processes
from processes import PATIENCE, alive  # `alive` for its clients

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("APUS_BUILD", ROOT / ".build/release"))
SHIM = BINARIES / "apus-shim"
# What the cgroups of a run begin with; not the pid alone, which another pid namespace of the machine has too.
CGROUPS = f"apus-test-{os.getpid()}{os.urandom(2).hex()}"
TASK, SUPERVISION = "containerd.task.v2.Task", "apus.shim.v1.Shim"
REQUEST, RESPONSE, DATA = 1, 2, 3
REMOTE_CLOSED, REMOTE_OPEN, NO_DATA = 1, 2, 4
ATTACHED, STDIN, STDOUT, STDERR, EXITED = 1, 2, 3, 4, 5
INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNIMPLEMENTED = 3, 5, 6, 8, 9, 12


# --- protobuf -------------------------------------------------------------------------------------------------

def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(**fields):
    """f1="text", f2=3, f3=b"bytes or message", f4=[repeated]; falsy values are left out."""
    out = b""
    for name, values in fields.items():
        number = int(name[1:])
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str):
                value = value.encode()
            if isinstance(value, bytes):
                if value or isinstance(values, list):
                    out += varint(number << 3 | 2) + varint(len(value)) + value
            elif value:
                out += varint(number << 3) + varint(int(value))
    return out


class Fields(dict):
    """A message's fields by number, 0 for those that hold proto3's default; all of a number under its negative."""

    def __missing__(self, number):
        return 0


def parse(data):
    fields, offset = Fields(), 0

    def number():
        nonlocal offset
        value = shift = 0
        while True:
            byte = data[offset]
            offset += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while offset < len(data):
        tag = number()
        if tag & 7 == 0:
            value = number()
        elif tag & 7 == 1:
            value = struct.unpack("<d", data[offset:offset + 8])[0]
            offset += 8
        elif tag & 7 == 2:
            length = number()
            value = data[offset:offset + length]
            assert len(value) == length
            offset += length
        else:
            raise AssertionError(f"wire type {tag & 7}")
        fields[tag >> 3] = value
        fields.setdefault(-(tag >> 3), []).append(value)
    return fields


def any_of(name, value):
    return message(f1=name, f2=value)


# --- ttrpc ----------------------------------------------------------------------------------------------------

class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Connection:
    def __init__(self, path, timeout=30 * PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.begin(timeout)

    @classmethod
    def accepted(cls, client):
        """The other side of it."""
        connection = cls.__new__(cls)
        connection.socket = client
        connection.begin(None)
        return connection

    def begin(self, timeout):
        self.socket.settimeout(timeout)
        self.next_stream = 1
        self.waiting = {}

    def close(self):
        self.socket.close()

    def fileno(self):
        return self.socket.fileno()

    @staticmethod
    def framed(stream, kind, flags, payload=b""):
        return struct.pack(">IIBB", len(payload), stream, kind, flags) + payload

    def frame(self, stream, kind, flags, payload=b""):
        self.socket.sendall(self.framed(stream, kind, flags, payload))

    def open_together(self, *calls):
        """Calls in one write: whoever reads it has all of them before it can answer one."""
        streams = [self.next_stream + 2 * place for place in range(len(calls))]
        self.next_stream += 2 * len(calls)
        self.socket.sendall(b"".join(
            self.framed(stream, REQUEST, REMOTE_CLOSED, message(f1=service, f2=method, f3=payload))
            for stream, (service, method, payload) in zip(streams, calls)))
        return streams

    def open(self, service, method, payload, streaming=False):
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        request = message(f1=service, f2=method, f3=payload)
        self.frame(stream, REQUEST, REMOTE_OPEN if streaming else REMOTE_CLOSED, request)
        return stream

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the shim closed the connection")
            data += piece
        return data

    def receive(self):
        length, stream, kind, flags = struct.unpack(">IIBB", self.exactly(10))
        return stream, kind, flags, self.exactly(length)

    def answer(self, stream):
        """The response to one call; those of others are kept for them."""
        while stream not in self.waiting:
            other, kind, _, payload = self.receive()
            assert kind == RESPONSE
            self.waiting[other] = payload
        return self.result(self.waiting.pop(stream))

    @staticmethod
    def result(payload):
        response = parse(payload)
        status = parse(response.get(1, b""))
        if status.get(1):
            raise Refused(status[1], status.get(2, b"").decode())
        return parse(response.get(2, b""))

    def call(self, service, method, payload=b""):
        return self.answer(self.open(service, method, payload))


class Attachment:
    """An attach stream on a connection of its own."""

    def __init__(self, path, id, exec_id="", stdin=False, stdout=True, stderr=True):
        self.connection = Connection(path)
        request = message(f1=id, f2=exec_id, f3=stdin, f4=stdout, f5=stderr)
        self.stream = self.connection.open(SUPERVISION, "Attach", request, streaming=True)
        self.output = {STDOUT: b"", STDERR: b""}
        self.exit = None
        kind, _ = self.next()
        assert kind == ATTACHED

    def next(self):
        stream, kind, _, payload = self.connection.receive()
        assert stream == self.stream
        if kind == RESPONSE:
            Connection.result(payload)
            return None, None
        fields = parse(payload)
        if fields[1] == EXITED:
            self.exit = parse(fields[3])
        return fields[1], fields.get(2, b"")

    def send(self, data):
        self.connection.frame(self.stream, DATA, 0, message(f1=STDIN, f2=data))

    def end_input(self):
        self.connection.frame(self.stream, DATA, REMOTE_CLOSED | NO_DATA)

    def read_until(self, text, stream=STDOUT):
        while text not in self.output[stream]:
            kind, data = self.next()
            assert kind in self.output, f"ended with {self.output} before {text}"
            self.output[kind] += data
        return self.output[stream]

    def read_to_end(self):
        while True:
            kind, data = self.next()
            if kind is None:
                return self.output
            if kind in self.output:
                assert self.exit is None, "output after the exit notice"
                self.output[kind] += data

    def close(self):
        self.connection.close()


class Events:
    """An event stream on a connection of its own."""

    def __init__(self, path, id):
        self.connection = Connection(path)
        self.stream = self.connection.open(SUPERVISION, "Events", message(f1=id), streaming=True)
        # The stream's beginning has no answer: one to a later call says that it was heard.
        self.connection.answer(self.connection.open(TASK, "Connect", message(f1=id)))

    def until(self, last):
        """All envelopes up to the first one that `last` is true of."""
        found = []
        while not found or not last(found[-1]):
            found.append(parse(self.connection.receive()[3]))
        return found

    def topics(self, last):
        """All topics up to the first one called `last`."""
        found = []
        while found[-1:] != [f"/tasks/{last}"]:
            found.append(parse(self.connection.receive()[3])[3].decode())
        return found


class EventSink:
    """What listens where a containerd takes in the events of shims, and hears them out: a shim that ends waits for whoever should hear it."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        # Closing alone does not wake up the thread.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.hear, args=(Connection.accepted(client),), daemon=True).start()

    @staticmethod
    def hear(connection):
        with connection.socket:
            try:
                while True:
                    stream = connection.receive()[0]
                    connection.frame(stream, RESPONSE, 0)
            except (EOFError, ConnectionError):
                return


# --- the shim -------------------------------------------------------------------------------------------------

class Shim:
    """A shim that stands as apusd starts it, with a container to be created."""

    def __init__(self, folder, runtime, id="box"):
        self.folder, self.runtime, self.id, self.program = Path(folder), str(runtime), id, SHIM
        self.directory = self.folder / "shims" / id
        self.bundle = self.folder / "bundles" / id
        self.log = self.folder / f"{id}.log"
        self.exit_record = self.folder / f"{id}.exit"
        self.runtime_root = self.folder / "runtime"
        self.pid = None
        self.execs = 0

    def command(self, *action):
        return subprocess.run(
            [self.program, "-namespace", "apus", "-id", self.id, "-directory", self.directory, "-bundle", self.bundle, *action],
            cwd=self.bundle, capture_output=True, timeout=60 * PATIENCE, stdin=subprocess.DEVNULL)

    def begin(self):
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        done = self.command("start")
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode() == f"unix://{self.directory}/socket"
        self.pid = int((self.directory / "pid").read_text().split()[0])
        self.connect()

    def connect(self):
        self.connection = Connection(self.directory / "socket")

    def options(self, open_stdin=False, stdin_once=False, file_bytes=0, files=0, delivery=b"", rule=b"", check=b"", changes_after=0):
        return any_of("apus.shim.v1.Options", message(
            f1=self.runtime, f2=str(self.runtime_root), f4=str(self.log), f5=file_bytes, f6=files, f7=str(self.exit_record), f8=open_stdin,
            f9=stdin_once, f10=rule, f11=check, f13=changes_after, f20=delivery))

    def changes(self):
        """What happened to the container: revisions and kinds, the oldest first."""
        return [(change[1], change[2]) for change in map(parse, self.supervise("Describe").get(-7, []))]

    def make_bundle(self, *args, terminal=False, **changes):
        make_bundle(self.bundle, args, terminal, f"/{CGROUPS}-{self.id}", **changes)

    def task(self, method, **fields):
        return self.connection.call(TASK, method, message(f1=self.id, **fields))

    def supervise(self, method, **fields):
        return self.connection.call(SUPERVISION, method, message(f1=self.id, **fields))

    def create(self, terminal=False, **options):
        return self.task("Create", f2=str(self.bundle), f4=terminal, f10=self.options(**options))[1]

    def start(self, exec_id=""):
        return self.task("Start", f2=exec_id)[1]

    def wait(self, exec_id=""):
        return self.supervise("WaitForExit", f2=exec_id)

    def run(self, *args, terminal=False, options=None, **changes):
        """Bundle, shim, Create, Start."""
        self.make_bundle(*args, terminal=terminal, **changes)
        self.begin()
        self.create(terminal, **(options or {}))
        self.start()

    def note_exec(self, *args, terminal=False, stdin=False, cwd="/"):
        """Notes an exec for a later Start. Returns its id."""
        self.execs += 1
        name = f"exec{self.execs}"
        process = {"terminal": terminal, "user": {"uid": 0, "gid": 0}, "args": list(args), "cwd": cwd,
                   "env": ["PATH=/bin", "TERM=xterm"]}
        spec = any_of("apus.shim.v1.Exec", message(f1=json.dumps(process), f2=stdin))
        self.task("Exec", f2=name, f3=terminal, f7=spec)
        return name

    def exec(self, *args, terminal=False, stdin=False, cwd="/", attach=None):
        """Notes an exec, attaches when asked to, starts it. Returns its id and the attachment."""
        name = self.note_exec(*args, terminal=terminal, stdin=stdin, cwd=cwd)
        attachment = self.attach(name, stdin=stdin) if attach or attach is None else None
        self.start(name)
        return name, attachment

    def subscribe(self):
        """Begins to listen to events; `topics` of what this returns gives them."""
        return Events(self.directory / "socket", self.id)

    def attach(self, exec_id="", **streams):
        return Attachment(self.directory / "socket", self.id, exec_id, **streams)

    def delete(self):
        return self.task("Delete")

    def shut_down(self):
        self.task("Shutdown")
        wait_until(lambda: not self.directory.exists(), "the shim's directory to go")
        wait_until(lambda: not alive(self.pid), "the shim to end")

    def clean(self):
        """Whatever state a test left it in: nothing stays."""
        if self.directory.exists():
            self.command("delete")
            if self.pid:
                wait_until(lambda: not alive(self.pid), "the shim to end")


def make_bundle(bundle, args, terminal, cgroup, memory=None, namespaces=None, env=()):
    rootfs = bundle / "rootfs"
    for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
        (rootfs / name).mkdir(parents=True, exist_ok=True)
    if not (rootfs / "bin/busybox").exists():
        shutil.copy("/bin/busybox", rootfs / "bin/busybox")
        for applet in ("sh", "cat", "echo", "sleep", "true", "false", "seq", "head", "yes", "stty", "dd", "kill", "printf",
                       "readlink", "tty", "usleep", "id", "sort", "mkdir", "tail", "wc", "tr"):
            (rootfs / "bin" / applet).symlink_to("busybox")
    resources = {"memory": {"limit": memory, "swap": memory}} if memory else {}
    kinds = namespaces or ["pid", "network", "ipc", "uts", "mount"]
    mounts = [
        ("/proc", "proc", "proc", []),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
    ]
    config = {
        "ociVersion": "1.0.2",
        "process": {"terminal": terminal, "user": {"uid": 0, "gid": 0}, "args": list(args), "cwd": "/",
                    "env": ["PATH=/bin", "TERM=xterm", *env], "noNewPrivileges": True},
        "root": {"path": "rootfs"}, "hostname": "box",
        "mounts": [dict(destination=d, type=t, source=s, options=o) for d, t, s, o in mounts],
        "linux": {"namespaces": [{"type": kind} for kind in kinds], "resources": resources, "cgroupsPath": cgroup},
    }
    (bundle / "config.json").write_text(json.dumps(config))


def wait_until(condition, what, seconds=20):
    return processes.wait_until(condition, what, seconds, every=0.02)


# --- the log --------------------------------------------------------------------------------------------------

def read_log(path):
    """Sequence number and records (nanoseconds, stream, partial, text) of one file; a torn tail that stays is an error."""
    for _ in range(100):
        try:
            return parse_log(Path(path).read_bytes())
        except (struct.error, FileNotFoundError):
            # A write of several pages is seen page by page, and a rotation step by step: no file, and one without its beginning.
            time.sleep(0.01)
    return parse_log(Path(path).read_bytes())


def parse_log(data):
    kind, *version, sequence = struct.unpack("<8sIIQ", data[:24])
    assert (kind, version) == (b"APUSLOG\n", [1, 0])
    offset, records = 24, []
    while offset < len(data):
        length, nanoseconds, stream, flags, reserved = struct.unpack("<IqBBH", data[offset:offset + 16])
        assert length <= 16384 and stream in (1, 2) and flags in (0, 1) and reserved == 0
        text = data[offset + 16:offset + 16 + length]
        assert struct.unpack("<I", data[offset + 16 + length:offset + 20 + length])[0] == length
        records.append((nanoseconds, stream, bool(flags), text))
        offset += 20 + length
    return sequence, records


def log_text(path, stream=1):
    return b"".join(text + (b"" if partial else b"\n") for _, of, partial, text in read_log(path)[1] if of == stream)
