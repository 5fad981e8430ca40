"""A live apusd, a real registry, and every client found on the machine: docker's command lines and our own.

--host unix://PATH runs the tests against a daemon that is there already (dockerd, say), which proves the tests."""

import collections
import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Fixtures"))
import leaks
import oci_images
import own_network
import standstill
from engine_http import api, stream
from processes import PATIENCE, Registry, kill, stop, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release"))


def pytest_configure(config):
    standstill.register(config)
    # A daemon that is there already lives in the machine's own network.
    if not config.getoption("--host"):
        own_network.enter()


def pytest_addoption(parser):
    parser.addoption("--host", help="a daemon to test in place of one of our own, unix://PATH")


def docker_command_lines():
    """Every docker on PATH, each version once, by `docker-VERSION`."""
    found = {}
    for folder in dict.fromkeys(os.environ["PATH"].split(":") + ["/usr/bin"]):
        path = os.path.join(folder, "docker")
        if os.access(path, os.X_OK):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if version := re.search(r"version (\d+\.\d+)", said):
                found.setdefault(f"docker-{version.group(1)}", path)
    return found


CLIENTS = {**docker_command_lines(), "apus": os.path.join(BUILD, "apus")}


def numbered_lines(count, then, rate=2000):
    """A shell's script that writes the numbers from 1 to `count`, at most `rate` a second: a daemon or a shim dies in the midst of them."""
    return f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo $i; [ $((i % 100)) = 0 ] && usleep {100 * 1_000_000 // rate}; done; {then}"


class Result:
    def __init__(self, command, completed):
        self.command, self.code = command, completed.returncode
        self.out, self.err = completed.stdout.decode(errors="replace"), completed.stderr.decode(errors="replace")
        self.raw = completed.stdout

    def ok(self):
        assert self.code == 0, f"{self.command}\nexit {self.code}\n{self.out}\n{self.err}"
        return self.out

    def line(self):
        return self.ok().strip()

    def __repr__(self):
        return f"exit {self.code}, out {self.out!r}, err {self.err!r}"


class Client:
    """One command line, pointed at the daemon under test."""

    def __init__(self, name, path, host, folder):
        self.name, self.path, self.host = name, path, host
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "DOCKER_HOST": host, "DOCKER_CONFIG": os.path.join(folder, "config"),
            "LANG": "C.UTF-8", "DOCKER_CLI_HINTS": "false", "TERM": "xterm",
            # Of a run without one of the guards, some of which are the client's.
            **{name: os.environ[name] for name in ("WEAKENED",) if name in os.environ},
        }
        os.makedirs(self.environment["DOCKER_CONFIG"], exist_ok=True)

    def __call__(self, *words, stdin=b"", timeout=60, env=None, cwd=None):
        stdin = stdin.encode() if isinstance(stdin, str) else stdin
        completed = subprocess.run(
            [self.path, *words], input=stdin, capture_output=True, timeout=timeout * PATIENCE, env={**self.environment, **(env or {})},
            cwd=cwd, check=False)
        return Result([self.name, *words], completed)

    def start(self, *words, **options):
        return subprocess.Popen([self.path, *words], env=self.environment, **options)

    def inspect(self, name, template):
        return self("inspect", "-f", template, name).line()


# Published ports on ::1, and those that containers with IPv4 alone have of IPv6, lead to one place, which is there from the first one on, for as
# long as a daemon lives.
RULES_OF_FORWARDER = (
    "dnat ip6 to [::1]:", "dnat ip6 to ip6 daddr:", "fib daddr type local drop", "meta l4proto sctp return", "iifname @internalBridges return")


class Daemon:
    """apusd with folders of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.data, self.run = os.path.join(folder, "data"), os.path.join(folder, "r")
        self.socket = os.path.join(folder, "apus.sock")
        self.host = f"unix://{self.socket}"
        self.log_path = os.path.join(folder, "apusd.log")
        # Stands for the host's /etc/resolv.conf; nobody serves there unless a test does.
        self.resolver = os.path.join(folder, "resolv.conf")
        self.process = None
        # Where the daemon and what it starts are taken from.
        self.programs = BUILD

    def start(self, *flags, under=(), env=None, seconds=20):
        """`under` is a command line that ends with the daemon's; `env` adds variables; `seconds` is how long it may take until it answers."""
        if not os.path.exists(self.resolver):
            with open(self.resolver, "w", encoding="utf-8") as file:
                file.write("nameserver 127.0.0.54\n")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*under, os.path.join(self.programs, "apusd"), "--host", self.host, "--data-root", self.data, "--exec-root", self.run,
                 "--pidfile", os.path.join(self.folder, "apusd.pid"), "--cdi-spec-dir", os.path.join(self.folder, "cdi"),
                 "--resolv-conf", self.resolver, *flags],
                stdout=log, stderr=log, cwd="/", env={**os.environ, **(env or {})})
        wait_until(self.answers, "apusd answers /_ping", seconds=seconds)
        return self

    def answers(self):
        assert self.process.poll() is None, f"apusd ended with {self.process.returncode}:\n{self.log()}"
        try:
            # To its end: from then on the daemon has nothing of this question open.
            with stream(self.socket, 5 * PATIENCE) as asked:
                asked.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
                said = b"".join(iter(lambda: asked.recv(4096), b""))
        except OSError:
            return False
        return said.startswith(b"HTTP/1.1 200 ") and said.endswith(b"\r\n\r\nOK")

    def pull(self, image):
        """Without a client, for tests that have need of an image, and nothing to say of how it comes."""
        _, said = api(self, "POST", f"/images/create?fromImage={image}", expect=200)
        assert "Status: " in str(said) and "errorDetail" not in str(said), said

    def kill(self):
        """SIGKILL: nothing of the daemon runs any further."""
        kill(self.process)

    def stop(self):
        return stop(self.process)

    @property
    def instance(self):
        """What the daemon's bridge and firewall tables are called, by where it lives (FNV-1a)."""
        digits = 2166136261
        for byte in self.run.encode():
            digits = (digits ^ byte) * 16777619 & 0xFFFFFFFF
        return f"apus-{digits & 0xFFFFFF:06x}"

    def forget_network(self):
        """Takes away what a daemon leaves to the next one: the default network's bridge and the tables of the firewall."""
        subprocess.run(["ip", "link", "del", self.instance], capture_output=True, check=True)
        self.forget_firewall()

    def forget_firewall(self):
        """The tables alone, of a daemon without the default network."""
        for family in ("inet", "bridge"):
            subprocess.run(["nft", "delete", "table", family, self.instance], capture_output=True, check=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()[-8000:]

    def shims(self):
        return leaks.processes(f"{self.run}/shims")

    def keepers(self):
        """What keeps open files for the daemon's shims, also where the folder is gone: its command line does not tell whose it is."""
        return [pid for pid in leaks.processes("-id keeper") if any(link.startswith(f"{self.run}/shims") for link in leaks.links_of_descriptors(pid))]

    def supervisors(self):
        """What outlives the daemon while containers run."""
        return self.shims() + self.keepers()

    def cgroups(self):
        """Cgroups of what the daemon's journal tells of: other daemons have theirs beside them."""
        known = set()
        for path in glob.glob(f"{self.data}/events/*"):
            with open(path, "rb") as file:
                known.update(re.findall("[0-9a-f]{64}", file.read().decode(errors="replace")))
        return [path for path in leaks.cgroups("/apus/") if not known.isdisjoint(path.split("/"))]

    def state(self):
        """What the kernel and the folders hold for this daemon."""
        return {
            "mounts": leaks.mounts(self.folder), "cgroups": self.cgroups(), "shims": self.shims(),
            "containers": entries(f"{self.data}/containers"), "runtime": entries(f"{self.run}/runtime"),
            "networks": entries(f"{self.run}/netns"), "names": entries(f"{self.run}/names/entries"), "links": leaks.links(),
            "parting cables": entries(f"{self.run}/parting-cables"),
            "ruleset": [line for line in leaks.ruleset() if not any(part in line for part in RULES_OF_FORWARDER)],
            "bundles": entries(f"{self.run}/bundles"), "sockets": entries(f"{self.run}/shims"), "ingests": entries(f"{self.data}/content/ingests"),
            "volumes": [name for name in entries(f"{self.data}/volumes") if not name.startswith(".")],
            "roots": [name for kind in ("active", "building", "views", "trash") for name in entries(f"{self.data}/snapshots/overlayfs/{kind}")],
        }


def entries(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


# Threads that rest for five seconds before they end: those of BlockingPools, which say so, and of libdispatch one for each of the daemon's and
# its database's serial queues.
RESTING = {re.compile(r"resting"): 100, re.compile(r".*qos.*"): 8}
# The one that waits for the end of the server of names, which rests for ten seconds.
WAITING = {"names": 1}
# Handles of libcurl that are kept for the next request, with a pair of sockets each. Connections to the server of names: by one it is told, by
# the other its end is noticed; it rests for ten seconds, and the daemon lets go of the former when it next has something to say.
# Clocks: the event loop's, and that of libdispatch, which is made with its first timer. Of what threads wait with, one more is libdispatch's, made then,
# beside those of the event loop and of the shims' connections.
KEPT = {"socket pair": 16, "socket of packets": 2, "anon_inode:[timerfd]": 2, "anon_inode:[eventpoll]": 3, "anon_inode:[eventfd]": 3}


# What there is from the beginning on, for as long as the daemon lives.
LASTING = {"tasks": 4, "shims": 1, "networks": 1, "network monitor": 1}


def lasting_threads(daemon):
    found = leaks.thread_kinds(daemon.process.pid)
    return {name: found[name] for name in LASTING}


class Held:
    """What a daemon's process has open, and its threads, each by its kind. One more of any kind was left by somebody. Only pools with a bound of
    their own are let through: the database's files and connections by TCP (`leaks.held`), what is kept for a next request, and threads that rest."""

    def __init__(self, daemon):
        self.process = daemon.process.pid
        self.kinds, self.threads = leaks.held(self.process), leaks.thread_kinds(self.process)

    def since(self, before):
        """What there is more of than before; nothing where another process began anew."""
        if self.process != before.process:
            return {}
        pools = {name: limit for name in self.threads for pool, limit in RESTING.items() if pool.fullmatch(name)}
        pools |= {name: max(0, limit - before.threads[name]) for name, limit in WAITING.items()}
        more = self.threads - before.threads - collections.Counter(pools)
        kept = collections.Counter({kind: max(0, limit - before.kinds[kind]) for kind, limit in KEPT.items()})
        return {**(self.kinds - before.kinds - kept), **{f"thread {name}": count for name, count in more.items()}}


def wait_until_closed(daemon, before, what):
    try:
        wait_until(lambda: not Held(daemon).since(before), what, seconds=30)
    except AssertionError:
        raise AssertionError(f"{what}: {Held(daemon).since(before)} more") from None


class PeerDaemon:
    """A daemon that somebody else started."""

    def __init__(self, host):
        self.host, self.socket = host, host.removeprefix("unix://")

    def state(self):
        return {}


@pytest.fixture(scope="session")
def workspace():
    # Short, so that sockets below it fit the 107 bytes of sun_path.
    folder = tempfile.mkdtemp(prefix="apus-", dir="/tmp")
    os.chmod(folder, 0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def registry(workspace):
    registry = Registry(os.path.join(workspace, "registry"))
    pusher = oci_images.Pusher(registry.host)
    pusher.push("busybox", oci_images.busybox())
    common = oci_images.tar(oci_images.files({"common.txt": "common" * 1000}))
    for name in ("alpha", "beta"):
        layer = oci_images.tar(oci_images.files({f"{name}.txt": name}))
        pusher.push(name, oci_images.Image([oci_images.busybox_layer(), common, layer]))
    yield registry
    registry.stop()


@pytest.fixture(scope="session")
def daemon(request, workspace):
    if host := request.config.getoption("--host"):
        yield PeerDaemon(host)
        return
    daemon = Daemon(os.path.join(workspace, "d"))
    os.makedirs(daemon.folder)
    daemon.start()
    # A thread gives itself its name: one that does so after it was counted would be one more.
    wait_until(lambda: lasting_threads(daemon) == LASTING, "its lasting threads have their names")
    held = Held(daemon)
    yield daemon
    wait_until_closed(daemon, held, "of all tests nothing stays open")
    assert daemon.stop() == 0, daemon.log()
    wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended")
    assert not leaks.mounts(daemon.folder)
    wait_until(lambda: not leaks.processes(f"{daemon.run}/names"), "the server of names has ended")
    daemon.forget_network()


@pytest.fixture
def own_daemon(daemon):
    """The daemon, for tests that look into its folders."""
    if isinstance(daemon, PeerDaemon):
        pytest.skip("looks into the folders of a daemon of our own")
    return daemon


@pytest.fixture
def brittle(workspace, registry, request):
    """A daemon of the test's own, to kill."""
    daemon = Daemon(os.path.join(workspace, f"b{len(os.listdir(workspace))}"))
    os.makedirs(daemon.folder)
    daemon.start()
    daemon.image, daemon.client = f"{registry.host}/busybox", Client("apus", CLIENTS["apus"], daemon.host, workspace)
    daemon.pull(daemon.image)
    yield daemon
    if daemon.process.poll() is not None:
        daemon.start()
    sweep(daemon)
    api(daemon, "POST", "/networks/prune", expect=200)
    end_without_remains(daemon)


@contextlib.contextmanager
def daemon_with_an_image(workspace, letter, data=None):
    """A daemon of the test's own with an image that no registry is needed for; `data` is where its data lies, None is below its own folder."""
    daemon = Daemon(os.path.join(workspace, f"{letter}{len(os.listdir(workspace))}"))
    daemon.data = data or daemon.data
    os.makedirs(daemon.folder)
    try:
        daemon.start()
        daemon.client, daemon.image = Client("apus", CLIENTS["apus"], daemon.host, workspace), "imported:1"
        daemon.client("import", "-", daemon.image, stdin=oci_images.busybox_layer()).ok()
        yield daemon
        sweep(daemon, volumes=True)
        end_without_remains(daemon)
    finally:
        if daemon.process and daemon.process.poll() is None:
            daemon.stop()


def end_without_remains(daemon):
    """Ends a daemon whose containers are gone, which must leave nothing."""
    wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended")
    assert daemon.stop() == 0
    assert not leaks.mounts(daemon.folder) and not daemon.cgroups()
    wait_until(lambda: not leaks.processes(f"{daemon.run}/names"), "the server of names has ended")
    daemon.forget_network()


@pytest.fixture(params=sorted(CLIENTS))
def cli(request, daemon, workspace):
    return Client(request.param, CLIENTS[request.param], daemon.host, workspace)


@pytest.fixture
def net(cli):
    """A user network, taken away again."""
    made = []

    def make(name, *flags):
        cli("network", "create", *flags, name).ok()
        made.append(name)
        return name

    yield make
    if names := cli("ps", "-aq").ok().split():
        cli("rm", "-f", *names)
    for name in made:
        cli("network", "rm", name)


@pytest.fixture
def apus(daemon, workspace):
    return Client("apus", CLIENTS["apus"], daemon.host, workspace)


@pytest.fixture(scope="session")
def image(daemon, registry, workspace):
    """The busybox image's name, pulled."""
    name = f"{registry.host}/busybox"
    Client("apus", CLIENTS["apus"], daemon.host, workspace)("pull", name).ok()
    return name


@pytest.fixture(autouse=True)
def nothing_left_behind(request):
    """Removes a test's containers, then compares what is there with what was there before."""
    if "daemon" not in request.fixturenames:
        yield
        return
    daemon = request.getfixturevalue("daemon")
    before, held = daemon.state(), None if isinstance(daemon, PeerDaemon) else Held(daemon)
    yield
    sweep(daemon)
    api(daemon, "POST", "/networks/prune", timeout=60 * PATIENCE)
    try:
        wait_until(lambda: daemon.state() == before, "the machine is as it was", seconds=30)
    except AssertionError:
        after = daemon.state()
        left = {key: ([one for one in before[key] if one not in after[key]], [one for one in after[key] if one not in before[key]])
                for key in before if before[key] != after[key]}
        raise AssertionError(f"gone and left behind: {left}") from None
    if held:
        wait_until_closed(daemon, held, "nothing stays open")


def sweep(daemon, volumes=False):
    """Removes every container, by the API: it is done after each test, and a client takes ten times as long to begin as a request takes.
    One that is just removing itself (--rm) refuses to be removed a second time, as Docker's does.

    volumes: and every volume."""
    patience = 60 * PATIENCE

    def is_clear():
        containers = api(daemon, "GET", "/containers/json?all=1", expect=200, timeout=patience)[1]
        removed = [api(daemon, "DELETE", f"/containers/{one['Id']}?force=1&v={int(volumes)}", timeout=patience)[0] for one in containers]
        return all(status == 204 for status in removed)

    wait_until(is_clear, "every container is removed", seconds=30)
    if volumes:
        api(daemon, "POST", "/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D", expect=200, timeout=patience)
