#!/usr/bin/env python3
"""Cuts a machine's power in the middle of pulls, loads and commits, and looks what it has when it is back.

  power_cut.py CUTS [SEED]    on this machine: boots Tests/cgroup2-vm on a disk image that survives, and kills its qemu at random moments
  power_cut.py --guest        in the virtual machine: checks what is there, and works until the power goes; --guest check: checks and ends

Every file of the images here is called after its content's SHA-256, and every layer holds a list of its files: a layer that can be seen must
hold all of them, byte by byte. What the virtual machine itself does wrong (a panic of its emulated kernel, a boot that hangs, a clock that stands
still) is no result: it is counted, and that boot is done once more. Needs root, qemu and a build (APUS_BUILD)."""

import contextlib
import gzip
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release"))
sys.path.insert(0, os.path.join(ROOT, "Tests", "Fixtures"))
DISK = "/mnt/scratch"
LAYERS, FILES_A_LAYER = 3, 120
LIST = "list"
# What the power goes in, by turns; seconds that a boot or one of them may take on a machine that emulates another and has much else to do.
KINDS, PATIENCE = ("pull", "load", "commit"), 1200
# Said by the machine when our program runs in it, and ever after, every so many seconds: what says nothing for so long stands still.
AWAKE, ALIVE, ALIVE_EVERY, SILENCE = "awake", "alive", 5, 300
# A boot may take that long until our program runs, and the machine's own faults may end so many in a row.
BOOT_PATIENCE, FAULTS_IN_A_ROW = 600, 5
# The status of Tests/cgroup2-vm where the machine failed, not what ran in it.
MACHINE_FAILED = 125
# The images that a boot leaves to the next one: enough to look at, and the disk stays as full as it is.
KEPT = 8


# In the virtual machine


def layer(source):
    from oci_images import files, tar
    contents = {}
    for _ in range(FILES_A_LAYER):
        data = source.randbytes(source.choice((10, 3_000, 9_000)))
        contents[f"d{source.randrange(9)}/{hashlib.sha256(data).hexdigest()}"] = data
    name = f"{LIST}-{source.randrange(1 << 60):x}"
    return tar(files({**contents, name: "\n".join(sorted(contents))}))


def image(number):
    from oci_images import Image
    source = random.Random(number)
    return Image([layer(source) for _ in range(LAYERS)], {"Cmd": ["/x"]}, compress=lambda data: gzip.compress(data, 1, mtime=0))


def apus(*words, check=True, **options):
    done = subprocess.run([f"{BUILD}/apus", "-H", f"unix://{DISK}/s", *words], capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, f"apus {words}: {done.stdout} {done.stderr}"
    return done


def start_daemon():
    with open(f"{DISK}/log", "ab") as log:
        process = subprocess.Popen([f"{BUILD}/apusd", "--host", f"unix://{DISK}/s", "--data-root", f"{DISK}/data", "--exec-root", "/run/apus",
                                    "--bridge", "none", "--registries-conf", ""], stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while apus("version", check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            with open(f"{DISK}/log", encoding="utf-8", errors="replace") as log:
                raise AssertionError(f"apusd does not start after a power cut: {log.read()[-3000:]}")
        time.sleep(0.2)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def check_layers():
    """Every layer that can be seen is whole. Returns how many there are."""
    folder = f"{DISK}/data/snapshots/overlayfs/layers"
    seen = 0
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        found, wanted = set(), set()
        for place, _, names in os.walk(f"{folder}/{name}"):
            for file in names:
                path = os.path.join(place, file)
                if len(file) == 64:
                    assert sha256(path) == file, f"{path} is damaged ({os.path.getsize(path)} bytes)"
                    found.add("/".join(path.split("/")[-2:]))
                elif file.startswith(f"{LIST}-"):
                    with open(path, encoding="ascii") as lines:
                        wanted |= set(lines.read().split())
        assert wanted and found == wanted, f"the layer {name} has {len(found)} of {len(wanted)} files"
        seen += 1
    return seen


def check():
    """What is there after a cut."""
    layers_before = check_layers()
    start_daemon()
    blobs = f"{DISK}/data/content/blobs/sha256"
    for name in os.listdir(blobs):
        assert sha256(f"{blobs}/{name}") == name, f"the blob {name} is damaged"
    ids = list(dict.fromkeys(apus("images", "-q", "--no-trunc").stdout.split()))
    counts = apus("image", "inspect", "-f", "{{len .RootFS.Layers}}", *ids).stdout.split() if ids else []
    assert len(counts) == len(ids) and all(int(count) >= LAYERS for count in counts), counts
    # Each recorded image can be made a container of: all its layers are there.
    containers = [apus("create", "--network", "none", name, "/x").stdout.strip() for name in ids]
    if containers:
        apus("rm", *containers)
    layers = check_layers()
    assert layers <= layers_before
    say(f"whole: {len(ids)} images, {layers} layers, {len(os.listdir(blobs))} blobs")
    # What was under way at the cut is taken away, and old images.
    if cut_off := apus("ps", "-aq").stdout.split():
        apus("rm", "-f", *cut_off)
    if old := ids[KEPT:]:
        apus("rmi", "-f", *old)


def say(line):
    # One write: the lines of several threads do not mix.
    os.write(1, f"{line}\n".encode())


def stay_alive():
    while True:
        say(ALIVE)
        time.sleep(ALIVE_EVERY)


def fail(failure):
    """What fails beside the main thread fails all."""
    sys.excepthook(failure.exc_type, failure.exc_value, failure.exc_traceback)
    sys.stderr.flush()
    os._exit(1)


@contextlib.contextmanager
def told(what):
    """Says when something begins and when it is done: the power goes in between."""
    say(f"{what} begins")
    yield
    say(f"{what} done")


def work():
    """Pulls, saves, loads and commits for ever."""
    from scripted_registry import ScriptedRegistry
    registry = ScriptedRegistry()
    number = time.time_ns() % 1_000_000
    threading.Thread(target=commits, args=(registry,), daemon=True).start()
    while True:
        number += 1
        made = image(number)
        registry.add(made, f"t{number}")
        with told("pull"):
            apus("pull", "-q", f"{registry.name}:t{number}")
        archive = f"/tmp/{number}.tar"
        apus("save", "-o", archive, f"{registry.name}:t{number}")
        apus("rmi", f"{registry.name}:t{number}", check=False)
        with told("load"):
            apus("load", "-q", "-i", archive)
        os.unlink(archive)


def commits(registry):
    number = 0
    while True:
        number += 1
        ids = apus("images", "-q", "--no-trunc").stdout.split()
        if not ids:
            time.sleep(0.2)
            continue
        container = apus("create", "--network", "none", ids[0], "/x", check=False)
        if container.returncode:
            continue
        name = container.stdout.strip()
        data = os.urandom(5_000)
        folder = tempfile.mkdtemp(dir="/tmp")
        os.makedirs(f"{folder}/c")
        path = f"{folder}/c/{hashlib.sha256(data).hexdigest()}"
        with open(path, "wb") as file:
            file.write(data)
        with open(f"{folder}/{LIST}-{number}{time.time_ns()}", "w", encoding="ascii") as file:
            file.write("c/" + os.path.basename(path))
        apus("cp", f"{folder}/.", f"{name}:/")
        with told("commit"):
            apus("commit", name, f"commit{number % 4}:latest", check=False)
        apus("rm", name, check=False)
        shutil.rmtree(folder)


# On this machine


def boot(disk, folder, *words):
    pid_file = os.path.join(folder, "pid")
    if os.path.exists(pid_file):
        os.unlink(pid_file)
    machine = subprocess.Popen(
        [f"{ROOT}/Tests/cgroup2-vm", "--image", disk, "--pid-file", pid_file, "--share", f"{ROOT}:ro", "--chdir", ROOT, "--env", f"APUS_BUILD={BUILD}",
         "--timeout", "1800", "--boot-timeout", "400", "--", "/usr/bin/python3", f"{ROOT}/Tests/PowerCut/power_cut.py", "--guest", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return machine, pid_file


class MachineFault(Exception):
    """The machine itself failed: neither a good result nor a bad one."""


class Machine:
    """A boot: what it says, and when."""

    def __init__(self, disk, folder, *words):
        self.process, self.pid_file = boot(disk, folder, *words)
        self.lines, self.heard, self.changed = [], time.monotonic(), threading.Condition()
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.process.stdout:
            with self.changed:
                self.heard = time.monotonic()
                if line.strip() != ALIVE:
                    self.lines.append((self.heard, line.strip()))
                self.changed.notify_all()
        with self.changed:
            self.lines.append((time.monotonic(), None))
            self.changed.notify_all()

    def wait_until_awake(self):
        """From here on what goes wrong is ours, but for the machine's end and its silence."""
        try:
            self.wait_for(AWAKE, seconds=BOOT_PATIENCE, silence=BOOT_PATIENCE)
        except AssertionError as error:
            raise MachineFault(str(error)) from error

    def wait_for(self, beginning, start=0, seconds=PATIENCE, silence=SILENCE):
        """The place and the time of the next line that begins so."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                for place in range(start, len(self.lines)):
                    moment, line = self.lines[place]
                    if line is None:
                        self.ended()
                    if line.startswith(beginning):
                        return place, moment
                start, now = len(self.lines), time.monotonic()
                assert now < deadline, f"no {beginning!r} in {seconds} s: {self.said()}"
                if now >= self.heard + silence:
                    raise MachineFault(f"it stands still since {now - self.heard:.0f} s: {self.said()}")
                self.changed.wait(min(deadline, self.heard + silence) - now)

    def ended(self):
        status, error = self.process.wait(), self.process.stderr.read()[-3000:]
        words = f"it ended by itself with {status}: {self.said()} {error}"
        raise MachineFault(words) if status == MACHINE_FAILED else AssertionError(words)

    def said(self):
        return ", ".join(line for _, line in self.lines if line)

    def kill(self):
        # Where it did not even begin there is nothing to kill, and its own words are told.
        if self.process.poll() is None and os.path.exists(self.pid_file):
            with contextlib.suppress(ProcessLookupError), open(self.pid_file, encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGKILL)
        self.process.wait()
        self.listener.join()


class Faults:
    """Counts what the machine itself did wrong, and has it done again."""

    def __init__(self):
        self.count = 0

    def outlive(self, attempt, *arguments):
        for left in reversed(range(FAULTS_IN_A_ROW)):
            try:
                return attempt(*arguments)
            except MachineFault as fault:
                self.count += 1
                print(f"the machine's own fault, boot it again: {fault}", flush=True)
                if not left:
                    raise


class Series:
    """A disk, and the cuts that it went through."""

    def __init__(self, folder, seed):
        self.folder, self.disk, self.source = folder, os.path.join(folder, "disk"), random.Random(seed)
        # Seconds that each kind took, as far as that is known; how many cuts were in the middle of one; how many there were.
        self.lengths, self.landed, self.number, self.faults = {}, {kind: 0 for kind in KINDS}, 0, Faults()
        subprocess.run(["truncate", "-s", "1G", self.disk], check=True)
        subprocess.run(["mkfs.ext4", "-q", self.disk], check=True)

    def cut(self):
        """One boot: what is there is checked, the work begins, and the power goes in the middle of one kind of work, or just behind its end.

        Returns whether it was in the middle."""
        self.number += 1
        kind = KINDS[self.number % len(KINDS)]
        landed = self.faults.outlive(self.cut_in, kind)
        self.landed[kind] += landed
        return landed

    def cut_in(self, kind):
        machine = Machine(self.disk, self.folder)
        try:
            machine.wait_until_awake()
            whole, _ = machine.wait_for("whole")
            place, begun = machine.wait_for(f"{kind} begins", whole)
            if kind not in self.lengths:
                # The first of its kind is watched; the next one is cut.
                place, done = machine.wait_for(f"{kind} done", place)
                self.lengths[kind] = done - begun
                place, begun = machine.wait_for(f"{kind} begins", place)
            length = self.lengths[kind]
            delay = self.source.uniform(0, 1.1 * length)
            time.sleep(max(0, begun + delay - time.monotonic()))
        finally:
            machine.kill()
        after = [(moment, line) for moment, line in machine.lines[place + 1:] if line]
        ends = [moment - begun for moment, line in after if line == f"{kind} done"]
        # The machine is not as slow as it was.
        if ends:
            self.lengths[kind] = ends[0]
        print(f"cut {self.number} {'after' if ends else 'in'} a {kind}, {delay:.1f} of {length:.1f} s: {machine.lines[whole][1]}; "
              f"then {len(after)} lines", flush=True)
        return not ends

    def look(self):
        """One boot in which everything is checked and nothing done."""
        return self.faults.outlive(self.look_once)

    def look_once(self):
        machine = Machine(self.disk, self.folder, "check")
        try:
            machine.wait_until_awake()
            whole, _ = machine.wait_for("whole")
            machine.wait_for("checked", whole)
            return machine.lines[whole][1]
        finally:
            machine.kill()


def main():
    if sys.argv[1] == "--guest":
        say(AWAKE)
        threading.excepthook = fail
        threading.Thread(target=stay_alive, daemon=True).start()
        check()
        if sys.argv[2:] == ["check"]:
            say("checked")
        else:
            work()
        return
    cuts, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 1_000_000
    print(f"{cuts} cuts, seed {seed}", flush=True)
    folder = tempfile.mkdtemp(prefix="apus-power-")
    try:
        series = Series(folder, seed)
        # Those that came too late are done once more, up to a limit.
        while (landed := sum(series.landed.values())) < cuts and series.number < 2 * cuts + len(KINDS):
            series.cut()
        print(f"at last {series.look()}; cuts in the middle of {', '.join(f'{count} {kind}s' for kind, count in series.landed.items())}; "
              f"the machine failed {series.faults.count} times by itself")
        assert landed >= cuts, "too few cuts came in time"
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
