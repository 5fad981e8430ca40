"""Network devices that move into the container. - Spec: config-linux.md, "Network Devices"."""

import os
import re
import shlex
import subprocess

import pytest
from claims import spec
from conftest import Result


@pytest.fixture
def host(runtime, bundle, container):
    """Runs the container from a network namespace of the test's own, which has a pair of devices."""
    def run(prepare, after=":", verb=("run",)):
        command = runtime.command(*verb, "-b", bundle.path, container)
        script = f'{prepare}; "$@"; status=$?; echo; {after}; exit $status'
        done = subprocess.run(["unshare", "-n", "sh", "-ec", f"set +e; {script}", "sh", *command], capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False)
        return Result(command, done, True)
    return run


PAIR = "ip link add apus0 type veth peer name apus1; ip link set apus0 mtu 1400 address 02:00:00:00:00:07"


@spec("config-linux.md#configLinuxNetworkDevices",
      "A set of network devices that MUST be made available",
      "MUST preserve existing network interface attributes")
def test_a_device_moves_with_its_name_addresses_and_state(bundle, host):
    bundle.write("ip addr show dev apus0", linux={"netDevices": {"apus0": {}}})
    result = host(f"{PAIR}; ip addr add 10.7.7.1/24 dev apus0; ip -6 addr add fd00::7/64 dev apus0 nodad; ip link set apus0 up",
                  after="ip link show apus0 2>&1").ok()
    inside, outside = result.out.split("\n\n", 1)
    assert re.search(r"apus0@.*<[^>]*UP[^>]*> mtu 1400", inside)
    assert "02:00:00:00:00:07" in inside
    assert "inet 10.7.7.1/24" in inside and "inet6 fd00::7/64" in inside
    assert "does not exist" in outside


def test_a_device_gets_its_new_name_and_comes_up_although_it_was_down(bundle, host):
    bundle.write("ip addr show dev eth0; ! ip addr show dev apus0", linux={"netDevices": {"apus0": {"name": "eth0"}}})
    result = host(f"{PAIR}; ip addr add 10.7.7.1/24 dev apus0").ok()
    assert "eth0@" in result.out and "inet 10.7.7.1/24" in result.out
    assert re.search(r"<[^>]*\bUP\b", result.out)


def test_addresses_of_the_link_alone_are_left_behind(bundle, host):
    bundle.write("ip -4 addr show dev apus0", linux={"netDevices": {"apus0": {}}})
    result = host(f"{PAIR}; ip addr add 10.7.7.1/24 dev apus0; ip addr add 10.7.8.1/24 dev apus0 scope link").ok()
    assert "10.7.7.1/24" in result.out and "10.7.8.1" not in result.out


def test_a_device_moves_into_a_container_with_a_user_namespace(bundle, host):
    mappings = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    os.chown(bundle.rootfs, 100000, 100000)
    os.chmod(bundle.path, 0o755)
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    bundle.write("ip addr show dev eth0", linux={"netDevices": {"apus0": {"name": "eth0"}}, "uidMappings": mappings, "gidMappings": mappings})
    result = host(f"{PAIR}; ip addr add 10.7.7.1/24 dev apus0; ip link set apus0 up").ok()
    assert "inet 10.7.7.1/24" in result.out


@spec("config-linux.md#configLinuxNetworkDevices", "MUST NOT actively manage the interface's lifecycle")
def test_what_becomes_of_a_device_inside_is_the_containers_business(bundle, host):
    """It is taken down, renamed and given another address, and stays so for as long as the container looks."""
    bundle.write("ip link set apus0 down; ip link set apus0 name other; ip addr add 10.7.9.1/24 dev other; sleep 1; ip addr show",
                 process={"capabilities": {kind: ["CAP_NET_ADMIN"] for kind in ("bounding", "permitted", "effective")}},
                 linux={"netDevices": {"apus0": {}}})
    shown = host(f"{PAIR}; ip addr add 10.7.7.1/24 dev apus0; ip link set apus0 up").ok().out
    assert "10.7.9.1/24" in shown and "apus0" not in shown
    assert not re.search(r"other@?[^\n]*<[^>]*\bUP\b", shown)


@spec("config-linux.md#configLinuxNetworkDevices",
      "MUST check if moving the network interface",
      "If a network device with the specified name already exists")
@pytest.mark.parametrize("devices, text", [({"nosuch0": {}}, "nosuch0"), ({"apus0": {"name": "lo"}}, "apus0"), ({"a/b": {}}, "a/b"),
                                           ({"apus0": {"name": "x" * 16}}, "netDevices")])
def test_a_device_that_cannot_move_ends_the_creation(runtime, bundle, container, host, devices, text):
    bundle.write("true", linux={"netDevices": devices})
    result = host(PAIR, verb=("create",))
    assert result.code == 1
    result.fails("netDevices", text)
    runtime("state", container).fails("does not exist")


@pytest.mark.ours
@pytest.mark.parametrize("failure, verb", [
    ({"args": ["/nonexistent"]}, "create"), ({"args": ["/nonexistent"]}, "run"), ({"hooks": "createContainer"}, "create"),
    ({"hooks": "startContainer"}, "run"), ({"device": "nosuch0"}, "create"), ({"device": "nosuch0", "users": True}, "create"),
])
def test_devices_of_a_creation_that_fails_come_back_as_they_were(runtime, bundle, container, host, failure, verb):
    """By their names, up or down, with their addresses; the namespace's end would be theirs, for none is of hardware. A hook inside renames
    one."""
    if failure.get("users"):
        bundle.map_users()
    devices = {"apus0": {"name": "eth0"}, "apus1": {}}
    if "device" in failure:
        devices[failure["device"]] = {}
    hooks = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "ip link set eth0 down && ip link set eth0 name other"],
                                  "env": [f"PATH={os.environ['PATH']}"]}]}
    if "hooks" in failure:
        hooks.setdefault(failure["hooks"], []).append({"path": "/bin/false"})
    bundle.write(failure.get("args", "true"), linux={"netDevices": devices}, hooks=hooks)
    prepare = f"{PAIR}; ip addr add 10.7.7.1/24 dev apus0; ip -6 addr add fd00::7/64 dev apus0 nodad; ip link set apus0 up"
    result = host(f"{prepare}; ip link set lo up", after="ip addr show dev apus0; echo; ip addr show dev apus1", verb=(verb,))
    result.fails(code=1)
    assert "back" not in result.err, result.err
    first, second = result.out.strip().split("\n\n", 1)
    assert re.search(r"apus0@.*<[^>]*\bUP\b[^>]*> mtu 1400", first) and "02:00:00:00:00:07" in first
    assert "inet 10.7.7.1/24" in first and "inet6 fd00::7/64" in first
    assert re.search(r"apus1@.*<[^>]*>", second) and not re.search(r"<[^>]*\bUP\b", second)
    runtime("state", container).fails("does not exist")


@pytest.mark.ours
def test_a_device_whose_name_was_taken_meanwhile_is_told_and_the_others_come_back(bundle, host):
    taking = {"path": "/bin/sh", "args": ["sh", "-c", "ip link add apus0 type veth peer name taken; exit 1"], "env": [f"PATH={os.environ['PATH']}"]}
    bundle.write("true", linux={"netDevices": {"apus0": {"name": "eth0"}, "apus2": {}}}, hooks={"createRuntime": [taking]})
    result = host(f"{PAIR}; ip link add apus2 type veth peer name apus3", after="ip link show", verb=("create",))
    result.fails("createRuntime", "moving linux.netDevices[\"apus0\"] back", "EEXIST", code=1)
    assert "apus2" in result.out


@pytest.mark.ours
def test_a_device_of_a_container_whose_program_ran_does_not_come_back(bundle, host):
    """A poststart hook that fails is the end of a life, not of a creation."""
    bundle.write("sleep 600", ociVersion="1.3.0", linux={"netDevices": {"apus0": {}}}, hooks={"poststart": [{"path": "/bin/false"}]})
    result = host(PAIR, after="ip link show").fails("poststart", code=1)
    assert "apus0" not in result.out


@spec("config-linux.md#configLinuxNetworkDevices", "MUST NOT attempt to move the interface out of the namespace before deletion")
@pytest.mark.parametrize("end", ["delete --force", "start and delete"])
def test_a_created_containers_device_stays_where_it_is_when_that_is_deleted(runtime, bundle, container, host, other, end):
    """A namespace by path outlives the container, with all that is in it; also where `start` finds no program."""
    bundle.join("network", f"/proc/{other}/ns/net")
    bundle.file("/bin/program", "#!/bin/sh\n", 0o755)
    bundle.write(["/bin/program"], linux={"netDevices": {"apus0": {"name": "eth0"}}})
    word = lambda *words: shlex.join(runtime.command(*words))
    steps = [word("delete", "--force", container)]
    if end == "start and delete":
        steps = [f"rm {bundle.rootfs}/bin/program {bundle.rootfs}/bin/sh", f"! {word('start', container)}", *steps]
    look = f"nsenter -t {other} -n ip addr show eth0"
    result = host(f"{PAIR}; ip addr add 10.7.7.1/24 dev apus0", after="; ".join([*steps, look, "ip link show"]), verb=("create",)).ok()
    inside, outside = re.split(r"\n(?=1: lo)", result.out, maxsplit=1)
    assert re.search(r"eth0@[^\n]*<[^>]*\bUP\b", inside) and "inet 10.7.7.1/24" in inside, result.out + result.err
    assert "apus1" in outside and "apus0:" not in outside
    runtime("state", container).fails("does not exist")


@pytest.mark.ours
def test_a_virtual_device_ends_with_the_namespace_of_a_created_container(runtime, bundle, container, host):
    """As the kernel has it, for nobody moves it out; its other end goes with it."""
    bundle.write("true", linux={"netDevices": {"apus0": {}}})
    # The kernel takes namespaces away one after another, those of others' tests as well.
    gone = "i=0; while [ -e /proc/net/dev_snmp6/apus1 ] && [ $i -lt 1500 ]; do i=$((i+1)); sleep 0.02; done; ip link show"
    shown = host(PAIR, after=f"{shlex.join(runtime.command('delete', '--force', container))}; {gone}", verb=("create",)).ok().out
    assert "1: lo" in shown and "apus" not in shown


def test_devices_need_a_network_namespace_of_the_containers_own(runtime, bundle, container):
    bundle.without_namespace("network").write("true", linux={"netDevices": {"lo": {}}})
    runtime("run", "-b", bundle.path, container).fails("linux.netDevices", "needs a network namespace", code=1)
