"""The log when its disk stalls or is full, and when it is cleared."""
import contextlib
import ctypes
import os
import signal
import struct
import subprocess
from pathlib import Path

import pytest
from shim_client import FAILED_PRECONDITION, Refused, alive, log_text, message, read_log, wait_until
from shim_fixtures import shim, shims, small_disk  # noqa: F401

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


def stall_disk(pid):
    """Until the process ends, or its threads are detached from."""
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
    for thread in threads:
        assert LIBC.ptrace(PTRACE_SEIZE, thread, None, None) == 0, ctypes.get_errno()
        assert LIBC.ptrace(PTRACE_INTERRUPT, thread, None, None) == 0, ctypes.get_errno()
        os.waitpid(thread, WALL)
    return threads


@contextlib.contextmanager
def stalled_disk(pid):
    """The thread that writes to disk stands still, as it does in a write to a disk that does not answer."""
    threads = stall_disk(pid)
    try:
        yield
    finally:
        for thread in threads:
            assert LIBC.ptrace(PTRACE_DETACH, thread, None, None) == 0, ctypes.get_errno()


def non_blocking(buffer_bytes):
    return {"delivery": message(f2=True, f3=buffer_bytes)}


SCRIPT = "echo begin; while [ ! -e /tmp/go ]; do usleep 10000; done; seq 1 100000; : > /tmp/written; while [ ! -e /tmp/end ]; do usleep 10000; done; echo end"


def test_S06_a_stalled_disk_does_not_hold_up_a_payload_that_shall_not_wait_and_what_is_dropped_is_counted(shim):
    shim.run("sh", "-c", SCRIPT, options=non_blocking(100_000))
    wait_until(lambda: log_text(shim.log) == b"begin\n", "the payload")
    tmp = shim.bundle / "rootfs/tmp"
    with stalled_disk(shim.pid):
        (tmp / "go").touch()
        wait_until((tmp / "written").exists, "the payload to go on")
    wait_until(lambda: b"[apus: " in log_text(shim.log), "the marker, though nothing more is written")
    (tmp / "end").touch()
    shim.wait()
    lines = log_text(shim.log).decode().splitlines()
    assert lines[0] == "begin" and lines[-1] == "end"
    markers = [place for place, line in enumerate(lines) if line.startswith("[apus: ")]
    dropped = sum(int(lines[place].split()[1]) for place in markers)
    assert dropped == shim.supervise("Describe")[6] > 400_000
    assert all(lines[place].endswith("bytes of output were dropped here: the log's disk did not keep up]") for place in markers)
    kept = "\n".join(lines[1:markers[0]])
    assert "\n".join(map(str, range(1, 100_001))).startswith(kept) and len(kept) <= 100_000 + 65_536


def test_S06_what_is_dropped_while_the_disk_stalls_takes_no_room(shim):
    """Twenty megabytes, where a hundred kilobytes may wait."""
    shim.run("sh", "-c", SCRIPT.replace("100000", "2800000"), options=non_blocking(100_000))
    wait_until(lambda: log_text(shim.log) == b"begin\n", "the payload")
    tmp, spool = shim.bundle / "rootfs/tmp", shim.directory / "stdout"
    with stalled_disk(shim.pid):
        (tmp / "go").touch()
        wait_until((tmp / "written").exists, "the payload to go on")
        wait_until(lambda: spool.stat().st_size > 20_000_000, "all of it to be taken")
        assert spool.stat().st_blocks * 512 < 1 << 20
    wait_until(lambda: b"[apus: " in log_text(shim.log), "the marker, though nothing more is written")
    (tmp / "end").touch()
    shim.wait()
    lines = log_text(shim.log).decode().splitlines()
    dropped = sum(int(line.split()[1]) for line in lines if line.startswith("[apus: "))
    assert dropped == shim.supervise("Describe")[6] > 20_000_000
    assert lines[0] == "begin" and lines[-1] == "end" and not any("\0" in line for line in lines)


def test_S06_what_a_killed_shim_had_dropped_is_told_by_the_next_one(shim):
    """It was killed while the disk stalled, before it could tell the log."""
    shim.run("sh", "-c", SCRIPT, options=non_blocking(100_000))
    wait_until(lambda: log_text(shim.log) == b"begin\n", "the payload")
    tmp = shim.bundle / "rootfs/tmp"
    threads = stall_disk(shim.pid)
    (tmp / "go").touch()
    wait_until((tmp / "written").exists, "the payload to go on")
    os.kill(shim.pid, signal.SIGKILL)
    for thread in threads:
        os.waitpid(thread, WALL)
    wait_until(lambda: not alive(shim.pid), "the shim to end")
    done = shim.command("adopt")
    assert done.returncode == 0, done.stderr
    shim.connect()
    shim.pid = int((shim.directory / "pid").read_text().split()[0])
    (tmp / "end").touch()
    wait_until(lambda: log_text(shim.log).endswith(b"end\n"), "the end")
    lines = log_text(shim.log).decode().splitlines()
    assert lines[0] == "begin" and not any("\0" in line for line in lines)
    written = "".join(f"{line}\n" for line in ("begin", *range(1, 100_001), "end"))
    assert dropped_bytes(lines, written) > 300_000


def dropped_bytes(lines, written):
    """How much markers in a log stand for. Between them nothing is missing, but for the newline that may be the first byte that was dropped."""
    places, total, piece = {0}, 0, []
    for line in [*lines, "[apus: 0"]:
        if not line.startswith("[apus: "):
            piece.append(line)
            continue
        dropped, text, piece = int(line.split()[1]), "\n".join(piece), []
        total += dropped
        ends = {place + len(text) for place in places if written.startswith(text, place)}
        places = {end + dropped for end in ends} | {end + 1 + dropped for end in ends if written[end:end + 1] == "\n"}
    assert len(written) in places
    return total


def test_S06_a_stalled_disk_holds_up_a_payload_that_shall_wait_and_nothing_is_missing(shim):
    shim.run("sh", "-c", SCRIPT)
    wait_until(lambda: log_text(shim.log) == b"begin\n", "the payload")
    tmp = shim.bundle / "rootfs/tmp"
    with stalled_disk(shim.pid):
        (tmp / "go").touch()
        # The shim is idle because all is full, and says so to whoever asks.
        wait_until(lambda: Path(f"/proc/{shim.pid}/wchan").read_text() == "do_epoll_wait", "the shim to be idle")
        assert shim.supervise("Describe")[2] == shim.pid and not (tmp / "written").exists()
    (tmp / "end").touch()
    shim.wait()
    assert log_text(shim.log).decode().split() == ["begin", *map(str, range(1, 100_001)), "end"]


def test_a_disk_that_has_room_again_is_told_what_is_missing(shim):
    shim.make_bundle("sh", "-c", SCRIPT)
    with small_disk(shim, 256) as resize:
        shim.begin()
        shim.create()
        shim.start()
        tmp = shim.bundle / "rootfs/tmp"
        (tmp / "go").touch()
        wait_until((tmp / "written").exists, "the payload to go on")
        wait_until(lambda: shim.supervise("SynchronizeLog") == {} and shim.supervise("Describe").get(6, 0) > 0, "the loss")
        resize(4096)
        (tmp / "end").touch()
        shim.wait()
        lines = log_text(shim.log).decode().splitlines()
        told = [line for line in lines if line.startswith("[apus: ")]
        assert lines[-1] == "end" and f"write {shim.log}: ENOSPC" in told[-1]
        assert sum(int(line.split()[1]) for line in told) == shim.supervise("Describe")[6]
        shim.delete()
        shim.shut_down()


def test_what_is_logged_can_be_cleared_meanwhile(shim):
    shim.run("sh", "-c", "seq 1 20000; while [ ! -e /tmp/go ]; do usleep 10000; done; echo after", options={"file_bytes": 100_000, "files": 3})
    wait_until(lambda: shim.supervise("SynchronizeLog") == {} and log_text(shim.log).endswith(b"\n20000\n"), "the lines")
    before, _ = read_log(shim.log)
    assert shim.supervise("ClearLog") == {}
    assert read_log(shim.log) == (before + 1, [])
    assert sorted(path.name for path in shim.log.parent.glob("box.log*")) == ["box.log", "box.log.index"]
    (shim.bundle / "rootfs/tmp/go").touch()
    shim.wait()
    assert log_text(shim.log) == b"after\n"


def test_a_container_without_a_log_has_none_to_clear(shim):
    shim.log = ""
    shim.run("sleep", "60")
    with pytest.raises(Refused) as refused:
        shim.supervise("ClearLog")
    assert refused.value.code == FAILED_PRECONDITION


ZSTD = b"\x28\xb5\x2f\xfd"


def test_files_that_are_written_no_more_are_compressed_without_a_daemon_and_nothing_is_missing(shim):
    script = "for part in 1 2 3 4 5 6; do seq $((part*20000-19999)) $((part*20000)); while [ ! -e /tmp/go$part ]; do usleep 10000; done; done"
    shim.run("sh", "-c", script, options={"file_bytes": 700_000, "files": 4, "delivery": message(f1=True)})
    older = [Path(f"{shim.log}.{number}") for number in (1, 2, 3)]
    for part in range(1, 7):
        wait_until(lambda: shim.supervise("SynchronizeLog") == {} and log_text(shim.log).endswith(f"\n{part * 20_000}\n".encode()), "the lines")
        wait_until(lambda: all(path.read_bytes()[:4] == ZSTD for path in older if path.exists()), "the compression")
        (shim.bundle / f"rootfs/tmp/go{part}").touch()
    shim.wait()
    shim.delete()
    shim.shut_down()
    text = b""
    for path in reversed(older):
        assert path.read_bytes()[:4] == ZSTD and path.stat().st_size < 350_000
        plain = shim.folder / "plain"
        plain.write_bytes(subprocess.run(["zstd", "-dc"], input=path.read_bytes(), capture_output=True, check=True).stdout)
        text += log_text(plain)
    numbers = [int(word) for word in (text + log_text(shim.log)).split()]
    assert numbers == list(range(numbers[0], 120_001)) and len(numbers) > 80_000
    assert not Path(f"{shim.log}.packing").exists() and Path(f"{shim.log}.3.index").exists()


def test_what_a_killed_shim_left_uncompressed_is_compressed_by_the_next_one(shim):
    record = struct.pack("<IqBBH", 5, 1, 1, 0, 0) + b"first" + struct.pack("<I", 5)
    for name, sequence in ((f"{shim.log}.1", 6), (f"{shim.log}", 7)):
        Path(name).write_bytes(b"APUSLOG\n" + struct.pack("<IIQ", 1, 0, sequence) + record * 9)
    Path(f"{shim.log}.packing").write_bytes(b"torn")
    shim.run("sleep", "60", options={"files": 2, "delivery": message(f1=True)})
    wait_until(lambda: Path(f"{shim.log}.1").read_bytes()[:4] == ZSTD, "the compression")
    wait_until(lambda: not Path(f"{shim.log}.packing").exists(), "the working file to go")
