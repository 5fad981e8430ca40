"""A container in the foreground: which signals reach it, what a terminal shows that comes to it, and frames of numbers."""
# Rows: features

import signal
import subprocess
import time

import pexpect
import pytest
from processes import wait_until


def foreground(client, *words):
    """A client whose container says that it is ready."""
    process = client.start(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def trap(names):
    return f"trap 'exit 7' {names}; echo ready; while :; do sleep 0.1; done"


@pytest.mark.parametrize("name", ["ALRM", "WINCH", "VTALRM", "IO", "PWR", "XCPU", "USR1", "CONT"])
def test_a_signal_is_the_containers(cli, image, name):
    process = foreground(cli, "run", "--name", "front", image, "sh", "-c", trap(name))
    process.send_signal(signal.Signals[f"SIG{name}"])
    assert process.wait(20) == 7, process.stdout.read()
    assert cli.inspect("front", "{{.State.ExitCode}}") == "7"


def test_a_real_time_signal_is_the_containers(cli, image):
    process = foreground(cli, "run", "--name", "front", image, "sh", "-c", "echo ready; exec sleep 100")
    process.send_signal(signal.SIGRTMIN + 3)
    # The first process of a container without a handler has none of it: only the client's end would tell.
    time.sleep(0.5)
    assert process.poll() is None
    cli("kill", "front").ok()
    assert process.wait(20) == 137


def test_a_signal_that_is_not_passed_on_ends_nothing(cli, image):
    process = foreground(cli, "run", "--name", "front", "--sig-proxy=false", image, "sh", "-c", trap("USR1 ALRM USR2 WINCH"))
    for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGUSR2, signal.SIGWINCH):
        process.send_signal(number)
    time.sleep(0.5)
    assert process.poll() is None
    process.kill()
    process.wait(20)
    assert cli.inspect("front", "{{.State.Running}}") == "true"


def attached(cli, *words):
    return pexpect.spawn(cli.path, ["attach", *words, "front"], env=cli.environment, timeout=20, dimensions=(30, 100))


def test_a_signal_to_who_attaches_to_a_terminal_is_not_the_containers(cli, image):
    cli("run", "-dit", "--name", "front", image, "sh", "-c", "trap 'exit 7' TERM; while :; do echo tick; sleep 0.1; done").ok()
    terminal = attached(cli)
    terminal.expect("tick")
    terminal.kill(signal.SIGTERM)
    time.sleep(1)
    terminal.close(force=True)
    assert cli.inspect("front", "{{.State.Running}}") == "true"


def test_who_comes_to_a_terminal_again_is_shown_what_is_on_it(cli, image):
    cli("run", "-dit", "--name", "front", image, "sh").ok()
    for _ in range(2):
        terminal = attached(cli)
        terminal.expect("/ # ")
        terminal.send("\x10\x11")
        terminal.expect(pexpect.EOF)
        terminal.close()
    # The size is this terminal's in the end.
    terminal = attached(cli)
    terminal.expect("/ # ")
    terminal.send("sleep 1; stty size\r")
    terminal.expect("30 100")
    terminal.close()


def test_frames_of_statistics_leave_nothing_of_the_former_on_the_screen(apus, image):
    apus("run", "-d", "--name", "counted", image, "sleep", "100").ok()
    terminal = pexpect.spawn(apus.path, ["stats"], env=apus.environment, timeout=20, dimensions=(30, 200))
    terminal.expect_exact("\x1b[H")
    terminal.expect_exact("\x1b[J")
    lines = terminal.before.split(b"\r\n")
    assert len(lines) == 3 and all(line.endswith(b"\x1b[K") for line in lines[:2]) and lines[2] == b"", lines
    terminal.close()
    wait_until(lambda: not terminal.isalive(), "the client has ended")
