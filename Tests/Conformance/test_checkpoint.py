"""checkpoint and restore, by criu: where the kernel lets it work, a container goes on where it was; elsewhere it says why not.

criu works where `criu check` passes; in `make cgroup2` it does, and runc with it, which proves the tests."""

import json
import os
import select
import subprocess

import criu
import pytest
from checkpoints import COUNTING, TALKING, counter, images, quietly  # noqa: F401
from consoles import ConsoleSocket, read_until
from processes import PATIENCE, free_port, read_rest, wait_until


ours = pytest.mark.ours
@criu.needed
def test_a_container_goes_on_where_it_was(runtime, bundle, counter):
    os.symlink("tmp", os.path.join(bundle.rootfs, "away"))
    bundle.file("/only", "a file of the host\n")
    counter.start(
        linux={"namespaces": {"$add": [{"type": "cgroup"}]}, "resources": {"pids": {"limit": 50}}},
        mounts={"$add": [
            {"destination": "/host", "type": "bind", "source": "/usr/share", "options": ["bind", "ro"]},
            {"destination": "/away/file", "type": "bind", "source": os.path.join(bundle.rootfs, "only"), "options": ["bind"]},
            {"destination": "/memory", "type": "tmpfs", "source": "tmpfs"}]})
    runtime("exec", counter.name, "sh", "-c", "echo kept > /memory/file").ok()
    stopped_at = counter.checkpoint()
    assert runtime("list", "-q").ok().out == ""
    assert counter.count() == stopped_at

    pid_file = os.path.join(bundle.path, "pid")
    counter.restore("--pid-file", pid_file)
    state = runtime.state(counter.name)
    assert state["status"] == "running"
    with open(pid_file, encoding="utf-8") as file:
        assert int(file.read()) == state["pid"]
    counter.goes_on(stopped_at)
    with open(f"/proc/{state['pid']}/cgroup", encoding="utf-8") as file:
        assert counter.name in file.read()
    script = "cat /memory/file /away/file /proc/self/cgroup; touch /host/x || echo read-only; stat -c %t:%T /proc/kcore; date +%s > /dev/null"
    lines = runtime("exec", counter.name, "sh", "-c", script).ok().lines
    assert lines[:2] == ["kept", "a file of the host"] and lines[-2:] == ["read-only", "1:3"]
    assert not any(counter.name in line for line in lines)
    assert str(state["pid"]) in runtime("ps", "-f", "json", counter.name).ok().out
    runtime("pause", counter.name).ok()
    assert runtime.status(counter.name) == "paused"
    runtime("resume", counter.name).ok()

    again = counter.checkpoint(name="again")
    counter.restore(name="again")
    counter.goes_on(again)
    runtime("kill", counter.name, "KILL").ok()
    runtime.wait_for(counter.name, "stopped")
    runtime("delete", counter.name).ok()


@criu.needed
def test_in_the_foreground_restore_ends_as_the_container_does(runtime, bundle, counter):
    counter.start()
    counter.checkpoint()
    bundle.file("/stop", "")
    result = runtime("restore", *images(bundle), "-b", bundle.path, counter.name)
    assert result.code == 7, result.err
    assert runtime("list", "-q").ok().out == ""


@criu.needed
def test_what_is_left_running_runs_on_and_can_be_dumped_again(runtime, bundle, counter):
    counter.start()
    process = runtime.state(counter.name)["pid"]
    counter.checkpoint("--pre-dump", name="first")
    assert runtime.status(counter.name) == "running"
    dumped_at = counter.checkpoint("--leave-running", "--parent-path", "../first", name="second")
    counter.goes_on(dumped_at)
    assert runtime.state(counter.name)["pid"] == process
    assert os.path.exists(os.path.join(bundle.path, "second", "parent"))
    runtime("delete", "-f", counter.name).ok()
    ended_at = counter.count()
    counter.restore(name="second", container=counter.name + "-again")
    # Back to where it was when it was dumped.
    wait_until(lambda: counter.count() < ended_at, "the count of the images", seconds=30)
    counter.goes_on(dumped_at)


@criu.needed
def test_a_paused_container_is_dumped_and_stays_paused(runtime, counter):
    counter.start()
    runtime("pause", counter.name).ok()
    stopped_at = counter.checkpoint("--leave-running")
    assert runtime.status(counter.name) == "paused"
    assert counter.count() == stopped_at
    runtime("resume", counter.name).ok()
    counter.goes_on(stopped_at)


@criu.needed
def test_pipes_that_led_out_lead_to_the_restorers(runtime, bundle, container):
    bundle.write("read line; echo $line; " + TALKING)

    def run(*words):
        """Returns ends of the container's standard input and output."""
        (their_input, our_input), (our_output, their_output) = os.pipe(), os.pipe()
        quietly(runtime, *words, "-d", "-b", bundle.path, container, stdin=their_input, stdout=their_output)
        os.close(their_input)
        os.close(their_output)
        return our_input, our_output

    standard_input, output = run("run")
    os.write(standard_input, b"a line\n")
    read_until(output, b"a line\n")
    read_until(output, b"\n4\n")
    runtime("checkpoint", *images(bundle), container, timeout=120).ok()
    seen = read_rest(output)
    last = int(seen.split()[-1]) if seen else 4
    for descriptor in (standard_input, output):
        os.close(descriptor)
    standard_input, output = run("restore", *images(bundle))
    seen = read_until(output, b"\n").split()
    # What was written and not yet read is the next reader's.
    assert int(seen[0]) == last + 1
    for descriptor in (standard_input, output):
        os.close(descriptor)


@criu.needed
def test_a_terminals_master_goes_where_a_new_ones_would(runtime, bundle, container):
    bundle.write(TALKING, process={"terminal": True})
    console = ConsoleSocket(bundle.path, "s")
    quietly(runtime, "run", "-d", "--console-socket", console.path, "-b", bundle.path, container)
    master = console.master()
    read_until(master, b"\n5\r\n")
    runtime("checkpoint", *images(bundle), container, timeout=120).ok()
    os.close(master)
    console = ConsoleSocket(bundle.path, "t")
    quietly(runtime, "restore", "-d", "--console-socket", console.path, *images(bundle), "-b", bundle.path, container)
    master = console.master()
    assert int(read_until(master, b"\r\n").split()[0]) > 3
    os.write(master, b"\x03")
    runtime.wait_for(container, "stopped")
    os.close(master)


@criu.needed
def test_a_network_namespace_by_path_is_joined_again(runtime, bundle, counter, other):
    bundle.join("network", f"/proc/{other}/ns/net")
    counter.start()
    stopped_at = counter.checkpoint()
    counter.restore()
    counter.goes_on(stopped_at)
    assert os.readlink(f"/proc/{runtime.state(counter.name)['pid']}/ns/net") == os.readlink(f"/proc/{other}/ns/net")
    runtime("delete", "-f", counter.name).ok()


@criu.needed
@ours
def test_a_failed_dump_or_restore_says_why_and_where_to_look(runtime, bundle, counter):
    with open(os.path.join(bundle.path, "of-the-host"), "wb") as file:
        bundle.write(COUNTING)
        quietly(runtime, "run", "-d", "-b", bundle.path, counter.name, stdout=file)
    result = runtime("checkpoint", *images(bundle), counter.name, timeout=120).fails("criu", "of-the-host", "dump.log")
    assert len(result.err.strip().splitlines()) == 1, result.err
    counter.goes_on(0)
    runtime("delete", "-f", counter.name).ok()
    os.makedirs(os.path.join(bundle.path, "empty"))
    with open(os.path.join(bundle.path, "empty", "descriptors.json"), "w", encoding="utf-8") as file:
        json.dump(["/dev/null"] * 3, file)
    result = runtime("restore", "-d", *images(bundle, "empty"), "-b", bundle.path, counter.name).fails("criu", "restore.log")
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert runtime("list", "-q").ok().out == ""


@criu.needed
@ours
def test_whatever_a_restore_fails_at_it_leaves_no_pid_file(runtime, bundle, counter, tmp_path):
    """The process is held when the file is there. Of the runtime's own calls one fails, and not those of criu; at least the last one it needs."""
    counter.start()
    counter.checkpoint()
    pid_file = os.path.join(bundle.path, "pid")
    failed = []
    for number in range(1, 5):
        tracing = ["strace", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=pidfd_open", "-e", f"inject=pidfd_open:error=EMFILE:when={number}"]
        with runtime.below(*tracing):
            done = runtime.detached("restore", "-d", *images(bundle), "--pid-file", pid_file, "-b", bundle.path, counter.name)
        assert os.path.exists(pid_file) == (done.code == 0), done.err
        assert (runtime("list", "-q").ok().out != "") == (done.code == 0)
        if done.code == 0:
            runtime("delete", "-f", counter.name).ok()
            os.unlink(pid_file)
        else:
            failed.append(done.err)
    assert any("looking at the restored process" in text and "EMFILE" in text for text in failed), failed


@criu.needed
@ours
def test_a_lazy_dump_serves_its_pages_and_tells_when(runtime, bundle, counter):
    if subprocess.run(["criu", "check", "--feature", "uffd-noncoop"], capture_output=True, check=False).returncode:
        pytest.skip("criu check --feature uffd-noncoop fails here")
    counter.start()
    port, (ready, status) = free_port(), os.pipe()
    dump = subprocess.Popen(
        runtime.command("checkpoint", "--lazy-pages", "--page-server", f"127.0.0.1:{port}", "--status-fd", str(status), *images(bundle),
                        counter.name), pass_fds=[status], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    os.close(status)
    assert select.select([ready], [], [], 60 * PATIENCE)[0] and os.read(ready, 8) == b"\0", dump.communicate(timeout=60)
    os.close(ready)
    stopped_at = counter.count()
    work = os.path.join(bundle.path, "work")
    pages = subprocess.Popen(["criu", "lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", str(port), "-vv",
                              "-D", os.path.join(bundle.path, "images"), "-W", work], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(os.path.join(work, "lazy-pages.socket")), "criu's daemon of pages", seconds=30)
    counter.restore("--lazy-pages", container=counter.name + "-again")
    counter.goes_on(stopped_at)
    assert dump.wait(60 * PATIENCE) == 0, read_rest(dump.stderr)
    assert pages.wait(60 * PATIENCE) == 0
    dump.stderr.close()


@ours
@criu.missed
def test_where_criu_cannot_work_the_container_lives_on_and_the_reason_is_told(runtime, bundle, running):
    result = runtime("checkpoint", *images(bundle), running).fails("criu", "criu check")
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert runtime.status(running) == "running"


@ours
def test_without_criu_its_package_is_named(runtime, bundle, running):
    environment = {**os.environ, "PATH": "/nowhere"}
    result = runtime("checkpoint", *images(bundle), running, env=environment).fails("Debian: criu")
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert runtime.status(running) == "running"
    runtime("restore", *images(bundle), "-b", bundle.path, "apus-ct-none", env=environment).fails("Debian: criu")
    assert runtime("list", "-q").ok().lines == [running]


def test_only_what_runs_is_dumped(runtime, bundle, container):
    bundle.write(["true"])
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("checkpoint", *images(bundle), container).fails("annot be checkpointed in created state")
    runtime("start", container).ok()
    runtime.wait_for(container, "stopped")
    runtime("checkpoint", *images(bundle), container).fails("annot be checkpointed in stopped state")


@ours
@pytest.mark.parametrize("flags, text", [
    (["--manage-cgroups-mode", "hard"], "manage-cgroups-mode"), (["--empty-ns", "pid"], "--empty-ns"), (["--page-server", "here"], "--page-server"),
    (["--parent-path", "/absolute"], "--parent-path"), (["--parent-path", "none"], "--parent-path"), (["--lazy-pages"], "--page-server"),
    (["--status-fd", "77"], "--status-fd"),
])
def test_flags_that_make_no_sense_are_named(runtime, bundle, running, flags, text):
    runtime("checkpoint", *flags, *images(bundle), running).fails(text)
    assert runtime.status(running) == "running"
