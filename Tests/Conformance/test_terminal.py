"""Terminals: the console socket, the size, and the relay of a command that stays in the foreground."""

import array
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest
from consoles import ConsoleSocket, read_until
from processes import PATIENCE, read_line, read_rest, wait_until


def test_the_console_socket_gets_the_master_of_the_programs_terminal(runtime, bundle, container):
    bundle.write("tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; cat",
                 process={"terminal": True, "consoleSize": {"height": 11, "width": 77}})
    console = ConsoleSocket(bundle.path, "s")
    runtime.detached("create", "--console-socket", console.path, "-b", bundle.path, container).ok()
    master = console.master()
    runtime("start", container).ok()
    seen = read_until(master, b"all")
    assert b"/dev/console" in seen or b"/dev/pts/0" in seen
    assert b"11 77" in seen
    os.write(master, b"typed\n")
    assert read_until(master, b"typed\r\ntyped")
    os.close(master)


def test_dev_console_is_the_terminal(runtime, bundle, container):
    bundle.write("echo to the console > /dev/console; sleep 600", process={"terminal": True})
    console = ConsoleSocket(bundle.path, "s")
    runtime.detached("create", "--console-socket", console.path, "-b", bundle.path, container).ok()
    master = console.master()
    runtime("start", container).ok()
    read_until(master, b"to the console")
    os.close(master)


@pytest.mark.parametrize("mapped", [False, True], ids=["host's users", "own users"])
@pytest.mark.parametrize("verb", ["create", "exec"])
def test_the_terminal_belongs_to_the_user(runtime, bundle, container, verb, mapped):
    if mapped:
        bundle.map_users()
    script = "echo mine > $(tty) && echo $(stat -c %u $(tty)) done; sleep 600"
    bundle.write(script if verb == "create" else "sleep 600",
                 process={"terminal": verb == "create", "user": {"uid": 1000, "gid": 1000}})
    console = ConsoleSocket(bundle.path, "s")
    if verb == "create":
        runtime.detached("create", "--console-socket", console.path, "-b", bundle.path, container, stdin=subprocess.PIPE).ok()
        master = console.master()
        runtime("start", container).ok()
    else:
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        words = ["exec", "-d", "-t", "--console-socket", console.path, container, "sh", "-c", script]
        runtime.detached(*words, stdin=subprocess.PIPE).ok()
        master = console.master()
    assert b"1000 done" in read_until(master, b"done")
    os.close(master)


def test_exec_takes_a_terminal_from_the_containers_devpts(runtime, bundle, running):
    console = ConsoleSocket(bundle.path, "s")
    runtime.detached("exec", "-d", "-t", "--console-socket", console.path, running, "sh", "-c", "tty; echo out; sleep 600").ok()
    master = console.master()
    assert b"/dev/pts/0" in read_until(master, b"out")
    os.close(master)


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_command_in_the_foreground_relays_the_terminal(runtime, bundle, container, verb):
    if verb == "run":
        bundle.write("stty size; read line; echo got $line; exit 5", process={"terminal": True})
        command = runtime.command("run", "-b", bundle.path, container)
    else:
        bundle.write("sleep 600")
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        command = runtime.command("exec", "-t", container, "sh", "-c", "stty size; read line; echo got $line; exit 5")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    settings = termios.tcgetattr(slave)
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    read_until(master, b"33 99")
    os.write(master, b"hello\r")
    read_until(master, b"got hello")
    assert process.wait(20 * PATIENCE) == 5
    assert termios.tcgetattr(slave) == settings, "the terminal was not put back"
    os.close(master)
    os.close(slave)


def command_with_terminal(runtime, bundle, container, verb, script):
    """A command in the foreground whose program has a terminal."""
    if verb == "run":
        bundle.write(script, process={"terminal": True})
        return runtime.command("run", "-b", bundle.path, container)
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    return runtime.command("exec", "-t", container, "sh", "-c", script)


@pytest.mark.ours
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_program_that_does_not_read_its_terminal_may_write_there(runtime, bundle, container, verb):
    command = command_with_terminal(runtime, bundle, container, verb, "busybox seq 30000; exit 5")
    done = subprocess.run(command, input=b"typed\n" * 20000, stdout=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 5
    # What was typed is seen, too, and may stand between.
    assert b"30000\r\n" in done.stdout


@pytest.mark.ours
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_signals_reach_a_program_whose_terminal_is_full_both_ways(runtime, bundle, container, verb):
    script = "trap 'touch /tmp/heard; exit 7' TERM; echo ready; busybox yes & while :; do sleep 0.05; done"
    process = subprocess.Popen(command_with_terminal(runtime, bundle, container, verb, script), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert b"ready" in read_line(process)
    os.set_blocking(process.stdin.fileno(), False)
    # Until the command takes no more, and for sure.
    for _ in range(20):
        try:
            while True:
                os.write(process.stdin.fileno(), b"typed\n" * 1000)
        except BlockingIOError:
            time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/heard")), "the program has heard", seconds=30)
    read_rest(process)
    assert process.wait(30 * PATIENCE) == 7
    process.stdin.close()
    process.stdout.close()


@pytest.mark.ours
@pytest.mark.parametrize("verb", ["run", "run --keep", "exec"])
def test_a_program_ends_when_nobody_reads_its_terminal_any_more(runtime, bundle, container, verb):
    script = "touch /tmp/begun; while :; do echo line; done"
    command = command_with_terminal(runtime, bundle, container, verb.split()[0], script)
    if verb.endswith("--keep"):
        command.insert(command.index("run") + 1, "--keep")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert read_line(process) == b"line\r\n"
    process.stdout.close()
    assert b"EPIPE" in read_rest(process.stderr)
    assert process.wait(30 * PATIENCE) == (255 if verb == "exec" else 1)
    process.stderr.close()
    if verb == "run":
        runtime("state", container).fails("does not exist")
    elif verb == "exec":
        assert len(runtime("ps", "--format", "json", container).ok().out.split(",")) == 1
    else:
        assert runtime.status(container) == "stopped"


@pytest.mark.ours
@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_standard_files_that_the_caller_closed_are_the_null_device(runtime, bundle, container, verb, closed):
    script = "test -t 0 && test -t 1 && test -t 2 && echo said > /tmp/said; echo said; exit 5"
    command = command_with_terminal(runtime, bundle, container, verb, script)
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], stdout=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 5
    assert done.stdout == (b"" if ">&-" in closed.split() else b"said\r\n")
    assert os.path.exists(os.path.join(bundle.rootfs, "tmp/said"))


def test_a_terminal_without_a_socket_is_refused_when_detached(runtime, bundle, container):
    bundle.write(["true"], process={"terminal": True})
    runtime.detached("create", "-b", bundle.path, container).fails("console socket" if runtime.kind != "crun" else "")


def test_a_console_socket_without_a_terminal_is_refused(runtime, bundle, container):
    bundle.write(["true"])
    console = ConsoleSocket(bundle.path, "s")
    runtime.detached("create", "--console-socket", console.path, "-b", bundle.path, container).fails("console socket")
    console.listener.close()
