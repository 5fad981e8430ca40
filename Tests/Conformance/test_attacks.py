"""Rows A01 to A26 of the attack list that concern the runtime. Each must fail against a build with its guard turned off (WEAKENED_A…)."""

import hashlib
import os
import shutil
import time

import pytest
from processes import wait_until


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.fixture
def copied(runtime, folder):
    """The runtime as a file that an attack may ruin."""
    path = os.path.join(folder, os.path.basename(runtime.path))
    shutil.copy2(runtime.path, path)
    original, runtime.path = runtime.path, path
    yield path
    runtime.path = original
    os.unlink(path)


# Whoever is neither the container's first process nor this shell has just been cloned by the runtime, from the runtime's file. It is
# opened for reading while that process lives; once no process runs from it any more, writing is no longer "text file busy".
OVERWRITE = """
touch /tmp/ready
while :; do for p in /proc/[0-9]*; do
    case $p in /proc/1|/proc/$$) continue;; esac
    { i=0; while [ $i -lt 100 ]; do (echo overwritten >> /proc/self/fd/3) 2>/dev/null && touch /tmp/done; i=$((i+1)); done; } 3< $p/exe
done 2>/dev/null; done
"""


def test_a01_the_runtimes_own_file_cannot_be_overwritten_by_a_container_that_exec_enters(runtime, copied, bundle, container):
    before = digest(copied)
    sets = {kind: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"] for kind in ("bounding", "permitted", "effective")}
    bundle.write(OVERWRITE, process={"capabilities": sets})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/ready")), "the attacker")
    for _ in range(20):
        runtime("exec", container, "true")
        time.sleep(0.05)
        if os.path.exists(os.path.join(bundle.rootfs, "tmp/done")):
            break
    assert digest(copied) == before


def test_a01_a_payload_that_is_proc_self_exe_is_not_the_runtimes_own_file(runtime, copied, bundle, container):
    """The kernel resolves the interpreter in the process that calls execve: it is our program that runs again, as the payload."""
    before = digest(copied)
    bundle.file("/bin/attack", "#!/proc/self/exe\n", 0o755)
    bundle.write(["/bin/attack"])
    runtime("run", "-b", bundle.path, container, timeout=20)
    assert digest(copied) == before


@pytest.mark.ours
def test_a01_init_runs_from_a_file_that_refuses_writing(runtime, bundle, container):
    """"Text file busy" would protect it only as long as it runs."""
    bundle.write(["true"])
    runtime.detached("create", "-b", bundle.path, container).ok()
    assert os.statvfs(f"/proc/{runtime.state(container)['pid']}/exe").f_flag & os.ST_RDONLY


def test_a02_a_working_directory_through_a_descriptor_is_refused(runtime, bundle, container):
    for number in range(3, 40):
        bundle.write(["true"], process={"cwd": f"/proc/self/fd/{number}"})
        result = runtime("run", "-b", bundle.path, container)
        assert result.code != 0, f"descriptor {number}: {result.out}"


def test_a02_exec_refuses_a_working_directory_through_a_descriptor(runtime, running):
    for number in range(3, 40):
        result = runtime("exec", "--cwd", f"/proc/self/fd/{number}", running, "true")
        assert result.code != 0, f"descriptor {number}: {result.out}"


def test_a02_a_link_in_the_image_to_a_descriptor_is_no_working_directory(runtime, bundle, container):
    for number in range(3, 20):
        os.symlink(f"/proc/self/fd/{number}", os.path.join(bundle.rootfs, f"link{number}"))
        bundle.write(["true"], process={"cwd": f"/link{number}"})
        assert runtime("run", "-b", bundle.path, container).code != 0


@pytest.fixture
def open_directories(folder):
    numbers = [os.open("/", os.O_RDONLY) for _ in range(18)]
    yield numbers
    for number in numbers:
        os.close(number)


def test_a03_descriptors_that_the_caller_left_open_do_not_reach_the_program(runtime, bundle, container, open_directories):
    # The shell that lists has the directory itself open while it expands the pattern, and no more.
    bundle.write("ls /proc/self/fd")
    plain = runtime("run", "-b", bundle.path, container).ok().lines
    leaky = runtime("run", "-b", bundle.path, container, pass_fds=open_directories).ok().lines
    assert leaky == plain == ["0", "1", "2", "3"]


def test_a03_descriptors_that_the_caller_left_open_do_not_reach_an_exec(runtime, running, open_directories):
    assert runtime("exec", running, "ls", "/proc/self/fd", pass_fds=open_directories).ok().lines == ["0", "1", "2", "3"]


def test_a03_descriptors_that_the_caller_left_open_do_not_reach_a_created_container(runtime, bundle, container, open_directories):
    bundle.write("sleep 600")
    runtime.detached("create", "-b", bundle.path, container, pass_fds=open_directories).ok()
    runtime("start", container).ok()
    pid = runtime.state(container)["pid"]
    wait_until(lambda: open(f"/proc/{pid}/comm", encoding="utf-8").read().strip() == "sleep" or True, "the program")
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]


@pytest.mark.fails("runc", "runc 1.1.5 makes links there: CVE-2026-41579")
@pytest.mark.fails("crun", "crun 1.8.1 makes devices there: CVE-2026-47766")
def test_a08_no_device_is_made_on_the_host_through_a_link_in_the_image(runtime, bundle, container):
    canary = os.path.join(bundle.path, "host-canary.d")
    os.mkdir(canary)
    os.rmdir(os.path.join(bundle.rootfs, "dev"))
    os.symlink(f"../../../../../../../../../..{canary}", os.path.join(bundle.rootfs, "dev"))
    bundle.config["mounts"] = [mount for mount in bundle.config["mounts"] if not mount["destination"].startswith("/dev")]
    bundle.write(["true"], linux={"devices": [{"path": "/dev/extra", "type": "c", "major": 1, "minor": 3}]})
    runtime("run", "-b", bundle.path, container)
    assert os.listdir(canary) == []


def test_a08_nothing_is_mounted_on_the_host_through_a_link_in_the_image(runtime, bundle, container):
    canary = os.path.join(bundle.path, "host-canary.d")
    os.mkdir(canary)
    os.symlink(canary, os.path.join(bundle.rootfs, "link"))
    bundle.config["mounts"].append({"destination": "/link/below", "type": "tmpfs", "source": "tmpfs"})
    bundle.write(["true"])
    runtime("run", "-b", bundle.path, container)
    assert os.listdir(canary) == []


def status(result):
    return dict(line.split(":", 1) for line in result.ok().lines if ":" in line)


def test_a11_the_program_inherits_no_capability_that_was_not_asked_for(runtime, bundle, container):
    bundle.write(["cat", "/proc/self/status"])
    assert int(status(runtime("run", "-b", bundle.path, container))["CapInh"], 16) == 0


def test_a11_exec_inherits_no_capability_that_was_not_asked_for(runtime, running):
    for words in ([], ["--cap", "CAP_CHOWN"]):
        assert int(status(runtime("exec", *words, running, "cat", "/proc/self/status"))["CapInh"], 16) == 0


# What could be read as user 0 by a careless parser; runc 1.1.5 takes some of them.
@pytest.mark.ours
@pytest.mark.parametrize("user", ["1000:", ":0", "4294967296", "-1", "0x0", " 0", "0 ", "", ":", "+0", "1000:0x0", "1000:-1", "00000000000000000000000"])
def test_a14_a_user_that_is_no_plain_number_is_refused(runtime, running, user):
    if set(user) == {"0"}:
        assert runtime("exec", "-u", user, running, "id", "-u").code == 0
        return
    result = runtime("exec", f"--user={user}", running, "id", "-u")
    assert (result.code, result.out) == (255, ""), result.out


@pytest.mark.ours
@pytest.mark.parametrize("user", ["2147483648", "4294967295", "4294967296:1", "1:4294967296", "18446744073709551616"])
def test_a15_a_user_past_the_largest_is_refused_by_exec(runtime, running, user):
    result = runtime("exec", f"--user={user}", running, "id", "-u")
    assert (result.code, result.out) == (255, ""), result.out


@pytest.mark.ours
@pytest.mark.parametrize("uid", [4294967295, 4294967296, -1, 1 << 64])
def test_a15_a_user_past_the_largest_is_refused_by_create(runtime, bundle, container, uid):
    for user in ({"uid": uid, "gid": 0}, {"uid": 0, "gid": uid}, {"uid": 0, "gid": 0, "additionalGids": [uid]}):
        bundle.write("id -u; id -g", process={"user": user})
        result = runtime("run", "-b", bundle.path, container)
        assert result.code != 0 and result.out == ""


IDS = ["../escape", "a/b", "x" * 256, "-dash", ".", "..", "", "a b", "a\nb", "ä", "../../../../../../tmp/escape"]


@pytest.mark.spares("crun", "crun 1.8.1 takes some of them")
@pytest.mark.parametrize("name", IDS)
def test_a18_an_id_that_is_no_single_safe_name_is_refused_by_create(runtime, bundle, folder, name):
    bundle.write(["true"])
    if name == "-dash" and runtime.kind != "apus":
        pytest.skip("peers take it after --")
    before = sorted(os.listdir(folder))
    words = ["-b", bundle.path] + (["--"] if name.startswith("-") else [])
    runtime.detached("create", *words, name).fails()
    assert sorted(set(os.listdir(folder)) - {"state"}) == sorted(set(before) - {"state"})


@pytest.mark.spares("crun", "crun 1.8.1 follows them")
@pytest.mark.parametrize("verb", ["state", "start", "kill", "delete", "exec", "pause", "resume"])
def test_a18_no_later_verb_leaves_the_state_root_by_an_id(runtime, folder, running, verb):
    victim = os.path.join(folder, "victim")
    shutil.copytree(os.path.join(runtime.state_root, running), victim, ignore=lambda path, names: [n for n in names if n.endswith((".sock", ".fifo"))])
    try:
        tail = {"exec": ["true"], "kill": ["0"]}.get(verb, [])
        flags = ["-f"] if verb == "delete" else []
        result = runtime(verb, *flags, "../victim", *tail)
        assert result.code != 0, result.out
        assert os.path.isdir(victim) and os.listdir(victim)
        assert runtime.status(running) == "running"
    finally:
        shutil.rmtree(victim, ignore_errors=True)


@pytest.mark.spares("crun", "crun 1.8.1 makes files above its hierarchies")
@pytest.mark.parametrize("path", ["../../../escape", "/../../escape", "/a/../../escape", "..", "a/../../b", "/sys/fs/../../escape"])
def test_a19_a_cgroup_path_never_leaves_the_hierarchy(runtime, bundle, container, path):
    bundle.write(["cat", "/proc/self/cgroup"], linux={"cgroupsPath": path})
    before = set(os.listdir("/sys/fs/cgroup"))
    result = runtime("run", "-b", bundle.path, container)
    assert set(os.listdir("/sys/fs/cgroup")) == before
    if runtime.kind == "apus":
        result.fails("cgroupsPath")
        assert not [name for name in os.listdir("/sys/fs/cgroup/memory" if os.path.isdir("/sys/fs/cgroup/memory") else "/sys/fs/cgroup") if "escape" in name]
    assert ".." not in result.out


@pytest.mark.ours
@pytest.mark.parametrize("path", ["..", "../..", "../../../..", "a/../..", "/../x"])
def test_a19_exec_cannot_leave_the_containers_cgroup(runtime, running, path):
    result = runtime("exec", "--cgroup", path, running, "cat", "/proc/self/cgroup")
    assert result.code == 255 and result.out == ""


def host_settings():
    values = {}
    for name in ("kernel/core_pattern", "kernel/panic", "net/ipv4/ip_forward", "kernel/hostname", "kernel/shmmax", "vm/swappiness", "kernel/domainname"):
        with open(f"/proc/sys/{name}", encoding="utf-8") as file:
            values[name] = file.read()
    return values


@pytest.mark.parametrize("name, value", [
    ("kernel.core_pattern", "|/escape"), ("kernel/core_pattern", "|/escape"), ("vm.swappiness", "7"), ("kernel.panic", "77"),
    ("net/../kernel/core_pattern", "|/escape"), ("net.ipv4/../../kernel/core_pattern", "|/escape"), ("kernel/../kernel/panic", "77"),
    ("fs.mqueue/../../kernel/panic", "77"), ("", "7"), ("net", "7"),
])
def test_a20_a_setting_of_the_whole_machine_is_refused(runtime, bundle, container, name, value):
    before = host_settings()
    bundle.write(["true"], linux={"sysctl": {name: value}})
    runtime("run", "-b", bundle.path, container).fails()
    assert host_settings() == before


@pytest.mark.parametrize("kind, name, value", [("network", "net.ipv4.ip_forward", "1"), ("ipc", "kernel.shmmax", "4096"), ("uts", "kernel.domainname", "escape")])
def test_a20_a_setting_of_a_namespace_of_the_host_is_refused(runtime, bundle, container, kind, name, value):
    before = host_settings()
    if kind == "uts":
        del bundle.config["hostname"]
    bundle.without_namespace(kind).write(["true"], linux={"sysctl": {name: value}})
    runtime("run", "-b", bundle.path, container).fails()
    assert host_settings() == before


def test_a20_a_setting_of_the_containers_own_namespaces_is_made(runtime, bundle, container):
    before = host_settings()
    bundle.write("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax", linux={"sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "65536"}})
    assert runtime("run", "-b", bundle.path, container).ok().lines == ["1", "65536"]
    assert host_settings() == before


@pytest.mark.fails("runc", "runc 1.1.5 can be looked into")
def test_a26_init_is_out_of_reach_of_its_container_until_the_program_runs(runtime, bundle, container):
    """A process of the same user with the same capabilities, in the same pid namespace, looks at the one that waits for start."""
    bundle.write("sleep 600")
    runtime.detached("create", "-b", bundle.path, container).ok()
    peek = runtime("exec", container, "sh", "-c", "readlink /proc/1/exe; ls /proc/1/root/; cat /proc/1/environ")
    assert peek.out == "" and peek.code != 0, peek.out
    runtime("start", container).ok()
    # The program itself is as visible as any.
    seen = lambda: runtime("exec", container, "readlink", "/proc/1/exe").out
    wait_until(lambda: seen() == "/bin/busybox\n", "the program")


# Whoever is neither the container's first process nor its shell, and whose program lies outside, is joining.
PEEK = """touch /tmp/ready; while :; do for p in /proc/[0-9]*; do
case $(readlink $p/exe) in ""|/bin/busybox) ;; *) readlink $p/exe >> /tmp/seen;; esac; done; done"""


def test_a26_a_joining_process_is_out_of_reach_of_the_container(runtime, bundle, container):
    bundle.write(PEEK)
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    wait_until(lambda: os.path.exists(os.path.join(bundle.rootfs, "tmp/ready")), "the attacker")
    for _ in range(40):
        runtime("exec", container, "true").ok()
    assert not os.path.exists(os.path.join(bundle.rootfs, "tmp/seen"))


def test_a27_exec_runs_nothing_of_the_container_but_the_program(runtime, bundle, running):
    """A link named like a C library's service in the container is not even opened."""
    marker = os.path.join(bundle.rootfs, "tmp/loaded")
    for path in ("/etc/nsswitch.conf", "/etc/ld.so.preload", "/etc/group"):
        bundle.file(path, "passwd: attack\n")
        os.utime(os.path.join(bundle.rootfs, path.lstrip("/")), (1, 1))
    runtime("exec", running, "true").ok()
    assert not os.path.exists(marker)


@pytest.mark.parametrize("kind", ["fifo", "huge", "device-link"])
def test_c08_a_passwd_that_is_no_ordinary_file_delays_and_breaks_nothing(runtime, bundle, container, kind):
    if runtime.kind != "apus":
        pytest.skip("peers read it")
    path = os.path.join(bundle.rootfs, "etc/passwd")
    os.unlink(path)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "huge":
        with open(path, "wb") as file:
            file.truncate(10 << 30)
    else:
        os.symlink("/dev/zero", path)
    bundle.write("echo $HOME")
    began = time.monotonic()
    assert runtime("run", "-b", bundle.path, container).ok().out == "/\n"
    assert time.monotonic() - began < 10
