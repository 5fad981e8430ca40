"""How the program is scheduled and where its memory comes from. - Spec: config.md, "Linux Process", config-linux.md, "Memory policy"."""

import ctypes
import os
import re
import struct

import pytest
from attackers import without
from claims import spec
from processes import wait_until

LIBC = ctypes.CDLL(None, use_errno=True)
CALLS = {"x86_64": {"ioprio_get": 252, "sched_getattr": 315}, "aarch64": {"ioprio_get": 31, "sched_getattr": 275}}[os.uname().machine]


def io_priority(pid):
    value = LIBC.syscall(CALLS["ioprio_get"], 1, pid)
    return value >> 13, value & 0x1FFF


def scheduler(pid):
    buffer = ctypes.create_string_buffer(48)
    assert LIBC.syscall(CALLS["sched_getattr"], pid, buffer, 48, 0) == 0, os.strerror(ctypes.get_errno())
    names = ("size", "policy", "flags", "nice", "priority", "runtime", "deadline", "period")
    return dict(zip(names, struct.unpack("IIQiIQQQ", buffer.raw)))


def start(runtime, bundle, container):
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    return runtime.state(container)["pid"]


def added(runtime, bundle, container, *words):
    """The pid of a process that exec adds."""
    path = os.path.join(bundle.path, "exec-pid")
    runtime.detached("exec", "-d", "--pid-file", path, *words).ok()
    with open(path, encoding="utf-8") as file:
        return int(file.read())


@pytest.mark.parametrize("kind, number, level", [("IOPRIO_CLASS_BE", 2, 6), ("IOPRIO_CLASS_IDLE", 3, 0), ("IOPRIO_CLASS_RT", 1, 3)])
def test_the_io_priority_is_the_configured_one_for_run_and_exec(runtime, bundle, container, kind, number, level):
    bundle.write("sleep 600", process={"ioPriority": {"class": kind, "priority": level}})
    pid = start(runtime, bundle, container)
    assert io_priority(pid) == (number, level)
    assert io_priority(added(runtime, bundle, container, container, "sleep", "600")) == (number, level)


@pytest.mark.parametrize("settings, policy, nice, flags", [
    ({"policy": "SCHED_OTHER", "nice": 7}, 0, 7, 0), ({"policy": "SCHED_BATCH", "nice": -3}, 3, -3, 0), ({"policy": "SCHED_IDLE"}, 5, None, 0),
    ({"policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, 3, 0, 1),
])
def test_the_scheduler_is_the_configured_one_for_run_and_exec(runtime, bundle, container, settings, policy, nice, flags):
    bundle.write(["sleep", "600"], process={"scheduler": settings})
    pid = start(runtime, bundle, container)
    for process in (pid, added(runtime, bundle, container, container, "sleep", "600")):
        found = scheduler(process)
        assert (found["policy"], found["flags"]) == (policy, flags)
        assert nice is None or found["nice"] == nice


@pytest.mark.ours
@pytest.mark.parametrize("settings, policy", [
    ({"policy": "SCHED_FIFO", "priority": 12}, 1), ({"policy": "SCHED_RR", "priority": 3}, 2),
    ({"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 5000000, "period": 10000000}, 6),
])
def test_a_realtime_scheduler_is_set_or_refused_by_its_name(runtime, bundle, container, settings, policy):
    bundle.write(["sleep", "600"], process={"scheduler": settings})
    result = runtime.detached("run", "-d", "-b", bundle.path, container)
    if result.code:
        # Groups of realtime tasks, and CPUs of one's own, are what kernels and machines may lack.
        result.fails("process.scheduler", "sched_setattr", code=1)
        runtime("state", container).fails("does not exist")
        return
    found = scheduler(runtime.state(container)["pid"])
    assert found["policy"] == policy
    for name in ("priority", "runtime", "deadline", "period"):
        assert found[name] == settings.get(name, 0)


@pytest.mark.ours
@pytest.mark.parametrize("field, value", [
    ("scheduler", {"policy": "SCHED_ISO"}), ("scheduler", {"policy": "SCHED_FIFO", "priority": 100}),
    ("scheduler", {"policy": "SCHED_FIFO"}), ("scheduler", {"policy": "SCHED_OTHER", "nice": 20}),
    ("scheduler", {"policy": "SCHED_OTHER", "runtime": 1}), ("scheduler", {"policy": "SCHED_OTHER", "priority": 1}),
    ("scheduler", {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_UTIL_CLAMP_MIN"]}), ("scheduler", {"policy": "SCHED_NONE"}),
    ("scheduler", {"policy": "SCHED_DEADLINE"}), ("ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8}),
    ("ioPriority", {"class": "IOPRIO_CLASS_NONE"}), ("execCPUAffinity", {"initial": "1-0"}), ("execCPUAffinity", {"final": "a"}),
    ("execCPUAffinity", {"final": "0-99999"}), ("execCPUAffinity", {"initial": ","}),
])
def test_what_makes_no_sense_is_refused_by_its_member(runtime, bundle, container, field, value):
    bundle.write("true", process={field: value})
    runtime("run", "-b", bundle.path, container).fails(f"process.{field}", code=1)
    runtime("state", container).fails("does not exist")


def allowed(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return re.search(r"Cpus_allowed_list:\s*(\S+)", file.read()).group(1)


def test_exec_runs_on_the_final_cpus_and_init_on_all(runtime, bundle, container):
    last = max(os.sched_getaffinity(0))
    bundle.write("sleep 600", process={"execCPUAffinity": {"initial": "0", "final": str(last)}})
    pid = start(runtime, bundle, container)
    assert allowed(added(runtime, bundle, container, container, "sleep", "600")) == str(last)
    assert last == 0 or allowed(pid) != str(last)


@pytest.mark.parametrize("cpuset", [None, str(max(os.sched_getaffinity(0)))])
def test_what_a_runtime_is_pinned_to_its_containers_are_not(runtime, bundle, container, cpuset):
    """The cgroup decides, later on too; a service manager pins what it starts."""
    every = allowed(os.getpid()) if cpuset is None else cpuset
    bundle.write("sleep 600", linux={"resources": {"cpu": {"cpus": cpuset}}} if cpuset else {})
    first = min(os.sched_getaffinity(0))

    def pin():
        os.sched_setaffinity(0, {first})

    runtime.detached("create", "-b", bundle.path, container, preexec_fn=pin).ok()
    runtime("start", container, preexec_fn=pin).ok()
    path = os.path.join(bundle.path, "exec-pid")
    runtime.detached("exec", "-d", "--pid-file", path, container, "sleep", "600", preexec_fn=pin).ok()
    with open(path, encoding="utf-8") as file:
        processes = runtime.state(container)["pid"], int(file.read())
    assert [allowed(process) for process in processes] == [every, every]
    if cpuset:
        runtime("update", "--cpuset-cpus", allowed(os.getpid()), container).ok()
        assert [allowed(process) for process in processes] == [allowed(os.getpid())] * 2


@pytest.mark.ours
def test_initial_cpus_alone_are_the_final_ones(runtime, bundle, container):
    """- Spec: config.md, execCPUAffinity: without `final` the affinity is not changed after the cgroup is entered."""
    last = str(max(os.sched_getaffinity(0)))
    bundle.write("sleep 600", process={"execCPUAffinity": {"initial": last}})
    start(runtime, bundle, container)
    assert allowed(added(runtime, bundle, container, container, "sleep", "600")) == last


@pytest.mark.ours
def test_a_kernel_that_does_not_unpin_is_a_warning(runtime, bundle, container):
    bundle.write("true")
    result = runtime("run", "-b", bundle.path, container, preexec_fn=without("sched_setaffinity")).ok()
    assert "sched_setaffinity" in result.err and "ENOSYS" in result.err


def test_the_personality_is_that_of_a_32_bit_machine_for_run_and_exec(runtime, bundle, container):
    bundle.write(["cat", "/proc/self/personality"], linux={"personality": {"domain": "LINUX32"}})
    assert runtime("run", "-b", bundle.path, container).ok().out == "00000008\n"
    bundle.write("sleep 600")
    pid = start(runtime, bundle, container)
    for process in (pid, added(runtime, bundle, container, container, "sleep", "600")):
        with open(f"/proc/{process}/personality", encoding="utf-8") as file:
            assert file.read().strip() == "00000008"


@pytest.mark.parametrize("policy, shown", [
    ({"mode": "MPOL_BIND", "nodes": "0"}, "bind:0"), ({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "interleave"),
    ({"mode": "MPOL_PREFERRED", "nodes": "0"}, "prefer:0"), ({"mode": "MPOL_LOCAL"}, "local"),
])
def test_the_memory_policy_is_the_configured_one_for_run_and_exec(runtime, bundle, container, policy, shown):
    bundle.write(["sleep", "600"], linux={"memoryPolicy": policy})
    pid = start(runtime, bundle, container)
    for process in (pid, added(runtime, bundle, container, container, "sleep", "600")):
        with open(f"/proc/{process}/numa_maps", encoding="utf-8") as file:
            policies = {line.split()[1] for line in file}
        assert any(found.startswith(shown) for found in policies), policies


@pytest.mark.ours
@pytest.mark.parametrize("policy", [{"mode": "MPOL_BIND", "nodes": "x"}, {"mode": "MPOL_NOSUCH", "nodes": "0"},
                                    {"mode": "MPOL_BIND", "nodes": "900"}, {"mode": "MPOL_BIND"},
                                    {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}])
def test_a_memory_policy_that_cannot_be_is_refused_by_its_member(runtime, bundle, container, policy):
    bundle.write("true", linux={"memoryPolicy": policy})
    runtime("run", "-b", bundle.path, container).fails("linux.memoryPolicy", code=1)
    runtime("state", container).fails("does not exist")


APPARMOR = os.path.exists("/sys/module/apparmor/parameters/enabled")


@pytest.mark.ours
@pytest.mark.skipif(APPARMOR, reason="this kernel has AppArmor")
def test_labels_are_refused_by_their_members_where_the_kernel_has_no_such_module(runtime, bundle, container, running):
    runtime("exec", "--apparmor", "x", running, "true").fails("process.apparmorProfile", code=255)
    runtime("exec", "--process-label", "x", running, "true").fails("process.selinuxLabel", code=255)
    for field in ("apparmorProfile", "selinuxLabel"):
        bundle.write("true", process={field: "x"})
        runtime("run", "-b", bundle.path, f"{container}-other").fails(f"process.{field}", code=1)
        del bundle.config["process"][field]


@pytest.mark.skipif(not APPARMOR, reason="this kernel has no AppArmor")
def test_the_apparmor_profile_is_that_of_the_program(runtime, bundle, container):
    bundle.write(["cat", "/proc/self/attr/current"], process={"apparmorProfile": "unconfined"})
    assert runtime("run", "-b", bundle.path, container).ok().out.split() == ["unconfined"]
    bundle.write("true", process={"apparmorProfile": "apus-no-such-profile"})
    runtime("run", "-b", bundle.path, container).fails("apus-no-such-profile")


@spec("runtime.md#runtimeStart", "MUST generate an error if `process` was not set")
def test_create_takes_a_configuration_without_a_process_and_start_refuses_it(runtime, bundle, container):
    """config.md, "Process": "This property is REQUIRED when start is called"."""
    del bundle.config["process"]
    bundle.write()
    runtime.detached("create", "-b", bundle.path, container).ok()
    assert runtime.status(container) == "created"
    runtime("start", container).fails("process is required", code=1)
    assert runtime.status(container) == "created"
    runtime("run", "-b", bundle.path, f"{container}-other").fails("process is required", code=1)
    runtime("delete", container).ok()
    wait_until(lambda: runtime("state", container).code != 0, "it is gone")
