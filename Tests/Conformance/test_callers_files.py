"""Files that the caller names and that are something else: documents are waited for, but not for ever, and what is no file is not replaced by one."""

import contextlib
import json
import os
import stat
import subprocess
import threading
import time

import pytest
from processes import PATIENCE

pytestmark = pytest.mark.ours


@contextlib.contextmanager
def pipe(path, text=None):
    """A pipe with a name, into which somebody writes, slowly, or nobody at all."""
    os.mkfifo(path)
    if text is None:
        yield path
        return
    half = len(text) // 2

    def write():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text[:half])
            file.flush()
            time.sleep(0.3)
            file.write(text[half:])

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield path
    writer.join(timeout=10 * PATIENCE)


def test_a_configuration_may_come_through_a_pipe(runtime, bundle, container):
    with pipe(os.path.join(bundle.path, "config.json"), json.dumps({**bundle.config, "process": {**bundle.config["process"], "args": ["echo", "through"]}})):
        assert runtime("run", "-b", bundle.path, container).ok().out == "through\n"


def test_documents_may_come_through_pipes(runtime, running, tmp_path):
    process = {"cwd": "/", "args": ["echo", "through"], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
    with pipe(tmp_path / "process", json.dumps(process)) as path:
        assert runtime("exec", "--process", str(path), running).ok().out == "through\n"
    with pipe(tmp_path / "resources", json.dumps({"pids": {"limit": 33}})) as path:
        runtime("update", "-r", str(path), running).ok()
    with pipe(tmp_path / "mounts", json.dumps([{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"}])) as path:
        runtime("mounts", "add", running, str(path)).ok()
    assert any(line.split()[4] == "/mnt" for line in runtime("exec", running, "cat", "/proc/self/mountinfo").ok().lines)


def test_nobody_who_writes_is_not_waited_for_for_ever(runtime, running, bundle, container, tmp_path):
    for name in "process", "resources", "mounts":
        os.mkfifo(tmp_path / name)
    os.unlink(os.path.join(bundle.path, "config.json"))
    os.mkfifo(os.path.join(bundle.path, "config.json"))
    commands = [["run", "-b", bundle.path, f"{container}-2"], ["exec", "--process", str(tmp_path / "process"), running],
                ["update", "-r", str(tmp_path / "resources"), running], ["mounts", "add", running, str(tmp_path / "mounts")]]
    started = [subprocess.Popen(runtime.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for words in commands]
    try:
        for words, process in zip(commands, started):
            said = process.communicate(timeout=25 * PATIENCE)[1].decode()
            assert process.returncode != 0 and "ETIMEDOUT" in said, (words, said)
    finally:
        for process in started:
            process.kill()
            process.communicate(timeout=60 * PATIENCE)


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_pid_file_that_is_a_pipe_stays_one_and_gets_the_number(runtime, running, bundle, container, verb):
    path = os.path.join(bundle.path, "pids")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if verb == "run":
            runtime.detached("run", "-d", "--pid-file", path, "-b", bundle.path, f"{container}-2").ok()
            assert os.read(reader, 100).decode() == str(runtime.state(f"{container}-2")["pid"])
            runtime("delete", "-f", f"{container}-2").ok()
        else:
            runtime("exec", "--pid-file", path, running, "true").ok()
            assert os.read(reader, 100).isdigit()
            runtime("exec", "--pid-file", path, running, "/nowhere").fails("")
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.stat(path).st_mode) and os.listdir(bundle.path).count(".pids.tmp") == 0
    runtime("exec", "--pid-file", path, running, "true").fails("writing the pid file", "ENXIO")
    assert stat.S_ISFIFO(os.stat(path).st_mode)


@pytest.fixture
def disk(tmp_path):
    """One that has devices, as a folder for what is temporary need not, and that takes them along when it goes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "dev,size=64k", "apus-devices", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_pid_file_that_is_a_device_stays_one(runtime, running, disk):
    """A null device of the test's own, and a link to it."""
    device, link = disk / "null", disk / "link"
    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.symlink(device, link)
    for path in device, link:
        runtime("exec", "--pid-file", str(path), running, "true").ok()
        runtime("exec", "--pid-file", str(path), running, "/nowhere").fails("")
    assert stat.S_ISCHR(os.stat(device).st_mode) and os.readlink(link) == str(device)


def test_members_that_nobody_knows_may_nest_as_they_like(runtime, bundle, container):
    unknown = 0
    for _ in range(300):
        unknown = {"more": [unknown]} if isinstance(unknown, int) else [unknown]
    bundle.write(["true"], unknown=unknown)
    runtime("run", "-b", bundle.path, container).ok()
