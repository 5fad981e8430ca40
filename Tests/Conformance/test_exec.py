"""`exec`: a process added to a running container."""

import json
import os
import re
import signal
import subprocess

import pytest
from attackers import without
from processes import state_of, wait_until
from standstill import children
from test_cgroups import V1


def status_of(result):
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", result.ok().out, re.M))


@pytest.mark.parametrize("program", ["nonexist", "/bin/garbage"])
def test_exec_that_fails_leaves_no_pid_file(runtime, bundle, running, program):
    bundle.file("/bin/garbage", "garbage", 0o755)
    pid_file = os.path.join(bundle.path, "exec-pid")
    runtime("exec", "--pid-file", pid_file, running, program).fails("")
    if runtime.kind == "apus":
        assert not os.path.exists(pid_file)


def test_exec_joins_every_namespace_of_the_container(runtime, running):
    pid = runtime.state(running)["pid"]
    for name in ("pid", "net", "ipc", "uts", "mnt"):
        inside = runtime("exec", running, "readlink", f"/proc/self/ns/{name}").ok().out.strip()
        assert inside == os.readlink(f"/proc/{pid}/ns/{name}")
    assert runtime("exec", running, "hostname").ok().out == "conformance\n"


@pytest.mark.ours
@pytest.mark.parametrize("created", [False, True])
def test_exec_is_in_the_containers_root_without_a_mount_namespace(runtime, bundle, container, created):
    """The root is one of chroot(2) then: the namespaces alone would leave the process in the host's."""
    for member in ("maskedPaths", "readonlyPaths"):
        bundle.without_namespace("mount").config["linux"].pop(member, None)
    bundle.config["root"]["readonly"] = False
    bundle.file("/only-here", "the container's\n")
    bundle.write("sleep 600", mounts=[])
    runtime.detached(*(["create"] if created else ["run", "-d"]), "-b", bundle.path, container).ok()
    found = runtime("exec", container, "sh", "-c", "cat /only-here; ls -d /../only-here; pwd").ok().lines
    assert found == ["the container's", "/../only-here", "/"]
    # Its mounts lie in the test's own namespace, and in the bundle.
    runtime("delete", "-f", container).ok()


@pytest.fixture(scope="module")
def leaves(folder):
    path = os.path.join(folder, "leaves")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "leaves.c")
    subprocess.run(["cc", "-static", "-pthread", "-O1", "-Wall", "-Werror", "-o", path, source], check=True)
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("pids", ["own", "the-hosts"])
def test_a_container_whose_first_thread_ended_alone_takes_nobody_in_and_ends_with_delete(runtime, bundle, container, leaves, pids):
    """Its first process is a zombie until the last thread of it ends; nothing can be joined by way of it."""
    if pids == "the-hosts":
        bundle.without_namespace("pid")
    bundle.file("/bin/leaves", leaves, 0o755)
    pid_file = os.path.join(bundle.path, "pid")
    bundle.write(["leaves"])
    runtime.detached("run", "-d", "--pid-file", pid_file, "-b", bundle.path, container).ok()
    with open(pid_file, encoding="utf-8") as file:
        tasks = f"/proc/{file.read()}/task"
    runtime.wait_for(container, "stopped")
    assert len(os.listdir(tasks)) == 2
    runtime("exec", container, "true").fails("cannot exec in a stopped container")
    runtime("kill", container, "TERM").fails("container not running")
    runtime("delete", container).ok()
    wait_until(lambda: not os.path.exists(tasks), "the other thread has ended, too")


def hold(process):
    """Stops it, and returns once it stands still: until then it may reap a child yet."""
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: state_of(process.pid) == "T", "it stands still")


@pytest.mark.ours
def test_exec_into_a_container_that_has_given_its_namespaces_up_and_is_not_gone_says_so(runtime, running):
    """A first process waits for all others of its pid namespace to be reaped, those of foreign parents too, before anybody sees its end."""
    pid = runtime.state(running)["pid"]
    with subprocess.Popen(["nsenter", "--pid", "--target", str(pid), "sleep", "600"]) as foreign:
        try:
            wait_until(lambda: children(foreign.pid), "the foreign process")
            hold(foreign)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not os.path.exists(f"/proc/{pid}/ns/mnt"), "the namespaces to be given up")
            runtime("exec", running, "true").fails("cannot exec in a stopped container")
        finally:
            # It reaps its child, for which the first process waits, and ends as that did.
            foreign.send_signal(signal.SIGCONT)
            foreign.wait(60)


@pytest.mark.ours
@pytest.mark.parametrize("forced", [False, True])
def test_a_container_whose_first_process_is_kept_for_another_that_nobody_reaps_is_deleted(runtime, running, forced):
    """It has ended: what keeps its number are others' parents, who may look elsewhere for ever."""
    pid = runtime.state(running)["pid"]
    with subprocess.Popen(["nsenter", "--pid", "--target", str(pid), "sleep", "600"]) as foreign:
        try:
            wait_until(lambda: children(foreign.pid), "the foreign process")
            hold(foreign)
            if not forced:
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: runtime.state(running)["status"] == "stopped", "it is known to have ended")
            runtime("delete", *(["-f"] if forced else []), running).ok()
            with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
                assert file.read() == "zap_pid_ns_processes"
        finally:
            foreign.send_signal(signal.SIGCONT)
            foreign.wait(60)


KEYS = """#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **words) {
    if (count > 1) {
        if (syscall(SYS_add_key, "user", "a", "b", 1, KEY_SPEC_SESSION_KEYRING) < 0) { perror("add_key"); return 1; }
        puts("added"); fflush(stdout);
        pause();
    }
    if (syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "a", 0) < 0) { perror("search"); return 1; }
    puts("found");
    return 0;
}
"""


@pytest.mark.ours
@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize("mapped", [False, True])
def test_exec_shares_the_containers_session_keyring(runtime, bundle, container, tmp_path, mapped, user):
    (tmp_path / "keys.c").write_text(KEYS, encoding="utf-8")
    subprocess.run(["cc", "-static", "-O1", "-o", os.path.join(bundle.rootfs, "bin/keys"), str(tmp_path / "keys.c")], check=True)
    bundle.file("/added", "", 0o666)
    if mapped:
        bundle.map_users()
    bundle.write("exec keys add > /added", process={"user": {"uid": user, "gid": 0}})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.getsize(os.path.join(bundle.rootfs, "added")), "the key is there")
    assert runtime("exec", "-u", str(user), container, "keys").ok().out == "found\n"


def test_exec_returns_the_programs_exit_status(runtime, running):
    assert runtime("exec", running, "sh", "-c", "exit 7").code == 7
    assert runtime("exec", running, "sh", "-c", "kill -9 $$").code == 137


def test_exec_passes_standard_streams_through(runtime, running):
    read, write = os.pipe()
    os.write(write, b"through\n")
    os.close(write)
    result = runtime("exec", running, "sh", "-c", "cat; echo error >&2", stdin=read)
    os.close(read)
    assert (result.code, result.out, result.err) == (0, "through\n", "error\n")


def test_exec_is_in_the_containers_cgroup(runtime, running):
    lines = runtime("exec", running, "cat", "/proc/self/cgroup").ok().lines
    pid = runtime.state(running)["pid"]
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        assert sorted(lines) == sorted(file.read().split())


@pytest.mark.skipif(V1, reason="cgroup v1 has room in cgroups that hand controllers down")
@pytest.mark.parametrize("lack", [None, "clone3"])
def test_exec_is_beside_the_first_process_where_the_container_hands_controllers_down(runtime, bundle, container, lack):
    """As systemd and other container engines do inside, after which v2 takes no process into the container's cgroup itself."""
    if lack and runtime.kind != "apus":
        pytest.skip("states what only our runtime does")
    mount = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw", "nosuid", "nodev", "noexec"]}
    bundle.write("cd /sys/fs/cgroup && mkdir -p own/deep && echo $$ > own/deep/cgroup.procs && echo +memory > cgroup.subtree_control && "
                 "touch /tmp/made; sleep 600",
                 linux={"namespaces": {"$add": [{"type": "cgroup"}]}}, mounts={"$add": [mount]})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/made")), "it hands memory down", seconds=60)
    lacking = {"preexec_fn": without(lack)} if lack else {}
    assert runtime("exec", container, "cat", "/proc/self/cgroup", **lacking).ok().out == "0::/own/deep\n"
    runtime("exec", "--cgroup", "/", container, "true", **lacking).fails("" if runtime.kind != "apus" else "EBUSY")


def test_exec_takes_user_groups_environment_and_directory(runtime, running):
    words = ["-u", "1000:5", "-g", "7", "-g", "8", "-e", "A=1", "-e", "B=2", "--cwd", "/tmp"]
    if runtime.kind == "crun":
        words = [word for word in words if word not in ("-g", "7", "8")]
    result = runtime("exec", *words, running, "sh", "-c", "id -u; id -g; id -G; echo $A$B; pwd; echo $HOME").ok().lines
    groups = {"5", "7", "8"} if runtime.kind != "crun" else {"5"}
    assert (result[0], result[1], set(result[2].split()), result[3], result[4]) == ("1000", "5", groups, "12", "/tmp")
    if runtime.kind != "crun":
        assert result[5] == "/home/bob"


def test_exec_has_the_containers_capabilities_and_what_is_added(runtime, running):
    plain = status_of(runtime("exec", running, "cat", "/proc/self/status"))
    assert int(plain["CapBnd"], 16) == 1 << 29 | 1 << 5 | 1 << 10
    assert plain["NoNewPrivs"] == "1"
    added = status_of(runtime("exec", "--cap", "CAP_CHOWN", running, "cat", "/proc/self/status"))
    assert int(added["CapBnd"], 16) == 1 << 29 | 1 << 5 | 1 << 10 | 1


def test_exec_reads_a_process_document(runtime, bundle, running):
    process = {"args": ["sh", "-c", "id -u; pwd; echo $A"], "cwd": "/tmp", "env": ["PATH=/bin", "A=document"],
               "user": {"uid": 1000, "gid": 1000}}
    path = os.path.join(bundle.path, "process.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(process, file)
    assert runtime("exec", "-p", path, running).ok().lines == ["1000", "/tmp", "document"]


def test_the_last_of_several_variables_of_a_name_is_the_programs(runtime, bundle, container):
    """A program takes the first that it finds."""
    bundle.file("/tmp/bin/only-here", "#!/bin/sh\necho found\n", 0o755)
    bundle.write("sleep 600", process={"env": ["A=0", "PATH=/bin", "AB=3", "A=1"]})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    pid = runtime.state(container)["pid"]
    with open(f"/proc/{pid}/environ", encoding="utf-8") as file:
        assert sorted(word for word in file.read().split("\0") if word.startswith("A")) == ["A=1", "AB=3"]
    lines = runtime("exec", "-e", "A=2", "-e", "A=last", container, "env").ok().lines
    assert sorted(line for line in lines if line.startswith("A")) == ["A=last", "AB=3"]
    assert runtime("exec", "-e", "PATH=/tmp/bin:/bin", container, "only-here").ok().out == "found\n"
    assert runtime("exec", "-e", "PATH=/tmp/bin:/bin", container, "env").ok().lines.count("PATH=/tmp/bin:/bin") == 1


def test_a_detached_exec_returns_at_once_and_tells_the_pid(runtime, bundle, running):
    pid_file = os.path.join(bundle.path, "exec-pid")
    runtime.detached("exec", "-d", "--pid-file", pid_file, running, "sh", "-c", "echo there > /tmp/there; sleep 600").ok()
    with open(pid_file, encoding="utf-8") as file:
        pid = int(file.read())
    assert os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{runtime.state(running)['pid']}/ns/pid")
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/there")), "the process ran")


def test_exec_works_in_a_container_that_waits_for_start(runtime, bundle, container):
    bundle.write("sleep 600")
    runtime.detached("create", "-b", bundle.path, container).ok()
    assert runtime("exec", container, "echo", "early").ok().out == "early\n"
    assert runtime.status(container) == "created"


@pytest.mark.parametrize("program, text", [
    ("nonexist", 'exec: "nonexist": executable file not found in $PATH'),
    ("/bin/nonexist", 'exec: "/bin/nonexist": stat /bin/nonexist: no such file or directory'),
    ("/bin", 'exec: "/bin": permission denied'),
])
def test_exec_of_what_cannot_be_executed_fails_in_runcs_words(runtime, running, program, text):
    runtime("exec", running, program).fails(f"exec failed: unable to start container process: {text}", code=255)


def test_a_user_who_may_not_enter_the_directory_gets_an_error(runtime, bundle, running):
    os.mkdir(os.path.join(bundle.rootfs, "private"), 0o700)
    # Allowed to root, whose rights are tried first, as in runc.
    runtime("exec", "--cwd", "/private", running, "true").ok()
    runtime("exec", "--cwd", "/nonexistent", running, "true").fails(
        'chdir to cwd ("/nonexistent") set in config.json failed: no such file or directory')


def test_exec_leaves_no_zombie_behind_that_would_keep_the_container(runtime, running):
    runtime("exec", running, "/nonexistent").fails()
    runtime("exec", "--cwd", "/nonexistent", running, "true").fails()
    runtime("kill", running, "KILL").ok()
    runtime.wait_for(running, "stopped")


@pytest.mark.ours
def test_exec_refuses_names_that_the_container_would_have_to_resolve(runtime, running):
    runtime("exec", "-u", "bob", running, "true").fails('"bob"', code=255)


@pytest.mark.ours
def test_exec_applies_the_containers_filter(runtime, bundle, container):
    seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 93}]}
    bundle.write("mkdir /tmp/no; sleep 600", linux={"seccomp": seccomp})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    runtime("exec", container, "mkdir", "/tmp/no").fails("Protocol not supported")
    assert runtime("exec", container, "grep", "Seccomp:", "/proc/self/status").ok().out.split() == ["Seccomp:", "2"]
    assert not os.path.exists(os.path.join(bundle.rootfs, "tmp/no"))


def test_what_a_document_leaves_out_is_the_containers_own(runtime, bundle, container):
    sets = {kind: ["CAP_KILL", "CAP_NET_BIND_SERVICE"] for kind in ("bounding", "permitted", "effective")}
    bundle.write("sleep 600", process={"capabilities": sets, "oomScoreAdj": 500, "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 78}]})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    script = "grep -E '^Cap(Bnd|Prm|Eff)' /proc/self/status; cat /proc/self/oom_score_adj; ulimit -n"
    document = {"cwd": "/", "args": ["sh", "-c", script], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}

    def said(**more):
        path = os.path.join(bundle.path, "process.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**document, **more}, file)
        return [line.split()[-1] for line in runtime("exec", "--process", path, container).ok().lines]

    own = f"{1 << 5 | 1 << 10:016x}"
    if runtime.kind == "apus":
        assert said() == [own, own, own, "500", "77"]
        none = {kind: [] for kind in sets}
        rlimits = [{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 55}]
        assert said(capabilities=none, oomScoreAdj=600, rlimits=rlimits) == ["0" * 16] * 3 + ["600", "55"]
    else:
        assert said()[:3] == [own] * 3
