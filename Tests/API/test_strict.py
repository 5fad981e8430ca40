"""The security profile strict: for one container by `--security-opt profile=strict`, for all by the daemon's `security-profile`.

What it forbids is tried from inside real containers, and beside it under the default profile, which shows that the profile is what forbids it."""
# Rows: attacks

import json
import os
import re
import subprocess

import leaks
import pytest
from conftest import BUILD, CLIENTS, Client, Daemon, end_without_remains, sweep
from engine_http import api
from oci_images import Image, Pusher, busybox_layer, entry, tar
from processes import wait_until

STRICT, DEFAULT = ["--security-opt", "profile=strict"], ["--security-opt", "profile=default"]
DOCKERS_CAPABILITIES = 0xA80425FB
# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service
STRICT_CAPABILITIES = 0x000005FB
EPERM, ENOSYS, EOPNOTSUPP = "1", "38", "95"
# The numbers of AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK.
FAMILIES = {1, 2, 10, 16}


@pytest.fixture(scope="module")
def program(workspace):
    """What tries everything: see forbidden.c."""
    path = os.path.join(workspace, "forbidden")
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-static", "-o", path, os.path.join(os.path.dirname(leaks.__file__), "forbidden.c")], check=True)
    return path


@pytest.fixture(scope="module")
def trying_image(registry, program):
    """busybox, and the program: as it is, and as a file that runs as root."""
    with open(program, "rb") as file:
        data = file.read()
    layer = tar([(entry("bin/forbidden", mode=0o755), data), (entry("bin/as-root", mode=0o4755), data)])
    Pusher(registry.host).push("trying", Image([busybox_layer(), layer]))
    return f"{registry.host}/trying"


@pytest.fixture(scope="module")
def strict_daemon(workspace, trying_image):
    """A daemon whose containers are strict unless they say otherwise."""
    daemon = Daemon(os.path.join(workspace, "strict"))
    os.makedirs(daemon.folder)
    daemon.config = os.path.join(daemon.folder, "config.toml")
    with open(daemon.config, "w", encoding="utf-8") as file:
        file.write('security-profile = "strict"\n')
    daemon.start("--config", daemon.config)
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    client("pull", trying_image).ok()
    yield daemon
    sweep(daemon)
    end_without_remains(daemon)


@pytest.fixture(scope="module")
def usual_daemon(daemon, workspace, trying_image):
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    client("pull", trying_image).ok()
    yield daemon
    sweep(daemon)
    client("rmi", trying_image).ok()


class Sandbox:
    """Containers of either profile: one is what the daemon gives, the other is asked for."""

    def __init__(self, client, image, strict, default):
        self.client, self.image, self.flags = client, image, {"strict": strict, "default": default}
        self.known = {}

    def run(self, profile, *words, flags=()):
        return self.client("run", "--rm", *self.flags[profile], *flags, self.image, *words)

    def outcomes(self, profile, *flags):
        """What came of every attempt, by its name."""
        if (profile, flags) not in self.known:
            said = self.run(profile, "forbidden", flags=flags).ok()
            self.known[profile, flags] = dict(line.split(" ", 1) for line in said.splitlines())
        return self.known[profile, flags]


@pytest.fixture(scope="module", params=[*(f"{client}-container" for client in sorted(CLIENTS)), "apus-daemon"])
def sandbox(request, usual_daemon, strict_daemon, workspace, trying_image):
    """By each client; strict by the container's own word, and by the daemon's."""
    name, way = request.param.rsplit("-", 1)
    daemon = usual_daemon if way == "container" else strict_daemon
    client = Client(name, CLIENTS[name], daemon.host, workspace)
    return Sandbox(client, trying_image, *((STRICT, []) if way == "container" else ([], DEFAULT)))


@pytest.fixture(autouse=True)
def nothing_of_strict_ones_left_behind(request):
    """Both daemons' containers go first: what they have of links and rules is on one machine."""
    if "strict_daemon" not in request.fixturenames:
        yield
        return
    daemon, other = request.getfixturevalue("strict_daemon"), request.getfixturevalue("daemon")
    before = daemon.state()
    yield
    for one in (daemon, other):
        sweep(one)
    wait_until(lambda: daemon.state() == before, "the machine is as it was", seconds=30)


# What is forbidden

# What each attempt ends in by default and strictly. None is whatever the kernel says to who may: anything but a refusal.
ATTEMPTS = {
    "raw-socket": ("0", EPERM), "packet-socket": ("0", EPERM), "change-root": ("0", EPERM), "device-node": ("0", EPERM),
    "file-capability": ("0", EPERM), "traced": ("0", EPERM), "attach": ("0", EPERM), "read-memory": ("0", EPERM), "write-memory": ("0", EPERM),
    "splice-memory": ("0", EPERM), "remap": ("0", EPERM), "descriptor-table": (None, EPERM), "multiplexed-internet": (None, ENOSYS),
    "multiplexed-old": (None, ENOSYS), "internet-pair": (EOPNOTSUPP, EPERM),
    # By neither.
    "new-users": (EPERM, EPERM), "new-users-by-clone": (EPERM, EPERM), "clone3": (ENOSYS, ENOSYS), "ring": (EPERM, EPERM),
    "faults": (EPERM, EPERM), "keys": (EPERM, EPERM), "new-key": (EPERM, EPERM), "kernel-program": (EPERM, EPERM), "counters": (EPERM, EPERM),
    "by-handle": (EPERM, EPERM), "mount": (EPERM, EPERM), "unknown": (ENOSYS, ENOSYS),
}
# What services do.
NEEDS = ["change-owner", "change-user", "end-another-users", "listen-at-80", "echo-socket", "named-pipe", "memory-file", "old-shared-memory",
         "local-pair"]
ONLY_ON_X86 = {"descriptor-table", "multiplexed-internet", "multiplexed-old"}


def test_B04_what_strict_forbids_fails_from_inside_and_works_by_default(sandbox):
    strictly, by_default = sandbox.outcomes("strict"), sandbox.outcomes("default")
    tried = {name: expected for name, expected in ATTEMPTS.items() if name not in ONLY_ON_X86 or os.uname().machine == "x86_64"}
    assert {name: strictly[name] for name in tried} == {name: expected for name, (_, expected) in tried.items()}
    known = {name: expected for name, (expected, _) in tried.items() if expected}
    assert {name: by_default[name] for name in known} == known
    assert not [name for name, (expected, _) in tried.items() if expected is None and by_default[name] in (EPERM, ENOSYS)]


def test_B04_strict_has_sockets_of_four_families_and_default_all_but_two(sandbox):
    """By default the kernel is asked for those alone whose asking loads no module; the filter's whole table is looked at by DefaultProfileTests."""
    every = [str(number) for number in range(64)]
    said = dict(line.split() for line in sandbox.run("strict", "forbidden", "families", *every).ok().splitlines())
    assert said == {f"family-{number}": "0" if number in FAMILIES else EPERM for number in range(64)}
    assert sandbox.run("default", "forbidden", "families", "38", "40").ok().split()[1::2] == [EPERM, EPERM]
    asked = {name: outcome for name, outcome in sandbox.outcomes("default").items() if name.startswith("family-")}
    assert len(asked) == 14 and asked["family-17"] == "0" and EPERM not in asked.values()


def test_B04_what_services_do_works_with_either_profile(sandbox):
    for profile in ("strict", "default"):
        assert {name: sandbox.outcomes(profile)[name] for name in NEEDS} == dict.fromkeys(NEEDS, "0"), profile


def test_B01_nine_of_dockers_capabilities_are_left(sandbox):
    for profile, expected in (("strict", STRICT_CAPABILITIES), ("default", DOCKERS_CAPABILITIES)):
        said = sandbox.run(profile, "grep", "^Cap", "/proc/self/status").ok()
        sets = {name: int(value, 16) for name, value in re.findall(r"Cap(\w+):\s+([0-9a-f]+)", said)}
        assert sets == {"Inh": 0, "Prm": expected, "Eff": expected, "Bnd": expected, "Amb": 0}, profile


def test_B05_a_file_that_runs_as_root_gives_nothing(sandbox):
    """Neither to the first process nor to one that is added."""
    for profile, flag, user in (("strict", "1", "1000"), ("default", "0", "0")):
        assert sandbox.run(profile, "as-root", "who", flags=["-u", "1000"]).line() == f"1000 {user}", profile
        sandbox.client("run", "-d", "--name", "base", *sandbox.flags[profile], sandbox.image, "sleep", "600").ok()
        assert sandbox.client("exec", "base", "grep", "NoNewPrivs", "/proc/1/status", "/proc/self/status").ok().split()[1::2] == [flag, flag]
        assert sandbox.client("exec", "-u", "1000", "base", "as-root", "who").line() == f"1000 {user}", profile
        sandbox.client("rm", "-f", "base").ok()


def test_B07_root_inside_is_nobody_outside(sandbox, tmp_path):
    (tmp_path / "secret").write_text("of the host's root")
    (tmp_path / "secret").chmod(0o600)
    tmp_path.chmod(0o755)
    firsts = []
    for name, profile in (("one", "strict"), ("two", "strict"), ("three", "default")):
        sandbox.client("run", "-d", "--name", name, "-v", f"{tmp_path}:/there", *sandbox.flags[profile], sandbox.image, "sleep", "600").ok()
        with open(f"/proc/{sandbox.client.inspect(name, '{{.State.Pid}}')}/uid_map", encoding="ascii") as file:
            firsts.append(int(file.read().split()[1]))
        assert (sandbox.client("exec", name, "cat", "/there/secret").code == 0) == (profile == "default"), name
    assert firsts[2] == 0 and min(firsts[:2]) >= 65536 and abs(firsts[0] - firsts[1]) >= 65536


PATHS = """/proc/buddyinfo /proc/cmdline /proc/config.gz /proc/diskstats /proc/iomem /proc/ioports /proc/kallsyms /proc/key-users /proc/kmsg /proc/kpagecgroup
/proc/kpagecount /proc/kpageflags /proc/modules /proc/mtrr /proc/pagetypeinfo /proc/partitions /proc/schedstat /proc/slabinfo /proc/softirqs
/proc/vmallocinfo /proc/zoneinfo /sys/devices/virtual/dmi /sys/fs/bpf /sys/fs/pstore /sys/fs/selinux /sys/kernel/boot_params /sys/kernel/debug
/sys/kernel/iommu_groups /sys/kernel/notes /sys/kernel/security /sys/kernel/slab /sys/kernel/tracing /sys/kernel/vmcoreinfo""".split()


def says_something(path):
    with open(path, "rb") as file:
        return file.read(1) != b""


def test_B02_strict_hides_more_of_the_host(sandbox):
    """With the host's users, so that nothing but a mask hides it."""
    look = "for f in $*; do [ -e $f ] || continue; if [ -d $f ]; then n=$(ls -A $f | wc -l); else n=$(head -c 1 $f 2>/dev/null | wc -c); fi; echo $f $n; done"
    said = {profile: dict(line.split() for line in sandbox.run(profile, "sh", "-c", look, "sh", *PATHS, flags=["--userns", "host"]).ok().splitlines())
            for profile in ("strict", "default")}
    readable = [path for path in PATHS if os.path.isfile(path) and os.stat(path).st_mode & 0o004 and says_something(path)]
    assert len(readable) >= 5 and set(said["strict"]) == set(said["default"])
    assert set(said["strict"].values()) == {"0"}
    assert [path for path in readable if said["default"][path] == "0"] == []
    mounts = {line.split()[1] for line in sandbox.run("strict", "cat", "/proc/self/mounts").ok().splitlines()}
    assert set(said["strict"]) <= mounts


def test_a_strict_container_has_half_of_the_tasks(sandbox):
    look = ["sh", "-c", "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null"]
    found = [sandbox.run(profile, *look, flags=flags).out.strip()
             for profile, flags in (("strict", []), ("strict", ["--pids-limit", "77"]), ("default", []))]
    assert found == ["1024", "77", "2048"]


# What is asked for in so many words


def test_B11_an_option_of_its_own_wins_over_the_profile(sandbox):
    """Each of them gives what it names, and nothing else."""
    def changed(*flags):
        usual, now = sandbox.outcomes("strict"), sandbox.outcomes("strict", *flags)
        return {name: said for name, said in now.items() if said != usual[name]}

    with_packets = changed("--cap-add", "NET_RAW")
    assert with_packets.pop("family-44") != EPERM and with_packets == {"raw-socket": "0", "packet-socket": "0", "family-17": "0"}
    assert changed("--cap-add", "SYS_PTRACE") == {name: "0" for name in ("traced", "attach", "read-memory", "write-memory")}
    assert changed("--cap-add", "SYS_CHROOT") == {"change-root": "0"}
    assert changed("--cap-add", "SETFCAP") == {"file-capability": "0"}
    assert changed("--cap-drop", "NET_BIND_SERVICE") == {}
    assert changed("--security-opt", "no-new-privileges=false") == {}
    assert {"splice-memory", "remap", "new-users"} <= set(changed("--security-opt", "seccomp=unconfined"))
    # A right over devices that a user namespace does not give.
    assert changed("--cap-add", "MKNOD") == {} and changed("--cap-add", "MKNOD", "--userns", "host") == {"device-node": "0"}


def test_B11_each_part_of_the_profile_can_be_left_out(sandbox):
    look = "grep -E 'NoNewPrivs|CapBnd' /proc/self/status; head -n 1 /proc/self/uid_map; cat /proc/zoneinfo | wc -c; as-root who"

    def status(*flags):
        said = sandbox.run("strict", "sh", "-c", look, flags=["-u", "1000", *flags]).ok().split()
        capabilities, no_new_privileges, first_user, hidden, effective = said[1], said[3], said[5], said[7], said[9]
        return [int(capabilities, 16), no_new_privileges, first_user == "0", hidden == "0", effective]

    assert status() == [STRICT_CAPABILITIES, "1", False, True, "1000"]
    assert status("--security-opt", "no-new-privileges=false") == [STRICT_CAPABILITIES, "0", False, True, "0"]
    assert status("--security-opt", "systempaths=unconfined") == [STRICT_CAPABILITIES, "1", False, False, "1000"]
    assert status("--userns", "host") == [STRICT_CAPABILITIES, "1", True, True, "1000"]
    assert status("--cap-drop", "ALL", "--cap-add", "CHOWN") == [1, "1", False, True, "1000"]
    with_all = status("--cap-add", "ALL")
    assert with_all[0] > DOCKERS_CAPABILITIES and with_all[1:] == ["1", False, True, "1000"]


def test_B11_privileged_must_say_that_it_leaves_the_profile(sandbox):
    refused = sandbox.run("strict", "true", flags=["--privileged"])
    assert refused.code == 125 and "conflicting options: --privileged and security profile strict" in refused.err
    assert "say --security-opt profile=default for a container that is to be privileged" in refused.err
    assert sandbox.client("ps", "-aq").ok() == ""
    assert sandbox.run("default", "sh", "-c", "grep -c ' /proc/' /proc/self/mounts", flags=["--privileged"]).out.strip() == "0"


@pytest.mark.parametrize("flags", [["--network", "host"], ["--pid", "host"], ["--ipc", "host"]], ids=" ".join)
def test_B07_namespaces_of_the_host_go_with_its_users_alone(sandbox, flags):
    refused = sandbox.run("strict", "true", flags=flags)
    assert refused.code == 125 and "cannot share the host" in refused.err and sandbox.client("ps", "-aq").ok() == ""
    assert "security profile strict gives the container one of its own, unless it says --userns host" in refused.err
    assert sandbox.run("strict", "grep", "NoNewPrivs", "/proc/self/status", flags=[*flags, "--userns", "host"]).ok().split()[1] == "1"
    assert sandbox.run("default", "true", flags=flags).code == 0


def test_B07_who_joins_a_strict_container_is_among_its_users(sandbox):
    sandbox.client("run", "-d", "--name", "base", *sandbox.flags["strict"], sandbox.image, "sleep", "600").ok()
    base = sandbox.client("exec", "base", "cat", "/proc/self/uid_map").ok()
    for flags in (["--network", "container:base"], ["--pid", "container:base"]):
        assert sandbox.run("strict", "cat", "/proc/self/uid_map", flags=flags).ok() == base
    # One that joins a container with the host's users has these, and what else is strict.
    sandbox.client("run", "-d", "--name", "open", *sandbox.flags["default"], sandbox.image, "sleep", "600").ok()
    said = sandbox.run("strict", "sh", "-c", "head -n 1 /proc/self/uid_map; forbidden raw-socket", flags=["--network", "container:open"]).ok().split()
    assert said == ["0", "0", "4294967295", "raw-socket", EPERM]


# What services need


def test_a_service_begins_as_root_and_goes_on_as_somebody_else(sandbox):
    for profile in ("strict", "default"):
        for words in (["busybox", "su", "ann", "-s", "/bin/sh", "-c", "id -u; id -G"],
                      ["busybox", "setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "sh", "-c", "id -u; id -G"]):
            said = sandbox.run(profile, *words)
            if words[1] == "setpriv" and "unrecognized option" in said.err:
                continue
            assert said.ok().split()[:2] == ["1000", "1000"], (profile, words)


def test_a_strict_container_listens_is_reached_and_ends_as_others_do(sandbox):
    web = "mkdir /www; id -u > /www/index.html; chown -R 1000:1000 /www; exec busybox httpd -f -u 1000:1000 -p 80 -h /www"
    sandbox.client("run", "-d", "--init", "--name", "web", "-p", "127.0.0.1::80", "-v", "/data", *sandbox.flags["strict"], sandbox.image, "sh", "-c", web).ok()
    place = sandbox.client("port", "web", "80").line()
    wait_until(lambda: subprocess.run(["curl", "-sf", "-m", "5", f"http://{place}/"], capture_output=True, check=False).stdout == b"0\n", "the page is served")
    assert sandbox.client("exec", "web", "sh", "-c", "touch /data/x; wget -qO- http://127.0.0.1/").ok() == "0\n"
    assert sandbox.client("exec", "-u", "1000", "web", "id", "-u").line() == "1000"
    sandbox.client("cp", "web:/www/index.html", "-").ok()
    sandbox.client("stop", "web").ok()
    assert sandbox.client.inspect("web", "{{.State.ExitCode}}") in ("0", "143")
    sandbox.client("rm", "-v", "web").ok()


def test_what_is_added_to_a_strict_container_is_as_strict(sandbox):
    """Also where all rights are asked for: a filter is nobody's to leave."""
    sandbox.client("run", "-d", "--name", "base", "--health-cmd", "forbidden raw-socket; forbidden splice-memory", "--health-interval", "1s",
                   *sandbox.flags["strict"], sandbox.image, "sleep", "600").ok()
    said = sandbox.client("exec", "base", "forbidden").ok().splitlines()
    assert dict(line.split(" ", 1) for line in said) == sandbox.outcomes("strict")
    look = "grep NoNewPrivs /proc/self/status; forbidden splice-memory; forbidden packet-socket"
    assert sandbox.client("exec", "--privileged", "base", "sh", "-c", look).ok().split() == ["NoNewPrivs:", "1", "splice-memory", EPERM, "packet-socket", EPERM]
    wait_until(lambda: sandbox.client.inspect("base", "{{.State.Health.Status}}") == "healthy", "it is healthy", seconds=30)
    told = json.loads(sandbox.client.inspect("base", "{{json .State.Health.Log}}"))
    assert told[0]["Output"].split() == ["raw-socket", EPERM, "splice-memory", EPERM]


def test_a_strict_container_is_looked_into(sandbox):
    """By our own client's verb, which asks for the capability that this takes."""
    if sandbox.client.name == "apus":
        sandbox.client("run", "-d", "--name", "base", *sandbox.flags["strict"], sandbox.image, "sh", "-c", "echo mine > /file; exec sleep 600").ok()
        wait_until(lambda: sandbox.client("exec", "base", "cat", "/file").out == "mine\n", "the file is there")
        look = "cat $ROOT/file; head -n 1 /proc/self/uid_map; forbidden read-memory; forbidden splice-memory"
        said = sandbox.client("debug", "--image", sandbox.image, "-c", look, "base").ok().split()
        assert [said[0], said[1], *said[4:]] == ["mine", "0", "read-memory", "0", "splice-memory", EPERM] and int(said[2]) >= 65536


# What is told


def test_inspect_tells_the_profile_however_it_came_about(sandbox):
    sandbox.client("create", "--name", "strictly", *sandbox.flags["strict"], sandbox.image).ok()
    sandbox.client("create", "--name", "usually", *sandbox.flags["default"], sandbox.image).ok()
    told = json.loads(sandbox.client("inspect", "strictly", "usually").ok())
    assert told[0]["HostConfig"]["SecurityOpt"] == ["profile=strict"]
    assert told[1]["HostConfig"]["SecurityOpt"] in (None, ["profile=default"])
    assert [one["AppArmorProfile"] for one in told] == ["", ""]
    strictly, usually = (set(one["HostConfig"]["MaskedPaths"]) for one in told)
    assert strictly - usually == set(PATHS) and usually <= strictly


def test_info_names_what_every_container_has(strict_daemon, usual_daemon, workspace):
    for name, path in sorted(CLIENTS.items()):
        strict, usual = (json.loads(Client(name, path, daemon.host, workspace)("info", "--format", "{{json .SecurityOptions}}").ok())
                         for daemon in (strict_daemon, usual_daemon))
        # Of its own everywhere; for others on cgroup v2 alone.
        assert set(strict) - set(usual) == {"name=userns", "name=no-new-privileges", "name=strict", "name=cgroupns"} - set(usual)
        assert set(usual) <= set(strict) and "name=cgroupns" in strict
        page = Client(name, path, strict_daemon.host, workspace)("info").ok()
        assert re.search(r"Security Options:\n(  ?.*\n)*  ?strict\n", page), page


# What is wrong


WRONG = {
    ("profile=lax",): 'invalid --security-opt: profile takes default or strict, not "lax"',
    ("profile=Strict",): 'invalid --security-opt: profile takes default or strict, not "Strict"',
    ("profile:lax",): 'invalid --security-opt: profile takes default or strict, not "lax"',
    ("profile=strict", "profile=default"): "invalid --security-opt: profile is both strict and default",
}


@pytest.mark.parametrize("options", WRONG, ids=" ".join)
def test_a_profile_that_is_none_is_refused_with_those_that_are(usual_daemon, cli, trying_image, options):
    refused = cli("run", "--rm", *(word for option in options for word in ("--security-opt", option)), trying_image, "true")
    assert refused.code == 125 and WRONG[options] in refused.err and cli("ps", "-aq").ok() == ""


def test_an_empty_profile_is_refused(usual_daemon, trying_image):
    answer = api(usual_daemon, "POST", "/containers/create", {"Image": trying_image, "HostConfig": {"SecurityOpt": ["profile="]}})
    assert answer == (400, {"message": 'invalid --security-opt: profile takes default or strict, not ""'})


def test_the_daemons_setting_names_itself_its_value_and_what_it_takes(tmp_path):
    def validated(name, text, *flags):
        (tmp_path / name).write_text(text)
        said = subprocess.run([f"{BUILD}/apusd", "--config", tmp_path / name, "--validate", *flags], capture_output=True, text=True, timeout=20, check=False)
        return said.returncode, said.stdout + said.stderr

    for profile in ("strict", "default"):
        assert validated("config.toml", f"security-profile = '{profile}'") == (0, "configuration OK\n")
        assert validated("daemon.json", json.dumps({"security-profile": profile})) == (0, "configuration OK\n")
        assert validated("config.toml", "", f"--security-profile={profile}") == (0, "configuration OK\n")
    for said in (validated("config.toml", "security-profile = 'lax'"), validated("daemon.json", '{"security-profile": "lax"}')):
        assert said[0] == 1 and "'security-profile': --security-profile takes default or strict, not 'lax'" in said[1]
    assert "--security-profile takes default or strict, not 'lax'" in validated("config.toml", "", "--security-profile", "lax")[1]
    assert "'security-profile' must be one value" in validated("daemon.json", '{"security-profile": ["strict"]}')[1]
    code, said = validated("config.toml", "security-profile = 'strict'", "--security-profile", "default")
    assert code == 1 and "'security-profile' is specified both there and by the flag --security-profile" in said


# What is kept


def test_B05_B07_containers_keep_their_profile_whatever_the_daemon_is_told_later(brittle, trying_image):
    brittle.client("pull", trying_image).ok()

    def restart(*flags):
        assert brittle.stop() == 0
        brittle.start(*flags)

    def made(name):
        brittle.client("create", "--name", f"{name}-later", trying_image, "forbidden", "raw-socket").ok()
        brittle.client("run", "-d", "--name", f"{name}-running", "--restart", "always", trying_image, "sleep", "600").ok()

    def seen(name):
        """What a start says, and what an added process does in a container that ran all the while, before and after another start."""
        def added(*words):
            return brittle.client("exec", f"{name}-running", *words).ok().split()[1]

        said = [brittle.client("start", "-a", f"{name}-later").ok().split()[1], added("forbidden", "raw-socket")]
        brittle.client("restart", "-t", "0", f"{name}-running").ok()
        return [*said, added("forbidden", "raw-socket"), added("cat", "/proc/self/uid_map") == "0"]

    made("first")
    restart("--security-profile", "strict")
    made("second")
    assert (seen("first"), seen("second")) == (["0", "0", "0", True], [EPERM, EPERM, EPERM, False])
    restart()
    made("third")
    assert (seen("first"), seen("second"), seen("third")) == (["0", "0", "0", True], [EPERM, EPERM, EPERM, False], ["0", "0", "0", True])
    assert brittle.client.inspect("second-later", "{{json .HostConfig.SecurityOpt}}") == '["profile=strict"]'


def test_the_setting_waits_for_the_daemons_next_start(brittle):
    config = os.path.join(brittle.folder, "config.toml")
    assert brittle.stop() == 0
    with open(config, "w", encoding="utf-8") as file:
        file.write('security-profile = "default"\n')
    brittle.start("--config", config)
    with open(config, "w", encoding="utf-8") as file:
        file.write('security-profile = "strict"\n')
    os.kill(brittle.process.pid, 1)
    wait_until(lambda: re.search("some wait for the daemon's next start.*security-profile", brittle.log()), "it is told what waits")
    assert brittle.client("run", "--rm", brittle.image, "grep", "NoNewPrivs", "/proc/self/status").ok().split()[1] == "0"


def test_B05_a_daemon_may_forbid_new_privileges_and_a_container_say_otherwise(tmp_path_factory, tmp_path, trying_image):
    """`no-new-privileges`, dockerd's setting."""
    daemon = Daemon(os.path.realpath(tmp_path_factory.mktemp("d")))
    (tmp_path / "daemon.json").write_text('{"no-new-privileges": true, "bridge": "none"}', encoding="utf-8")
    daemon.start("--config", str(tmp_path / "daemon.json"))
    client = Client("apus", CLIENTS["apus"], daemon.host, str(tmp_path))
    client("pull", "-q", trying_image).ok()
    run, look = ("run", "--rm", "--network", "none"), ("grep", "NoNewPrivs", "/proc/self/status")
    assert client(*run, trying_image, *look).ok().split()[1] == "1"
    assert client(*run, "--security-opt", "no-new-privileges=false", trying_image, *look).ok().split()[1] == "0"
    assert "name=no-new-privileges" in client("info", "--format", "{{json .SecurityOptions}}").ok()
    client("create", "--name", "kept", "--network", "none", trying_image, *look).ok()
    assert daemon.stop() == 0, daemon.log()
    daemon.start("--bridge", "none")
    assert client("start", "-a", "kept").ok().split()[1] == "1", "it keeps what it was made with"
    client("rm", "kept").ok()
    assert "no-new-privileges" not in client("info", "--format", "{{json .SecurityOptions}}").ok()
    assert daemon.stop() == 0, daemon.log()
