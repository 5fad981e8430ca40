"""The log, and what is told of a container, where a shim takes over while something is in its way."""
import os
import signal
from pathlib import Path

from shim_client import alive, log_text, message, parse, read_log, wait_until
from shim_fixtures import shim, shims, small_disk  # noqa: F401
from test_shim_logs import stalled_disk

SCRIPT = """
echo begin; while [ ! -e /tmp/go ]; do usleep 10000; done
yes %s | head -n 5000; : > /tmp/written; while [ ! -e /tmp/end ]; do usleep 10000; done; echo end
""" % ("x" * 999)
LITTLE = SCRIPT.replace(SCRIPT.splitlines()[2], "seq 1 5; while [ ! -e /tmp/end ]; do usleep 10000; done; echo end")


def kill_shim(shim):
    os.kill(shim.pid, signal.SIGKILL)
    wait_until(lambda: not alive(shim.pid), "the shim to end")


def adopt(shim):
    done = shim.command("adopt")
    assert done.returncode == 0, done.stderr
    shim.connect()
    shim.pid = int((shim.directory / "pid").read_text().split()[0])


def test_a_shim_that_takes_over_on_a_full_disk_goes_on_with_the_log_once_there_is_room(shim):
    """The one before was killed in the middle of a rotation: the current file is empty, and the disk refuses its first byte."""
    shim.make_bundle("sh", "-c", SCRIPT)
    with small_disk(shim, 64) as resize:
        shim.begin()
        shim.create(files=3)
        shim.start()
        wait_until(lambda: shim.log.stat().st_size > 24 and log_text(shim.log) == b"begin\n", "the payload")
        kill_shim(shim)
        number, _ = read_log(shim.log)
        shim.log.rename(f"{shim.log}.1")
        shim.log.touch()
        try:
            (shim.log.parent / "filler").write_bytes(bytes(1 << 20))
        except OSError:
            pass
        adopt(shim)
        tmp, spool = shim.bundle / "rootfs/tmp", shim.directory / "stdout"
        (tmp / "go").touch()
        wait_until((tmp / "written").exists, "the payload to go on")
        wait_until(lambda: shim.supervise("SynchronizeLog") == {} and shim.supervise("Describe")[6] > 4_000_000, "the loss")
        assert spool.stat().st_blocks * 512 < 1 << 20 and shim.log.stat().st_size == 0
        resize(4096)
        (tmp / "end").touch()
        shim.wait()
        lines = log_text(shim.log).decode().splitlines()
        told = [line for line in lines if line.startswith("[apus: ")]
        assert lines[-1] == "end" and f"write {shim.log}: ENOSPC" in told[0]
        assert sum(int(line.split()[1]) for line in told) == shim.supervise("Describe")[6]
        assert read_log(shim.log)[0] == number + 1
        shim.delete()
        shim.shut_down()


def test_a_copy_that_cannot_be_opened_costs_the_log_nothing_and_is_made_later(shim):
    copy = shim.folder / "copy"
    shim.run("sh", "-c", LITTLE, options={"delivery": message(f6=message(f1=str(copy)))})
    wait_until(lambda: copy.exists() and copy.read_bytes().count(b"\n") == 1, "the first line's copy")
    kill_shim(shim)
    copy.rename(f"{copy}.kept")
    copy.mkdir()
    adopt(shim)
    tmp = shim.bundle / "rootfs/tmp"
    (tmp / "go").touch()
    wait_until(lambda: log_text(shim.log) == b"begin\n1\n2\n3\n4\n5\n", "the lines")
    copy.rmdir()

    def copied():
        assert shim.supervise("SynchronizeLog") == {}
        return copy.exists() and copy.read_bytes().count(b"\n") == 5

    wait_until(copied, "their copy")
    (tmp / "end").touch()
    shim.wait()
    assert log_text(shim.log).endswith(b"5\nend\n") and b"end\\n" in copy.read_bytes().splitlines()[-1]


def test_times_in_the_log_do_not_go_back_when_another_shim_takes_over(shim):
    shim.run("sh", "-c", LITTLE)
    wait_until(lambda: log_text(shim.log) == b"begin\n", "the payload")
    kill_shim(shim)
    # As if the clock had been an hour ahead, and was set since.
    data = bytearray(shim.log.read_bytes())
    later = int.from_bytes(data[28:36], "little") + 3_600_000_000_000
    data[28:36] = later.to_bytes(8, "little")
    shim.log.write_bytes(data)
    adopt(shim)
    tmp = shim.bundle / "rootfs/tmp"
    for name in ("go", "end"):
        (tmp / name).touch()
    shim.wait()
    times = [record[0] for record in read_log(shim.log)[1]]
    assert len(times) == 7 and times == sorted(times) and times[0] == later


def test_an_end_is_told_although_the_disk_stalls_and_is_recorded_when_it_goes_on(shim):
    shim.run("sleep", "60")
    with stalled_disk(shim.pid):
        shim.task("Kill", f3=9)
        assert shim.wait()[2] == 137
        assert not shim.exit_record.exists()
    wait_until(shim.exit_record.exists, "the record")
    shim.delete()
    shim.shut_down()


def test_S08_a_process_that_ran_out_of_memory_while_no_shim_was_there_is_told_by_the_next_one(shim):
    """Not the first one, which lives on."""
    shim.make_bundle("sh", "-c", "while [ ! -e /tmp/go ]; do usleep 10000; done; tail -c 300000000 /dev/zero; : > /tmp/over; sleep 60",
                     memory=16 << 20)
    shim.begin()
    shim.create()
    shim.start()
    kill_shim(shim)
    tmp = shim.bundle / "rootfs/tmp"
    (tmp / "go").touch()
    wait_until((tmp / "over").exists, "the process to be killed", 60)
    adopt(shim)

    def kinds():
        return [parse(change)[2] for change in shim.supervise("Follow").get(-1, [])]

    wait_until(lambda: kinds().count(5) == 1, "the notice")
    shim.task("Kill", f3=9)
    assert shim.wait()[2] == 137 and kinds().count(5) == 1
