"""Calls that a listener decides about. - Spec: config-linux.md, "Seccomp", SCMP_ACT_NOTIFY, listenerPath, listenerMetadata."""

import fcntl
import json
import os
import select
import socket
import struct
import threading

import pytest
from claims import spec
from processes import PATIENCE, wait_until

# linux/seccomp.h: struct seccomp_notif and seccomp_notif_resp, and the requests for them.
NOTIFICATION, RESPONSE = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
RECEIVE, SEND = 0xC0502100, 0xC0182101
ENODEV = 19


class Agent:
    """Answers every call of every listener that it is sent with an errno, and remembers them."""

    def __init__(self, path):
        self.path, self.states, self.calls, self.rests = path, [], [], []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        self.stopped, self.wake = os.pipe()
        self.thread = threading.Thread(daemon=True, target=self.serve)
        self.thread.start()

    def serve(self):
        listeners = []
        while True:
            ready = select.select([self.stopped, self.socket, *listeners], [], [])[0]
            if self.stopped in ready:
                break
            for item in ready:
                if item is self.socket:
                    connection = self.socket.accept()[0]
                    message, descriptors, _, _ = socket.recv_fds(connection, 65536, 8)
                    connection.settimeout(20 * PATIENCE)
                    self.rests.append(connection.recv(65536))
                    connection.close()
                    self.states.append((json.loads(message), len(descriptors)))
                    listeners += descriptors
                elif not self.answer(item):
                    listeners.remove(item)
                    os.close(item)
        for listener in listeners:
            os.close(listener)

    def answer(self, listener):
        buffer = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, RECEIVE, buffer)
        except OSError:
            return False
        identifier, pid, _, number, *_ = NOTIFICATION.unpack(buffer)
        self.calls.append((pid, number))
        try:
            fcntl.ioctl(listener, SEND, RESPONSE.pack(identifier, 0, -ENODEV, 0))
        except OSError:
            pass
        return True

    def stop(self):
        os.write(self.wake, b"x")
        self.thread.join(20)
        self.socket.close()
        os.close(self.stopped)
        os.close(self.wake)


@pytest.fixture
def agent(bundle):
    made = Agent(os.path.join(bundle.path, "agent.sock"))
    yield made
    made.stop()


def profile(agent, *names, **members):
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "listenerPath": agent.path,
            "listenerMetadata": "some words", "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}], **members}


@spec("config-linux.md#configLinuxSeccomp", "This socket MUST use", "MUST send exactly one container process state",
      "The connection MUST NOT be reused")
@spec("config-linux.md#containerprocessstate", "MUST be sent using `SCM_RIGHTS`", "only in the first call")
@pytest.mark.parametrize("verb", ["run", "create"])
def test_the_listener_gets_the_descriptor_and_the_state_and_decides(runtime, bundle, container, agent, verb):
    bundle.write("mkdir /tmp/no; sleep 600", linux={"seccomp": profile(agent, "mkdir", "mkdirat")}, annotations={"com.example.a": "b"})
    if verb == "run":
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    else:
        runtime.detached("create", "-b", bundle.path, container).ok()
        runtime("start", container).ok()
    pid = runtime.state(container)["pid"]
    result = runtime("exec", container, "mkdir", "/tmp/never").fails()
    assert "No such device" in result.err
    assert not os.path.exists(os.path.join(bundle.rootfs, "tmp/never"))
    (first, descriptors), (second, _) = agent.states
    assert (first["fds"], descriptors, first["metadata"], first["pid"]) == (["seccompFd"], 1, "some words", pid)
    assert (first["state"]["id"], first["state"]["pid"], first["state"]["bundle"]) == (container, pid, os.path.realpath(bundle.path))
    assert first["state"]["annotations"]["com.example.a"] == "b"
    assert first["state"]["status"] in ("creating", "created", "running")
    assert second["pid"] != pid and second["state"]["pid"] == pid
    wait_until(lambda: len(agent.calls) >= 2, "the first process's call, too")
    assert agent.rests == [b"", b""], "more than one state came, or the connection stayed open"


@pytest.mark.parametrize("change, text", [
    ({"defaultAction": "SCMP_ACT_NOTIFY", "syscalls": []}, "SCMP_ACT_NOTIFY cannot be"),
    ({"syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]}, "SCMP_ACT_NOTIFY cannot be used for"),
])
def test_what_would_wait_for_itself_is_refused(runtime, bundle, container, agent, change, text):
    bundle.write("true", linux={"seccomp": {**profile(agent, "mkdir"), **change}})
    result = runtime("run", "-b", bundle.path, container).fails()
    assert text.split(" cannot")[0] in result.message
    assert agent.states == []


@spec("config-linux.md#configLinuxSeccomp", "If sending to this socket fails")
def test_a_listener_path_where_nobody_listens_ends_the_container(runtime, bundle, container, agent):
    bundle.write("sleep 600", linux={"seccomp": {**profile(agent, "mkdir"), "listenerPath": "/nonexistent/agent.sock"}})
    runtime("run", "-b", bundle.path, container).fails("/nonexistent/agent.sock")
    runtime("state", container).fails("does not exist")


@pytest.mark.ours
def test_notification_without_a_listener_path_is_refused(runtime, bundle, container, agent):
    wanted = profile(agent, "mkdir")
    del wanted["listenerPath"]
    bundle.write("true", linux={"seccomp": wanted})
    runtime("run", "-b", bundle.path, container).fails("linux.seccomp.listenerPath", code=1)


def test_the_flag_for_killable_waits_goes_with_a_listener_alone(runtime, bundle, container, agent):
    flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"]
    bundle.write("mkdir /tmp/no; echo went on", linux={"seccomp": profile(agent, "mkdir", "mkdirat", flags=flags)})
    result = runtime("run", "-b", bundle.path, container).ok()
    assert "No such device" in result.err and result.out == "went on\n"
    if runtime.kind == "apus":
        bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "flags": flags[:1], "syscalls": []}
        bundle.write()
        runtime("run", "-b", bundle.path, container).fails("linux.seccomp.flags", "WAIT_KILLABLE_RECV", code=1)


ACTIONS = {"SCMP_ACT_KILL_PROCESS": 159, "SCMP_ACT_KILL": 159, "SCMP_ACT_TRAP": 159, "SCMP_ACT_ERRNO": 1, "SCMP_ACT_LOG": 0,
           "SCMP_ACT_TRACE": 1}


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_action_does_what_it_is_called(runtime, bundle, container, action):
    bundle.write("mkdir /tmp/x; echo $?", linux={"seccomp": {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [{"names": ["mkdir", "mkdirat"], "action": action}]}})
    lines = runtime("run", "-b", bundle.path, container).ok().lines
    assert lines[-1] == str(ACTIONS[action])


# --strict

@pytest.mark.ours
@pytest.mark.parametrize("where, changes", [
    ("nosuch", {"nosuch": 1}), ("process.nosuch", {"process": {"nosuch": {}}}), ("linux.nosuch", {"linux": {"nosuch": []}}),
    ("linux.resources.memory.nosuch", {"linux": {"resources": {"memory": {"nosuch": 1}}}}), ("process.user.nosuch", {"process": {"user": {"nosuch": 1}}}),
])
def test_unknown_members_are_ignored_unless_strict(runtime, bundle, container, where, changes):
    bundle.write(["true"], **changes)
    runtime("run", "-b", bundle.path, container).ok()
    for verb in ("run", "create"):
        runtime(verb, "--strict", "-b", bundle.path, container).fails(f"{where}: unknown member", code=1)
    runtime("state", container).fails("does not exist")


@pytest.mark.ours
def test_strict_takes_what_the_specification_knows(runtime, bundle, container):
    bundle.write(["echo", "fine"], windows={"layerFolders": ["x"]}, solaris={}, linux={"resources": {"memory": {"useHierarchy": True}}})
    assert runtime("run", "--strict", "-b", bundle.path, container).ok().out == "fine\n"
