"""The shim with one container: its life, its end, its refusals. Every test runs over two runtimes, which tries the
process wall as well."""
import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from processes import read_line
from shim_fixtures import keeper_of, shim, shims  # noqa: F401
from shim_client import (ALREADY_EXISTS, CGROUPS, FAILED_PRECONDITION, NOT_FOUND, SHIM, SUPERVISION, TASK, UNIMPLEMENTED, Connection,
                         Refused, alive, log_text, make_bundle, message, parse, wait_until)

V1 = os.path.isdir("/sys/fs/cgroup/memory")


def test_the_shim_is_fully_static():
    assert "statically linked" in subprocess.run(["file", "-L", SHIM], capture_output=True, text=True).stdout


def test_start_prints_the_address_and_nothing_else_and_returns(shim):
    shim.make_bundle("true")
    shim.begin()
    assert os.stat(shim.directory).st_mode & 0o7777 == 0o700
    assert os.stat(shim.directory / "socket").st_mode & 0o7777 == 0o600
    ours = set(map(int, (shim.directory / "pid").read_text().split()))
    assert {shim.pid, int(Path(f"/proc/{shim.pid}/stat").read_text().rpartition(")")[2].split()[19])} == ours
    assert parse(message()) == {} and shim.task("Connect")[1] == shim.pid


def test_a_second_start_for_a_living_shim_is_refused_and_harms_nothing(shim):
    shim.make_bundle("true")
    shim.begin()
    assert shim.command("start").returncode != 0
    assert shim.task("Connect")[1] == shim.pid


def test_a_shim_that_was_killed_leaves_its_place_to_the_next(shim):
    shim.make_bundle("true")
    shim.begin()
    os.kill(shim.pid, signal.SIGKILL)
    wait_until(lambda: not alive(shim.pid), "the shim to end")
    shim.begin()
    assert shim.task("Connect")[1] == shim.pid


def test_attack_B09_a_socket_opened_to_others_still_serves_its_own_user_only(shim):
    shim.make_bundle("true")
    shim.begin()
    for path in (shim.folder, shim.directory.parent, shim.directory, shim.directory / "socket"):
        path.chmod(0o777)
    script = ("import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.settimeout(5)\n"
              "s.connect(sys.argv[1])\ntry: print(len(s.recv(1)))\nexcept ConnectionResetError: print(0)")
    done = subprocess.run(["python3", "-c", script, shim.directory / "socket"], capture_output=True, text=True, timeout=20)
    assert done.stdout == "0\n", done.stderr
    assert shim.task("Connect")[1] == shim.pid


def test_a_container_runs_and_its_exit_is_recorded_before_it_is_told(shim):
    shim.run("sh", "-c", "echo out; echo err >&2; exit 42")
    exit = shim.wait()
    record = json.loads(shim.exit_record.read_text())
    assert exit[2] == record["exitCode"] == 42 and record["signal"] == 0 and not record["oomKilled"]
    assert record["version"] == 1 and record["id"] == shim.id and record["pid"] == exit[1]
    assert record["exitedAtUnixNanoseconds"] >= record["startedAtUnixNanoseconds"] > 0
    assert log_text(shim.log) == b"out\n" and log_text(shim.log, stream=2) == b"err\n"
    assert shim.wait()[2] == 42, "the answer stays the same afterwards"
    assert shim.task("Wait")[1] == 42
    assert shim.task("State")[4] == 3
    assert shim.delete()[2] == 42
    shim.shut_down()
    # The keeper goes when it keeps nothing more.
    wait_until(lambda: not list(shim.folder.glob("shims/*")), "the directory of shims to be empty")


def test_the_runtime_has_left_once_the_container_runs(shim):
    shim.run("sleep", "60")
    # The first shim of a directory begins the keeper of them all.
    keeper_of(shim)
    children = [child for child in Path(f"/proc/{shim.pid}/task/{shim.pid}/children").read_text().split()
                if Path(f"/proc/{child}/comm").read_text() != "apus-keeper\n"]
    assert children == [str(shim.task("State")[3])], "only the payload is below the shim"


def test_kill_reaches_the_payload_and_the_exit_names_the_signal(shim):
    shim.run("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do usleep 1000; done")
    wait_until(lambda: log_text(shim.log) == b"ready\n", "the trap")
    shim.task("Kill", f3=signal.SIGTERM)
    assert shim.wait()[2] == 7


def test_sigkill_is_exit_137(shim):
    shim.run("sleep", "60")
    shim.task("Kill", f3=signal.SIGKILL, f4=True)
    exit = shim.wait()
    assert exit[2] == 137 and exit[3] == 9 and 5 not in exit
    with pytest.raises(Refused) as refused:
        shim.task("Kill", f3=signal.SIGTERM)
    assert refused.value.code == NOT_FOUND and "already finished" in refused.value.text


def test_a_container_over_its_memory_is_oom_killed_and_says_so(shim):
    shim.make_bundle("sh", "-c", "tail -c 300000000 /dev/zero", memory=16 << 20)
    shim.begin()
    shim.create()
    events = shim.subscribe()
    shim.start()
    exit = shim.wait()
    assert exit[5] == 1, "the OOM flag"
    assert json.loads(shim.exit_record.read_text())["oomKilled"] is True
    topics = events.topics("exit")
    assert topics.index("/tasks/start") < topics.index("/tasks/oom") < topics.index("/tasks/exit")


def test_a_process_that_is_killed_before_the_start_is_answered_is_told_after_it(shim):
    shim.make_bundle("sh", "-c", "tail -c 300000000 /dev/zero", memory=16 << 20)
    path = shim.bundle / "config.json"
    config = json.loads(path.read_text())
    config["hooks"] = {"poststart": [{"path": "/bin/sleep", "args": ["sleep", "1"]}]}
    path.write_text(json.dumps(config))
    shim.begin()
    shim.create()
    events = shim.subscribe()
    shim.start()
    assert shim.wait()[5] == 1
    assert [topic for topic in events.topics("exit") if topic in ("/tasks/start", "/tasks/oom", "/tasks/exit")] == [
        "/tasks/start", "/tasks/oom", "/tasks/exit"]


def test_each_process_that_the_oom_killer_ends_is_an_event_though_the_first_one_lives_on(shim):
    shim.make_bundle("sh", "-c", "for n in 1 2 3; do tail -c 300000000 /dev/zero; done; exit 6", memory=16 << 20)
    shim.begin()
    shim.create()
    events = shim.subscribe()
    shim.start()
    exit = shim.wait()
    assert (exit[2], exit[5]) == (6, 1)
    assert events.topics("exit").count("/tasks/oom") == 3


def limit_by_files_of_v2(shim, **files):
    path = shim.bundle / "config.json"
    config = json.loads(path.read_text())
    config["linux"]["resources"]["unified"] = {name.replace("_", ".", 1).replace("_", "."): value for name, value in files.items()}
    path.write_text(json.dumps(config))


def counted(shim):
    return dict(line.split() for line in Path(f"/sys/fs/cgroup/{CGROUPS}-{shim.id}/memory.events").read_text().splitlines())


@pytest.mark.skipif(V1, reason="cgroup v1 holds up nobody")
def test_S08_what_is_held_up_for_its_memory_is_not_killed_and_can_be(shim):
    shim.make_bundle("sh", "-c", "tail -c 100000000 /dev/zero; echo never; sleep 60", memory=512 << 20)
    limit_by_files_of_v2(shim, memory_high=str(8 << 20))
    shim.begin()
    shim.create()
    events = shim.subscribe()
    shim.start()
    wait_until(lambda: int(counted(shim)["high"]) > 0, "it is held up", seconds=120)
    assert shim.task("State")[4] == 2 and "never" not in log_text(shim.log).decode()
    shim.task("Kill", f3=signal.SIGKILL, f4=True)
    exit = shim.wait()
    assert exit[2] == 137 and 5 not in exit
    assert "/tasks/oom" not in events.topics("exit") and counted(shim)["oom_kill"] == "0"


@pytest.mark.skipif(V1, reason="cgroup v1 kills one by one")
def test_S08_of_a_group_that_is_killed_together_each_kill_is_one_event(shim):
    shim.make_bundle("sh", "-c", "sleep 600 & sleep 600 & tail -c 300000000 /dev/zero; echo never", memory=16 << 20)
    limit_by_files_of_v2(shim, memory_oom_group="1")
    shim.begin()
    shim.create()
    events = shim.subscribe()
    shim.start()
    exit = shim.wait()
    assert (exit[2], exit[5]) == (137, 1) and log_text(shim.log) == b""
    assert events.topics("exit").count("/tasks/oom") == int(counted(shim)["oom_kill"]) >= 3


def test_events_come_in_the_order_of_the_life(shim):
    shim.make_bundle("sleep", "60")
    shim.begin()
    events = shim.subscribe()
    shim.create()
    shim.start()
    name, attachment = shim.exec("true")
    attachment.read_to_end()
    shim.task("Delete", f2=name)
    shim.task("Kill", f3=9)
    shim.wait()
    shim.delete()
    assert events.topics("delete") == [f"/tasks/{word}" for word in
                      ("create", "start", "exec-added", "exec-started", "exit", "exit", "delete")]


def test_pids_lists_the_processes_of_the_container(shim):
    shim.run("sh", "-c", "sleep 60 & sleep 60 & echo ready; wait")
    wait_until(lambda: log_text(shim.log) == b"ready\n", "the children")
    pids = {parse(info)[1] for info in shim.task("Pids")[-1]}
    assert len(pids) == 3 and shim.task("State")[3] in pids


def test_a_program_that_is_missing_is_the_runtimes_own_words_and_leaves_nothing(shim):
    shim.make_bundle("no-such-program")
    shim.begin()
    with pytest.raises(Refused) as refused:
        shim.create()
        shim.start()
    assert "no-such-program" in refused.value.text
    assert not Path(f"/sys/fs/cgroup/memory/{CGROUPS}-{shim.id}").exists() or shim.delete()
    leftover = [name for name in os.listdir(shim.directory) if name not in ("socket", "pid", "options", "stdout", "stderr", "logged")]
    assert leftover == []


def test_a_root_mount_of_the_request_is_mounted_and_unmounted(shim):
    make_bundle(shim.folder / "image", ["true"], False, "")
    shim.make_bundle("cat", "/etc/proof")
    for name in ("upper/etc", "work"):
        (shim.folder / name).mkdir(parents=True)
    (shim.folder / "upper/etc/proof").write_text("from the overlay\n")
    root = message(f1="overlay", f2="overlay", f4=[
        f"lowerdir={shim.folder}/image/rootfs", f"upperdir={shim.folder}/upper", f"workdir={shim.folder}/work"])
    shim.begin()
    shim.task("Create", f2=str(shim.bundle), f3=root, f10=shim.options())
    assert str(shim.bundle) in Path("/proc/self/mountinfo").read_text()
    shim.start()
    shim.wait()
    assert log_text(shim.log) == b"from the overlay\n"
    shim.delete()
    assert str(shim.bundle) not in Path("/proc/self/mountinfo").read_text()


def test_a_root_mount_that_fails_is_refused_with_its_reason_and_undone(shim):
    shim.make_bundle("true")
    first = message(f1="tmpfs", f2="tmpfs")
    second = message(f1="overlay", f2="overlay", f4=["lowerdir=/no/such/place"])
    shim.begin()
    with pytest.raises(Refused) as refused:
        shim.connection.call(TASK, "Create", message(f1=shim.id, f2=str(shim.bundle), f3=[first, second], f10=shim.options()))
    assert "overlay" in refused.value.text and "ENOENT" in refused.value.text
    assert str(shim.bundle) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("is_old", [False, True], ids=["layer by layer", "as before Linux 6.7"])
def test_a_root_of_more_layers_than_a_page_of_options_names_is_mounted(shim, is_old):
    shim.make_bundle("sh", "-c", "seq 1 60 | while read n; do cat /layer$n; done")
    (shim.bundle / "log").touch()
    layers = shim.folder / "snapshotter-with-a-name-as-long-as-containerds-own-of-its-overlays/snapshots"
    for number in range(1, 61):
        (layers / str(number) / "fs").mkdir(parents=True)
        (layers / str(number) / "fs" / f"layer{number}").write_text(f"of {number}\n")
    (shim.bundle / "rootfs").rename(layers / "0")
    (shim.bundle / "rootfs").mkdir()
    names = ":".join([str(layers / "0"), *(f"{layers}/{number}/fs" for number in range(1, 61))])
    assert len(names) > 4096
    shim.begin()
    root = message(f1="overlay", f2="overlay", f4=["ro", f"lowerdir={names}"])
    with refusing(shim, "fsconfig", "EINVAL") if is_old else contextlib.nullcontext():
        shim.task("Create", f2=str(shim.bundle), f3=[root], f10=shim.options())
    assert os.readlink(f"/proc/{shim.pid}/cwd") == "/"
    shim.start()
    shim.wait()
    assert log_text(shim.log) == b"".join(b"of %d\n" % number for number in range(1, 61))
    shim.delete()


@contextlib.contextmanager
def refusing(shim, call, error):
    """The kernel refuses the shim a call, as an older one would."""
    tracer = subprocess.Popen(["strace", "-qq", "-o", shim.folder / "trace", "-e", f"trace={call}", "-e", f"inject={call}:error={error}",
                               "-p", str(shim.pid)])
    try:
        wait_until(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{shim.pid}/status").read_text(), "the tracer")
        yield
        assert error in (shim.folder / "trace").read_text()
    finally:
        tracer.terminate()
        tracer.wait()


def test_execs_run_side_by_side_and_each_has_its_own_end(shim):
    shim.run("sleep", "60")
    begun = [shim.exec("sh", "-c", f"echo out{n}; echo err{n} >&2; exit {n}") for n in range(1, 9)]
    for n, (name, attachment) in enumerate(begun, start=1):
        assert attachment.read_to_end() == {3: f"out{n}\n".encode(), 4: f"err{n}\n".encode()}
        assert attachment.exit[2] == n == shim.wait(name)[2]
        assert shim.task("Delete", f2=name)[2] == n
    assert shim.task("State")[4] == 2, "the container runs on"


def test_an_exec_of_a_missing_program_or_directory_is_refused_with_its_reason(shim):
    shim.run("sleep", "60")
    with pytest.raises(Refused) as refused:
        shim.exec("no-such-program", attach=False)
    assert "no-such-program" in refused.value.text
    with pytest.raises(Refused):
        shim.exec("true", cwd="/no/such/place", attach=False)
    assert shim.task("State")[4] == 2


def test_ending_the_container_ends_its_execs(shim):
    shim.run("sleep", "60")
    name, attachment = shim.exec("sleep", "60")
    shim.task("Kill", f3=9)
    attachment.read_to_end()
    assert attachment.exit[2] == 137 == shim.wait(name)[2]


def test_requests_out_of_turn_name_the_state_that_was_found(shim):
    shim.make_bundle("sleep", "60")
    shim.begin()
    with pytest.raises(Refused) as refused:
        shim.start()
    assert refused.value.code == NOT_FOUND
    shim.create()
    with pytest.raises(Refused) as refused:
        shim.create()
    assert refused.value.code == ALREADY_EXISTS
    shim.start()
    with pytest.raises(Refused) as refused:
        shim.start()
    assert refused.value.code == FAILED_PRECONDITION and "running" in refused.value.text
    with pytest.raises(Refused) as refused:
        shim.delete()
    assert refused.value.code == FAILED_PRECONDITION and "running" in refused.value.text
    with pytest.raises(Refused) as refused:
        shim.wait("nobody")
    assert refused.value.code == NOT_FOUND


def test_a_container_that_was_never_started_can_be_deleted(shim):
    shim.make_bundle("sleep", "60")
    shim.begin()
    pid = shim.create()
    shim.delete()
    assert not alive(pid)
    shim.shut_down()


def test_a_killed_client_changes_nothing_and_the_next_one_finds_everything(shim):
    shim.run("sh", "-c", "n=0; while [ $n -lt 6000 ]; do n=$((n+1)); echo line $n; [ $((n % 20)) = 0 ] && usleep 10000; done; "
             "while [ ! -e /tmp/go ]; do usleep 10000; done; exit 5")
    script = (f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom shim_client import Attachment\n"
              f"a = Attachment({str(shim.directory / 'socket')!r}, {shim.id!r})\nprint('attached', flush=True)\na.read_to_end()")
    client = subprocess.Popen(["python3", "-c", script], stdout=subprocess.PIPE)
    read_line(client)
    time.sleep(0.5)
    client.kill()
    client.wait()
    shim.connection.close()
    shim.connect()
    state = shim.task("State")
    assert state[4] == 2 and alive(state[3])
    (shim.bundle / "rootfs/tmp/go").touch()
    assert shim.wait()[2] == 5
    assert log_text(shim.log) == b"".join(b"line %d\n" % n for n in range(1, 6001)), "no gap, nothing twice"


def test_delete_command_after_a_killed_shim_takes_everything_away(shim):
    shim.run("sleep", "60")
    pid = shim.task("State")[3]
    os.kill(shim.pid, signal.SIGKILL)
    done = shim.command("delete")
    assert done.returncode == 0, done.stderr
    assert parse(done.stdout)[2] == 137 and 3 in parse(done.stdout)
    wait_until(lambda: not alive(pid), "the payload to end")
    assert not shim.directory.exists()
    assert not list(shim.runtime_root.glob("*"))


def test_a_payload_outlives_its_killed_shim_and_may_go_on_writing(shim):
    shim.run("sh", "-c", "echo ready; while [ ! -e /tmp/go ]; do usleep 10000; done; echo on && mkdir /tmp/done; sleep 60")
    wait_until(lambda: log_text(shim.log) == b"ready\n", "the payload")
    pid = shim.task("State")[3]
    os.kill(shim.pid, signal.SIGKILL)
    wait_until(lambda: not alive(shim.pid), "the shim to end")
    (shim.bundle / "rootfs/tmp/go").touch()
    wait_until((shim.bundle / "rootfs/tmp/done").exists, "the write without a reader to succeed")
    assert alive(pid)


def test_many_waits_and_their_clients_that_leave_are_forgotten(shim):
    shim.run("sleep", "60")
    # Once it is asked anew it has done what a start is followed by.
    shim.task("Connect")
    before = len(os.listdir(f"/proc/{shim.pid}/fd"))
    for _ in range(200):
        other = Connection(shim.directory / "socket")
        other.open(SUPERVISION, "WaitForExit", message(f1=shim.id))
        other.open(SUPERVISION, "Attach", message(f1=shim.id, f4=True), streaming=True)
        other.receive()
        other.close()
    wait_until(lambda: len(os.listdir(f"/proc/{shim.pid}/fd")) == before, "the descriptors to go")
    shim.task("Kill", f3=9)
    assert shim.wait()[2] == 137


def test_ten_idle_shims_take_at_most_a_megabyte_each(shims):
    begun = [shims(f"box{n}") for n in range(10)]
    for one in begun:
        one.run("sleep", "60")

    def pss(pid):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    # What they need no more they give back when they have been idle for a while.
    wait_until(lambda: max(pss(one.pid) for one in begun) <= 1024, "the shims to be small")
    print("PSS in kB:", [pss(one.pid) for one in begun])


def test_fault_D02_the_exit_is_on_disk_file_and_directory_before_anyone_is_told(shim):
    shim.run("sh", "-c", "while [ ! -e /tmp/go ]; do usleep 10000; done; exit 3")
    trace = shim.folder / "trace"
    tracer = subprocess.Popen(["strace", "-f", "-y", "-p", str(shim.pid), "-o", trace, "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,write"],
                              stderr=subprocess.PIPE, text=True)
    try:
        # It says that it is attached, to each thread; then the end may come.
        assert "attached" in read_line(tracer.stderr)
        call = shim.connection.open(SUPERVISION, "WaitForExit", message(f1=shim.id))
        subscriber = shim.subscribe()
        (shim.bundle / "rootfs/tmp/go").touch()
        assert shim.connection.answer(call)[2] == 3 and subscriber.topics("exit")
    finally:
        tracer.terminate()
        tracer.communicate(timeout=20)
    lines = trace.read_text().splitlines()
    name, folder = shim.exit_record.name, str(shim.folder)

    def first(word, *parts):
        return next(number for number, line in enumerate(lines) if f" {word}" in line and all(part in line for part in parts))

    written, synced = first("write(", f"/.{name}."), first("fsync(", f"/.{name}.")
    renamed, directory_synced = first("rename", f'"{name}"'), first("fsync(", f"<{folder}>")
    # The first answer of all was to the subscriber's question whether it is heard.
    told = [number for number, line in enumerate(lines) if " write(" in line and "<socket:" in line][1:]
    assert written < synced < renamed < directory_synced < min(told), "\n".join(lines)


def test_P04_an_exec_that_a_killed_shim_was_beginning_ends_with_the_runtime_that_makes_it(shim):
    """The runtime has made the process and not told so yet."""
    real, gate = shim.runtime, shim.folder / "gate"
    os.mkfifo(gate)
    slow = shim.folder / "slow-runtime"
    slow.write_text(f'#!/bin/sh\ncase " $* " in *" exec "*) {real} "$@"; read -r _ < {gate};; *) exec {real} "$@";; esac\n')
    slow.chmod(0o755)
    shim.runtime = str(slow)
    shim.run("sleep", "1000")
    name = shim.note_exec("sleep", "4321")
    shim.connection.open(TASK, "Start", message(f1=shim.id, f2=name))
    wait_until(lambda: (shim.bundle / "rootfs").exists() and running("sleep 4321") and running("slow-runtime"), "the exec to be made")
    os.kill(shim.pid, signal.SIGKILL)
    wait_until(lambda: not alive(shim.pid), "the shim to end")
    done = shim.command("adopt")
    assert done.returncode == 0, done.stderr
    shim.connect()
    shim.pid = int((shim.directory / "pid").read_text().split()[0])
    wait_until(lambda: not running("sleep 4321") and not running("slow-runtime"), "both to end")
    with pytest.raises(Refused):
        shim.wait(name)
    assert not [entry for entry in os.listdir(shim.directory) if entry.startswith(("pid-", "process-", "log-"))]
    assert shim.supervise("Describe")[5]


def running(words):
    listed = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if words in line and not line.startswith("Z") and "ps -eo" not in line]
