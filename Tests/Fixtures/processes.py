"""Programs that tests start: a registry, and whatever else; each ended by its own process id."""

import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request


# How many times as long everything may take: more than once on a machine whose processors are emulated.
PATIENCE = float(os.environ.get("APUS_PATIENCE", "1"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, seconds=10.0, every=0.01):
    """Returns the condition's first true value.  Raises AssertionError naming `what` past the deadline."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        assert now < deadline, f"not within {seconds} s: {what}"
        # What takes long to ask, as by a client's program, would keep a processor busy that what is waited for may have need of.
        time.sleep(max(every, min(now - began, 0.25)))


def held_in_one_of_several_rounds(attempt, seconds, what, rounds=5):
    """Asserts that `attempt` took less than `seconds` in one of several rounds, each of which waits for as long as it takes: what is promised of the
    product holds where nothing is in its way, and what else the machine does is not the product's.

    attempt: does it, and returns how long it took; None is from its call to its return."""
    took = []
    while len(took) < rounds:
        began = time.monotonic()
        own = attempt()
        took.append(time.monotonic() - began if own is None else own)
        if took[-1] < seconds * PATIENCE:
            return
    raise AssertionError(f"not within {seconds} s in any of {rounds} rounds: {what}: {took}")


def back_within(seconds, disturb, condition, what):
    """Asserts that after `disturb` the condition came to hold within so many seconds, in one of several rounds; in each it must come to hold."""
    def attempt():
        disturb()
        began = time.monotonic()
        wait_until(condition, what, seconds=30)
        return time.monotonic() - began

    held_in_one_of_several_rounds(attempt, seconds, what)


def read_line(source, seconds=60.0):
    """The next line of a Popen's output, of one of its streams, or of a descriptor, as `readline` has it: text or bytes, and at the end of the
    stream what there is. Raises AssertionError past the deadline, where `readline` waits for ever.

    A byte at a time, past Python's buffers: what comes after the line is still in the pipe for poll(2), and for whoever reads on."""
    return read(source, seconds, 1, lambda found: found.endswith(b"\n"), "a line")


def read_rest(source, seconds=60.0):
    """What comes until the stream ends, as `read` has it. Raises AssertionError past the deadline."""
    return read(source, seconds, 65536, lambda found: False, "the end of the output")


def read(source, seconds, size, suffices, what):
    process, stream = (source, source.stdout) if isinstance(source, subprocess.Popen) else (None, source)
    descriptor = stream if isinstance(stream, int) else stream.fileno()
    deadline, found = time.monotonic() + seconds * PATIENCE, bytearray()
    while not suffices(found):
        if not is_ready(descriptor, select.POLLIN, deadline):
            state = "" if process is None else f" of {process.args}, " + ("which runs" if process.poll() is None else f"which ended with {process.returncode}")
            raise AssertionError(f"not within {seconds} s: {what}{state}; until then there came {bytes(found[-4000:])!r}")
        part = os.read(descriptor, size)
        if not part:
            break
        found += part
    return found.decode(errors="replace") if hasattr(stream, "encoding") else bytes(found)


def is_ready(stream, event, deadline):
    """Whether it is by the deadline; select(2) knows no descriptor above 1023."""
    poller = select.poll()
    poller.register(stream, event)
    return bool(poller.poll(max(0, deadline - time.monotonic()) * 1000))


def write_whole(stream, data, seconds=60.0):
    """Into a pipe whose reader may stop to read. Raises AssertionError past the deadline."""
    deadline, left = time.monotonic() + seconds * PATIENCE, memoryview(data)
    while left:
        assert is_ready(stream, select.POLLOUT, deadline), f"not within {seconds} s: {len(data)} bytes are taken, {len(left)} are left"
        # As much as a pipe that is ready takes without waiting. - Source: pipe(7), PIPE_BUF.
        left = left[os.write(stream.fileno(), left[:select.PIPE_BUF]):]


# For as long as a payload does this it is as it was; `go` ends it, when all that is to come before has come.
UNTIL_GO = "while [ ! -e /go ]; do usleep 20000; done"


def go(pid):
    with open(f"/proc/{pid}/root/go", "xb"):
        pass


def state_of(pid):
    """One letter, as proc_pid_stat(5) has it."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def alive(pid):
    """False of a zombie too: one whose parent is gone stays for as long as the first process of the machine looks elsewhere. One that has other
    threads left is none: it has ended when they have. - Source: proc_pid_stat(5), num_threads."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
            return fields[0] != "Z" or int(fields[17]) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def stop(process, seconds=15):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            kill(process)
    return process.returncode


def kill(process, seconds=60):
    """SIGKILL, and its end: what the kernel holds is named in place of waited for."""
    process.kill()
    try:
        process.wait(seconds * PATIENCE)
    except subprocess.TimeoutExpired:
        with open(f"/proc/{process.pid}/wchan", encoding="ascii") as file:
            place = file.read()
        raise AssertionError(f"{process.args}, process {process.pid}, has not ended {seconds} s after SIGKILL: it is in {place}") from None


def password_line(user, password):
    """A line of a registry's password file. The registry works it out for each request: as little as the form permits, not a quarter of a second."""
    # Here, for it warns whoever imports it.
    import crypt
    return f"{user}:{crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)).replace('$2b$', '$2y$')}\n"


class Registry:
    """A real docker-registry on a free port of 127.0.0.1.  `htpasswd` is the text of a password file, `tls` the paths of a certificate and
    its key; None is none."""

    def __init__(self, folder, htpasswd=None, tls=None):
        self.folder, self.port, self.scheme = folder, free_port(), "https" if tls else "http"
        self.host = f"127.0.0.1:{self.port}"
        self.log_path = os.path.join(folder, "registry.log")
        os.makedirs(folder, exist_ok=True)
        auth = ""
        if htpasswd:
            with open(os.path.join(folder, "htpasswd"), "w", encoding="utf-8") as file:
                file.write(htpasswd)
            auth = f"auth:\n  htpasswd:\n    realm: test\n    path: {folder}/htpasswd\n"
        secrets = f"  tls:\n    certificate: {tls[0]}\n    key: {tls[1]}\n" if tls else ""
        config = os.path.join(folder, "config.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"version: 0.1\nlog:\n  accesslog:\n    disabled: false\n  level: warn\nstorage:\n  filesystem:\n"
                       f"    rootdirectory: {folder}/data\nhttp:\n  addr: {self.host}\n{secrets}{auth}")
        self.log = open(self.log_path, "wb")
        environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=self.log, stderr=self.log, env=environment)
        wait_until(self.answers, "the registry answers", 60)

    def answers(self):
        assert self.process.poll() is None, open(self.log_path, encoding="utf-8").read()
        try:
            unproven = ssl._create_unverified_context() if self.scheme == "https" else None
            urllib.request.urlopen(f"{self.scheme}://{self.host}/v2/", timeout=1, context=unproven).close()
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False
        return True

    def requests(self, needle):
        """The lines of the access log that hold `needle`."""
        self.log.flush()
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return [line for line in file if needle in line]

    def stop(self):
        stop(self.process)
        self.log.close()


class FaultyRegistry:
    """faulty_registry.py, serving an OCI layout as `one` with one fault."""

    def __init__(self, layout, fault):
        self.log_path = f"{layout}.log"
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faulty_registry.py")
        self.process = subprocess.Popen(
            [sys.executable, script, layout, self.log_path, fault], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = f"127.0.0.1:{int(read_line(self.process))}/one"

    def requests(self):
        """Method, path, status, authorization and range of each request."""
        with open(self.log_path, encoding="utf-8") as file:
            return [line.split() for line in file]

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(60 * PATIENCE)
        except subprocess.TimeoutExpired:
            kill(self.process)
            raise
        finally:
            self.process.stdout.close()
