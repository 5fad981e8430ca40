"""Row P04 and what belongs to it: a shim killed at any moment, with the daemon or without, and the shim that takes its place."""

import ctypes
import hashlib
import json
import os
import pty
import select
import signal
import subprocess
import threading
import time
import tty

import pytest
from conftest import CLIENTS, Client, numbered_lines
from engine_http import api
from processes import PATIENCE, UNTIL_GO, alive, go, held_in_one_of_several_rounds, read_line, read_rest, wait_until, write_whole

import leaks


@pytest.fixture(params=sorted(CLIENTS))
def client(request, daemon, workspace):
    return Client(request.param, CLIENTS[request.param], daemon.host, workspace)


def shim_of(daemon, client, name):
    """The process that looks after a container, as it wrote itself down."""
    identity = client.inspect(name, "{{.Id}}")
    with open(f"{daemon.run}/shims/{identity}/pid", encoding="utf-8") as file:
        return int(file.read().split()[0])


def kill_shim(daemon, client, name):
    """SIGKILL; returns when another shim has the container, and how long that took."""
    identity = client.inspect(name, "{{.Id}}")
    former = shim_of(daemon, client, name)
    began = time.monotonic()
    os.kill(former, signal.SIGKILL)
    wait_until(lambda: another_serves(daemon, identity, former), "another shim has the container", seconds=30)
    return time.monotonic() - began


def another_serves(daemon, identity, former):
    try:
        with open(f"{daemon.run}/shims/{identity}/pid", encoding="utf-8") as file:
            return int(file.read().split()[0]) != former and os.path.exists(f"{daemon.run}/shims/{identity}/socket")
    except (FileNotFoundError, IndexError):
        return False


def numbers(count):
    return [str(number) for number in range(1, count + 1)]


def test_P04_a_killed_shim_takes_neither_the_process_nor_a_line_along(own_daemon, client, image):
    """Killed three times while lines are written; afterwards every verb works, and nothing is left. Nor is a line of the log's copy missing or there twice."""
    client("run", "-d", "--name", "count", "--log-opt", "json-copy=true", image, "sh", "-c", numbered_lines(20_000, "sleep 60")).ok()
    before = client.inspect("count", "{{.State.Pid}} {{.State.StartedAt}}")
    for _ in range(3):
        time.sleep(0.4)
        assert kill_shim(own_daemon, client, "count") < 5 * PATIENCE
    assert client.inspect("count", "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}") == f"{before} running"
    assert client("exec", "count", "echo", "in").line() == "in"
    wait_until(lambda: client("logs", "--tail", "1", "count").line() == "20000", "all lines are written", seconds=60)
    assert client("logs", "count").ok().split() == numbers(20_000)
    with open(client.inspect("count", "{{.LogPath}}"), encoding="utf-8") as file:
        assert [json.loads(line)["log"].strip() for line in file] == numbers(20_000)
    assert client("stop", "-t", "1", "count").line() == "count"
    assert client.inspect("count", "{{.State.ExitCode}} {{.State.Error}}") == "137"


def test_P04_the_daemon_has_another_shim_within_a_second(own_daemon, apus, image):
    apus("run", "-d", "--name", "watched", image, "sleep", "60").ok()
    held_in_one_of_several_rounds(lambda: kill_shim(own_daemon, apus, "watched"), 1, "another shim has the container")
    assert apus.inspect("watched", "{{.State.Running}}") == "true"


def test_P04_lines_without_an_end_and_both_streams_are_whole(own_daemon, apus, image):
    """What the shim holds of a line that has not ended is carried over, on both streams."""
    script = "printf begun; printf wrong >&2; read -r _; printf ' and ended\\n'; printf ' too\\n' >&2; exit 4"
    apus("run", "-di", "--name", "halves", image, "sh", "-c", script).ok()
    time.sleep(0.3)
    kill_shim(own_daemon, apus, "halves")
    attached = apus.start("attach", "halves", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    attached.stdin.write(b"go\n")
    attached.stdin.close()
    assert apus("wait", "halves").line() == "4"
    attached.wait(20)
    result = apus("logs", "halves")
    assert (result.out, result.err) == ("begun and ended\n", "wrong too\n")


def test_P04_output_of_a_gap_and_the_end_in_it_are_known(own_daemon, apus, image):
    """The daemon is stopped, so that the process writes and ends while no shim is there at all."""
    apus("run", "-d", "--name", "gap", image, "sh", "-c", f"{UNTIL_GO}; echo last; echo words >&2; exit 9").ok()
    pid = apus.inspect("gap", "{{.State.Pid}}")
    own_daemon.process.send_signal(signal.SIGSTOP)
    try:
        shim = shim_of_directory(own_daemon)
        os.kill(shim, signal.SIGKILL)
        wait_until(lambda: not alive(shim), "the shim has ended")
        go(pid)
        wait_until(lambda: not alive(pid), "the process ends")
    finally:
        own_daemon.process.send_signal(signal.SIGCONT)
    assert apus("wait", "gap").line() == "9"
    result = apus("logs", "gap")
    assert (result.out, result.err) == ("last\n", "words\n")
    assert apus.inspect("gap", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}") == "exited 9"


def shim_of_directory(daemon):
    """The only shim's process."""
    (identity,) = [name for name in os.listdir(f"{daemon.run}/shims") if len(name) == 64]
    with open(f"{daemon.run}/shims/{identity}/pid", encoding="utf-8") as file:
        return int(file.read().split()[0])


def test_P04_a_terminal_stays_and_its_client_with_it(own_daemon, client, image):
    """No SIGHUP: the shell lives, is typed to through the same client, and is resized."""
    master, slave = pty.openpty()
    shell = subprocess.Popen([client.path, "run", "-it", "--name", "shell", image, "sh"], env=client.environment, stdin=slave,
                             stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    os.write(master, b"echo fi''rst\n")
    read_until(master, b"first")
    # What it writes may be there before the daemon has heard that it runs.
    wait_until(lambda: client.inspect("shell", "{{.State.Running}}") == "true", "it is known to run")
    pid = client.inspect("shell", "{{.State.Pid}}")
    kill_shim(own_daemon, client, "shell")
    wait_until(lambda: typed(master, shell, b"echo sec''ond\n", b"second"), "the client is joined again")
    assert client.inspect("shell", "{{.State.Pid}} {{.State.Status}}") == f"{pid} running"
    api(own_daemon, "POST", "/containers/shell/resize?h=33&w=77", expect=200)
    os.write(master, b"stty size\n")
    read_until(master, b"33 77")
    os.write(master, b"exit 5\n")
    drain(master)
    assert shell.wait(20) == 5
    os.close(master)
    assert "first" in client("logs", "shell").ok() and "second" in client("logs", "shell").ok()


def typed(master, process, text, answer):
    assert process.poll() is None
    os.write(master, text)
    return answer in read_for(master, 0.5, answer)


def read_for(master, seconds, wanted):
    found, deadline = b"", time.monotonic() + seconds
    while wanted not in found and time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            found += os.read(master, 4096)
    return found


def read_until(master, wanted):
    found = read_for(master, 20, wanted)
    assert wanted in found, found


def drain(master):
    try:
        while select.select([master], [], [], 20)[0] and os.read(master, 4096):
            pass
    except OSError:
        pass


def test_P04_a_flood_on_a_terminal_loses_nothing(own_daemon, apus, image):
    apus("run", "-dt", "--name", "flood", image, "sh", "-c", numbered_lines(8_000, "sleep 60")).ok()
    for _ in range(3):
        time.sleep(0.3)
        kill_shim(own_daemon, apus, "flood")
    wait_until(lambda: apus("logs", "--tail", "1", "flood").line() == "8000", "all lines are written", seconds=60)
    assert apus("logs", "flood").ok().split() == numbers(8_000)


def test_P04_a_flood_of_input_is_whole_across_killed_shims(own_daemon, client, image, tmp_path):
    """Into a process that reads it at once: killed wherever the shim is with it, four times."""
    numbered = "".join(f"{number}\n" for number in range(1, 1_000_001)).encode()
    with open(tmp_path / "out", "wb") as out:
        cat = client.start("run", "-i", "--name", "cat", image, "cat", stdin=subprocess.PIPE, stdout=out)
        parts = [numbered[place:place + len(numbered) // 5 + 1] for place in range(0, len(numbered), len(numbered) // 5 + 1)]
        for part in parts[:-1]:
            write_whole(cat.stdin, part)
            wait_until(lambda: client("ps", "-q", "-f", "name=cat").line(), "it runs")
            kill_shim(own_daemon, client, "cat")
        write_whole(cat.stdin, parts[-1])
        cat.stdin.close()
        assert cat.wait(120) == 0
    assert (tmp_path / "out").read_bytes() == numbered


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_P04_input_that_waits_for_the_process_outlives_shims(own_daemon, client, image, terminal):
    """More than a pipe or a terminal takes, and more than the shim has: some of it lies everywhere on the way. Nor do two shims hand it on twice."""
    text = bytes(33 + number * 31 % 90 for number in range(300_000))
    waits = "stty raw -echo 2>/dev/null; touch /ready; while [ ! -e /go ]; do usleep 10000; done; head -c 300000 | sha256sum"
    master, slave = pty.openpty() if terminal else os.pipe()[::-1]
    if terminal:
        tty.setraw(slave)
    reader = client.start("run", "-it" if terminal else "-i", "--name", "late", image, "sh", "-c", waits, stdin=slave, stdout=subprocess.PIPE,
                          start_new_session=True)
    os.close(slave)
    wait_until(lambda: client("exec", "late", "ls", "/ready").code == 0, "it is about to read")
    sender = threading.Thread(daemon=True, target=write_all, args=(master, text))
    sender.start()
    for _ in range(3):
        kill_shim(own_daemon, client, "late")
    client("exec", "late", "touch", "/go").ok()
    sender.join(60)
    assert hashlib.sha256(text).hexdigest().encode() in reader.communicate(timeout=60)[0]
    os.close(master)


def write_all(descriptor, text):
    while text:
        text = text[os.write(descriptor, text):]


def test_P04_input_stays_open_and_ends_when_it_is_closed(own_daemon, apus, image):
    apus("run", "-di", "--name", "cat", image, "sh", "-c", "cat; exit 3").ok()
    kill_shim(own_daemon, apus, "cat")
    assert apus.inspect("cat", "{{.State.Status}}") == "running"
    attached = apus.start("attach", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    attached.stdin.write(b"still\n")
    attached.stdin.flush()
    assert read_line(attached) == b"still\n"
    kill_shim(own_daemon, apus, "cat")

    def answers():
        attached.stdin.write(b"again\n")
        attached.stdin.flush()
        return select.select([attached.stdout], [], [], 0.5)[0] and read_line(attached) == b"again\n"

    wait_until(answers, "the attached client is joined again")
    attached.kill()
    attached.wait()
    apus("kill", "cat").ok()
    assert apus("run", "-i", "--rm", image, "cat", stdin="through\n").out == "through\n"


def test_P04_execs_live_on_and_their_clients_get_an_answer(own_daemon, client, image):
    client("run", "-d", "--name", "host", image, "sleep", "100").ok()
    script = "echo one; while [ ! -e /go ]; do usleep 20000; done; echo two; exit 7"
    running = client.start("exec", "host", "sh", "-c", script, stdout=subprocess.PIPE)
    assert read_line(running) == b"one\n"
    kill_shim(own_daemon, client, "host")
    client("exec", "host", "touch", "/go").ok()
    assert running.wait(20) == 7
    assert read_rest(running) == b"two\n"
    detached = api(own_daemon, "POST", "/containers/host/exec", {"Cmd": ["sleep", "99"]}, expect=201)[1]["Id"]
    api(own_daemon, "POST", f"/exec/{detached}/start", {"Detach": True}, expect=200)
    kill_shim(own_daemon, client, "host")
    document = api(own_daemon, "GET", f"/exec/{detached}/json", expect=200)[1]
    assert document["Running"]
    os.kill(document["Pid"], signal.SIGTERM)
    wait_until(lambda: api(own_daemon, "GET", f"/exec/{detached}/json")[1]["ExitCode"] == 143, "the exec's end is known")


def kill_shim_while_it_runs(daemon, client, name, process, times):
    for _ in range(times):
        time.sleep(0.3)
        assert process.poll() is None
        kill_shim(daemon, client, name)


@pytest.mark.parametrize("kind", ["pipes", "terminal", "exec"])
def test_P04_an_attached_client_misses_nothing_and_gets_nothing_twice(own_daemon, apus, image, tmp_path, kind):
    script = numbered_lines(8_000, "exit 7")
    if kind == "exec":
        apus("run", "-d", "--name", "watched", image, "sleep", "100").ok()
    flags = ("-t",) if kind == "terminal" else ()
    words = ("exec", "watched", "sh", "-c", script) if kind == "exec" else ("run", "--name", "watched", *flags, image, "sh", "-c", script)
    with open(tmp_path / "out", "wb+") as out:
        client = apus.start(*words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
        wait_until(lambda: (tmp_path / "out").stat().st_size, "it writes", seconds=60)
        kill_shim_while_it_runs(own_daemon, apus, "watched", client, times=3)
        assert client.wait(60) == 7
    assert (tmp_path / "out").read_text().split() == numbers(8_000)


@pytest.mark.parametrize("stall", [0, 4], ids=["slowly", "not at all for a while"])
def test_P04_a_client_that_reads_slowly_is_told_what_a_killed_shim_owed_it(own_daemon, apus, image, stall):
    """What it has not read lies in every buffer on the way."""
    script = "while [ ! -e /go ]; do echo on; usleep 10000; done; seq 1 200000; while [ ! -e /end ]; do usleep 10000; done; exit 7"
    apus("run", "-d", "--name", "watched", image, "sh", "-c", script).ok()
    client = apus.start("attach", "--no-stdin", "watched", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    assert read_line(client) == b"on\n"
    read, reads = [], threading.Event()

    def read_slowly():
        reads.wait()
        while piece := os.read(client.stdout.fileno(), 32_768):
            read.append(piece)
            time.sleep(0.05)

    reader = threading.Thread(target=read_slowly, daemon=True)
    reader.start()
    try:
        if not stall:
            reads.set()
        apus("exec", "watched", "touch", "/go").ok()
        for _ in range(3):
            time.sleep(0.3)
            kill_shim(own_daemon, apus, "watched")
        time.sleep(stall)
        reads.set()
        apus("exec", "watched", "touch", "/end").ok()
        assert client.wait(60) == 7
    finally:
        reads.set()
        client.kill()
    reader.join()
    for text in (b"".join(read).decode(), apus("logs", "watched").ok()):
        assert [line for line in text.split() if line != "on"] == numbers(200_000)


def test_P04_input_that_is_written_once_the_shim_is_dead_comes_whole(own_daemon, apus, image):
    """The daemon is stopped meanwhile, so that it may hear of the input before it hears of the death."""
    client = apus.start("run", "-i", "--name", "cat", image, "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    try:
        for death in range(5):
            client.stdin.write(b"begun\n")
            assert read_line(client) == b"begun\n"
            wait_until(lambda: apus.inspect("cat", "{{.State.Running}}") == "true", "it is known to run")
            lines = [str(death * 10_000 + number) for number in range(5_000)]
            own_daemon.process.send_signal(signal.SIGSTOP)
            try:
                kill_and_wait(shim_of_directory(own_daemon))
                write_whole(client.stdin, "".join(f"{line}\n" for line in [*lines, "end"]).encode())
            finally:
                own_daemon.process.send_signal(signal.SIGCONT)
            assert read_for(client.stdout.fileno(), 20, b"end\n").decode().split() == [*lines, "end"]
    finally:
        client.kill()
        client.wait()


def kill_and_wait(pid):
    """SIGKILL; returns when nothing of the process is open any more."""
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        assert select.select([process], [], [], 20)[0]
    finally:
        os.close(process)


def test_P04_an_input_that_ends_while_no_shim_is_there_ends(own_daemon, apus, image):
    client = apus.start("run", "-i", "--name", "cat", image, "sh", "-c", "cat; echo end; exit 3", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    client.stdin.write(b"begun\n")
    assert read_line(client) == b"begun\n"
    wait_until(lambda: apus.inspect("cat", "{{.State.Running}}") == "true", "it is known to run")
    os.kill(shim_of(own_daemon, apus, "cat"), signal.SIGKILL)
    client.stdin.close()
    try:
        wait_until(lambda: client.poll() is not None, "the process has seen the end of its input", seconds=20)
    finally:
        client.kill()
    assert (read_rest(client), client.wait(20)) == (b"end\n", 3)


def test_P04_restart_policies_go_on(own_daemon, apus, image):
    apus("run", "-d", "--name", "again", "--restart", "on-failure:2", image, "sh", "-c", "sleep 0.5; echo run; exit 3").ok()
    kill_shim(own_daemon, apus, "again")
    assert apus("wait", "again").line() == "3"
    wait_until(lambda: apus.inspect("again", "{{.State.Status}} {{.RestartCount}}") == "exited 2", "it was started again twice")
    assert apus("logs", "again").ok() == "run\n" * 3
    assert apus("run", "-d", "--name", "waits", "--restart", "always", image, "sh", "-c", "exit 1").code == 0
    wait_until(lambda: int(apus.inspect("waits", "{{.RestartCount}}")) >= 3, "it waits for its restarts")
    kill_shim(own_daemon, apus, "waits")
    count = int(apus.inspect("waits", "{{.RestartCount}}"))
    wait_until(lambda: int(apus.inspect("waits", "{{.RestartCount}}")) > count, "the next shim starts it again")
    apus("stop", "-t", "0", "waits").ok()
    assert apus.inspect("waits", "{{.State.Status}}") == "exited"


def test_P04_a_container_that_goes_away_with_its_process_does_so(own_daemon, apus, image):
    apus("run", "-d", "--rm", "--name", "brief", image, "sh", "-c", "while [ ! -e /go ]; do usleep 20000; done").ok()
    kill_shim(own_daemon, apus, "brief")
    apus("exec", "brief", "touch", "/go").ok()
    wait_until(lambda: "brief" not in apus("ps", "-a", "--format", "{{.Names}}").out, "--rm is honoured")


def test_P04_a_paused_container_stays_paused(own_daemon, apus, image):
    apus("run", "-d", "--name", "held", image, "sleep", "60").ok()
    apus("pause", "held").ok()
    kill_shim(own_daemon, apus, "held")
    assert apus.inspect("held", "{{.State.Status}}") == "paused"
    apus("unpause", "held").ok()
    assert apus("exec", "held", "echo", "on").line() == "on"
    apus("kill", "held").ok()


def test_P04_health_checks_go_on(own_daemon, apus, image):
    apus("run", "-d", "--name", "well", "--health-cmd", "test ! -e /ill", "--health-interval", "200ms", "--health-retries", "2",
         image, "sleep", "60").ok()
    wait_until(lambda: apus.inspect("well", "{{.State.Health.Status}}") == "healthy", "it is well")
    kill_shim(own_daemon, apus, "well")
    assert apus.inspect("well", "{{.State.Health.Status}}") == "healthy"
    apus("exec", "well", "touch", "/ill").ok()
    wait_until(lambda: apus.inspect("well", "{{.State.Health.Status}}") == "unhealthy", "the next shim asks on")


def test_P04_requests_under_way_do_not_notice(own_daemon, apus, image):
    """A stop that waits for the process when the shim is killed."""
    apus("run", "-d", "--name", "slow", image, "sh", "-c", f"trap 'touch /told; {UNTIL_GO}; exit 8' TERM; echo up; while :; do usleep 50000; done").ok()
    wait_until(lambda: "up" in apus("logs", "slow").out, "it will heed the signal")
    pid = apus.inspect("slow", "{{.State.Pid}}")
    following = apus.start("logs", "-f", "slow", stdout=subprocess.DEVNULL)
    waiting = apus.start("wait", "slow", stdout=subprocess.PIPE)
    stopping = apus.start("stop", "-t", "60", "slow", stdout=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(f"/proc/{pid}/root/told"), "the process was told to end")
    kill_shim(own_daemon, apus, "slow")
    assert stopping.poll() is None and waiting.poll() is None
    go(pid)
    assert stopping.wait(30) == 0 and following.wait(30) == 0
    assert waiting.communicate(timeout=30)[0].strip() == b"8"


REFUSED = """sleep 600 & trap '(for n in 1 2 3 4 5 6 7 8 9; do sleep 600 & done)' USR1; echo ready; while :; do wait; done"""


def limited_group(identity):
    """The cgroup that counts a container's processes."""
    (folder,) = [folder for folder in leaks.cgroups(identity) if os.path.exists(f"{folder}/pids.events")]
    return folder


def refusals(identity):
    """How many processes the kernel has refused a container. - Source: cgroup-v2.rst, "pids.events"."""
    with open(f"{limited_group(identity)}/pids.events", encoding="ascii") as file:
        return int(file.read().split()[1])


def sleepers(identity):
    """The processes of a container that sleep; a shell that is about to end is none."""
    with open(f"{limited_group(identity)}/cgroup.procs", encoding="ascii") as file:
        inside = set(file.read().split())
    return {pid for pid in inside if program(pid) == b"sleep"}


def settled(identity, pid):
    """Whether nobody is about to begin processes: there are the container's first one, and those that sleep."""
    with open(f"{limited_group(identity)}/cgroup.procs", encoding="ascii") as file:
        return set(file.read().split()) == {str(pid)} | sleepers(identity)


def program(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")[0]
    except OSError:
        # Ended meanwhile.
        return None


def test_P04_S07_a_refusal_of_a_process_between_two_shims_is_told_and_one_that_was_told_is_not_told_again(own_daemon, apus, image):
    began = int(time.time())

    def told():
        # With cgroups v1 it is noticed when a process ends.
        apus("exec", "bomb", "true").ok()
        return apus("events", "--since", str(began), "--until", str(int(time.time()) + 1), "-f", "container=bomb", "-f", "event=pids-limit").ok().count("\n")

    apus("run", "-d", "--name", "bomb", "--pids-limit", "8", image, "sh", "-c", REFUSED).ok()
    wait_until(lambda: "ready" in apus("logs", "bomb").out, "it is ready")
    pid, identity = int(apus.inspect("bomb", "{{.State.Pid}}")), apus.inspect("bomb", "{{.Id}}")
    os.kill(pid, signal.SIGUSR1)
    # While all of its places are taken the question would be refused itself.
    wait_until(lambda: refusals(identity) > 0 and settled(identity, pid), "a process is refused")
    wait_until(lambda: told() == 1, "the refusal is told")
    kill_shim(own_daemon, apus, "bomb")
    time.sleep(1)
    assert told() == 1
    own_daemon.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(shim_of_directory(own_daemon), signal.SIGKILL)
        refused, asleep = refusals(identity), sleepers(identity)
        os.kill(pid, signal.SIGUSR1)
        wait_until(lambda: refusals(identity) > refused and settled(identity, pid), "another process is refused")
        assert sleepers(identity) == asleep, "it has as many as it may"
    finally:
        own_daemon.process.send_signal(signal.SIGCONT)
    wait_until(lambda: told() == 2, "what was refused meanwhile is told")


def test_P04_an_end_that_nobody_could_see_is_told_to_be_unknown(own_daemon, apus, image):
    """Shim and keeper are killed while the daemon stands still, and then the process: nobody holds anything that could say how it ended."""
    apus("run", "-d", "--name", "lost", image, "sleep", "300").ok()
    pid = int(apus.inspect("lost", "{{.State.Pid}}"))
    shim = shim_of_directory(own_daemon)
    own_daemon.process.send_signal(signal.SIGSTOP)
    try:
        # One that runs on for a moment after its keeper has begun another one already.
        os.kill(shim, signal.SIGSTOP)
        wait_until(lambda: stands_still(shim), "the shim stands still")
        for process in (*own_daemon.keepers(), shim, pid):
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the process is gone and nobody's child any more", seconds=30)
    finally:
        own_daemon.process.send_signal(signal.SIGCONT)
    assert apus("wait", "lost").line() == "255"
    assert apus.inspect("lost", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}") == "exited 255 status unknown: supervisor lost"
    apus("start", "lost").ok()
    assert apus("exec", "lost", "echo", "on").line() == "on"


def test_P04_a_killed_keeper_is_replaced_and_has_all_again(own_daemon, apus, image):
    apus("run", "-di", "--name", "kept", image, "cat").ok()
    (keeper,) = own_daemon.keepers()
    held = wait_until(lambda: pipes(keeper), "the keeper has the container's pipes")
    os.kill(keeper, signal.SIGKILL)
    # The one that was killed shows what it has until it has ended.
    wait_until(lambda: [pipes(another) for another in own_daemon.keepers() if another != keeper] == [held], "another keeper has them")
    kill_shim(own_daemon, apus, "kept")
    assert apus.inspect("kept", "{{.State.Status}}") == "running"
    assert b"hello" in attached_answer(apus, "kept")


def stands_still(process):
    with open(f"/proc/{process}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def pipes(process):
    return sorted(link for link in leaks.links_of_descriptors(process) if link.startswith("pipe:"))


def attached_answer(client, name):
    attached = client.start("attach", name, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    attached.stdin.write(b"hello\n")
    attached.stdin.flush()
    line = read_line(attached)
    attached.kill()
    attached.wait()
    return line


def test_P05_shim_and_daemon_killed_together(brittle):
    """Lines, a terminal, an open input and an exec outlive both, and the daemon that returns adopts them."""
    client = brittle.client
    client("run", "-d", "--name", "count", brittle.image, "sh", "-c", numbered_lines(8_000, "sleep 60")).ok()
    client("run", "-dit", "--name", "shell", brittle.image, "sh").ok()
    client("run", "-di", "--name", "cat", brittle.image, "cat").ok()
    client("run", "-d", "--name", "ends", brittle.image, "sh", "-c", f"{UNTIL_GO}; echo bye; exit 6").ok()
    ends = client.inspect("ends", "{{.State.Pid}}")
    client("exec", "-d", "count", "sleep", "77").ok()
    names = ("count", "shell", "cat")
    before = {name: client.inspect(name, "{{.State.Pid}} {{.State.StartedAt}}") for name in names}
    brittle.kill()
    killed = shims(brittle)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, killed)), "the shims have ended")
    go(ends)
    wait_until(lambda: not alive(ends), "a process ends while nobody looks")
    brittle.start()
    for name in names:
        assert client.inspect(name, "{{.State.Pid}} {{.State.StartedAt}}") == before[name]
    assert client("wait", "ends").line() == "6"
    assert client("logs", "ends").line() == "bye"
    assert b"hello" in attached_answer(client, "cat")
    wait_until(lambda: client("logs", "--tail", "1", "count").line() == "8000", "all lines are written", seconds=60)
    assert client("logs", "count").ok().split() == numbers(8_000)
    running = api(brittle, "GET", "/containers/count/json")[1]["ExecIDs"]
    assert len(running) == 1 and api(brittle, "GET", f"/exec/{running[0]}/json")[1]["Running"]
    client("stop", "-t", "1", *names).ok()


SET_CHILD_SUBREAPER = 36


@pytest.fixture
def nobody_reaps():
    """Orphans become the test's own children, and it reaps none of them: as the first process of a machine that is itself a container may do."""
    prctl = ctypes.CDLL(None).prctl
    assert prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert prctl(SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0
    with open("/proc/thread-self/children", encoding="ascii") as file:
        for child in map(int, file.read().split()):
            if not alive(child):
                os.waitpid(child, os.WNOHANG)


def test_P05_a_container_ends_though_nobody_reaps_its_exec_whose_shim_was_killed(nobody_reaps, brittle):
    """The kernel keeps a container's first process for it, dead as that is, and tells nobody."""
    client = brittle.client
    client("run", "-d", "--name", "stopped", brittle.image, "sleep", "300").ok()
    client("run", "-d", "--name", "removed", brittle.image, "sleep", "300").ok()
    client("run", "-d", "--name", "ends", brittle.image, "sh", "-c", f"{UNTIL_GO}; exit 6").ok()
    names = ("stopped", "removed", "ends")
    for name in names:
        client("exec", "-d", name, "sleep", "77").ok()
    pids = [int(client.inspect(name, "{{.State.Pid}}")) for name in names]
    brittle.kill()
    killed = shims(brittle)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, killed)), "the shims have ended")
    brittle.start()
    client("stop", "-t", "1", "stopped").ok()
    client("rm", "-f", "removed").ok()
    go(pids[2])
    assert client("wait", "ends", timeout=20).line() == "6"
    assert client("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "stopped", "ends").ok().splitlines() == ["exited 137", "exited 6"]
    assert all(open(f"/proc/{pid}/wchan", encoding="ascii").read() == "zap_pid_ns_processes" for pid in pids)
    client("start", "stopped").ok()
    assert client("exec", "stopped", "echo", "on").line() == "on"
    client("rm", "-f", "stopped", "ends").ok()
    assert client("ps", "-aq").ok() == ""


def shims(daemon):
    return leaks.processes(f"-directory {daemon.run}/shims/")


def test_P04_a_wait_for_a_restart_goes_on_where_it_was(own_daemon, apus, image):
    apus("run", "-d", "--name", "loops", "--restart", "always", image, "sh", "-c", "cut -d' ' -f1 /proc/uptime; exit 1").ok()
    # 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s have passed, 3.2 s follow.
    wait_until(lambda: len(apus("logs", "loops").ok().split()) >= 6, "six runs", seconds=30)
    wait_until(lambda: apus.inspect("loops", "{{.State.Status}}") == "restarting", "it waits")
    runs = len(apus("logs", "loops").ok().split())
    kill_shim(own_daemon, apus, "loops")
    wait_until(lambda: len(apus("logs", "loops").ok().split()) > runs, "the next run", seconds=60)
    moments = [float(word) for word in apus("logs", "loops").ok().split()]
    pause = 0.1 * 2 ** (runs - 1)
    assert pause - 0.1 < moments[runs] - moments[runs - 1] < pause + 5, moments
    apus("rm", "-f", "loops").ok()


ENDED = {"stop": ("stop", "-t", "1", "still"), "kill": ("kill", "still"), "remove": ("rm", "-f", "still"), "restart": ("restart", "-t", "1", "still")}


@pytest.mark.parametrize("policy", ["no", "always"])
@pytest.mark.parametrize("verb", ENDED)
def test_P10_a_container_whose_shim_stands_still_is_ended(own_daemon, apus, image, verb, policy):
    apus("run", "-d", "--name", "still", "--restart", policy, image, "sleep", "300").ok()
    pid, shim = int(apus.inspect("still", "{{.State.Pid}}")), shim_of(own_daemon, apus, "still")
    os.kill(shim, signal.SIGSTOP)
    began = time.monotonic()
    apus(*ENDED[verb]).ok()
    assert time.monotonic() - began < 12
    assert not alive(pid) and not alive(shim)
    if verb == "remove":
        assert apus("ps", "-aq").ok() == ""
        return
    assert apus.inspect("still", "{{.State.Status}} {{.State.ExitCode}}") == ("running 0" if verb == "restart" else "exited 137")
    apus("start", "still").ok()
    assert apus("exec", "still", "echo", "on").line() == "on"
    apus("rm", "-f", "still").ok()


@pytest.mark.parametrize("policy", ["no", "always"])
def test_P10_the_end_of_a_process_whose_shim_stands_still_is_known(own_daemon, apus, image, policy):
    """Nobody does anything about the container: they only wait for it, and look at it."""
    script = "while [ ! -e /go ]; do usleep 10000; done; [ -e /last ] && exec sleep 300; touch /last; echo last; exit 7"
    apus("run", "-d", "--name", "still", "--restart", policy, image, "sh", "-c", script).ok()
    pid, shim = int(apus.inspect("still", "{{.State.Pid}}")), shim_of(own_daemon, apus, "still")
    os.kill(shim, signal.SIGSTOP)
    with open(f"/proc/{pid}/root/go", "w", encoding="ascii"):
        pass
    if policy == "no":
        assert apus("wait", "still", timeout=15).line() == "7"
        assert apus.inspect("still", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}") == "exited 7"
    else:
        wait_until(lambda: apus.inspect("still", "{{.State.Status}} {{.RestartCount}}") == "running 1", "its policy starts it", seconds=15)
        assert apus("exec", "still", "echo", "on").line() == "on"
    assert not alive(pid) and not alive(shim)
    assert apus("logs", "still").line() == "last"
    apus("rm", "-f", "still").ok()


def test_P10_a_shim_that_stands_still_for_a_while_is_left_alone(own_daemon, apus, image):
    """As long as its process lives; and once that has ended it has a while to tell."""
    apus("run", "-d", "--name", "still", image, "sh", "-c", "while [ ! -e /go ]; do usleep 10000; done; exit 7").ok()
    pid, shim = int(apus.inspect("still", "{{.State.Pid}}")), shim_of(own_daemon, apus, "still")
    os.kill(shim, signal.SIGSTOP)
    time.sleep(6)
    with open(f"/proc/{pid}/root/go", "w", encoding="ascii"):
        pass
    wait_until(lambda: not alive(pid), "it ends")
    time.sleep(1)
    assert alive(shim) and apus.inspect("still", "{{.State.Status}}") == "running"
    identity = apus.inspect("still", "{{.Id}}")
    os.kill(shim, signal.SIGCONT)
    assert apus("wait", "still").line() == "7"
    assert not [line for line in own_daemon.log().splitlines() if identity in line and "it is killed" in line]


ASKED = {
    "exec": ("exec", "still", "true"), "pause": ("pause", "still"), "attach": ("attach", "--no-stdin", "still"),
    "update": ("update", "-m", "64m", "--memory-swap", "64m", "still"),
}


def test_P10_what_is_asked_of_a_shim_that_stands_still_is_refused_soon(own_daemon, apus, image):
    apus("run", "-d", "--name", "still", image, "sleep", "300").ok()
    shim = shim_of(own_daemon, apus, "still")
    os.kill(shim, signal.SIGSTOP)
    for verb, words in ASKED.items():
        began = time.monotonic()
        result = apus(*words)
        assert result.code != 0 and "did not answer in time" in result.err and time.monotonic() - began < 20, (verb, result)
    assert apus("stats", "--no-stream", "--format", "{{.PIDs}}", "still").line() == "1"
    assert apus("logs", "still").ok() == "" and "sleep 300" in apus("top", "still").ok()
    os.kill(shim, signal.SIGCONT)
    assert apus("exec", "still", "echo", "on").line() == "on"
    assert apus.inspect("still", "{{.State.Status}}") == "running"
    apus("rm", "-f", "still").ok()


def test_P10_a_shim_that_stands_still_holds_up_no_daemon_that_begins(brittle):
    """Everybody else is served meanwhile. What it looks after is said to run, and is ended when it shall be, or has its shim again."""
    client, names = brittle.client, ("still", "ended", "other")
    for name in names:
        client("run", "-d", "--name", name, brittle.image, "sleep", "300").ok()
    facts = [client.inspect(name, "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}") for name in names]
    still, ended = (shim_of(brittle, client, name) for name in names[:2])
    for shim in (still, ended):
        os.kill(shim, signal.SIGSTOP)

    def begin():
        brittle.kill()
        brittle.start()

    # A question to a shim has ten seconds.
    held_in_one_of_several_rounds(begin, 5, "the next daemon serves", rounds=3)
    held_in_one_of_several_rounds(lambda: api(brittle, "GET", "/containers/other/json", expect=200) and None, 0.1, "it answers at once")
    assert client("exec", "other", "echo", "in").line() == "in"
    assert [client.inspect(name, "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}") for name in names] == facts
    began = time.monotonic()
    client("stop", "-t", "1", "ended").ok()
    assert time.monotonic() - began < 15 * PATIENCE and client.inspect("ended", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    wait_until(lambda: not alive(ended), "its shim is gone")
    os.kill(still, signal.SIGCONT)
    assert client("exec", "still", "echo", "on").line() == "on"
    wait_until(lambda: client.inspect("still", "{{.State.Error}}") == "", "it is said to have its shim again", seconds=20)
    assert shim_of(brittle, client, "still") == still and client.inspect("still", "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}") == facts[0]
    client("start", "ended").ok()
    client("rm", "-f", *names).ok()


@pytest.fixture
def freezer():
    """A cgroup whose members stand still, and hear no signal while they do: as if they were stuck in the kernel. Version 1 alone has such."""
    folder = "/sys/fs/cgroup/freezer/apus-test-freezer"
    if not os.path.isdir(os.path.dirname(folder)):
        pytest.skip("no freezer of cgroup version 1")
    os.mkdir(folder)

    def tell(file, text):
        with open(f"{folder}/{file}", "w", encoding="ascii") as opened:
            opened.write(text)

    try:
        yield tell
    finally:
        tell("freezer.state", "THAWED")
        wait_until(lambda: not open(f"{folder}/cgroup.procs", encoding="ascii").read(), "what stood still is gone", seconds=30)
        os.rmdir(folder)


def refused_while_the_shim_lives(client):
    """At once, and as often as it is asked."""
    for _ in range(2):
        began = time.monotonic()
        result = client("start", "still")
        assert result.code == 1 and "the former one lives on after SIGKILL" in result.err, result
        assert time.monotonic() - began < 3


@pytest.mark.parametrize("policy", ["no", "always"])
def test_P10_a_shim_that_even_sigkill_does_not_end_is_gone_past(own_daemon, apus, image, freezer, policy):
    apus("run", "-d", "--name", "still", "--restart", policy, image, "sleep", "300").ok()
    pid, shim = int(apus.inspect("still", "{{.State.Pid}}")), shim_of(own_daemon, apus, "still")
    freezer("cgroup.procs", str(shim))
    freezer("freezer.state", "FROZEN")
    began = time.monotonic()
    apus("stop", "-t", "1", "still").ok()
    # Four seconds for a sign of life, one after SIGKILL, the process's own; nothing is asked of a shim that lives on after that.
    assert time.monotonic() - began < 12
    assert alive(shim) and not alive(pid)
    assert apus.inspect("still", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    refused_while_the_shim_lives(apus)
    freezer("freezer.state", "THAWED")
    wait_until(lambda: not alive(shim), "the shim hears its signal")
    apus("start", "still").ok()
    assert apus("exec", "still", "echo", "on").line() == "on"
    apus("rm", "-f", "still").ok()


def end_beside_an_undying_shim(own_daemon, apus, image, freezer):
    """Has `still`, which its policy always starts again, end while its shim is frozen; the shim."""
    script = "while [ ! -e /go ]; do usleep 10000; done; [ -e /last ] && exec sleep 300; touch /last; exit 7"
    apus("run", "-d", "--name", "still", "--restart", "always", image, "sh", "-c", script).ok()
    pid, shim = int(apus.inspect("still", "{{.State.Pid}}")), shim_of(own_daemon, apus, "still")
    freezer("cgroup.procs", str(shim))
    freezer("freezer.state", "FROZEN")
    with open(f"/proc/{pid}/root/go", "w", encoding="ascii"):
        pass
    wait_until(lambda: apus.inspect("still", "{{.State.Status}}") == "exited", "its end is known", seconds=20)
    return shim


def test_P10_what_its_policy_starts_again_is_started_once_its_undying_shim_is_gone(own_daemon, apus, image, freezer):
    shim = end_beside_an_undying_shim(own_daemon, apus, image, freezer)
    refused_while_the_shim_lives(apus)
    assert alive(shim)
    freezer("freezer.state", "THAWED")
    wait_until(lambda: apus.inspect("still", "{{.State.Status}} {{.RestartCount}}") == "running 1", "its policy starts it", seconds=15)
    assert not alive(shim) and apus("exec", "still", "echo", "on").line() == "on"
    apus("rm", "-f", "still").ok()


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_P10_what_waits_for_the_end_of_its_undying_shim_to_be_started_again_stays_as_it_is_when_somebody_stops_it(
        own_daemon, apus, image, freezer, verb):
    """It is not stopped already: it would be started."""
    shim = end_beside_an_undying_shim(own_daemon, apus, image, freezer)
    assert [api(own_daemon, "POST", f"/containers/still/{verb}")[0] for _ in range(2)] == [204, 304 if verb == "stop" else 409]
    freezer("freezer.state", "THAWED")
    wait_until(lambda: not alive(shim), "the shim hears its signal")
    time.sleep(2)
    assert apus.inspect("still", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}") == "exited 7 0"
    apus("start", "still").ok()
    assert apus.inspect("still", "{{.State.Status}}") == "running"
    apus("rm", "-f", "still").ok()
