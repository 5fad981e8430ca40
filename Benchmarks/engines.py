"""The daemon and its shims beside dockerd and containerd, and what they take while nothing happens."""

import os
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import oci_images
from processes import Registry, stop, wait_until
from runtimes import ROOT, Worker, verdict

BUILD = os.environ.get("APUS_BUILD", os.path.join(ROOT, ".build", "release"))

class Engines:
    """apusd and Debian's dockerd, each with folders of its own and the same image."""

    def __init__(self, folder, with_peer=True):
        self.folder, self.processes, self.hosts = folder, [], {}
        self.registry = Registry(os.path.join(folder, "registry"))
        try:
            self.begin(with_peer)
        except BaseException:
            self.close()
            raise

    def begin(self, with_peer):
        folder = self.folder
        oci_images.Pusher(self.registry.host).push("busybox", oci_images.busybox())
        self.image = f"{self.registry.host}/busybox"
        self.start("apusd", [f"{BUILD}/apusd", "--data-root", f"{folder}/a/data", "--exec-root", f"{folder}/a/run"])
        self.daemon = self.processes[0]
        if with_peer:
            self.start("dockerd", ["unshare", "-m", "dockerd", "--data-root", f"{folder}/d/data", "--exec-root", f"{folder}/d/run",
                                   "--pidfile", f"{folder}/d.pid", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
                                   "--ip-masq=false", "--bridge=none"])

    def start(self, name, words):
        path = os.path.join(self.folder, f"{name}.sock")
        with open(os.path.join(self.folder, f"{name}.log"), "wb") as log:
            self.processes.append(subprocess.Popen([*words, "--host", f"unix://{path}"], stdout=log, stderr=log))
        self.hosts[name] = f"unix://{path}"
        wait_until(lambda: subprocess.run(["curl", "-sf", "--unix-socket", path, "http://d/_ping"], capture_output=True,
                                          check=False).returncode == 0, f"{name} answers", 30)
        self.docker(name, "pull", "-q", self.image)

    def start_containerd(self):
        """containerd of its own, with the same image: what `ctr` takes is the floor of containerd's shims."""
        folder = os.path.join(self.folder, "c")
        os.makedirs(folder)
        self.ctr = ["ctr", "-a", f"{folder}/c.sock", "-n", "bench"]
        with open(f"{folder}/config.toml", "w", encoding="utf-8") as file:
            file.write(f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                       f'[grpc]\naddress = "{folder}/c.sock"\n')
        with open(f"{folder}/log", "wb") as log:
            self.processes.append(subprocess.Popen(["unshare", "-m", "containerd", "-c", f"{folder}/config.toml"], stdout=log, stderr=log))
        wait_until(lambda: subprocess.run([*self.ctr, "version"], capture_output=True, check=False).returncode == 0, "containerd answers", 30)
        subprocess.run([*self.ctr, "images", "pull", "--plain-http", f"{self.image}:latest"], check=True, capture_output=True)

    def docker(self, name, *words):
        return subprocess.run(["docker", "-H", self.hosts[name], *words], check=True, capture_output=True, text=True).stdout

    def close(self):
        # What a comparison leaves, whether it failed or not: containers outlive their daemon.
        for name in self.hosts:
            try:
                remove_all(self, name)
            except subprocess.CalledProcessError as error:
                print(f"containers of {name} are left: {error.stderr.strip()}", file=sys.stderr)
        for process in reversed(self.processes):
            stop(process)
        self.registry.stop()


def proportional_set_size(process):
    with open(f"/proc/{process}/smaps_rollup", encoding="utf-8") as file:
        return int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1))


def supervisors(folder, name):
    """The shims, or the keeper, of a folder, by the name that they gave themselves. A keeper does not tell whose it is: those of other
    pid namespaces belong to somebody else at least."""
    found, here = [], os.readlink("/proc/self/ns/pid")
    for process in os.listdir("/proc"):
        try:
            with open(f"/proc/{process}/comm", encoding="utf-8") as comm, open(f"/proc/{process}/cmdline", "rb") as words:
                own = os.readlink(f"/proc/{process}/ns/pid") == here if name == "apus-keeper" else folder.encode() in words.read()
                if comm.read() == f"{name}\n" and own:
                    found.append(int(process))
        except OSError:
            continue  # no process, or one that has ended
    return found


def switches(processes):
    """How often each of their threads began to run, by thread."""
    found = {}
    for process in processes:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/status", encoding="utf-8") as file:
                found[thread] = sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", file.read())))
    return found


def processor_seconds(processes):
    total = 0
    for process in processes:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            words = file.read().rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / os.sysconf("SC_CLK_TCK")


def run_many(engines, name, count, first=0, workers=8):
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda number: engines.docker(name, "run", "-d", "--name", f"idle{number}", "--network", "none", engines.image, "sleep", "3000"),
                      range(first, first + count)))


def remove_all(engines, name):
    """Ends what runs, a hundred in one request of the client."""
    ids = engines.docker(name, "ps", "-aq").split()
    for start in range(0, len(ids), 100):
        engines.docker(name, "rm", "-f", *ids[start:start + 100])


def bench_engine(folder, rounds):
    engines, worker = Engines(folder), Worker()
    try:
        times = {name: [] for name in engines.hosts}
        for number in range(rounds + 3):
            for name, host in engines.hosts.items():
                elapsed = worker.time(["docker", "-H", host, "run", "--rm", "--network", "none", engines.image, "true"])
                if number >= 3:
                    times[name].append(elapsed)
        tell("docker run --rm --network none busybox true, through the docker command line", times, 0.3)
    finally:
        worker.close()
        engines.close()


def tell(title, times, *targets):
    """Medians, and whether ours is at most each target's part of the others', in their order."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = medians["apusd"]
    print(f"\n{title}")
    for name, median in medians.items():
        print(f"  {name:14} median {median:9.1f} ms of {len(times[name])}" + ("" if name == "apusd" else f"   apusd / {name} = {ours / median:.2f}"))
    for target, (name, median) in zip(targets, list(medians.items())[1:]):
        verdict(ours <= target * median, f"at most {target:.2f} of {name}'s median")


def bench_docker_exec(folder, rounds):
    """One container each, and execs in them by turns."""
    engines, worker = Engines(folder), Worker()
    try:
        times = {name: [] for name in engines.hosts}
        for name in engines.hosts:
            run_many(engines, name, 1)
        for number in range(rounds + 3):
            for name, host in engines.hosts.items():
                elapsed = worker.time(["docker", "-H", host, "exec", "idle0", "true"])
                if number >= 3:
                    times[name].append(elapsed)
        tell("docker exec true", times, 0.5)
    finally:
        worker.close()
        engines.close()


def bench_parallel(folder, _):
    """Fifty at once, three times each by turns: from the first command's start to the last one's end."""
    engines = Engines(folder)
    try:
        engines.start_containerd()
        commands = {name: (lambda number, host=host: ["docker", "-H", host, "run", "-d", "--name", f"idle{number}", "--network", "none", engines.image,
                                                      "sleep", "3000"]) for name, host in engines.hosts.items()}
        commands["ctr"] = lambda number: [*engines.ctr, "run", "-d", f"{engines.image}:latest", f"idle{number}", "sleep", "3000"]
        times = {name: [] for name in commands}
        for _ in range(3):
            for name, command in commands.items():
                begin = time.monotonic()
                started = [subprocess.Popen(command(number), stdout=subprocess.DEVNULL) for number in range(50)]
                failed = sum(process.wait() != 0 for process in started)
                times[name].append((time.monotonic() - begin) * 1000)
                assert not failed, f"{failed} of {name} failed"
                if name == "ctr":
                    subprocess.run(f"{' '.join(engines.ctr)} tasks ls -q | xargs -n 50 {' '.join(engines.ctr)} tasks rm -f && "
                                   f"{' '.join(engines.ctr)} containers ls -q | xargs -n 50 {' '.join(engines.ctr)} containers rm",
                                   shell=True, check=True, capture_output=True)
                else:
                    remove_all(engines, name)
        tell("50 parallel run -d", times, 0.5, 0.9)
    finally:
        engines.close()


# Containers that sleep, and what each of their shims may take then, by the mean.
SHIM_KILOBYTES = {1: 2500, 10: 1000, 50: 400}


# For how long a shim or the keeper may put off what it does once nothing happens (EventLoop.idleWorkNanoseconds).
TIDYING_SECONDS = 32


def bench_memory(folder, _):
    """One container, ten, fifty: memory, and whether anything wakes while nothing happens."""
    engines = Engines(folder, with_peer=False)
    try:
        print("\nmemory (PSS)")
        begun = 0
        for count, limit in SHIM_KILOBYTES.items():
            run_many(engines, "apusd", count - begun, first=begun)
            begun = count
            time.sleep(4)
            tell_memory(engines, folder, count, limit)
        # What happened may be tidied up after, once, up to half a minute later: that is its last wake.
        time.sleep(TIDYING_SECONDS)
        idle = supervisors(folder, "apus-shim") + supervisors(folder, "apus-keeper")
        before = switches(idle)
        time.sleep(30)
        after = switches(idle)
        print(f"  wakeups of shims and keeper in 30 s: {sum(after.values()) - sum(before.values())}")
        verdict(before == after, "none")
    finally:
        engines.close()


def tell_memory(engines, folder, count, limit):
    shims, keepers = supervisors(folder, "apus-shim"), supervisors(folder, "apus-keeper")
    assert len(shims) == count, f"{len(shims)} shims of {count} containers"
    sizes = [proportional_set_size(process) for process in shims]
    print(f"  apus-shim, each of {count:4}   {statistics.mean(sizes):6.0f} kB   (largest {max(sizes)} kB)\n"
          f"  apus-keeper, for all     {sum(map(proportional_set_size, keepers)):6} kB\n"
          f"  apusd                    {proportional_set_size(engines.daemon.pid):6} kB")
    verdict(statistics.mean(sizes) <= limit, f"at most {limit:,} kB {f'each of {count}' if count > 1 else 'alone'}")


def state_of(process):
    return {"descriptors": len(os.listdir(f"/proc/{process}/fd")), "threads": len(os.listdir(f"/proc/{process}/task")),
            "kB (PSS)": proportional_set_size(process)}


def bench_starts(folder, _):
    """Five hundred containers one after the other, eight at a time: the daemon has as much afterwards as after the first hundred."""
    engines = Engines(folder, with_peer=False)
    try:
        def some(count):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: engines.docker("apusd", "run", "--rm", "--network", "none", engines.image, "true"), range(count)))
            time.sleep(5)
            return state_of(engines.daemon.pid)

        before, after = some(100), some(500)
        print("\napusd after 100 starts and after 500 more\n" + "\n".join(f"  {name:12} {before[name]:6} {after[name]:6}" for name in before))
        verdict(after["descriptors"] <= before["descriptors"] and after["threads"] <= before["threads"], "no descriptor and no thread more")
        verdict(after["kB (PSS)"] <= before["kB (PSS)"] * 1.05 + 1024, "no memory more, but for 5 % and 1 MB of noise")
    finally:
        engines.close()


def bench_idle(folder, _):
    """Five hundred containers that sleep."""
    engines = Engines(folder, with_peer=False)
    try:
        begin = time.monotonic()
        run_many(engines, "apusd", 500)
        print(f"\n500 idle containers, begun in {time.monotonic() - begin:.0f} s")
        time.sleep(5)
        stack = [engines.daemon.pid, *supervisors(folder, "apus-shim"), *supervisors(folder, "apus-keeper")]
        size, before = proportional_set_size(engines.daemon.pid), processor_seconds(stack)
        time.sleep(20)
        share = (processor_seconds(stack) - before) / 20
        print(f"  apusd {size} kB (PSS); {len(stack)} processes took {share:.2%} of a core")
        verdict(size <= 60_000, "at most 60,000 kB")
        verdict(share < 0.01, "less than 1 % of a core")
    finally:
        engines.close()


COMPARISONS = {"engine": bench_engine, "memory": bench_memory, "docker-exec": bench_docker_exec, "parallel": bench_parallel, "starts": bench_starts,
               "idle": bench_idle}
