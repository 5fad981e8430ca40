"""Terminals: the console socket, the size, and the relay of a command that stays in the foreground."""

import array
import fcntl
import os
import pty
import select
import socket
import struct
import subprocess
import termios
import time

import pytest
from consoles import ConsoleSocket, read_until


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
    assert process.wait(20) == 5
    assert termios.tcgetattr(slave) == settings, "the terminal was not put back"
    os.close(master)
    os.close(slave)


def test_a_terminal_without_a_socket_is_refused_when_detached(runtime, bundle, container):
    bundle.write(["true"], process={"terminal": True})
    runtime.detached("create", "-b", bundle.path, container).fails("console socket" if runtime.kind != "crun" else "")


def test_a_console_socket_without_a_terminal_is_refused(runtime, bundle, container):
    bundle.write(["true"])
    console = ConsoleSocket(bundle.path, "s")
    runtime.detached("create", "--console-socket", console.path, "-b", bundle.path, container).fails("console socket")
    console.listener.close()
