"""An error names the member of config.json that it is about, whoever refuses its value: the runtime before anything is made, or the kernel."""

import json

import pytest

pytestmark = pytest.mark.ours

LARGEST_LIMIT = int(open("/proc/sys/fs/nr_open", encoding="utf-8").read())


def mounted(**mount):
    """One more mount: its index is that of the last one."""
    def change(bundle):
        bundle.config["mounts"].append({"destination": "/mnt", **mount})
    return change


def tmpfs(*options, **others):
    return mounted(type="tmpfs", source="tmpfs", options=list(options), **others)


def within(*path):
    """A change of one member: its path, then its value."""
    *path, name, value = path

    def change(bundle):
        place = bundle.config
        for step in path:
            place = place[step] if isinstance(step, int) else place.setdefault(step, {})
        place[name] = value
    return change


def having(kind):
    return lambda bundle: bundle.config["linux"]["namespaces"].append({"type": kind})


def joining(kind, path):
    return lambda bundle: bundle.join(kind, path)


def mapping(members, size=1000):
    """A user namespace with so many ids, or with these mappings of one kind."""
    def change(bundle):
        bundle.map_users()
        for kind in ("uidMappings", "gidMappings"):
            bundle.config["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": size}]
        bundle.config["linux"].update(members)
    return change


def entries(*triples):
    return [dict(zip(("containerID", "hostID", "size"), triple)) for triple in triples]


MAPPED = mapping({})
TIMED = having("time")
KMSG = {"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}
# What the configuration says, and the field that the error names, with `N` for the last one of its list.
REFUSED = {
    "the owner of a pipe": (
        [MAPPED, within("linux", "devices", [{"path": "/dev/foo", "type": "p", "uid": 5000}])], "linux.devices[0].uid"),
    "the group of a pipe": (
        [MAPPED, within("linux", "devices", [KMSG, {"path": "/dev/foo", "type": "p", "gid": 5000}])], "linux.devices[1].gid"),
    "the place of a device": (
        [within("linux", "devices", [KMSG, {**KMSG, "path": "/bin/sh/kmsg"}])], "linux.devices[1]"),
    "a device that is there as another": (
        [within("linux", "devices", [{**KMSG, "path": "/bin/sh"}])], "linux.devices[0]"),
    "a call without a name": (
        [within("linux", "seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", ""], "action": "SCMP_ACT_ERRNO"}]})],
        "linux.seccomp.syscalls[0].names[1]"),
    "nanoseconds of a clock": (
        [TIMED, within("linux", "timeOffsets", {"boottime": {"nanosecs": 1000000000}})], "linux.timeOffsets.boottime.nanosecs"),
    "nanoseconds of another clock": (
        [TIMED, within("linux", "timeOffsets", {"monotonic": {"nanosecs": 4294967295}})], "linux.timeOffsets.monotonic.nanosecs"),
    "a clock before its beginning": (
        [TIMED, within("linux", "timeOffsets", {"monotonic": {"secs": -100000000}})], "linux.timeOffsets.monotonic"),
    "users that overlap in the container": (
        [mapping({"uidMappings": entries((0, 100000, 1000), (5, 200000, 10))})], "linux.uidMappings[1].containerID"),
    "groups that overlap in the container": (
        [mapping({"gidMappings": entries((0, 100000, 1), (1, 100001, 2), (2, 200000, 10))})], "linux.gidMappings[2].containerID"),
    "users that overlap on the host": (
        [mapping({"uidMappings": entries((0, 100000, 1000), (1000, 100999, 10))})], "linux.uidMappings[1].hostID"),
    "users of a mount that overlap": (
        [mounted(type="bind", source="/usr", options=["bind"], uidMappings=entries((0, 100000, 10), (9, 0, 1)),
                 gidMappings=entries((0, 100000, 10)))], "mounts[N].uidMappings[1].containerID"),
    "the type of a mount": ([mounted(type="nofs", source="none")], "mounts[N].type"),
    "an option of a mount": ([tmpfs("mode=zz")], "mounts[N].options"),
    "an option that a file system does not have": ([tmpfs("nonsense")], "mounts[N].options"),
    "an owner of a mount": ([MAPPED, tmpfs("uid=5000")], "mounts[N].options"),
    "the source of a bind": ([mounted(type="bind", source="/nonexist", options=["bind"])], "mounts[N].source"),
    "the source of a bind within a user namespace": (
        [MAPPED, mounted(type="bind", source="/nonexist", options=["bind", "private"])], "mounts[N].source"),
    "the source of a bind whose owners are mapped": (
        [mounted(type="bind", source="/nonexist", options=["bind"], uidMappings=entries((0, 100000, 10)),
                 gidMappings=entries((0, 100000, 10)))], "mounts[N].source"),
    "the destination of a mount": ([tmpfs(destination="/bin/sh")], "mounts[N].destination"),
    "the first mount of many": ([within("mounts", 3, "type", "nofs")], "mounts[3].type"),
    "a remount of what is no mount": ([tmpfs("remount", "ro", destination="/etc")], "mounts[N]"),
    "a path of a namespace that is not there": ([joining("network", "/nonexist")], "linux.namespaces[N].path"),
    "a path of a pid namespace that is not there": ([joining("pid", "/nonexist")], "linux.namespaces[N].path"),
    "a path of a user namespace that is not there": ([joining("user", "/nonexist")], "linux.namespaces[N].path"),
    "a path of another kind of namespace": ([joining("ipc", "/proc/self/ns/mnt")], "linux.namespaces[N].path"),
    "a path of no namespace": ([joining("uts", "/proc/self/status")], "linux.namespaces[N].path"),
    "a root that is not there": ([within("root", "path", "/nonexist")], "root.path"),
    "a root that is none": ([within("root", "path", "/dev/null")], "root.path"),
    "a limit above the kernel's": (
        [within("process", "rlimits", [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                                       {"type": "RLIMIT_NOFILE", "soft": 10, "hard": LARGEST_LIMIT + 1}])], "process.rlimits[1]"),
    "a limit above the kernel's within a user namespace": (
        [MAPPED, within("process", "rlimits", [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": LARGEST_LIMIT + 1}])],
        "process.rlimits[0]"),
    "the directory of the process": ([within("process", "cwd", "/bin/sh/below")], "process.cwd"),
    "a setting": ([within("linux", "sysctl", {"net.ipv4.ip_forward": "nonsense"})], "linux.sysctl.net.ipv4.ip_forward"),
    "a setting that is not there": ([within("linux", "sysctl", {"net.nonsense": "1"})], "linux.sysctl.net.nonsense"),
    "a limit of memory too small to begin in": ([within("linux", "resources", "memory", {"limit": 10})], "linux.resources.memory.limit"),
}


def last_of(bundle, field):
    """The field with the index of the last of its list for N."""
    lists = {"mounts": bundle.config["mounts"], "linux.namespaces": bundle.config["linux"]["namespaces"]}
    return field.replace("[N]", f"[{len(lists.get(field.partition('[')[0], ' ')) - 1}]")


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_named_by_its_field(runtime, bundle, container, what):
    changes, field = REFUSED[what]
    for change in changes:
        change(bundle)
    bundle.write(["true"])
    result = runtime("run", "-b", bundle.path, container).fails(code=1)
    assert f"{last_of(bundle, field)}: " in result.message, result.message
    assert len(result.err.strip().splitlines()) == 1, result.err
    runtime("state", container).fails("does not exist")


@pytest.mark.parametrize("member", ["uid", "gid"])
def test_ids_of_a_device_that_is_bound_are_those_of_the_host_and_need_no_mapping(runtime, bundle, container, member):
    """Callers write down what the host's node has: group kvm of /dev/kvm, of which a short mapping knows nothing."""
    MAPPED(bundle)
    within("linux", "devices", [{**KMSG, member: 5000}])(bundle)
    bundle.write(["test", "-c", "/dev/kmsg"])
    runtime("run", "-b", bundle.path, container).ok()


def test_an_oom_score_that_the_caller_may_not_give_is_named_by_its_field(runtime, bundle, container):
    bundle.write(["true"], process={"oomScoreAdj": -500})
    with open("/proc/self/oom_score_adj", encoding="utf-8") as file:
        score = file.read().strip()
    with runtime.below("setpriv", "--bounding-set", "-sys_resource", "sh", "-c", f'echo {score} > /proc/self/oom_score_adj; exec "$@"', "sh"):
        runtime("run", "-b", bundle.path, container).fails("process.oomScoreAdj: ", "EACCES", code=1)


@pytest.mark.parametrize("limits", [[{"type": "RLIMIT_NOFILE", "soft": 10, "hard": LARGEST_LIMIT + 1}]])
def test_a_limit_of_an_added_process_is_named_by_its_field(runtime, running, bundle, tmp_path, limits):
    document = tmp_path / "process.json"
    document.write_text(json.dumps({**bundle.config["process"], "args": ["true"], "rlimits": limits}))
    runtime("exec", "--process", document, running).fails("rlimits[0]: ", code=255)


def test_a_mount_that_is_added_is_named_by_its_field(runtime, running):
    mounts = [{"destination": "/first", "type": "tmpfs"}, {"destination": "/second", "type": "nofs"}]
    document = json.dumps(mounts)
    runtime("mounts", "add", running, "/dev/stdin", stdin=None, input=document.encode()).fails("[1].type: ", code=1)
