"""Networks beside dockerd's and podman's: what the default network costs a start, what a connection carries, what published ports cost.

Each engine has a mount and a network namespace of its own, so that the rules of none touch the packets of another."""

import functools
import json
import os
import statistics
import subprocess
import tempfile

import oci_images
from processes import stop, wait_until
from runtimes import ROOT, Worker, compare, verdict

BUILD = os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release"))
IMAGE = "bench:1"
# What ours may be: parts of a peer's figure, or of another figure of ours, or milliseconds.
START_BESIDE_DOCKERD, START_BESIDE_PODMAN, NETWORK_MILLISECONDS, THROUGHPUT, MANY_PORTS = 0.35, 0.5, 15, 1.0, 1.2
# The card of each engine's host: a pair of which one end lies in the network namespace of a machine beside it.
CARD = "198.51.100.1"
PRIVATE = ("mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni && ip link set lo up && "
           "ip link add uplink type veth peer name lan && ip addr add 198.51.100.1/24 dev uplink && ip link set uplink up && ip link set lan up && exec \"$@\"")


def inside_namespaces(words):
    return ["unshare", "-m", "-n", "sh", "-c", PRIVATE, "sh", *words]


@functools.cache
def root_file_system():
    """busybox and iperf3 as a tar, which every engine imports."""
    path = os.path.join(tempfile.gettempdir(), f"apus-bench-root-{os.getpid()}.tar")
    layers = [oci_images.busybox_layer(), oci_images.with_libraries("/usr/bin/iperf3")]
    with tempfile.TemporaryDirectory() as folder:
        for layer in layers:
            subprocess.run(["tar", "-xf", "-", "-C", folder], input=layer, check=True)
        subprocess.run(["tar", "-cf", path, "-C", folder, "."], check=True)
    return path


class Engine:
    """A daemon in namespaces of its own, driven by docker's command line."""

    def __init__(self, name, folder, words):
        self.name, self.socket = name, os.path.join(folder, f"{name}.sock")
        self.words = ["docker", "-H", f"unix://{self.socket}"]
        with open(os.path.join(folder, f"{name}.log"), "wb") as log:
            self.process = subprocess.Popen(inside_namespaces([*words, "--host", f"unix://{self.socket}"]), stdout=log, stderr=log)
        try:
            wait_until(self.answers, f"{name} answers: {folder}/{name}.log", 60)
            self.run("import", "--change", "ENV LD_LIBRARY_PATH=/lib64", root_file_system(), IMAGE)
        except BaseException:
            self.close()
            raise

    def answers(self):
        assert self.process.poll() is None, f"{self.name} ended"
        return subprocess.run(["curl", "-sf", "--unix-socket", self.socket, "http://d/_ping"], capture_output=True, check=False).returncode == 0

    def run(self, *words):
        return subprocess.run([*self.words, *words], check=True, capture_output=True, text=True).stdout.strip()

    def on_host(self, *words):
        """A command line that runs where the daemon's published ports are the host's own."""
        return ["nsenter", "-t", str(self.process.pid), "-n", *words]

    def close(self):
        stop(self.process, 30)


def ours(folder):
    return Engine("apusd", folder, [f"{BUILD}/apusd", "--data-root", f"{folder}/a/data", "--exec-root", f"{folder}/a/run"])


def dockerd(folder):
    return Engine("dockerd", folder, ["dockerd", "--data-root", f"{folder}/d/data", "--exec-root", f"{folder}/d/run", "--pidfile", f"{folder}/d.pid"])


class Podman:
    """podman has no daemon: its commands run in namespaces that a sleeping process keeps. crun 1.8 fails beside the unified mount of a
    hybrid machine, so that without pure cgroup v2 the worker's view has none. A root without CAP_SYS_RESOURCE may not have its limits raised."""

    LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")

    def __init__(self, folder):
        self.keeper = subprocess.Popen(
            inside_namespaces(["sh", "-c", "umount /sys/fs/cgroup/unified 2>/dev/null; echo; exec sleep 3600"]), stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        self.words = ["nsenter", "-t", str(self.keeper.pid), "-m", "-n", "podman", "--root", f"{folder}/p/data", "--runroot", f"{folder}/p/run",
                      "--tmpdir", f"{folder}/p/tmp", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        subprocess.run([*self.words, "import", "--change", "ENV LD_LIBRARY_PATH=/lib64", root_file_system(), IMAGE], check=True, capture_output=True)

    def close(self):
        self.keeper.kill()
        self.keeper.wait()


def bench_network(folder, rounds):
    """What a start on the default network takes."""
    engines, worker = [ours(folder)], Worker()
    try:
        engines += [dockerd(folder), Podman(folder)]
        apusd, peer, podman = engines
        run = lambda engine, *flags: lambda number: worker.time([*engine.words, "run", "--rm", *flags, IMAGE, "true"])
        medians = compare("docker run --rm busybox true, on the default network", {
            "apusd": run(apusd), "apusd, none": run(apusd, "--network", "none"), "dockerd": run(peer), "podman": run(podman, *podman.LIMITS)}, rounds)
        mine = medians["apusd"]
        verdict(mine <= START_BESIDE_DOCKERD * medians["dockerd"], f"at most {START_BESIDE_DOCKERD} of dockerd's median")
        verdict(mine <= START_BESIDE_PODMAN * medians["podman"], f"at most {START_BESIDE_PODMAN} of podman's median")
        above = mine - medians["apusd, none"]
        verdict(above <= NETWORK_MILLISECONDS, f"{above:.1f} ms above the same without a network: at most {NETWORK_MILLISECONDS} ms")
    finally:
        worker.close()
        for engine in reversed(engines):
            engine.close()


def carried(words):
    """What one connection of a second and a half carries in Mbit/s, its slow start left out, and the CPU seconds that a gigabyte of it takes at both ends:
    the way of the packets costs them also where others have the processors."""
    told = json.loads(subprocess.run([*words, "--json", "--time", "1.5", "--omit", "0.3"], check=True, capture_output=True, text=True).stdout)["end"]
    sent, used = told["sum_sent"], told["cpu_utilization_percent"]
    seconds = (used["host_total"] + used["remote_total"]) / 100 * sent["seconds"]
    return told["sum_received"]["bits_per_second"] / 1e6, seconds / (sent["bytes"] / 1e9)


def notch(values):
    """How far a median may lie from the true one, by how far its values spread: two medians whose notches meet cannot be told apart at 95 %.
    - Source: McGill, Tukey and Larsen, Variations of box plots, 1978."""
    lower, _, upper = statistics.quantiles(values, n=4)
    return 1.57 * (upper - lower) / len(values) ** 0.5


def bench_throughput(folder, rounds):
    """What a TCP connection carries: between containers, and from the host to a published port."""
    rounds = min(rounds, 20)
    engines = [ours(folder)]
    try:
        engines.append(dockerd(folder))
        paths = {}
        for engine in engines:
            engine.run("run", "-d", "--name", "server", "-p", "5201:5201", IMAGE, "iperf3", "-s")
            engine.run("run", "-d", "--name", "client", IMAGE, "sleep", "3600")
            address = engine.run("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "server")
            for path, words in (("from container to container", [*engine.words, "exec", "client", "iperf3", "-c", address]),
                                ("from the host to a published port", engine.on_host("iperf3", "-c", CARD)),
                                ("from the host to a published port by 127.0.0.1", engine.on_host("iperf3", "-c", "127.0.0.1"))):
                paths.setdefault(path, {})[engine.name] = words
        for path, commands in paths.items():
            rows = {name: [] for name in commands}
            for _ in range(rounds):
                for name, words in commands.items():
                    rows[name].append(carried(words))
            found = {name: [megabits for megabits, _ in row] for name, row in rows.items()}
            costs = {name: statistics.median(cost for _, cost in row) for name, row in rows.items()}
            medians = {name: statistics.median(values) for name, values in found.items()}
            print(f"\nTCP {path} ({rounds} interleaved rounds)")
            for name, median in medians.items():
                ratio = "" if name == "apusd" else f"   apus / {name} = {medians['apusd'] / median:.2f}"
                spread = f"least {min(found[name]):8.0f}   most {max(found[name]):8.0f}"
                print(f"  {name:14} median {median:8.0f} Mbit/s   {spread}   {costs[name]:.2f} CPU s/GB{ratio}")
            noise = max(notch(values) for values in found.values()) if rounds > 2 else 0
            verdict(medians["apusd"] >= THROUGHPUT * medians["dockerd"], f"at least {THROUGHPUT} of dockerd's median")
            print(f"  {rounds} rounds tell a median to {noise / medians['dockerd']:.1%} of dockerd's")
    finally:
        for engine in reversed(engines):
            engine.run("rm", "-f", "server", "client")
            engine.close()


def bench_ports(folder, rounds):
    """What a start takes with one published port, and with a thousand."""
    engine, worker = ours(folder), Worker()
    try:
        for name, ports in (("one", "20000:1000"), ("thousand", "21000-21999:1000-1999")):
            engine.run("create", "--name", name, "-p", ports, IMAGE, "true")

        def start(name):
            elapsed = worker.time([*engine.words, "start", name])
            engine.run("wait", name)
            return elapsed

        medians = compare("docker start of a container with a thousand published ports, and with one", {
            "thousand": lambda number: start("thousand"), "one": lambda number: start("one")}, rounds)
        verdict(medians["thousand"] <= MANY_PORTS * medians["one"], f"at most {MANY_PORTS} of the median with one")
    finally:
        worker.close()
        engine.close()


COMPARISONS = {"network": bench_network, "throughput": bench_throughput, "ports": bench_ports}
