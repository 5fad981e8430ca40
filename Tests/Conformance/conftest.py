"""The runtime through its command line: ours, or with --runtime PATH (or RUNTIME) runc or crun, which proves the tests.

A test that states what only ours does carries @ours; what a runtime is known to fail, and what it is spared, stands in deviations.txt.
A test that shows what the specification demands carries @spec. crun words its errors in its own way."""

import contextlib
import copy
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Fixtures"))
import leaks
import standstill
from claims import apply_deviations, fixture, report_as_tap
from ordinary import Owner, ordinary_runtime
from processes import PATIENCE, kill, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release"))
APPLETS = ("sh true false cat ls ps sleep id echo mount stty env hostname touch mkdir rm ln pwd grep sed tty wc head "
           "kill readlink stat od test date mknod dd ip chmod").split()


def pytest_addoption(parser):
    parser.addoption("--runtime", default=os.environ.get("RUNTIME", os.path.join(BUILD, "apus-runtime")),
                     help="the runtime to test: ours, runc or crun")
    parser.addoption("--tap", action="store_true", help="print TAP, one line for each test")


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    standstill.register(config)
    config.addinivalue_line("markers", "ours: states what only our runtime does")
    config.addinivalue_line("markers", "spec(place, *sentences): shows what the specification demands")
    if config.getoption("--tap"):
        report_as_tap(config)


def kind_of(path):
    name = os.path.basename(path)
    return next((peer for peer in ("runc", "crun") if name.startswith(peer)), "apus")


def pytest_collection_modifyitems(config, items):
    kind = kind_of(config.getoption("--runtime"))
    for item in items:
        if kind != "apus" and item.get_closest_marker("ours"):
            item.add_marker(pytest.mark.skip(reason="states what only our runtime does"))
    apply_deviations(items, kind)


class Result:
    def __init__(self, command, completed, has_runcs_words):
        self.command, self.code, self.has_runcs_words = command, completed.returncode, has_runcs_words
        self.out, self.err = completed.stdout.decode(errors="replace"), completed.stderr.decode(errors="replace")

    def ok(self):
        assert self.code == 0, f"{self.command}\nexit {self.code}\n{self.out}\n{self.err}"
        return self

    def fails(self, *texts, code=None):
        assert self.code != 0, f"{self.command} did not fail\n{self.out}\n{self.err}"
        assert code is None or self.code == code, f"{self.command}: exit {self.code}, not {code}\n{self.err}"
        for text in texts if self.has_runcs_words else ():
            assert text in self.message, f"{self.command}: {text!r} is not in\n{self.message}"
        return self

    @property
    def message(self):
        """Standard error without the quoting of a log line."""
        return self.err.replace('\\"', '"').replace("\\\\", "\\")

    @property
    def lines(self):
        return self.out.splitlines()


class Runtime:
    def __init__(self, path, folder):
        self.path, self.kind, self.state_root = path, kind_of(path), os.path.join(folder, "state")
        self.prefix = []
        if self.kind == "crun" and os.path.ismount("/sys/fs/cgroup/unified"):
            # crun 1.8.1 refuses the hybrid layout.
            self.prefix = ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified; exec "$@"', "sh"]

    @contextlib.contextmanager
    def below(self, *words):
        """While it lasts, every command is run by another program: `unshare`, a shell."""
        before = self.prefix
        self.prefix = [*before, *words]
        try:
            yield
        finally:
            self.prefix = before

    def command(self, *words, options=()):
        return [*self.prefix, self.path, "--root", self.state_root, *options, *words]

    def __call__(self, *words, options=(), stdin=subprocess.DEVNULL, timeout=60, **popen):
        command = self.command(*words, options=options)
        done = subprocess.run(command, stdin=stdin, capture_output=True, timeout=timeout * PATIENCE, check=False, **popen)
        return Result(command, done, self.kind != "crun")

    def detached(self, *words, options=(), stdin=subprocess.DEVNULL, **popen):
        """For commands that leave a process behind, which would keep pipes of ours open."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            command = self.command(*words, options=options)
            done = subprocess.run(command, stdin=stdin, stdout=out, stderr=err, timeout=60 * PATIENCE, check=False, **popen)
            out.seek(0)
            err.seek(0)
            done.stdout, done.stderr = out.read(), err.read()
            return Result(command, done, self.kind != "crun")

    def state(self, container):
        return json.loads(self("state", container).ok().out)

    def status(self, container):
        return self.state(container)["status"]

    def wait_for(self, container, status):
        wait_until(lambda: self.status(container) == status, f"{container} is {status}")


DEFAULT = fixture("bundles", "default.json")


def merge(base, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and set(value) == {"$add"}:
            base[key] = base.get(key, []) + value["$add"]
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


class Bundle:
    def __init__(self, folder, template):
        self.path, self.rootfs = folder, os.path.join(folder, "rootfs")
        os.makedirs(folder)
        shutil.copytree(template, self.rootfs, symlinks=True)
        self.config = copy.deepcopy(DEFAULT)

    def write(self, args=None, **changes):
        """Writes config.json: the default one with `changes` merged in; a string of `args` runs in sh."""
        merge(self.config, copy.deepcopy(changes))
        if args is not None:
            self.config["process"]["args"] = ["sh", "-c", args] if isinstance(args, str) else args
        with open(os.path.join(self.path, "config.json"), "w", encoding="utf-8") as file:
            json.dump(self.config, file)
        return self

    def file(self, path, text, mode=0o644):
        full = os.path.join(self.rootfs, path.lstrip("/"))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(full, mode)
        return full

    def map_users(self, first=100000):
        """Puts the container in a user namespace whose root, `first` outside, owns the files."""
        for folder, folders, files in os.walk(self.rootfs):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(folder, name), first, first, follow_symlinks=False)
        for path in (self.path, self.rootfs):
            os.chmod(path, 0o755)
        self.config["linux"]["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            self.config["linux"][kind] = [{"containerID": 0, "hostID": first, "size": 65536}]

    def without_namespace(self, *kinds):
        namespaces = self.config["linux"]["namespaces"]
        self.config["linux"]["namespaces"] = [entry for entry in namespaces if entry["type"] not in kinds]
        return self

    def join(self, kind, path):
        self.without_namespace(kind)
        self.config["linux"]["namespaces"].append({"type": kind, "path": path})
        return self


@pytest.fixture(scope="session")
def folder():
    with tempfile.TemporaryDirectory(prefix="apus-conformance-", dir="/tmp") as path:
        os.chmod(path, 0o711)
        yield path


@pytest.fixture(scope="session")
def template(folder):
    path = os.path.join(folder, "template")
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "var"):
        os.makedirs(os.path.join(path, name))
    os.chmod(os.path.join(path, "tmp"), 0o1777)
    shutil.copy("/bin/busybox", os.path.join(path, "bin/busybox"))
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(path, "bin", applet))
    with open(os.path.join(path, "etc/passwd"), "w", encoding="utf-8") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n")
    return path


@pytest.fixture(scope="session")
def runtime(request, folder):
    return Runtime(os.path.abspath(shutil.which(request.config.getoption("--runtime"))), folder)


NUMBERS = itertools.count()
# Not the pid alone: another pid namespace on the same machine has the same.
RUN = f"apus-ct-{os.environ.get('APUS_RUN') or f'{os.getpid()}{os.urandom(2).hex()}'}-"


def states(runtime):
    return sorted(os.listdir(runtime.state_root)) if os.path.isdir(runtime.state_root) else []


def delete_others(runtime, kept):
    """Deletes every container but those of these names."""
    for name in states(runtime):
        if name not in kept:
            runtime("delete", "-f", name)


@pytest.fixture
def bundle(request, folder, template):
    runtime = request.getfixturevalue("runtime") if "runtime" in request.fixturenames else None
    before = states(runtime) if runtime else []
    made = Bundle(os.path.join(folder, f"bundle-{next(NUMBERS)}"), template)
    yield made
    # What still runs may be writing into its root.
    if runtime:
        delete_others(runtime, before)
    # However deep it has become: shutil goes down by calling itself.
    subprocess.run(["rm", "-rf", made.path], check=True)


@pytest.fixture
def container():
    return f"{RUN}{next(NUMBERS)}"


def footprint(runtime, folder):
    """What this run's containers have: those of another run at the same time are none of its business."""
    return {
        "mounts": leaks.mounts(folder), "cgroups": leaks.cgroups(RUN),
        "states": states(runtime),
        "processes": leaks.processes(runtime.state_root),
    }


@pytest.fixture(autouse=True)
def leaves_nothing(request):
    """A container that a test leaves is deleted, and whatever is then still there fails the test that left it."""
    if "runtime" not in request.fixturenames:
        yield
        return
    runtime, folder = request.getfixturevalue("runtime"), request.getfixturevalue("folder")
    before = footprint(runtime, folder)
    yield
    delete_others(runtime, before["states"])
    deadline = time.monotonic() + 5 * PATIENCE
    while (after := footprint(runtime, folder)) != before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert after == before, "left behind"


@pytest.fixture(scope="session")
def rootless(runtime, folder):
    return ordinary_runtime(runtime, folder)


@pytest.fixture
def owner(request, runtime, bundle):
    """Whose container it is, one of WHOSE; `runtime` is run by them meanwhile."""
    whose = getattr(request, "param", "root's")
    if whose != "root's" and runtime.kind != "apus":
        pytest.skip("states what only our runtime does")
    before = vars(runtime).copy()
    made = Owner(whose, bundle)
    try:
        if whose == "an ordinary user's":
            vars(runtime).update(vars(request.getfixturevalue("rootless")))
        yield made
        delete_others(runtime, [])
    finally:
        # It is the runtime of all the tests behind this one.
        vars(runtime).update(before)
        made.remove()


@pytest.fixture
def running(runtime, bundle, container):
    """A container that sleeps; its name."""
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    return container


@pytest.fixture
def other(runtime, folder, template):
    """A process in namespaces of its own, to be joined by path."""
    process = subprocess.Popen(["unshare", "--fork", "-n", "-i", "-u", "-p", "-C", "-T", "sleep", "600"])
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    wait_until(lambda: open(children, encoding="utf-8").read().strip(), "it is there")
    with open(children, encoding="utf-8") as file:
        child = int(file.read())
    wait_until(lambda: open(f"/proc/{child}/comm", encoding="utf-8").read() == "sleep\n", "it sleeps")
    yield child
    os.kill(child, 9)
    try:
        process.wait(30 * PATIENCE)
    except subprocess.TimeoutExpired:
        # It is over once all that were in its namespace of processes are reaped. A container's first process is so by the first one of the
        # machine, whenever that looks. Until then nothing is held, and nobody needs to wait.
        with open(f"/proc/{child}/wchan", encoding="ascii") as file:
            assert file.read() == "zap_pid_ns_processes"
        kill(process)
