"""`apus debug`: a shell with tools in the namespaces of a container that has none."""

import pexpect
import pytest
from conftest import CLIENTS
from processes import wait_until


@pytest.fixture
def bare(apus, image):
    """A container without a shell: its programs are gone but for the one that runs."""
    apus("run", "-d", "--name", "bare", "--hostname", "inside", "-e", "SECRET=known", image, "sh", "-c",
         "echo mine > /file; mkdir /x; mv /bin/busybox /x/; exec /x/busybox sleep 600").ok()
    wait_until(lambda: apus("exec", "bare", "/bin/ls").code in (126, 127), "there are no tools inside")
    return "bare"


def test_a_container_without_tools_is_looked_into_with_those_of_an_image(apus, image, bare):
    said = apus("debug", "--image", image, "-c", "ps; cat $ROOT/file; tr '\\0' '\\n' < /proc/1/environ; ip -o addr show eth0", bare).ok()
    assert "busybox sleep 600" in said and "mine" in said and "SECRET=known" in said
    address = apus("inspect", "-f", "{{.NetworkSettings.IPAddress}}", bare).line()
    assert address in said
    # Words after the name are a command; its end is the verb's.
    assert apus("debug", "--image", image, bare, "sh", "-c", "exit 9").code == 9
    assert apus("debug", "--image", image, bare, "nothing-such").code == 127
    # It may look into it and change its files, and leaves nothing behind.
    apus("debug", "--image", image, "-q", bare, "sh", "-c", "echo more >> $ROOT/file").ok()
    assert "more" in apus("debug", "--image", image, bare, "cat", "/proc/1/root/file").out
    assert apus("ps", "-aq").ok().split() == [apus("inspect", "-f", "{{.Id}}", bare).line()[:12]]
    assert apus("inspect", "-f", "{{.State.Running}}", bare).line() == "true"


def test_the_shell_is_a_terminal_and_hears_what_is_typed(apus, image, bare):
    shell = pexpect.spawn(CLIENTS["apus"], ["debug", "--image", image, bare], env=apus.environment, timeout=30, encoding="utf-8")
    shell.expect("The files of bare are below /proc/1/root")
    shell.expect("#")
    shell.sendline("tty; kill -0 1 && echo reach''able")
    shell.expect("/dev/pts/0")
    shell.expect("reachable")
    shell.sendline("exit 4")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 4


def test_what_does_not_run_cannot_be_entered(apus, image):
    apus("create", "--name", "still", image).ok()
    refused = apus("debug", "--image", image, "still")
    assert refused.code == 1 and refused.err == "container still is not running: start it, or look at its files with apus cp\n"
    assert "No such container: none" in apus("debug", "--image", image, "none").err
