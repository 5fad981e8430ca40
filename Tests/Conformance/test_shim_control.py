"""The shim with a container that runs: held, let go on, measured, limited."""
import json
from pathlib import Path

import pytest
from shim_fixtures import shim, shims  # noqa: F401
from shim_client import CGROUPS, FAILED_PRECONDITION, INVALID_ARGUMENT, Refused, alive, any_of, log_text, message, parse, wait_until

RUNNING, STOPPED, PAUSED = 2, 3, 4
RESOURCES = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
COUNTING = "n=0; while :; do n=$((n+1)); echo $n; usleep 10000; done"


def refusal(call, *arguments, **fields):
    with pytest.raises(Refused) as refused:
        call(*arguments, **fields)
    return refused.value


def lines(shim):
    shim.supervise("SynchronizeLog")
    return log_text(shim.log).count(b"\n")


def is_frozen(shim):
    """Whether the kernel says that none of the container's processes runs."""
    legacy, unified = (Path(f"/sys/fs/cgroup/{part}{CGROUPS}-{shim.id}") for part in ("freezer/", ""))
    if legacy.exists():
        return (legacy / "freezer.state").read_text() == "FROZEN\n"
    return "frozen 1" in (unified / "cgroup.events").read_text().splitlines()


def test_a_paused_container_stands_still_and_goes_on_where_it_was(shim):
    shim.run("sh", "-c", COUNTING)
    events = shim.subscribe()
    wait_until(lambda: lines(shim) > 5, "the counting")
    assert not is_frozen(shim)
    shim.task("Pause")
    assert shim.task("State")[4] == PAUSED and is_frozen(shim)
    shim.task("Resume")
    before = lines(shim)
    assert shim.task("State")[4] == RUNNING and not is_frozen(shim)
    wait_until(lambda: lines(shim) > before, "it to go on")
    # At once: it goes on.
    counted = log_text(shim.log).split()
    assert counted == [b"%d" % n for n in range(1, len(counted) + 1)]
    assert events.topics("resumed") == ["/tasks/paused", "/tasks/resumed"]


def test_pause_and_resume_out_of_turn_name_the_state(shim):
    shim.make_bundle("sleep", "60")
    shim.begin()
    shim.create()
    for method in ("Pause", "Resume"):
        refused = refusal(shim.task, method)
        assert refused.code == FAILED_PRECONDITION and "created" in refused.text
    shim.start()
    assert "not paused" in refusal(shim.task, "Resume").text
    shim.task("Pause")
    refused = refusal(shim.task, "Pause")
    assert refused.code == FAILED_PRECONDITION and "is paused" in refused.text
    refused = refusal(shim.note_exec, "true")
    assert refused.code == FAILED_PRECONDITION and "is paused" in refused.text
    shim.task("Resume")
    name, attachment = shim.exec("echo", "again")
    assert attachment.read_to_end()[3] == b"again\n"


@pytest.mark.parametrize("every", [False, True], ids=["the first process", "all processes"])
def test_sigkill_ends_a_paused_container(shim, every):
    shim.run("sleep", "60")
    shim.task("Pause")
    shim.task("Kill", f3=9, f4=every)
    assert shim.wait()[2] == 137
    assert shim.delete()[2] == 137


def test_another_signal_waits_until_a_paused_container_goes_on(shim):
    shim.run("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do usleep 1000; done")
    wait_until(lambda: log_text(shim.log) == b"ready\n", "the trap")
    shim.task("Pause")
    shim.task("Kill", f3=15)
    assert shim.task("State")[4] == PAUSED
    shim.task("Resume")
    assert shim.wait()[2] == 7


def test_a_paused_container_is_taken_away_by_the_delete_command(shim):
    shim.run("sleep", "60")
    pid = shim.task("State")[3]
    shim.task("Pause")
    done = shim.command("delete")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not alive(pid), "the payload to end")


# --- use and limits -------------------------------------------------------------------------------------------

def metrics(shim):
    packed = parse(shim.task("Stats")[1])
    return packed[1].decode(), parse(packed[2])


def test_statistics_are_those_of_the_containers_cgroup(shim):
    shim.make_bundle("sh", "-c", "head -c 8000000 /dev/zero >/tmp/file; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo ready; sleep 60; true",
                     memory=64 << 20)
    shim.begin()
    shim.create()
    shim.start()
    wait_until(lambda: lines(shim) == 1, "the work")

    def number_of_processes():
        kind, found = metrics(shim)
        return parse(found[1 if kind.endswith("v2.Metrics") else 2])[1]

    wait_until(lambda: number_of_processes() == 2, "sh and sleep are there")
    kind, found = metrics(shim)
    group = Path(f"/sys/fs/cgroup/memory/{CGROUPS}-{shim.id}")
    if group.exists():
        assert kind == "io.containerd.cgroups.v1.Metrics"
        usage = parse(parse(found[4])[33])
        assert usage[1] == 64 << 20 and abs(usage[2] - int((group / "memory.usage_in_bytes").read_text())) < 1 << 20
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        assert parse(found[4])[32] == int(stat["total_unevictable"]) and parse(found[4])[16] == int(stat["hierarchical_memory_limit"])
        total = parse(parse(found[3])[1])[1]
        assert 0 < total <= int(Path(str(group).replace("/memory/", "/cpuacct/", 1), "cpuacct.usage").read_text())
    else:
        assert kind == "io.containerd.cgroups.v2.Metrics"
        assert parse(found[4])[33] == 64 << 20 and parse(found[2])[1] > 0


def is_asleep(pid):
    """Whether it is sleep(1), and waits for its time to pass."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "(sleep) S " in fields


def flat(path):
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


def can_be_read(path):
    """Where pressure is not measured, its file is missing, or reading it is EOPNOTSUPP."""
    try:
        return bool(path.read_text())
    except OSError:
        return False


def test_statistics_tell_what_memory_ran_out_of_and_how_long_tasks_waited(shim):
    """The limit is met by what can be given back, and by what cannot; then a file says what the kernel counted."""
    shim.make_bundle("sh", "-c", "dd if=/dev/zero of=/file bs=65536 count=400; tail -c 100000000 /dev/zero; echo ready; sleep 60; true", memory=16 << 20)
    shim.begin()
    shim.create()
    shim.start()
    wait_until(lambda: lines(shim) == 1, "the work", seconds=120)
    # What it takes to begin it is counted as well.
    wait_until(lambda: any(is_asleep(parse(info)[1]) for info in shim.task("Pids")[-1]), "the last one to sleep")
    kind, found = metrics(shim)
    legacy, unified = (Path(f"/sys/fs/cgroup/{part}{CGROUPS}-{shim.id}") for part in ("memory/", ""))
    if kind.endswith("v1.Metrics"):
        usage, control = parse(parse(found[4])[33]), flat(legacy / "memory.oom_control")
        assert usage[3] == int((legacy / "memory.max_usage_in_bytes").read_text()) and usage[4] == int((legacy / "memory.failcnt").read_text())
        assert parse(found[9])[3] == control["oom_kill"] >= 1
        if (legacy / "memory.memsw.usage_in_bytes").exists():
            swap = parse(parse(found[4])[34])
            assert swap[1] == 16 << 20 and swap[3] == int((legacy / "memory.memsw.max_usage_in_bytes").read_text())
            assert swap[4] == int((legacy / "memory.memsw.failcnt").read_text())
    else:
        events, counted = parse(found[8]), flat(unified / "memory.events")
        # Each of them, and what follows, as far as the kernel has it.
        names = ("low", "high", "max", "oom", "oom_kill", "oom_group_kill")
        assert [events[field] for field in range(1, 7)] == [counted.get(name, 0) for name in names]
        assert events[3] > 0 and events[5] >= 1
        memory = parse(found[4])
        assert memory[35] == 0
        if (unified / "memory.peak").exists():
            assert memory[36] == int((unified / "memory.peak").read_text()) > 15 << 20
        if not can_be_read(unified / "memory.pressure"):
            return
        for part, field, resource in ((2, 7, "cpu"), (4, 38, "memory"), (6, 2, "io")):
            stall, file = parse(parse(found[part])[field]), (unified / f"{resource}.pressure").read_text().splitlines()
            for place, line in zip((1, 2), file):
                # It goes on meanwhile.
                assert 0 <= parse(stall[place])[4] <= int(line.rpartition("total=")[2]) and set(parse(stall[place])) <= {1, 2, 3, 4, -1, -2, -3, -4}
        assert parse(parse(parse(found[4])[38])[1])[4] > 0


def test_statistics_of_what_has_ended_are_told_until_it_is_deleted(shim):
    shim.run("true")
    shim.wait()
    _, found = metrics(shim)
    assert found


def test_limits_can_be_changed_while_the_container_runs(shim):
    shim.make_bundle("sleep", "60", memory=64 << 20)
    shim.begin()
    shim.create()
    shim.start()
    resources = json.dumps({"memory": {"limit": 32 << 20, "swap": 32 << 20}}).encode()
    shim.task("Update", f2=any_of(RESOURCES, resources))
    kind, found = metrics(shim)
    assert (parse(parse(found[4])[33])[1] if kind.endswith("v1.Metrics") else parse(found[4])[33]) == 32 << 20
    assert not list(shim.directory.glob("resources*"))


def test_limits_of_an_unknown_kind_are_an_invalid_argument(shim):
    shim.run("sleep", "60")
    assert refusal(shim.task, "Update").code == INVALID_ARGUMENT
    assert refusal(shim.task, "Update", f2=any_of("windows.Resources", b"{}")).code == INVALID_ARGUMENT
    assert refusal(shim.task, "Update", f2=any_of(RESOURCES, b"{nonsense")).text
    assert shim.task("State")[4] == RUNNING


def test_changes_are_numbered_beyond_those_of_former_runs_whatever_the_clock_says(shim):
    """A clock that was set back between two runs would number those of the second one before those that the daemon knows."""
    last = 1 << 62
    shim.run("true", options={"changes_after": last})
    shim.wait()
    wait_until(lambda: [kind for _, kind in shim.changes()] == [1, 2], "its end")
    assert [revision for revision, _ in shim.changes()] == [last + 1, last + 2]
