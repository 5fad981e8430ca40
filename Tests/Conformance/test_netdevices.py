"""Network devices that move into the container. - Spec: config-linux.md, "Network Devices"."""

import os
import re
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


def test_devices_need_a_network_namespace_of_the_containers_own(runtime, bundle, container):
    bundle.without_namespace("network").write("true", linux={"netDevices": {"lo": {}}})
    runtime("run", "-b", bundle.path, container).fails("linux.netDevices", "needs a network namespace", code=1)
