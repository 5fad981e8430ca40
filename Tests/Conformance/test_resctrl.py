"""config-linux.md, "IntelRdt". Few machines have resctrl: a tmpfs stands for it here, and a table of mounts that calls it so for the runtime.
What the kernel does by itself is left out: it removes a group along with its files."""

import glob
import json
import os
import shutil
import subprocess
import tempfile

import pytest
from claims import spec

pytestmark = pytest.mark.ours
# procfs answers by process: the shell's number is the runtime's too.
RENAMED = """sed 's/ - tmpfs apus-resctrl / - resctrl resctrl /' /proc/self/mountinfo > $0 && mount --bind $0 /proc/$$/mountinfo && exec "$@" """


@pytest.fixture
def resctrl(runtime, tmp_path):
    """Where resctrl is mounted, as the runtime sees it."""
    place = tempfile.mkdtemp(prefix="apus-resctrl-", dir="/tmp")
    subprocess.run(["mount", "-t", "tmpfs", "apus-resctrl", place], check=True)
    try:
        with runtime.below("unshare", "-m", "--propagation", "private", "sh", "-c", RENAMED, str(tmp_path / "mountinfo")):
            yield place
    finally:
        subprocess.run(["umount", place], check=True)
        os.rmdir(place)


@pytest.fixture
def started(runtime, bundle, container, resctrl):
    """Starts a container with `intelRdt` and tells its first process."""
    def start(**members):
        bundle.write("sleep 600", linux={"intelRdt": members})
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        return str(runtime.state(container)["pid"])
    return start


@pytest.fixture
def refused(runtime, bundle, container, resctrl):
    def refuse(text, **members):
        before = sorted(glob.glob(f"{resctrl}/**", recursive=True))
        bundle.write(["true"], linux={"intelRdt": members})
        runtime.detached("run", "-b", bundle.path, container).fails("linux.intelRdt", text)
        assert sorted(glob.glob(f"{resctrl}/**", recursive=True)) == before
    return refuse


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def group(resctrl, name, schemata):
    """A group of somebody else's."""
    path = os.path.join(resctrl, name)
    os.mkdir(path)
    with open(os.path.join(path, "schemata"), "w", encoding="utf-8") as file:
        file.write(schemata)
    return path


def delete(runtime, container, resctrl):
    """As the kernel has it, a group's files are no hindrance."""
    for path in glob.glob(f"{resctrl}/**", recursive=True):
        if os.path.isfile(path):
            os.unlink(path)
    monitors = os.path.join(resctrl, container, "mon_groups")
    if os.path.isdir(monitors):
        shutil.rmtree(monitors)
    runtime("delete", "-f", container).ok()


@spec("config-linux.md#configLinuxIntelRdt", "the runtime MUST write the container process ID to the",
      "The following rules on parameters MUST be applied",
      "If both `l3CacheSchema` and `memBwSchema` are set", "MUST write `l3CacheSchema` first", "MUST use the container ID from `start` and create",
      "If `closID` is not set and the runtime has created the sub-directory")
def test_a_container_without_a_class_has_a_group_of_its_own_that_goes_with_it(runtime, container, resctrl, started):
    pid = started(l3CacheSchema="L3:0=ff", memBwSchema="MB:0=50", schemata=["L2:0=f"])
    assert read(resctrl, container, "tasks") == pid
    assert read(resctrl, container, "schemata") == "L3:0=ff\nMB:0=50\nL2:0=f\n"
    delete(runtime, container, resctrl)
    assert os.listdir(resctrl) == []


@spec("config-linux.md#configLinuxIntelRdt", "If either `l3CacheSchema` or `memBwSchema` is set", "If `schemata` field is set",
      "doesn't exist, the runtimes MUST create it", "the runtime MUST NOT remove the sub-directory")
@pytest.mark.parametrize("member, value", [("l3CacheSchema", "L3:0=f"), ("memBwSchema", "MB:0=10"), ("schemata", ["L3:0=f", "L2:0=1"])])
def test_a_class_is_made_with_its_schemata_and_stays(runtime, container, resctrl, started, member, value):
    pid = started(closID="gold", **{member: value})
    assert read(resctrl, "gold/tasks") == pid
    assert read(resctrl, "gold/schemata").splitlines() == ([value] if isinstance(value, str) else value)
    delete(runtime, container, resctrl)
    assert os.listdir(resctrl) == ["gold"]


@spec("config-linux.md#configLinuxIntelRdt", "runtimes MUST compare", "the runtime MUST NOT remove the sub-directory")
def test_a_class_of_others_is_entered_where_it_says_the_same_and_stays(runtime, container, resctrl, started, refused):
    group(resctrl, "gold", "    L3:0=00ff;1=0f\n")
    refused("do not say L3:0=1", closID="gold", l3CacheSchema="L3:0=1")
    pid = started(closID="gold", l3CacheSchema="L3:0=ff")
    assert read(resctrl, "gold/tasks") == pid and read(resctrl, "gold/schemata") == "    L3:0=00ff;1=0f\n"
    delete(runtime, container, resctrl)
    assert os.listdir(resctrl) == ["gold"]


@spec("config-linux.md#configLinuxIntelRdt", "runtime MUST check if corresponding pre-configured directory",
      "runtime MUST assign container to this `closID`")
def test_a_class_without_schemata_must_be_there(container, resctrl, started, refused):
    refused("there is no group", closID="silver")
    os.mkdir(os.path.join(resctrl, "silver"))
    pid = started(closID="silver")
    assert read(resctrl, "silver/tasks") == pid


@spec("config-linux.md#configLinuxIntelRdt", "If none of `l3CacheSchema`, `memBwSchema` or `schemata` is set", "As a special case, value `/`")
@pytest.mark.parametrize("members, name", [({"closID": "/"}, "."), ({}, None), ({"closID": "gold"}, "gold")])
def test_without_schemata_none_are_written(container, resctrl, started, members, name):
    if name == "gold":
        os.mkdir(os.path.join(resctrl, name))
    pid = started(**members)
    assert read(resctrl, name or container, "tasks") == pid
    assert glob.glob(f"{resctrl}/**/schemata", recursive=True) == []


@spec("config-linux.md#configLinuxIntelRdt", "If `intelRdt` is not set, the runtime MUST NOT manipulate")
def test_without_the_member_nothing_is_touched(runtime, bundle, container, resctrl):
    before = os.stat(resctrl).st_mtime_ns
    bundle.write(["true"])
    runtime("run", "-b", bundle.path, container).ok()
    assert (os.listdir(resctrl), os.stat(resctrl).st_mtime_ns) == ([], before)


@spec("config-linux.md#configLinuxIntelRdt", "The value MUST start with `MB:` and MUST NOT contain newlines.", "The value MUST NOT contain newlines.")
@pytest.mark.parametrize("member, value", [("memBwSchema", "L3:0=f"), ("memBwSchema", "MB:0=1\nL3:0=f"), ("schemata", ["L2:0=1\nL3:0=f"])])
def test_what_is_no_line_of_schemata_is_refused(refused, member, value):
    refused(member, **{member: value})


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_an_update_of_schemata_is_whole_or_none(runtime, container, resctrl, started):
    """Neither limits nor other lines change where a line is none, where the kernel refuses one, or a limit; what was there is written again."""
    pid = started(closID="gold", schemata=["L3:0=ff", "MB:0=50", "L2:0=f"])
    schemata, original = os.path.join(resctrl, "gold/schemata"), "L3:0=ff\nMB:0=50\nL2:0=f\n"
    words = "--l3-cache-schema", "L3:0=f"

    def limit():
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            places = [line.strip().split(":", 2) for line in file]
        place = next(("pids" + path for _, names, path in places if names == "pids"), None) or next(path for *_, path in places)
        return read("/sys/fs/cgroup", place.lstrip("/"), "pids.max").strip()

    before = limit()
    runtime("update", "--pids-limit", "77", *words, "--mem-bw-schema", "L2:0=1", container).fails("is no one line MB:", code=1)
    assert (read(schemata), limit()) == (original, before)
    runtime("update", "--pids-limit", "77", *words, "--cpuset-cpus", "4096", container).fails("4096", code=1)
    assert (read(schemata), limit()) == (original + "L3:0=f\nL3:0=ff\n", before)
    # A kernel that takes nothing.
    os.unlink(schemata)
    os.symlink("/dev/full", schemata)
    runtime("update", "--pids-limit", "77", *words, container).fails("schemata", code=1)
    assert limit() == before
    os.unlink(schemata)
    write(schemata, original)
    runtime("update", "--pids-limit", "77", *words, container).ok()
    assert (read(schemata), limit()) == (original + "L3:0=f\n", "77")


def test_events_tell_what_resctrl_has_and_measures(runtime, container, resctrl, started):
    """As runc's do, of the container's own group of measuring where it has one."""
    started(enableMonitoring=True, l3CacheSchema="L3:0=ff;1=f", memBwSchema="MB:0=50")
    for name, text in {"L3/cbm_mask": "fffff", "L3/min_cbm_bits": "2", "L3/num_closids": "16", "MB/bandwidth_gran": "10", "MB/delay_linear": "1",
                       "MB/min_bandwidth": "10", "MB/num_closids": "8", "L3_MON/mon_features": "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes"}.items():
        write(f"{resctrl}/info/{name}", text + "\n")
    write(f"{resctrl}/schemata", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n")
    for part, (total, local, occupied) in {"mon_L3_00": ("700", "500", "64"), "mon_L3_01": ("Unavailable", "3", "0")}.items():
        data = f"{resctrl}/{container}/mon_groups/{container}/mon_data/{part}"
        write(f"{data}/mbm_total_bytes", total + "\n")
        write(f"{data}/mbm_local_bytes", local + "\n")
        write(f"{data}/llc_occupancy", occupied + "\n")
    assert json.loads(runtime("events", "--stats", container).ok().out)["data"]["intel_rdt"] == {
        "l3_cache_info": {"cbm_mask": "fffff", "min_cbm_bits": 2, "num_closids": 16},
        "l3_cache_schema_root": "L3:0=fffff;1=fffff", "l3_cache_schema": "L3:0=ff;1=f",
        "mem_bw_info": {"bandwidth_gran": 10, "delay_linear": 1, "min_bandwidth": 10, "num_closids": 8},
        "mem_bw_schema_root": "MB:0=100;1=100", "mem_bw_schema": "MB:0=50", "schemata": ["L3:0=ff;1=f", "MB:0=50"],
        "mbm_stats": [{"mbm_total_bytes": 700, "mbm_local_bytes": 500}, {"mbm_total_bytes": 0, "mbm_local_bytes": 3}],
        "cmt_stats": [{"llc_occupancy": 64}, {"llc_occupancy": 0}]}
    delete(runtime, container, resctrl)


@spec("config-linux.md#configLinuxIntelRdt", "MUST create a dedicated MON group",
      "MUST use the container ID from `start` as the name of the MON group",
      "The runtime MUST delete the MON group")
@pytest.mark.parametrize("name", [None, "gold"])
def test_a_container_is_measured_in_a_group_of_its_name_that_goes_with_it(runtime, container, resctrl, started, name):
    if name:
        group(resctrl, name, "L3:0=f\n")
    pid = started(enableMonitoring=True, **({"closID": name} if name else {}))
    monitors = os.path.join(resctrl, name or container, "mon_groups")
    assert os.listdir(monitors) == [container] and read(monitors, container, "tasks") == pid
    os.unlink(os.path.join(monitors, container, "tasks"))
    if name:
        runtime("delete", "-f", container).ok()
        assert os.listdir(monitors) == [] and os.listdir(resctrl) == [name]


@spec("config-linux.md#configLinuxIntelRdt", "If creation of the MON group fails")
def test_a_group_to_measure_in_that_cannot_be_made_is_an_error(runtime, bundle, container, resctrl):
    path = group(resctrl, "gold", "L3:0=f\n")
    with open(os.path.join(path, "mon_groups"), "w", encoding="utf-8"):
        pass
    bundle.write(["true"], linux={"intelRdt": {"closID": "gold", "enableMonitoring": True}})
    runtime.detached("run", "-b", bundle.path, container).fails("resctrl", "ENOTDIR")
