"""The runtime beside crun and runc, and beside the floor: the bare system calls of floor.c.

Every runtime keeps its state on a tmpfs of a private mount namespace, as it does below /run: on a disk that is mounted with `discard` the
removal of one directory costs more than the container."""

import concurrent.futures
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OURS = os.path.join(ROOT, ".build", "release", "apus-runtime")
# Words that open a private mount namespace: $0 is where the tmpfs goes. crun 1.8 fails beside the unified mount of a hybrid machine.
PRIVATE = 'mount -t tmpfs -o mode=700 tmpfs "$0" || exit; '
WITHOUT_UNIFIED = "umount /sys/fs/cgroup/unified 2>/dev/null; "


class Worker:
    """A place to run commands in, with a tmpfs of its own at `state`."""

    def __init__(self, state=None, prepare=""):
        prefix = ["unshare", "-m", "sh", "-c", PRIVATE + prepare + 'exec "$@"', state] if state else []
        self.process = subprocess.Popen([*prefix, sys.executable, os.path.join(HERE, "worker.py")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, words):
        """Milliseconds, exit code, and what the command wrote to descriptor 3."""
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        nanoseconds, code, told = json.loads(self.process.stdout.readline())
        return nanoseconds / 1e6, code, told

    def time(self, *commands):
        """Milliseconds of several commands together, each of which must succeed."""
        total = 0
        for words in commands:
            elapsed, code, _ = self.run(words)
            if code != 0:
                sys.exit(f"exit {code}: {' '.join(words)}")
            total += elapsed
        return total

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# What the runtime is to reach, as parts of crun's figure in the same run, or as figures of their own.
TARGETS = {"run": 0.65, "run, seccomp": 0.30, "cycle": 0.65, "exec": 0.60, "peak": 1.0, "limit KiB": 1024}


def verdict(holds, target):
    print(f"  {'met' if holds else 'MISSED'}: {target}", flush=True)


def compare(title, contenders, rounds, target=None):
    """contenders: name -> function of the round number that runs once and returns milliseconds; the first is ours. `target` is the part of
    crun's median that ours may be."""
    times = {name: [] for name in contenders}
    for number in range(rounds + 3):
        for name, once in contenders.items():
            elapsed = once(number)
            if number >= 3:
                times[name].append(elapsed)
    ours = next(iter(contenders))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"\n{title} ({rounds} interleaved rounds)")
    for name, median in medians.items():
        spread = statistics.quantiles(times[name], n=20)
        ratio = "" if name == ours else f"   apus / {name} = {medians[ours] / median:.2f}"
        print(f"  {name:14} median {median:8.2f} ms   5 % {spread[0]:8.2f}   95 % {spread[-1]:8.2f}{ratio}")
    sys.stdout.flush()
    if target:
        verdict(medians[ours] <= target * medians["crun"], f"at most {target:.2f} of crun's median")
    return medians


class Runtimes:
    """The contenders, each with a worker, and bundles for them."""

    def __init__(self, folder):
        self.folder = folder
        state = os.path.join(folder, "state")
        os.mkdir(state)
        self.plain, self.crun_view = Worker(state), Worker(state, WITHOUT_UNIFIED)
        self.words = {name: (worker, [program, "--root", f"{state}/{name}"]) for name, worker, program in (
            ("apus-runtime", self.plain, OURS), ("crun", self.crun_view, "crun"), ("runc", self.plain, "runc"))}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.plain.close()
        self.crun_view.close()

    def bundle(self, name, change=lambda config: None):
        """A bundle with busybox, runc's default specification, and /bin/true to run."""
        bundle = os.path.join(self.folder, name)
        os.makedirs(os.path.join(bundle, "rootfs", "bin"))
        for folder_name in ("proc", "dev", "sys", "etc", "tmp"):
            os.mkdir(os.path.join(bundle, "rootfs", folder_name))
        shutil.copy(shutil.which("busybox"), os.path.join(bundle, "rootfs", "bin", "busybox"))
        for applet in ("true", "sh", "sleep"):
            os.symlink("busybox", os.path.join(bundle, "rootfs", "bin", applet))
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        path = os.path.join(bundle, "config.json")
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        config["ociVersion"] = "1.0.2"
        config["process"].update(terminal=False, args=["/bin/true"], rlimits=[])
        self.write(bundle, config, change)
        return bundle

    @staticmethod
    def write(bundle, config, change):
        change(config)
        with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)

    def compiled_filter(self, bundle):
        """A file with the instructions of the filter that ours makes of the bundle's profile: the end of the one file that it keeps."""
        kept, path = os.path.join(self.folder, "filters"), os.path.join(self.folder, "filter")
        worker, words = self.words["apus-runtime"]
        worker.time(["env", f"APUS_SECCOMP_CACHE={kept}", *words, "run", "--bundle", bundle, unique("filter")])
        with open(os.path.join(kept, *os.listdir(kept)), "rb") as file:
            contents = file.read()
        # magic, version, length of the key, length of the program, checksum; the key, the program: Sources/Linux/Seccomp/ProgramCache.swift.
        magic, _, key, program, _ = struct.unpack("<8sIIIQ", contents[:28])
        if magic != b"APUSBPF\n" or len(contents) != 28 + key + program:
            sys.exit(f"{kept} holds no filter of the form that is known here")
        with open(path, "wb") as file:
            file.write(contents[28 + key:])
        return path

    def tool(self, name):
        """A C program of this folder, compiled."""
        path = os.path.join(self.folder, name)
        subprocess.run(["cc", "-O2", "-static", "-o", path, os.path.join(HERE, f"{name}.c")], check=True)
        return path


def unique(name, number=0):
    return f"bench-{name}-{os.getpid()}-{number}"


def docker_seccomp(config):
    with open(os.path.join(ROOT, "spec-fixtures", "profiles", "docker-default-seccomp.json"), encoding="utf-8") as file:
        config["linux"]["seccomp"] = json.load(file)


def sleeping(config):
    config["process"]["args"] = ["/bin/sleep", "1000"]


def bench_run(folder, rounds):
    with Runtimes(folder) as runtimes:
        for title, name, target, change in (("run /bin/true, runc's default specification", "plain", "run", lambda config: None),
                                            ("run /bin/true, with Docker's seccomp profile", "seccomp", "run, seccomp", docker_seccomp)):
            bundle = runtimes.bundle(name, change)
            contenders = {
                runtime: lambda number, worker=worker, words=words, runtime=runtime:
                worker.time([*words, "run", "--bundle", bundle, unique(runtime, number)])
                for runtime, (worker, words) in runtimes.words.items()}
            floor = [runtimes.tool("floor"), f"{bundle}/rootfs"]
            filters = [runtimes.compiled_filter(bundle)] if name == "seccomp" else []
            contenders["floor (C)"] = lambda number, floor=floor, filters=filters: runtimes.plain.time([*floor, unique("floor", number), *filters])
            compare(title, contenders, rounds, TARGETS[target])


def bench_cycle(folder, rounds):
    with Runtimes(folder) as runtimes:
        bundle = runtimes.bundle("plain")

        def cycle(worker, words, name):
            return worker.time([*words, "create", "--bundle", bundle, name], [*words, "start", name], [*words, "delete", "--force", name])

        floor, state = runtimes.tool("floor"), os.path.join(folder, "state")

        def bare(name):
            return runtimes.plain.time([floor, "create", f"{bundle}/rootfs", name, state], [floor, "start", name, state], [floor, "delete", name, state])

        contenders = {runtime: lambda number, how=how, runtime=runtime: cycle(*how, unique(runtime, number))
                      for runtime, how in runtimes.words.items()}
        contenders["floor (C)"] = lambda number: bare(unique("floor", number))
        compare("create, start and delete of /bin/true", contenders, rounds, TARGETS["cycle"])


def bench_exec(folder, rounds):
    with Runtimes(folder) as runtimes:
        bundle = runtimes.bundle("sleep", sleeping)
        running, contenders = [], {}
        try:
            for runtime, (worker, words) in runtimes.words.items():
                container = unique(runtime)
                worker.time([*words, "run", "--detach", "--pid-file", os.path.join(folder, f"{runtime}.pid"), "--bundle", bundle, container])
                running.append((worker, [*words, "delete", "--force", container]))
                contenders[runtime] = lambda number, worker=worker, words=words, container=container: \
                    worker.time([*words, "exec", container, "/bin/true"])
            with open(os.path.join(folder, "apus-runtime.pid"), encoding="ascii") as file:
                floor = [runtimes.tool("floor"), "exec", file.read()]
            contenders["floor (C)"] = lambda number: runtimes.plain.time(floor)
            compare("exec /bin/true", contenders, rounds, TARGETS["exec"])
        finally:
            for worker, words in running:
                worker.time(words)


def bench_peak(folder, _):
    """Peak resident size of each verb, children included. `ps` prints what crun can print too, JSON: the table is made by the host's ps, which
    alone takes more."""
    with Runtimes(folder) as runtimes:
        bundles = {"plain": runtimes.bundle("plain"), "seccomp": runtimes.bundle("seccomp", docker_seccomp),
                   "sleep": runtimes.bundle("sleep", sleeping)}
        peak = runtimes.tool("peak")
        for runtime, (worker, words) in runtimes.words.items():
            # Not the first time: a compiled filter is kept.
            worker.time([*words, "run", "--bundle", bundles["seccomp"], unique(runtime)])
        verbs = [("run", "run --bundle {plain} {id}"), ("run, seccomp", "run --bundle {seccomp} {id}"),
                 ("create", "create --bundle {sleep} {id}"), ("start", "start {id}"), ("state", "state {id}"), ("list", "list"),
                 ("ps", "ps --format json {id}"), ("exec", "exec {id} true"), ("update", "update --pids-limit 50 {id}"), ("pause", "pause {id}"),
                 ("resume", "resume {id}"), ("kill", "kill {id} KILL"), ("delete", "delete --force {id}")]
        print("\npeak resident size of each verb, KiB\n" + " " * 16 + "".join(f"{name:>14}" for name in runtimes.words))
        larger = []
        for verb, line in verbs:
            sizes = {}
            for runtime, (worker, words) in runtimes.words.items():
                arguments = line.format(id=unique(runtime), **bundles).split()
                sizes[runtime] = peak_size(worker, [peak, *words, *arguments])
            print(f"  {verb:14}" + "".join(f"{size:14}" for size in sizes.values()))
            if sizes["apus-runtime"] > TARGETS["peak"] * sizes["crun"]:
                larger.append(verb)
        verdict(not larger, f"no verb takes more than crun's{': more take ' + ', '.join(larger) if larger else ''}")


def peak_size(worker, words):
    _, code, told = worker.run(words)
    if code != 0:
        sys.exit(f"exit {code}: {' '.join(words)}")
    return int(told)


def bench_limit(folder, _):
    """The smallest memory limit, to 64 KiB, under which /bin/true still starts, three times out of three."""
    step, most = 64, 16_384
    with Runtimes(folder) as runtimes:
        bundle = runtimes.bundle("limit")
        with open(os.path.join(bundle, "config.json"), encoding="utf-8") as file:
            config = json.load(file)

        def starts(worker, words, kibibytes):
            runtimes.write(bundle, config, lambda config: config["linux"]["resources"].update(memory={"limit": kibibytes << 10}))
            for number in range(3):
                name = unique("limit", number)
                if worker.run([*words, "run", "--bundle", bundle, name])[1] != 0:
                    worker.run([*words, "delete", "--force", name])
                    return False
            return True

        print("\nthe smallest memory limit under which /bin/true starts")
        found = {}
        for runtime, how in runtimes.words.items():
            fails, works = 0, most
            while works - fails > step:
                middle = (fails + works) // 2 // step * step
                if starts(*how, middle):
                    works = middle
                else:
                    fails = middle
            print(f"  {runtime:14} {works:6} KiB")
            found[runtime] = works
        verdict(found["apus-runtime"] <= TARGETS["limit KiB"], f"at most {TARGETS['limit KiB']} KiB")


def remains(words):
    """What containers could leave behind on the machine: cgroups, mounts, processes of the runtime and entries of its state."""
    def count(command):
        return len(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines())

    with open("/proc/cgroups", encoding="utf-8") as file:
        cgroups = sum(int(line.split()[2]) for line in file if not line.startswith("#"))
    with open("/proc/meminfo", encoding="utf-8") as file:
        unreclaimable = int(re.search(r"^SUnreclaim:\s+(\d+)", file.read(), re.M).group(1))
    return {"cgroups": cgroups, "ours by name": count(["find", "/sys/fs/cgroup", "-type", "d", "-name", f"bench-*-{os.getpid()}-*"]),
            "processes": count(["pgrep", "-f", f"bench-many-{os.getpid()}"]), "containers": count([*words, "list", "-q"]),
            "kernel memory KiB": unreclaimable}


def settled(words, cgroups):
    """What remains once the kernel has freed the cgroups that were removed, which it does in its own time: within a minute."""
    deadline = time.monotonic() + 60
    while (found := remains(words))["cgroups"] > cgroups and time.monotonic() < deadline:
        time.sleep(1)
    return found


def bench_growth(folder, _):
    """1,000 containers one after the other, then 100 at once: none may fail, and nothing may be left."""
    sequential, parallel = 1000, 100
    with Runtimes(folder) as runtimes:
        bundle = runtimes.bundle("plain")
        words = [OURS, "--root", os.path.join(folder, "many")]

        def cycle(number):
            name = f"bench-many-{os.getpid()}-{number}"
            for verb in (["create", "--bundle", bundle, name], ["start", name], ["delete", "--force", name]):
                # A file: a created container's init keeps standard error, and would keep a pipe open.
                with tempfile.TemporaryFile("w+") as problem:
                    code = subprocess.run([*words, *verb], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=problem,
                                          check=False).returncode
                    problem.seek(0)
                    if code != 0:
                        return f"{verb[0]} {name}: {problem.read().strip()}"
            return None

        cycle(0)
        before = remains(words)
        failures = [problem for number in range(sequential) if (problem := cycle(number))]
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            failures += [problem for problem in pool.map(cycle, range(sequential, sequential + parallel)) if problem]
        after = settled(words, before["cgroups"])
        print(f"\n{sequential} containers one after the other and {parallel} at once: {len(failures)} failed")
        for name, value in after.items():
            print(f"  {name:18} before {before[name]:8}   after {value:8}")
        for problem in failures[:5]:
            print(f"  {problem}")
        left = [name for name in ("cgroups", "ours by name", "processes", "containers") if after[name] > before[name]]
        verdict(not failures and not left, f"none fails, nothing is left{': left are ' + ', '.join(left) if left else ''}")


COMPARISONS = {"runtime": bench_run, "cycle": bench_cycle, "exec": bench_exec, "peak": bench_peak, "limit": bench_limit,
               "growth": bench_growth}
