#!/usr/bin/env python3
"""Cuts a machine's power in the middle of pulls, loads and commits, and looks what it has when it is back.

  power_cut.py CUTS [SEED]    on this machine: boots Tests/cgroup2-vm on a disk image that survives, and kills its qemu at random moments
  power_cut.py --guest        in the virtual machine: checks what is there, and works until the power goes; --guest check: checks and ends

Every file of the images here is called after its content's SHA-256, and every layer holds a list of its files: a layer that can be seen must
hold all of them, byte by byte. Needs root, qemu and a build (APUS_BUILD)."""

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
        assert found == wanted and (wanted or name), f"the layer {name} has {len(found)} of {len(wanted)} files"
        seen += 1
    return seen


def check():
    """What is there after a cut."""
    layers_before = check_layers()
    start_daemon()
    blobs = f"{DISK}/data/content/blobs/sha256"
    for name in os.listdir(blobs):
        assert sha256(f"{blobs}/{name}") == name, f"the blob {name} is damaged"
    ids = set(apus("images", "-q", "--no-trunc").stdout.split())
    for name in ids:
        document = apus("image", "inspect", "-f", "{{len .RootFS.Layers}}", name).stdout
        assert int(document) >= LAYERS
        # Each recorded image can be made a container of: all its layers are there.
        container = apus("create", "--network", "none", name, "/x").stdout.strip()
        apus("rm", container)
    layers = check_layers()
    assert layers <= layers_before
    print(f"whole: {len(ids)} images, {layers} layers, {len(os.listdir(blobs))} blobs", flush=True)
    return len(ids)


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
        print(f"pull {number}", flush=True)
        apus("pull", "-q", f"{registry.name}:t{number}")
        archive = f"/tmp/{number}.tar"
        apus("save", "-o", archive, f"{registry.name}:t{number}")
        apus("rmi", f"{registry.name}:t{number}", check=False)
        print(f"load {number}", flush=True)
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
        apus("cp", f"{folder}/.", f"{name}:/", check=False)
        print("commit", flush=True)
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
         "--timeout", "600", "--boot-timeout", "400", "--", "/usr/bin/python3", f"{ROOT}/Tests/PowerCut/power_cut.py", "--guest", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return machine, pid_file


def cut(number, disk, folder, source):
    """One boot: what is there is checked, the work begins, and the power goes. Returns what the machine said."""
    machine, pid_file = boot(disk, folder)
    said = []
    for line in machine.stdout:
        said.append(line.strip())
        if line.startswith("whole"):
            break
    else:
        error = machine.stderr.read()
        raise AssertionError(f"boot {number}: nothing was whole: {' '.join(said)} {error[-3000:]}")
    # The first image takes a while to make.
    said.append(machine.stdout.readline().strip())
    threading.Thread(target=lambda: [said.append(line.strip()) for line in machine.stdout], daemon=True).start()
    delay = source.uniform(0.2, 20)
    time.sleep(delay)
    assert machine.poll() is None, f"the work ended by itself: {machine.stderr.read()[-3000:]}"
    with open(pid_file, encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    machine.wait()
    print(f"cut {number} after {delay:.1f} s: {said[0]}; then {', '.join(said[1:])}", flush=True)


def main():
    if sys.argv[1] == "--guest":
        check()
        if sys.argv[2:] != ["check"]:
            work()
        return
    cuts, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 1_000_000
    print(f"{cuts} cuts, seed {seed}", flush=True)
    source = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="apus-power-")
    disk = os.path.join(folder, "disk")
    try:
        subprocess.run(["truncate", "-s", "1G", disk], check=True)
        subprocess.run(["mkfs.ext4", "-q", disk], check=True)
        for number in range(1, cuts + 1):
            cut(number, disk, folder, source)
        machine, _ = boot(disk, folder, "check")
        out, error = machine.communicate()
        assert machine.returncode == 0, f"{out} {error[-3000:]}"
        print(f"at last {out.strip()}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
