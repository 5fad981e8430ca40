"""config-linux.md, "Control groups": limits reach the kernel, on this machine's layout."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import attackers
import leaks
import pytest
from claims import spec
from processes import read_line, wait_until

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


@pytest.mark.ours
@pytest.mark.parametrize("resources, controller, v1, v2, written", [
    ({"memory": {"reservation": 16 << 20}}, "memory", "memory.soft_limit_in_bytes", "memory.low", str(16 << 20)),
    ({"cpu": {"quota": 50000, "period": 100000, "burst": 20000}}, "cpu", "cpu.cfs_burst_us", "cpu.max.burst", "20000"),
    ({"cpu": {"idle": 1}}, "cpu", "cpu.idle", "cpu.idle", "1"),
    ({"cpu": {"cpus": "0", "mems": "0"}}, "cpuset", "cpuset.mems", "cpuset.mems", "0"),
    ({"memory": {"limit": 64 << 20, "swap": 80 << 20}}, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max", (str(80 << 20), str(16 << 20))),
    # cgroup v2 has neither.
    ({"memory": {"swappiness": 10}}, "memory", "memory.swappiness", None, "10"),
    ({"cpu": {"realtimePeriod": 500000, "realtimeRuntime": 1000}}, "cpu", "cpu.rt_runtime_us", None, "1000"),
    ({"memory": {"kernel": 1 << 30, "kernelTCP": 1 << 30, "limit": 64 << 20}}, "memory", "memory.limit_in_bytes", "memory.max", str(64 << 20)),
])
def test_a_limit_of_the_configuration_is_in_its_file_from_the_start(runtime, bundle, container, resources, controller, v1, v2, written):
    """The kernel has no limits of its own memory any more: those are passed over."""
    bundle.write("sleep 600", linux={"resources": resources})
    created = runtime.detached("create", "-b", bundle.path, container)
    if not V1 and v2 is None:
        created.fails("linux.resources.")
        return
    created.ok()
    assert value(runtime.state(container)["pid"], controller, v1, v2) == (written if isinstance(written, str) else written[0 if V1 else 1])


@pytest.mark.ours
@pytest.mark.parametrize("shares, weight", [(1, "1"), (262145, "10000")])
def test_shares_that_the_kernel_would_make_others_of_are_refused_where_it_has_shares(runtime, bundle, container, shares, weight):
    """cgroup v2 has weights, of which there are fewer: they are the nearest ones, as runc's."""
    bundle.write("sleep 600", linux={"resources": {"cpu": {"shares": shares}}})
    created = runtime.detached("create", "-b", bundle.path, container)
    if V1:
        created.fails(f"linux.resources.cpu.shares: must be from 2 to 262144, found {shares}", code=1)
        bundle.write("sleep 600", linux={"resources": {"cpu": {"shares": 1024}}})
        runtime.detached("create", "-b", bundle.path, container).ok()
        runtime("update", "--cpu-share", str(shares), container).fails("linux.resources.cpu.shares", code=1)
        assert value(runtime.state(container)["pid"], "cpu", "cpu.shares", "") == "1024"
    else:
        assert value(created.ok() and runtime.state(container)["pid"], "cpu", "", "cpu.weight") == weight


@pytest.mark.ours
def test_the_weight_for_block_devices_is_the_configured_one_until_an_update(runtime, bundle, container):
    """cgroup v2's goes up to 10,000 and not to 1,000 where BFQ is not what weighs."""
    weights = {"blkio.bfq.weight": ("300", "700"), "blkio.weight": ("300", "700"), "io.bfq.weight": ("default 300", "default 700"),
               "io.weight": ("default 2930", "default 6970")}
    bundle.write("sleep 600", linux={"resources": {"blockIO": {"weight": 300}}})
    created = runtime.detached("create", "-b", bundle.path, container)
    if created.code != 0:
        created.fails("linux.resources.blockIO.weight: there is no ", code=1)
        return
    place = cgroup_of(runtime.state(container)["pid"], "blkio")
    file = next(name for name in weights if os.path.exists(os.path.join(place, name)))
    for expected in weights[file]:
        with open(os.path.join(place, file), encoding="utf-8") as opened:
            assert opened.read().splitlines()[0] == expected
        runtime("update", "--blkio-weight", "700", container).ok()


@pytest.mark.ours
def test_huge_pages_are_limited(runtime, bundle, container):
    """By the hierarchy that has the controller, which on a hybrid machine is v2's as often as not."""
    bundle.write("sleep 600", linux={"resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}})
    runtime.detached("create", "-b", bundle.path, container).ok()
    with open(f"/proc/{runtime.state(container)['pid']}/cgroup", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    legacy = next((path for _, names, path in lines if "hugetlb" in names.split(",")), None)
    unified = next((path for number, _, path in lines if number == "0"), None)
    place = f"/sys/fs/cgroup/hugetlb{legacy}/hugetlb.2MB.limit_in_bytes" if legacy else \
        f"/sys/fs/cgroup/{'unified' if V1 else ''}{unified}/hugetlb.2MB.max"
    with open(place, encoding="utf-8") as file:
        assert file.read().strip() == str(4 << 20)


def disk():
    """The number of a whole block device of this machine."""
    numbers = []
    for name in sorted(os.listdir("/sys/block")):
        with open(f"/sys/block/{name}/dev", encoding="utf-8") as file:
            numbers.append(file.read().strip())
    return numbers[0]


THROTTLES = {"throttleReadBpsDevice": ("read_bps", "rbps", 1 << 20), "throttleWriteBpsDevice": ("write_bps", "wbps", 2 << 20),
             "throttleReadIOPSDevice": ("read_iops", "riops", 300), "throttleWriteIOPSDevice": ("write_iops", "wiops", 400)}


def test_block_devices_are_throttled(runtime, bundle, container):
    number = disk()
    major, minor = map(int, number.split(":"))
    bundle.write("sleep 600", linux={"resources": {"blockIO": {
        member: [{"major": major, "minor": minor, "rate": rate}] for member, (_, _, rate) in THROTTLES.items()}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    if V1:
        for name, _, rate in THROTTLES.values():
            assert value(pid, "blkio", f"blkio.throttle.{name}_device", "") == f"{number} {rate}"
    else:
        found = value(pid, "io", "", "io.max").split()
        assert found[0] == number and set(found[1:]) == {f"{name}={rate}" for _, name, rate in THROTTLES.values()}


@pytest.mark.ours
def test_what_is_to_go_on_without_memory_is_not_killed_or_is_refused(runtime, bundle, container):
    """cgroup v2 has no such switch."""
    bundle.write("sleep 600", linux={"resources": {"memory": {"limit": 64 << 20, "disableOOMKiller": True}}})
    started = runtime.detached("run", "-d", "-b", bundle.path, container)
    if V1:
        assert "oom_kill_disable 1" in value(started.ok() and runtime.state(container)["pid"], "memory", "memory.oom_control", "")
    else:
        started.fails("linux.resources.memory.disableOOMKiller", code=1)


@pytest.mark.ours
@pytest.mark.skipif(any(name.startswith("net_") for name in os.listdir("/sys/fs/cgroup")), reason="this kernel has controllers of the network")
@pytest.mark.parametrize("network, field", [({"classID": 1048577}, "classID"), ({"priorities": [{"name": "lo", "priority": 5}]}, "priorities")])
def test_what_no_controller_of_this_machine_can_do_for_the_network_is_refused_by_its_field(runtime, bundle, container, network, field):
    bundle.write("true", linux={"resources": {"network": network}})
    runtime("run", "-b", bundle.path, container).fails(f"linux.resources.network.{field}", code=1)


# In a mount namespace of its own: what cgroup v1 alone has, beside v2 with the rest.
NETWORK_CONTROLLERS = (
    'mount -t tmpfs tmpfs /mnt && mkdir /mnt/unified /mnt/net_cls,net_prio && mount --bind /sys/fs/cgroup /mnt/unified && '
    'mount -t cgroup -o net_cls,net_prio cgroup /mnt/net_cls,net_prio && mount --rbind /mnt /sys/fs/cgroup && exec "$@"')


@pytest.mark.ours
@pytest.mark.skipif(V1, reason="a hierarchy more would be shown to the whole machine")
def test_the_class_and_the_priorities_of_the_network_are_those_of_the_configuration(runtime, bundle, container):
    bundle.write("sleep 600", linux={"resources": {
        "network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 5}]}, "pids": {"limit": 77}}})

    def inside(*words):
        return subprocess.run([*runtime.prefix, "sh", "-c", 'cd /sys/fs/cgroup/net_cls,net_prio && "$@"', "sh", *words],
                              capture_output=True, text=True, check=False)

    with runtime.below("unshare", "--mount", "sh", "-c", NETWORK_CONTROLLERS, "sh"):
        if inside("true").returncode:
            pytest.skip("this kernel gives nobody the controllers of cgroup v1")
        files = [f"{container}/net_cls.classid", f"{container}/net_prio.ifpriomap"]
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        with open(f"/proc/{runtime.state(container)['pid']}/cgroup", encoding="utf-8") as file:
            assert [line.split(":", 1)[1] for line in file.read().splitlines()] == [f"net_cls,net_prio:/{container}", f":/{container}"]
        numbers, *priorities = inside("cat", *files).stdout.splitlines()
        assert numbers == "1048577" and "lo 5" in priorities
        with open(f"/sys/fs/cgroup/{container}/pids.max", encoding="utf-8") as file:
            assert file.read() == "77\n"
        runtime("update", "-r", "-", container, stdin=None, input=b'{"network": {"classID": 7, "priorities": [{"name": "lo", "priority": 9}]}}').ok()
        numbers, *priorities = inside("cat", *files).stdout.splitlines()
        assert numbers == "7" and "lo 9" in priorities
        runtime("delete", "-f", container).ok()
        assert inside("ls", "-d", container).returncode != 0
        bundle.config["linux"]["resources"]["network"]["priorities"][0]["name"] = "nosuch"
        bundle.write("true")
        runtime("run", "-b", bundle.path, container).fails("linux.resources.network.priorities", code=1)
        assert inside("ls", "-d", container).returncode != 0


def test_the_pids_limit_stops_a_fork_bomb(runtime, bundle, container):
    bundle.write("i=0; while [ $i -lt 50 ]; do sleep 5 & i=$((i+1)); done; wait", linux={"resources": {"pids": {"limit": 10}}})
    result = runtime("run", "-b", bundle.path, container)
    assert "can't fork" in result.err or "Resource temporarily unavailable" in result.err


@pytest.mark.ours
def test_a_pids_limit_of_0_is_a_limit_of_0(runtime, bundle, container):
    """As in runc since 1.4; -1 is none, and what is not said stays."""
    bundle.write("echo started; exec sleep 600", linux={"resources": {"pids": {"limit": 0}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    limit = lambda: value(runtime.state(container)["pid"], "pids", "pids.max", "pids.max")
    assert limit() == "0"
    for asked, limited in [("5", "5"), ("0", "0"), ("-1", "max"), ("0", "0")]:
        runtime("update", "--pids-limit", asked, container).ok()
        assert limit() == limited
    runtime("update", "--cpu-share", "600", container).ok()
    assert limit() == "0"


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


@spec("config-linux.md#configLinuxUnified",
      "MUST ensure that the needed cgroup controllers are enabled", "Configuration unknown to the runtime MUST still be written")
def test_files_of_cgroup_v2_are_written_whoever_knows_them(runtime, bundle, container):
    """One of the controller that even a hybrid machine has there, below a parent that hands nothing down yet; and one that no member of the
    configuration stands for."""
    wanted = {"hugetlb.2MB.max": str(4 << 20), "cgroup.max.descendants": "9"}
    bundle.write("sleep 600", linux={"cgroupsPath": f"/apus-ct-parent-{container}/inner", "resources": {"unified": wanted}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    place = f"/sys/fs/cgroup/{'unified/' if V1 else ''}apus-ct-parent-{container}/inner"
    for name, text in wanted.items():
        with open(os.path.join(place, name), encoding="utf-8") as file:
            assert file.read().strip() == text
    runtime("delete", "-f", container).ok()


@pytest.mark.skipif(V1, reason="cgroup v1 has what is to be converted")
@spec("config-linux.md#configLinuxUnified", "If the conversion is not possible the runtime MUST generate an error")
@pytest.mark.parametrize("resources, field", [
    ({"memory": {"swappiness": 10}}, "linux.resources.memory.swappiness"), ({"cpu": {"realtimeRuntime": 1000}}, "linux.resources.cpu.realtimeRuntime"),
    ({"blockIO": {"leafWeight": 100}}, "linux.resources.blockIO.leafWeight")])
def test_a_limit_of_v1_that_v2_has_not_is_an_error(runtime, bundle, container, resources, field):
    bundle.write(["true"], linux={"resources": resources})
    runtime.detached("create", "-b", bundle.path, container).fails(field)
    runtime("state", container).fails("does not exist")


@spec("config-linux.md#configLinuxMemory", "MUST reject the new limit")
def test_a_limit_below_what_is_used_is_rejected_where_that_is_to_be_checked(runtime, bundle, container, tmp_path):
    bundle.write("dd if=/dev/zero of=/dev/shm/held bs=1M count=24 2> /dev/null; touch /tmp/full; sleep 600",
                 linux={"resources": {"memory": {"limit": 64 << 20, "swap": 64 << 20}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/full")), "the memory is used", seconds=30)
    pid = runtime.state(container)["pid"]
    wanted = tmp_path / "resources.json"
    wanted.write_text(json.dumps({"memory": {"limit": 16 << 20, "checkBeforeUpdate": True}}))
    runtime("update", "-r", str(wanted), container).fails("checkBeforeUpdate")
    assert value(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert runtime.status(container) == "running"


@pytest.fixture
def taken(container):
    """A cgroup of another's, in the hierarchy where processes are stopped, with a process if it is asked for."""
    place = f"/sys/fs/cgroup/{'freezer/' if V1 else ''}{container}-taken"
    os.mkdir(place)
    with subprocess.Popen(["sleep", "600"]) as process:
        yield place, process
        process.kill()
    wait_until(lambda: remove_directory(place), "it is empty")


def remove_directory(path):
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@spec("config-linux.md#configLinuxControlGroups", "MUST generate an error if such a check fails")
@pytest.mark.parametrize("verb", ["create", "run"])
def test_a_cgroup_that_others_are_in_is_not_taken_and_they_live_on(runtime, bundle, container, taken, verb):
    place, process = taken
    os.mkdir(f"{place}/below")
    write(f"{place}/below/cgroup.procs", str(process.pid))
    bundle.write(["true"], linux={"cgroupsPath": f"/{container}-taken"})
    runtime.detached(verb, "-b", bundle.path, container).fails("has processes")
    runtime("state", container).fails("does not exist")
    # What a manager does after a creation that failed.
    runtime("delete", "-f", container).ok()
    assert process.poll() is None and os.path.isdir(place)
    write(f"{os.path.dirname(place)}/cgroup.procs", str(process.pid))
    os.rmdir(f"{place}/below")


@spec("config-linux.md#configLinuxControlGroups", "MUST generate an error if such a check fails")
def test_a_cgroup_that_is_frozen_is_not_taken(runtime, bundle, container, taken):
    place, _ = taken
    file, frozen, thawed = (f"{place}/freezer.state", "FROZEN", "THAWED") if V1 else (f"{place}/cgroup.freeze", "1", "0")
    write(file, frozen)
    bundle.write(["true"], linux={"cgroupsPath": f"/{container}-taken"})
    runtime.detached("create", "-b", bundle.path, container).fails("frozen")
    runtime("state", container).fails("does not exist")
    write(file, thawed)


def test_what_ran_out_of_memory_in_a_cgroup_before_is_not_blamed_on_the_container(runtime, bundle, container):
    """The kernel counts as long as the cgroup is there."""
    place = f"/sys/fs/cgroup/{'memory/' if V1 else ''}{container}-taken"
    os.mkdir(place)
    try:
        write(f"{place}/memory.{'limit_in_bytes' if V1 else 'max'}", str(8 << 20))
        subprocess.run(["sh", "-c", f"echo $$ > {place}/cgroup.procs; exec tail /dev/zero"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        with open(f"{place}/memory.{'oom_control' if V1 else 'events'}", encoding="utf-8") as file:
            kills = dict(line.split() for line in file)["oom_kill"]
        assert int(kills) > 0
        bundle.write(["true"], process={"cwd": "/bin/sh/below"}, linux={"cgroupsPath": f"/{container}-taken", "resources": {"memory": {"limit": 64 << 20}}})
        done = runtime("run", "-b", bundle.path, container).fails("process.cwd: ")
        assert "memory" not in done.message, done.message
    finally:
        # It goes with the container that took it.
        wait_until(lambda: not os.path.isdir(place) or remove_directory(place), "it is empty")


def with_cgroup_mount(bundle, *options):
    """Without the rest of /sys, which a user namespace may not mount where something of the host's lies in it."""
    return [one for one in bundle.config["mounts"] if not one["destination"].startswith("/sys")] + [
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "nodev", "noexec", *options]}]


def owners(place):
    return {name for name in os.listdir(place) if os.stat(os.path.join(place, name)).st_uid == 100000}


DELEGATED = {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}
# What stands for the kernel's list: none, or one with a name that no cgroup has.
LISTS = {"no list": ("mount -t tmpfs tmpfs /sys/kernel/cgroup", DELEGATED),
         "its list": (":", None),
         "a longer list": ('cp /sys/kernel/cgroup/delegate "$L" && echo no.such.file >> "$L" && mount --bind "$L" /sys/kernel/cgroup/delegate', None)}


@pytest.mark.skipif(V1, reason="cgroup v1 is not handed over")
@pytest.mark.parametrize("listed", [
    pytest.param("no list", marks=spec("config-linux.md#configLinuxCgroupsPath", "the runtime MUST fall back to using the following list of files")),
    "its list", pytest.param("a longer list", marks=spec("config-linux.md#configLinuxCgroupsPath", "Runtimes MUST NOT fail in this scenario"))])
def test_a_cgroup_is_the_containers_own_where_it_sees_and_may_write_it_alone(runtime, bundle, container, tmp_path, listed):
    script, wanted = LISTS[listed]
    if wanted is None:
        with open("/sys/kernel/cgroup/delegate", encoding="utf-8") as file:
            wanted = set(file.read().split())
    bundle.map_users()
    bundle.write("mkdir /sys/fs/cgroup/own && echo $$ > /sys/fs/cgroup/own/cgroup.procs && touch /tmp/made; sleep 600",
                 linux={"namespaces": {"$add": [{"type": "cgroup"}]}}, mounts=with_cgroup_mount(bundle, "rw"))
    with runtime.below("unshare", "-m", "env", f"L={tmp_path}/list", "sh", "-ec", f'{script}; exec "$@"', "sh"):
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/made")), "it makes one below", seconds=30)
    place = os.path.dirname(cgroup_of(runtime.state(container)["pid"], "memory"))
    assert os.stat(place).st_uid == 100000
    assert owners(place) - {"own"} == wanted & set(os.listdir(place))
    runtime("delete", "-f", container).ok()


@pytest.mark.skipif(V1, reason="cgroup v1 is not handed over")
@pytest.mark.parametrize("option", ["ro", "no namespace"])
def test_a_cgroup_stays_the_hosts_otherwise(runtime, bundle, container, option):
    bundle.map_users()
    bundle.write("sleep 600", linux={"namespaces": {"$add": [] if option == "no namespace" else [{"type": "cgroup"}]}},
                 mounts=with_cgroup_mount(bundle, *(["ro"] if option == "ro" else [])))
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    place = cgroup_of(runtime.state(container)["pid"], "memory")
    assert os.stat(place).st_uid == 0 and owners(place) == set()


# Nests cgroups in each hierarchy whose controllers processes are looked for and limited in, and moves a shell into the deepest of them.
NESTING = """
cd /sys/fs/cgroup/{below} && i=0
while [ $i -lt 80 ]; do mkdir d && cd d && i=$((i+1)); done
sh -c 'echo $$ > cgroup.procs; echo $$ > /tmp/deepest; while :; do sleep 1; done' & cd /
"""
DEEP = ("freezer", "memory", "pids") if V1 else ("",)


@pytest.mark.parametrize("verb", ["delete", "kill"])
def test_a_container_cannot_hide_from_its_end_in_deep_cgroups(runtime, bundle, container, verb):
    """Deeper than anybody nests cgroups, and in one with a name that is no text; `kill` where no pid namespace ends all processes with the first."""
    if verb == "kill":
        bundle.without_namespace("pid")
    script = "".join(NESTING.format(below=hierarchy) + "while [ ! -s /tmp/deepest ]; do sleep 0.02; done; cat /tmp/deepest >> /tmp/all; rm /tmp/deepest\n"
                     for hierarchy in DEEP)
    odd = "".join(f"mkdir /sys/fs/cgroup/{hierarchy}/$(printf '\\377')\n" for hierarchy in DEEP)
    bundle.write(f"set -e\n{odd}{script}touch /tmp/made; sleep 600", linux={"namespaces": {"$add": [{"type": "cgroup"}]}},
                 mounts={"$add": [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}]})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/made")), "its cgroups are nested", seconds=60)
    top = cgroup_of(runtime.state(container)["pid"], "memory")
    if verb == "kill":
        with open(os.path.join(bundle.rootfs, "tmp/all"), encoding="utf-8") as file:
            deepest = file.read().split()
        runtime("kill", container, "KILL").ok()
        wait_until(lambda: not any(alive(process) for process in deepest), "those in the deepest have ended")
        runtime.wait_for(container, "stopped")
    runtime("delete", "-f", container).ok()
    runtime("state", container).fails("does not exist")
    assert not os.path.exists(top)


FREEZING = """set -e
cd /sys/fs/cgroup/{below}; mkdir x
sh -c 'while :; do {loop}; done' & helper=$!
{who} echo $! > x/cgroup.procs; echo $! > /tmp/frozen
echo {frozen} > x/{file}
touch /tmp/made; sleep 600
"""


@pytest.fixture
def thawed(container):
    """What a runtime leaves frozen is let die, to be deleted then as everything else that a test leaves."""
    yield
    name, word = ("freezer.state", "THAWED") if V1 else ("cgroup.freeze", "0")

    def ended():
        places = [place for place in leaks.cgroups(container) if os.path.exists(os.path.join(place, name))]
        found = False
        for place in places:
            with open(os.path.join(place, "cgroup.procs"), encoding="utf-8") as listing:
                for process in listing.read().split():
                    found = True
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
            write(os.path.join(place, name), word)
        return not found

    wait_until(ended, "what was frozen has ended")


@pytest.mark.ours
@pytest.mark.parametrize("verb", ["delete", "kill"])
@pytest.mark.parametrize("who", ["once", "again and again", "with the first"])
def test_a_container_cannot_hide_from_its_end_by_freezing_parts_of_itself(runtime, bundle, container, thawed, verb, who):
    """A frozen process of cgroup v1 does not die of SIGKILL; nor does the init of a pid namespace that waits for it."""
    if verb == "kill":
        bundle.without_namespace("pid")
    file, frozen = ("freezer.state", "FROZEN") if V1 else ("cgroup.freeze", "1")
    loop = "sleep 1" if who == "once" else f"echo {frozen} > x/{file}"
    script = FREEZING.format(below="freezer" if V1 else "", loop=loop, who="sleep 600 &", frozen=frozen, file=file)
    if who == "with the first":
        # The helper freezes it; the container's first process is this shell.
        script = script.replace("touch /tmp/made", "touch /tmp/made; echo $$ > x/cgroup.procs")
    bundle.write(script, linux={"namespaces": {"$add": [{"type": "cgroup"}]}},
                 mounts={"$add": [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}]})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/made")), "a part is frozen")
    pid = runtime.state(container)["pid"]
    top = cgroup_of(pid, "freezer").removesuffix("/x")
    if verb == "kill":
        with open(os.path.join(top, "x/cgroup.procs"), encoding="utf-8") as listing:
            everybody = [str(pid), *listing.read().split()]
        runtime("kill", container, "KILL").ok()
        wait_until(lambda: not any(alive(process) for process in everybody), "those that were frozen have ended")
    runtime("delete", "-f", container).ok()
    runtime("state", container).fails("does not exist")
    assert not os.path.exists(top)


@pytest.mark.parametrize("limits, named", [
    ({"cpu": {"quota": 1, "period": 100000}}, "linux.resources.cpu.quota"), ({"cpu": {"cpus": "9999"}}, "linux.resources.cpu.cpus"),
    ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, "linux.resources.hugepageLimits"),
])
@pytest.mark.ours
def test_a_limit_that_the_kernel_refuses_is_the_only_error_and_leaves_nothing(runtime, bundle, container, limits, named):
    bundle.write(["true"], linux={"resources": limits})
    result = runtime("run", "-b", bundle.path, container).fails(named)
    assert "; then " not in result.err and len(result.err.strip().splitlines()) == 1, result.err
    assert leaks.cgroups(container) == []


@pytest.mark.ours
def test_a_kill_that_is_delivered_succeeds_where_cgroups_are_read_only(runtime, bundle, container):
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    read_only = 'for place in $(awk \'$5 ~ "^/sys/fs/cgroup" {print $5}\' /proc/self/mountinfo); do mount -o remount,bind,ro $place || exit 9; done; exec "$@"'
    with runtime.below("unshare", "--mount", "sh", "-c", read_only, "sh"):
        runtime("kill", container, "KILL").ok()
    wait_until(lambda: not alive(pid), "it has ended")


def alive(process):
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return ") Z " not in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


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


def parents_of(container):
    """The name of a cgroup to be made above the container's, and where it lies in each hierarchy."""
    parent = f"apus-ct-parent-{container}"
    tops = [place.path for place in os.scandir("/sys/fs/cgroup") if V1 and place.is_dir(follow_symlinks=False)] or ["/sys/fs/cgroup"]
    return parent, [os.path.join(top, parent) for top in tops]


@contextlib.contextmanager
def removed(parents):
    """While it lasts, each of them goes as soon as nobody is in it; in the end all are gone."""
    with subprocess.Popen([sys.executable, "-c", REMOVER, *parents], stdout=subprocess.PIPE) as remover:
        try:
            read_line(remover)
            yield
        finally:
            remover.kill()
    assert [path for path in parents if os.path.exists(path)] == []


@pytest.mark.ours
def test_a_parent_that_others_remove_meanwhile_is_made_again(runtime, bundle, container):
    """As when the containers beside this one are deleted: each takes the parent along when nobody seems to be in it."""
    parent, parents = parents_of(container)
    bundle.write("true", linux={"cgroupsPath": f"/{parent}/inner"})
    with removed(parents):
        for number in range(30):
            runtime("run", "-b", bundle.path, f"{container}-{number}").ok()


@pytest.mark.ours
def test_a_parent_that_is_removed_while_the_runtime_stands_still_is_made_again(runtime, bundle, container, tmp_path):
    """For longer than it is made again for: whoever does nothing meanwhile has not tried."""
    parent, parents = parents_of(container)
    bundle.write("true", linux={"cgroupsPath": f"/{parent}/inner"})
    words = ["run", "-b", bundle.path, container]
    calls = attackers.trace(runtime, tmp_path, *words, calls="mkdirat")
    made = next(call for call in calls if f'"{parent}"' in call.arguments and call.result == "0")
    number = 1 + [call for call in calls if call.process == made.process].index(made)
    with removed(parents), runtime.below("strace", "-qq", "-o", "/dev/null", "-e", "trace=mkdirat", "-e", f"inject=mkdirat:delay_exit=1200000:when={number}"):
        runtime(*words).ok()


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
