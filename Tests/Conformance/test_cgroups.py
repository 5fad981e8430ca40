"""config-linux.md, "Control groups": limits reach the kernel, on this machine's layout."""

import os
import subprocess
import sys

import attackers
import pytest
from claims import spec

V1 = os.path.isdir("/sys/fs/cgroup/memory")
UNIFIED = f"/sys/fs/cgroup/{'unified/' if V1 else ''}cgroup.procs"


def cgroup_of(process, controller):
    with open(f"/proc/{process}/cgroup", encoding="utf-8") as file:
        for line in file:
            _, names, path = line.rstrip("\n").split(":", 2)
            if V1 and controller in names.split(","):
                return f"/sys/fs/cgroup/{controller}{path}"
            if not V1 and not names:
                return f"/sys/fs/cgroup{path}"
    raise AssertionError(f"no cgroup of {controller}")


def value(process, controller, v1, v2):
    with open(os.path.join(cgroup_of(process, controller), v1 if V1 else v2), encoding="utf-8") as file:
        return file.read().strip()


def test_limits_are_in_the_containers_cgroup(runtime, bundle, container):
    bundle.write("sleep 600", linux={"resources": {
        "memory": {"limit": 64 << 20, "swap": 64 << 20}, "cpu": {"shares": 512, "quota": 30000, "period": 100000, "cpus": "0"}, "pids": {"limit": 77}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    assert value(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert value(pid, "pids", "pids.max", "pids.max") == "77"
    assert value(pid, "cpuset", "cpuset.cpus", "cpuset.cpus") == "0"
    if V1:
        assert value(pid, "cpu", "cpu.shares", "") == "512"
        assert value(pid, "cpu", "cpu.cfs_quota_us", "") == "30000"
    else:
        assert value(pid, "cpu", "", "cpu.max") == "30000 100000"
    assert container in cgroup_of(pid, "memory")


def test_the_pids_limit_stops_a_fork_bomb(runtime, bundle, container):
    bundle.write("i=0; while [ $i -lt 50 ]; do sleep 5 & i=$((i+1)); done; wait", linux={"resources": {"pids": {"limit": 10}}})
    result = runtime("run", "-b", bundle.path, container)
    assert "can't fork" in result.err or "Resource temporarily unavailable" in result.err


def test_the_memory_limit_kills_what_exceeds_it(runtime, bundle, container):
    bundle.write("dd if=/dev/zero of=/dev/null bs=200M count=1", linux={"resources": {"memory": {"limit": 32 << 20, "swap": 32 << 20}}})
    assert runtime("run", "-b", bundle.path, container).code == 137


@spec("config-linux.md#configLinuxCgroupsPath", "the runtime MUST take the path to be relative to the cgroups mount point")
def test_the_cgroups_path_is_the_configured_one(runtime, bundle, container):
    bundle.write("sleep 600", linux={"cgroupsPath": f"/apus-ct-parent-{container}/inner"})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    assert cgroup_of(runtime.state(container)["pid"], "memory").endswith(f"/apus-ct-parent-{container}/inner")
    runtime("delete", "-f", container).ok()
    folder = f"/sys/fs/cgroup/{'memory/' if V1 else ''}apus-ct-parent-{container}"
    assert not os.path.exists(os.path.join(folder, "inner"))
    if runtime.kind != "apus":
        for hierarchy in os.listdir("/sys/fs/cgroup"):
            for path in (f"/sys/fs/cgroup/{hierarchy}/apus-ct-parent-{container}",):
                if os.path.isdir(path):
                    os.rmdir(path)


def test_exec_can_be_put_below_the_containers_cgroup(runtime, bundle, container):
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    made = []
    for line in open(f"/proc/{pid}/cgroup", encoding="utf-8"):
        _, names, path = line.rstrip("\n").split(":", 2)
        mount = "/sys/fs/cgroup" if not V1 else f"/sys/fs/cgroup/{names.removeprefix('name=') or 'unified'}"
        made.append(f"{mount}{path}/below")
        os.mkdir(made[-1])
        if "cpuset" in names:
            for file in ("cpuset.cpus", "cpuset.mems"):
                with open(f"{mount}{path}/{file}", encoding="utf-8") as source, open(f"{made[-1]}/{file}", "w", encoding="utf-8") as target:
                    target.write(source.read())
    lines = runtime("exec", "--cgroup", "below", container, "cat", "/proc/self/cgroup").ok().lines
    assert all(line.endswith("/below") for line in lines)


DEVICES = [{"allow": False, "access": "rwm"}]


def test_devices_that_are_not_allowed_cannot_be_opened(runtime, bundle, container):
    capabilities = {kind: ["CAP_MKNOD"] for kind in ("bounding", "permitted", "effective")}
    bundle.write("mknod /dev/kmsg-copy c 1 11; cat /dev/kmsg-copy; echo $?; echo fine > /dev/null && echo null",
                 process={"capabilities": capabilities}, linux={"resources": {"devices": DEVICES}})
    result = runtime("run", "-b", bundle.path, container)
    assert "Operation not permitted" in result.err
    assert result.lines == ["1", "null"]


def test_a_device_that_is_allowed_can_be_opened(runtime, bundle, container):
    rule = {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rwm"}
    node = {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666, "uid": 0, "gid": 0}
    bundle.write("exec 3<>/dev/net/tun && echo opened", linux={"resources": {"devices": DEVICES + [rule]}, "devices": [node]})
    assert runtime("run", "-b", bundle.path, container).ok().out == "opened\n"


REMOVER = """
import os, sys
print(flush=True)
while True:
    for path in sys.argv[1:]:
        try:
            os.rmdir(path)
        except OSError:
            pass
"""


@pytest.mark.ours
def test_a_parent_that_others_remove_meanwhile_is_made_again(runtime, bundle, container):
    """As when the containers beside this one are deleted: each takes the parent along when nobody seems to be in it."""
    parent = f"apus-ct-parent-{container}"
    bundle.write("true", linux={"cgroupsPath": f"/{parent}/inner"})
    tops = [place.path for place in os.scandir("/sys/fs/cgroup") if V1 and place.is_dir(follow_symlinks=False)] or ["/sys/fs/cgroup"]
    parents = [os.path.join(top, parent) for top in tops]
    with subprocess.Popen([sys.executable, "-c", REMOVER, *parents], stdout=subprocess.PIPE) as remover:
        try:
            remover.stdout.readline()
            for number in range(30):
                runtime("run", "-b", bundle.path, f"{container}-{number}").ok()
        finally:
            remover.kill()
    assert [path for path in parents if os.path.exists(path)] == []


@pytest.mark.ours
@pytest.mark.skipif(not os.path.exists(UNIFIED), reason="needs cgroup v2")
def test_processes_are_born_in_cgroup_v2_and_not_moved_there(runtime, bundle, container, tmp_path):
    """A move waits for a lock against every fork of the machine: 10 ms where nobody has taken it just before."""
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    with open(f"/proc/{runtime.state(container)['pid']}/cgroup", encoding="utf-8") as file:
        assert container in file.read().split("0::")[1]
    bundle.write("true")
    for words in (("run", "-b", bundle.path, f"{container}-2"), ("exec", container, "true")):
        calls = attackers.trace(runtime, tmp_path, *words, calls="clone3,openat,write")
        assert [call for call in calls if call.name == "clone3" and "CLONE_INTO_CGROUP" in call.arguments], words
        assert [call for call in calls if "cgroup.procs" in call.arguments] == [], words
