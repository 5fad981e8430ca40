"""Options of networks and of containers on them: what Docker's bridge driver takes, macvlan, and what is refused in Docker's words."""

# Rows: features
import json
import os
import socket
import subprocess
import time

import leaks
import pytest
from engine_http import api
from processes import back_within, wait_until
from test_networks import address, ask, host, lan, network, serve  # noqa: F401 (fixtures)
from test_ports import fetch, run, switches_of_frames


def start(cli, image, name, *flags, command=("sleep", "600")):
    cli("run", "-d", "--name", name, *flags, image, *command).ok()


def bridge_link(cli, name):
    return "br-" + network(cli, name)[0]["Id"][:12]


def test_G06_options_of_the_bridge_driver(cli, net, image):
    net("plain", "-o", "com.docker.network.bridge.name=mine0", "-o", "com.docker.network.driver.mtu=1400",
        "-o", "com.docker.network.container_iface_prefix=wire", "-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1",
        "-o", "com.docker.network.bridge.enable_ip_masquerade=false", "--attachable", "--ipam-opt", "a=b", "-o", "unknown=kept")
    [plain] = network(cli, "plain")
    assert plain["Attachable"] and plain["IPAM"]["Options"] == {"a": "b"} and plain["Options"]["unknown"] == "kept"
    assert "mine0" in leaks.links() and "mtu 1400" in host("ip", "link", "show", "mine0")
    run(cli, image, "--network", "plain", "-p", "18200:80")
    assert cli("exec", "web", "ls", "/sys/class/net").ok().split() == ["lo", "wire0"]
    assert cli("exec", "web", "cat", "/sys/class/net/wire0/mtu").line() == "1400"
    assert cli("port", "web", "80").line() == "127.0.0.1:18200"
    assert fetch(18200) == "hello" and fetch(18200, plain["IPAM"]["Config"][0]["Gateway"]) is None
    cli("network", "connect", "bridge", "web").ok()
    assert cli("exec", "web", "ls", "/sys/class/net").ok().split() == ["eth0", "lo", "wire0"]


def test_G06_options_of_addresses_are_told_as_they_were_asked_for(cli, net, daemon):
    """As by dockerd: none where the request has none, and `{}` where it has `{}`, as docker's has."""
    net("plain")
    assert network(cli, "plain")[0]["IPAM"]["Options"] == {}
    assert network(cli, "bridge")[0]["IPAM"]["Options"] is None
    api(daemon, "POST", "/networks/create", {"Name": "silent"})
    try:
        assert network(cli, "silent")[0]["IPAM"]["Options"] is None
    finally:
        cli("network", "rm", "silent").ok()


def test_G06_options_of_the_bridge_driver_without_a_value_say_nothing(cli, net):
    """As files of compose leave them."""
    names = ("bridge.name", "bridge.host_binding_ipv4", "container_iface_prefix", "bridge.gateway_mode_ipv4", "host_ipv4", "bridge.trusted_host_interfaces")
    net("plain", *[word for name in names for word in ("-o", f"com.docker.network.{name}=")])
    assert f"br-{network(cli, 'plain')[0]['Id'][:12]}" in leaks.links()


def test_G06_a_bridge_without_an_address_of_its_own(cli, net, image):
    net("bare", "--subnet", "10.81.0.0/24", "-o", "com.docker.network.bridge.inhibit_ipv4=true")
    assert "inet " not in host("ip", "addr", "show", bridge_link(cli, "bare"))
    assert "default via 10.81.0.1" in cli("run", "--rm", "--network", "bare", image, "ip", "route").ok()


def test_G08_containers_that_may_not_talk_reach_each_other_by_published_ports_only(cli, net, image, own_daemon):
    net("apart", "-o", "com.docker.network.bridge.enable_icc=false")
    run(cli, image, "--network", "apart", "-p", "18210:80")
    start(cli, image, "other", "--network", "apart", "--cap-add", "NET_ADMIN")
    web, gateway = address(cli, "web", "apart"), network(cli, "apart")[0]["IPAM"]["Config"][0]["Gateway"]

    def is_apart():
        assert cli("exec", "other", *ask(web)).code != 0
        assert cli("exec", "other", "ping", "-c", "1", "-W", "1", web).code != 0
        # Nor the long way, by the host.
        cli("exec", "other", "ip", "route", "replace", f"{web}/32", "via", gateway).ok()
        assert cli("exec", "other", *ask(web)).code != 0
        cli("exec", "other", "ip", "route", "del", f"{web}/32").ok()
        assert cli("exec", "other", *ask(gateway, 18210, 15)).line() == "hello" and fetch(18210) == "hello"

    is_apart()
    link = bridge_link(cli, "apart")
    back_within(1, lambda: host("ip", "link", "del", link), lambda: link in leaks.links(), "the bridge is back")
    wait_until(lambda: fetch(18210) == "hello", "the port leads there again")
    is_apart()


def test_G06_families_by_options_where_the_request_says_nothing_of_them(cli, net, image):
    if cli.name == "docker-20.10":
        return  # It says of every network whether it has IPv6.
    families = lambda name: (network(cli, name)[0]["EnableIPv6"], len(network(cli, name)[0]["IPAM"]["Config"]))
    net("six", "-o", "com.docker.network.enable_ipv6=true")
    net("said", "--ipv6=false", "-o", "com.docker.network.enable_ipv6=1")
    net("alone", "--ipv6", "-o", "com.docker.network.enable_ipv4=false")
    assert families("six") == (True, 2) and families("said") == (False, 1) and families("alone") == (True, 1)
    assert "inet6 fd" in cli("run", "--rm", "--network", "six", image, "ip", "-6", "addr", "show", "dev", "eth0").ok()
    for option in ("com.docker.network.enable_ipv6", "com.docker.network.enable_ipv4"):
        refused = cli("network", "create", "-o", f"{option}=maybe", "refused")
        assert refused.code == 1 and f'driver-opt "{option}" is not a valid bool' in refused.err, refused


def test_G06_what_a_network_cannot_be_is_refused_in_dockers_words(cli, image):
    before = leaks.links()
    for flags, message in (
        (("-o", "com.docker.network.bridge.enable_icc=maybe"), "failed to parse com.docker.network.bridge.enable_icc value: maybe"),
        (("-o", "com.docker.network.driver.mtu=big"), "failed to parse com.docker.network.driver.mtu value: big"),
        (("-o", "com.docker.network.bridge.host_binding_ipv4=x"), "failed to parse com.docker.network.bridge.host_binding_ipv4 value: x"),
        (("-o", "com.docker.network.bridge.gateway_mode_ipv4=bridged"), "unknown gateway mode bridged"),
        (("-o", "com.docker.network.host_ipv4=fd00::1"), "failed to parse com.docker.network.host_ipv4 value: fd00::1"),
        (("-o", "com.docker.network.bridge.trusted_host_interfaces=a b"), "failed to parse com.docker.network.bridge.trusted_host_interfaces"),
        (("-o", "com.docker.network.bridge.name=far too long a name"), "invalid bridge name"),
        (("-o", "com.docker.network.bridge.name=apust%d"), 'invalid bridge name "apust%d": at most 15 letters, no /, : or % among them'),
        (("--subnet", "10.82.0.0/24", "--subnet", "10.83.0.0/24"), "bridge driver doesn't support multiple subnets"),
        (("--subnet", "10.82.0.0/24", "--aux-address", "a=10.84.0.1"), "no matching subnet for aux-address"),
        (("--subnet", "10.82.0.0/24", "--gateway", "10.84.0.1"), "no matching subnet for gateway"),
        (("--subnet", "10.82.0.0/24", "--ip-range", "10.84.0.0/25"), "no matching subnet for range"),
        (("--ingress",), "this node is not a swarm manager"), (("--scope", "swarm"), "only local networks are served"),
        (("-d", "overlay"), 'plugin "overlay" not found'), (("-d", "ipvlan"), 'plugin "ipvlan" not found'),
        (("-d", "host"), 'only one instance of "host" network is allowed'), (("-d", "macvlan"), "needs the option parent"),
        (("-d", "macvlan", "-o", "parent=nocard"), "there is no network card nocard"),
        (("--ipam-driver", "dhcp"), "could not resolve driver dhcp in registry"),
        (("--subnet", "224.0.0.0/4"), "multicast subnet '224.0.0.0/4' is not allowed"),
        (("--subnet", "239.1.0.0/16"), "multicast subnet '239.1.0.0/16' is not allowed"),
        (("--ipv6", "--subnet", "ff02::/64"), "multicast subnet 'ff02::/64' is not allowed"),
        (("--ipv6", "--subnet", "fe80::/80"), "'fe80::/80' clashes with the Link-Local prefix 'fe80::/64'"),
        (("--subnet", "127.5.0.0/16"), "addresses of 127.0.0.0/8 mean the machine itself"), (("--subnet", "0.0.0.0/8"), "0.0.0.0 is nobody's address"),
        (("--ipv6", "--subnet", "::/64"), ":: is nobody's address, and ::1 means the machine itself"),
    ):
        result = cli("network", "create", *flags, "refused")
        assert result.code == 1 and message in result.err.replace("--", ""), (flags, result)
    assert leaks.links() == before
    names = cli("network", "ls", "--format", "{{.Name}}").ok().split()
    assert "refused" not in names
    for name in ("bridge", "host", "none", "default"):
        taken = cli("network", "create", name)
        assert taken.code == 1 and f"operation is not permitted on predefined {name} network" in taken.err, taken


def test_G06_addresses_that_no_link_can_have_are_refused_before_anything_is_made(cli, net, image):
    for address_of_link, why in (("01:00:5e:00:00:01", "is a group's (multicast)"), ("ff:ff:ff:ff:ff:ff", "is a group's (multicast)"),
                                 ("00:00:00:00:00:00", "is no link's")):
        refused = cli("run", "--name", "grouped", "--mac-address", address_of_link, image, "true")
        assert refused.code == 125 and f"invalid MAC address: {address_of_link} {why}" in refused.err, refused
        assert cli("inspect", "grouped").code == 1
    # Blocks that are unusual, and of use; Docker takes them as well.
    for block, first in (("169.254.7.0/24", "169.254.7.2"), ("255.255.255.252/30", "255.255.255.254"), ("240.7.0.0/16", "240.7.0.2")):
        net("unusual", "--subnet", block)
        start(cli, image, "on-it", "--network", "unusual")
        assert address(cli, "on-it", "unusual") == first
        cli("rm", "-f", "on-it").ok()
        cli("network", "rm", "unusual").ok()


def test_G06_auxiliary_addresses_and_ranges_are_kept_free(cli, net, image):
    net("kept", "--subnet", "10.85.0.0/29", "--gateway", "10.85.0.1", "--aux-address", "router=10.85.0.2", "--aux-address", "printer=10.85.0.4")
    [kept] = network(cli, "kept")
    assert kept["IPAM"]["Config"][0]["AuxiliaryAddresses"] == {"router": "10.85.0.2", "printer": "10.85.0.4"}
    for number, name in ((3, "one"), (5, "two"), (6, "three")):
        start(cli, image, name, "--network", "kept")
        assert address(cli, name, "kept") == f"10.85.0.{number}"
    full = cli("run", "--name", "four", "--network", "kept", image, "true")
    assert full.code == 125 and "no available IPv4 addresses on this network's address pools" in full.err
    # Nothing of the failed one is left: its neighbours' addresses come back one by one.
    cli("rm", "-f", "two", "four").ok()
    start(cli, image, "five", "--network", "kept")
    assert address(cli, "five", "kept") == "10.85.0.5"


def test_G06_filters_of_networks(cli, net, image):
    net("aa", "--label", "k=1"), net("ab", "--label", "k=2", "--label", "other"), net("inner", "--internal")
    listed = lambda *filters: sorted(cli("network", "ls", "--format", "{{.Name}}", *(word for each in filters for word in ("-f", each))).ok().split())
    assert listed("label=k") == ["aa", "ab"] and listed("label=k=2") == ["ab"] and listed("label=k", "label=other") == ["ab"]
    assert listed("name=a", "type=custom") == ["aa", "ab"] and listed("type=builtin") == ["bridge", "host", "none"]
    assert listed("driver=null") == ["none"] and listed("driver=host", "driver=null") == ["host", "none"]
    assert listed("scope=swarm") == [] and set(listed("scope=local")) >= {"aa", "bridge"}
    [ab] = network(cli, "ab")
    assert listed(f"id={ab['Id'][:10]}") == ["ab"]
    # Both are regular expressions.
    assert listed("name=^aa$") == ["aa"] and listed("name=^a$") == [] and listed("name=^a[a-z]$", "label=k=2") == ["ab"]
    assert listed(f"id=^{ab['Id'][:6]}") == ["ab"] and listed(f"id=^{ab['Id'][1:]}") == []
    start(cli, image, "on", "--network", "aa")
    assert listed("dangling=true") == ["ab", "inner"] and "aa" in listed("dangling=false")
    assert "invalid filter 'colour'" in cli("network", "ls", "-f", "colour=blue").err
    assert cli("network", "ls", "-q", "--no-trunc", "-f", "name=ab").line() == ab["Id"]
    cli("network", "prune", "-f", "--filter", "until=2h").ok()
    assert set(listed("type=custom")) == {"aa", "ab", "inner"}
    pruned = cli("network", "prune", "-f", "--filter", "label!=k=2").ok()
    assert "inner" in pruned and listed("type=custom") == ["aa", "ab"]
    cli("network", "prune", "-f", "--filter", "label=k=2").ok()
    assert listed("type=custom") == ["aa"]
    gone = cli("network", "rm", "nosuch", "aa")
    assert gone.code == 1 and "nosuch" in gone.err and "active endpoints" in gone.err


def test_C20_several_networks_and_what_connecting_and_disconnecting_changes(cli, net, image):
    net("left", "--subnet", "10.86.0.0/24"), net("right", "--subnet", "10.87.0.0/24")
    run(cli, image, "--network", "left", "--ip", "10.86.0.9", "-p", "18220:80")
    cli("network", "connect", "--ip", "10.87.0.77", "--alias", "other", "right", "web").ok()
    settings = json.loads(cli.inspect("web", "{{json .NetworkSettings.Networks}}"))
    assert settings["right"]["IPAddress"] == "10.87.0.77" and "other" in settings["right"]["Aliases"]
    assert settings["left"]["IPAMConfig"]["IPv4Address"] == "10.86.0.9" and settings["right"]["MacAddress"].startswith("02:42:")
    again = cli("network", "connect", "right", "web")
    assert again.code == 1 and "endpoint with name web already exists in network right" in again.err
    # The port leads there by whichever network is left.
    assert fetch(18220) == "hello"
    cli("network", "disconnect", "left", "web").ok()
    assert fetch(18220) == "hello" and cli("exec", "web", "ip", "route").ok().startswith("default via 10.87.0.1 ")
    cli("network", "disconnect", "right", "web").ok()
    assert fetch(18220) is None and cli("exec", "web", "ls", "/sys/class/net").line() == "lo"
    cli("network", "connect", "left", "web").ok()
    wait_until(lambda: fetch(18220) == "hello", "the port leads there again")
    # What was joined is joined again after a restart, a rename and a stop.
    cli("network", "connect", "right", "web").ok()
    cli("rename", "web", "renamed").ok()
    cli("restart", "-t", "0", "renamed").ok()
    assert sorted(json.loads(cli.inspect("renamed", "{{json .NetworkSettings.Networks}}"))) == ["left", "right"]
    assert [member["Name"] for member in network(cli, "right")[0]["Containers"].values()] == ["renamed"]
    cli("stop", "-t", "0", "renamed").ok()
    cli("network", "disconnect", "left", "renamed").ok()
    cli("start", "renamed").ok()
    assert list(json.loads(cli.inspect("renamed", "{{json .NetworkSettings.Networks}}"))) == ["right"]
    wait_until(lambda: fetch(18220) == "hello", "the port leads there after all that")
    taken = cli("network", "connect", "--ip", "10.86.0.300", "left", "renamed")
    assert taken.code == 1 and "10.86.0.300" in taken.err


def test_C20_several_networks_at_once(cli, net, image):
    if cli.name == "docker-20.10":
        return  # It has one --network alone.
    net("front", "--subnet", "10.88.0.0/24"), net("back", "--subnet", "10.89.0.0/24")
    start(cli, image, "both", "--network", "name=front,ip=10.88.0.40", "--network", "name=back,mac-address=02:42:0a:00:00:07,gw-priority=10")
    settings = json.loads(cli.inspect("both", "{{json .NetworkSettings.Networks}}"))
    assert settings["front"]["IPAddress"] == "10.88.0.40" and settings["back"]["MacAddress"] == "02:42:0a:00:00:07"
    assert "default via 10.89.0.1" in cli("exec", "both", "ip", "route").ok()
    wrong = cli("run", "--rm", "--network", "front", "--network", "nosuch", image, "true")
    assert wrong.code == 125 and "network nosuch not found" in wrong.err


def test_C20_the_network_of_another_container(cli, image):
    run(cli, image, "-p", "18230:80")
    assert cli("run", "--rm", "--network", "container:web", image, *ask("127.0.0.1", seconds=15)).line() == "hello"
    mine, theirs = (cli("run", "--rm", "--network", "container:web", image, "ip", "-o", "addr", "show", "eth0").ok(),
                    cli("exec", "web", "ip", "-o", "addr", "show", "eth0").ok())
    assert mine == theirs
    start(cli, image, "joined", "--network", "container:web")
    for action in (("connect", "bridge", "joined"), ("disconnect", "bridge", "joined")):
        refused = cli("network", *action)
        assert refused.code == 1 and "sharing network namespace with another container" in refused.err
    published = cli("run", "--rm", "--network", "container:web", "-p", "80", image, "true")
    assert published.code == 125 and "conflicting options: port publishing and the container type network mode" in published.err
    assert cli("run", "--rm", "--network", "container:nosuch", image, "true").code == 125


def test_C20_link_local_addresses_and_options_of_an_endpoint(own_daemon, apus, net_of, image):
    net_of("ends")
    start(apus, image, "one")
    config = {"IPAMConfig": {"LinkLocalIPs": ["169.254.34.68"]},
              "DriverOpts": {"com.docker.network.endpoint.ifname": "up0", "key": "kept",
                             "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1"}}
    api(own_daemon, "POST", "/networks/ends/connect", {"Container": "one", "EndpointConfig": config}, 200)
    shown = apus("exec", "one", "sh", "-c", "ip -o -4 addr show up0; cat /proc/sys/net/ipv4/conf/up0/log_martians").ok()
    assert "169.254.34.68/16" in shown and shown.endswith("1\n")
    settings = json.loads(apus.inspect("one", "{{json .NetworkSettings.Networks.ends}}"))
    assert settings["IPAMConfig"]["LinkLocalIPs"] == ["169.254.34.68"] and settings["DriverOpts"]["key"] == "kept"
    # Its neighbours reach it there.
    start(apus, image, "two", "--network", "ends")
    apus("exec", "one", "sh", "-c", "echo here > /tmp/x")
    assert apus("run", "--rm", "--network", "ends", "--cap-add", "NET_ADMIN", image, "sh", "-c",
                "ip route add 169.254.0.0/16 dev eth0; ping -c 1 -W 15 169.254.34.68").code == 0
    for bad in ({"IPAMConfig": {"LinkLocalIPs": ["10.0.0.1"]}}, {"DriverOpts": {"com.docker.network.endpoint.ifname": "a/b"}},
                {"DriverOpts": {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.all.forwarding=1"}},
                {"DriverOpts": {"com.docker.network.endpoint.sysctls": "kernel.x.conf.IFNAME.y=1"}}):
        apus("network", "disconnect", "ends", "one")
        status, answer = api(own_daemon, "POST", "/networks/ends/connect", {"Container": "one", "EndpointConfig": bad})
        assert status == 400, answer


def test_C20_the_command_line_gives_settings_of_an_endpoint(cli, net, image):
    if cli.name == "docker-20.10":
        return  # It has no options of endpoints.
    net("ends")
    option = "driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    assert cli("run", "--rm", "--network", f"name=ends,{option}", image, "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians").line() == "1"


def test_C20_who_switches_ipv6_off_has_no_such_address(cli, net, image):
    """As with Docker: on a network with IPv6 a container that switches it off is given IPv4 alone, and starts."""
    net("both", "--ipv6", "--subnet", "10.83.0.0/24", "--subnet", "fd83::/64")
    sixth = lambda name: cli.inspect(name, "{{.NetworkSettings.Networks.both.GlobalIPv6Address}}")
    everywhere = ("--sysctl", "net.ipv6.conf.all.disable_ipv6=1")
    link = ("--sysctl", "net.ipv6.conf.eth0.disable_ipv6=1")
    option = ("name=both,driver-opt=com.docker.network.endpoint.sysctls=net.ipv6.conf.IFNAME.disable_ipv6=1",)
    forms = [("both", everywhere), ("both", link)] + ([] if cli.name == "docker-20.10" else [(option[0], ())])
    for number, (on, flags) in enumerate(forms):
        name = f"four{number}"
        run(cli, image, "--network", on, *flags, "-p", f"1848{number + 2}:80", name=name)
        assert sixth(name) == "" and address(cli, name, "both"), flags
        assert cli("exec", name, "sh", "-c", "ip -6 -o addr show dev eth0; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6").ok() == "1\n"
        assert fetch(18482 + number) == "hello" and fetch(18482 + number, "::1", socket.AF_INET6) == "hello"
        assert [line for line in cli("exec", name, "cat", "/etc/hosts").ok().split("\n") if line.startswith("fd83:")] == []
    # Also where it comes to that network later.
    start(cli, image, "late", *everywhere)
    cli("network", "connect", "both", "late").ok()
    assert sixth("late") == "" and address(cli, "late", "both")
    # Zero is no such wish, and a network without IPv6 gives none all the same.
    start(cli, image, "six", "--network", "both", "--sysctl", "net.ipv6.conf.eth0.disable_ipv6=0")
    assert sixth("six").startswith("fd83::")
    start(cli, image, "own", "--sysctl", "net.ipv6.conf.eth0.disable_ipv6=0")
    assert cli("exec", "own", "cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6").line() == "0"


@pytest.fixture
def net_of(apus):
    made = []

    def make(name, *flags):
        apus("network", "create", *flags, name).ok()
        made.append(name)

    yield make
    if names := apus("ps", "-aq").ok().split():
        apus("rm", "-f", *names)
    for name in made:
        apus("network", "rm", name)


def test_a_macvlan_shares_a_card_with_the_host(cli, net, image, lan):
    """`uplink` is the card; the host at its other end sees the container as one of its own network."""
    net("cable", "-d", "macvlan", "--subnet", "198.51.100.0/24", "--ip-range", "198.51.100.128/28", "--gateway", "198.51.100.2",
        "-o", "parent=uplink")
    run(cli, image, "--network", "cable")
    assert address(cli, "web", "cable") == "198.51.100.128"
    assert "default via 198.51.100.2" in cli("exec", "web", "ip", "route").ok()
    assert lan("busybox", "nc", "-w", "15", "198.51.100.128", "80", stdin=subprocess.DEVNULL).stdout.strip() == "hello"
    assert cli("exec", "web", "ping", "-c", "1", "-W", "15", "198.51.100.2").code == 0
    start(cli, image, "second", "--network", "cable", "--ip", "198.51.100.200")
    assert cli("exec", "second", *ask("198.51.100.128", seconds=15)).line() == "hello"
    # Past the host's own address, as the kernel has it.
    assert cli("exec", "web", "ping", "-c", "1", "-W", "1", "198.51.100.1").code != 0
    twice = cli("network", "create", "-d", "macvlan", "-o", "parent=uplink", "again")
    assert twice.code == 1 and "network cable is already using parent interface uplink" in twice.err
    cli("rm", "-f", "web", "second").ok()
    bad = cli("network", "create", "-d", "macvlan", "-o", "parent=lo", "-o", "macvlan_mode=sideways", "bad")
    assert bad.code == 1 and "requested macvlan mode 'sideways' is not valid" in bad.err


def test_C20_a_macvlan_is_free_for_the_next_run_and_for_nobody_else_when_its_container_ends(apus, net_of, image, lan):
    net_of("cable", "-d", "macvlan", "--subnet", "198.51.100.0/24", "--ip-range", "198.51.100.128/28", "-o", "parent=uplink")
    start(apus, image, "web", "--network", "cable")
    start(apus, image, "joined", "--network", "container:web")
    apus("stop", "-t", "0", "web").ok()
    assert apus("exec", "joined", "ls", "/sys/class/net").line() == "lo"
    # With the same link address each time, which a card has once.
    for _ in range(10):
        apus("start", "web").ok()
        assert address(apus, "web", "cable") == "198.51.100.128"
        apus("kill", "web").ok()
        apus("wait", "web").ok()


def test_a_macvlan_of_several_blocks(cli, net, image, lan):
    net("wide", "-d", "macvlan", "-o", "parent=uplink", "--subnet", "10.91.0.0/30", "--subnet", "10.92.0.0/24", "--gateway", "10.92.0.254")
    start(cli, image, "one", "--network", "wide")
    start(cli, image, "two", "--network", "wide")
    start(cli, image, "three", "--network", "wide", "--ip", "10.92.0.50")
    found = {name: address(cli, name, "wide") for name in ("one", "two", "three")}
    # docker sends the blocks in any order.
    assert found["three"] == "10.92.0.50" and {found["one"], found["two"]} in ({"10.91.0.2", "10.92.0.1"}, {"10.92.0.1", "10.92.0.2"})
    if cli.name == "apus":
        assert found["one"] == "10.91.0.2"
    for name, found_address in found.items():
        gateway = "10.91.0.1" if found_address.startswith("10.91.") else "10.92.0.254"
        assert f"default via {gateway}" in cli("exec", name, "ip", "route").ok()


def test_C09_both_families_and_sctp(cli, net, image, lan, own_daemon):
    """This kernel has no SCTP of its own: what is shown is that the port is led on by the firewall."""
    host("ip", "addr", "add", "2001:db8::1/64", "dev", "uplink", "nodad")
    lan("ip", "addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
    net("six", "--ipv6")
    run(cli, image, "--network", "six", "-p", "18240:80", "-p", "18241:90/sctp", "-p", "[2001:db8::1]:18242:80")
    ports = json.loads(cli.inspect("web", "{{json .NetworkSettings.Ports}}"))
    assert {"HostIp": "0.0.0.0", "HostPort": "18240"} in ports["80/tcp"] and {"HostIp": "::", "HostPort": "18240"} in ports["80/tcp"]
    assert {"HostIp": "0.0.0.0", "HostPort": "18241"} in ports["90/sctp"]
    assert "sctp . 18241" in host("nft", "list", "map", "inet", own_daemon.instance, "anyPortsV4")
    reach = lambda *to, seconds=3: lan("busybox", "nc", "-w", str(seconds), *map(str, to), stdin=subprocess.DEVNULL).stdout.strip()
    assert reach("198.51.100.1", 18240, seconds=15) == "hello"
    wait_until(lambda: reach("2001:db8::1", 18240) == "hello", "IPv6 leads there")
    assert reach("2001:db8::1", 18242, seconds=15) == "hello" and reach("198.51.100.1", 18242) == ""
    assert fetch(18240, "2001:db8::1", socket.AF_INET6) == "hello"
    # The container's own IPv6 address is nobody's way in.
    inside = cli.inspect("web", '{{(index .NetworkSettings.Networks "six").GlobalIPv6Address}}')
    lan("ip", "route", "add", "fd00::/8", "via", "2001:db8::1")
    assert reach(inside, 80) == ""


def test_C09_the_source_address_is_kept(cli, image, lan):
    start(cli, image, "web", "-p", "18250:80", command=("sh", "-c", "nc -ll -p 80 -e sh -c 'cat /proc/net/tcp6 /proc/net/tcp | grep -i :0050'"))
    wait_until(lambda: cli("exec", "web", "sh", "-c", "grep -q :0050 /proc/net/tcp6 /proc/net/tcp").code == 0, "it listens")
    said = lan("busybox", "nc", "-w", "15", "198.51.100.1", "18250", stdin=subprocess.DEVNULL).stdout
    assert "026433C6" in said, said  # 198.51.100.2


def test_C12_ports_are_free_again_and_a_range_finds_the_next_one(cli, image):
    run(cli, image, "-p", "18260-18262:80", name="one")
    run(cli, image, "-p", "18260-18262:80", name="two")
    first = lambda name: cli("port", name, "80").ok().split("\n")[0]
    assert [first(name) for name in ("one", "two")] == ["0.0.0.0:18260", "0.0.0.0:18261"]
    start(cli, image, "three", "-p", "18260-18262:80")
    full = cli("run", "--rm", "-p", "18260-18262:80", image, "true")
    assert full.code == 125 and "port is already allocated" in full.err
    cli("rm", "-f", "two").ok()
    start(cli, image, "four", "-p", "18260-18262:80")
    assert first("four") == "0.0.0.0:18261"
    # One address beside another, and not beside all of them.
    assert cli("run", "--rm", "-p", "127.0.0.1:18260:80", image, "true").code == 125
    cli("rename", "one", "uno").ok()
    assert first("uno") == "0.0.0.0:18260" and fetch(18260) == "hello"
    cli("restart", "-t", "0", "uno").ok()
    wait_until(lambda: fetch(18260) == "hello", "the same port leads there")
    for bad, message in (("99999:80", "99999"), ("1.2.3:80:80", "1.2.3"), ("80:80/xyz", "xyz"), ("10-12:20-21", "range")):
        result = cli("run", "--rm", "-p", bad, image, "true")
        assert result.code == 125 and message in result.err.lower(), (bad, result)


def test_T05_a_cable_that_was_taken_away_is_plugged_in_again(cli, net, image, own_daemon):
    net("mine")
    run(cli, image, "-p", "18270:80", "--network", "mine")
    cable = next(link for link in leaks.links() if link.startswith("veth"))
    before = cli("exec", "web", "ip", "-o", "addr", "show", "eth0").ok().split("inet ")[1].split()[0]
    back_within(1, lambda: host("ip", "link", "del", cable), lambda: cable in leaks.links(), "the cable is back")
    wait_until(lambda: fetch(18270) == "hello", "the port leads there again")
    assert cli("exec", "web", "ip", "-o", "addr", "show", "eth0").ok().split("inet ")[1].split()[0] == before
    cli("network", "disconnect", "mine", "web").ok()
    assert cable not in leaks.links()


@pytest.mark.parametrize("talks", ["true", "false"])
def test_T05_a_bridge_and_a_cable_that_somebody_changed_are_as_they_were(apus, net_of, image, own_daemon, talks):
    net_of("changed", "--ipv6", "-o", f"com.docker.network.bridge.enable_icc={talks}")
    net_of("other")
    run(apus, image, "-p", "18275:80", "--network", "changed")
    start(apus, image, "peer", "--network", "changed")
    link, elsewhere = bridge_link(apus, "changed"), bridge_link(apus, "other")
    gateways = {each["Gateway"] for each in network(apus, "changed")[0]["IPAM"]["Config"]}
    web = address(apus, "web", "changed")
    cables = sorted(each["ifname"] for each in json.loads(host("ip", "-j", "link", "show", "master", link)))
    assert len(cables) == 2 and len(gateways) == 2

    def is_as_it_was():
        shown = json.loads(host("ip", "-j", "-d", "addr", "show", link))[0]
        ports = json.loads(host("ip", "-j", "-d", "link", "show", "master", link))
        apart = talks == "false" and not os.path.exists("/proc/sys/net/bridge")
        return ("UP" in shown["flags"] and gateways <= {each["local"] for each in shown["addr_info"]}
                and sorted(each["ifname"] for each in ports) == cables and all("UP" in each["flags"] for each in ports)
                and all(each["linkinfo"]["info_slave_data"]["hairpin"] for each in ports)
                and all(each["linkinfo"]["info_slave_data"]["isolated"] == apart for each in ports))

    assert is_as_it_was()
    for words in (["link", "set", link, "down"], ["addr", "flush", "dev", link], ["-6", "addr", "flush", "dev", link],
                  ["link", "set", cables[0], "nomaster"], ["link", "set", cables[1], "down"], ["link", "set", cables[0], "master", elsewhere]):
        back_within(1, lambda words=words: host("ip", *words), is_as_it_was, f"all is as it was after {words}")
        wait_until(lambda: fetch(18275) == "hello", f"the port leads there after {words}")
        assert (apus("exec", "peer", *ask(web, seconds=15 if talks == "true" else 2)).code == 0) == (talks == "true"), words
    assert f"the bridge {link} was switched off" in own_daemon.log() and f"put back on the bridge {link}" in own_daemon.log()


def test_T05_forwarding_that_was_switched_off_is_on_again_and_told_of(cli, image, own_daemon):
    run(cli, image, "-p", "18280:80")
    back_within(1, lambda: host("sysctl", "-qw", "net.ipv4.ip_forward=0"), lambda: host("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1",
                "it is on again")
    wait_until(lambda: "net.ipv4.ip_forward was switched off by somebody else" in own_daemon.log(), "it is told of")
    assert fetch(18280) == "hello"


def test_T05_who_may_not_talk_does_not_whatever_becomes_of_the_rules_for_frames(apus, net_of, image):
    """Settings of br_netfilter, which somebody else's container stack switches on."""
    switches = switches_of_frames()
    switch = lambda to: host("sysctl", "-qw", *[f"{name}={to}" for name in switches])
    before = host("sysctl", "-n", *switches).split()
    try:
        for began, port in (("0", 18300), ("1", 18301)):
            switch(began)
            name = f"apart{began}"
            net_of(name, "-o", "com.docker.network.bridge.enable_icc=false")
            run(apus, image, "--network", name, "-p", f"{port}:80", name=f"web-{name}")
            start(apus, image, f"peer-{name}", "--network", name)
            web, gateway = address(apus, f"web-{name}", name), network(apus, name)[0]["IPAM"]["Config"][0]["Gateway"]
            for now in ("1", "0"):
                switch(now)
                assert fetch(port) == "hello", (began, now)
                for asker in (f"web-{name}", f"peer-{name}"):
                    assert apus("exec", asker, *ask(gateway, port, 15)).line() == "hello", (asker, now)
                assert apus("exec", f"peer-{name}", *ask(web)).code != 0, (began, now)
    finally:
        for name, value in zip(switches, before):
            host("sysctl", "-qw", f"{name}={value}")


def test_T05_a_namespace_that_was_unlinked_costs_no_more_than_its_container(cli, net, image, own_daemon):
    net("mine")
    run(cli, image, "--network", "mine", "-p", "18290:80")
    pin = cli.inspect("web", "{{.NetworkSettings.SandboxKey}}")
    subprocess.run(["umount", "-l", pin], check=True)
    assert fetch(18290) == "hello"
    cli("rm", "-f", "web").ok()
    run(cli, image, "--network", "mine", "-p", "18290:80")
    assert fetch(18290) == "hello"


def test_S02_a_bridge_that_is_full_says_so_at_once(apus, net_of, image, tmp_path):
    net_of("full", "--subnet", "10.96.0.0/16")
    link = bridge_link(apus, "full")
    batch = tmp_path / "batch"
    # A group of links goes at once, and not one after another with a wait each; eight of them, for meanwhile no other link of the machine can change.
    groups = range(1024, 1032)
    batch.write_text("".join(f"link add name p{number} master {link} group {groups[number // 128]} type veth peer name q{number}\n" for number in range(1023)))
    host("ip", "-batch", str(batch))
    try:
        before = time.monotonic()
        result = apus("run", "--name", "late", "--network", "full", image, "true")
        assert result.code == 125 and "a bridge of Linux has at most 1023 ports" in result.err, result
        assert time.monotonic() - before < 10 and apus.inspect("late", "{{.State.Status}}") == "created"
    finally:
        for group in groups:
            host("ip", "link", "del", "group", str(group))
    apus("start", "-a", "late").ok()


def test_G06_a_network_is_made_from_another_ones_configuration(cli, net, image):
    def refused(words, *flags):
        said = cli("network", "create", *flags, "made")
        assert said.code == 1 and words in said.err, said

    net("plan", "--config-only", "--subnet", "10.98.0.0/24", "--ip-range", "10.98.0.128/25", "--label", "of=plan",
        "-o", "com.docker.network.bridge.name=planned0")
    [plan] = network(cli, "plan")
    assert (plan["ConfigOnly"], plan["Driver"], plan["Scope"]) == (True, "null", "local") and "planned0" not in leaks.links()
    assert plan["IPAM"]["Config"] == [{"Subnet": "10.98.0.0/24", "IPRange": "10.98.0.128/25"}]
    on_it = cli("run", "--rm", "--network", "plan", image, "true")
    assert on_it.code == 125 and "cannot create endpoint on configuration-only network" in on_it.err, on_it
    start(cli, image, "elsewhere")
    connected = cli("network", "connect", "plan", "elsewhere")
    assert connected.code == 1 and "cannot create endpoint on configuration-only network" in connected.err, connected
    cli("rm", "-f", "elsewhere").ok()
    refused("cannot depend on another configuration network", "--config-only", "--config-from", "plan")
    refused("configuration network can only contain network specific fields", "--config-only", "--internal")
    refused('configuration network "nosuch" does not exist', "--config-from", "nosuch")
    refused('configuration network "bridge" does not exist', "--config-from", "bridge")
    refused("user specified configurations are not supported", "--config-from", "plan", "--subnet", "10.99.0.0/24")
    refused("network driver specific options are not supported", "--config-from", "plan", "-o", "a=b")
    cli("rm", *cli("ps", "-aq").ok().split())
    # Blocks of a configuration are nobody's until a network is made from it.
    net("real", "--config-from", "plan")
    [real] = network(cli, "real")
    assert real["ConfigFrom"] == {"Network": "plan"} and not real["ConfigOnly"] and real["Labels"] == {"of": "plan"}
    assert real["IPAM"]["Config"][0]["Subnet"] == "10.98.0.0/24" and "planned0" in leaks.links()
    start(cli, image, "box", "--network", "real", "--ip", "10.98.0.200")
    assert address(cli, "box", "real") == "10.98.0.200"
    used = cli("network", "rm", "plan")
    assert used.code == 1 and 'configuration network "plan" is in use' in used.err, used
    cli("rm", "-f", "box").ok()
    assert cli("network", "prune", "-f").ok().split()[-1] == "real"
    assert [each["Name"] for each in network(cli, "plan")] == ["plan"]


def test_C12_ports_of_a_container_on_internal_networks_alone_are_not_published_whatever_their_address(cli, net, image):
    net("closed", "--internal")
    for number, port in enumerate(("18285:80", "127.0.0.1:18285:80", "[::1]:18285:80", "0.0.0.0:18285-18287:80")):
        run(cli, image, "--network", "closed", "-p", port, name=f"closed{number}")
        assert cli("port", f"closed{number}").ok() == "" and fetch(18285) is None


def test_C20_host_gateway_needs_a_default_network(brittle):
    client = brittle.client
    assert brittle.stop() == 0
    brittle.start("--bridge", "none")
    result = client("run", "--name", "up", "--add-host", "up:host-gateway", brittle.image, "true")
    assert result.code == 125 and "unable to derive the IP value for host-gateway" in result.err, result
    assert client.inspect("up", "{{.State.Status}}") == "created"
    client("run", "--rm", "--add-host", "up:192.0.2.1", brittle.image, "true").ok()
