"""How a bridge network's containers are reached from elsewhere, and leave: its gateway modes, and what goes with them."""

# Rows: features
import json
import re
import socket
import subprocess

import pytest
from processes import wait_until
from test_network_options import bridge_link, net_of, start  # noqa: F401 (fixture)
from test_networks import address, ask, host, lan, network  # noqa: F401 (fixture)
from test_ports import fetch, run

BRIDGE = "com.docker.network.bridge"


TELL_WHO_ASKS = """
import socket
server = socket.create_server(("", 80))
while True:
    connection, asker = server.accept()
    with connection:
        connection.sendall(asker[0].encode())
"""


@pytest.fixture
def reach(lan):
    """What answers on a port, to a host on the card's network."""
    def ask_from_there(*to, seconds=10):
        return lan("busybox", "nc", "-w", str(seconds), *map(str, to), stdin=subprocess.DEVNULL).stdout.strip()

    ask_from_there.lan = lan
    ask_from_there.nobody = lambda *to: ask_from_there(*to, seconds=2) == ""
    return ask_from_there


def serve_also(client, name, port):
    client("exec", "-d", name, "nc", "-ll", "-p", str(port), "-e", "echo", "unpublished").ok()
    wait_until(lambda: client("exec", name, *ask("127.0.0.1", port)).out.strip() == "unpublished", "it listens")


def test_G06_routed_containers_are_reached_at_the_published_ports_of_their_own_addresses(brittle, reach):
    client, image = brittle.client, brittle.image
    client("network", "create", "--subnet", "10.97.0.0/24", "-o", f"{BRIDGE}.gateway_mode_ipv4=routed", "routed").ok()
    client("network", "create", "other").ok()
    run(client, image, "--network", "routed", "-p", "18300:80")
    serve_also(client, "web", 81)
    start(client, image, "stranger", "--network", "other")
    web = address(client, "web", "routed")
    # It leaves under its own address: without a way back to that nobody answers.
    assert client("exec", "web", "ping", "-c", "1", "-W", "1", "198.51.100.2").code != 0
    reach.lan("ip", "route", "add", "10.97.0.0/24", "via", "198.51.100.1")

    def is_routed():
        assert reach(web, 80) == "hello" and reach.nobody(web, 81)
        assert reach.lan("busybox", "ping", "-c", "1", "-W", "10", web).returncode == 0
        assert client("exec", "web", "ping", "-c", "1", "-W", "10", "198.51.100.2").code == 0
        assert client("exec", "stranger", *ask(web, seconds=10)).line() == "hello" and client("exec", "stranger", *ask(web, 81)).code != 0
        # No port of the host is taken.
        assert fetch(18300) is None and reach.nobody("198.51.100.1", 18300)

    is_routed()
    with socket.create_server(("0.0.0.0", 18300)):
        pass
    assert json.loads(client.inspect("web", "{{json .NetworkSettings.Ports}}")) == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]}
    assert client("ps", "--format", "{{.Ports}}", "-f", "name=web").line() == "80/tcp"
    brittle.kill()
    brittle.start()
    is_routed()
    opened = lambda: web in host("nft", "list", "set", "inet", brittle.instance, "openPortsV4")
    assert opened()
    client("network", "disconnect", "routed", "web").ok()
    assert not opened()
    client("network", "connect", "--ip", web, "routed", "web").ok()
    assert opened() and reach(web, 80) == "hello"


def test_G06_one_family_is_routed_and_the_other_translated(apus, net_of, image, reach):
    host("ip", "addr", "add", "2001:db8::1/64", "dev", "uplink", "nodad")
    reach.lan("ip", "addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
    net_of("six", "--ipv6", "--subnet", "2001:db8:1::/64", "-o", f"{BRIDGE}.gateway_mode_ipv6=routed")
    reach.lan("ip", "route", "add", "2001:db8:1::/64", "via", "2001:db8::1")
    run(apus, image, "--network", "six", "-p", "18310:80")
    serve_also(apus, "web", 81)
    assert json.loads(apus.inspect("web", "{{json .NetworkSettings.Ports}}"))["80/tcp"] == [
        {"HostIp": "0.0.0.0", "HostPort": "18310"}, {"HostIp": "::", "HostPort": ""}]
    inside = apus.inspect("web", '{{(index .NetworkSettings.Networks "six").GlobalIPv6Address}}')
    wait_until(lambda: reach(inside, 80) == "hello", "IPv6 leads there")
    assert reach.nobody(inside, 81) and reach.nobody("2001:db8::1", 18310)
    assert reach("198.51.100.1", 18310) == "hello" and fetch(18310) == "hello"


def test_G06_unprotected_containers_are_reached_at_every_port_but_not_by_other_networks(apus, net_of, image, reach):
    net_of("bare", "--subnet", "10.98.0.0/24", "-o", f"{BRIDGE}.gateway_mode_ipv4=nat-unprotected")
    net_of("other")
    run(apus, image, "--network", "bare", "-p", "18320:80")
    serve_also(apus, "web", 81)
    start(apus, image, "stranger", "--network", "other")
    # Its packets carry the host's address: there is no way back to its own yet.
    assert apus("exec", "web", "ping", "-c", "1", "-W", "10", "198.51.100.2").code == 0
    reach.lan("ip", "route", "add", "10.98.0.0/24", "via", "198.51.100.1")
    web = address(apus, "web", "bare")
    assert (reach(web, 80), reach(web, 81), reach("198.51.100.1", 18320)) == ("hello", "unpublished", "hello")
    assert apus("exec", "stranger", *ask(web, 81)).code != 0


def test_G06_isolated_is_an_internal_network_without_the_host(apus, net_of, image):
    refused = apus("network", "create", "-o", f"{BRIDGE}.gateway_mode_ipv4=isolated", "refused")
    assert refused.code == 1 and "gateway mode 'isolated' can only be used for an internal network" in refused.err, refused
    net_of("alone", "--internal", "--subnet", "10.99.0.0/24", "-o", f"{BRIDGE}.gateway_mode_ipv4=isolated")
    assert network(apus, "alone")[0]["IPAM"]["Config"] == [{"Subnet": "10.99.0.0/24"}]
    assert "inet " not in host("ip", "addr", "show", bridge_link(apus, "alone"))
    run(apus, image, "--network", "alone")
    assert address(apus, "web", "alone") == "10.99.0.1"
    assert apus("run", "--rm", "--network", "alone", image, *ask("10.99.0.1", seconds=10)).line() == "hello"


def test_G06_trusted_links_lead_to_published_ports_and_a_certain_address_is_left_by(apus, net_of, image, reach):
    host("ip", "addr", "add", "198.51.100.7/24", "dev", "uplink")
    net_of("near", "--subnet", "10.100.0.0/24", "-o", f"{BRIDGE}.trusted_host_interfaces=uplink:nosuch0", "-o", "com.docker.network.host_ipv4=198.51.100.7")
    net_of("far", "--subnet", "10.101.0.0/24")
    reach.lan("ip", "route", "add", "10.100.0.0/23", "via", "198.51.100.1")
    for name, port in (("near", 18330), ("far", 18331)):
        run(apus, image, "--network", name, "-p", f"127.0.0.1:{port}:80", name=f"web-{name}")
    serve_also(apus, "web-near", 81)
    near = address(apus, "web-near", "near")
    assert reach(near, 80) == "hello" and reach.nobody(near, 81) and reach.nobody("198.51.100.1", 18330)
    assert reach.nobody(address(apus, "web-far", "far"), 80) and fetch(18330) == fetch(18331) == "hello"
    # Whom it asks sees that address.
    mirror = subprocess.Popen(["ip", "netns", "exec", "lan", "/usr/bin/python3", "-c", TELL_WHO_ASKS])
    try:
        for name, source in (("near", "198.51.100.7"), ("far", "198.51.100.1")):
            wait_until(
                lambda: apus("exec", f"web-{name}", *ask("198.51.100.2", seconds=10)).out.strip() == source, f"{name} leaves by {source}")
    finally:
        mirror.kill()
        mirror.wait()


def test_G06_several_ports_of_the_host_that_open_one_are_closed_without_the_tables_made_anew(apus, net_of, image, own_daemon):
    net_of("routed", "--subnet", "10.102.0.0/24", "-o", f"{BRIDGE}.gateway_mode_ipv4=routed")
    run(apus, image, "--network", "routed", "-p", "18340:80", "-p", "18350-18360:80-90")
    made = lambda: re.search(r"# handle (\d+)", host("nft", "-a", "list", "table", "inet", own_daemon.instance))[1]
    opened = lambda: host("nft", "list", "set", "inet", own_daemon.instance, "openPortsV4").count("tcp . 10.102.0.")
    before = made()
    assert opened() == 11
    apus("rm", "-f", "web").ok()
    assert opened() == 0 and made() == before
