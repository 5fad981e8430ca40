"""SELinux, on a kernel that enforces the policy of Tests/Fixtures/selinux.conf: labels of programs, of their keys, and of mounts."""

import json
import os

import pytest

HOST = "apus_u:system_r:kernel_t"
LABEL, OTHER = "apus_u:system_r:container_t:s0:c1,c2", "apus_u:system_r:container_t:s0:c3"
FILES, OTHER_FILES = "apus_u:object_r:container_file_t:s0:c1,c2", "apus_u:object_r:container_file_t:s0:c3"
# No rule lets anything become the first; the policy knows nothing of the others.
CLOSED, UNKNOWN = "apus_u:system_r:closed_t:s0", ["apus_u:system_r:apus_none_t:s0", "apus_u:system_r:container_t:s0:c9", "none"]
CURRENT = "/proc/self/attr/current"


def has_policy():
    try:
        with open("/sys/fs/selinux/initial_contexts/kernel", encoding="utf-8") as file:
            return file.read().startswith(HOST)
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not has_policy(), reason="no SELinux with the policy of these tests: the machine of `make cgroup2` has it")


def text(data):
    return data.rstrip("\0\n")


def label_of(pid, path):
    return text(os.getxattr(f"/proc/{pid}/root{path}", "security.selinux").decode())


@pytest.mark.parametrize("process", [{}, {"noNewPrivileges": False}, {"user": {"uid": 1000, "gid": 1000}}], ids=["", "privileges", "user"])
def test_the_selinux_label_is_that_of_the_program(runtime, bundle, container, process):
    bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO"}]}
    bundle.write(["cat", CURRENT], process={"selinuxLabel": LABEL, **process})
    assert text(runtime("run", "-b", bundle.path, container).ok().out) == LABEL
    bundle.write(process={"selinuxLabel": ""})
    assert runtime("run", "-b", bundle.path, container).ok().out.startswith(HOST)


def test_exec_has_the_containers_label_or_the_one_that_it_is_given(runtime, bundle, container, tmp_path):
    bundle.write("sleep 600", process={"selinuxLabel": LABEL})
    runtime.detached("create", "-b", bundle.path, container).ok()
    runtime("start", container).ok()
    with open(f"/proc/{runtime.state(container)['pid']}/attr/current", encoding="utf-8") as file:
        assert text(file.read()) == LABEL
    assert text(runtime("exec", container, "cat", CURRENT).ok().out) == LABEL
    assert text(runtime("exec", "--process-label", OTHER, container, "cat", CURRENT).ok().out) == OTHER
    path = tmp_path / "process.json"
    path.write_text(json.dumps({"args": ["cat", CURRENT], "cwd": "/", "env": ["PATH=/bin"], "selinuxLabel": OTHER}), encoding="utf-8")
    assert text(runtime("exec", "--process", str(path), container).ok().out) == OTHER


def test_the_session_keyring_is_the_programs_by_its_label(runtime, bundle, container):
    """A program sees keys of its own label alone."""
    bundle.write("grep -c _ses /proc/keys; true", process={"selinuxLabel": LABEL})
    assert runtime("run", "-b", bundle.path, container).ok().out == "1\n"
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    assert runtime("exec", container, "grep", "-c", "_ses", "/proc/keys").ok().out == "1\n"


def test_the_mount_label_is_the_context_of_file_systems_that_take_one(runtime, bundle, container):
    bundle.config["mounts"] += [
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"},
        {"destination": "/cache", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]},
        {"destination": "/own", "type": "tmpfs", "source": "tmpfs", "options": [f"context={OTHER_FILES}"]},
    ]
    bundle.write("touch /cache/made /own/made; cat /proc/self/mountinfo > /cache/mounts; sleep 600",
                 process={"selinuxLabel": LABEL}, linux={"mountLabel": FILES})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    mounts = {}
    for line in runtime("exec", container, "cat", "/proc/self/mountinfo").ok().lines:
        before, after = line.split(" - ")
        mounts[before.split()[4]] = after
    for path in ("/dev", "/dev/pts", "/dev/shm", "/cache"):
        assert f'context="{FILES}"' in mounts[path], mounts[path]
    assert f"context={OTHER_FILES}" in mounts["/own"] and FILES not in mounts["/own"]
    assert not [mounts[path] for path in ("/proc", "/sys", "/dev/mqueue") if "context=" in mounts[path]]
    labels = {path: label_of(pid, path) for path in ("/cache/made", "/dev/shm", "/dev/null", "/dev/mqueue", "/own/made", "/proc/uptime")}
    assert labels == {"/cache/made": FILES, "/dev/shm": FILES, "/dev/null": FILES, "/dev/mqueue": FILES, "/own/made": OTHER_FILES,
                      "/proc/uptime": "apus_u:object_r:file_t:s0"}


@pytest.mark.ours
def test_a_mount_label_goes_with_options_that_are_long(runtime, bundle, container, tmp_path):
    """The commas of its categories lie among those between options."""
    layers = [tmp_path / (letter * 120) for letter in "abc"]
    for layer in layers:
        layer.mkdir()
    (layers[0] / "inside").write_text("content", encoding="utf-8")
    options = [f"lowerdir={layers[0]}:{layers[1]}:{layers[2]}"]
    bundle.config["mounts"].append({"destination": "/layers", "type": "overlay", "source": "overlay", "options": options})
    bundle.write("cat /layers/inside; grep -c 'context=.*c1,c2.*lowerdir' /proc/self/mountinfo", linux={"mountLabel": FILES})
    assert runtime("run", "-b", bundle.path, container).ok().out == "content1\n"


@pytest.mark.ours
@pytest.mark.parametrize("label", UNKNOWN)
def test_an_unknown_label_is_refused_by_its_member(runtime, bundle, container, running, label):
    runtime("exec", "--process-label", label, running, "true").fails(f"process.selinuxLabel {label}", "EINVAL", code=255)
    for options in ([], ["--no-new-keyring"]):
        bundle.write("echo started", process={"selinuxLabel": label})
        result = runtime("run", *options, "-b", bundle.path, f"{container}-other")
        assert result.fails(f"process.selinuxLabel {label}", "EINVAL", code=1).out == ""
    del bundle.config["process"]["selinuxLabel"]
    bundle.write("echo started", linux={"mountLabel": label})
    assert runtime("run", "-b", bundle.path, f"{container}-other").fails(f"linux.mountLabel {label}", "EINVAL", code=1).out == ""


def test_a_label_that_the_policy_forbids_starts_nothing(runtime, bundle, container, running):
    bundle.write("echo started", process={"selinuxLabel": CLOSED})
    assert runtime("run", "-b", bundle.path, f"{container}-other").fails("sh").out == ""
    assert runtime("exec", "--process-label", CLOSED, running, "echo", "started").fails().out == ""
