"""Shims for tests: each in a folder of its own under /tmp, and nothing of them left afterwards."""
import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from shim_client import BINARIES, CGROUPS, Shim, wait_until

# runc beside ours: the same results from both show that the shim holds to the command line, and proves the tests.
RUNTIMES = {"apus-runtime": BINARIES / "apus-runtime", "runc": Path("/usr/sbin/runc")}
CHOSEN = os.environ.get("APUS_TEST_RUNTIMES", ",".join(RUNTIMES)).split(",")


def processes_below(folder):
    listed = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True).stdout.splitlines()
    return [line for line in listed if str(folder) in line and not line.startswith("Z")]


def what_is_left(folder):
    """Mounts, cgroups and processes."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]
    return mounts, groups_left(), processes_below(folder)


def groups_left():
    """Below each hierarchy of v1, and where there is one alone."""
    top = Path("/sys/fs/cgroup")
    return [str(path) for pattern in (f"{CGROUPS}-*", f"*/{CGROUPS}-*") for path in top.glob(pattern)]


def kept_streams(keeper):
    """How many pipes a keeper has: its containers' streams."""
    links = [os.readlink(path) for path in Path(f"/proc/{keeper}/fd").iterdir()]
    return sum(link.startswith("pipe:") for link in links)


def keeper_of(shim):
    """The keeper that a shim has begun, once it has what it keeps of the shim's running container: it is told of that, and nobody waits for it."""
    def found():
        for child in Path(f"/proc/{shim.pid}/task/{shim.pid}/children").read_text().split():
            # Another child may have ended meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if Path(f"/proc/{child}/comm").read_text() == "apus-keeper\n" and kept_streams(int(child)):
                    return int(child)
        return None

    return wait_until(found, "the keeper to have the container's streams")


@pytest.fixture(params=CHOSEN)
def shims(request):
    """Makes shims by id."""
    # Short: a container's directory is longer than a socket's address may be, and the bundle's must not be.
    folder = Path(tempfile.mkdtemp(prefix="apus-shim-"))
    made = []

    def make(id="box"):
        made.append(Shim(folder, RUNTIMES[request.param], id))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.clean()
        # What a shim that was ended had begun, as a packer of its log or a runtime, ends by itself.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(what_is_left(folder)), "nothing to be left")
        left, groups, running = what_is_left(folder)
        if not left:
            shutil.rmtree(folder)
        assert (left, groups, running) == ([], [], []), f"mounts {left}, cgroups {groups}, processes {running}"


@contextlib.contextmanager
def small_disk(shim, kilobytes):
    """The log goes to a disk of its own that is soon full; yields what gives that disk more room."""
    disk = shim.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", disk], check=True)
    shim.log = disk / "log"
    try:
        yield lambda kilobytes: subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)
    finally:
        shim.clean()
        # A shim that was told to end, or a packer of its, may hold a file there for a moment yet.
        wait_until(lambda: subprocess.run(["umount", disk], capture_output=True, check=False).returncode == 0, f"{disk} is let go of")


@pytest.fixture
def shim(shims):
    return shims()
