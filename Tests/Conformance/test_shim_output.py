"""Output that goes to a file or a program, file:// and binary:// of containerd's clients, through ctr: by our shim and, which proves the tests, by
containerd's."""
import errno
import json
import os
import re
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from containerds import Containerd, containerd_of_a_module
from shim_client import Refused, TASK, alive, any_of, message, wait_until
from shim_fixtures import RUNTIMES, shim, shims  # noqa: F401

SHIMS = {"ours": ["--runtime", "io.containerd.apus.v2"],
         "containerd's": ["--runtime", "io.containerd.runc.v2", "--runc-binary", str(RUNTIMES["apus-runtime"])]}
# Writes down how it was called, copies both streams to files beside that, and ends when it is told to.
PROGRAM = """#!/usr/bin/python3
import json, os, select, signal, sys
folder = dict(zip(sys.argv[1::2], sys.argv[2::2]))["folder"]
# It waits, also where it comes before the end of the output.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
with open(folder + "/call", "w") as file:
    json.dump({"arguments": sys.argv[1:], "environment": dict(os.environ), "pid": os.getpid(),
               "standard": [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]}, file)
os.close(5)
streams = {3: open(folder + "/out", "wb", 0), 4: open(folder + "/err", "wb", 0)}
while streams:
    for number in select.select(list(streams), [], [])[0]:
        text = os.read(number, 65536)
        streams[number].write(text) if text else streams.pop(number)
open(folder + "/ended", "w").close()
signal.sigwait([signal.SIGTERM])
"""


@pytest.fixture(scope="module")
def containerd():
    with containerd_of_a_module(Containerd, RUNTIMES["apus-runtime"]) as daemon:
        yield daemon


@pytest.fixture(params=SHIMS)
def run(containerd, request):
    """Runs a container by one of the shims with its output at an address; the name is the second word of what comes before the program."""
    def run(address, name, *words, flags=(), check=True):
        flags = (*SHIMS[request.param], "--snapshotter", "native", "--log-uri", address, *flags)
        return containerd.ctr("run", *flags, containerd.image, name, *words, check=check)
    run.is_ours = request.param == "ours"
    yield run
    for name in containerd.ctr("tasks", "list", "-q").stdout.decode().split():
        containerd.ctr("tasks", "delete", "--force", name, check=False)
    for name in containerd.ctr("containers", "list", "-q").stdout.decode().split():
        containerd.ctr("containers", "delete", name)


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "logger"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return path


def call(folder):
    wait_until((folder / "ended").exists, "the program to have all output")
    return json.loads((folder / "call").read_text())


def has_all(run, log, text):
    """containerd's shim may answer a Delete before all is copied: what it has is where it begins."""
    found = log.read_text()
    assert found == text or not run.is_ours and text.startswith(found)


def test_a_file_is_made_with_its_directories_and_gets_both_streams(run, tmp_path):
    log = tmp_path / "made/for it/log"
    address = f"file://{tmp_path}/made/for%20it/log"
    run(address, "one", "sh", "-c", "echo out; echo err >&2", flags=("--rm",))
    first = sorted(log.read_text().splitlines())
    # containerd's shim may answer a Delete before one of the streams is copied.
    assert first == ["err", "out"] or not run.is_ours and set(first) < {"err", "out"}
    assert stat.S_IMODE(log.stat().st_mode) == 0o644
    # It is added to.
    run(address, "two", "echo", "more", flags=("--rm",))
    assert log.read_text().splitlines() == [*log.read_text().splitlines()[:2], "more"] or not run.is_ours


def test_a_bare_path_that_is_no_fifo_is_added_to_by_both_streams(run, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    for name in ("one", "two"):
        run(str(log), name, "sh", "-c", f"echo {name} out; echo {name} err >&2; echo {name} more; echo {name} worse >&2", flags=("--rm",))
    before, *lines = log.read_text().splitlines()
    written = [f"{name} {word}" for name in ("one", "two") for word in ("err", "more", "out", "worse")]
    # containerd's shim may answer a Delete before one of the streams is copied.
    assert before == "before" and (sorted(lines) == sorted(written) or not run.is_ours and set(lines) < set(written))


def test_an_execs_output_is_added_to_a_file_of_a_bare_path(run, containerd, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    run(f"file://{tmp_path}/outer", "outer", "sleep", "600", flags=("--detach",))
    containerd.ctr("tasks", "exec", "--exec-id", "inner", "--log-uri", log, "outer", "sh", "-c", "echo within; exit 3", check=False)
    wait_until(lambda: log.read_text() == "before\nwithin\n", "the exec's output")


def test_a_file_has_every_line_when_the_task_is_deleted(run, tmp_path):
    run(f"file://{tmp_path}/log", "much", "seq", "1", "100000", flags=("--rm",))
    has_all(run, tmp_path / "log", "".join(f"{number}\n" for number in range(1, 100001)))


def test_a_payload_has_a_pipe_and_not_the_file(run, tmp_path):
    """Else it could cut the log off."""
    run(f"file://{tmp_path}/log", "looks", "sh", "-c", "echo before; [ -p /proc/self/fd/1 ] && echo a pipe; : > /dev/stdout", flags=("--rm",))
    has_all(run, tmp_path / "log", "before\na pipe\n")


def test_a_program_has_both_streams_its_arguments_and_the_containers_name(run, program, tmp_path):
    run(f"binary://{program}?folder={tmp_path}&two+words=a%26b&flag", "named", "sh", "-c", "seq 1 50000; echo err >&2", flags=("--rm",))
    called = call(tmp_path)
    arguments = dict(zip(called["arguments"][::2], called["arguments"][1::2]))
    assert arguments == {"folder": str(tmp_path), "two words": "a&b", "flag": ""}
    environment = called["environment"]
    assert (environment["CONTAINER_ID"], environment["CONTAINER_NAMESPACE"]) == ("named", "default") and "PATH" not in environment
    assert called["standard"] == ["/dev/null"] * 3
    assert (tmp_path / "out").read_text().splitlines() == [str(number) for number in range(1, 50001)]
    assert (tmp_path / "err").read_text() == "err\n"
    # It is told to end with the task, and has.
    wait_until(lambda: not alive(called["pid"]), "the program to end")


def test_a_program_that_is_killed_ends_no_payload(run, containerd, program, tmp_path):
    run(f"binary://{program}?folder={tmp_path}", "lives", "sh", "-c", "while :; do echo line; usleep 10000; done", flags=("--detach",))
    wait_until(lambda: (tmp_path / "out").exists() and (tmp_path / "out").stat().st_size > 100, "the first lines")
    pid = int(re.search(r"lives\s+(\d+)\s+RUNNING", containerd.ctr("tasks", "list").stdout.decode())[1])
    logger = json.loads((tmp_path / "call").read_text())["pid"]
    os.kill(logger, signal.SIGKILL)
    wait_until(lambda: not alive(logger), "the program to end")
    # Long enough for the payload to write, which SIGPIPE would be the end of.
    assert containerd.ctr("tasks", "exec", "--exec-id", "one", "lives", "usleep", "300000", check=False).returncode == 0
    assert alive(pid)


def test_an_execs_output_goes_to_a_program_of_its_own(run, containerd, program, tmp_path):
    run(f"file://{tmp_path}/log", "outer", "sleep", "600", flags=("--detach",))
    address = ("--log-uri", f"binary://{program}?folder={tmp_path}")
    containerd.ctr("tasks", "exec", "--exec-id", "inner", *address, "outer", "sh", "-c", "echo within; exit 3", check=False)
    assert call(tmp_path)["environment"]["CONTAINER_ID"] == "inner" and (tmp_path / "out").read_text() == "within\n"


@pytest.mark.parametrize("address, words", [
    ("binary:///no/such/program", "no such file|ENOENT"), ("npipe:///somewhere", "unknown STDIO scheme"),
    ("file:///proc/no/such/place", "no such file|ENOENT")])
def test_what_output_cannot_go_to_is_the_end_of_a_run(run, containerd, address, words):
    done = run(address, "refused", "true", flags=("--rm",), check=False)
    assert done.returncode != 0 and re.search(words, done.stderr.decode()), done
    wait_until(lambda: not containerd.shims(), "the shim to end")


# --- by the shim alone ------------------------------------------------------------------------------------------

def begin(shim, address, *words, terminal=False, errors=None):
    """As containerd does, up to Create."""
    shim.make_bundle(*words, terminal=terminal)
    (shim.bundle / "log").touch()
    shim.begin()
    shim.task("Create", f2=str(shim.bundle), f4=terminal, f6=address, f7=errors or address,
              f10=any_of("containerd.runc.v1.Options", message(f6=shim.runtime)))


def run_on_terminal(shim, address):
    begin(shim, address, "sh", "-c", "tty; seq 1 1000", terminal=True)
    shim.start()
    shim.wait()
    shim.delete()


@pytest.mark.parametrize("has_reader", [False, True])
def test_a_fifo_is_no_file_and_holds_up_nothing(shim, has_reader):
    """Opened as a file it would be waited for, and written to by the thread that all of the disk's work has."""
    fifo = shim.folder / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK) if has_reader else None
    with pytest.raises(Refused, match="regular file|ENXIO|[Nn]o such device"):
        begin(shim, f"file://{fifo}", "seq", "1", "100000")
    assert shim.task("Connect")[1] == shim.pid
    if reader is not None:
        os.close(reader)


@pytest.fixture
def full_disk():
    folder = Path(tempfile.mkdtemp(prefix="apus-full-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    with open(folder / "filler", "wb", 0) as filler:
        while True:
            try:
                filler.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                break
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


def test_a_delete_is_answered_when_the_disk_has_taken_what_it_refused_before(full_disk, shim):
    begin(shim, f"file://{full_disk}/log", "seq", "1", "1000")
    shim.start()
    wait_until(lambda: "ENOSPC" in (shim.bundle / "log").read_text(), "the refusal")
    shim.task("Wait")
    stream = shim.connection.open(TASK, "Delete", message(f1=shim.id))
    (full_disk / "filler").unlink()
    shim.connection.answer(stream)
    assert lines(full_disk / "log") == [str(number) for number in range(1, 1001)]


def test_what_a_disk_never_takes_holds_a_delete_up_for_a_while_only(full_disk, shim):
    begin(shim, f"file://{full_disk}/log", "seq", "1", "1000")
    shim.start()
    shim.task("Wait")
    shim.delete()
    assert re.search(r"3893 bytes are not written after 5", (shim.bundle / "log").read_text())


def lines(path):
    return path.read_text().replace("\r\n", "\n").splitlines()


def test_a_terminals_output_goes_to_a_file(shim):
    run_on_terminal(shim, f"file://{shim.folder}/out/log")
    assert lines(shim.folder / "out/log") == ["/dev/pts/0", *(str(number) for number in range(1, 1001))]


def test_a_terminals_output_goes_to_a_program(shim, program, tmp_path):
    run_on_terminal(shim, f"binary://{program}?folder={tmp_path}")
    assert not alive(call(tmp_path)["pid"])
    assert lines(tmp_path / "out") == ["/dev/pts/0", *(str(number) for number in range(1, 1001))] and lines(tmp_path / "err") == []


def test_a_terminals_output_is_added_to_a_file_of_a_bare_path(shim):
    log = shim.folder / "out"
    log.write_text("before\n")
    run_on_terminal(shim, str(log))
    assert lines(log) == ["before", "/dev/pts/0", *(str(number) for number in range(1, 1001))]


def test_streams_of_two_bare_paths_go_to_a_file_each(shim):
    out, err = shim.folder / "out", shim.folder / "err"
    for log in (out, err):
        log.write_text("before\n")
    begin(shim, str(out), "sh", "-c", "echo out; echo err >&2", errors=str(err))
    shim.start()
    shim.wait()
    shim.delete()
    assert (out.read_text(), err.read_text()) == ("before\nout\n", "before\nerr\n")


def test_a_bare_path_without_a_file_is_refused(shim):
    with pytest.raises(Refused, match="[Nn]o such file|ENOENT"):
        begin(shim, str(shim.folder / "nothing"), "true")
    assert not (shim.folder / "nothing").exists()


@pytest.mark.parametrize("terminal, count", [(False, 30_000), (True, 18_000)], ids=["pipe", "terminal"])
def test_what_an_exec_wrote_waits_for_a_client_that_reads_late(shim, terminal, count):
    """Its pipe, the shim and the FIFO hold what it has written, and the exec may be deleted meanwhile."""
    fifo = shim.folder / "fifo"
    begin(shim, "/dev/null", "sleep", "600")
    shim.start()
    os.mkfifo(fifo)
    with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        os.set_blocking(reader.fileno(), True)
        document = {"args": ["seq", "1", str(count)], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "terminal": terminal}
        process = message(f1="types.containerd.io/opencontainers/runtime-spec/1/Process", f2=json.dumps(document))
        shim.task("Exec", f2="late", f3=terminal, f5=str(fifo), f7=process)
        shim.start("late")
        assert shim.wait("late")[2] == 0
        shim.task("Delete", f2="late")
        assert reader.read().split() == [b"%d" % number for number in range(1, count + 1)]
