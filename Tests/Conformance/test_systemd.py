"""The systemd driver, on a machine that systemd runs: what systemd is told, what the kernel has then, and what is left."""

import os
import pwd
import subprocess

import criu
import pytest
from checkpoints import counter, images  # noqa: F401
from conftest import Runtime
from ordinary import copy_for_all, hand_over
from processes import wait_until

HAS_SYSTEMD = os.path.isdir("/run/systemd/system")
needs_systemd = pytest.mark.skipif(not HAS_SYSTEMD, reason="systemd does not run here")
SYSTEMD = ["--systemd-cgroup"]


def properties(unit, *names, user=False):
    done = subprocess.run(["systemctl", *(["--user"] if user else []), "show", unit, *(f"-p{name}" for name in names)],
                          capture_output=True, text=True, check=True)
    shown = {}
    for line in done.stdout.splitlines():
        name, value = line.split("=", 1)
        # A property of several values has a line for each.
        shown[name] = f"{shown[name]}; {value}" if name in shown else value
    return shown


def cgroup_file(pid, name):
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        path = next(line.split("::")[1].strip() for line in file if "::" in line)
    with open(f"/sys/fs/cgroup{path}/{name}", encoding="utf-8") as file:
        return path, file.read().strip()


@pytest.mark.skipif(HAS_SYSTEMD, reason="systemd runs here")
def test_without_systemd_its_driver_is_refused_in_one_line(runtime, bundle, container):
    bundle.write(["true"])
    result = runtime("run", "-b", bundle.path, container, options=SYSTEMD).fails("--systemd-cgroup", "systemd")
    assert len(result.err.strip().splitlines()) == 1, result.err


@needs_systemd
def test_a_container_is_a_scope_of_systemds(runtime, bundle, container):
    unit = f"apus-{container}.scope"
    bundle.write("sleep 600", annotations={"org.systemd.property.TimeoutStopUSec": "uint64 7000000"}, linux={
        "cgroupsPath": f"apus-test.slice:apus:{container}",
        "resources": {"memory": {"limit": 64 << 20}, "pids": {"limit": 50}, "cpu": {"shares": 512, "quota": 20000, "period": 100000},
                      "devices": [{"allow": False, "access": "rwm"}]}})
    runtime.detached("create", "-b", bundle.path, container, options=SYSTEMD).ok()
    runtime("start", container).ok()
    pid = runtime.state(container)["pid"]
    path, limit = cgroup_file(pid, "memory.max")
    assert path == f"/apus.slice/apus-test.slice/{unit}" and limit == str(64 << 20)
    assert cgroup_file(pid, "pids.max")[1] == "50" and cgroup_file(pid, "cpu.max")[1] == "20000 100000"
    shown = properties(unit, "ActiveState", "Slice", "Delegate", "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec", "TimeoutStopUSec",
                       "DevicePolicy", "DeviceAllow")
    assert shown["ActiveState"] == "active" and shown["Slice"] == "apus-test.slice" and shown["Delegate"] == "yes"
    assert (shown["MemoryMax"], shown["TasksMax"], shown["CPUQuotaPerSecUSec"]) == (str(64 << 20), "50", "200ms")
    assert shown["TimeoutStopUSec"] == "7s" and shown["DevicePolicy"] == "strict" and "/dev/char/1:3 rwm" in shown["DeviceAllow"]
    assert runtime("exec", container, "sh", "-c", "cat /proc/self/cgroup; echo x > /dev/null && echo null").ok().lines[-1] == "null"
    # What systemd sets anew when it is reloaded is what was asked for.
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert cgroup_file(pid, "memory.max")[1] == str(64 << 20)
    assert runtime("exec", container, "sh", "-c", "mknod /tmp/mem c 1 1 2> /dev/null; head -c 1 /dev/null; echo y > /dev/null && echo null"
                   ).ok().lines[-1] == "null"
    runtime("update", "--memory", "32m", "--pids-limit", "40", container).ok()
    assert cgroup_file(pid, "memory.max")[1] == str(32 << 20)
    assert properties(unit, "MemoryMax", "TasksMax") == {"MemoryMax": str(32 << 20), "TasksMax": "40"}
    runtime("pause", container).ok()
    assert runtime.status(container) == "paused"
    runtime("resume", container).ok()
    runtime("kill", container, "KILL").ok()
    runtime.wait_for(container, "stopped")
    runtime("delete", container).ok()
    assert properties(unit, "LoadState")["LoadState"] == "not-found"
    assert not os.path.exists(f"/sys/fs/cgroup{path}")


@needs_systemd
def test_delete_by_force_stops_the_unit(runtime, bundle, container):
    bundle.without_namespace("pid").write("trap '' TERM; sleep 600 & sleep 600", linux={"cgroupsPath": f":apus:{container}"})
    runtime.detached("run", "-d", "-b", bundle.path, container, options=SYSTEMD).ok()
    unit = f"apus-{container}.scope"
    assert properties(unit, "ActiveState")["ActiveState"] == "active"
    runtime("delete", "-f", container).ok()
    wait_until(lambda: properties(unit, "LoadState")["LoadState"] == "not-found", "the unit's end")


@needs_systemd
@pytest.mark.parametrize("changes, text", [
    ({"linux": {"cgroupsPath": "/a/path"}}, "slice:prefix:name"),
    ({"annotations": {"org.systemd.property.NoSuchProperty": "true"}}, "NoSuchProperty"),
    ({"annotations": {"org.systemd.property.Delegate": "'"}}, "org.systemd.property.Delegate"),
    ({"linux": {"resources": {"unified": {"memory.max": "nonsense"}}}}, "memory.max"),
])
def test_what_systemd_or_the_kernel_refuses_leaves_nothing(runtime, bundle, container, changes, text):
    bundle.write(["true"], **changes)
    runtime("run", "-b", bundle.path, container, options=SYSTEMD).fails(text)
    assert runtime("list", "-q").ok().out == ""
    assert properties(f"apus-{container}.scope", "LoadState")["LoadState"] == "not-found"


@needs_systemd
def test_a_container_that_ends_is_forgotten_by_systemd(runtime, bundle, container):
    bundle.write("exit 5")
    assert runtime("run", "-b", bundle.path, container, options=SYSTEMD).code == 5
    assert properties(f"apus-{container}.scope", "LoadState")["LoadState"] == "not-found"


@needs_systemd
def test_a_unit_that_failed_is_no_hindrance_for_the_next_of_its_name(runtime, bundle, container):
    """Of a container that is gone: systemd remembers how it ended until somebody says that it may forget."""
    unit = f"apus-{container}.scope"
    left = subprocess.Popen(["systemd-run", "--scope", "--quiet", f"--unit={unit}", "-pRuntimeMaxSec=1", "sleep", "600"])
    wait_until(lambda: properties(unit, "ActiveState")["ActiveState"] == "failed", "the unit's failure", seconds=60)
    left.wait()
    bundle.write("exit 5", linux={"cgroupsPath": f":apus:{container}"})
    assert runtime("run", "-b", bundle.path, container, options=SYSTEMD).code == 5
    wait_until(lambda: properties(unit, "LoadState")["LoadState"] == "not-found", "the unit's end")


@needs_systemd
def test_a_unit_of_somebody_elses_is_not_taken_and_lives_on(runtime, bundle, container):
    unit = f"apus-{container}.scope"
    bundle.write("sleep 600", linux={"cgroupsPath": f":apus:{container}"})
    runtime.detached("run", "-d", "-b", bundle.path, container, options=SYSTEMD).ok()
    runtime.detached("run", "-d", "-b", bundle.path, f"{container}-second", options=SYSTEMD).fails(unit)
    assert runtime.status(container) == "running"
    assert properties(unit, "ActiveState")["ActiveState"] == "active"
    assert runtime("list", "-q").ok().lines == [container]


@pytest.fixture
def own(runtime, bundle, folder):
    """The runtime of an ordinary user with a systemd of their own, and the name of that one's service."""
    user = pwd.getpwnam("games").pw_uid
    service, directory = f"user@{user}.service", f"/run/user/{user}"
    subprocess.run(["systemctl", "start", service], check=True)
    try:
        wait_until(lambda: os.path.exists(f"{directory}/systemd/private"), "the user's systemd", seconds=20)
        home = os.path.join(folder, "games")
        os.makedirs(home, exist_ok=True)
        os.chown(home, user, user)
        own = Runtime(copy_for_all(runtime, folder), home)
        own.prefix = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "env", f"XDG_RUNTIME_DIR={directory}"]
        hand_over(own, bundle, user)
        own.service = service
        yield own
    finally:
        subprocess.run(["systemctl", "stop", service], check=True)


@needs_systemd
def test_an_ordinary_users_container_is_a_unit_of_their_own_systemd(own, bundle, container):
    bundle.write("sleep 600", linux={"cgroupsPath": f"apus.slice:apus:{container}", "resources": {"memory": {"limit": 64 << 20}}})
    own.detached("run", "-d", "-b", bundle.path, container, options=SYSTEMD).ok()
    path, limit = cgroup_file(own.state(container)["pid"], "memory.max")
    assert path.endswith(f"/{own.service}/apus.slice/apus-{container}.scope") and limit == str(64 << 20)
    own("exec", container, "true").ok()
    assert len(own("ps", "-f", "json", container).ok().out.split(",")) >= 1
    own("pause", container).ok()
    own("resume", container).ok()
    own("delete", "-f", container).ok()
    assert not os.path.exists(f"/sys/fs/cgroup{path}")


@needs_systemd
def test_an_ordinary_users_exec_is_beside_the_first_process_where_the_container_hands_controllers_down(own, bundle, container):
    """Systemd puts it there: into the unit's own cgroup v2 takes no process any more."""
    mount = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw", "nosuid", "nodev", "noexec"]}
    bundle.config["mounts"] = [entry for entry in bundle.config["mounts"] if entry["destination"] != "/sys/fs/cgroup"] + [mount]
    bundle.config["linux"]["namespaces"] = [entry for entry in bundle.config["linux"]["namespaces"] if entry["type"] != "cgroup"]
    bundle.write("cd /sys/fs/cgroup && mkdir -p own/deep && echo $$ > own/deep/cgroup.procs && echo +memory > cgroup.subtree_control && "
                 "touch /tmp/made; sleep 600",
                 linux={"namespaces": {"$add": [{"type": "cgroup"}]}, "cgroupsPath": f"apus.slice:apus:{container}"})
    own.detached("run", "-d", "-b", bundle.path, container, options=SYSTEMD).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/made")), "it hands memory down", seconds=60)
    assert own("exec", container, "cat", "/proc/self/cgroup").ok().out == "0::/own/deep\n"
    own("delete", "-f", container).ok()


@needs_systemd
@criu.needed
def test_a_restored_container_is_a_scope_again(runtime, bundle, counter):
    unit = f"apus-{counter.name}.scope"
    counter.options = SYSTEMD
    counter.start(annotations={"org.systemd.property.TimeoutStopUSec": "uint64 7000000"}, linux={
        "cgroupsPath": f"apus-test.slice:apus:{counter.name}", "resources": {"memory": {"limit": 64 << 20}, "pids": {"limit": 50}}})
    stopped_at = counter.checkpoint()
    wait_until(lambda: properties(unit, "LoadState")["LoadState"] == "not-found", "the unit's end")
    counter.restore()
    counter.goes_on(stopped_at)
    pid = runtime.state(counter.name)["pid"]
    path, limit = cgroup_file(pid, "memory.max")
    assert path == f"/apus.slice/apus-test.slice/{unit}" and limit == str(64 << 20)
    shown = properties(unit, "ActiveState", "MemoryMax", "TasksMax", "TimeoutStopUSec", "Delegate")
    assert shown == {"ActiveState": "active", "MemoryMax": str(64 << 20), "TasksMax": "50", "TimeoutStopUSec": "7s", "Delegate": "yes"}
    # criu itself is not in it.
    with open(f"/sys/fs/cgroup{path}/cgroup.procs", encoding="utf-8") as file:
        comms = {open(f"/proc/{line.strip()}/comm", encoding="utf-8").read().strip() for line in file}
    assert comms <= {"sh", "sleep"}, comms
    runtime("update", "--pids-limit", "40", counter.name).ok()
    assert properties(unit, "TasksMax") == {"TasksMax": "40"}
    runtime("pause", counter.name).ok()
    runtime("resume", counter.name).ok()
    runtime("delete", "-f", counter.name).ok()
    wait_until(lambda: properties(unit, "LoadState")["LoadState"] == "not-found", "the unit's end")
    assert not os.path.exists(f"/sys/fs/cgroup{path}")


@needs_systemd
@criu.needed
def test_a_container_that_cannot_be_restored_leaves_no_scope(runtime, bundle, counter):
    counter.options = SYSTEMD
    counter.start()
    counter.checkpoint()
    os.unlink(os.path.join(bundle.path, "images/pstree.img"))
    runtime("restore", "-d", *images(bundle), "-b", bundle.path, counter.name, options=SYSTEMD).fails("criu")
    assert runtime("list", "-q").ok().out == ""
    unit = f"apus-{counter.name}.scope"
    wait_until(lambda: properties(unit, "LoadState")["LoadState"] == "not-found", "the unit's end")
