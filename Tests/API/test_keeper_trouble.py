"""Row P04: a keeper that is slow to answer costs no stream, and nobody who does not listen to it holds it up."""

import array
import contextlib
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

from engine_http import api
from processes import read_line, state_of, wait_until
from test_shim_death import attached_answer, kill_shim, numbers, pipes, shim_of


@contextlib.contextmanager
def stopped(process):
    os.kill(process, signal.SIGSTOP)
    try:
        wait_until(lambda: state_of(process) == "T", "it stands still")
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_P04_a_keeper_that_answers_late_has_every_stream_still(own_daemon, apus, image):
    """It stands still until the daemon has given up waiting for the next shim once: many times as long as it may take otherwise."""
    apus("run", "-di", "--name", "cat", image, "sh", "-c", "seq 1 100; exec cat").ok()
    pid = apus.inspect("cat", "{{.State.Pid}}")
    (keeper,) = own_daemon.keepers()
    with stopped(keeper):
        os.kill(shim_of(own_daemon, apus, "cat"), signal.SIGKILL)
        wait_until(lambda: "did not answer in time" in apus.inspect("cat", "{{.State.Error}}"), "the next shim waits for the keeper", seconds=60)
        assert apus.inspect("cat", "{{.State.Status}} {{.State.Pid}}") == f"running {pid}"
    wait_until(lambda: apus.inspect("cat", "{{.State.Error}}") == "", "it has a shim again", seconds=60)
    assert apus("logs", "cat").ok().split() == numbers(100)
    assert b"hello" in attached_answer(apus, "cat")


def test_P04_a_keeper_that_reads_late_hears_everything(own_daemon, apus, image):
    """More is begun and ends meanwhile than its socket holds words for, and then an input is opened that must not end with the shim."""
    apus("run", "-d", "--name", "many", image, "sleep", "1000").ok()
    (keeper,) = own_daemon.keepers()

    def execute(_):
        made = api(own_daemon, "POST", "/containers/many/exec", {"Cmd": ["true"]}, expect=201)[1]["Id"]
        api(own_daemon, "POST", f"/exec/{made}/start", {"Detach": True}, expect=200)
        return made

    with stopped(keeper):
        with ThreadPoolExecutor(4) as pool:
            ended = list(pool.map(execute, range(150)))
        for one in ended:
            wait_until(lambda one=one: not api(own_daemon, "GET", f"/exec/{one}/json")[1]["Running"], "it has ended", seconds=60)
        late = apus.start("exec", "-i", "many", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        late.stdin.write(b"begun\n")
        assert read_line(late) == b"begun\n"
    try:
        wait_until(lambda: len(pipes(keeper)) == 5, "the keeper has what runs, and nothing of what has ended", seconds=60)
        kill_shim(own_daemon, apus, "many")
        late.stdin.write(b"still\n")
        assert read_line(late) == b"still\n"
        late.stdin.close()
        assert late.wait(60) == 0
    finally:
        late.kill()
        late.wait()


def test_P04_a_keeper_waits_for_nobody_who_does_not_read_its_answer(own_daemon, apus, image):
    """One client asks for more than a socket holds, and reads it only after another has had its answer."""
    apus("run", "-d", "--name", "any", image, "sleep", "1000").ok()
    path = f"{own_daemon.run}/shims/.keeper"
    file = os.open("/dev/null", os.O_RDONLY)
    try:
        with connection(path) as giver, connection(path) as deaf, connection(path) as other:
            for number in range(1000):
                send(giver, f"keep x/{number} o", file)
            send(giver, "keep y o", file)
            deaf.send(b"tell x ")
            assert answers(other, "y") == ["kept y o", "end  "]
            assert len(answers(deaf)) == 1001
            for name in ("x", "y"):
                giver.send(f"drop {name} ".encode())
            assert answers(other, "x") == ["end  "]
    finally:
        os.close(file)


def connection(path):
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.settimeout(60)
    made.connect(path)
    return made


def send(to, words, file):
    to.sendmsg([words.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])


def answers(client, name=None):
    if name:
        client.send(f"tell {name} ".encode())
    found = []
    while not found or found[-1] != "end  ":
        text, files, _, _ = socket.recv_fds(client, 2048, 8)
        for file in files:
            os.close(file)
        assert text, "it hung up"
        found.append(text.decode())
    return found
