"""`HostConfig`: what a container may use, whose namespaces it has, and what the host's names and rights in it are."""
# Rows: attacks

import os

import pytest

from conftest import CLIENTS, Client, Daemon
from engine_http import api
from processes import wait_until


def create(daemon, image, expect=201, config=None, **host):
    status, answer = api(daemon, "POST", "/containers/create", {"Image": image, "Cmd": ["true"], **(config or {}), "HostConfig": host})
    assert status == expect, answer
    return answer


UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def cgroup_file(cli, name, controller, file):
    """What a file of a running container's cgroup says."""
    process = cli.inspect(name, "{{.State.Pid}}")
    with open(f"/proc/{process}/cgroup", encoding="utf-8") as table:
        rows = [line.rstrip("\n").split(":", 2) for line in table]
    path = next(row[2] for row in rows if (not row[1] if UNIFIED else controller in row[1].split(",")))
    with open(f"/sys/fs/cgroup{'' if UNIFIED else '/' + controller}{path}/{file}", encoding="utf-8") as found:
        return found.read().strip()


def test_limits_of_memory_and_processors_reach_the_cgroup(cli, image):
    """Of what cgroup v2 has not Docker's warnings tell."""
    result = cli("run", "-d", "--name", "held", "-m", "64m", "--memory-reservation", "32m", "--memory-swappiness", "20", "--oom-kill-disable",
                 "--cpuset-mems", "0", "--cpuset-cpus", "0", "--cpu-shares", "1024", "--cpu-period", "50000", "--cpu-quota", "25000", image, "sleep", "60")
    result.ok()
    template = "{{.HostConfig.MemoryReservation}} {{json .HostConfig.MemorySwappiness}} {{json .HostConfig.OomKillDisable}} {{.HostConfig.CpusetMems}}"
    assert cli.inspect("held", template) == ("33554432 null null 0" if UNIFIED else "33554432 20 true 0")
    legacy = [("memory", "memory.soft_limit_in_bytes", "33554432"), ("memory", "memory.swappiness", "20"), ("cpuset", "cpuset.mems", "0"),
              ("cpuset", "cpuset.cpus", "0"), ("cpu", "cpu.shares", "1024"), ("cpu", "cpu.cfs_period_us", "50000"), ("cpu", "cpu.cfs_quota_us", "25000")]
    unified = [("memory", "memory.low", "33554432"), ("memory", "memory.max", "67108864"), ("cpuset", "cpuset.mems", "0"), ("cpuset", "cpuset.cpus", "0"),
               ("cpu", "cpu.weight", "100"), ("cpu", "cpu.max", "25000 50000")]
    for controller, file, value in unified if UNIFIED else legacy:
        assert cgroup_file(cli, "held", controller, file) == value, file
    if UNIFIED:
        assert "Memory swappiness discarded" in result.err and "OomKillDisable discarded" in result.err
    else:
        assert "oom_kill_disable 1" in cgroup_file(cli, "held", "memory", "memory.oom_control")


def block_device():
    return next((f"/dev/{name}" for name in sorted(os.listdir("/sys/block")) if os.path.exists(f"/dev/{name}")), None)


def test_rates_of_a_block_device_reach_the_cgroup(cli, image):
    device = block_device()
    if device is None:
        pytest.skip("no block device")
    cli("run", "-d", "--name", "slow", "--device-read-bps", f"{device}:1mb", "--device-write-iops", f"{device}:50", image, "sleep", "60").ok()
    number = os.stat(device).st_rdev
    if UNIFIED:
        assert cgroup_file(cli, "slow", "io", "io.max") == f"{os.major(number)}:{os.minor(number)} rbps=1048576 wbps=max riops=max wiops=50"
        return
    for file, value in [("read_bps_device", 1 << 20), ("write_iops_device", 50)]:
        assert cgroup_file(cli, "slow", "blkio", f"blkio.throttle.{file}") == f"{os.major(number)}:{os.minor(number)} {value}"


def test_a_device_that_a_limit_names_must_be_there_at_the_start(cli, image):
    result = cli("run", "--name", "lost", "--device-read-bps", "/dev/nosuch:1mb", image, "true")
    # By these words docker's command line knows a command that is not there.
    assert result.code == 127 and "stat /dev/nosuch: no such file or directory" in result.err


def test_what_this_kernel_cannot_limit_is_discarded_with_dockers_warning(own_daemon, image):
    if os.path.exists("/sys/fs/cgroup/blkio/blkio.weight") or not os.path.isdir("/sys/fs/cgroup/blkio"):
        pytest.skip("this kernel weighs block devices")
    other = create(own_daemon, image)["Id"]
    answer = create(own_daemon, image, BlkioWeight=300, CpuPercent=3, Links=[f"{other}:b"])
    assert answer["Warnings"][:2] == [
        "linux does not support CPU percent. Percent discarded.",
        "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."]
    assert "Links" in answer["Warnings"][2]
    _, document = api(own_daemon, "GET", f"/containers/{answer['Id']}/json")
    assert document["HostConfig"]["BlkioWeight"] == 0 and document["HostConfig"]["CpuPercent"] == 0


def test_kernel_memory_is_discarded_with_dockers_warning_as_long_as_the_api_knows_it(own_daemon, image):
    request = {"Image": image, "Cmd": ["true"], "HostConfig": {"KernelMemory": 64 << 20}}
    for version, warnings, shown in (("1.41", 1, 0), ("1.50", 0, None)):
        status, answer = api(own_daemon, "POST", f"/v{version}/containers/create", request)
        assert status == 201 and len(answer["Warnings"]) == warnings, answer
        assert all("kernel memory limit" in warning and "discarded" in warning for warning in answer["Warnings"])
        _, document = api(own_daemon, "GET", f"/v{version}/containers/{answer['Id']}/json")
        assert document["HostConfig"].get("KernelMemory") == shown


@pytest.mark.parametrize("host, message", [
    ({"MemoryReservation": 1000}, "Minimum memory reservation allowed is 6MB"),
    ({"Memory": 8 << 20, "MemoryReservation": 16 << 20}, "Minimum memory limit can not be less than memory reservation limit, see usage"),
    ({"MemorySwappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
    ({"CpusetMems": "9"}, "Requested memory nodes are not available - requested 9, available: 0"),
    ({"CpusetMems": "x"}, "Invalid value x for cpuset mems: invalid format: x"),
    ({"CpuRealtimePeriod": 100, "CpuRealtimeRuntime": 200}, "cpu real-time runtime cannot be higher than cpu real-time period"),
    ({"IOMaximumIOps": 1}, "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps"),
    ({"PidMode": "private"}, "invalid PID mode: private"), ({"PidMode": "container:"}, "invalid PID mode: container:"),
    ({"IpcMode": "all"}, "invalid IPC mode: all"), ({"UTSMode": "container:x"}, "invalid UTS mode: container:x"),
    ({"CgroupnsMode": "shared"}, "invalid cgroup namespace mode: shared"),
    ({"NetworkMode": "container:"}, "Invalid network mode: invalid container format container:<name|id>"),
    ({"NetworkMode": "container:x", "Dns": ["1.1.1.1"]}, "conflicting options: dns and the network mode"),
    ({"NetworkMode": "container:x", "ExtraHosts": ["a:1.1.1.1"]}, "conflicting options: custom host-to-IP mapping and the network mode"),
    ({"Isolation": "hyperv"}, "invalid isolation 'hyperv' on linux"),
    ({"ExtraHosts": ["nonsense"]}, 'bad format for add-host: "nonsense"'),
    ({"ExtraHosts": ["a\nb:1.1.1.1"]}, 'bad format for add-host: "a\\x0ab:1.1.1.1"'),
    ({"Annotations": {"": "x"}}, "invalid Annotations: the empty string is not permitted as an annotation key"),
    ({"StorageOpt": {"size": "much"}}, "invalid size: 'much'"),
    ({"StorageOpt": {"colour": "red"}}, "Unknown option colour"),
    ({"Sysctls": {"vm.swappiness": "1"}}, 'sysctl "vm.swappiness" is not in a separate kernel namespace'),
    ({"Sysctls": {"": "1"}}, 'sysctl "" is not in a separate kernel namespace'),
    ({"Sysctls": {"net/../kernel/core_pattern": "x"}}, 'sysctl "net/../kernel/core_pattern" is not in a separate kernel namespace'),
    ({"Sysctls": {"kernel/shmmax.x": "1"}}, 'sysctl "kernel.shmmax/x" is not in a separate kernel namespace'),
    ({"Sysctls": {"kernel.shmmax/x": "1"}}, 'sysctl "kernel.shmmax/x" is not in a separate kernel namespace'),
    ({"Sysctls": {"kernel.hostname": "x"}}, 'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field'),
    ({"UTSMode": "host", "Sysctls": {"kernel.domainname": "x"}}, 'sysctl "kernel.domainname" is not in a separate kernel namespace'),
    ({"IpcMode": "host", "Sysctls": {"kernel/msgmax": "9"}}, 'sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace'),
    ({"NetworkMode": "host", "Sysctls": {"net/ipv4/ip_forward": "1"}}, 'sysctl "net.ipv4.ip_forward" not allowed in host network namespace'),
    ({"SecurityOpt": ["seccomp={"]}, "Decoding seccomp profile failed: unexpected end of JSON input"),
    ({"SecurityOpt": ["seccomp=nosuch"]}, "Decoding seccomp profile failed: invalid character 'o' in literal null (expecting 'u')"),
    ({"SecurityOpt": ["seccomp={} {}"]}, "Decoding seccomp profile failed: invalid character '{' after top-level value"),
    ({"SecurityOpt": ["seccomp=[]"]}, "Decoding seccomp profile failed: cannot unmarshal array into a field of type object"),
    ({"SecurityOpt": ['seccomp={"defaultAction":5}']},
     "Decoding seccomp profile failed: defaultAction: cannot unmarshal number 5 into a field of type string"),
    ({"SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}']},
     "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'"),
    ({"SecurityOpt": ["alone"]}, 'invalid --security-opt 1: "alone"'), ({"SecurityOpt": ["a=b"]}, 'invalid --security-opt 2: "a=b"'),
    ({"Runtime": "nosuch"}, "unknown or invalid runtime name: nosuch"),
])
def test_F07_what_makes_no_sense_is_refused_in_dockers_words(own_daemon, image, host, message):
    assert create(own_daemon, image, expect=400, **host) == {"message": message}


def said(daemon, apus, image, *command, config=None, **host):
    """What a container says that is made with this."""
    made = create(daemon, image, config={**(config or {}), "Cmd": list(command)}, **host)["Id"]
    api(daemon, "POST", f"/containers/{made}/start", expect=204)
    assert apus("wait", made).line() == "0"
    return apus("logs", made).ok()


@pytest.mark.parametrize("profile, mode", [("{}", 0), ("null", 0), ('{"defaultErrnoRet":1}', 0), ("", 2), ('{"DefaultAction":"SCMP_ACT_ALLOW"}', 2)])
def test_a_seccomp_profile_that_says_nothing_filters_nothing_as_with_docker(own_daemon, apus, image, profile, mode):
    out = said(own_daemon, apus, image, "grep", "^Seccomp:", "/proc/self/status", SecurityOpt=[f"seccomp={profile}"])
    assert out.split() == ["Seccomp:", str(mode)]


def test_sysctls_of_every_namespace_are_set_with_dots_and_with_slashes(own_daemon, apus, image):
    wanted = {"kernel.domainname": "x.y", "net/ipv4/ip_forward": "1", "kernel/msgmax": "9000", "fs/mqueue/msg_max": "20"}
    files = ["kernel/domainname", "net/ipv4/ip_forward", "kernel/msgmax", "fs/mqueue/msg_max"]
    script = "cd /proc/sys && cat " + " ".join(files)
    assert said(own_daemon, apus, image, "sh", "-c", script, config={"Domainname": "a.b"}, Sysctls=wanted).split() == list(wanted.values())


@pytest.mark.parametrize("host", [{"MemorySwap": -2}, {"Memory": 64 << 20, "MemorySwap": -3}, {"MemoryReservation": -1}])
def test_a_limit_of_memory_below_nothing_is_none_as_with_docker(own_daemon, apus, image, host):
    made = create(own_daemon, image, config={"Cmd": ["sleep", "60"]}, **host)["Id"]
    api(own_daemon, "POST", f"/containers/{made}/start", expect=204)
    shown = api(own_daemon, "GET", f"/containers/{made}/json")[1]["HostConfig"]
    assert {name: shown[name] for name in host} == host
    if "MemorySwap" in host and (UNIFIED or os.path.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")):
        limit = cgroup_file(apus, made, "memory", "memory.swap.max" if UNIFIED else "memory.memsw.limit_in_bytes")
        assert limit == "max" or int(limit) > 1 << 60


def test_what_no_container_here_can_have_is_refused_by_its_name(own_daemon, image):
    refused = create(own_daemon, image, expect=400, SecurityOpt=["writable-cgroups=true"])
    assert refused == {"message": 'HostConfig.SecurityOpt "writable-cgroups" is not supported yet'}
    assert create(own_daemon, image, expect=400, config={"MacAddress": "zz"}) == {"message": "invalid MAC address: zz"}


def test_the_cgroup_that_dockerd_forgets_is_kept_and_warned_of(own_daemon, image):
    made = create(own_daemon, image, Cgroup="container:x")
    assert made["Warnings"] == ["HostConfig.Cgroup is discarded: HostConfig.CgroupParent says in which cgroup the container's is made"]
    assert api(own_daemon, "GET", f"/containers/{made['Id']}/json")[1]["HostConfig"]["Cgroup"] == "container:x"


def test_names_conflict_with_the_namespaces_of_others(own_daemon, image):
    for host, config, what in [({"UTSMode": "host"}, {"Hostname": "x"}, "hostname and the UTS mode"),
                               ({"NetworkMode": "container:x"}, {"Hostname": "x"}, "hostname and the network mode")]:
        assert create(own_daemon, image, expect=400, config=config, **host) == {"message": f"conflicting options: {what}"}


LARGE = [2**63 - 1, -2**63]


@pytest.mark.parametrize("field", ["Memory", "MemorySwap", "MemoryReservation", "KernelMemory", "KernelMemoryTCP", "NanoCpus", "CpuShares",
                                   "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime", "PidsLimit", "ShmSize", "OomScoreAdj",
                                   "BlkioWeight", "MemorySwappiness", "CpuPercent", "CpuCount"])
def test_F07_the_largest_numbers_are_an_answer_not_the_end_of_the_daemon(own_daemon, image, field):
    for value in LARGE + [2**64, -2**64]:
        status, answer = api(own_daemon, "POST", "/containers/create", {"Image": image, "Cmd": ["true"], "HostConfig": {field: value}})
        assert status in (201, 400), answer
        if status == 201:
            status, answer = api(own_daemon, "POST", f"/containers/{answer['Id']}/start")
            assert status in (204, 400, 500), answer
    assert api(own_daemon, "GET", "/_ping")[0] == 200


# Namespaces


def namespace(cli, name, kind):
    return os.readlink(f"/proc/{cli.inspect(name, '{{.State.Pid}}')}/ns/{kind}")


@pytest.mark.parametrize("flag, kind", [("--pid", "pid"), ("--uts", "uts"), ("--ipc", "ipc"), ("--cgroupns", "cgroup"), ("--network", "net")])
def test_the_hosts_namespaces_are_used_where_asked(cli, image, flag, kind):
    cli("run", "-d", "--name", "close", flag, "host", image, "sleep", "60").ok()
    assert namespace(cli, "close", kind) == os.readlink(f"/proc/self/ns/{kind}")
    # With cgroup v1 this one is the host's for everybody who says nothing.
    others = ({"pid", "uts", "ipc", "net"} | ({"cgroup"} if UNIFIED else set())) - {kind}
    assert all(namespace(cli, "close", other) != os.readlink(f"/proc/self/ns/{other}") for other in others)


@pytest.mark.parametrize("flag, kind", [("--pid", "pid"), ("--ipc", "ipc"), ("--network", "net")])
def test_another_containers_namespace_is_joined_by_name(cli, image, flag, kind):
    donor = cli("run", "-d", "--name", "donor", "--ipc", "shareable", image, "sleep", "60").line()
    cli("run", "-d", "--name", "guest", flag, "container:donor", image, "sleep", "60").ok()
    assert namespace(cli, "guest", kind) == namespace(cli, "donor", kind)
    field = {"pid": "PidMode", "ipc": "IpcMode", "net": "NetworkMode"}[kind]
    assert cli.inspect("guest", f"{{{{.HostConfig.{field}}}}}") == f"container:{donor}"
    assert cli("rm", "-f", "donor").ok() and cli("rm", "-f", "guest").ok()


def test_shared_memory_is_one_and_goes_with_its_owner(cli, image):
    cli("run", "-d", "--name", "donor", "--ipc", "shareable", "--shm-size", "2m", image, "sleep", "60").ok()
    cli("run", "-d", "--name", "guest", "--ipc", "container:donor", image, "sleep", "60").ok()
    cli("exec", "donor", "sh", "-c", "echo told > /dev/shm/note").ok()
    assert cli("run", "--rm", "--ipc", "container:guest", image, "sh", "-c", "cat /dev/shm/note; df /dev/shm | tail -n 1").ok().split()[:3:2] == [
        "told", "2048"]
    cli("restart", "-t", "0", "donor").ok()
    assert cli("exec", "donor", "ls", "/dev/shm").ok() == ""


def test_the_network_of_another_comes_with_its_names(cli, image):
    cli("run", "-d", "--name", "donor", "-h", "shared", "--add-host", "far:192.0.2.7", image, "sleep", "60").ok()
    out = cli("run", "--rm", "--network", "container:donor", image, "sh", "-c", "hostname; grep far /etc/hosts; echo $HOSTNAME").ok()
    assert out.split() == ["shared", "192.0.2.7", "far", "shared"]


def test_settings_of_the_network_of_another_are_both_containers(cli, image):
    """Those of the host's stay its own."""
    cli("run", "-d", "--name", "donor", image, "sleep", "60").ok()
    read = ["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]
    set_to = ["--sysctl", "net.ipv4.ip_unprivileged_port_start=81"]
    assert cli("run", "--rm", "--network", "container:donor", *set_to, image, *read).line() == cli("exec", "donor", *read).line() == "81"
    refused = cli("run", "--rm", "--network", "host", *set_to, image, *read)
    assert refused.code == 125 and "not allowed in host network namespace" in refused.err


@pytest.mark.parametrize("flag, words", [
    ("--network", "cannot join network of a non running container"), ("--ipc", "can't join IPC of container"),
    ("--pid", "cannot join PID of a non running container")])
def test_who_does_not_run_cannot_be_joined(cli, image, flag, words):
    cli("create", "--name", "asleep", image, "true").ok()
    result = cli("run", "--rm", flag, "container:asleep", image, "true")
    assert result.code == 125 and words in result.err
    result = cli("run", "--rm", flag, "container:nosuch", image, "true")
    assert result.code in (125, 127) and "No such container: nosuch" in result.err


@pytest.mark.parametrize("host", [{"PidMode": "container:nosuch"}, {"IpcMode": "container:nosuch"}, {"VolumesFrom": ["nosuch"]}])
def test_a_container_that_is_not_there_is_a_fault_of_the_request_and_nothing_is_made(own_daemon, image, host):
    """Told as not found, docker's client would take the image for missing, and pull it."""
    before = api(own_daemon, "GET", "/containers/json?all=1")[1]
    assert create(own_daemon, image, expect=400, **host) == {"message": "No such container: nosuch"}
    assert api(own_daemon, "GET", "/containers/json?all=1")[1] == before


@pytest.mark.parametrize("mode", ["bridge", "none"])
def test_links_are_passed_over_with_a_warning_when_they_lead_somewhere(own_daemon, apus, image, mode):
    for link, message in [("nosuch:x", "could not get container for nosuch: No such container: nosuch"),
                          ("a:b:c", "bad format for links: a:b:c"), ("", "empty string specified for links")]:
        assert create(own_daemon, image, expect=400, NetworkMode=mode, Links=[link]) == {"message": message}
    apus("create", "--name", "there", image, "true").ok()
    assert create(own_daemon, image, NetworkMode=mode, Links=["there:x"])["Warnings"] == [
        "Links (there:x) are ignored: on a network of their own (docker network create) containers find each other by name."]


def test_shared_memory_that_is_not_offered_is_not_joined(cli, image):
    cli("run", "-d", "--name", "closed", image, "sleep", "60").ok()
    result = cli("run", "--rm", "--ipc", "container:closed", image, "true")
    assert result.code == 125 and "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in result.err
    assert cli("run", "--rm", "--ipc", "none", image, "sh", "-c", "grep -c /dev/shm /proc/mounts").out.strip() == "0"


def test_processes_of_a_container_in_the_hosts_pid_namespace_end_with_it(cli, image):
    cli("run", "--rm", "--pid", "host", image, "sh", "-c", "sleep 7391 & sleep 0.2").ok()
    found = [name for name in os.listdir("/proc") if name.isdigit() and cmdline(name).split(b"\0")[-3:-1] == [b"sleep", b"7391"]]
    assert found == []


def cmdline(process):
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


# Rights and names


def test_masks_and_read_only_paths_give_way_where_told(cli, image):
    assert cli("run", "--rm", image, "sh", "-c", "cat /proc/keys | wc -l; touch /proc/sys/kernel/domainname").out.strip() == "0"
    script = "cat /proc/timer_list | wc -l; mount | grep -c ' /proc/'"
    masked, open_ = (cli("run", "--rm", *flags, image, "sh", "-c", script).out.split()
                     for flags in ([], ["--security-opt", "systempaths=unconfined"]))
    assert int(masked[1]) > 3 and open_[1] == "0"
    template = "{{json .HostConfig.MaskedPaths}} {{json .HostConfig.ReadonlyPaths}}"
    cli("create", "--name", "bare", "--security-opt", "systempaths=unconfined", image).ok()
    assert cli.inspect("bare", template) == "[] []"


@pytest.mark.parametrize("flags, told", [
    (["--privileged"], '["label=disable"] null null'), (["--privileged", "--security-opt", "label=type:x"], '["label=type:x"] null null'),
    (["--pid", "host", "--security-opt", "no-new-privileges"], '["no-new-privileges","label=disable"] masked'), (["--ipc", "host"], '["label=disable"] masked'),
    ([], "null masked"),
])
def test_inspect_tells_what_docker_makes_of_the_hosts_rights_and_namespaces(cli, image, flags, told):
    cli("create", "--name", "righteous", *flags, image).ok()
    lists = "{{json .HostConfig.MaskedPaths}} {{json .HostConfig.ReadonlyPaths}}"
    template = "{{json .HostConfig.SecurityOpt}} {{if .HostConfig.MaskedPaths}}masked{{else}}" + lists + "{{end}}"
    assert cli.inspect("righteous", template) == told


def test_a_list_of_masked_paths_of_the_requests_own_holds(own_daemon, apus, image):
    answer = create(own_daemon, image, config={"Cmd": ["cat", "/etc/passwd", "/proc/uptime"]}, MaskedPaths=["/etc/passwd"], ReadonlyPaths=[])
    assert len(apus("start", "-a", answer["Id"]).ok().splitlines()) == 1


def test_profiles_that_this_kernel_has_no_use_for_are_passed_over(cli, image):
    flags = ["--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"]
    assert cli("run", "--rm", *flags, image, "echo", "on").ok() == "on\n"
    cli("create", "--name", "profiled", *flags, image).ok()
    assert cli.inspect("profiled", "{{.AppArmorProfile}}") == "unconfined"


@pytest.mark.skipif(os.path.exists("/sys/fs/selinux/enforce"), reason="this kernel has SELinux")
@pytest.mark.parametrize("label", ["label=type:svirt_apache_t", "label=level:s0:c100,c200", "label=user:system_u", "label=role:system_r", "label:disable"])
def test_labels_of_selinux_are_passed_over_where_the_kernel_has_none_as_by_docker(cli, image, label):
    assert cli("run", "--rm", "--security-opt", label, image, "echo", "on").ok() == "on\n"
    cli("create", "--name", "labelled", "--security-opt", label, image).ok()
    shown = cli.inspect("labelled", "{{json .HostConfig.SecurityOpt}} {{json .ProcessLabel}} {{json .MountLabel}}")
    assert shown == f'["{label}"] "" ""'


@pytest.fixture
def labelled(workspace, registry):
    """A daemon on a host that has SELinux, as far as it can see."""
    daemon = Daemon(os.path.join(workspace, f"l{len(os.listdir(workspace))}"))
    os.makedirs(f"{daemon.folder}/fs")
    script = (f"mount -t tmpfs tmpfs {daemon.folder}/fs && mkdir {daemon.folder}/fs/selinux {daemon.folder}/fs/cgroup && "
              f"echo 1 >{daemon.folder}/fs/selinux/enforce && mount --rbind /sys/fs/cgroup {daemon.folder}/fs/cgroup && "
              f"mount --move {daemon.folder}/fs /sys/fs && exec \"$@\"")
    daemon.start(under=["unshare", "-m", "sh", "-c", script, "sh"])
    yield daemon
    wait_until(lambda: not daemon.supervisors(), "shims and keeper have ended", seconds=30)
    assert daemon.stop() == 0
    daemon.forget_network()


@pytest.mark.parametrize("name", CLIENTS)
def test_labels_of_selinux_are_refused_by_their_name_where_the_kernel_would_heed_them(labelled, registry, workspace, name):
    """A container that is to be confined otherwise than it would be does not run."""
    cli, image = Client(name, CLIENTS[name], labelled.host, workspace), f"{registry.host}/busybox"
    cli("pull", image).ok()
    for label in ("type:svirt_apache_t", "level:s0:c100,c200"):
        result = cli("run", "--rm", "--security-opt", f"label={label}", image, "true")
        assert result.code == 125 and f'HostConfig.SecurityOpt "label={label}" on a host with SELinux is not supported yet' in result.err, result
    assert cli("ps", "-aq").ok() == ""
    cli("create", "--name", "unlabelled", "--security-opt", "label=disable", image).ok()
    cli("rm", "unlabelled").ok()


def test_names_are_added_to_the_files_without_a_network(cli, image):
    flags = ["--add-host", "far:192.0.2.7", "--add-host", "six:2001:db8::1", "--dns", "192.0.2.53", "--dns-search", "example.org",
             "--dns-option", "ndots:3"]
    for mode in ("none", "host"):
        out = cli("run", "--rm", "--network", mode, *flags, image, "sh", "-c", "tail -n 2 /etc/hosts; cat /etc/resolv.conf").ok()
        assert out == "192.0.2.7\tfar\n2001:db8::1\tsix\nsearch example.org\nnameserver 192.0.2.53\noptions ndots:3\n", mode


def test_a_parent_of_the_cgroup_is_the_one_asked_for(cli, image):
    parent = f"apus-test-{os.getpid()}{os.urandom(2).hex()}"
    identifier = cli("run", "-d", "--cgroup-parent", f"/{parent}", image, "sleep", "60").line()
    try:
        with open(f"/proc/{cli.inspect(identifier, '{{.State.Pid}}')}/cgroup", encoding="utf-8") as file:
            paths = {line.rstrip("\n").split(":", 2)[2] for line in file}
        assert any(path.endswith(f"/{parent}/{identifier}") for path in paths), paths
        cli("rm", "-f", identifier).ok()
    finally:
        for folder, _, _ in os.walk("/sys/fs/cgroup"):
            if os.path.basename(folder) == parent:
                os.rmdir(folder)


def test_annotations_reach_the_runtime(own_daemon, apus, image):
    identifier = apus("run", "-d", "--annotation", "org.example.note=told", image, "sleep", "60").line()
    with open(f"{own_daemon.run}/bundles/{identifier}/config.json", encoding="utf-8") as file:
        assert '"org.example.note":"told"' in file.read().replace(" ", "")
    assert apus.inspect(identifier, "{{json .HostConfig.Annotations}}") == '{"org.example.note":"told"}'
