"""Row S06: payloads that write without an end, readers that stall, and logs larger than anybody reads."""

import datetime
import os
import re
import subprocess
import time

import leaks
import pytest
from engine_http import api
from processes import PATIENCE, wait_until

# Twenty for ten minutes: `APUS_FLOODS=20 APUS_FLOOD_SECONDS=600`.
FLOODS, FLOOD_SECONDS = int(os.environ.get("APUS_FLOODS", "4")), int(os.environ.get("APUS_FLOOD_SECONDS", "3"))
# Ten gigabytes: `APUS_LOG_BYTES=10000000000`.
LOG_BYTES = int(os.environ.get("APUS_LOG_BYTES", "40000000"))
MEGABYTE = 1_000_000
# What a follower who stalls has kept for it, docs/decisions/0063-followers-and-rotation.md.
FOLLOWED_BYTES = 256 << 20


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024


def taken(folder):
    """Bytes on the disk."""
    paths = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    return sum(size(path) for path in paths)


def size(path):
    try:
        return os.stat(path).st_blocks * 512
    except FileNotFoundError:
        return 0


def read_by(process):
    """Bytes that it has read from anywhere."""
    with open(f"/proc/{process}/io", encoding="ascii") as file:
        return int(re.search(r"rchar: (\d+)", file.read())[1])


def test_S06_floods_are_held_by_neither_memory_nor_disk(own_daemon, apus, image, tmp_path):
    """Nor by a client that stalls: every payload writes on. Each says itself how far it is, as its log is soon gone."""
    script = "while :; do yes 'a line that comes again' | head -n 20000; i=$((i+1)); echo $i > /data/$HOSTNAME; done"
    names = [f"flood{number}" for number in range(FLOODS)]
    for name in names:
        apus("run", "-d", "--name", name, "-h", name, "-v", f"{tmp_path}:/data", "--log-opt", "max-size=1m", "--log-opt", "max-file=3",
             image, "sh", "-c", script).ok()
    stalled = apus.start("logs", "-f", names[0], stdout=subprocess.PIPE)
    folders = [f"{own_daemon.data}/containers/{apus.inspect(name, '{{.Id}}')}" for name in names]

    def rounds(name):
        return int((tmp_path / name).read_text() or 0) if (tmp_path / name).exists() else 0

    try:
        for name in names:
            wait_until(lambda name=name: rounds(name) > 1, f"{name} writes", seconds=60)
        processes = [own_daemon.process.pid, *own_daemon.shims()]
        before, until = {pid: resident(pid) for pid in processes}, time.monotonic() + FLOOD_SECONDS
        while True:
            reached = {name: rounds(name) for name in names}
            for name in names:
                wait_until(lambda name=name: rounds(name) > reached[name] + 2, f"{name} writes on", seconds=60)  # noqa: B023
            for name, folder in zip(names, folders):
                # Three files and one that is being compressed, beside the rest of a container's files.
                assert taken(folder) < 6 * MEGABYTE + (FOLLOWED_BYTES + 2 * MEGABYTE if name == names[0] else 0), name
            if time.monotonic() > until:
                break
            time.sleep(1)
        grown = {pid: resident(pid) - before[pid] for pid in processes}
        assert grown[processes[0]] < 20 * MEGABYTE and all(grown[pid] < 2 * MEGABYTE for pid in processes[1:]), grown
        assert apus("logs", "--tail", "1", names[-1]).line() == "a line that comes again"
    finally:
        stalled.kill()
        stalled.wait()
    # Whatever the shim moves there while it goes: else no file that rotation takes away would ever be removed.
    wait_until(lambda: not [name for name in os.listdir(folders[0]) if name.startswith("log.followed")], "nothing is kept for who is gone", seconds=60)
    apus("rm", "-f", *names).ok()
    wait_until(lambda: not any(os.path.exists(folder) for folder in folders), "nothing is left of them")
    assert not leaks.mounts(str(tmp_path))


@pytest.mark.parametrize("size", ["1m", "100m"], ids=["rotated often", "one file"])
def test_S06_a_flood_does_not_hold_its_reader_who_has_what_was_written_before_it_asked(own_daemon, apus, image, size):
    """As many lines as were asked for, and whole logs whose last line is about as old as the question."""
    apus("run", "-d", "--name", "flood", "--log-opt", f"max-size={size}", "--log-opt", "max-file=2", image,
         "sh", "-c", "n=0; while :; do n=$((n+1)); yes $n | head -n 5000; done").ok()
    wait_until(lambda: int(apus("logs", "--tail", "1", "flood").line() or 0) > 20, "it floods", seconds=60)
    for _ in range(4):
        last = int(apus("logs", "--tail", "1", "flood", timeout=10).line())
        lines = apus("logs", "--tail", "7000", "flood", timeout=20).ok().split()
        assert len(lines) == 7000 and int(lines[-1]) >= last
    asked = time.time()
    moment = apus("logs", "-t", "flood", timeout=60).ok().splitlines()[-1].split()[0]
    written = datetime.datetime.fromisoformat(moment[:26] + "+00:00").timestamp()
    # The client's own beginning lies between them. Without an end of its own the answer goes on as long as the flood.
    assert written - asked < 5 * PATIENCE
    assert int(apus("logs", "--tail", "1", "flood").line()) > last
    apus("rm", "-f", "flood").ok()


def test_S06_a_moment_in_a_huge_log_is_found_without_reading_it(own_daemon, apus, image):
    """Whatever its size: the daemon reads little more than what it shows."""
    line = "x" * 1000
    apus("run", "-d", "--name", "huge", "--log-opt", f"max-size={LOG_BYTES * 2}", image,
         "sh", "-c", f"yes {line} | head -c {LOG_BYTES}; echo; sleep 1; echo last").ok()
    assert apus("wait", "huge", timeout=3600).line() == "0"
    last = apus("logs", "-t", "--tail", "1", "huge").line()
    assert last.endswith(" last")
    moment = last.split()[0]
    took, before = [], read_by(own_daemon.process.pid)
    for _ in range(5):
        began = time.monotonic()
        assert apus("logs", "--since", moment, "huge").ok() == "last\n"
        took.append(time.monotonic() - began)
    read = (read_by(own_daemon.process.pid) - before) // 5
    assert read < 2 * MEGABYTE, read
    print(f"{LOG_BYTES} bytes: {min(took) * 1000:.0f} ms with the client's beginning, {read} bytes read")
    # Where it would tell: reading ten gigabytes takes seconds.
    assert LOG_BYTES < 10**10 or min(took) < 0.1, took
    assert api(own_daemon, "GET", "/containers/huge/json")[1]["State"]["ExitCode"] == 0
