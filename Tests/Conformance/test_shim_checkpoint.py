"""The shim's Checkpoint, and Create with one: a container's processes written to images, and restored from them."""

import criu
import pytest
from shim_client import FAILED_PRECONDITION, INVALID_ARGUMENT, UNIMPLEMENTED, Refused, any_of, log_text, message, wait_until
from shim_fixtures import shim, shims  # noqa: F401

CREATED, RUNNING = 1, 2
COUNTING = ("sh", "-c", "n=0; while :; do n=$((n+1)); echo $n; usleep 50000; done")


def options(**fields):
    return any_of("containerd.runc.v1.CheckpointOptions", message(**fields))


def refusal(call, *arguments, **fields):
    with pytest.raises(Refused) as refused:
        call(*arguments, **fields)
    return refused.value


def numbers(shim):
    shim.supervise("SynchronizeLog")
    return [int(line) for line in log_text(shim.log).split()]


@criu.needed
def test_a_container_goes_on_where_it_was_in_another_shim(shims):
    first = shims()
    images = str(first.folder / "images")
    first.run(*COUNTING)
    events = first.subscribe()
    wait_until(lambda: len(numbers(first)) > 3, "the counting")
    first.task("Checkpoint", f2=images)
    assert events.topics("checkpointed")[-1] == "/tasks/checkpointed"
    assert first.task("State")[4] == RUNNING
    reached = len(numbers(first))
    wait_until(lambda: len(numbers(first)) > reached, "it to go on")
    first.task("Checkpoint", f2=images, f3=options(f1=True))
    assert first.wait()[2] == 137
    counted = numbers(first)
    assert counted == list(range(1, counted[-1] + 1))
    first.delete()

    second = shims("again")
    second.make_bundle(*COUNTING)
    second.begin()
    assert second.task("Create", f2=str(second.bundle), f8=images, f10=second.options())[1] == 0
    assert second.task("State")[4] == CREATED
    pid = second.start()
    assert pid > 0 and second.task("State")[4] == RUNNING
    wait_until(lambda: len(numbers(second)) > 3, "it to go on")
    # What was written and not read before the end is in the images.
    assert numbers(second)[0] in (counted[-1], counted[-1] + 1)
    name, attachment = second.exec("echo", "again")
    assert attachment.read_to_end()[3] == b"again\n"
    second.task("Kill", f3=9)
    assert second.wait()[2] == 137
    second.delete()


@criu.missed
def test_what_keeps_criu_from_it_is_told_and_the_container_runs_on(shim):
    shim.run(*COUNTING)
    refused = refusal(shim.task, "Checkpoint", f2=str(shim.folder / "images"))
    assert "criu" in refused.text
    reached = len(numbers(shim))
    wait_until(lambda: len(numbers(shim)) > reached, "it to go on")
    assert shim.task("State")[4] == RUNNING


def test_a_start_from_no_images_fails_and_the_container_can_be_deleted(shim):
    shim.make_bundle(*COUNTING)
    shim.begin()
    shim.task("Create", f2=str(shim.bundle), f8=str(shim.folder / "nothing"), f10=shim.options())
    refusal(shim.task, "Kill", f3=9)
    refusal(shim.start)
    shim.delete()
    shim.shut_down()


def test_a_container_that_was_never_restored_can_be_deleted(shim):
    shim.make_bundle(*COUNTING)
    shim.begin()
    shim.task("Create", f2=str(shim.bundle), f8=str(shim.folder / "nothing"), f10=shim.options())
    shim.delete()
    shim.shut_down()


def test_a_checkpoint_that_cannot_be_is_refused(shim):
    shim.make_bundle(*COUNTING)
    shim.begin()
    shim.create()
    assert refusal(shim.task, "Checkpoint", f2="/images").code == FAILED_PRECONDITION
    shim.start()
    for fields, code in [({"f2": "images"}, INVALID_ARGUMENT), ({}, INVALID_ARGUMENT), ({"f2": "/x", "f3": options(f9="w")}, INVALID_ARGUMENT),
                         ({"f2": "/x", "f3": any_of("somebody.Else", b"")}, UNIMPLEMENTED)]:
        assert refusal(shim.task, "Checkpoint", **fields).code == code
