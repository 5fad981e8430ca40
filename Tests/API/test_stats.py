"""Rows D22, D23: what containers use, what runs in them, and other limits for them."""
# Rows: features

import concurrent.futures
import glob
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse

import docker
import pytest

import engine_http
from processes import wait_until


def in_bytes(text):
    number, unit = re.fullmatch(r"([\d.]+)([kMGTKi]*)B", text).groups()
    base = 1024 if unit.endswith("i") else 1000
    return float(number) * base ** " kMGT".find({"K": "k"}.get(unit[:1], unit[:1]) or " ")


# The kernel charges a cgroup 64 pages ahead on each processor, and takes them back when it likes (MEMCG_CHARGE_BATCH).
CHARGED_AHEAD = 64 * 4096 * os.cpu_count()


class ControlFiles:
    """The files of a container's cgroup, whichever version the machine has."""

    def __init__(self, identifier):
        self.is_unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        self.folders = glob.glob(f"/sys/fs/cgroup/apus/{identifier}") or glob.glob(f"/sys/fs/cgroup/*/apus/{identifier}")

    def text(self, *names):
        for folder in self.folders:
            for name in names:
                if os.path.exists(path := os.path.join(folder, name)):
                    with open(path, encoding="utf-8") as file:
                        return file.read().strip()
        return ""

    def number(self, *names):
        return int(self.text(*names))

    def flat(self, name):
        return {words[0]: int(words[1]) for line in self.text(name).splitlines() if len(words := line.split()) == 2}

    def memory(self):
        """As Docker counts: without page cache that can be dropped at once."""
        cache = self.flat("memory.stat")["inactive_file" if self.is_unified else "total_inactive_file"]
        return self.number("memory.current", "memory.usage_in_bytes") - cache

    def processor_time(self):
        if self.is_unified:
            return self.flat("cpu.stat")["usage_usec"] * 1000
        return self.number("cpuacct.usage")


@pytest.fixture
def quiet(cli, image):
    """A limited container of three processes that does nothing more once it is there, and its id."""
    script = ("dd if=/dev/zero of=/file bs=1M count=4 2>/dev/null; dd if=/dev/zero of=/dev/shm/held bs=1M count=8 2>/dev/null; "
              "sleep 3600 & sleep 3600 & echo up; wait")
    identifier = cli("run", "-d", "--name", "quiet", "-m", "64m", "--pids-limit", "77", image, "sh", "-c", script).line()
    wait_until(lambda: "up" in cli("logs", "quiet").out, "the container is ready")
    # What the shell has cloned is called as it is until it runs its program.
    wait_until(lambda: cli("top", "quiet", "-o", "pid,comm").out.count(" sleep") == 2, "its processes are what they are to be")
    return identifier


def received(cli, name):
    """What the kernel counts of a container's one link. Whoever has just made a bridge tells all that are on it which groups it is a member of."""
    with open(f"/proc/{cli.inspect(name, '{{.State.Pid}}')}/net/dev", encoding="ascii") as file:
        (counted,) = [line.split(":")[1].split() for line in file if line.strip().startswith("eth0:")]
    return int(counted[0])


def test_D22_stats_show_what_the_cgroup_files_hold(cli, quiet):
    files, before = ControlFiles(quiet), received(cli, "quiet")
    fields = "{{.ID}}|{{.Name}}|{{.MemUsage}}|{{.MemPerc}}|{{.PIDs}}|{{.CPUPerc}}|{{.NetIO}}|{{.BlockIO}}|{{.Container}}"
    identifier, name, memory, share, pids, processor, network, block, word = cli(
        "stats", "--no-stream", "--format", fields, "quiet").line().split("|")
    assert (identifier, name, word) == (quiet[:12], "quiet", "quiet")
    used, limit = (in_bytes(part) for part in memory.split(" / "))
    assert limit == 64 << 20 and 8 << 20 <= used
    assert used == pytest.approx(files.memory(), abs=CHARGED_AHEAD)
    assert float(share.rstrip("%")) == pytest.approx(100 * used / limit, abs=0.1)
    assert int(pids) == files.number("pids.current") == 3
    came, sent = network.split(" / ")
    # It is shown with three digits.
    assert processor.endswith("%") and 0.99 * before <= in_bytes(came) <= 1.01 * received(cli, "quiet") and sent == "0B"
    assert re.fullmatch(r"[\d.]+[kMG]?B / [\d.]+[kMG]?B", block)
    assert cli("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}", "quiet").line() == quiet


def test_D22_the_table_has_every_running_container_and_with_a_the_others(cli, quiet, image):
    cli("create", "--name", "idle", image, "true").ok()
    header, *rows = cli("stats", "--no-stream").ok().splitlines()
    assert re.fullmatch(r"CONTAINER ID\s+NAME\s+CPU %\s+MEM USAGE / LIMIT\s+MEM %\s+NET I/O\s+BLOCK I/O\s+PIDS", header.replace("\x1b[2J\x1b[H", ""))
    assert [row.split()[1] for row in rows if row.strip()] == ["quiet"]
    everything = cli("stats", "--no-stream", "-a", "--format", "{{.Name}} {{.PIDs}}").ok().split("\n")
    assert sorted(line for line in everything if line) == ["idle 0", "quiet 3"]
    missing = cli("stats", "--no-stream", "nosuch")
    assert missing.code == 1 and "No such container: nosuch" in missing.err


def test_D22_a_busy_container_shows_its_share_of_processor_time(cli, image):
    cli("run", "-d", "--name", "busy", "--cpus", "0.5", image, "sh", "-c", "while :; do :; done").ok()

    def is_busy():
        share = float(cli("stats", "--no-stream", "--format", "{{.CPUPerc}}", "busy").line().rstrip("%"))
        assert share < 70
        return share > 5

    # On a machine that is busy itself it may be given little at first.
    wait_until(is_busy, "it shows its share", seconds=30)


def stats(daemon, path, version="1.41"):
    return engine_http.api(daemon, "GET", f"/v{version}/containers/{path}", expect=200)[1]


def test_D22_the_document_equals_the_files_and_has_dockers_shape(own_daemon, apus, image):
    identifier = apus("run", "-d", "--name", "shape", "-m", "32m", image, "sh", "-c", "echo up; exec sleep 3600").line()
    wait_until(lambda: "up" in apus("logs", "shape").out, "the container is ready")
    files = ControlFiles(identifier)
    once = stats(own_daemon, "shape/stats?stream=0&one-shot=1")
    assert once["name"] == "/shape" and once["id"] == identifier
    # It may be about to become what sleeps.
    wait_until(lambda: stats(own_daemon, "shape/stats?stream=0&one-shot=1")["cpu_stats"]["cpu_usage"]["total_usage"] == files.processor_time(),
               "the time is the file's")
    # The kernel gives a program's start back in its own time: the two are read until nothing moved in between.
    wait_until(lambda: files.number("memory.current", "memory.usage_in_bytes")
               == stats(own_daemon, "shape/stats?stream=0&one-shot=1")["memory_stats"]["usage"], "the usage is the file's")
    once = stats(own_daemon, "shape/stats?stream=0&one-shot=1")
    assert once["memory_stats"]["limit"] == 32 << 20
    assert once["memory_stats"]["stats"]["pgfault"] == files.flat("memory.stat")["pgfault"]
    assert once["pids_stats"]["current"] == 1 and once["pids_stats"]["limit"] == files.number("pids.max")
    assert once["precpu_stats"]["cpu_usage"]["total_usage"] == 0 and once["preread"] == "0001-01-01T00:00:00Z"
    assert once["num_procs"] == 0 and once["storage_stats"] == {} and set(once["networks"]) == {"eth0"}
    assert set(once["blkio_stats"]) == {f"io_{what}_recursive" for what in (
        "service_bytes", "serviced", "queue", "service_time", "wait_time", "merged", "time")} | {"sectors_recursive"}
    assert once["cpu_stats"]["online_cpus"] == os.cpu_count() and once["cpu_stats"]["system_cpu_usage"] > 0
    assert ("percpu_usage" in once["cpu_stats"]["cpu_usage"]) != files.is_unified
    # What Docker does not tell.
    assert once["apus"]["oom_kill"] == 0 and once["apus"]["memory_peak"] >= once["memory_stats"]["usage"]
    if os.path.exists("/proc/pressure/cpu"):
        assert once["apus"]["pressure"]["cpu"]["some"]["total"] >= 0


@pytest.mark.skipif(not os.path.exists("/sys/fs/cgroup/cgroup.controllers"), reason="asks what files of cgroup v2 hold")
def test_D22_pressure_the_highest_use_and_kills_are_those_of_the_files_of_v2(own_daemon, apus, image):
    """A process that takes more than there is has been killed, and others waited for their share of the processors."""
    script = ("dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done & "
              "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; wait; echo up; exec sleep 3600")
    identifier = apus("run", "-d", "--name", "pressed", "-m", "32m", "--cpus", "0.5", image, "sh", "-c", script).line()
    wait_until(lambda: "up" in apus("logs", "pressed").out, "the container is ready", seconds=60)
    files = ControlFiles(identifier)

    def totals():
        """Microseconds, by resource and by whether some or all waited."""
        lines = {kind: files.text(f"{kind}.pressure").splitlines() for kind in ("cpu", "memory", "io")}
        return {kind: {line.split()[0]: int(line.rpartition("total=")[2]) for line in lines[kind]} for kind in lines}

    def told():
        told = stats(own_daemon, "pressed/stats?stream=0&one-shot=1")["apus"]
        return {kind: {share: told["pressure"][kind][share]["total"] for share in ("some", "full")} for kind in ("cpu", "memory", "io")}

    wait_until(lambda: told() == totals(), "pressure is the files'")
    assert totals()["cpu"]["some"] > 0
    own = stats(own_daemon, "pressed/stats?stream=0&one-shot=1")["apus"]
    assert own["memory_peak"] == files.number("memory.peak") > 16 << 20
    assert own["oom_kill"] == files.flat("memory.events")["oom_kill"] == 1


def test_D22_a_single_answer_compares_and_a_stream_goes_on_until_the_container_is_gone(own_daemon, apus, image):
    apus("run", "-d", "--name", "flow", image, "sleep", "3600").ok()
    # Before 1.41 there was no one-shot.
    compared = stats(own_daemon, "flow/stats?stream=false&one-shot=true", "1.40")
    assert compared["precpu_stats"]["system_cpu_usage"] < compared["cpu_stats"]["system_cpu_usage"]
    assert compared["preread"] < compared["read"]
    status, refusal = engine_http.api(own_daemon, "GET", "/v1.41/containers/flow/stats?one-shot=1")
    assert status == 400 and "cannot have stream=true and one-shot=true" in refusal["message"]
    client = docker.APIClient(base_url=own_daemon.host, timeout=20)
    stream = client.stats("flow", decode=True, stream=True)
    first, second = next(stream), next(stream)
    assert second["precpu_stats"] == first["cpu_stats"] and second["preread"] == first["read"]
    apus("kill", "flow").ok()
    wait_until(lambda: next(stream)["pids_stats"] == {}, "the stream shows a container that does not run")
    idle = client.stats("flow", stream=False)
    assert idle["name"] == "/flow" and idle["read"] == "0001-01-01T00:00:00Z" and idle["memory_stats"] == {}
    apus("rm", "flow").ok()
    assert list(stream) == []
    client.close()


def test_D23_top_lists_the_containers_processes_as_ps_does(cli, quiet):
    header, *rows = cli("top", "quiet").ok().splitlines()
    assert header.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    commands = sorted(row.split(maxsplit=7)[7] for row in rows)
    assert commands[1:] == ["sleep 3600", "sleep 3600"] and commands[0].startswith("sh -c dd if=/dev/zero")
    with open(f"/proc/{cli.inspect('quiet', '{{.State.Pid}}')}/comm", encoding="utf-8") as file:
        assert file.read() == "sh\n"
    assert cli.inspect("quiet", "{{.State.Pid}}") in [row.split()[1] for row in rows]


def top(daemon, name, options):
    return engine_http.api(daemon, "GET", f"/containers/{name}/top?ps_args={urllib.parse.quote(options)}", expect=200)[1]


def test_D23_options_are_passed_on_to_ps(cli, own_daemon, quiet):
    header, *rows = cli("top", "quiet", "-o", "pid,comm").ok().splitlines()
    assert header.split() == ["PID", "COMMAND"] and sorted(row.split()[1] for row in rows) == ["sh", "sleep", "sleep"]
    assert len(cli("top", "quiet", "axo", "pid,args").ok().splitlines()) == 4
    first = cli.inspect("quiet", "{{.State.Pid}}")
    for words in (["-o", "pid"], ["-eo", "pid"], ["-o", "comm,pid"], ["-o", "user:20,pid"], ["-o", "pid,user:20"]):
        assert first in cli("top", "quiet", *words).ok().split(), words
    # A column of numbers is printed to the right of its place.
    rows = [row.split() for row in cli("top", "quiet", "-o", "pid,nlwp").ok().splitlines()]
    assert [row[1] for row in rows] == ["NLWP", "1", "1", "1"]
    assert all(row[1].strip() == row[1] for row in top(own_daemon, "quiet", "-o pid,nlwp")["Processes"])
    for words, message in (
            (["-o", "comm"], "Couldn't find PID field in ps output"), (["-o", "pid=PID,comm=PID"], 'specifying "comm=PID" is not allowed'),
            (["--nonsense"], "error: ")):
        result = cli("top", "quiet", *words)
        assert result.code == 1 and message in result.err, (words, result)


def test_D23_top_of_what_does_not_run_is_refused(cli, image):
    cli("create", "--name", "idle", image, "true").ok()
    result = cli("top", "idle")
    assert result.code == 1 and "is not running" in result.err
    assert "No such container: nosuch" in cli("top", "nosuch").err


def test_A12_update_changes_a_running_container_at_once_and_for_good(cli, quiet):
    files = ControlFiles(quiet)
    assert cli("update", "-m", "128m", "--memory-swap", "256m", "--pids-limit", "55", "--cpu-shares", "512", "quiet").line() == "quiet"
    assert files.number("memory.max", "memory.limit_in_bytes") == 128 << 20
    assert files.number("pids.max") == 55
    assert cli.inspect("quiet", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}") == f"{128 << 20} 55 512"
    # Downwards as well, and what is not named stays.
    cli("update", "-m", "48m", "--memory-swap", "96m", "quiet").ok()
    assert files.number("memory.max", "memory.limit_in_bytes") == 48 << 20 and files.number("pids.max") == 55
    cli("restart", "-t", "0", "quiet").ok()
    assert files.number("memory.max", "memory.limit_in_bytes") == 48 << 20 and files.number("pids.max") == 55


def test_A12_update_of_a_stopped_container_holds_for_its_next_run(cli, image):
    identifier = cli("create", "--name", "later", image, "sleep", "3600").line()
    cli("update", "--cpus", "0.5", "later").ok()
    cli("start", "later").ok()
    files = ControlFiles(identifier)
    assert (files.text("cpu.max") or f"{files.text('cpu.cfs_quota_us')} {files.text('cpu.cfs_period_us')}") == "50000 100000"


def test_A12_an_update_that_cannot_be_is_refused_and_changes_nothing(cli, own_daemon, quiet):
    files = ControlFiles(quiet)

    def refused(*words):
        result = cli("update", *words)
        assert result.code == 1, result
        return result.err

    assert "Memory limit should be smaller than already set memoryswap limit" in refused("-m", "1g", "quiet")
    assert "Minimum memory limit allowed is 6MB" in refused("-m", "1m", "quiet")
    # The kernel cannot take what is in use.
    assert "Cannot update container" in refused("-m", "6m", "--memory-swap", "6m", "quiet") or files.is_unified
    assert "No such container: nosuch" in refused("-m", "64m", "nosuch")
    if not files.is_unified:
        assert files.number("memory.limit_in_bytes") == 64 << 20
        assert cli.inspect("quiet", "{{.HostConfig.Memory}}") == str(64 << 20)
    cli("update", "--cpu-quota", "50000", "quiet").ok()
    status, answer = engine_http.api(own_daemon, "POST", "/containers/quiet/update", {"NanoCpus": 500_000_000})
    assert status == 409 and "Nano CPUs cannot be updated as CPU Quota has already been set" in answer["message"]
    assert engine_http.api(own_daemon, "POST", "/containers/quiet/update", {"CpuShares": 256}, expect=200)[1] == {"Warnings": None}


@pytest.mark.parametrize("restart", [[], ["--restart", "always"]], ids=["ends", "restarts"])
def test_A12_an_update_of_a_process_that_ended_before_its_shim_could_tell_is_for_the_next_run(own_daemon, apus, image, restart):
    apus("run", "-d", "--name", "ending", *restart, image, "sh", "-c", "while [ ! -e /go ]; do usleep 10000; done; rm -f /go").ok()
    pid, (shim,) = apus.inspect("ending", "{{.State.Pid}}"), own_daemon.shims()
    os.kill(shim, signal.SIGSTOP)
    try:
        with open(f"/proc/{pid}/root/go", "w", encoding="utf-8"):
            pass
        wait_until(lambda: not os.path.exists(f"/proc/{pid}/ns/mnt"), "the process's end")
        updating = apus.start("update", "--cpu-shares", "512", "ending", stderr=subprocess.PIPE)
        # Long enough for it to have begun.
        time.sleep(2)
    finally:
        os.kill(shim, signal.SIGCONT)
    said = updating.communicate(timeout=40)[1]
    assert updating.returncode == 0, said
    assert apus.inspect("ending", "{{.HostConfig.CpuShares}}") == "512"
    if restart:
        wait_until(lambda: apus.inspect("ending", "{{.State.Status}} {{.RestartCount}}") == "running 1", "it was started again")
    else:
        wait_until(lambda: apus.inspect("ending", "{{.State.Status}}") == "exited", "its end is known")
        apus("start", "ending").ok()
    files = ControlFiles(apus.inspect("ending", "{{.Id}}"))
    assert files.number("cpu.shares") == 512 if not files.is_unified else files.number("cpu.weight") < 100
    apus("rm", "-f", "ending").ok()


def test_A12_limits_stay_when_the_shim_starts_the_container_again(own_daemon, apus, image):
    identifier = apus("run", "-d", "--name", "again", "--restart", "always", image, "sleep", "3600").line()
    apus("update", "--pids-limit", "33", "again").ok()
    pid = apus.inspect("again", "{{.State.Pid}}")
    os.kill(int(pid), 9)
    # What is about to be started again counts as running, too.
    wait_until(lambda: apus.inspect("again", "{{.State.Status}} {{.RestartCount}}") == "running 1", "it was started again")
    assert apus.inspect("again", "{{.State.Pid}}") != pid and ControlFiles(identifier).number("pids.max") == 33


def test_A12_a_restart_policy_does_not_go_with_rm(cli, image):
    cli("run", "-d", "--rm", "--name", "brief", image, "sleep", "3600").ok()
    files = ControlFiles(cli.inspect("brief", "{{.Id}}"))
    before = files.text("memory.max", "memory.limit_in_bytes")
    result = cli("update", "-m", "64m", "--memory-swap", "64m", "--restart", "always", "brief")
    assert result.code == 1 and "Restart policy cannot be updated because AutoRemove is enabled for the container" in result.err
    assert f"Cannot update container {cli.inspect('brief', '{{.Id}}')}: Conflicting options: " in result.err
    # What is refused in part is refused as a whole.
    assert cli.inspect("brief", "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.Memory}}") == "no 0"
    assert files.text("memory.max", "memory.limit_in_bytes") == before
    assert cli("update", "--restart", "no", "brief").line() == "brief"


def test_A12_of_updates_at_the_same_time_none_undoes_another(own_daemon, apus, image):
    """Each client changes one limit, many times; in the end kernel, bundle and document say what each of them said last."""
    identifier = apus("run", "-d", "--name", "wanted", image, "sleep", "3600").line()
    rounds = 12
    changes = {
        "memory": lambda number: {"Memory": (64 + number) << 20, "MemorySwap": (64 + number) << 20},
        "pids": lambda number: {"PidsLimit": 50 + number},
        "processors": lambda number: {"NanoCpus": (number + 1) * 50_000_000},
        "shares": lambda number: {"CpuShares": 200 + number},
    }

    def client(change):
        return [engine_http.api(own_daemon, "POST", "/containers/wanted/update", change(number))[0] for number in range(1, rounds + 1)]

    with concurrent.futures.ThreadPoolExecutor(len(changes)) as pool:
        assert [set(answers) for answers in pool.map(client, changes.values())] == [{200}] * len(changes)
    document = engine_http.api(own_daemon, "GET", "/containers/wanted/json", expect=200)[1]["HostConfig"]
    last = {}
    for change in changes.values():
        last.update(change(rounds))
    assert {name: document[name] for name in last} == last
    files = ControlFiles(identifier)
    assert files.number("memory.max", "memory.limit_in_bytes") == last["Memory"] and files.number("pids.max") == last["PidsLimit"]
    assert files.number("cpu.shares") == last["CpuShares"] if not files.is_unified else files.number("cpu.weight") < 100
    with open(f"{own_daemon.run}/bundles/{identifier}/config.json", encoding="utf-8") as file:
        limits = json.load(file)["linux"]["resources"]
    assert (limits["memory"]["limit"], limits["pids"]["limit"], limits["cpu"]["shares"]) == (last["Memory"], last["PidsLimit"], last["CpuShares"])
    assert limits["cpu"]["quota"] * 10 == limits["cpu"]["period"] * (rounds + 1) / 2


def test_D22_a_stream_that_is_named_without_a_value_is_none(own_daemon, quiet):
    connection = engine_http.Connection(own_daemon.socket, timeout=30)
    connection.request("GET", f"/containers/{quiet}/stats?stream=")
    # One document, and its end.
    assert json.loads(connection.getresponse().read())["id"] == quiet
    connection.close()
