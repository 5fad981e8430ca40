#!/usr/bin/env python3
"""Pulls beside dockerd, containerd (ctr) and podman: the same registry on loopback, the same images, one run.

Two images are made here: nine layers of 215 MB compressed and 517 MB unpacked, and one layer of 60,000 small files. For each engine: seconds until the
pull is over, CPU seconds of its processes, the daemon's peak of resident memory; then the pull of an image that is there. Beside it what disk and
decompressor alone take. Needs root, docker.io, containerd, podman, docker-registry, igzip or gzip and the release build (APUS_BUILD for another one).
  Benchmarks/pulls.py [--rounds N] [--engines apusd,dockerd,…]
"""

import argparse
import gzip
import hashlib
import io
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release"))
sys.path.insert(0, os.path.join(ROOT, "Tests", "Fixtures"))
from oci_images import Image, Pusher
from processes import Registry, stop, wait_until
from runtimes import verdict

TICKS = os.sysconf("SC_CLK_TCK")
NINE_LAYER_BYTES, NINE_RATIO = 517_000_000 // 9, 215 / 517
SMALL_FILES = 60_000


def enter_own_namespaces():
    """Mounts, links and processes of this run end with it."""
    if os.environ.get("APUS_BENCH_INSIDE") != "1":
        script = "mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/lock && ip link set lo up && exec \"$@\""
        os.execvpe("unshare", ["unshare", "-m", "-n", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c", script, "sh", sys.executable, *sys.argv],
                   {**os.environ, "APUS_BENCH_INSIDE": "1"})


def layer(number):
    """Files as programs and libraries have them: part of each compresses to nothing, part not at all."""
    source, buffer = random.Random(number), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        count = 0
        while buffer.tell() < NINE_LAYER_BYTES:
            size = source.choice((4_000, 30_000, 200_000, 1_500_000))
            pieces, length = [], 0
            while length < size:
                piece = source.randbytes(1024) if source.random() < NINE_RATIO * 0.97 else b"\x00text and zeros\n" * 64
                pieces.append(piece)
                length += len(piece)
            add(archive, f"usr/lib/{number}/{count % 50}/file{count}", b"".join(pieces)[:size])
            count += 1
    return buffer.getvalue()


def small_files(seed):
    source, buffer = random.Random(seed), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(SMALL_FILES):
            add(archive, f"srv/{number % 300}/{number}", source.randbytes(200) * source.randrange(1, 9))
    return buffer.getvalue()


def add(archive, path, data):
    member = tarfile.TarInfo(path)
    member.size, member.mtime = len(data), 1_700_000_000
    archive.addfile(member, io.BytesIO(data))


def make_images(pusher, rounds):
    """What is to be pulled in each round, and the layers of one of it."""
    with ThreadPoolExecutor(1) as pool:
        layers = list(pool.map(layer, range(9)))
    push(pusher, "nine", layers)
    # Another one in each round, and nothing is removed before the last: ext4 searches for room among the inodes of files that were removed in
    # the last minutes, which takes longer than making the files (recently_deleted in fs/ext4/ialloc.c).
    for number in range(rounds):
        push(pusher, f"small{number}", [small_files(number)])
    return {"nine": (["nine"] * rounds, layers), "small": ([f"small{number}" for number in range(rounds)], [small_files(0)])}


def push(pusher, name, tars):
    image = Image(tars, compress=lambda data: gzip.compress(data, 6, mtime=0))
    pusher.push(name, image)
    print(f"{name}: {len(tars)} layers, {sum(entry['size'] for entry in image.layers) / 1e6:.0f} MB compressed, "
          f"{sum(map(len, tars)) / 1e6:.0f} MB unpacked",
          flush=True)


def tree(process):
    """A process and all below it."""
    found, children = [], {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    waiting = [process]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_seconds(process):
    """Of a process, of what it waited for and of what runs below it."""
    total = 0
    for member in tree(process):
        try:
            with open(f"/proc/{member}/stat", encoding="ascii", errors="replace") as file:
                total += sum(map(int, file.read().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return total / TICKS


def peak_kilobytes(process):
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])


def forget_peak(process):
    with open(f"/proc/{process}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


class Engine:
    """A daemon and the command lines that pull and remove."""

    def __init__(self, name, folder, daemon, pull, remove, ready):
        self.name, self.pull_words, self.remove_words = name, pull, remove
        self.process = None
        if daemon:
            with open(os.path.join(folder, f"{name}.log"), "wb") as log:
                self.process = subprocess.Popen(daemon, stdout=log, stderr=log)
            wait_until(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, f"{name} answers", 60)

    def run(self, words):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout[-500:]} {done.stderr[-500:]}"

    def pull(self, image):
        """Seconds, CPU seconds and the daemon's peak in MB."""
        mine = os.times()
        if self.process:
            forget_peak(self.process.pid)
            before = cpu_seconds(self.process.pid)
        begun = time.monotonic()
        self.run([word.replace("IMAGE", image) for word in self.pull_words])
        wall = time.monotonic() - begun
        after = os.times()
        cpu = after.children_user + after.children_system - mine.children_user - mine.children_system
        if not self.process:
            return wall, cpu, 0
        return wall, cpu + cpu_seconds(self.process.pid) - before, peak_kilobytes(self.process.pid) / 1024

    def remove(self, image):
        for words in self.remove_words:
            self.run([word.replace("IMAGE", image) for word in words])

    def close(self):
        if self.process:
            stop(self.process)


def engines(folder, names):
    def docker(socket, *words):
        return ["docker", "-H", f"unix://{socket}", *words]
    made = []
    for name in names:
        place = os.path.join(folder, name)
        os.makedirs(place)
        socket = f"{place}/s"
        if name == "apusd":
            daemon = [f"{BUILD}/apusd", "--host", f"unix://{socket}", "--data-root", f"{place}/data", "--exec-root", f"{place}/r", "--bridge", "none"]
            made.append(Engine(name, folder, daemon, docker(socket, "pull", "-q", "IMAGE"), [docker(socket, "rmi", "IMAGE")], docker(socket, "version")))
        elif name == "dockerd":
            daemon = ["dockerd", "--host", f"unix://{socket}", "--data-root", f"{place}/data", "--exec-root", f"{place}/r", "--pidfile", f"{place}/pid",
                      "--bridge", "none", "--iptables=false"]
            made.append(Engine(name, folder, daemon, docker(socket, "pull", "-q", "IMAGE"), [docker(socket, "rmi", "IMAGE")], docker(socket, "version")))
        elif name == "ctr":
            with open(f"{place}/config.toml", "w", encoding="utf-8") as file:
                file.write(f'version = 2\nroot = "{place}/data"\nstate = "{place}/r"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                           f'[grpc]\naddress = "{socket}"\n')
            ctr = ["ctr", "-a", socket]
            made.append(Engine(name, folder, ["containerd", "-c", f"{place}/config.toml"], [*ctr, "images", "pull", "--plain-http", "IMAGE"],
                               [[*ctr, "images", "rm", "--sync", "IMAGE"]], [*ctr, "version"]))
        elif name == "podman":
            podman = ["podman", "--root", f"{place}/data", "--runroot", f"{place}/r", "--storage-driver", "overlay", "--events-backend", "none"]
            made.append(Engine(name, folder, None, [*podman, "pull", "-q", "--tls-verify=false", "IMAGE"], [[*podman, "rmi", "IMAGE"]], None))
    return made


def limits(folder, layers):
    """What decompressing alone and writing alone take."""
    packed = os.path.join(folder, "packed.gz")
    with open(packed, "wb") as file:
        for data in layers:
            file.write(gzip.compress(data, 6, mtime=0))
    tool = "igzip" if shutil.which("igzip") else "gzip"
    begun = time.monotonic()
    subprocess.run(f"{tool} -dc {packed} > /dev/null", shell=True, check=True)
    unpacked = time.monotonic() - begun
    begun = time.monotonic()
    for data in layers:
        hashlib.sha256(data)
    hashed = time.monotonic() - begun
    target = os.path.join(folder, "written")
    os.makedirs(target)
    with open(f"{folder}/all.tar", "wb") as file:
        for data in layers:
            file.write(data)
    subprocess.run(["sync", "-f", folder], check=True)
    begun = time.monotonic()
    subprocess.run(["tar", "-x", "--ignore-zeros", "-f", f"{folder}/all.tar", "-C", target], check=True)
    subprocess.run(["sync", "-f", target], check=True)
    written = time.monotonic() - begun
    shutil.rmtree(target)
    os.unlink(packed)
    os.unlink(f"{folder}/all.tar")
    return f"{tool} alone {unpacked:.2f} s, SHA-256 of what is unpacked {hashed:.2f} s, tar -x and sync alone {written:.2f} s"


def measure(folder, rounds, names):
    registry = Registry(os.path.join(folder, "registry"))
    running = []
    try:
        images = make_images(Pusher(registry.host), rounds)
        running = engines(folder, names)
        for image, (pulled, layers) in images.items():
            figures = {engine.name: [] for engine in running}
            again = {engine.name: [] for engine in running}
            for number, name in enumerate(pulled):
                name = f"{registry.host}/{name}:latest"
                # Whoever is first in a round finds what the last one left.
                for engine in running[number % len(running):] + running[:number % len(running)]:
                    subprocess.run(["sync", "-f", folder], check=True)
                    figures[engine.name].append(engine.pull(name))
                    again[engine.name].append(engine.pull(name)[0])
                    if image == "nine":
                        engine.remove(name)
            report(image, figures, again)
            print(f"  {limits(folder, layers)}", flush=True)
    finally:
        for engine in running:
            engine.close()
        registry.stop()


def report(image, figures, again):
    print(f"\npull of {image}, medians of {len(next(iter(figures.values())))}\n  {'':10}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'again ms':>10}")
    middle = {name: [statistics.median(values) for values in zip(*rows)] for name, rows in figures.items()}
    for name, (wall, cpu, peak) in middle.items():
        print(f"  {name:10}{wall:9.2f}{cpu:9.2f}{peak or float('nan'):9.0f}{1000 * statistics.median(again[name]):10.0f}")
    peers = [name for name in middle if name != "apusd"]
    if "apusd" in middle and peers:
        best = min(middle[name][0] for name in peers)
        wall, cpu, peak = middle["apusd"]
        told = statistics.median(again["apusd"])
        verdict(wall <= 0.5 * best, f"wall {wall / best:.2f} of the best peer's, at most 0.50")
        if "dockerd" in middle:
            verdict(cpu <= 0.5 * middle["dockerd"][1], f"CPU seconds {cpu / middle['dockerd'][1]:.2f} of dockerd's, at most 0.50")
        verdict(peak <= 60, f"peak {peak:.0f} MB, at most 60")
        verdict(told <= 0.050, f"an image that is there {told * 1000:.0f} ms, at most 50")


def bench_pulls(_, rounds):
    """In namespaces of its own, so that no daemon outlives it; five rounds say enough."""
    subprocess.run([sys.executable, os.path.abspath(__file__), "--rounds", str(min(rounds, 5))], check=True)


COMPARISONS = {"pulls": bench_pulls}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default="apusd,dockerd,ctr,podman")
    arguments = parser.parse_args()
    enter_own_namespaces()
    folder = tempfile.mkdtemp(prefix="apus-bench-pulls-", dir="/var/tmp")
    try:
        measure(folder, arguments.rounds, arguments.engines.split(","))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
