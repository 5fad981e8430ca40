"""Rows of the attack list that aim at the kernel through a container's configuration: identities, cgroups, settings, namespaces, devices.
What an attack aims at belongs to the test, or is given the value that it has: were it to work, the machine would be none the worse."""
# Rows: attacks

import json
import os
import subprocess

import pytest
from claims import spec
from attackers import trace

V1 = os.path.isdir("/sys/fs/cgroup/memory")


@pytest.fixture
def mapped(bundle):
    """The bundle in a user namespace, its files owned by that namespace's root."""
    bundle.map_users()
    return bundle


@pytest.mark.parametrize("options", [["rw"], ["ro"]])
def test_A12_a_user_namespace_without_a_cgroup_namespace_shows_its_own_cgroup_alone(runtime, running, mapped, container, options):
    """The other container's cgroup is the canary: nothing of it is seen, and nothing above one's own can be written."""
    mapped.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options})
    mapped.write("find /sys/fs/cgroup -name 'apus-ct-*'; find /sys/fs/cgroup -maxdepth 2 -name release_agent; "
                 "for d in /sys/fs/cgroup/*/; do mkdir $d/apus-ct-escape && echo made; done 2> /dev/null; true")
    assert runtime("run", "-b", mapped.path, f"{container}-second").ok().out == ""


TEN = {"containerID": 0, "hostID": 100000, "size": 10}


@pytest.mark.ours
@pytest.mark.parametrize("mappings, problem", [
    ([{"containerID": index, "hostID": 100000 + index, "size": 1} for index in range(10_000)], ": 10000 mappings, at most 340 are allowed"),
    ([TEN | {"hostID": 4294967295, "size": 2}], "[0].size: the mapping ends at 4294967297, beyond the last id 4294967294"),
    ([{"containerID": 4294967295, "hostID": 0, "size": 4294967295}], "[0].size: the mapping ends at 8589934590, beyond the last id 4294967294"),
    ([TEN | {"size": 4294967296}], "[0].size: 4294967296 is out of range"), ([TEN | {"hostID": -1}], "[0].hostID: -1 is out of range"),
    ([TEN, {"containerID": 5, "hostID": 200000, "size": 10}], "[1].containerID: overlaps with the ids of [0]"),
], ids=["10,000 lines", "past the last id", "far past the last id", "a size of 33 bits", "a negative id", "overlapping"])
def test_A13_mappings_that_overflow_are_rejected_by_their_field(runtime, mapped, container, mappings, problem):
    mapped.config["linux"]["uidMappings"] = mappings
    mapped.write("echo started")
    result = runtime("run", "-b", mapped.path, container).fails(f"linux.uidMappings{problem}")
    assert (result.out, len(result.err.strip().splitlines())) == ("", 1), result.err


@pytest.mark.parametrize("place", ["", "mapped"])
def test_A16_the_callers_supplementary_groups_do_not_reach_the_program(runtime, request, container, place):
    bundle = request.getfixturevalue(place or "bundle")
    bundle.write("grep Groups /proc/self/status", process={"user": {"uid": 0, "gid": 0, "additionalGids": [7]}})
    with runtime.below("setpriv", "--groups", "4242,4243"):
        result = runtime("run", "-b", bundle.path, container).ok()
    assert [group for group in result.out.split()[1:] if group != "0"] == ["7"]


def test_A16_the_callers_supplementary_groups_do_not_reach_an_exec(runtime, running):
    with runtime.below("setpriv", "--groups", "4242,4243"):
        assert "424" not in runtime("exec", running, "grep", "Groups", "/proc/self/status").ok().out


# Beside the first: names that only look like a way up, each of them one harmless directory.
LOOKALIKES = ["..\u200b", "\uff0e\uff0e", "\u2025", "%2e%2e", "..;", "...", "\u0301"]


@pytest.mark.ours
@pytest.mark.parametrize("path", ["{0}/a/../../{0}-escape", "/{0}/a/../../{0}-escape", "/{0}/a/../b", "{0}/a/..", "/{0}/./b", "..", "/..", "/",
                                  "/{0}/a/../\u0301b", "{0}/a/\u0301/../\u0301b"])
def test_A19_a_cgroup_path_never_leads_up(runtime, bundle, container, path):
    bundle.write(["cat", "/proc/self/cgroup"], linux={"cgroupsPath": path.format(container)})
    assert runtime("run", "-b", bundle.path, container).fails("cgroupsPath").out == ""


@spec("config-linux.md#configLinuxCgroupsPath", "MUST generate an error if this is the case")
@pytest.mark.ours
@pytest.mark.parametrize("path", ["../../../escape", "/../../escape", "/sys/fs/../../escape", "..", "a/" * 40 + "..", "/sys/../.."])
def test_A19_a_way_out_of_the_hierarchy_is_refused_before_anything_is_made(runtime, bundle, container, path):
    # Others' containers come and go there where all hierarchies are one.
    names = {"escape", "a", "sys", "fs"}
    before = set(os.listdir("/sys/fs/cgroup"))
    bundle.write(["true"], linux={"cgroupsPath": path})
    runtime("run", "-b", bundle.path, container).fails("cgroupsPath")
    assert (set(os.listdir("/sys/fs/cgroup")) - before) & names == set()
    assert not os.path.exists(os.path.join(runtime.state_root, container))


@pytest.mark.ours
@pytest.mark.parametrize("name", LOOKALIKES)
def test_A19_a_name_that_looks_like_a_way_up_is_a_name(runtime, bundle, container, name):
    bundle.write(["cat", "/proc/self/cgroup"], linux={"cgroupsPath": f"/{container}/{name}/x"})
    places = [line.split(":", 2)[2] for line in runtime("run", "-b", bundle.path, container).ok().lines]
    assert f"/{container}/{name}/x" in places and not [place for place in places if place.endswith("escape")]


@pytest.mark.ours
@pytest.mark.parametrize("path", ["..", "../..", "../../../..", "a/../..", "/../x", "/..", "below/../../sibling", "/../\u0301x"])
def test_A19_exec_cannot_leave_the_containers_cgroup(runtime, bundle, container, path):
    """The cgroup above is the container's own too, so that nothing is entered that others live in."""
    bundle.write("sleep 600", linux={"cgroupsPath": f"/{container}/one/two/three/four"})
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    result = runtime("exec", "--cgroup", path, container, "cat", "/proc/self/cgroup")
    assert (result.code, result.out) == (255, "")


def setting(name):
    with open(f"/proc/sys/{name}", encoding="utf-8") as file:
        return file.read().strip()


@pytest.mark.parametrize("name, path", [
    ("kernel.core_pattern", ""), ("kernel/core_pattern", ""), ("vm.swappiness", ""), ("kernel.panic", ""), ("fs.file-max", ""),
    ("net/../kernel/core_pattern", "kernel/core_pattern"), ("net.ipv4/../../kernel/core_pattern", "kernel/core_pattern"),
    ("kernel/../kernel/panic", "kernel/panic"), ("fs.mqueue/../../kernel/panic", "kernel/panic"), ("net//kernel/panic", "kernel/panic"),
    ("/proc/sys/kernel/panic", "kernel/panic"), ("kernel.core_pattern/..", "kernel/core_pattern"), ("kernel.shmmax.core_pattern", "kernel/shmmax"),
    ("", "kernel/panic"), ("net", "kernel/panic"), ("kernel.hostname", ""),
])
def test_A20_a_setting_of_the_whole_machine_is_refused(runtime, bundle, container, name, path):
    """The value is the one that it has."""
    path = path or name.replace(".", "/")
    before = setting(path)
    bundle.write("echo started", linux={"sysctl": {name: before}})
    if name == "kernel.hostname" and runtime.kind != "apus":
        pytest.skip("peers take it for a setting of the uts namespace")
    result = runtime("run", "-b", bundle.path, container)
    assert (result.code != 0, result.out) == (True, "")
    result.fails("sysctl" if runtime.kind == "apus" else "")
    assert setting(path) == before


# Kind of namespace, unshare's flag for it, name and another value of a setting that is the namespace's own.
SHARED = [("network", "--net", "net.ipv4.ip_default_ttl", "77"), ("ipc", "--ipc", "kernel.shmmni", "77"),
          ("ipc", "--ipc", "fs.mqueue.queues_max", "77"), ("uts", "--uts", "kernel.domainname", "escape")]


@pytest.mark.parametrize("how", ["absent", "by path"])
@pytest.mark.parametrize("kind, flag, name, value", SHARED)
def test_A20_a_setting_of_a_namespace_of_the_caller_is_refused(runtime, bundle, container, kind, flag, name, value, how):
    """The runtime lives in a namespace of its own here: that plays the host's, and is looked at when it is done."""
    if kind == "uts":
        del bundle.config["hostname"]
    bundle.without_namespace(kind)
    if how == "by path":
        file = {"network": "net"}.get(kind, kind)
        bundle.join(kind, f"/proc/self/ns/{file}")
    bundle.write(["true"], linux={"sysctl": {name: value}})
    path = name.replace(".", "/")
    with runtime.below("unshare", flag, "sh", "-c", f'cat /proc/sys/{path}; "$@" && echo started; cat /proc/sys/{path}', "sh"):
        result = runtime("run", "-b", bundle.path, container)
    if how == "by path" and kind != "network" and runtime.kind != "apus":
        pytest.skip("runc 1.1.5 looks at network namespaces alone")
    before, *between, after = result.lines
    assert (between, after) == ([], before), result.err


def test_A20_a_setting_of_the_containers_own_namespaces_is_made(runtime, bundle, container):
    before = setting("net/ipv4/ip_default_ttl"), setting("kernel/shmmax")
    bundle.write("cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmax",
                 linux={"sysctl": {"net.ipv4.ip_default_ttl": "77", "kernel.shmmax": "65536"}})
    assert runtime("run", "-b", bundle.path, container).ok().lines == ["77", "65536"]
    assert (setting("net/ipv4/ip_default_ttl"), setting("kernel/shmmax")) == before


@pytest.mark.ours
def test_A21_hooks_come_from_the_configuration_at_creation_alone(runtime, bundle, container):
    """Not from annotations, not from the image, and not from a config.json that was changed later."""
    marker = os.path.join(bundle.path, "marker")
    attack = {"path": "/bin/sh", "args": ["sh", "-c", f"touch {marker}"]}
    kinds = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    hooks = {kind: [attack] for kind in kinds}
    bundle.file("/config.json", json.dumps({**bundle.config, "hooks": hooks}))
    annotations = {name: json.dumps(hooks) for name in ("hooks", "run.oci.hooks", "io.apus.hooks", "org.opencontainers.image.hooks")}
    annotations |= {"run.oci.hooks.stdout": marker, "run.oci.hooks.stderr": marker, "run.oci.handler": f"sh -c 'touch {marker}'"}
    bundle.write("sleep 600", annotations=annotations)
    runtime.detached("create", "-b", bundle.path, container).ok()
    bundle.write(hooks=hooks)
    runtime("start", container).ok()
    runtime("kill", container, "KILL").ok()
    runtime.wait_for(container, "stopped")
    runtime("delete", container).ok()
    assert not os.path.exists(marker)


def executes(call, program):
    return call.name.startswith("execve") and call.arguments.removeprefix("AT_FDCWD, ").startswith(f'"{program}"')


def order(calls, *wanted):
    """The place of each wanted call, all of one process, in the trace."""
    places = []
    for name, text in wanted:
        found = [index for index, call in enumerate(calls) if call.name == name and text in call.arguments and not call.result.startswith("-1")]
        assert found, f"no {name} of {text}"
        places.append(found[-1])
    return places


@pytest.mark.ours
@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_A22_the_filter_comes_last_and_after_everything_that_it_could_keep_from_happening(runtime, bundle, folder, container, verb, no_new_privileges):
    """Root, then no_new_privs, identity, capabilities, filter and program: seen by strace."""
    bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chroot"], "action": "SCMP_ACT_ERRNO"}]}
    bundle.write(["/bin/true"], process={"noNewPrivileges": no_new_privileges, "user": {"uid": 1000, "gid": 1000}})
    if verb == "run":
        calls = trace(runtime, folder, "run", "-b", bundle.path, container)
    else:
        bundle.write("sleep 600")
        runtime.detached("run", "-d", "-b", bundle.path, container).ok()
        calls = trace(runtime, folder, "exec", container, "/bin/true")
    process = next(call.process for call in calls if executes(call, "/bin/true"))
    own = [call for call in calls if call.process == process]
    wanted = [("pivot_root", "")] if verb == "run" else [("setns", "")]
    if no_new_privileges:
        wanted.append(("prctl", "PR_SET_NO_NEW_PRIVS"))
    wanted += [("setgroups", ""), ("setresgid", "1000"), ("setresuid", "1000"), ("seccomp", "SECCOMP_SET_MODE_FILTER"), ("execve", '"/bin/true"')]
    places = order(own, *wanted)
    assert places == sorted(places)
    after = [call.name for call in own[places[-2] + 1:places[-1]]]
    # Without no_new_privs the filter takes CAP_SYS_ADMIN, which is given up after it, with what that took away.
    assert set(after) <= ({"capset", "capget", "prctl"} if not no_new_privileges else set()), after


# A kernel that says that it has SELinux.
SELINUX = """mount --move /sys/fs/cgroup "$0" && mount -t tmpfs tmpfs /sys/fs && mkdir /sys/fs/cgroup /sys/fs/selinux &&
    : > /sys/fs/selinux/enforce && mount --move "$0" /sys/fs/cgroup && exec "$@" """


@pytest.mark.ours
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_A22_a_label_is_asked_of_the_kernel_whatever_lies_at_proc_and_before_the_filter(runtime, bundle, folder, container, tmp_path, verb):
    """The image's own directory is at /proc. This kernel refuses the label; one with SELinux would take it."""
    bundle.config["mounts"] = [entry for entry in bundle.config["mounts"] if entry["destination"] != "/proc"]
    decoys = [bundle.file(f"/proc/{process}/attr/exec", "decoy", 0o666) for process in ("self", "thread-self", *range(1, 40))]
    process = {"selinuxLabel": "system_u:system_r:container_t:s0", "user": {"uid": 1000, "gid": 1000}, "args": ["/bin/true"], "cwd": "/"}
    bundle.config["linux"] |= {"maskedPaths": [], "readonlyPaths": [], "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chroot"], "action": "SCMP_ACT_ERRNO"}]}}
    path = tmp_path / "process.json"
    path.write_text(json.dumps(process), encoding="utf-8")
    bundle.write(**({"process": process} if verb == "run" else {"args": "sleep 600"}))
    # A new keyring would ask for the label first.
    words = "run", "--no-new-keyring", "-b", bundle.path, container
    if verb == "exec":
        runtime.detached("run", "-d", *words[1:]).ok()
        words = "exec", "--process", str(path), container
    with runtime.below("unshare", "-m", "--propagation", "private", "sh", "-ec", SELINUX, str(tmp_path)):
        runtime(*words).fails("applying process.selinuxLabel system_u:system_r:container_t:s0", "/attr/exec", "EINVAL")
        calls = trace(runtime, folder, *words, code=1 if verb == "run" else 255)
    asked = next(call for call in calls if call.name == "openat2" and "/attr/exec" in call.arguments)
    assert "RESOLVE_NO_XDEV|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH" in asked.arguments
    own = [call for call in calls if call.process == asked.process]
    places = order(own, ("pivot_root" if verb == "run" else "setns", ""), ("setresuid", "1000"), ("openat2", "/attr/exec"))
    assert places == sorted(places) and "SECCOMP_SET_MODE_FILTER" not in "".join(call.arguments for call in own)
    for decoy in decoys:
        with open(decoy, encoding="utf-8") as file:
            assert file.read() == "decoy"


DEVICES = {"a disk": ("b", 8, 0), "/dev/mem": ("c", 1, 1), "/dev/kmem": ("c", 1, 2), "/dev/port": ("c", 1, 4), "/dev/kmsg": ("c", 1, 11),
           "/dev/fuse": ("c", 10, 229), "a loop device": ("b", 7, 0), "the loop devices' control": ("c", 10, 237)}


@pytest.mark.parametrize("with_rules", [True, False])
def test_A23_devices_of_the_machine_can_be_made_but_not_opened(runtime, bundle, container, with_rules):
    if not with_rules:
        if runtime.kind != "apus":
            pytest.skip("peers allow what no rule forbids")
        del bundle.config["linux"]["resources"]["devices"]
    sets = {kind: ["CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_SYS_RAWIO"] for kind in ("bounding", "permitted", "effective")}
    script = "".join(f"mknod /tmp/d{index} {kind} {major} {minor} || echo cannot make; (: < /tmp/d{index}) 2>&1; (: >> /tmp/d{index}) 2>&1; "
                     for index, (kind, major, minor) in enumerate(DEVICES.values()))
    bundle.write(script + "echo > /dev/null && echo end", process={"capabilities": sets})
    lines = runtime("run", "-b", bundle.path, container).ok().lines
    assert lines.pop() == "end"
    assert [line for line in lines if "Operation not permitted" not in line] == [] and len(lines) == 2 * len(DEVICES)


def test_A24_no_process_and_no_namespace_of_the_host_is_to_be_seen(runtime, bundle, container):
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        bundle.write(f"echo /proc/[0-9]*; kill -0 {stranger.pid} 2>/dev/null && echo reached; ls -l /proc/self/fd | grep -c 'ns:\\|/proc'; "
                     "grep -c ' - proc ' /proc/self/mountinfo; tr \\\\0 . < /proc/1/cmdline | cut -c1-6",
                     linux={"readonlyPaths": [], "maskedPaths": []})
        processes, descriptors, procs, first = runtime("run", "-b", bundle.path, container).ok().lines
    finally:
        stranger.kill()
        stranger.wait()
    assert all(int(path.split("/")[2]) < 20 for path in processes.split())
    # Its own listing of /proc/self/fd, and its own procfs.
    assert (int(descriptors) <= 1, procs, first) == (True, "1", "sh.-c.")


CGROUPS = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}


@pytest.mark.parametrize("own_namespace", [True, False])
def test_A25_a_container_cannot_make_the_kernel_run_a_program_by_its_cgroups(runtime, bundle, container, own_namespace):
    if own_namespace:
        bundle.config["linux"]["namespaces"].append({"type": "cgroup"})
    bundle.config["mounts"].append(CGROUPS)
    places = " ".join(f"/sys/fs/cgroup/{name}" for name in (["memory", "devices", "freezer", "unified", "systemd"] if V1 else [""]))
    bundle.write(f"""for d in {places}; do [ -d $d ] || continue
        [ -e $d/release_agent ] && echo release_agent
        for f in notify_on_release cgroup.procs tasks; do [ -e $d/$f ] && (echo $$ > $d/$f) 2>/dev/null && echo wrote $d/$f; done
        mkdir $d/below 2>/dev/null && echo made $d/below
    done; mount -t cgroup -o memory none /tmp 2>/dev/null && echo mounted; mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo remounted; true""")
    assert runtime("run", "-b", bundle.path, container).ok().out == ""


@pytest.mark.ours
def test_A27_exec_opens_and_executes_nothing_of_the_container_but_the_program(runtime, bundle, folder, container):
    """No name service, no character sets, no loader: after it has joined, exec reads the accounts as data, and executes the program."""
    for name in ("/etc/nsswitch.conf", "/etc/ld.so.preload", "/etc/ld.so.cache", "/lib/libnss_files.so.2", "/usr/lib/locale/locale-archive"):
        bundle.file(name, "attack")
    bundle.write("sleep 600")
    runtime.detached("run", "-d", "-b", bundle.path, container).ok()
    calls = trace(runtime, folder, "exec", "--user", "1000", "--cwd", "/tmp", container, "/bin/true", calls="file,desc,setns,execve,execveat")
    process = next(call.process for call in calls if executes(call, "/bin/true"))
    own = [call for call in calls if call.process == process]
    end = next(index for index, call in enumerate(own) if executes(call, "/bin/true"))
    joined = max(index for index, call in enumerate(own[:end]) if call.name == "setns")
    opened = {call.arguments.split('"')[1] for call in own[joined:end] if call.name.startswith("open") and '"' in call.arguments}
    assert opened <= {"/", "/tmp", "/etc/passwd", "/bin/true"}, opened
    assert not [call for call in own[:end] if call.name.startswith("execve")]
