"""A bundle that is run again and again, each time under a new name, with everything that engines mount."""

import itertools

NUMBERS = itertools.count()


class Box:
    def __init__(self, runtime, bundle, container):
        self.runtime, self.bundle, self.name, self.root = runtime, bundle, container, bundle.rootfs
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

    def run(self, script):
        """Runs a shell script in the container and returns what became of it."""
        self.bundle.write(script)
        return self.runtime("run", "-b", self.bundle.path, f"{self.name}-{next(NUMBERS)}")

    def output(self, script):
        """What a script prints, which must succeed."""
        return self.run(script).ok().out

    def refused(self, *texts):
        """The container does not start, and ours says why in one line."""
        result = self.run("echo started")
        assert "started" not in result.out
        result.fails(*(texts if self.runtime.kind == "apus" else ()))
        if self.runtime.kind == "apus":
            assert len(result.err.strip().splitlines()) == 1, result.err
        return result
