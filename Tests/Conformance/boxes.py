"""A bundle that is run again and again, each time under a new name, with everything that engines mount."""

import itertools

NUMBERS = itertools.count()


class Box:
    def __init__(self, runtime, bundle, container, owner=None):
        self.runtime, self.bundle, self.name, self.root, self.owner = runtime, bundle, container, bundle.rootfs, owner
        self.linux["namespaces"].append({"type": "cgroup"})
        self.linux["maskedPaths"] = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
        self.linux["readonlyPaths"] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        self.linux["resources"] = {"devices": [{"allow": True, "access": "rwm"}]}
        capabilities = ["CAP_KILL", "CAP_SYS_CHROOT", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_MKNOD"]
        bundle.config["process"]["capabilities"] = {kind: capabilities for kind in ("bounding", "effective", "permitted")}
        self.mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev", type="mqueue")
        self.mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro", type="cgroup")

    @property
    def linux(self):
        return self.bundle.config["linux"]

    def mount(self, destination, source, *options, type):
        self.bundle.config["mounts"].append(
            {"destination": destination, "type": type, "source": str(source), "options": list(options)})

    def without_mounts_below(self, place):
        mounts = self.bundle.config["mounts"]
        self.bundle.config["mounts"] = [entry for entry in mounts if not f"{entry['destination']}/".startswith(f"{place}/")]

    def write(self, script):
        self.bundle.write(script)
        if self.owner:
            self.owner.take(self.root, self.owner.folder)

    def run(self, script, **popen):
        """Runs a shell script in the container and returns what became of it."""
        self.write(script)
        return self.runtime("run", "-b", self.bundle.path, f"{self.name}-{next(NUMBERS)}", **popen)

    def run_often(self, count, script, *options):
        """Runs the container again and again as fast as it goes; what all of them printed, and how many were refused."""
        self.write(script)
        loop = """i=0; while [ $i -lt $0 ]; do i=$((i+1)); "$@"-$i || refused=$((refused+1)); done; echo refused ${refused:-0}"""
        with self.runtime.below("sh", "-c", loop, str(count)):
            done = self.runtime("run", *options, "-b", self.bundle.path, f"{self.name}-{next(NUMBERS)}", timeout=60 + count)
        *lines, last = done.lines
        print("\n".join(sorted(set(done.err.splitlines()))))
        return lines, int(last.split()[1])

    def output(self, script):
        """What a script prints, which must succeed."""
        return self.run(script).ok().out

    def refused(self, *texts, **popen):
        """The container does not start, and ours says why in one line."""
        result = self.run("echo started", **popen)
        assert "started" not in result.out
        result.fails(*(texts if self.runtime.kind == "apus" else ()))
        if self.runtime.kind == "apus":
            # An ordinary user without a cgroup is told so in any case.
            said = [line for line in result.err.strip().splitlines() if "level=warning" not in line or "has no cgroup" not in line]
            assert len(said) == 1, result.err
        return result
