"""Standard streams: the log, attach clients, terminals, and what happens when somebody does not read."""
# Rows: features
import struct
import time
from pathlib import Path

import pytest
from shim_client import (FAILED_PRECONDITION, RESOURCE_EXHAUSTED, STDERR, STDOUT, Refused, log_text, message, read_log,
                         wait_until)
from shim_fixtures import shim, shims, small_disk  # noqa: F401


def resident_kilobytes(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


# --- the log --------------------------------------------------------------------------------------------------

def test_lines_longer_than_a_record_are_partial_records_of_16_kib(shim):
    shim.run("sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short; head -c 16384 /dev/zero | tr '\\0' y; echo; printf end")
    shim.wait()
    _, records = read_log(shim.log)
    assert [(len(text), partial) for _, _, partial, text in records] == [
        (16384, True), (16384, True), (7232, False), (5, False), (16384, False), (3, True)]
    assert log_text(shim.log) == b"x" * 40000 + b"\nshort\n" + b"y" * 16384 + b"\nend"


def test_bytes_of_any_kind_come_back_as_they_were(shim):
    shim.run("sh", "-c", "printf '\\000\\001\\377\\n\\n\\n\\r\\n\\303\\050\\n'")
    shim.wait()
    assert log_text(shim.log) == b"\0\1\xff\n\n\n\r\n\xc3\x28\n"


def test_times_in_the_log_are_of_the_writing_and_never_go_back(shim):
    before = time.time_ns()
    shim.run("sh", "-c", "echo a; while [ ! -e /tmp/go ]; do usleep 10000; done; echo b")
    wait_until(lambda: shim.supervise("SynchronizeLog") == {} and log_text(shim.log) == b"a\n", "the first line")
    between = time.time_ns()
    (shim.bundle / "rootfs/tmp/go").touch()
    shim.wait()
    (first, *_), (second, *_) = read_log(shim.log)[1]
    assert before < first < between < second < time.time_ns()


def test_the_log_is_rotated_by_size_and_keeps_as_many_files_as_it_may(shim):
    shim.run("sh", "-c", "seq 1 20000", options={"file_bytes": 100_000, "files": 3})
    shim.wait()
    paths = [Path(f"{shim.log}.2"), Path(f"{shim.log}.1"), shim.log]
    assert all(path.stat().st_size <= 100_000 for path in paths) and not Path(f"{shim.log}.3").exists()
    sequences = [read_log(path)[0] for path in paths]
    assert sequences == list(range(sequences[0], sequences[0] + 3)) and sequences[0] > 1
    numbers = [int(line) for path in paths for line in log_text(path).split()]
    assert numbers == list(range(numbers[0], 20001)), "what is kept has no gap"


def test_a_log_of_one_file_begins_anew_when_it_is_full(shim):
    shim.run("seq", "1", "20000", options={"file_bytes": 50_000, "files": 1})
    shim.wait()
    assert shim.log.stat().st_size <= 50_000 and not Path(f"{shim.log}.1").exists()
    assert log_text(shim.log).endswith(b"\n20000\n")


def test_a_log_is_gone_on_with_and_its_torn_tail_cut_off(shim):
    record = struct.pack("<IqBBH", 5, 1, 1, 0, 0) + b"first" + struct.pack("<I", 5)
    shim.log.write_bytes(b"APUSLOG\n" + struct.pack("<IIQ", 1, 0, 7) + record + record[:-3])
    shim.run("echo", "second")
    shim.wait()
    assert read_log(shim.log)[0] == 7 and log_text(shim.log) == b"first\nsecond\n"


def test_D18_a_big_log_is_gone_on_with_from_the_last_place_that_its_index_knows(shim):
    record = struct.pack("<IqBBH", 5, 1, 1, 0, 0) + b"first" + struct.pack("<I", 5)
    place = 1 << 30
    with open(shim.log, "wb") as log:
        log.write(b"APUSLOG\n" + struct.pack("<IIQ", 1, 0, 7))
        # A hole of zeros: whoever read it as records would cut off all that follows.
        log.seek(place - len(record))
        log.write(record * 2 + record[:-3])
    header = b"APUSIDX\n" + struct.pack("<IIQ", 1, 0, 7)
    # Of the last three, one points into a record, one past the end, and one is torn.
    index = Path(f"{shim.log}.index")
    index.write_bytes(header + struct.pack("<Qq", place, 1) + struct.pack("<Qq", place + 9, 1) + struct.pack("<Qq", place * 2, 1) + b"torn")
    shim.run("echo", "second", options={"file_bytes": 2 << 30})
    shim.wait()
    with open(shim.log, "rb") as log:
        log.seek(place)
        found = log.read()
    assert found.startswith(record) and b"second" in found and len(found) == len(record) + 26
    assert index.read_bytes() == header + struct.pack("<Qq", place, 1)


def test_D18_the_index_knows_where_records_begin_and_moves_with_its_log(shim):
    shim.run("sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x | fold -w 99", options={"file_bytes": 500_000, "files": 3})
    shim.wait()
    for path in [Path(f"{shim.log}.1"), shim.log]:
        index = Path(f"{path}.index").read_bytes()
        assert index[:8] == b"APUSIDX\n" and index[16:24] == path.read_bytes()[16:24]
        begins, place = {}, 24
        for time_, _, _, text in read_log(path)[1]:
            begins[place] = time_
            place += 20 + len(text)
        begins[place] = 1 << 62
        entries = [struct.unpack_from("<Qq", index, start) for start in range(24, len(index), 16)]
        assert len(entries) >= 3 or path == shim.log
        for offset, newest in entries:
            assert offset in begins and max(when for start, when in begins.items() if start < offset) <= newest <= begins[offset]


def test_a_file_that_is_no_log_is_put_aside_and_kept(shim):
    shim.log.write_bytes(b"precious")
    shim.run("echo", "hello")
    shim.wait()
    assert log_text(shim.log) == b"hello\n" and Path(f"{shim.log}.1").read_bytes() == b"precious"


def test_a_log_that_cannot_be_opened_is_a_refused_create(shim):
    shim.log.mkdir()
    shim.make_bundle("true")
    shim.begin()
    with pytest.raises(Refused) as refused:
        shim.create()
    assert str(shim.log) in refused.value.text and "EISDIR" in refused.value.text


def test_a_full_disk_loses_lines_counts_them_and_holds_up_nobody(shim):
    shim.make_bundle("sh", "-c", "while [ ! -e /tmp/go ]; do usleep 10000; done; seq 1 100000; exit 9")
    with small_disk(shim, 64):
        shim.begin()
        shim.create()
        shim.start()
        (shim.bundle / "rootfs/tmp/go").touch()
        assert shim.wait()[2] == 9
        lines = log_text(shim.log).decode().splitlines()
        kept = [int(line) for line in lines if not line.startswith("[apus: ")]
        assert kept == sorted(set(kept)) and set(kept) <= set(range(1, 100_001)), "what is there is whole and in order"
        lost = shim.supervise("Describe")[6]
        told = [int(line.split()[1]) for line in lines if line.startswith("[apus: ") and "ENOSPC" in line]
        assert told and sum(told) <= lost, "what could be told is told where it is missing"
        assert lost > 0 and lost + sum(len(str(n)) for n in kept) == sum(len(str(n)) for n in range(1, 100_001))
        shim.delete()
        shim.shut_down()


def test_synchronizing_shows_what_was_written_so_far(shim):
    shim.run("sh", "-c", "echo now; sleep 60")
    wait_until(lambda: shim.supervise("SynchronizeLog") == {} and log_text(shim.log) == b"now\n", "the line")


def test_a_flood_is_logged_in_bounded_memory(shim):
    wait = "while [ ! -e /tmp/go ]; do usleep 10000; done"
    shim.run("sh", "-c", f"echo ready; {wait}; head -c 100000000 /dev/zero; yes | head -c 100000000; exit 4")
    wait_until(lambda: log_text(shim.log) == b"ready\n", "the payload")
    (shim.bundle / "rootfs/tmp/go").touch()
    most = before = resident_kilobytes(shim.pid)
    stopped = []
    call = shim.connection.open("apus.shim.v1.Shim", "WaitForExit", message(f1=shim.id))
    shim.connection.socket.settimeout(0.05)
    while not stopped:
        try:
            stopped.append(shim.connection.answer(call))
        except TimeoutError:
            most = max(most, resident_kilobytes(shim.pid))
    assert stopped[0][2] == 4 and most - before < 10_240
    assert sum(path.stat().st_size for path in shim.folder.glob("box.log*")) <= 30_000_000


# --- attach clients -------------------------------------------------------------------------------------------

def test_an_attachment_before_start_sees_every_byte_and_then_the_end(shim):
    shim.make_bundle("sh", "-c", "seq 1 50000; echo oops >&2; exit 6")
    shim.begin()
    shim.create()
    attachment = shim.attach()
    shim.start()
    assert attachment.read_to_end() == {STDOUT: b"".join(b"%d\n" % n for n in range(1, 50001)), STDERR: b"oops\n"}
    assert attachment.exit[2] == 6


def test_an_attachment_gets_the_streams_that_it_asked_for(shim):
    shim.make_bundle("sh", "-c", "echo out; echo err >&2")
    shim.begin()
    shim.create()
    out, err = shim.attach(stderr=False), shim.attach(stdout=False)
    shim.start()
    assert out.read_to_end() == {STDOUT: b"out\n", STDERR: b""}
    assert err.read_to_end() == {STDOUT: b"", STDERR: b"err\n"}


def test_an_attachment_after_the_end_is_told_of_it_at_once(shim):
    shim.run("sh", "-c", "exit 8")
    shim.wait()
    attachment = shim.attach()
    assert attachment.read_to_end() == {STDOUT: b"", STDERR: b""} and attachment.exit[2] == 8


def test_without_open_stdin_the_payload_reads_dev_null(shim):
    shim.run("sh", "-c", "readlink /proc/self/fd/0; cat; echo end")
    shim.wait()
    assert log_text(shim.log) == b"/dev/null\nend\n"


def test_input_reaches_the_payload_and_its_half_close_ends_it(shim):
    shim.make_bundle("sh", "-c", "cat; echo end")
    shim.begin()
    shim.create(open_stdin=True, stdin_once=True)
    attachment = shim.attach(stdin=True)
    shim.start()
    attachment.send(b"hello\n")
    attachment.read_until(b"hello\n")
    attachment.end_input()
    assert attachment.read_to_end()[STDOUT] == b"hello\nend\n"


def test_input_that_is_not_once_stays_open_for_the_next_client(shim):
    shim.make_bundle("cat")
    shim.begin()
    shim.create(open_stdin=True)
    first = shim.attach(stdin=True)
    shim.start()
    first.send(b"one\n")
    first.end_input()
    first.read_until(b"one\n")
    first.close()
    second = shim.attach(stdin=True)
    second.send(b"two\n")
    assert second.read_until(b"two\n") == b"two\n"
    shim.task("CloseIO", f3=True)
    second.read_to_end()
    assert second.exit[2] == 0


def test_a_client_that_leaves_ends_input_that_is_once(shim):
    shim.make_bundle("sh", "-c", "cat; echo end")
    shim.begin()
    shim.create(open_stdin=True, stdin_once=True)
    attachment = shim.attach(stdin=True)
    shim.start()
    attachment.send(b"hello\n")
    attachment.close()
    shim.wait()
    assert log_text(shim.log) == b"hello\nend\n"


def send_until_stalled(shim, attachment):
    """Input that nobody takes is held back at its sender, not in the shim's memory."""
    before = resident_kilobytes(shim.pid)
    attachment.connection.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(400):
            # The frame that hits the deadline may be cut short: this client is of no use afterwards.
            attachment.send(b"x" * 65536)
    assert resident_kilobytes(shim.pid) - before < 10_240
    attachment.close()


def test_much_input_to_a_payload_that_reads_late_waits_at_the_client(shim):
    shim.make_bundle("sh", "-c", "while [ ! -e /tmp/go ]; do usleep 10000; done; wc -c")
    shim.begin()
    shim.create(open_stdin=True, stdin_once=True)
    attachment = shim.attach(stdin=True)
    shim.start()
    send_until_stalled(shim, attachment)
    (shim.bundle / "rootfs/tmp/go").touch()
    shim.wait()
    assert int(log_text(shim.log)) > 65536


def test_a_payload_that_reads_no_input_does_not_disturb_its_output(shim):
    shim.make_bundle("sh", "-c", "exec 0<&-; echo ready; usleep 200000; echo end")
    shim.begin()
    shim.create(open_stdin=True, stdin_once=True)
    attachment = shim.attach(stdin=True)
    shim.start()
    attachment.read_until(b"ready\n")
    attachment.send(b"nobody wants this\n")
    assert attachment.read_to_end()[STDOUT] == b"ready\nend\n"


def test_a_stalled_reader_holds_back_the_payload_and_not_the_memory(shim):
    """1 GB through the shim while a client does not read: back-pressure, then every byte once it does."""
    total = 1_000_000_000
    shim.make_bundle("sh", "-c", f"while [ ! -e /tmp/go ]; do usleep 10000; done; head -c {total} /dev/zero; exit 3")
    shim.begin()
    shim.create(files=1, file_bytes=1_000_000)
    attachment = shim.attach()
    shim.start()
    before = resident_kilobytes(shim.pid)
    (shim.bundle / "rootfs/tmp/go").touch()
    time.sleep(1)
    assert shim.task("State")[4] == 2, "the payload waits"
    stalled = resident_kilobytes(shim.pid)
    received, kind = 0, STDOUT
    most = stalled
    while True:
        kind, data = attachment.next()
        if kind is None:
            break
        received += len(data) if kind == STDOUT else 0
        if received % (1 << 24) < len(data):
            most = max(most, resident_kilobytes(shim.pid))
    assert received == total and attachment.exit[2] == 3
    assert stalled - before < 10_240 and most - before < 10_240


def test_a_stalled_client_that_dies_lets_the_payload_go_on(shim):
    shim.make_bundle("sh", "-c", "yes | head -c 20000000; exit 5")
    shim.begin()
    shim.create()
    attachment = shim.attach()
    shim.start()
    time.sleep(0.5)
    assert shim.task("State")[4] == 2
    attachment.close()
    assert shim.wait()[2] == 5


def test_the_end_is_told_although_an_attached_client_does_not_read(shim):
    shim.make_bundle("sh", "-c", "yes | head -c 350000; exit 5")
    shim.begin()
    shim.create()
    attachment = shim.attach()
    shim.start()
    assert shim.wait()[2] == 5
    assert len(attachment.read_to_end()[STDOUT]) == 350_000


def test_the_output_of_a_process_left_behind_by_an_exec_does_not_hold_up_its_end(shim):
    shim.run("sleep", "60")
    begun = time.monotonic()
    name, attachment = shim.exec("sh", "-c", "sleep 30 & echo started")
    assert attachment.read_to_end()[STDOUT] == b"started\n" and attachment.exit[2] == 0
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("count", [1, 3])
def test_a_process_left_behind_by_an_exec_that_writes_without_end_holds_up_neither_its_end_nor_the_shim(shim, count):
    shim.run("sleep", "60")
    name, attachment = shim.exec("sh", "-c", "yes & " * count + "usleep 100000")
    other, _ = shim.exec("sh", "-c", "yes & " * count + "usleep 100000", attach=False)
    attachment.read_to_end()
    assert attachment.exit[2] == 0 and shim.wait(other)[2] == 0
    assert shim.supervise("Describe")[2] == shim.pid
    shim.task("Kill", f3=9)
    assert shim.wait()[2] == 137


def test_a_process_left_behind_by_an_exec_can_write_after_its_end(shim):
    """Twice as much as a pipe holds."""
    shim.run("sleep", "60")
    script = "(while [ ! -e /tmp/go ]; do usleep 10000; done; yes | head -c 131072; : > /tmp/written; sleep 60) & echo started"
    name, attachment = shim.exec("sh", "-c", script)
    assert attachment.read_to_end()[STDOUT] == b"started\n" and attachment.exit[2] == 0
    shim.task("Delete", f2=name)
    (shim.bundle / "rootfs/tmp/go").touch()
    wait_until((shim.bundle / "rootfs/tmp/written").exists, "what was left behind to go on")


def test_an_exec_without_a_client_runs_and_its_output_is_dropped(shim):
    shim.run("sleep", "60")
    name, _ = shim.exec("sh", "-c", "yes | head -c 5000000; exit 2", attach=False)
    assert shim.wait(name)[2] == 2


def test_exec_input_goes_to_the_exec(shim):
    shim.run("sleep", "60")
    name, attachment = shim.exec("sh", "-c", "cat; exit 3", stdin=True)
    attachment.send(b"to the exec\n")
    attachment.end_input()
    assert attachment.read_to_end()[STDOUT] == b"to the exec\n" and attachment.exit[2] == 3


@pytest.mark.parametrize("terminal", [False, True], ids=["pipes", "terminal"])
def test_input_that_comes_before_the_process_waits_for_it(shim, terminal):
    shim.run("sleep", "60")
    name = shim.note_exec("sh", "-c", "read a; read b; echo $b $a", terminal=terminal, stdin=True)
    attachment = shim.attach(name, stdin=True)
    attachment.send(b"first\nsecond\n")
    attachment.end_input()
    shim.start(name)
    assert b"second first" in attachment.read_to_end()[STDOUT] and attachment.exit[2] == 0


def test_much_input_before_the_process_waits_at_the_client(shim):
    shim.run("sleep", "60")
    name = shim.note_exec("wc", "-c", stdin=True)
    attachment = shim.attach(name, stdin=True)
    send_until_stalled(shim, attachment)
    shim.start(name)
    assert shim.wait(name)[2] == 0


def test_a_message_of_input_that_is_too_long_is_refused_and_not_cut(shim):
    shim.run("sleep", "60")
    name = shim.note_exec("wc", "-c", stdin=True)
    attachment = shim.attach(name, stdin=True)
    attachment.send(b"x" * 65537)
    with pytest.raises(Refused) as refused:
        attachment.read_to_end()
    assert refused.value.code == RESOURCE_EXHAUSTED


def test_nobody_attaches_to_what_is_not_there(shim):
    shim.run("sleep", "60")
    with pytest.raises(Refused):
        shim.attach("nobody")


def test_a_payload_that_writes_to_an_attached_stream_survives_every_kind_of_leaving(shim):
    shim.run("sh", "-c", "n=0; while [ ! -e /tmp/go ]; do n=$((n+1)); echo $n; usleep 500; done; exit 1")
    for _ in range(20):
        attachment = shim.attach()
        attachment.read_until(b"\n")
        attachment.close()
    # Among them those that came when nobody was attached any more.
    seen = log_text(shim.log).count(b"\n")
    wait_until(lambda: shim.supervise("SynchronizeLog") == {} and log_text(shim.log).count(b"\n") > seen + 100, "it to go on")
    (shim.bundle / "rootfs/tmp/go").touch()
    assert shim.wait()[2] == 1
    numbers = log_text(shim.log).split()
    assert numbers == [b"%d" % n for n in range(1, len(numbers) + 1)]


# --- terminals ------------------------------------------------------------------------------------------------

def test_a_terminal_is_one_stream_both_ways_and_has_a_size(shim):
    shim.make_bundle("sh", terminal=True)
    shim.begin()
    shim.create(terminal=True, open_stdin=True)
    attachment = shim.attach(stdin=True)
    shim.start()
    shim.task("ResizePty", f3=101, f4=37)
    attachment.send(b"stty size; tty; echo err >&2; exit 12\n")
    output = attachment.read_to_end()
    assert b"37 101\r\n" in output[STDOUT] and b"/dev/pts/0\r\n" in output[STDOUT] and b"err\r\n" in output[STDOUT]
    assert output[STDERR] == b"" and attachment.exit[2] == 12
    assert log_text(shim.log) == output[STDOUT]


def test_an_exec_with_a_terminal_has_one_of_its_own(shim):
    shim.run("sleep", "60")
    name, attachment = shim.exec("sh", "-c", "tty; stty size; read x; echo got $x", terminal=True, stdin=True)
    attachment.read_until(b"\r\n")
    attachment.send(b"this\n")
    assert b"got this\r\n" in attachment.read_to_end()[STDOUT]


def test_interrupt_typed_at_a_terminal_is_a_signal(shim):
    shim.make_bundle("sh", "-c", "trap 'exit 130' INT; echo ready; while :; do usleep 1000; done", terminal=True)
    shim.begin()
    shim.create(terminal=True, open_stdin=True)
    attachment = shim.attach(stdin=True)
    shim.start()
    attachment.read_until(b"ready")
    attachment.send(b"\x03")
    attachment.read_to_end()
    assert attachment.exit[2] == 130


def test_resizing_what_has_no_terminal_is_refused(shim):
    shim.run("sleep", "60")
    with pytest.raises(Refused) as refused:
        shim.task("ResizePty", f3=80, f4=24)
    assert refused.value.code == FAILED_PRECONDITION
