"""Kernels and filters that lack a call: each lack is forced by a seccomp filter on the runtime, or by hiding what it would use."""
# Rows: attacks

import errno
import json
import os
import re
import shlex
import socket
import subprocess

import leaks
import pytest
from attackers import CALLS_SINCE_4_18, NEW_MOUNT_CALLS, PIDFD_CALLS, below_without, trace, without
from boxes import Box
from processes import PATIENCE, alive, read_line, wait_until

pytestmark = pytest.mark.ours

# Filters of containers answer ENOSYS, or EPERM where the list is older than the call.
CALLS = {
    "openat2": ("openat2",), "clone3": ("clone3",), "pidfds": PIDFD_CALLS, "mounts by descriptors": NEW_MOUNT_CALLS, "close_range": ("close_range",),
    "what came after 4.18": CALLS_SINCE_4_18,
}
LACKS = {
    **{name: without(*calls) for name, calls in CALLS.items()},
    **{f"{name}, denied": without(*calls, code=errno.EPERM) for name, calls in CALLS.items()}, "setns of several": without("setns of several"),
}


@pytest.fixture
def box(runtime, bundle, container):
    return Box(runtime, bundle, container)


@pytest.mark.parametrize("lack", LACKS)
def test_a_container_lives_its_life_without(runtime, bundle, container, lack):
    """Created, started, entered and deleted, with everything that engines ask for; what it is like inside does not depend on the lack."""
    box = Box(runtime, bundle, container)
    box.linux["sysctl"] = {"net.ipv4.ip_default_ttl": "77"}
    os.makedirs(os.path.join(bundle.rootfs, "var/lib"))
    os.symlink("../../../../etc", os.path.join(bundle.rootfs, "var/lib/link"))
    box.mount("/var/lib/link/made/here", "tmpfs", type="tmpfs")
    box.linux["maskedPaths"].append("/proc/uptime")
    bundle.write("sleep 600", process={"cwd": "/var/lib/link"})
    limited = {"preexec_fn": LACKS[lack]}
    runtime.detached("create", "-b", bundle.path, container, **limited).ok()
    runtime("start", container, **limited).ok()
    script = "cat /proc/sys/net/ipv4/ip_default_ttl; pwd; stat -c %t:%T /proc/uptime; ls /proc/self/fd; echo $HOME; ls -d /etc/made/here"
    lines = runtime("exec", container, "sh", "-c", script, **limited).ok().lines
    assert lines == ["77", "/etc", "1:3", "0", "1", "2", "3", "/root", "/etc/made/here"]
    assert runtime.state(container)["status"] == "running"
    runtime("kill", container, "KILL", **limited).ok()
    runtime.wait_for(container, "stopped")
    runtime("delete", container, **limited).ok()


def test_a_container_that_can_open_no_file_while_it_waits_still_hears_start(runtime, bundle, container):
    """Accepting a connection takes a new open file, of which the machine may have none for who is not root any more."""
    bundle.write("sleep 600")
    runtime.detached("create", "-b", bundle.path, container, preexec_fn=without("accept4", code=errno.ENFILE)).ok()
    runtime("start", container).ok()
    assert runtime.state(container)["status"] == "running"


def test_terminals_work_without_openat2(box, running):
    box.bundle.config["process"]["terminal"] = True
    lacking = without("openat2")
    assert "/dev/" in box.run("tty", preexec_fn=lacking).ok().out
    assert "/dev/pts/" in box.runtime("exec", "-t", running, "tty", preexec_fn=lacking).ok().out


def test_A01_where_no_mount_may_be_made_exec_runs_from_a_sealed_copy(runtime, bundle, container):
    """Its file is written to from inside, by a payload that may look at it: memory, which refuses for good."""
    sets = {kind: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"] for kind in ("bounding", "permitted", "effective")}
    bundle.write("""while :; do for p in /proc/[0-9]*; do
        case $(readlink $p/exe) in *memfd*) { i=0; while [ $i -lt 100 ]; do (echo attack >> /proc/self/fd/3) 2>> /tmp/said; i=$((i+1)); done
        } 3< $p/exe;; esac; done; done""", process={"capabilities": sets})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    said = bundle.file("/tmp/said", "")

    def answers():
        runtime("exec", container, "true", preexec_fn=without("open_tree")).ok()
        with open(said, encoding="utf-8") as file:
            # Busy as long as it runs; then the seal answers. A shell writes an error in pieces: the last line may be whole a moment later.
            return {line.rsplit(": ", 1)[1] for line in file.read().split("\n")[:-1]}

    wait_until(lambda: "Operation not permitted" in answers(), "the seal", seconds=30)
    assert answers() <= {"Text file busy", "Operation not permitted"}


def test_without_cgroup_kill_everything_is_frozen_and_killed_one_by_one(runtime, bundle, container):
    """The v2 hierarchy, which has the file, is hidden from the runtime; the payload forks all the time."""
    if not os.path.ismount("/sys/fs/cgroup/unified"):
        pytest.skip("only beside v1 can v2 be hidden")
    bundle.without_namespace("pid").write("while :; do (sleep 1000 & sleep 1000 & exit 0) & sleep 0.005; done")
    with runtime.below("unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified; exec "$@"', "sh"):
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        wait_until(lambda: len(runtime("ps", "-f", "json", container).out.split(",")) > 10, "the forks")
        runtime("delete", "-f", container).ok()
    assert leaks.cgroups(container) == []


def test_cgroup_v1_alone_limits_pauses_is_updated_and_goes(runtime, bundle, container):
    """Only what the v2 hierarchy has is missing, and nothing of the container's is in it."""
    if not os.path.ismount("/sys/fs/cgroup/unified"):
        pytest.skip("only beside v1 can v2 be hidden")
    bundle.write("sleep 600", linux={"resources": {"memory": {"limit": 64 << 20}, "pids": {"limit": 77}, "cpu": {"shares": 512}}})
    with runtime.below("unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified; exec "$@"', "sh"):
        runtime.detached("create", "-b", bundle.path, container).ok()
        runtime("start", container).ok()
        script = "grep :memory: /proc/self/cgroup; grep ^0:: /proc/self/cgroup"
        memory, unified = runtime("exec", container, "sh", "-c", script).ok().lines
        assert memory.endswith(f"/{container}") and container not in unified
        place = f"/sys/fs/cgroup/memory{memory.split(':', 2)[2]}/memory.limit_in_bytes"

        def limits():
            with open(place, encoding="utf-8") as limit, open(f"/sys/fs/cgroup/pids/{container}/pids.max", encoding="utf-8") as pids:
                return int(limit.read()), int(pids.read())
        assert limits() == (64 << 20, 77)
        runtime("pause", container).ok()
        assert runtime.status(container) == "paused"
        runtime("update", "--memory", "96M", "--pids-limit", "44", container).ok()
        assert limits() == (96 << 20, 44)
        runtime("resume", container).ok()
        stats = json.loads(runtime("events", "--stats", container).ok().out)["data"]
        assert stats["memory"]["usage"]["limit"] == 96 << 20 and stats["pids"]["limit"] == 44
        runtime("delete", "-f", container).ok()
        runtime("run", "-b", bundle.write("true").path, container).ok()
        bundle.write("true", linux={"resources": {"unified": {"memory.high": "1"}}})
        runtime("run", "-b", bundle.path, container).fails("linux.resources.unified", code=1)
    assert leaks.cgroups(container) == []


@pytest.mark.parametrize("call", NEW_MOUNT_CALLS)
def test_one_call_of_those_that_mount_by_descriptors_is_missed_like_all_of_them(box, call):
    """Masked is masked, read-only is read-only."""
    box.linux["maskedPaths"].append("/proc/uptime")
    script = "cat /proc/uptime; stat -c %t:%T /proc/uptime; mkdir /sys/x 2>&1; echo 1 2>&1 > /proc/sys/kernel/domainname; echo done"
    lines = box.run(script, preexec_fn=without(call)).ok().lines
    assert lines[0] == "1:3" and "Read-only" in lines[1] and "Read-only" in lines[2] and lines[3:] == ["done"], lines


# What the kernel numbers by itself is left out.
def mounts_in(box, **popen):
    done = box.run("cat /proc/self/mountinfo", **popen).ok()
    mounts = []
    for line in done.out.replace("\r", "").splitlines():
        place, _, system = line.partition(" - ")
        _, _, _, root, point, options, *propagation = place.split(" ")
        mounts.append((point, root, options, [word.split(":")[0] for word in propagation], system))
    return sorted(mounts)


def everything(box, tmp_path, mapped):
    """Adds what a root can be asked for, but for what has one way only."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    os.chmod(tmp_path, 0o755)
    if mapped:
        box.bundle.map_users()
    # A user namespace locks the access times of what it has from the host.
    times = [] if mapped else ["noatime"]
    box.mount("/bound", tmp_path / "folder", "rbind", "ro", "nosuid", *times, type="bind")
    box.mount("/etc/bound", tmp_path / "file", "bind", "rprivate", type="bind")
    box.mount("/copied", "tmpfs", "tmpcopyup", "size=64k", type="tmpfs")
    box.mount("/strict", "tmpfs", "strictatime", "nodiratime", "ro", type="tmpfs")
    box.bundle.file("/copied/from/the/image", "image")
    box.linux["maskedPaths"] += ["/proc/uptime", "/etc"]
    box.linux["readonlyPaths"].append("/var")
    box.bundle.config["root"]["readonly"] = True


@pytest.mark.parametrize("lack", ["mounts by descriptors", "mounts by descriptors, denied", "what came after 4.18"])
@pytest.mark.parametrize("mapped", [False, True], ids=["host's users", "own users"])
@pytest.mark.parametrize("terminal", [False, True], ids=["no terminal", "terminal"])
def test_every_mount_is_what_it_is_otherwise(box, tmp_path, lack, mapped, terminal):
    """Its place, root, options, propagation and file system; also where /dev is the image's, and devices are the host's."""
    everything(box, tmp_path, mapped)
    box.bundle.config["process"]["terminal"] = terminal
    mounts_in(box)  # makes the mount points: a tmpfs takes the mode of one that is there
    expected = mounts_in(box)
    assert len(expected) > 20
    assert mounts_in(box, preexec_fn=LACKS[lack]) == expected
    script = "cat /copied/from/the/image; for place in / /bound /var /strict /proc/sys; do touch $place/x; done 2>&1; ls -A /etc; cat /proc/uptime"
    lines = [line.strip() for line in box.run(script, preexec_fn=LACKS[lack]).lines]
    assert lines[0].startswith("image") and len(lines) == (5 if lines[0] != "image" else 6), lines
    assert all("Read-only" in line or "Permission" in line or "No such" in line for line in lines[-5:]), lines


@pytest.mark.parametrize("propagation", ["private", "slave", "shared", "unbindable"])
def test_the_roots_propagation_is_what_it_is_otherwise(box, propagation):
    box.linux["rootfsPropagation"] = propagation
    assert mounts_in(box, preexec_fn=LACKS["what came after 4.18"]) == mounts_in(box)


def test_without_pivot_root_and_without_proc(box):
    box.without_mounts_below("/proc")
    box.linux["maskedPaths"], box.linux["readonlyPaths"], box.linux["rootfsPropagation"] = ["/etc"], ["/var"], "shared"
    lacking = LACKS["what came after 4.18"]
    assert box.run("ls -A /etc; touch /var/x; echo $?", preexec_fn=lacking).ok().lines == ["1"]
    box.linux["rootfsPropagation"] = "slave"
    box.bundle.write("ls -A /etc; touch /var/x; echo $?")
    assert box.runtime("run", "--no-pivot", "-b", box.bundle.path, box.name, preexec_fn=lacking).ok().lines == ["1"]


def test_hooks_see_the_root_between_its_mounts_and_their_own_end(box):
    """The place where mounts are made lies over the root, and is gone by then; a hook that takes too long is killed in time."""
    seen = os.path.join(box.bundle.path, "seen")
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"ls {box.root} > {seen}; ls {box.root}/dev >> {seen}"]}
    box.bundle.config["hooks"] = {"createContainer": [hook], "createRuntime": [{"path": "/bin/true"}]}
    box.run("true", preexec_fn=LACKS["what came after 4.18"]).ok()
    with open(seen, encoding="utf-8") as file:
        assert {"bin", "proc", "null", "pts"} <= set(file.read().split())
    box.bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "600"], "timeout": 1}]}
    box.refused("createRuntime hook #0", "did not end within 1 s", preexec_fn=LACKS["what came after 4.18"])


def in_a_namespace_of_its_own(script):
    """What a shell says that is in a mount namespace of its own."""
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-ec", script], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_mounts_in_the_callers_namespace_come_and_go(runtime, bundle, container):
    """They outlive the process that made them, so the place where they were made must not."""
    bundle.without_namespace("mount").write("while read -r _ _ _ _ place _; do echo $place; done < /proc/self/mountinfo",
                                            linux={"maskedPaths": [], "readonlyPaths": []})
    with below_without(runtime, *CALLS_SINCE_4_18):
        run = shlex.join(runtime.command("run", "-b", bundle.path, container))
    *inside, left = in_a_namespace_of_its_own(f"{run}; grep -c {bundle.rootfs} /proc/self/mountinfo || true")
    assert {"/proc", "/dev", "/dev/pts"} <= {place.removeprefix(bundle.rootfs) for place in inside} and left == "0"


def test_the_place_where_mounts_are_made_goes_with_a_container_whose_init_was_killed_there(runtime, bundle, container):
    bundle.without_namespace("mount").write("sleep 600", linux={"maskedPaths": [], "readonlyPaths": []})
    create, delete = (shlex.join(runtime.command(*words, container)) for words in (("create", "-b", bundle.path), ("delete", "-f")))
    left = in_a_namespace_of_its_own(f"{create} > {bundle.path}/said 2>&1; "
                                     f"mount -t tmpfs apus-yard {bundle.rootfs}; {delete}; grep -c {bundle.rootfs} /proc/self/mountinfo || true")
    assert left == ["0"]


def test_exec_joins_every_namespace_one_by_one(runtime, bundle, container):
    """With a user namespace, and with namespaces of the host's beside it; the time namespace, too."""
    bundle.map_users()
    bundle.config["linux"]["namespaces"] += [{"type": "cgroup"}, {"type": "time"}]
    bundle.config["linux"]["timeOffsets"] = {"monotonic": {"secs": 1000}}
    # For the owner of the network alone.
    bundle.config["mounts"] = [mount for mount in bundle.config["mounts"] if not mount["destination"].startswith("/sys")]
    bundle.without_namespace("network").write("sleep 600")
    for lack in ("pidfds", "setns of several"):
        name = f"{container}-{lack[0]}"
        limited = {"preexec_fn": LACKS[lack]}
        runtime.detached("run", "-d", "-b", bundle.path, name, **limited).ok()
        kinds = "cgroup ipc mnt net pid time user uts"
        added = runtime("exec", name, "sh", "-c", f"for n in {kinds}; do readlink /proc/self/ns/$n /proc/1/ns/$n; done; id -u", **limited).ok().lines
        assert added[0:-1:2] == added[1:-1:2] and added[-1] == "0", added
        runtime("delete", "-f", name, **limited).ok()


def test_a_user_namespace_by_path_is_joined(runtime, bundle, folder, container):
    """By a stage of its own, which says whom it made."""
    first = f"{container}-first"
    bundle.map_users()
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, first).ok()
    pid = runtime.state(first)["pid"]
    bundle.config["linux"]["uidMappings"] = bundle.config["linux"]["gidMappings"] = []
    bundle.join("user", f"/proc/{pid}/ns/user").write("id -u; hostname")
    done = runtime("run", "-b", bundle.path, container, preexec_fn=LACKS["what came after 4.18"]).ok()
    assert done.lines[0] == "0"


REFUSED = {
    "rro": (["rbind", "rro"], {}, "mount_setattr"), "idmap": (["bind"], {
        "uidMappings": [{"containerID": 0, "hostID": 5, "size": 9}], "gidMappings": [{"containerID": 0, "hostID": 5, "size": 9}]}, "open_tree"),
}


@pytest.mark.parametrize("options, members, call", REFUSED.values(), ids=REFUSED)
def test_what_has_one_way_only_is_refused_by_its_name(runtime, box, tmp_path, options, members, call):
    box.mount("/bound", tmp_path, *options, type="bind")
    box.bundle.config["mounts"][-1].update(members)
    box.refused(call, "ENOSYS", "Linux 5.", preexec_fn=LACKS["mounts by descriptors"])


def test_a_bind_that_stays_a_peer_of_the_hosts_is_refused_by_its_name(box, tmp_path):
    box.linux["rootfsPropagation"] = "shared"
    box.mount("/bound", tmp_path, "rbind", "rshared", type="bind")
    box.refused("open_tree", "ENOSYS", "Linux 5.", preexec_fn=LACKS["mounts by descriptors"])


@pytest.mark.parametrize("kind", ["mapped owners", "peer"])
def test_what_has_one_way_only_is_not_taken_for_a_source_that_is_left_to_init(box, tmp_path, kind):
    """The tree can be made, but not put in its place; the other bind is opened in the container's process."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        box.mount(f"/{name}", tmp_path / name, "bind", "private", type="bind")
    second = box.bundle.config["mounts"][-1]
    if kind == "mapped owners":
        box.bundle.map_users()
        second["uidMappings"] = second["gidMappings"] = [{"containerID": 0, "hostID": 5, "size": 9}]
    else:
        second["options"] = ["bind", "rshared"]
        box.linux["rootfsPropagation"] = "shared"
    doing = "opening" if kind == "peer" else "mapping the owners of"
    box.refused(f"{doing} {tmp_path}/second", "ENOSYS", "Linux 5.12", preexec_fn=without("move_mount", "fsopen", "fsconfig", "fsmount"))


def test_a_copy_of_the_hosts_mounts_holds_none_that_was_made_on_the_way(box):
    """Nor does what lies over the root meanwhile hide what is asked for there."""
    box.bundle.file("/marked", "x")
    box.mount("/host", "/", "rbind", type="bind")
    box.mount("/own", box.bundle.rootfs, "bind", type="bind")
    box.mount("/marked-too", os.path.join(box.bundle.rootfs, "marked"), "bind", type="bind")
    script = f"ls -d /host{box.bundle.rootfs}/marked /own/marked; cat /marked-too; grep -c apus-yard /proc/self/mountinfo"
    expected = box.run(script)
    assert expected.lines == [f"/host{box.bundle.rootfs}/marked", "/own/marked", "x0"]
    assert box.run(script, preexec_fn=LACKS["mounts by descriptors"]).lines == expected.lines


def test_mounts_of_a_container_that_exists_are_refused_by_their_name(runtime, running, tmp_path):
    document = tmp_path / "mounts.json"
    for mount in ({"destination": "/a", "type": "bind", "source": str(tmp_path), "options": ["bind"]}, {"destination": "/a", "type": "tmpfs"}):
        document.write_text(json.dumps([mount]))
        runtime("mounts", "add", running, str(document), preexec_fn=LACKS["mounts by descriptors"]).fails("ENOSYS", "Linux 5.2")


def test_what_is_a_pidfd_itself_is_refused_by_its_name(runtime, bundle, running, container):
    """A socket that wants one; and a listener, which nobody else can take over from the process that has it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(bundle.path, "listener.sock"))
        listener.listen()
        path = os.path.join(bundle.path, "listener.sock")
        limited = {"preexec_fn": LACKS["pidfds"]}
        runtime("exec", "--pidfd-socket", path, running, "true", **limited).fails("pidfd_open", "ENOSYS", "Linux 5.3")
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}
        bundle.write(["true"], linux={"seccomp": profile})
        runtime("run", "-b", bundle.path, f"{container}-other", **limited).fails("pidfd_getfd", "ENOSYS", "Linux 5.6")
    assert runtime.status(running) == "running"


def test_A03_what_the_caller_left_open_reaches_nobody_without_close_range(runtime, bundle, running, container):
    numbers = [os.open("/", os.O_RDONLY) for _ in range(9)]
    try:
        for lack in ("close_range", "close_range, denied"):
            limited = {"preexec_fn": LACKS[lack], "pass_fds": numbers}
            assert runtime("exec", running, "ls", "/proc/self/fd", **limited).ok().lines == ["0", "1", "2", "3"]
            bundle.write("ls /proc/self/fd")
            assert runtime("run", "-b", bundle.path, f"{container}-{len(lack)}", **limited).ok().lines == ["0", "1", "2", "3"]
    finally:
        for number in numbers:
            os.close(number)


def run_three(runtime, bundle, container):
    """A container without a pid namespace of its own, with as many processes."""
    bundle.without_namespace("pid").write("sleep 600 & sleep 600 & wait")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: len(json.loads(runtime("ps", "-f", "json", container).ok().out)) == 3, "all three are there")


@pytest.mark.parametrize("words, code", [
    (["kill", "--all", "CONTAINER", "CONT"], 0), (["delete", "-f", "CONTAINER"], 0), (["exec", "CONTAINER", "nothing"], 255),
], ids=["kill of all", "delete", "an exec that fails"])
def test_signals_are_sent_to_descriptors_alone(runtime, bundle, folder, container, words, code):
    """Numbers are listed, and may be another process's by the time that the signal is sent."""
    run_three(runtime, bundle, container)
    words = [container if word == "CONTAINER" else word for word in words]
    calls = trace(runtime, folder, *words, calls="kill,tkill,tgkill,pidfd_send_signal", code=code)
    assert {call.name for call in calls} <= {"pidfd_send_signal"}
    if words[0] == "kill":
        assert len(calls) == 3


@pytest.mark.parametrize("closed, numbers", [("<&-", [0]), (">&-", [1]), ("<&- >&- 2>&-", [0, 1, 2])])
def test_standard_files_that_the_caller_closed_are_the_null_device_without_mounts_too(runtime, bundle, container, closed, numbers):
    """Not the copy of the runtime, which is made first."""
    said = bundle.file("/tmp/said", "")
    bundle.write('said=$(for n in 0 1 2; do readlink /proc/1/fd/$n; done); echo "$said" > /tmp/said')
    with below_without(runtime, "open_tree"), runtime.below("sh", "-c", f'exec "$@" {closed}', "sh"):
        runtime.detached("run", "-b", bundle.path, container).ok()
    with open(said, encoding="utf-8") as file:
        files = file.read().splitlines()
    assert [files[number] for number in numbers] == ["/dev/null"] * len(numbers)


@pytest.mark.parametrize("cwd", ["/proc/self/fd/0", "/proc/self/cwd", "/proc/self/root"])
def test_A02_the_walk_without_openat2_takes_no_way_through_a_descriptor(runtime, running, cwd):
    runtime("exec", "--cwd", cwd, running, "pwd", preexec_fn=without("openat2"), stdin=subprocess.DEVNULL).fails("too many levels of symbolic links")


def test_A31_a_long_way_ends_in_an_error_without_openat2(box):
    box.mount("/d" * 3000, "tmpfs", type="tmpfs")
    box.refused("ENAMETOOLONG", preexec_fn=without("openat2"))


@pytest.mark.parametrize("word", ["createRuntime", "poststart"])
def test_a_hook_that_cannot_be_held_for_want_of_descriptors_is_ended_and_an_error(runtime, bundle, container, folder, word):
    """That is no kernel without pidfds."""
    said = os.path.join(folder, "hook")
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"echo $$ > {said}.new; mv {said}.new {said}; exec sleep 600"]}
    bundle.write("sleep 600", ociVersion="1.3.0", hooks={word: [hook]})
    with runtime.below("strace", "-qq", "-o", os.path.join(folder, "trace"), "-e", "trace=pidfd_open", "-e", "inject=pidfd_open:error=EMFILE:when=1"):
        runtime.detached("run", "-d", "-b", bundle.path, container).fails(f"{word} hook", "pidfd_open", "EMFILE")
    if os.path.exists(said):
        with open(said, encoding="utf-8") as file:
            assert not alive(file.read().strip())
    assert runtime("list", "-q").ok().out == ""


def test_events_end_with_a_container_whose_end_nobody_tells(runtime, bundle, container):
    bundle.write("while [ ! -e /tmp/go ]; do sleep 0.05; done")
    limited = {"preexec_fn": LACKS["pidfds"]}
    runtime.detached("run", "-d", "-b", bundle.path, container, **limited).ok()
    events = subprocess.Popen(runtime.command("events", "--interval", "100ms", container), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **limited)
    try:
        first = read_line(events)
        bundle.file("/tmp/go", "")
        rest, _ = events.communicate(timeout=60 * PATIENCE)
    finally:
        events.kill()
        events.wait()
    assert events.returncode == 0
    assert all(json.loads(line)["type"] == "stats" for line in [first, *rest.splitlines()])


@pytest.mark.parametrize("lack", ["pidfds", "pidfds, denied"])
@pytest.mark.parametrize("words, signalled, code", [
    (["kill", "--all", "CONTAINER", "CONT"], 3, 0), (["delete", "-f", "CONTAINER"], 1, 0), (["exec", "CONTAINER", "nothing"], 0, 255),
], ids=["kill of all", "delete", "an exec that fails"])
def test_without_pidfds_a_number_is_signalled_right_after_a_look_at_whose_it_is(
        runtime, bundle, folder, container, lack, words, signalled, code):
    """By the directory of the process, which was opened before it was found to be the container's: that of a later one is another."""
    run_three(runtime, bundle, container)
    words = [container if word == "CONTAINER" else word for word in words]
    with below_without(runtime, *PIDFD_CALLS, code=errno.EPERM if "denied" in lack else errno.ENOSYS):
        calls = trace(runtime, folder, *words, calls="openat,waitid,kill,tkill,tgkill,pidfd_send_signal", code=code)
    kills = [index for index, call in enumerate(calls) if call.name == "kill"]
    assert len(kills) >= signalled and not [call for call in calls if call.name in ("tkill", "tgkill")]
    for index in kills:
        look = [call for call in calls[:index] if call.process == calls[index].process][-1]
        number = calls[index].arguments.split(",")[0]
        assert re.match(rf'\d+, "stat", |P_PID, {number}, .*WNOWAIT', look.arguments), look


@pytest.mark.parametrize("lack", ["pidfds", "what came after 4.18"])
def test_A33_without_pidfds_a_later_process_of_the_same_number_is_not_signalled(runtime, running, lack):
    """The record is made to name a process that started at another time."""
    path = os.path.join(runtime.state_root, running, "init.json")
    with open(path, encoding="utf-8") as file:
        record = json.load(file)
    stranger = subprocess.Popen(["sleep", "600"])
    limited = {"preexec_fn": LACKS[lack]}
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**record, "pid": stranger.pid, "startTime": record["startTime"] - 100}, file, separators=(",", ":"))
        runtime("kill", running, "KILL", **limited).fails("not running")
        runtime("delete", "-f", running, **limited).ok()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
