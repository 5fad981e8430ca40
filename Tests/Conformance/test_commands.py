"""runc's commands beside the lifecycle: update, events, ps, kill of all, and the flags of create and exec that engines use."""

import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest
from processes import PATIENCE, alive, read_line, wait_until
from test_cgroups import V1, cgroup_of, value


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


# update

def memory_limit(pid):
    return value(pid, "memory", "memory.limit_in_bytes", "memory.max")


def test_update_changes_the_limits_that_its_flags_name(runtime, bundle, container):
    bundle.write("sleep 600", linux={"resources": {"pids": {"limit": 50}, "memory": {"limit": 64 << 20}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    runtime("update", "--pids-limit", "77", "--cpu-quota", "40000", "--cpu-period", "80000", "--cpuset-cpus", "0",
            "--cpu-share", "300", container).ok()
    assert value(pid, "pids", "pids.max", "pids.max") == "77"
    assert value(pid, "cpuset", "cpuset.cpus", "cpuset.cpus") == "0"
    if V1:
        assert value(pid, "cpu", "cpu.cfs_quota_us", "") == "40000"
        assert value(pid, "cpu", "cpu.cfs_period_us", "") == "80000"
        assert value(pid, "cpu", "cpu.shares", "") == "300"
    else:
        assert value(pid, "cpu", "", "cpu.max") == "40000 80000"
    assert memory_limit(pid) == str(64 << 20)


def test_update_reads_sizes_with_units(runtime, running):
    pid = runtime.state(running)["pid"]
    runtime("update", "--memory", "32m" if runtime.kind != "crun" else str(32 << 20), running).ok()
    assert memory_limit(pid) == str(32 << 20)
    runtime("update", "--memory", "-1", running).ok()
    assert memory_limit(pid) == ("9223372036854771712" if V1 else "max")


@pytest.mark.parametrize("source", ["-", "file"])
def test_update_reads_a_document_from_a_file_or_standard_input(runtime, bundle, running, source):
    path = os.path.join(bundle.path, "resources.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"memory": {"limit": 48 << 20, "reservation": 16 << 20}, "pids": {"limit": 33}}, file)
    with open(path, "rb") as stdin:
        word = "-" if source == "-" else path
        if runtime.kind == "crun" and source == "-":
            word = "/dev/stdin"
        runtime("update", "-r", word, running, stdin=stdin).ok()
    pid = runtime.state(running)["pid"]
    assert memory_limit(pid) == str(48 << 20)
    assert value(pid, "memory", "memory.soft_limit_in_bytes", "memory.low") == str(16 << 20)
    assert value(pid, "pids", "pids.max", "pids.max") == "33"


@pytest.mark.skipif(not V1, reason="asks what files of cgroup v1 hold")
def test_update_of_memory_and_swap_raises_and_lowers_both(runtime, bundle, container):
    bundle.write("sleep 600", linux={"resources": {"memory": {"limit": 32 << 20, "swap": 32 << 20}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    for megabytes in (128, 16):
        runtime("update", "--memory", str(megabytes << 20), "--memory-swap", str(megabytes << 20), container).ok()
        assert memory_limit(pid) == value(pid, "memory", "memory.memsw.limit_in_bytes", "") == str(megabytes << 20)


@pytest.mark.skipif(V1, reason="asks what files of cgroup v2 hold")
def test_update_of_one_half_keeps_the_other_half_of_a_file(runtime, bundle, container):
    bundle.write("sleep 600", linux={"resources": {"cpu": {"quota": 30000, "period": 100000}, "memory": {"limit": 64 << 20}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    runtime("update", "--cpu-period", "200000", container).ok()
    assert value(pid, "cpu", "", "cpu.max") == "30000 200000"
    runtime("update", "--memory-swap", str(96 << 20), container).ok()
    assert memory_limit(pid) == str(64 << 20)


def test_update_sets_cpu_burst_and_idle(runtime, bundle, container):
    bundle.write("sleep 600", linux={"resources": {"cpu": {"quota": 50000, "period": 100000}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    runtime("update", "--cpu-burst", "20000", container).ok()
    assert value(pid, "cpu", "cpu.cfs_burst_us", "cpu.max.burst") == "20000"
    runtime("update", "--cpu-idle", "1", container).ok()
    assert value(pid, "cpu", "cpu.idle", "cpu.idle") == "1"


@pytest.mark.ours
def test_quota_and_burst_fall_and_rise_together(runtime, bundle, container):
    """No burst is above the quota at any time."""
    bundle.write("sleep 600", linux={"resources": {"cpu": {"quota": 100000, "period": 100000, "burst": 80000}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    for quota, period, burst in [(50000, None, 10000), (90000, None, 70000), (20000, 50000, 5000), (100000, 100000, 60000)]:
        words = ["--cpu-quota", str(quota), "--cpu-burst", str(burst), *(["--cpu-period", str(period)] if period else [])]
        runtime("update", *words, container).ok()
        assert value(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == str(quota)
        assert value(pid, "cpu", "cpu.cfs_burst_us", "cpu.max.burst") == str(burst)


@pytest.mark.parametrize("words, text", [
    (["--memory", "1x"], "invalid value for memory: invalid size: '1x'"),
    (["--cpu-period", "abc"], "invalid value for cpu-period: "),
    (["--memory-reservation", "-2"], "memory-reservation"),
    (["-r", "/nonexistent/file"], "open /nonexistent/file: "),
])
def test_update_refuses_what_is_no_value_and_changes_nothing(runtime, running, words, text):
    pid = runtime.state(running)["pid"]
    result = runtime("update", "--pids-limit", "5", *words, running).fails(code=1)
    assert text.lower() in result.message.lower()
    assert value(pid, "pids", "pids.max", "pids.max") != "5"


def test_an_update_that_the_kernel_refuses_midway_changes_nothing(runtime, bundle, container):
    """CPUs that no machine has come after memory and shares, a size of pages that there is not after everything."""
    bundle.write("sleep 600", linux={"resources": {"memory": {"limit": 256 << 20, "swap": 512 << 20}, "cpu": {"shares": 512}, "pids": {"limit": 50}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]

    def limits():
        return (memory_limit(pid), value(pid, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), value(pid, "cpu", "cpu.shares", "cpu.weight"),
                value(pid, "pids", "pids.max", "pids.max"), value(pid, "cpuset", "cpuset.cpus", "cpuset.cpus.effective"))

    before = limits()
    runtime("update", "--memory", "64m", "--memory-swap", "128m", "--cpu-share", "256", "--cpuset-cpus", "4096", container).fails("")
    assert limits() == before
    wanted = {"memory": {"limit": 600 << 20, "swap": 700 << 20}, "cpu": {"shares": 2048, "cpus": "0"}, "pids": {"limit": 9},
              "hugepageLimits": [{"pageSize": "3MB", "limit": 0}]}
    runtime("update", "-r", "-", container, stdin=None, input=json.dumps(wanted).encode()).fails("")
    assert limits() == before


def test_a_stopped_container_is_not_updated(runtime, running):
    runtime("kill", running, "KILL").ok()
    runtime.wait_for(running, "stopped")
    runtime("update", "--pids-limit", "5", running).fails("container not running")


# events

def test_events_tells_once_what_is_used(runtime, bundle, container):
    bundle.write("sleep 600", linux={"resources": {"memory": {"limit": 64 << 20}, "pids": {"limit": 20}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    lines = runtime("events", "--stats", container).ok().lines
    assert len(lines) == 1
    event = json.loads(lines[0])
    assert (event["type"], event["id"]) == ("stats", container)
    data = event["data"]
    assert set(data) == {"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"}
    assert data["pids"]["current"] >= 1 and data["pids"]["limit"] == 20
    assert data["memory"]["usage"]["limit"] == 64 << 20
    assert 0 < data["memory"]["usage"]["usage"] < 64 << 20
    assert data["memory"]["raw"]["pgfault"] > 0
    assert data["cpu"]["usage"]["total"] > 0
    assert {"kernel", "user", "total"} <= set(data["cpu"]["usage"])
    for name in ("usage", "swap", "kernel", "kernelTCP"):
        assert {"limit", "failcnt"} <= set(data["memory"][name]) <= {"limit", "failcnt", "usage", "max"}
    assert set(data["cpuset"]) - {"cpus", "mems"} == {
        "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab", "memory_pressure",
        "sched_load_balance", "sched_relax_domain_level"}
    assert data["intel_rdt"] == {} and data["network_interfaces"] is None
    if os.path.exists("/proc/pressure") and runtime.kind == "apus":
        for name in ("cpu", "memory", "blkio"):
            for line in data[name]["psi"].values():
                assert set(line) == {"avg10", "avg60", "avg300", "total"} and all(isinstance(number, (int, float)) for number in line.values())
            assert {"some"} <= set(data[name]["psi"]) <= {"some", "full"}
    if V1:
        assert set(data["cpu"]["usage"]) == {"total", "percpu", "percpu_kernel", "percpu_user", "kernel", "user"}
        assert len(data["cpu"]["usage"]["percpu"]) == len(data["cpu"]["usage"]["percpu_user"]) == os.cpu_count()
        assert data["cpuset"]["cpus"] and data["cpuset"]["sched_load_balance"] == 1


def test_events_tells_regularly_and_ends_with_the_container(runtime, running):
    process = subprocess.Popen(runtime.command("events", "--interval", "50ms", running), stdout=subprocess.PIPE)
    events = [json.loads(read_line(process)) for _ in range(3)]
    assert [event["type"] for event in events] == ["stats"] * 3
    runtime("kill", running, "KILL").ok()
    if runtime.kind != "apus":
        runtime.wait_for(running, "stopped")
        runtime("delete", running).ok()
    # What is told meanwhile is read: a pipe that is full would keep the program from its end.
    process.communicate(timeout=20 * PATIENCE)
    assert process.returncode == 0


@pytest.mark.ours
def test_events_waits_for_the_longest_interval_that_there_is(runtime, running):
    process = subprocess.Popen(runtime.command("events", "--interval", "2562047h", running), stdout=subprocess.PIPE)
    folder = f"/proc/{process.pid}/fd"

    def waits():
        if process.poll() is not None:
            return True
        try:
            return any("eventpoll" in os.readlink(os.path.join(folder, number)) for number in os.listdir(folder))
        except OSError:
            return False

    wait_until(waits, "it waits")
    runtime("kill", running, "KILL").ok()
    assert process.wait(20 * PATIENCE) == 0
    process.stdout.close()


def test_events_tells_that_memory_ran_out(runtime, bundle, container):
    bundle.write("while [ ! -e /tmp/go ]; do sleep 0.05; done; dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 600",
                 linux={"resources": {"memory": {"limit": 32 << 20, "swap": 32 << 20}}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    process = subprocess.Popen(runtime.command("events", "--interval", "100ms", container), stdout=subprocess.PIPE)
    assert json.loads(read_line(process))["type"] == "stats"
    bundle.file("/tmp/go", "")
    deadline = time.monotonic() + 30 * PATIENCE
    while (event := json.loads(read_line(process)))["type"] != "oom":
        assert time.monotonic() < deadline
    assert event == {"type": "oom", "id": container}
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("interval, text", [("0", "duration interval must be greater than 0"), ("-1s", "greater than 0"), ("soon", "soon")])
def test_events_refuses_an_interval_that_is_none(runtime, running, interval, text):
    result = runtime("events", "--interval", interval, running).fails(code=1)
    assert text in result.message + result.out


def test_events_of_a_stopped_container_is_refused(runtime, running):
    runtime("kill", running, "KILL").ok()
    runtime.wait_for(running, "stopped")
    for words in (["--stats"], []):
        runtime("events", *words, running).fails("is not running", code=1)


# ps

def test_ps_shows_the_hosts_ps_lines_of_the_containers_processes(runtime, bundle, container):
    bundle.write("sleep 601 & sleep 602; true")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()

    def both_sleep():
        """They are the shell itself at first."""
        table = runtime("ps", container).ok().lines
        return table if all(any(line.endswith(f" {words}") for line in table) for words in ("sleep 601", "sleep 602")) else None

    table = wait_until(both_sleep, "both sleep")
    assert table[0].split()[:3] == ["UID", "PID", "PPID"] and len(table) == 4
    assert sum("sleep 60" in line for line in table) == 3 and sum(line.endswith("sleep 601") for line in table) == 1
    chosen = runtime("ps", container, "-o", "pid,comm").ok().lines
    assert chosen[0].split() == ["PID", "COMMAND"]
    assert sorted(int(line.split()[0]) for line in chosen[1:]) == sorted(json.loads(runtime("ps", "--format", "json", container).ok().out))


def test_ps_refuses_options_without_a_pid_column_and_unknown_formats(runtime, running):
    runtime("ps", running, "-o", "comm").fails("couldn't find PID field in ps output", code=1)
    runtime("ps", "-f", "yaml", running).fails("invalid format option", code=1)
    runtime("ps", running, "--nosuchoption").fails("exit status 1", code=1)


@pytest.mark.ours
def test_ps_works_where_the_host_has_no_ps(runtime, running):
    lines = runtime("ps", running, env={"PATH": "/nonexistent"}).ok().lines
    assert lines[0].split() == ["PID", "STATE", "NAME"] and lines[1].split()[0] == str(runtime.state(running)["pid"])
    runtime("ps", running, "-ef", env={"PATH": "/nonexistent"}).fails('"ps": executable file not found in $PATH')


def test_ps_of_a_stopped_container_lists_nothing(runtime, running):
    runtime("kill", running, "KILL").ok()
    runtime.wait_for(running, "stopped")
    assert len(runtime("ps", running).ok().lines) == 1
    assert runtime("ps", "-f", "json", running).ok().out == "null\n"


# kill

def test_kill_of_all_reaches_every_process(runtime, bundle, container):
    bundle.without_namespace("pid").write("trap 'echo first >> /tmp/marks' USR1; sh -c \"trap 'echo second >> /tmp/marks' USR1; "
                                          "touch /tmp/ready; while :; do sleep 0.05; done\" & while :; do sleep 0.05; done")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/ready")), "both are there")
    runtime("kill", "--all", container, "USR1").ok()
    marks = os.path.join(bundle.rootfs, "tmp/marks")
    wait_until(lambda: os.path.exists(marks) and sorted(read(marks).split()) == ["first", "second"], "both had the signal")


def test_kill_of_all_in_a_stopped_container_is_no_error(runtime, running):
    runtime("kill", running, "KILL").ok()
    runtime.wait_for(running, "stopped")
    runtime("kill", "--all", running, "KILL").ok()


@pytest.mark.parametrize("owner", ["the host", "another process"])
def test_sigkill_reaches_every_process_where_the_pid_namespace_is_shared(runtime, bundle, container, request, owner):
    if owner == "another process":
        bundle.join("pid", f"/proc/{request.getfixturevalue('other')}/ns/pid")
    else:
        bundle.without_namespace("pid")
    bundle.write("sleep 603 & sleep 604 & wait")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    processes = wait_until(
        lambda: (found := read(os.path.join(cgroup_of(runtime.state(container)["pid"], "pids"), "cgroup.procs")).split())
        and len(found) == 3 and found, "all are there")
    runtime("kill", container, "KILL").ok()
    wait_until(lambda: not any(alive(process) for process in processes), "all have ended")


# exec --cgroup, --pidfd-socket, --preserve-fds

@pytest.mark.skipif(not V1, reason="cgroup v2 has one path for all controllers")
def test_exec_is_put_below_the_cgroup_of_single_controllers(runtime, running):
    pid = runtime.state(running)["pid"]
    for controller, name in (("pids", "one"), ("memory", "two")):
        os.mkdir(os.path.join(cgroup_of(pid, controller), name))
    lines = runtime("exec", "--cgroup", "pids:one", "--cgroup", "memory:two", running, "cat", "/proc/self/cgroup").ok().lines
    tails = {line.split(":")[1]: line.rsplit("/", 1)[1] for line in lines}
    assert (tails["pids"], tails["memory"], tails["freezer"]) == ("one", "two", running)


@pytest.mark.skipif(not V1, reason="cgroup v2 has one path for all controllers")
@pytest.mark.parametrize("values, text", [
    (["nosuch:below"], "unknown controller"), (["a", "pids:b"], "missing <controller>: prefix"),
    pytest.param(["pids:a", "pids:b"], "multiple paths for controller", marks=pytest.mark.ours), (["pids:a:b"], "invalid --cgroup argument: pids:a:b"),
])
def test_exec_refuses_cgroups_that_make_no_sense(runtime, running, values, text):
    words = [word for item in values for word in ("--cgroup", item)]
    runtime("exec", *words, running, "true").fails(text, code=255 if runtime.kind == "apus" else None)


def receive_pidfd(listener):
    assert select.select([listener], [], [], 20)[0]
    connection = listener.accept()[0]
    message, descriptors, _, _ = socket.recv_fds(connection, 64, 4)
    connection.close()
    assert len(descriptors) == 1
    with open(f"/proc/self/fdinfo/{descriptors[0]}", encoding="utf-8") as file:
        pid = next(int(line.split()[1]) for line in file if line.startswith("Pid:"))
    return message, descriptors[0], pid


def test_the_pidfd_socket_gets_a_descriptor_of_the_process(runtime, bundle, container):
    bundle.write("sleep 600")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(bundle.path, "pidfd.sock"))
        listener.listen()
        runtime.detached("run", "-d", "--pidfd-socket", os.path.join(bundle.path, "pidfd.sock"), "-b", bundle.path, container).ok()
        word, descriptor, pid = receive_pidfd(listener)
        assert (word, pid) == (b"standard", runtime.state(container)["pid"])
        pid_file = os.path.join(bundle.path, "pid")
        runtime.detached("exec", "-d", "--pid-file", pid_file, "--pidfd-socket", os.path.join(bundle.path, "pidfd.sock"), container,
                         "sleep", "600").ok()
        added, pidfd, added_pid = receive_pidfd(listener)
        assert (added, added_pid) == (b"setns", int(read(pid_file)))
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        runtime.wait_for(container, "stopped")
        os.close(descriptor)
        os.close(pidfd)


@pytest.mark.ours
def test_a_pidfd_socket_that_nobody_listens_at_fails_and_leaves_nothing(runtime, bundle, container):
    bundle.write("sleep 600")
    pid_file = os.path.join(bundle.path, "pid")
    words = ["--pid-file", pid_file, "--pidfd-socket", "/nonexistent/socket", "-b", bundle.path, container]
    for verb in ("create", "run"):
        runtime(verb, *words).fails("pidfd", code=1)
        runtime("state", container).fails("does not exist")
        assert not os.path.exists(pid_file)


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_preserved_descriptors_reach_the_program_and_no_others(runtime, bundle, container, verb):
    kept, other = os.open(bundle.file("/kept", "kept\n"), os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)

    def arrange():
        os.dup2(kept, 3)
        os.dup2(other, 4)
        os.set_inheritable(3, True)
        os.set_inheritable(4, True)

    script = "cat <&3; for fd in 4 5 6 7; do [ -e /proc/self/fd/$fd ] && readlink /proc/self/fd/$fd; done; true"
    if verb == "run":
        words = ["run", "--preserve-fds", "1", "-b", bundle.write(script).path, container]
    else:
        runtime.detached("run", "-d", "-b", bundle.write("sleep 600").path, container).ok()
        words = ["exec", "--preserve-fds", "1", container, "sh", "-c", script]
    done = runtime(*words, close_fds=False, preexec_fn=arrange).ok()
    os.close(kept)
    os.close(other)
    assert done.out.splitlines()[0] == "kept"
    assert "/dev/null" not in done.out


def test_exec_in_a_paused_container_waits_where_it_is_told_to(runtime, running):
    runtime("pause", running).ok()
    if runtime.kind == "crun":
        pytest.skip("crun has no --ignore-paused")
    runtime("exec", running, "true").fails("cannot exec in a paused container (use --ignore-paused to override)")
    process = subprocess.Popen(runtime.command("exec", "--ignore-paused", running, "echo", "went on"), stdout=subprocess.PIPE,
                               stdin=subprocess.DEVNULL)
    assert not select.select([process.stdout], [], [], 0.3)[0]
    runtime("resume", running).ok()
    assert process.communicate(timeout=20 * PATIENCE)[0] == b"went on\n"


def test_pause_and_resume_refuse_the_wrong_status(runtime, running):
    runtime("resume", running).fails("container not paused")
    runtime("kill", running, "KILL").ok()
    runtime.wait_for(running, "stopped")
    runtime("pause", running).fails("container not running")


@pytest.mark.ours
def test_an_exec_that_met_a_pause_waits_no_longer_than_that(runtime, running):
    """Until the container goes on, or until it is no more."""
    runtime("pause", running).ok()
    command = runtime.command("exec", "--ignore-paused", running, "true")
    for end, code in (["resume", running], 0), (["delete", "-f", running], 255):
        added = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            added.wait(timeout=0.5)
        runtime(*end).ok()
        assert added.wait(timeout=20 * PATIENCE) == code
        if code == 0:
            runtime("pause", running).ok()
