"""What the shim is asked wrongly, or at the wrong moment: containerd's status codes, and a shim that goes on."""
import json
import os
import signal
import socket
import struct
from pathlib import Path

import pytest
from shim_fixtures import shim, shims  # noqa: F401
from shim_client import (DATA, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, REMOTE_CLOSED, REQUEST, RESOURCE_EXHAUSTED, RESPONSE,
                         STDIN, SUPERVISION, TASK, UNIMPLEMENTED, Attachment, Connection, Refused, alive, any_of, log_text, message,
                         parse, wait_until)

ABOUT_A_CONTAINER = ["State", "Start", "Delete", "Pids", "Pause", "Resume", "Kill", "Exec", "ResizePty", "CloseIO", "Update", "Wait",
                     "Stats"]
ABOUT_A_PROCESS = ["State", "Start", "Delete", "Kill", "ResizePty", "CloseIO", "Wait"]
OURS = ["WaitForExit", "SynchronizeLog", "Attach"]
LONGEST_PAYLOAD = 4 << 20


def refusal(call, *arguments, **fields):
    with pytest.raises(Refused) as refused:
        call(*arguments, **fields)
    return refused.value


def status(payload):
    """Code and text of a response's status."""
    fields = parse(parse(payload)[1])
    return fields[1], fields.get(2, b"").decode()


def lives_on(shim):
    return shim.task("Connect")[1] == shim.pid and alive(shim.pid)


def test_an_unknown_container_is_not_found_by_every_method(shim):
    shim.run("sleep", "60")
    for service, methods in ((TASK, ABOUT_A_CONTAINER), (SUPERVISION, OURS)):
        for method in methods:
            assert refusal(shim.connection.call, service, method, message(f1="nobody")).code == NOT_FOUND, method
    assert lives_on(shim)


def test_an_unknown_exec_is_not_found_by_every_method(shim):
    shim.run("sleep", "60")
    for method in ABOUT_A_PROCESS:
        assert refusal(shim.task, method, f2="nobody").code == NOT_FOUND, method
    for method in ("WaitForExit", "Attach"):
        assert refusal(shim.supervise, method, f2="nobody").code == NOT_FOUND, method
    assert lives_on(shim)


@pytest.mark.parametrize("payload", [b"\x0a", b"\x0a\x7fshort", b"\x0b", b"\xff" * 40, b"\x0a\x02\xc3\x28", b"\x0a\x03a\0b"])
def test_bytes_that_are_no_message_are_an_invalid_argument_of_every_method(shim, payload):
    shim.run("sleep", "60")
    for service, methods in ((TASK, [*ABOUT_A_CONTAINER, "Create", "Connect", "Shutdown"]), (SUPERVISION, [*OURS, "Describe", "Events"])):
        for method in methods:
            assert refusal(shim.connection.call, service, method, payload).code == INVALID_ARGUMENT, method
    assert lives_on(shim)


def test_unknown_services_and_methods_are_unimplemented(shim):
    shim.make_bundle("true")
    shim.begin()
    for service, method in ((TASK, "Fly"), (SUPERVISION, "Fly"), ("containerd.task.v9.Task", "State"), ("", "")):
        assert refusal(shim.connection.call, service, method).code == UNIMPLEMENTED
    assert lives_on(shim)


def test_a_frame_that_is_too_long_is_refused_on_its_stream_and_the_connection_goes_on(shim):
    shim.make_bundle("true")
    shim.begin()
    other = Connection(shim.directory / "socket")
    other.frame(1, REQUEST, REMOTE_CLOSED, b"x" * (LONGEST_PAYLOAD + 1))
    stream, kind, _, payload = other.receive()
    assert (stream, kind, status(payload)[0]) == (1, RESPONSE, RESOURCE_EXHAUSTED)
    other.next_stream = 3
    assert other.call(TASK, "Connect", message(f1=shim.id))[1] == shim.pid
    assert lives_on(shim)


@pytest.mark.parametrize("stream, kind, payload", [(2, REQUEST, b""), (0, REQUEST, b""), (1, 9, b"what"), (1, REQUEST, b"\x0a\xff\xff")],
                         ids=["even stream", "stream 0", "unknown frame", "no request"])
def test_a_frame_out_of_order_is_an_invalid_argument_and_the_connection_goes_on(shim, stream, kind, payload):
    shim.make_bundle("true")
    shim.begin()
    other = Connection(shim.directory / "socket")
    other.frame(stream, kind, REMOTE_CLOSED, payload)
    answered, _, _, answer = other.receive()
    assert (answered, status(answer)[0]) == (stream, INVALID_ARGUMENT)
    other.next_stream = 5
    assert other.call(TASK, "Connect", message(f1=shim.id))[1] == shim.pid


def test_a_stream_that_was_used_is_not_used_again(shim):
    shim.run("sleep", "60")
    other = Connection(shim.directory / "socket")
    waiting = other.open(TASK, "Wait", message(f1=shim.id))
    other.next_stream = waiting
    assert refusal(other.call, TASK, "Wait", message(f1=shim.id)).code == INVALID_ARGUMENT


def test_data_for_a_stream_that_there_is_not_is_passed_over(shim):
    shim.make_bundle("true")
    shim.begin()
    shim.connection.frame(77, DATA, 0, message(f1=STDIN, f2=b"lost"))
    assert lives_on(shim)


def test_a_client_that_is_cut_off_in_a_frame_leaves_nothing(shim):
    shim.make_bundle("true")
    shim.begin()
    assert lives_on(shim)
    before = len(os.listdir(f"/proc/{shim.pid}/fd"))
    for length in (1, 9, 10, 11, 1 << 20):
        other = socket.socket(socket.AF_UNIX)
        other.connect(str(shim.directory / "socket"))
        other.sendall((struct.pack(">IIBB", 1 << 21, 1, REQUEST, 0) + bytes(1 << 20))[:length])
        other.close()
    wait_until(lambda: len(os.listdir(f"/proc/{shim.pid}/fd")) == before, "the connections to go")
    assert lives_on(shim)


@pytest.mark.parametrize("method", ["State", "Start", "Exec", "Create"])
def test_an_id_as_long_as_a_frame_is_refused_in_few_words(shim, method):
    shim.make_bundle("true")
    shim.begin()
    refused = refusal(shim.connection.call, TASK, method, message(f1="x" * (LONGEST_PAYLOAD - 100)))
    assert refused.code in (NOT_FOUND, INVALID_ARGUMENT) and len(refused.text) <= 4096
    assert lives_on(shim)


@pytest.mark.parametrize("fields, code", [
    ({"f2": ""}, INVALID_ARGUMENT), ({"f2": "relative"}, INVALID_ARGUMENT), ({"f2": "/" + "x" * 5000}, INVALID_ARGUMENT),
    ({"f2": "/b", "f6": "/" + "x" * 5000}, INVALID_ARGUMENT), ({"f2": "/b", "f6": "npipe:///bin/logger"}, UNIMPLEMENTED),
    ({"f2": "/b", "f8": "checkpoint"}, INVALID_ARGUMENT), ({"f2": "/b", "f9": "/parent"}, UNIMPLEMENTED),
    ({"f2": "/b", "f10": any_of("somebody.Else", b"")}, UNIMPLEMENTED),
    ({"f2": "/b", "f10": any_of("apus.shim.v1.Options", b"\xff")}, INVALID_ARGUMENT),
    ({"f2": "/b", "f10": any_of("apus.shim.v1.Options", message(f1="/no/such/runtime"))}, NOT_FOUND),
    ({"f2": "/b", "f3": [message(f1="bind", f2="/x", f4=["loop"])], "f10": any_of("apus.shim.v1.Options", b"")}, UNIMPLEMENTED),
])
def test_a_create_that_cannot_be_is_refused_and_another_one_may_follow(shim, fields, code):
    shim.make_bundle("true")
    shim.begin()
    assert refusal(shim.task, "Create", **fields).code == code
    shim.create()
    shim.start()
    assert shim.wait()[2] == 0


@pytest.mark.parametrize("fields", [
    {"f2": ""}, {"f2": "a/b"}, {"f2": "x" * 300}, {"f2": "one"}, {"f2": "one", "f7": any_of("apus.shim.v1.Exec", b"\xff")}])
def test_an_exec_that_cannot_be_is_an_invalid_argument(shim, fields):
    shim.run("sleep", "60")
    assert refusal(shim.task, "Exec", **fields).code == INVALID_ARGUMENT
    assert lives_on(shim)


def test_process_documents_that_wait_have_a_bound_together(shim):
    shim.run("sleep", "60")
    spec = any_of("apus.shim.v1.Exec", message(f1=b" " * 4_000_000))
    codes = set()
    for n in range(6):
        try:
            shim.task("Exec", f2=f"long{n}", f7=spec)
        except Refused as refused:
            codes.add(refused.code)
    assert codes == {RESOURCE_EXHAUSTED}
    shim.task("Delete", f2="long0")
    shim.task("Exec", f2="again", f7=spec)


def test_signals_out_of_range_are_invalid_and_those_to_what_never_ran_out_of_turn(shim):
    shim.run("sleep", "60")
    assert refusal(shim.task, "Kill", f3=65).code == INVALID_ARGUMENT
    name = shim.note_exec("true")
    assert refusal(shim.task, "Kill", f2=name, f3=9).code == FAILED_PRECONDITION
    assert refusal(shim.task, "ResizePty", f2=name, f3=80, f4=25).code == FAILED_PRECONDITION
    shim.task("Delete", f2=name)
    assert refusal(shim.task, "Kill", f2=name, f3=9).code == NOT_FOUND


def test_a_second_start_of_an_exec_and_the_delete_of_a_running_one_are_out_of_turn(shim):
    shim.run("sleep", "60")
    name, attachment = shim.exec("sleep", "60")
    assert refusal(shim.start, name).code == FAILED_PRECONDITION
    assert refusal(shim.task, "Delete", f2=name).code == FAILED_PRECONDITION
    shim.task("Kill", f2=name, f3=9)
    attachment.read_to_end()
    shim.wait(name)
    assert refusal(shim.start, name).code == FAILED_PRECONDITION
    assert refusal(shim.task, "Kill", f2=name, f3=9).code == NOT_FOUND


def test_a_create_that_fails_lets_go_of_those_who_waited_for_it(shim):
    shim.log.mkdir()
    shim.make_bundle("true")
    shim.begin()
    other = Connection(shim.directory / "socket")
    create = (TASK, "Create", message(f1=shim.id, f2=str(shim.bundle), f10=shim.options()))
    for stream in other.open_together(create, (SUPERVISION, "WaitForExit", message(f1=shim.id))):
        assert "EISDIR" in refusal(other.answer, stream).text
    other.close()
    assert lives_on(shim)


def test_a_client_that_does_not_read_outlives_its_deleted_container(shim):
    shim.make_bundle("sh", "-c", "yes | head -c 350000; exit 5")
    shim.begin()
    shim.create()
    reader, leaver = shim.attach(), shim.attach()
    shim.start()
    assert shim.wait()[2] == 5 and shim.delete()[2] == 5
    leaver.close()
    assert len(reader.read_to_end()[3]) == 350_000 and reader.exit[2] == 5
    assert lives_on(shim)
    shim.shut_down()


def test_the_ends_of_execs_are_told_before_their_container_is_deleted(shim):
    shim.run("sleep", "60")
    name, attachment = shim.exec("yes")
    other = Connection(shim.directory / "socket")
    waiting = other.open(SUPERVISION, "WaitForExit", message(f1=shim.id, f2=name))
    events = shim.subscribe()
    shim.task("Kill", f3=9)
    shim.wait()
    shim.delete()
    assert other.answer(waiting)[2] == 137
    assert sorted(events.topics("delete")) == ["/tasks/delete", "/tasks/exit", "/tasks/exit"]
    attachment.close()
    assert lives_on(shim)


def test_waits_for_an_exec_that_never_ran_end_with_its_deletion(shim):
    shim.run("sleep", "60")
    name = shim.note_exec("true")
    other = Connection(shim.directory / "socket")
    waiting = other.open(TASK, "Wait", message(f1=shim.id, f2=name))
    attachment = Attachment(shim.directory / "socket", shim.id, name)
    shim.task("Delete", f2=name)
    assert refusal(other.answer, waiting).code == FAILED_PRECONDITION
    assert refusal(attachment.read_to_end).code == FAILED_PRECONDITION


def test_a_damaged_record_is_told_by_the_delete_command_and_not_passed_over(shim):
    shim.run("sleep", "60")
    pid = shim.task("State")[3]
    record = shim.directory / "options"
    kept = record.read_bytes()
    record.write_bytes(kept[:-1])
    os.kill(shim.pid, signal.SIGKILL)
    done = shim.command("delete")
    assert done.returncode != 0 and str(record).encode() in done.stderr and alive(pid), done.stderr
    record.write_bytes(kept)
    done = shim.command("delete")
    assert done.returncode == 0 and not shim.directory.exists(), done.stderr
    wait_until(lambda: not alive(pid), "the payload to end")


def test_what_to_delete_is_written_down_before_the_runtime_runs(shim):
    real, proof = shim.runtime, shim.folder / "proof"
    shim.runtime = str(shim.folder / "runtime.sh")
    Path(shim.runtime).write_text(f'#!/bin/sh\n[ -e {shim.directory}/options ] && touch {proof}\nexec {real} "$@"\n')
    Path(shim.runtime).chmod(0o755)
    shim.run("true")
    assert proof.exists() and shim.wait()[2] == 0


def test_a_shim_leaves_the_directory_of_the_one_that_took_its_place(shims):
    first = shims()
    first.make_bundle("true")
    first.begin()
    # As after a start that was cut off before it could write down whom it had begun.
    (first.directory / "pid").unlink()
    old_pid, old_connection = first.pid, first.connection
    first.begin()
    assert first.pid != old_pid
    old_connection.call(TASK, "Shutdown", message(f1=first.id))
    wait_until(lambda: not alive(old_pid), "the first shim to end")
    assert lives_on(first) and Connection(first.directory / "socket")


def test_the_request_of_a_create_that_failed_can_be_made_again(shim):
    shim.make_bundle("no-such-program")
    shim.begin()
    for _ in range(3):
        try:
            shim.create()
            with pytest.raises(Refused):
                shim.start()
            shim.delete()
        except Refused as refused:
            assert "no-such-program" in refused.text
    config = json.loads((shim.bundle / "config.json").read_text())
    config["process"]["args"] = ["echo", "better"]
    (shim.bundle / "config.json").write_text(json.dumps(config))
    shim.create()
    shim.start()
    assert shim.wait()[2] == 0 and log_text(shim.log).endswith(b"better\n")
