#!/usr/bin/env python3
"""Logs beside dockerd's json-file, in one run: what `logs --since`, `--until` and `--tail` take on a gigabyte, and how fast output is logged.

Needs root, dockerd, curl and the release build; both daemons live in a mount and a network namespace of this run, and leave nothing.
  Benchmarks/logs.py [--bytes N] [--runs N]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

BUILD = os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release"))
LINE_BYTES = 100


def enter_own_namespaces():
    """Mounts, links and addresses of this run end with it."""
    if os.environ.get("APUS_BENCH_INSIDE") != "1":
        script = "mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up && exec \"$@\""
        os.execvpe("unshare", ["unshare", "-m", "-n", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c", script, "sh", sys.executable, *sys.argv],
                   {**os.environ, "APUS_BENCH_INSIDE": "1"})


class Peer:
    def __init__(self, name, folder, command):
        self.name, self.socket = name, os.path.join(folder, f"{name}.sock")
        self.client = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}
        with open(os.path.join(folder, f"{name}.log"), "wb") as log:
            self.process = subprocess.Popen([*command, "--host", f"unix://{self.socket}"], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while self.run("version", check=False).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < deadline, f"{name} does not answer: {folder}/{name}.log"
            time.sleep(0.1)

    def run(self, *words, check=True):
        return subprocess.run(["docker", *words], env=self.client, capture_output=True, check=check, text=True)

    def seconds(self, path):
        """How long a request takes until its last byte, and how many bytes came."""
        said = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{time_total} %{size_download}", "--unix-socket", self.socket, f"http://d{path}"],
                              capture_output=True, text=True, check=True).stdout.split()
        return float(said[0]), int(said[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def fill(peer, image, byte_count):
    """A container that wrote so many bytes in lines. Returns the seconds that took, start and end included."""
    script = f"yes {'x' * (LINE_BYTES - 1)} | head -c {byte_count}; sleep 3; seq 1 20"
    begin = time.monotonic()
    peer.run("run", "--name", "big", "--log-opt", "max-size=4g", image, "sh", "-c", script.replace("sleep 3; ", "date +%s > /mark; sleep 3; "))
    return time.monotonic() - begin - 3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--runs", type=int, default=50)
    arguments = parser.parse_args()
    enter_own_namespaces()
    folder = tempfile.mkdtemp(prefix="apus-bench-logs-", dir="/var/tmp")
    peers = []
    try:
        peers.append(Peer("apusd", folder, [f"{BUILD}/apusd", "--data-root", f"{folder}/apus", "--exec-root", f"{folder}/r", "--bridge", "none"]))
        peers.append(Peer("dockerd", folder, ["dockerd", "--data-root", f"{folder}/docker", "--exec-root", f"{folder}/dr", "--pidfile", f"{folder}/d.pid",
                                              "--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"]))
        measure(peers, folder, arguments)
    finally:
        for peer in peers:
            peer.run("rm", "-f", "big", check=False)
            peer.stop()
        shutil.rmtree(folder, ignore_errors=True)


def import_image(peer, folder):
    """busybox as the only file of an image."""
    root = os.path.join(folder, "root")
    os.makedirs(f"{root}/bin", exist_ok=True)
    shutil.copy("/bin/busybox", f"{root}/bin/busybox")
    for name in ("sh", "yes", "head", "seq", "sleep", "date"):
        if not os.path.lexists(f"{root}/bin/{name}"):
            os.symlink("busybox", f"{root}/bin/{name}")
    subprocess.run(["tar", "-C", root, "-cf", f"{folder}/root.tar", "."], check=True)
    peer.run("import", f"{folder}/root.tar", "bench:1")
    return "bench:1"


def measure(peers, folder, arguments):
    filled = {}
    for peer in peers:
        filled[peer.name] = fill(peer, import_image(peer, folder), arguments.bytes)
    rates = {name: arguments.bytes / seconds / 1e6 for name, seconds in filled.items()}
    print(f"written, MB/s of output: apusd {rates['apusd']:.0f}, dockerd json-file {rates['dockerd']:.0f}, ratio {rates['apusd'] / rates['dockerd']:.2f}")
    ends = {peer.name: peer.run("inspect", "-f", "{{.State.FinishedAt}}", "big").stdout.strip() for peer in peers}
    questions = {"--tail 20": "tail=20", "--since 2 s before the end": "since={since}", "--until its beginning": "until={until}"}
    for question, query in questions.items():
        medians = {}
        for peer in peers:
            seconds = subprocess.run(["date", "-d", ends[peer.name], "+%s"], capture_output=True, text=True, check=True).stdout.strip()
            begun = peer.run("inspect", "-f", "{{.State.StartedAt}}", "big").stdout.strip()
            start = subprocess.run(["date", "-d", begun, "+%s"], capture_output=True, text=True, check=True).stdout.strip()
            path = "/v1.41/containers/big/logs?stdout=1&" + query.format(since=int(seconds) - 2, until=int(start) - 1)
            count = arguments.runs if peer.name == "apusd" or question == "--tail 20" else min(arguments.runs, 3)
            medians[peer.name] = statistics.median(peer.seconds(path)[0] for _ in range(count)) * 1000
        print(f"{question}: apusd {medians['apusd']:.1f} ms, dockerd {medians['dockerd']:.1f} ms, ratio {medians['apusd'] / medians['dockerd']:.4f}")


if __name__ == "__main__":
    main()
