"""What criu is asked for by each flag of checkpoint and restore: a program in its place writes the request down and answers nothing.

criu itself need not work here; what it makes of a request is tested where it does."""

import os
import stat

import pytest
from test_checkpoint import images

pytestmark = pytest.mark.ours

# criu's descriptors: the socket that it is told of, the images, its work. The last one shows where that is.
PROGRAM = """#!/usr/bin/python3
import os, socket, sys
request = socket.socket(fileno=int(sys.argv[2])).recv(1 << 20)
with open(os.open("request", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600, dir_fd=5), "wb") as file:
    file.write(request)
"""
# Of criu's images/rpc.proto.
DUMP, RESTORE, PRE_DUMP = 1, 2, 4
BOTH = [
    ("--ext-unix-sk", 4, 1), ("--tcp-established", 5, 1), ("--shell-job", 7, 1), ("--file-locks", 8, 1), ("--auto-dedup", 16, 1),
    ("--manage-cgroups-mode=ignore", 34, 0), ("--manage-cgroups-mode=full", 34, 4), ("--manage-cgroups-mode=strict", 34, 5),
]
OF_CHECKPOINT = [
    ("--leave-running", 3, 1), ("--parent-path=../parent", 14, b"../parent"), ("--parent-path=../parent", 15, 1), ("--link-remap", 18, 1),
    ("--tcp-skip-in-flight", 46, 1), ("--page-server=127.0.0.1:77", 11, b"\x0a\x09127.0.0.1\x10\x4d"),
]
OF_RESTORE = [("--lazy-pages", 48, 1), ("--lsm-profile=selinux:label", 53, b"selinux:label"), ("--lsm-mount-context=system_u:object_r:x", 63,
                                                                                          b"system_u:object_r:x")]


def fields(data):
    """Number and values of the fields of a protobuf message; of repeated ones the last."""
    found, place = {}, 0

    def number():
        nonlocal place
        value = shift = 0
        while True:
            byte, place = data[place], place + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        tag = number()
        assert tag & 7 in (0, 2), tag
        value = number()
        if tag & 7 == 2:
            value, place = data[place:place + value], place + value
        found[tag >> 3] = value
    return found


@pytest.fixture
def criu(bundle):
    """A directory with a criu, for PATH."""
    place = os.path.join(bundle.path, "programs")
    os.mkdir(place)
    path = os.path.join(place, "criu")
    with open(path, "w", encoding="utf-8") as file:
        file.write(PROGRAM)
    os.chmod(path, stat.S_IRWXU)
    return place


def asked(bundle, place="work"):
    """Kind and options of the last request."""
    with open(os.path.join(bundle.path, place, "request"), "rb") as file:
        request = fields(file.read())
    return request[1], fields(request[2])


def checkpoint(runtime, bundle, name, criu, *flags):
    environment = {**os.environ, "PATH": criu}
    runtime("checkpoint", *images(bundle), *flags, name, env=environment).fails("dumping by criu: criu ended without an answer", code=1)
    assert runtime.status(name) == "running"
    return asked(bundle)


def restore(runtime, bundle, name, criu, *flags):
    """Of images that say nothing but where the standard files lead."""
    os.makedirs(os.path.join(bundle.path, "images"), exist_ok=True)
    with open(os.path.join(bundle.path, "images", "descriptors.json"), "w", encoding="utf-8") as file:
        file.write('["/dev/null","/dev/null","/dev/null"]')
    environment = {**os.environ, "PATH": criu}
    failed = runtime("restore", "-d", *images(bundle), "-b", bundle.path, *flags, name, env=environment)
    failed.fails("restoring by criu: criu ended without an answer", code=1)
    runtime("state", name).fails("does not exist")
    return asked(bundle)


@pytest.mark.parametrize("flag, number, value", BOTH + OF_CHECKPOINT)
def test_a_flag_of_checkpoint_is_an_option_of_criu(runtime, bundle, running, criu, flag, number, value):
    os.mkdir(os.path.join(bundle.path, "parent"))
    kind, plain = checkpoint(runtime, bundle, running, criu)
    assert kind == DUMP and plain.get(number) != value
    kind, options = checkpoint(runtime, bundle, running, criu, flag)
    assert kind == DUMP and options.pop(number) == value
    plain.pop(number, None)
    # A dump after another one says two things.
    others = {14, 15} if number in (14, 15) else set()
    assert {key: value for key, value in options.items() if key not in others} == {key: value for key, value in plain.items() if key not in others}


def test_a_pre_dump_and_a_lazy_one_are_asked_for(runtime, bundle, running, criu):
    kind, options = checkpoint(runtime, bundle, running, criu, "--pre-dump")
    assert kind == PRE_DUMP and options[15] == 1 and not options.get(48)
    kind, options = checkpoint(runtime, bundle, running, criu, "--lazy-pages", "--page-server", "127.0.0.1:77")
    assert kind == DUMP and options[48] == 1


@pytest.mark.parametrize("flag, number, value", BOTH + OF_RESTORE)
def test_a_flag_of_restore_is_an_option_of_criu(runtime, bundle, container, criu, flag, number, value):
    bundle.write("sleep 600")
    kind, plain = restore(runtime, bundle, container, criu)
    assert kind == RESTORE and plain.get(number) != value
    kind, options = restore(runtime, bundle, container, criu, flag)
    assert kind == RESTORE and options[number] == value


def test_without_a_directory_for_its_work_criu_works_among_the_images(runtime, bundle, running, criu):
    environment = {**os.environ, "PATH": criu}
    runtime("checkpoint", "--image-path", "images", running, cwd=bundle.path, env=environment).fails("criu ended without an answer")
    assert asked(bundle, "images")[0] == DUMP
    runtime("checkpoint", running, cwd=bundle.path, env=environment).fails("criu ended without an answer")
    assert asked(bundle, "checkpoint")[0] == DUMP


def test_a_criu_elsewhere_is_the_one_that_is_asked(runtime, bundle, running, criu):
    """runc's global flag, which containerd passes on: a path, or a name in PATH."""
    os.rename(os.path.join(criu, "criu"), os.path.join(criu, "another"))
    for word, environment in (os.path.join(criu, "another"), {}), ("programs/another", {}), ("another", {"PATH": criu}):
        failed = runtime("checkpoint", *images(bundle), running, options=["--criu", word], cwd=bundle.path, env={**os.environ, **environment})
        failed.fails("criu ended without an answer", code=1)
        assert asked(bundle)[0] == DUMP
        os.remove(os.path.join(bundle.path, "work", "request"))
    for word in (f"{criu}/nothing", criu):
        runtime("checkpoint", *images(bundle), running, options=["--criu", word]).fails(f"{word} is no program: --criu", code=1)
    runtime("checkpoint", *images(bundle), running, options=["--criu", ""], env={**os.environ, "PATH": "/nowhere"}).fails("Debian: criu")
    assert runtime("list", "-q", options=["--criu", "/nothing"]).ok().lines == [running]
    assert runtime.status(running) == "running"
