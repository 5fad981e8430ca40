"""config-linux.md, "Namespaces" and "User namespace mappings"."""

import os
import subprocess

import pytest
from claims import spec
from ordinary import USER, hand_over
from processes import wait_until

FILES = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "user": "user", "cgroup": "cgroup", "time": "time"}


def namespaces_of(process):
    return {kind: os.readlink(f"/proc/{process}/ns/{name}") for kind, name in FILES.items()}


@spec("config-linux.md#configLinuxNamespaces", "MUST create a new container namespace", "MUST inherit the runtime namespace")
def test_configured_namespaces_are_new_and_the_others_the_hosts(runtime, bundle, container):
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    theirs, own = namespaces_of(runtime.state(container)["pid"]), namespaces_of("self")
    new = {kind for kind in FILES if theirs[kind] != own[kind]}
    assert new == {"pid", "network", "ipc", "uts", "mount"}


def test_a_new_network_namespace_has_its_loopback_up(runtime, bundle, container):
    bundle.write("ip link show lo; ip link | wc -l")
    result = runtime("run", "-b", bundle.path, container).ok()
    assert "LOOPBACK,UP" in result.out


def test_a_cgroup_namespace_is_rooted_at_the_containers_cgroup(runtime, bundle, container):
    bundle.config["linux"]["namespaces"].append({"type": "cgroup"})
    bundle.write(["cat", "/proc/self/cgroup"])
    lines = runtime("run", "-b", bundle.path, container).ok().lines
    assert {line.split(":", 2)[2] for line in lines if not (runtime.kind == "crun" and line.startswith("0:"))} == {"/"}


def test_a_time_namespace_has_the_configured_offsets(runtime, bundle, container):
    bundle.config["linux"]["namespaces"].append({"type": "time"})
    bundle.write(["cat", "/proc/self/timens_offsets", "/proc/uptime"],
                 linux={"timeOffsets": {"monotonic": {"secs": 86400}, "boottime": {"secs": 1000000, "nanosecs": 5}}})
    lines = runtime("run", "-b", bundle.path, container).ok().lines
    assert [line.split() for line in lines[:2]] == [["monotonic", "86400", "0"], ["boottime", "1000000", "5"]]
    assert float(lines[2].split()[0]) > 1000000


@pytest.mark.ours
@pytest.mark.parametrize("owner", ["new", "joined"])
def test_a_time_namespace_within_a_user_namespace_has_the_configured_offsets(runtime, mapped, container, owner):
    if owner == "joined":
        mapped.write("sleep 600")
        runtime.detached("run", "-d", "-b", mapped.path, container).ok()
        mapped.join("user", f"/proc/{runtime.state(container)['pid']}/ns/user")
        container += "-second"
    mapped.config["linux"]["namespaces"].append({"type": "time"})
    mapped.write(["cat", "/proc/self/timens_offsets"],
                 linux={"timeOffsets": {"monotonic": {"secs": 86400}, "boottime": {"secs": 1000000, "nanosecs": 5}}})
    lines = runtime("run", "-b", mapped.path, container).ok().lines
    assert [line.split() for line in lines] == [["monotonic", "86400", "0"], ["boottime", "1000000", "5"]]


@pytest.mark.ours
def test_offsets_for_a_time_namespace_that_is_joined_are_refused(runtime, bundle, container, other):
    bundle.join("time", f"/proc/{other}/ns/time").write("true", linux={"timeOffsets": {"monotonic": {"secs": 86400}}})
    runtime("run", "-b", bundle.path, container).fails("linux.timeOffsets: cannot be set in a namespace that is joined")


@spec("config-linux.md#configLinuxNamespaces", "MUST place the container process in the namespace")
@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "pid", "cgroup"])
def test_a_namespace_is_joined_by_its_path(runtime, bundle, container, other, kind):
    path = f"/proc/{other}/ns/{FILES[kind]}"
    if kind == "uts":
        del bundle.config["hostname"]
    bundle.join(kind, path).write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    assert os.readlink(f"/proc/{pid}/ns/{FILES[kind]}") == os.readlink(path)
    inside = runtime("exec", container, "readlink", f"/proc/self/ns/{FILES[kind]}").ok().out.strip()
    assert inside == os.readlink(path)


def test_a_time_namespace_is_joined_by_its_path(runtime, bundle, container, other):
    bundle.join("time", f"/proc/{other}/ns/time").write(["readlink", "/proc/self/ns/time"])
    assert runtime("run", "-b", bundle.path, container).ok().out.strip() == os.readlink(f"/proc/{other}/ns/time")


def test_hooks_of_the_host_stay_in_it_when_namespaces_are_joined(runtime, bundle, container, other):
    log = os.path.join(bundle.path, "log")
    bundle.join("network", f"/proc/{other}/ns/net").join("pid", f"/proc/{other}/ns/pid")
    bundle.write(["true"], hooks={"createRuntime": [
        {"path": "/bin/sh", "args": ["sh", "-c", f"readlink /proc/self/ns/net /proc/self/ns/pid > {log}"], "env": ["PATH=/bin:/usr/bin"]}]})
    runtime("run", "-b", bundle.path, container).ok()
    with open(log, encoding="utf-8") as file:
        assert file.read().split() == [os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/pid")]


@spec("config-linux.md#configLinuxNamespaces", "is not associated with a namespace of type")
def test_a_path_to_another_kind_of_namespace_is_refused(runtime, bundle, container, other):
    bundle.join("network", f"/proc/{other}/ns/ipc").write(["true"])
    runtime("run", "-b", bundle.path, container).fails("another kind of namespace" if runtime.kind == "apus" else "")


def test_a_path_to_no_namespace_is_refused(runtime, bundle, container):
    bundle.join("network", "/etc/passwd").write(["true"])
    runtime("run", "-b", bundle.path, container).fails("not a namespace" if runtime.kind == "apus" else "")


# User namespaces.

MAPPINGS = [{"containerID": 0, "hostID": 200000, "size": 65536}]


@pytest.fixture
def mapped(bundle):
    """A bundle whose root belongs to the user namespace's root."""
    subprocess.run(["chown", "-R", "-h", "200000:200000", bundle.rootfs], check=True)
    for path in (bundle.path, bundle.rootfs):
        os.chmod(path, 0o755)
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    bundle.write(linux={"uidMappings": MAPPINGS, "gidMappings": MAPPINGS})
    return bundle


def test_a_user_namespace_has_the_configured_mappings(runtime, mapped, container):
    mapped.write("id -u; cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/mine; sleep 600")
    runtime.detached("run", "-d", "-b", mapped.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(mapped.rootfs, "tmp/mine")), "the file")
    pid = runtime.state(container)["pid"]
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{name}", encoding="utf-8") as file:
            assert file.read().split() == ["0", "200000", "65536"]
    status = os.stat(os.path.join(mapped.rootfs, "tmp/mine"))
    assert (status.st_uid, status.st_gid) == (200000, 200000)
    assert os.stat(f"/proc/{pid}").st_uid == 200000


def test_users_of_a_user_namespace_are_its_own(runtime, mapped, container):
    mapped.write("id -u; id -g; id -G; touch /tmp/mine",
                 process={"user": {"uid": 1000, "gid": 1001, "additionalGids": [7]}, "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 501}]})
    lines = runtime("run", "-b", mapped.path, container).ok().lines
    assert (lines[0], lines[1], set(lines[2].split())) == ("1000", "1001", {"1001", "7"})
    assert os.stat(os.path.join(mapped.rootfs, "tmp/mine")).st_uid == 201000


@pytest.mark.ours
def test_an_exec_as_somebody_whom_the_user_namespace_does_not_know_is_refused_by_the_field(runtime, mapped, container):
    mapped.write("sleep 600")
    runtime.detached("run", "-d", "-b", mapped.path, container).ok()
    runtime("exec", "-u", "70000", container, "true").fails("process.user.uid: 70000 is not mapped")
    runtime("exec", "-u", "1:70000", container, "true").fails("process.user.gid: 70000 is not mapped")
    runtime("exec", "-g", "70000", container, "true").fails("process.user.additionalGids[0]: 70000 is not mapped")
    runtime("exec", "-u", "65535:65535", container, "true").ok()


@pytest.fixture
def elsewhere():
    """The path of a user namespace that somebody else has made, with 65,536 ids."""
    owner = subprocess.Popen(["unshare", "-U", "sleep", "600"])
    try:
        path = f"/proc/{owner.pid}/ns/user"
        wait_until(lambda: os.readlink(path) != os.readlink("/proc/self/ns/user"), "the namespace")
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{owner.pid}/{name}", "w", encoding="utf-8") as file:
                file.write("0 200000 65536")
        yield path
    finally:
        owner.kill()
        owner.wait()


@pytest.mark.ours
@pytest.mark.parametrize("user, field", [
    ({"uid": 70000}, "process.user.uid"), ({"gid": 70000}, "process.user.gid"), ({"additionalGids": [5, 70000]}, "process.user.additionalGids[1]")])
def test_somebody_whom_a_joined_user_namespace_does_not_know_is_refused_by_the_field(runtime, mapped, container, elsewhere, user, field):
    mapped.join("user", elsewhere)
    del mapped.config["linux"]["uidMappings"], mapped.config["linux"]["gidMappings"]
    mapped.write(["true"], process={"user": user})
    result = runtime("run", "-b", mapped.path, container).fails(f"{field}: 70000 is not mapped by the container's user namespace")
    assert "; then " not in result.err, result.err


def test_exec_joins_a_user_namespace(runtime, mapped, container):
    mapped.write("sleep 600")
    runtime.detached("run", "-d", "-b", mapped.path, container).ok()
    result = runtime("exec", "-u", "1000:1000", container, "sh", "-c", "id -u; readlink /proc/self/ns/user; touch /tmp/mine").ok().lines
    assert result == ["1000", os.readlink(f"/proc/{runtime.state(container)['pid']}/ns/user")]
    assert os.stat(os.path.join(mapped.rootfs, "tmp/mine")).st_uid == 201000


def test_a_user_namespace_joins_namespaces_of_the_host_by_path(runtime, mapped, container, other):
    mapped.join("network", f"/proc/{other}/ns/net").write(["readlink", "/proc/self/ns/net"])
    mapped.config["mounts"] = [mount for mount in mapped.config["mounts"] if mount["type"] != "sysfs"]
    mapped.write()
    assert runtime("run", "-b", mapped.path, container).ok().out.strip() == os.readlink(f"/proc/{other}/ns/net")


def test_a_user_namespace_is_joined_by_its_path(runtime, mapped, container, elsewhere):
    mapped.join("user", elsewhere)
    mapped.config["linux"].pop("uidMappings")
    mapped.config["linux"].pop("gidMappings")
    mapped.write("readlink /proc/self/ns/user; id -u; touch /tmp/mine")
    assert runtime("run", "-b", mapped.path, container).ok().lines == [os.readlink(elsewhere), "0"]
    assert os.stat(os.path.join(mapped.rootfs, "tmp/mine")).st_uid == 200000


@pytest.mark.ours
@pytest.mark.parametrize("clock", ["realtime", "foo"])
def test_an_offset_of_a_clock_that_a_time_namespace_has_not_is_refused_by_name(runtime, bundle, container, clock):
    bundle.config["linux"]["namespaces"].append({"type": "time"})
    bundle.write(["true"], linux={"timeOffsets": {"monotonic": {"secs": 1}, clock: {"secs": 1}}})
    runtime("run", "-b", bundle.path, container).fails(f"linux.timeOffsets.{clock}: a time namespace has no such clock")


@pytest.mark.ours
@pytest.mark.parametrize("whose", ["root's", "an ordinary user's"])
def test_a_user_namespace_needs_no_root(runtime, request, bundle, container, whose):
    """A single mapping of another id than 0 is enough: the rights that set the container up are not those of a number."""
    if whose == "root's":
        bundle.map_users(4242)
    else:
        runtime = request.getfixturevalue("rootless")
        hand_over(runtime, bundle, USER)
    for kind in ("uidMappings", "gidMappings"):
        bundle.config["linux"][kind] = [{"containerID": 5, "hostID": 4242, "size": 1}]
    script = "id -u; id -g; cat /proc/self/uid_map; touch /tmp/mine /dev/shm/mine; sleep 600"
    bundle.file("/tmp/said", "", 0o666)
    bundle.write(f"({script}) > /tmp/said", process={"user": {"uid": 5, "gid": 5}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    assert runtime("exec", container, "id", "-u").ok().out == "5\n"
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/mine")), "the payload")
    with open(os.path.join(bundle.rootfs, "tmp/said"), encoding="utf-8") as file:
        assert file.read().split() == ["5", "5", "5", "4242", "1"]
    assert os.stat(os.path.join(bundle.rootfs, "tmp/mine")).st_uid == 4242
    runtime("delete", "-f", container).ok()
