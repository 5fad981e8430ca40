"""Kernels and filters that lack a call: each lack is forced by a seccomp filter on the runtime, or by hiding what it would use."""
# Rows: attacks

import errno
import os

import leaks
import pytest
from attackers import NEW_MOUNT_CALLS, trace, without
from boxes import Box
from processes import wait_until

pytestmark = pytest.mark.ours

# Filters of containers answer ENOSYS, or EPERM where the list is older than the call.
LACKS = {
    "openat2": without("openat2"), "openat2, denied": without("openat2", code=errno.EPERM), "clone3": without("clone3"),
    "both": without("openat2", "clone3"),
}


@pytest.fixture
def box(runtime, bundle, container):
    return Box(runtime, bundle, container)


@pytest.mark.parametrize("lack", LACKS)
def test_a_container_lives_its_life_without(runtime, bundle, container, lack):
    """Created, started, entered and deleted, with everything that engines ask for; what it is like inside does not depend on the lack."""
    box = Box(runtime, bundle, container)
    box.linux["sysctl"] = {"net.ipv4.ip_default_ttl": "77"}
    os.makedirs(os.path.join(bundle.rootfs, "var/lib"))
    os.symlink("../../../../etc", os.path.join(bundle.rootfs, "var/lib/link"))
    box.mount("/var/lib/link/made/here", "tmpfs", type="tmpfs")
    box.linux["maskedPaths"].append("/proc/uptime")
    bundle.write("sleep 600", process={"cwd": "/var/lib/link"})
    limited = {"preexec_fn": LACKS[lack]}
    runtime.detached("create", "-b", bundle.path, container, **limited).ok()
    runtime("start", container, **limited).ok()
    script = "cat /proc/sys/net/ipv4/ip_default_ttl; pwd; stat -c %t:%T /proc/uptime; ls /proc/self/fd; echo $HOME; ls -d /etc/made/here"
    lines = runtime("exec", container, "sh", "-c", script, **limited).ok().lines
    assert lines == ["77", "/etc", "1:3", "0", "1", "2", "3", "/root", "/etc/made/here"]
    assert runtime.state(container)["status"] == "running"
    runtime("kill", container, "KILL", **limited).ok()
    runtime.wait_for(container, "stopped")
    runtime("delete", container, **limited).ok()


def test_terminals_work_without_openat2(box, running):
    box.bundle.config["process"]["terminal"] = True
    lacking = without("openat2")
    assert "/dev/" in box.run("tty", preexec_fn=lacking).ok().out
    assert "/dev/pts/" in box.runtime("exec", "-t", running, "tty", preexec_fn=lacking).ok().out


def test_A01_where_no_mount_may_be_made_exec_runs_from_a_sealed_copy(runtime, bundle, container):
    """Its file is written to from inside, by a payload that may look at it: memory, which refuses for good."""
    sets = {kind: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"] for kind in ("bounding", "permitted", "effective")}
    bundle.write("""while :; do for p in /proc/[0-9]*; do
        case $(readlink $p/exe) in *memfd*) { i=0; while [ $i -lt 100 ]; do (echo attack >> /proc/self/fd/3) 2>> /tmp/said; i=$((i+1)); done
        } 3< $p/exe;; esac; done; done""", process={"capabilities": sets})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    said = bundle.file("/tmp/said", "")

    def answers():
        runtime("exec", container, "true", preexec_fn=without("open_tree")).ok()
        with open(said, encoding="utf-8") as file:
            # Busy as long as it runs; then the seal answers.
            return {line.rsplit(": ", 1)[1].strip() for line in file}

    wait_until(lambda: "Operation not permitted" in answers(), "the seal", seconds=30)
    assert answers() <= {"Text file busy", "Operation not permitted"}


def test_without_cgroup_kill_everything_is_frozen_and_killed_one_by_one(runtime, bundle, container):
    """The v2 hierarchy, which has the file, is hidden from the runtime; the payload forks all the time."""
    if not os.path.ismount("/sys/fs/cgroup/unified"):
        pytest.skip("only beside v1 can v2 be hidden")
    bundle.without_namespace("pid").write("while :; do (sleep 1000 & sleep 1000 & exit 0) & sleep 0.005; done")
    with runtime.below("unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified; exec "$@"', "sh"):
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        wait_until(lambda: len(runtime("ps", "-f", "json", container).out.split(",")) > 10, "the forks")
        runtime("delete", "-f", container).ok()
    assert leaks.cgroups(container) == []


@pytest.mark.parametrize("call", [*NEW_MOUNT_CALLS, "close_range"])
def test_what_no_container_can_be_made_without_is_named_in_one_line(runtime, bundle, container, call):
    """docs/decisions/0022: these are of Linux 5.2 to 5.12, older than anything that is supported."""
    bundle.write(["true"])
    result = runtime("run", "-b", bundle.path, container, preexec_fn=without(call)).fails(call, "ENOSYS", "Linux 5.")
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert not os.path.exists(os.path.join(runtime.state_root, container))


@pytest.mark.parametrize("words, code", [
    (["kill", "--all", "CONTAINER", "CONT"], 0), (["delete", "-f", "CONTAINER"], 0), (["exec", "CONTAINER", "nothing"], 255),
], ids=["kill of all", "delete", "an exec that fails"])
def test_signals_are_sent_to_descriptors_alone(runtime, bundle, folder, container, words, code):
    """Numbers are listed, and may be another process's by the time that the signal is sent."""
    bundle.without_namespace("pid").write("sleep 600 & sleep 600 & wait")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    words = [container if word == "CONTAINER" else word for word in words]
    calls = trace(runtime, folder, *words, calls="kill,tkill,tgkill,pidfd_send_signal", code=code)
    assert {call.name for call in calls} <= {"pidfd_send_signal"}
    if words[0] == "kill":
        assert len(calls) == 3


@pytest.mark.parametrize("call", ["pidfd_open", "pidfd_send_signal"])
def test_without_pidfds_no_signal_is_sent_to_a_number(runtime, running, call):
    """A number may have become another process's; so the signal is refused instead, in one line."""
    result = runtime("kill", running, "KILL", preexec_fn=without(call)).fails(call, "ENOSYS", "Linux 5.")
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert runtime.status(running) == "running"
