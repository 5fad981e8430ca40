"""A containerd of a test's own, with our shim as one of its runtimes."""
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from processes import PATIENCE
from shim_client import BINARIES, wait_until
from shim_fixtures import processes_below

CONFIGURATION = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = [{disabled}"io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.sock.ttrpc"
[plugins."io.containerd.runtime.v2.task"]
  platforms = ["linux/amd64"]
"""


class Containerd:
    """A private containerd with one image, in a folder of its own."""
    base, namespace, applets = "test/box", "default", ("sh", "cat", "echo", "sleep", "true", "seq", "tty", "stty", "usleep", "yes", "head", "tail")

    def __init__(self, folder, runtime):
        self.folder, self.process = Path(folder), None
        programs = self.folder / "bin"
        programs.mkdir()
        # As installed: the shim under the name that containerd looks for, its runtime beside it.
        shutil.copy(BINARIES / "apus-shim", programs / "containerd-shim-apus-v2")
        (programs / "apus-runtime").symlink_to(runtime)
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        (self.folder / "config.toml").write_text(self.configuration())
        self.begin()

    def configuration(self):
        return CONFIGURATION.format(folder=self.folder, disabled='"io.containerd.grpc.v1.cri", ')

    def begin(self):
        with open(self.folder / "containerd.log", "ab") as log:
            self.process = subprocess.Popen(["containerd", "--config", self.folder / "config.toml"], env=self.environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self.ctr("version", check=False).returncode == 0, "containerd", seconds=60)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=30 * PATIENCE)

    def command(self, *words):
        return ["ctr", "--address", self.folder / "containerd.sock", "--namespace", self.namespace, *words]

    def ctr(self, *words, check=True, timeout=120, **options):
        done = subprocess.run(self.command(*words), env=self.environment, capture_output=True, timeout=timeout * PATIENCE,
                              **({"stdin": subprocess.DEVNULL} | options))
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr, self.said())
        return done

    def said(self):
        return (self.folder / "containerd.log").read_text()[-3000:]

    def run(self, *words, check=True, **options):
        return self.ctr("run", "--runtime", "io.containerd.apus.v2", "--snapshotter", "native", *words, check=check, **options)

    def import_image(self):
        layout, root = self.folder / "layout", self.folder / "bundle/rootfs/bin"
        subprocess.run(["umoci", "init", "--layout", layout], check=True, capture_output=True)
        subprocess.run(["umoci", "new", "--image", f"{layout}:busybox"], check=True, capture_output=True)
        subprocess.run(["umoci", "unpack", "--image", f"{layout}:busybox", self.folder / "bundle"], check=True, capture_output=True)
        root.mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "busybox")
        for applet in self.applets:
            (root / applet).symlink_to("busybox")
        subprocess.run(["umoci", "repack", "--image", f"{layout}:busybox", self.folder / "bundle"], check=True, capture_output=True)
        # A pod's first container runs what its image says.
        waiting = ("--config.env", "PATH=/bin", "--config.cmd", "sleep", "--config.cmd", "86400")
        subprocess.run(["umoci", "config", "--image", f"{layout}:busybox", *waiting], check=True, capture_output=True)
        subprocess.run(["tar", "-C", layout, "-cf", self.folder / "image.tar", "."], check=True)
        self.ctr("images", "import", "--snapshotter", "native", "--base-name", self.base, self.folder / "image.tar")
        self.image = self.ctr("images", "list", "-q").stdout.decode().split()[0]

    def shims(self):
        return processes_below(self.folder / "bin/containerd-shim-apus-v2")

    def clear(self):
        """Takes away what its tests left."""
        for name in self.ctr("tasks", "list", "-q", check=False).stdout.decode().split():
            self.ctr("tasks", "delete", "--force", name, check=False)


@contextlib.contextmanager
def containerd_of_a_module(make, runtime):
    """A containerd with its image in a folder of its own, of which nothing stays.

    make: Containerd, or a class of its kind."""
    folder = tempfile.mkdtemp(prefix="apus-ctrd-")
    # Roots of user namespaces come by here.
    os.chmod(folder, 0o711)
    before = shim_directories()
    daemon = make(folder, runtime)
    try:
        daemon.import_image()
        yield daemon
    finally:
        daemon.clear()
        wait_until(lambda: not daemon.shims(), "the shims to end")
        daemon.end()

        def what_is_left():
            mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder in line]
            return mounts, processes_below(folder), shim_directories() - before

        # containerd's own shims end by themselves.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(what_is_left()), "nothing to be left")
        left, running, directories = what_is_left()
        if not left:
            shutil.rmtree(folder)
        assert (left, running, directories) == ([], [], set())


def shim_directories():
    """The directories of containerd's shims, and their parent, which goes with the last of them."""
    parent = Path("/run/apus-shim")
    with contextlib.suppress(FileNotFoundError):
        return {parent, *parent.iterdir()}
    return set()
