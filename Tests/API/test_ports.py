"""Ports of the host that lead into containers: from where they are reached, and from where not."""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

import leaks
import pytest
from conftest import BUILD
from engine_http import api
from processes import back_within, read_line, wait_until
from test_host_shutdown import forget_what_lay_in_memory
from test_networks import address, ask, host, lan, network, serve, wait_until_heard  # noqa: F401 (fixtures)


def fetch(port, server="127.0.0.1", family=socket.AF_INET):
    """What is answered on a port; None where nobody is reached."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(3)
            connection.connect((server, port))
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(100).decode().strip()
    except OSError:
        return None


ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
while True:
    server.sendto(*server.recvfrom(100))
"""


def servers(daemon):
    """Processes that serve names for a daemon."""
    return [process for process in leaks.processes(f"{daemon.run}/names") if "serve" in command_line(process)]


def command_line(process):
    """Its words; none where it has ended meanwhile."""
    try:
        with open(f"/proc/{process}/cmdline", encoding="utf-8") as file:
            return file.read().rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def switches_of_frames():
    """Settings of module br_netfilter: whether the rules for packets see what bridges pass on."""
    if not os.path.isdir("/proc/sys/net/bridge"):
        pytest.skip("module br_netfilter is not loaded")
    return [f"net.bridge.bridge-nf-call-{kind}" for kind in ("iptables", "ip6tables")]


def run(cli, image, *flags, answer="hello", name="web"):
    cli("run", "-d", "--name", name, *flags, image, *serve(answer)).ok()
    wait_until(lambda: cli("exec", name, "sh", "-c", "grep -q :0050 /proc/net/tcp6 /proc/net/tcp").code == 0, "it listens")


def test_feature_C09_G04_a_published_port_is_reached_from_the_host_and_an_unpublished_one_is_not(cli, image):
    run(cli, image, "-p", "18000:80")
    run(cli, image, name="closed")
    assert fetch(18000) == "hello" and fetch(18000, "127.0.0.2") == "hello"
    [bridge] = network(cli, "bridge")
    assert fetch(18000, bridge["IPAM"]["Config"][0]["Gateway"]) == "hello"
    assert fetch(80) is None and fetch(18001) is None
    cli("stop", "-t", "0", "web").ok()
    assert fetch(18000) is None
    cli("start", "web").ok()
    wait_until(lambda: fetch(18000) == "hello", "the port leads there again")
    cli("rm", "-f", "web").ok()
    assert fetch(18000) is None


def test_feature_C09_published_on_one_address_ranges_and_udp(cli, image):
    run(cli, image, "-p", "127.0.0.1:18010:80", "-p", "18020-18022:80-82", "-p", "18030:53/udp", "-p", "18040-18050:90")
    assert fetch(18010) == "hello" and fetch(18010, "127.0.0.2") is None and fetch(18020) == "hello"
    shown = json.loads(cli.inspect("web", "{{json .NetworkSettings.Ports}}"))
    assert shown["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "18010"}, {"HostIp": "0.0.0.0", "HostPort": "18020"}, {"HostIp": "::", "HostPort": "18020"}]
    assert shown["82/tcp"] == [{"HostIp": "0.0.0.0", "HostPort": "18022"}, {"HostIp": "::", "HostPort": "18022"}] and shown["90/tcp"][0]["HostPort"] == "18040"
    inside = ["nsenter", "--net=" + cli.inspect("web", "{{.NetworkSettings.SandboxKey}}"), "/usr/bin/python3", "-c", ECHO]

    def asked():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            client.sendto(b"who\n", ("127.0.0.1", 18030))
            try:
                return client.recv(100) == b"who\n"
            except OSError:
                return False

    server = subprocess.Popen(inside)
    try:
        wait_until(asked, "the datagram is answered")
    finally:
        server.kill()
        server.wait()


def test_feature_C10_D21_one_number_is_published_on_a_free_port_that_port_and_ps_show(cli, image):
    run(cli, image, "-p", "80", "-p", "18060:81")
    lines = cli("port", "web").ok().replace(" :::", " [::]:").splitlines(keepends=True)
    if cli.name == "docker-20.10":  # It has no brackets, and prints the ports in the order in which Go goes through a map.
        lines.sort()
    found = re.fullmatch(r"80/tcp -> 0\.0\.0\.0:(\d+)\n80/tcp -> \[::\]:(\d+)\n81/tcp -> 0\.0\.0\.0:18060\n81/tcp -> \[::\]:18060\n", "".join(lines))
    number = int(found.group(1))
    assert found.group(2) == str(number) and fetch(number) == "hello" and fetch_v6(number) == b"hello\n"
    assert cli("port", "web", "81").ok() == cli("port", "web", "81/tcp").ok() in ("0.0.0.0:18060\n[::]:18060\n", "0.0.0.0:18060\n:::18060\n")
    shown = cli("ps", "--format", "{{.Ports}}").line().split(", ")
    assert f"0.0.0.0:{number}->80/tcp" in shown and {f"[::]:{number}->80/tcp", f":::{number}->80/tcp"} & set(shown), shown
    assert cli("port", "web", "82").code == 1
    # What is asked for of IPv4 alone is told of it alone, and so is what has no way from ::1.
    cli("run", "-d", "--name", "four", "-p", "0.0.0.0:18061:80", "-p", "18062:80/sctp", image, "sleep", "600").ok()
    # An older client of Docker's has no order.
    assert sorted(cli("port", "four").ok().splitlines()) == ["80/sctp -> 0.0.0.0:18062", "80/tcp -> 0.0.0.0:18061"]


def test_feature_C11_every_exposed_port_is_published(cli, image):
    run(cli, image, "-P", "--expose", "80", "--expose", "53/udp")
    shown = json.loads(cli.inspect("web", "{{json .NetworkSettings.Ports}}"))
    assert fetch(int(shown["80/tcp"][0]["HostPort"])) == "hello" and int(shown["53/udp"][0]["HostPort"]) > 1024


def test_feature_C12_same_port_inside_and_a_port_of_the_host_that_is_taken(cli, image):
    run(cli, image, "-p", "18888:80", answer="one", name="one")
    run(cli, image, "-p", "18899:80", answer="two", name="two")
    assert (fetch(18888), fetch(18899)) == ("one", "two")
    taken = cli("run", "--name", "third", "-p", "18888:80", image, "true")
    assert taken.code == 125 and "port is already allocated" in taken.err and "18888" in taken.err
    assert cli.inspect("third", "{{.State.Status}}") == "created"
    with socket.create_server(("0.0.0.0", 18890)):
        busy = cli("run", "--rm", "-p", "18890:80", image, "true")
        assert busy.code == 125 and "address already in use" in busy.err
    # A program that has the port of IPv6, or of ::1 alone, keeps it: what would lead there is refused.
    for address_of_host, flag, place in (("::1", "18891:80", "[::]:18891"), ("::", "18891:80", "[::]:18891"), ("::1", "0.0.0.0:18891:80", "[::1]:18891"),
                                         ("::1", "[::1]:18891:80", "[::1]:18891")):
        with socket.create_server((address_of_host, 18891), family=socket.AF_INET6):
            busy = cli("run", "--rm", "-p", flag, image, "true")
            assert busy.code == 125 and f"failed to bind host port for {place}/tcp: address already in use" in busy.err, (flag, busy)
            with socket.create_connection(("::1", 18891), timeout=5):
                pass
    with socket.create_server(("::1", 18905), family=socket.AF_INET6):
        busy = cli("run", "--rm", "-p", "18900-18919:80-99", image, "true")
        assert busy.code == 125 and "[::]:18905/tcp: address already in use" in busy.err, busy
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("::1", 18891))
        busy = cli("run", "--rm", "-p", "18891:80/udp", image, "true")
        assert busy.code == 125 and "[::]:18891/udp: address already in use" in busy.err, busy
        # Of another address or protocol it is another port.
        cli("run", "--rm", "-p", "127.0.0.1:18891:80/udp", "-p", "18891:80", image, "true").ok()
    # So is one that another container has of ::1.
    cli("run", "-d", "--name", "six", "-p", "[::1]:18892:80", image, "sleep", "600").ok()
    taken = cli("run", "--rm", "-p", "18892:80", image, "true")
    assert taken.code == 125 and "port is already allocated" in taken.err, taken
    assert fetch(18888) == "one"


def test_feature_C12_ports_are_settled_at_the_start_and_a_second_owner_is_refused_in_dockers_words(cli, image):
    for name, *ports in (("one", "-p", "18870-18871:80-81", "-p", "18872:53/udp"), ("two", "-p", "18870:80")):
        cli("create", "--name", name, *ports, image, "sleep", "600").ok()
        assert cli("port", name).ok() == "" and cli.inspect(name, "{{json .NetworkSettings.Ports}}") == "{}"
    cli("start", "one").ok()
    assert "53/udp -> 0.0.0.0:18872" in cli("port", "one").ok().split("\n")
    second = cli("start", "two")
    assert second.code == 1 and cli.inspect("two", "{{.State.Status}} {{.State.Running}}") == "created false"
    assert re.search(r"driver failed programming external connectivity on endpoint two \([0-9a-f]{64}\): "
                     r"Bind for 0.0.0.0:18870 failed: port is already allocated", second.err), second.err
    for number, (asked, place) in enumerate({
            "127.0.0.1:18871:80": "127.0.0.1:18871", "18869-18870:80-81": "0.0.0.0:18870", "18872:99/udp": "0.0.0.0:18872"}.items()):
        third = cli("run", "--name", f"third{number}", "-p", asked, image, "true")
        assert third.code == 125 and f"Bind for {place} failed: port is already allocated" in third.err, third.err
    # Another protocol's port is another port; and whoever has it gives it back with its end.
    cli("run", "--rm", "-p", "18872:80/tcp", image, "true").ok()
    cli("rm", "-f", "one").ok()
    cli("start", "two").ok()
    assert cli("port", "two").line().split("\n")[0] == "80/tcp -> 0.0.0.0:18870"


def test_feature_D21_ps_tells_of_no_ports_where_none_could_be_published(cli, image):
    """As Docker's: on the host's network and on none, or in another's, a port that is exposed has no meaning of its own."""
    shown = lambda name: cli("ps", "--filter", f"name={name}", "--format", "{{.Ports}}").ok()
    cli("run", "-d", "--name", "usual", "--expose", "81", image, "sleep", "600").ok()
    assert shown("usual") == "81/tcp\n"
    for name, mode in (("bare", "none"), ("hosts", "host")):
        cli("run", "-d", "--name", name, "--network", mode, "--expose", "81", "-p", "18489:82", image, "sleep", "600").ok()
        assert shown(name) == "\n" and cli("port", name).ok() == "", mode
        assert cli.inspect(name, "{{json .NetworkSettings.Ports}}") == "{}"


def test_feature_C09_a_port_is_reached_by_containers_through_the_hosts_address(cli, net, image):
    net("other")
    run(cli, image, "-p", "18070:80")
    [bridge], [other] = network(cli, "bridge"), network(cli, "other")
    for where, gateway in (("bridge", bridge), ("other", other)):
        gateway = gateway["IPAM"]["Config"][0]["Gateway"]
        assert cli("run", "--rm", "--network", where, image, *ask(gateway, 18070, 15)).line() == "hello"
    # And by the container itself.
    assert cli("exec", "web", *ask(bridge["IPAM"]["Config"][0]["Gateway"], 18070, 15)).line() == "hello"


def test_attack_F16_from_the_lan_only_what_is_published_to_it_is_reached(cli, net, image, lan):
    run(cli, image, "-p", "18080:80", "-p", "127.0.0.1:18081:80")
    inside = address(cli, "web")
    reach = lambda *to, seconds=2: lan("busybox", "nc", "-w", str(seconds), *map(str, to), stdin=subprocess.DEVNULL).stdout.strip()
    assert reach("198.51.100.1", 18080, seconds=15) == "hello"
    assert reach("198.51.100.1", 18081) == ""
    # Straight to the container, past every published port: its address is routed here.
    lan("ip", "route", "add", "172.16.0.0/12", "via", "198.51.100.1")
    assert reach(inside, 80) == ""
    # To the loopback address, over the wire.
    lan("ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
    lan("ip", "route", "add", "127.0.0.0/8", "via", "198.51.100.1", "src", "198.51.100.2")
    subprocess.run(["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"], check=True)
    lan("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    try:
        assert reach("127.0.0.1", 18081) == ""
    finally:
        subprocess.run(["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=0"], check=True)
    assert fetch(18081) == "hello"


def test_attack_F16_an_internal_network_reaches_what_others_publish_by_neither_family(cli, net, image):
    net("closed", "--internal", "--ipv6"), net("four"), net("six", "--ipv6")
    run(cli, image, "--network", "four", "-p", "18097:80")
    run(cli, image, "--network", "six", "-p", "18098:80", name="both")
    for name, heard in (("six", "hello"), ("closed", "")):
        cli("run", "-d", "--name", f"asks-{name}", "--network", name, image, "sleep", "600").ok()
        [asked] = network(cli, name)
        shown = host("ip", "-o", "addr", "show", "scope", "global", "dev", f"br-{asked['Id'][:12]}")
        gateways = re.findall(r"inet6? (\S+)/", shown)
        assert len(gateways) == 2, shown
        for gateway in gateways:
            # An address of IPv6 is looked for among the neighbours first, before it is used.
            wait_until(lambda name=name, gateway=gateway: cli("exec", f"asks-{name}", "ping", "-c", "1", "-W", "1", gateway).code == 0, "the host answers")
            for port in (18097, 18098):
                assert cli("exec", f"asks-{name}", *ask(gateway, port, 10 if heard else 1)).out.strip() == heard, (name, gateway, port)


def test_attack_F16_a_container_speaks_under_its_own_addresses_only(cli, net, image):
    net("shared", "--ipv6")
    cli("run", "-d", "--name", "victim", "--network", "shared", image, "sleep", "600").ok()
    cli("run", "-d", "--name", "peer", "--network", "shared", image, "sleep", "600").ok()
    cli("run", "-d", "--name", "rogue", "--network", "shared", "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", image, "sleep", "600").ok()
    victim, peer = address(cli, "victim", "shared"), address(cli, "peer", "shared")
    ping = lambda name, to, seconds=15: cli("exec", name, "ping", "-c", "1", "-W", str(seconds), to).code
    assert ping("rogue", peer) == 0
    # Another one's network address beside its own, and its answers to who asks for it.
    cli("exec", "rogue", "ip", "addr", "add", f"{victim}/32", "dev", "eth0").ok()
    assert cli("exec", "rogue", "ping", "-I", victim, "-c", "1", "-W", "1", peer).code != 0
    cli("exec", "rogue", "arping", "-U", "-c", "2", "-I", "eth0", victim)
    mac = lambda name: cli("exec", name, "cat", "/sys/class/net/eth0/address").line()
    assert ping("peer", victim) == 0
    assert mac("victim") in cli("exec", "peer", "cat", "/proc/net/arp").ok() and mac("rogue") not in \
        [line.split()[3] for line in cli("exec", "peer", "cat", "/proc/net/arp").ok().split("\n") if line.startswith(victim + " ")]
    # Another one's link address.
    cli("exec", "rogue", "sh", "-c", f"ip link set eth0 down; ip link set eth0 address {mac('victim')}; ip link set eth0 up").ok()
    assert ping("rogue", peer, 1) != 0 and ping("peer", victim) == 0


def forget_connections():
    """As `conntrack -F`. - Source: linux/netfilter/nfnetlink_conntrack.h, IPCTNL_MSG_CT_DELETE."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:
        link.send(struct.pack("=IHHII4s", 20, 1 << 8 | 2, 1 | 4, 1, 0, b"\0" * 4))
        assert struct.unpack_from("=i", link.recv(4096), 16) == (0,)


def meddle(daemon):
    """What others do to rulesets: all of them, one of ours, one of ours altogether."""
    return (["nft", "flush", "ruleset"], ["nft", "flush", "table", "inet", daemon.instance], ["nft", "delete", "table", "bridge", daemon.instance])


def test_T03_what_others_flush_is_back_within_a_second(cli, net, image, own_daemon):
    net("mine")
    run(cli, image, "-p", "18090:80", "--network", "mine")
    [mine] = network(cli, "mine")
    bridge = f"br-{mine['Id'][:12]}"
    before = tables(own_daemon)
    assert fetch(18090) == "hello" and before
    for words in (["iptables", "-F"], ["iptables", "-t", "nat", "-F"], *meddle(own_daemon)):
        back_within(1, lambda words=words: host(*words, check=False), lambda: tables(own_daemon) == before, f"the rules are back after {words}")
        assert fetch(18090) == "hello"
    forget_connections()
    assert fetch(18090) == "hello" and fetch_v6(18090) == b"hello\n"
    back_within(1, lambda: host("ip", "link", "del", bridge), lambda: bridge in leaks.links(), "the bridge is back")
    wait_until(lambda: fetch(18090) == "hello", "the port leads there again")
    # Also for the container itself.
    wait_until(lambda: cli("exec", "web", *ask(mine["IPAM"]["Config"][0]["Gateway"], 18090)).out.strip() == "hello", "for itself, too")


def test_T05_rules_that_begin_or_cease_to_see_frames_change_nothing(apus, net_of_apus, image):
    """As they do when module br_netfilter is loaded, which others' container stacks do."""
    names = switches_of_frames()
    before = [host("sysctl", "-n", name).strip() for name in names]
    gateway = network(apus, net_of_apus)[0]["IPAM"]["Config"][0]["Gateway"]
    switch = lambda to: host("sysctl", "-qw", *[f"{name}={to}" for name in names])
    try:
        for first, then in ("01", "10"):
            switch(first)
            run(apus, image, "--network", net_of_apus, "-p", "18097:80")
            apus("run", "-d", "--name", "peer", "--network", net_of_apus, image, "sleep", "600").ok()
            switch(then)
            assert fetch(18097) == "hello"
            for asker in ("web", "peer"):
                assert apus("exec", asker, *ask(gateway, 18097, 15)).out.strip() == "hello", (asker, then)
            assert apus("exec", "peer", *ask(address(apus, "web", net_of_apus), seconds=15)).line() == "hello"
            apus("rm", "-f", "web", "peer").ok()
    finally:
        host("sysctl", "-qw", *[f"{name}={value}" for name, value in zip(names, before)])


def listeners_to_rules():
    """Sockets of this network namespace that the kernel tells of each change of rules: group 7 of netfilter's messages."""
    with open("/proc/net/netlink", encoding="utf-8") as file:
        rows = [line.split() for line in file][1:]
    return sum(row[1] == "12" and int(row[3], 16) >> 6 & 1 for row in rows)


def test_T03_where_others_may_change_the_rules_they_are_back_within_a_second(brittle):
    """As with kernels before 6.9, which know no owner of a table."""
    client = brittle.client
    brittle.stop()
    listeners = listeners_to_rules()
    brittle.start("--firewall", "shared")
    assert listeners_to_rules() == listeners + 1
    run(client, brittle.image, "-p", "18094:80")
    before = tables(brittle)
    for words in meddle(brittle):
        back_within(1, lambda words=words: host(*words), lambda: tables(brittle) == before, f"the rules are back after {words}")
        assert fetch(18094) == "hello"
    wait_until(lambda: "the firewall was changed by somebody else, and is restored" in brittle.log(), "it is told of")
    # Who does so again and again does not fill the log: the rules come back each time all the same.
    for number in range(15):
        host("nft", "flush", "chain", "inet", brittle.instance, "forward")
        wait_until(lambda: tables(brittle) == before, f"the rules are back, {number}")
    wait_until(lambda: "again and again, and is told no more" in brittle.log(), "that is told of")
    assert brittle.log().count("the firewall was changed by somebody else") <= 10
    # The next daemon makes them its own, and after its end they stay, and are anybody's.
    brittle.stop()
    brittle.start()
    assert fetch(18094) == "hello"
    if "flags owner" in host("nft", "list", "table", "inet", brittle.instance):
        # The kernel need not tell anybody of each of a thousand ports.
        assert listeners_to_rules() == listeners
        assert subprocess.run(["nft", "flush", "table", "inet", brittle.instance], capture_output=True, check=False).returncode != 0
    brittle.kill()
    host("nft", "flush", "table", "inet", brittle.instance)
    assert fetch(18094) is None
    brittle.start()
    assert fetch(18094) == "hello"


KNOCK = r"""
import select, socket, sys, time
places = [(word.rpartition(":")[0], int(word.rpartition(":")[2])) for word in sys.argv[2:]]
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    waiting = {}
    for place in places:
        link = socket.socket()
        link.setblocking(False)
        link.connect_ex(place)
        waiting[link] = place
    time.sleep(0.003)
    _, ready, _ = select.select([], list(waiting), [], 0)
    for link in ready:
        if link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            print("reached", *waiting[link], flush=True)
    for link in waiting:
        link.close()
"""


def test_attack_F16_nothing_is_reached_while_others_flush_the_rules(cli, net, image, lan, own_daemon):
    """From Linux 6.9 on: before, the rules are away for some milliseconds."""
    net("closed", "--internal"), net("open")
    run(cli, image, "--network", "open", "-p", "127.0.0.1:18095:80")
    run(cli, image, "--network", "closed", name="inner")
    for link in ("172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8"):
        lan("ip", "route", "add", link, "via", "198.51.100.1")
    run(cli, image, "-p", "18096:80", name="public")
    places = [f"{address(cli, 'web', 'open')}:80", f"{address(cli, 'inner', 'closed')}:80", "198.51.100.1:18095", "198.51.100.1:18096"]
    knocking = subprocess.Popen(["ip", "netns", "exec", "lan", "/usr/bin/python3", "-c", KNOCK, "4", *places], stdout=subprocess.PIPE, text=True)
    while knocking.poll() is None:
        for words in meddle(own_daemon):
            subprocess.run(words, capture_output=True, check=False)
    said = set(knocking.communicate()[0].splitlines())
    # What is open to everybody shows that the knocking is heard where there is somebody.
    assert said == {"reached 198.51.100.1 18096"}, said
    assert fetch(18095) == "hello"


def test_attack_F16_after_a_boot_nobody_runs_before_the_rules_are_there(brittle, lan):
    client = brittle.client
    # One start takes its time, for which the others have run already.
    slow = f"{brittle.folder}/slow"
    with open(slow, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\ncase " $* " in *" create "*) sleep 2;; esac\nexec {BUILD}/apus-runtime "$@"\n')
    os.chmod(slow, 0o755)
    assert brittle.stop() == 0
    brittle.start("--runtime", f"slow={slow}")
    bridge = "br-" + client("network", "create", "--subnet", "10.77.0.0/24", "closed").line()[:12]
    names = [f"inner{number}" for number in range(8)]
    for name in names:
        client("run", "-d", "--restart", "always", "--network", "closed", "--name", name, brittle.image, *serve("inner")).ok()
    client("run", "-d", "--restart", "always", "-p", "18101:80", "--runtime", "slow", "--name", "public", brittle.image, *serve("hello")).ok()
    lan("ip", "route", "add", "10.77.0.0/24", "via", "198.51.100.1")
    for last in range(2, 12):
        # Who asks for a neighbour that is not there yet is not heard again for a second.
        host("ip", "neigh", "replace", f"10.77.0.{last}", "lladdr", f"02:42:0a:4d:00:{last:02x}", "nud", "permanent", "dev", bridge)
    payloads = [int(client.inspect(name, "{{.State.Pid}}")) for name in (*names, "public")]
    brittle.kill()
    # A shim starts what ends, and another keeper: those come last.
    for pids in (brittle.shims(), payloads, leaks.processes(brittle.run), brittle.keepers()):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids), "they have ended")
    forget_what_lay_in_memory(brittle)
    places = [f"10.77.0.{last}:80" for last in range(2, 12)] + ["198.51.100.1:18101"]
    knocking = subprocess.Popen(["ip", "netns", "exec", "lan", "/usr/bin/python3", "-c", KNOCK, "60", *places], stdout=subprocess.PIPE, text=True)
    try:
        brittle.start("--runtime", f"slow={slow}")
        wait_until(lambda: len(client("ps", "-q").ok().split()) == 9, "all are started", seconds=50)
        # What is open to everybody shows that the knocking is heard where there is somebody; it is started last, and reached last.
        assert read_line(knocking) == "reached 198.51.100.1 18101\n"
    finally:
        knocking.kill()
        assert set(knocking.communicate()[0].splitlines()) <= {"reached 198.51.100.1 18101"}


def test_attack_F16_without_the_rules_nothing_is_started(brittle):
    client = brittle.client
    assert brittle.stop() == 0
    brittle.forget_firewall()
    with subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as other:
        other.stdin.write(f"add table bridge {brittle.instance} {{ flags owner; }}\n")
        other.stdin.flush()
        wait_until(lambda: brittle.instance in host("nft", "list", "tables", "bridge"), "another program has a table of our name")
        brittle.start()
        refused = client("run", "-d", "--name", "web", "-p", "18102:80", brittle.image, *serve("hello"))
        assert refused.code == 125 and "make the firewall" in refused.err, refused
        assert client("ps", "-q").ok() == "" and fetch(18102) is None
        other.stdin.close()
    client("rm", "web").ok()
    run(client, brittle.image, "-p", "18102:80")
    assert fetch(18102) == "hello"


def test_attack_F16_what_is_made_anew_is_open_to_nobody_more(cli, net, image, lan, own_daemon):
    net("closed", "--internal")
    run(cli, image, "-p", "18091:80", "-p", "127.0.0.1:18092:80")
    run(cli, image, "--network", "closed", name="inner")
    lan("ip", "route", "add", "172.16.0.0/12", "via", "198.51.100.1")
    reach = lambda seconds, *to: lan("busybox", "nc", "-w", seconds, *map(str, to), stdin=subprocess.DEVNULL).stdout.strip()
    # Who is heard may be slow to answer.
    places = [("15", "198.51.100.1", 18091), ("1", "198.51.100.1", 18092), ("1", address(cli, "web"), 80), ("1", address(cli, "inner", "closed"), 80)]
    before = tables(own_daemon)
    for words in (["true"], *meddle(own_daemon)):
        back_within(1, lambda words=words: host(*words, check=False), lambda: tables(own_daemon) == before, f"the rules are back after {words}")
        assert [reach(*place) for place in places] == ["hello", "", "", ""], words
    assert fetch(18092) == "hello"


@pytest.mark.parametrize("priority", ("filter", "filter - 10", "filter + 10"))
def test_feature_C09_an_administrators_own_rules_win(apus, image, lan, priority):
    """The commands of docs/networking.md: whether the chain lies before ours or behind it, a drop is final."""
    run(apus, image, "-p", "18098:80", "-p", "18099:80")
    reach = lambda port, seconds=15: lan("busybox", "nc", "-w", str(seconds), "198.51.100.1", str(port), stdin=subprocess.DEVNULL).stdout.strip()
    assert (reach(18098), reach(18099)) == ("hello", "hello")
    host("nft", "add", "table", "inet", "mine")
    try:
        host("nft", f"add chain inet mine forward {{ type filter hook forward priority {priority}; }}")
        host("nft", "add rule inet mine forward iifname uplink ip saddr 198.51.100.0/24 meta l4proto tcp ct original proto-dst 18098 drop")
        assert (reach(18098, 1), reach(18099)) == ("", "hello") and fetch(18098) == "hello"
    finally:
        host("nft", "delete", "table", "inet", "mine")
    assert reach(18098) == "hello"


SPOOF = r"""
import socket, struct, sys
source, target, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = source.encode()
datagram = struct.pack(">HHHH", 4000, port, 8 + len(data), 0) + data
head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(target))
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(head + datagram, (target, 0))
"""


RECEIVER = r"""
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
server.settimeout(60)
print("ready", flush=True)
while True:
    print(server.recvfrom(100)[0].decode(), flush=True)
"""


def test_attack_F16_nobody_on_the_lan_speaks_as_the_host_itself(cli, image, lan):
    cli("run", "-d", "--name", "web", "-p", "18093:53/udp", image, "sleep", "600").ok()
    inside = ["nsenter", "--net=" + cli.inspect("web", "{{.NetworkSettings.SandboxKey}}"), "/usr/bin/python3", "-c", RECEIVER]
    server = subprocess.Popen(inside, stdout=subprocess.PIPE, text=True)
    assert read_line(server) == "ready\n"
    everywhere = ["net.ipv4.conf.all.route_localnet=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.uplink.rp_filter=0"]
    subprocess.run(["sysctl", "-qw", *everywhere], check=True)
    try:
        for source in ("127.0.0.1", "127.9.9.9", "198.51.100.2"):
            lan("/usr/bin/python3", "-c", SPOOF, source, "198.51.100.1", "18093")
        # They come in order: the honest one is last.
        assert read_line(server) == "198.51.100.2\n"
    finally:
        server.kill()
        server.communicate()
        subprocess.run(["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=0"], check=True)


def test_attack_F16_a_network_without_ipv6_has_none(cli, net, image):
    net("four")
    link = "br-" + network(cli, "four")[0]["Id"][:12]
    shown = cli("run", "--rm", "--network", "four", image, "sh", "-c", "ip -6 addr show dev eth0; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6").ok()
    assert shown == "1\n" and "inet6" not in host("ip", "-6", "addr", "show", "dev", link)


def tables(daemon):
    """The lines of the daemon's own tables: others' do not come back by themselves."""
    return lines("".join(re.findall(rf"^table \w+ {daemon.instance} {{.*?^}}", host("nft", "list", "ruleset"), re.M | re.S)))


def lines(ruleset):
    """Without the order of elements."""
    return sorted(part.strip() for part in re.split(r"[\n,{}]", ruleset))


def test_feature_C09_ports_work_on_while_the_daemon_is_dead_and_after(brittle, image):
    client = brittle.client
    run(client, brittle.image, "-p", "18100:80", "-p", "127.0.0.1:18101:80")
    brittle.kill()
    assert fetch(18100) == "hello" and fetch(18101) == "hello"
    brittle.start()
    assert fetch(18100) == "hello" and fetch(18101) == "hello"
    taken = client("run", "--rm", "-p", "18100:80", brittle.image, "true")
    assert taken.code == 125 and "port is already allocated" in taken.err
    client("rm", "-f", "web").ok()
    assert fetch(18100) is None


def generation():
    """How often the kernel's firewall was changed so far: once for each transaction. - Source: linux/netfilter/nf_tables.h, NFT_MSG_GETGEN."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:
        link.send(struct.pack("=IHHII4s", 20, 10 << 8 | 16, 1, 1, 0, b"\0" * 4))
        answer = link.recv(4096)
    length, kind, number = struct.unpack_from("=HH4s", answer, 20)
    assert (length, kind) == (8, 1)
    return int.from_bytes(number, "big")


def test_S03_a_thousand_ports_cost_one_transaction(cli, image, own_daemon):
    run(cli, image, "-p", "18112:80", name="first")
    before = generation()
    run(cli, image, "-p", "20000-20999:1000-1999", "-p", "18110:80")
    assert generation() == before + 1
    assert fetch(18110) == "hello"
    assert host("nft", "list", "map", "inet", own_daemon.instance, "anyPortsV4").count(":") >= 1001
    cli("rm", "-f", "web").ok()
    # All of its ports in one, and what the firewall knows of its cable in another once that is gone.
    assert " . 20000 :" not in host("nft", "list", "map", "inet", own_daemon.instance, "anyPortsV4")
    wait_until(lambda: generation() >= before + 3, "the cable is gone")
    assert generation() == before + 3


def test_S03_ten_thousand_ports_in_a_row_are_one_entry_wherever_they_are_remembered(brittle):
    client = brittle.client
    run(client, brittle.image, "-p", "18111:80", name="first")
    resident = lambda: int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{brittle.process.pid}/status", encoding="utf-8").read()).group(1))
    processes, size, before = len(leaks.processes(brittle.folder)), resident(), generation()
    run(client, brittle.image, "-p", "20000-29999:10001-20000", "-p", "127.0.0.1:19000-19019:80-99", "-p", "19100:80")
    assert generation() == before + 1
    # No process for a port, and no memory to speak of: what the daemon has read in between it may keep for the next time.
    assert len(leaks.processes(brittle.folder)) <= processes + 2 and resident() - size < 40_000, (size, resident())
    [folder] = [one for one in os.listdir(f"{brittle.run}/bundles") if "29999" in open(f"{brittle.run}/bundles/{one}/network.json", encoding="utf-8").read()
                or "20000" in open(f"{brittle.run}/bundles/{one}/network.json", encoding="utf-8").read()]
    assert os.path.getsize(f"{brittle.run}/bundles/{folder}/network.json") < 4096
    told = lambda: (sorted(client("port", "web").ok().split("\n")), json.loads(client.inspect("web", "{{json .HostConfig.PortBindings}}")),
                    json.loads(client.inspect("web", "{{json .Config.ExposedPorts}}")))
    shown = told()
    assert len(shown[1]) == 10_020 and shown[1]["15000/tcp"] == [{"HostIp": "", "HostPort": "24999"}] and len(shown[2]) == 10_020
    assert shown[1]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "19000"}, {"HostIp": "", "HostPort": "19100"}]
    assert shown[1]["99/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "19019"}] and "20000/tcp -> 0.0.0.0:29999" in shown[0]
    # The next daemon knows the same of them, and who has them.
    brittle.kill()
    brittle.start()
    assert told() == shown and fetch(19000) == "hello"
    for port in ("24999", "20000", "29999"):
        taken = client("run", "--rm", "-p", f"{port}:80", brittle.image, "true")
        assert taken.code == 125 and f"Bind for 0.0.0.0:{port} failed: port is already allocated" in taken.err, taken
    across = client("run", "--rm", "-p", "29990-30020:90-120", brittle.image, "true")
    assert across.code == 125 and "Bind for 0.0.0.0:29990 failed: port is already allocated" in across.err
    client("rm", "-f", "web").ok()
    # One of many that a program of the host has is found among them; where it listens on one address, on that one and on all.
    with socket.create_server(("127.0.0.1", 24321)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("0.0.0.0", 24322))
        for flag in ("20000-29999:10001-20000", "127.0.0.1:20000-29999:10001-20000"):
            busy = client("run", "--rm", "-p", flag, brittle.image, "true")
            assert busy.code == 125 and ":24321/tcp: address already in use" in busy.err, busy
        busy = client("run", "--rm", "-p", "20000-29999:10001-20000/udp", brittle.image, "true")
        assert busy.code == 125 and "0.0.0.0:24322/udp: address already in use" in busy.err, busy
        assert client("run", "--rm", "-p", "127.0.0.2:20000-29999:10001-20000", brittle.image, "true").code == 0
    with socket.create_server(("::", 24321), family=socket.AF_INET6, dualstack_ipv6=True):
        busy = client("run", "--rm", "-p", "20000-29999:10001-20000", brittle.image, "true")
        assert busy.code == 125 and "0.0.0.0:24321/tcp: address already in use" in busy.err, busy
    client("rm", "-f", "first").ok()
    nowhere = client("run", "--rm", "-p", "192.0.2.1:20000-20099:100-199", brittle.image, "true")
    assert nowhere.code == 125 and "cannot assign requested address" in nowhere.err


def test_connected_and_disconnected_many_times_leaves_nothing(apus, net_of_apus, image, own_daemon):
    """A thousand times in `make nightly`."""
    apus("run", "-d", "--name", "one", image, "sleep", "600").ok()
    # The port of `apus-net`, which is another one after each of its starts, is led to from the first container with names on.
    rules = lambda: re.sub(r"(\[::1\]|ip6 daddr):\d+|(dport) \d+ (?=fib daddr type local drop)", r"\1\2:PORT", host("nft", "list", "ruleset"))
    change = lambda action: api(own_daemon, "POST", f"/networks/{net_of_apus}/{action}", {"Container": "one"}, 200)
    change("connect")
    wait_until(lambda: "[::1]:PORT" in rules(), "::1 is led to apus-net")
    change("disconnect")
    before = (leaks.links(), lines(rules()), leaks.descriptors(own_daemon.process.pid))
    for _ in range(int(os.environ.get("APUS_CONNECTS", "60"))):
        change("connect")
        change("disconnect")
    assert (leaks.links(), lines(rules())) == before[:2]
    # It closes a connection once it has heard of its client's end.
    wait_until(lambda: leaks.descriptors(own_daemon.process.pid) <= before[2] + 2, "nothing of the requests stays open")
    # Every address is free again.
    apus("network", "connect", net_of_apus, "one").ok()
    assert address(apus, "one", net_of_apus).endswith(".2")


@pytest.fixture
def net_of_apus(apus):
    apus("network", "create", "often").ok()
    yield "often"
    apus("rm", "-f", "one")
    apus("network", "rm", "often")


def fetch_v6(port, payload=b""):
    """What comes back from ::1 until the end, after `payload` and an end of ours; None where nobody is there."""
    try:
        with socket.create_connection(("::1", port), timeout=5) as link:
            link.sendall(payload)
            link.shutdown(socket.SHUT_WR)
            received = b""
            while part := link.recv(65536):
                received += part
            return received
    except OSError:
        return None


def test_feature_C09_a_port_is_reached_by_the_loopback_of_both_families(cli, net, image, own_daemon):
    net("mine")
    run(cli, image, "-p", "18120:80", "-p", "127.0.0.1:18121:80")
    cli("run", "-d", "--name", "echo", "--network", "mine", "-p", "18122:7", "-p", "18130-18149:8130-8149", image, "nc", "-ll", "-p", "7", "-e", "cat").ok()
    wait_until_heard(cli, "echo", port=7)
    assert fetch(18120) == "hello" and fetch_v6(18120) == b"hello\n"
    # Published there only is there only.
    assert fetch(18121) == "hello" and fetch_v6(18121) is None and fetch_v6(18129) is None
    data = os.urandom(3 << 20)
    assert fetch_v6(18122, data) == data
    # One socket of one process, whatever the number of ports.
    [process] = servers(own_daemon)
    before = leaks.descriptors(process)
    for _ in range(20):
        assert fetch_v6(18120) == b"hello\n"
    wait_until(lambda: leaks.descriptors(process) <= before, "nothing of the connections is left")
    # Who kills it is not noticed for long.
    back_within(5, lambda: os.kill(servers(own_daemon)[0], signal.SIGKILL), lambda: fetch_v6(18120) == b"hello\n", "it leads there again")
    cli("rm", "-f", "web", "echo").ok()
    assert fetch_v6(18120) is None


ANSWERING = """
import socket, sys, threading
def answer(server, port):
    while True:
        data, sender = server.recvfrom(65536)
        server.sendto(b"%d:" % port + data, sender)
for port in map(int, sys.argv[1:]):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::", port))
    threading.Thread(target=answer, args=(server, port)).start()
print("ready", flush=True)
"""


def answering(cli, name, *ports):
    """Answers datagrams in a container's network: with the port and what was said."""
    inside = ["nsenter", "--net=" + cli.inspect(name, "{{.NetworkSettings.SandboxKey}}"), "/usr/bin/python3", "-c", ANSWERING, *map(str, ports)]
    server = subprocess.Popen(inside, stdout=subprocess.PIPE, text=True)
    assert read_line(server) == "ready\n"
    return server


def exchange(client, port, data=b"who", address="::1"):
    """What comes back for a datagram; None where nothing does."""
    try:
        client.sendto(data, (address, port))
        answer, sender = client.recvfrom(65536)
    except OSError:
        return None
    assert sender[:2] == (address, port)
    return answer


def test_feature_C09_datagrams_reach_a_port_by_the_loopback_of_both_families(cli, net, image, own_daemon):
    net("six", "--ipv6")
    cli("run", "-d", "--name", "four", "-p", "18160:53/udp", "-p", "18161:54/udp", "-p", "127.0.0.1:18162:53/udp", image, "sleep", "600").ok()
    cli("run", "-d", "--name", "both", "--network", "six", "-p", "18163:53/udp", image, "sleep", "600").ok()
    listeners = [answering(cli, "four", 53, 54), answering(cli, "both", 53)]
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    client.settimeout(20)
    try:
        # One socket that asks two ports: the firewall leads both to one place.
        for _ in range(3):
            assert exchange(client, 18160) == b"53:who" and exchange(client, 18161) == b"54:who" and exchange(client, 18163) == b"53:who"
        assert exchange(client, 18160, b"x" * 9000) == b"53:" + b"x" * 9000
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.settimeout(20)
            assert exchange(other, 18160, address="127.0.0.1") == b"53:who" and exchange(other, 18162, address="127.0.0.1") == b"53:who"
        client.settimeout(1)
        assert exchange(client, 18162) is None and exchange(client, 18169) is None
        client.settimeout(20)
        [process] = servers(own_daemon)
        before = leaks.descriptors(process)
        assert exchange(client, 18160) == b"53:who" and leaks.descriptors(process) <= before
        # An end that it was first to say leaves its port waiting, which must not lead the next one to another port: the conversation goes on.
        run(cli, image, "-p", "18164:80")
        with socket.create_connection(("::1", 18164), timeout=5) as link:
            while link.recv(100):
                pass
        assert exchange(client, 18160) == b"53:who"
        os.kill(process, signal.SIGKILL)
        client.settimeout(1)
        wait_until(lambda: exchange(client, 18160) == b"53:who", "it leads there again", seconds=30)
    finally:
        client.close()
        for server in listeners:
            server.kill()
            server.communicate()


def test_feature_C09_a_port_of_the_v6_loopback_alone(cli, net, image, lan):
    host("ip", "addr", "add", "2001:db8::1/64", "dev", "uplink", "nodad")
    lan("ip", "addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
    net("six", "--ipv6")
    run(cli, image, "-p", "[::1]:18170:80", "-p", "[::1]:18171:53/udp", name="four")
    run(cli, image, "-p", "[::1]:18172:80", "-p", "[::1]:18173:53/udp", "--network", "six", name="both", answer="six")
    for name, port, answer in (("four", 18170, b"hello\n"), ("both", 18172, b"six\n")):
        assert cli("port", name, "80").line() in (f"[::1]:{port}", f"::1:{port}")
        assert fetch_v6(port) == answer and fetch(port) is None and fetch(port, "2001:db8::1", socket.AF_INET6) is None
        for address_of_host in ("2001:db8::1", "198.51.100.1"):
            assert lan("busybox", "nc", "-w", "1", address_of_host, str(port), stdin=subprocess.DEVNULL).stdout == ""
    listeners = [answering(cli, "four", 53), answering(cli, "both", 53)]
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            for port in (18171, 18173):
                wait_until(lambda port=port: exchange(client, port) == b"53:who", f"datagrams reach {port}")
    finally:
        for server in listeners:
            server.kill()
            server.communicate()
    other = cli("run", "--rm", "-p", "[2001:db8::1]:18174:80/sctp", image, "true")
    assert other.code == 125 and "has no IPv6 address that the host reaches" in other.err
    taken = cli("run", "--rm", "-p", "[::1]:18170:80", image, "true")
    assert taken.code == 125 and "port is already allocated" in taken.err
    cli("rm", "-f", "four").ok()
    assert fetch_v6(18170) is None


# What comes back from a port of an address, by TCP or UDP.
ELSEWHERE = """
import socket, sys
kind, where, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
place = socket.getaddrinfo(where, port, socket.AF_INET6)[0][4]
client = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
client.settimeout(float(sys.argv[4]))
try:
    client.connect(place)
    client.send(b"who")
    print(client.recv(100).decode().strip())
except OSError:
    pass
"""


def test_feature_C09_a_container_with_ipv4_alone_is_reached_by_every_ipv6_address_of_the_host(cli, net, image, lan, own_daemon):
    """As by docker-proxy, and with no process for each port: the server of names leads on what the kernel cannot."""
    for own in ("2001:db8::1", "2001:db8::11"):
        host("ip", "addr", "add", f"{own}/64", "dev", "uplink", "nodad")
    lan("ip", "addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
    told = lambda kind, where, port, seconds=15: lan(sys.executable, "-c", ELSEWHERE, kind, where, str(port), str(seconds)).stdout.strip()
    run(cli, image, "-p", "18210:80", "-p", "[::]:18211:80", "-p", "[2001:db8::1]:18212:80", "-p", "127.0.0.1:18213:80", "-p", "0.0.0.0:18214:80",
        "-p", "[::1]:18217:80", "-p", "18215:53/udp", "-p", "[2001:db8::1]:18216:53/udp", "-p", "18220-18239:8220-8239", name="four")
    ports = json.loads(cli.inspect("four", "{{json .NetworkSettings.Ports}}"))
    assert {"HostIp": "::", "HostPort": "18211"} in ports["80/tcp"] and {"HostIp": "2001:db8::1", "HostPort": "18212"} in ports["80/tcp"]
    server = answering(cli, "four", 53)
    try:
        for where in ("2001:db8::1", "2001:db8::11"):
            # From another host, and from this one.
            for port in (18210, 18211):
                assert told("tcp", where, port) == "hello" and fetch(port, where, socket.AF_INET6) == "hello", (where, port)
            assert told("udp", where, 18215) == "53:who"
            # What is published elsewhere alone is there alone.
            for port in (18213, 18214, 18217, 18240):
                assert told("tcp", where, port, 3) == "" and fetch(port, where, socket.AF_INET6) is None, (where, port)
        assert told("tcp", "2001:db8::1", 18212) == "hello" and told("udp", "2001:db8::1", 18216) == "53:who"
        assert told("tcp", "2001:db8::11", 18212, 3) == "" and told("udp", "2001:db8::11", 18216, 1) == ""
        assert fetch_v6(18210) == fetch_v6(18211) == b"hello\n" and fetch_v6(18212) is None and fetch(18211) is None
        # One socket that two addresses answer.
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.settimeout(20)
            for _ in range(3):
                for where in ("2001:db8::1", "2001:db8::11", "::1"):
                    assert exchange(client, 18215, address=where) == b"53:who"
    finally:
        server.kill()
        server.communicate()
    # By an address of the link.
    own = re.search(r"inet6 (fe80::\S+)/64", subprocess.run(["ip", "-6", "addr", "show", "dev", "uplink"], capture_output=True, text=True, check=True).stdout)
    wait_until(lambda: told("tcp", f"{own.group(1)}%eth0", 18210, 3) == "hello", "it is reached by the address of the link")
    # A port that another one has is refused, and none of them is for who has none of the host's.
    taken = cli("run", "--rm", "-p", "[2001:db8::11]:18211:80", image, "true")
    assert taken.code == 125 and "port is already allocated" in taken.err
    nowhere = cli("run", "--rm", "-p", "[2001:db8::12]:18241:80", image, "true")
    assert nowhere.code == 125 and "cannot assign requested address" in nowhere.err
    with socket.create_server(("2001:db8::1", 18242), family=socket.AF_INET6):
        busy = cli("run", "--rm", "-p", "[::]:18242:80", image, "true")
        assert busy.code == 125 and "address already in use" in busy.err
    # Nobody has to say anything to the place that all are led by.
    [process] = servers(own_daemon)
    opened = {os.readlink(link.path) for link in os.scandir(f"/proc/{process}/fd")}
    lines_of = [line.split() for line in open("/proc/net/tcp6", encoding="utf-8").readlines()[1:]]
    [forwarder] = [int(line[1].rsplit(":", 1)[1], 16) for line in lines_of if line[3] == "0A" and f"socket:[{line[9]}]" in opened]
    assert lan("busybox", "timeout", "1", sys.executable, "-c", ELSEWHERE, "tcp", "2001:db8::1", str(forwarder), "3").returncode != 0
    cli("rm", "-f", "four").ok()
    assert told("tcp", "2001:db8::1", 18210, 3) == "" and told("tcp", "2001:db8::1", 18212, 3) == ""


def test_feature_C09_connections_by_ipv6_to_a_container_with_ipv4_alone_are_whole_and_end_with_it(cli, image, lan):
    host("ip", "addr", "add", "2001:db8::1/64", "dev", "uplink", "nodad")
    cli("run", "-d", "--name", "echo", "-p", "18218:7", image, "nc", "-ll", "-p", "7", "-e", "cat").ok()
    data = os.urandom(3 << 20)

    def echoed():
        with socket.create_connection(("2001:db8::1", 18218), timeout=10) as link:
            sender = threading.Thread(daemon=True, target=lambda: (link.sendall(data), link.shutdown(socket.SHUT_WR)))
            sender.start()
            received = b""
            while part := link.recv(65536):
                received += part
            sender.join()
            return received

    wait_until(lambda: fetch_v6(18218, b"x") == b"x", "it answers")
    assert echoed() == data
    with socket.create_connection(("2001:db8::1", 18218), timeout=10) as link:
        link.sendall(b"x")
        assert link.recv(1) == b"x"
        cli("rm", "-f", "echo").ok()
        # Its other end is gone without a word.
        try:
            assert link.recv(1) == b""
        except ConnectionResetError:
            pass


def test_S03_twenty_thousand_ports_of_the_v6_loopback_cost_neither_sockets_nor_much_memory(brittle):
    """Bounds, and no times: one entry wherever they are remembered, one transaction, and a server that has no more open than for one port."""
    client = brittle.client
    run(client, brittle.image, "-p", "[::1]:31195:80", name="first")
    [server] = servers(brittle)
    resident = lambda process: int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{process}/status", encoding="utf-8").read()).group(1))
    assert fetch_v6(31195) == b"hello\n"
    before, open_before, transactions = resident(server), leaks.descriptors(server), generation()
    client("run", "-d", "--name", "many", "-p", "[::1]:10000-29999:10000-29999", "-p", "[::1]:10000-29999:10000-29999/udp", brittle.image,
           "nc", "-ll", "-p", "29999", "-e", "echo", "last").ok()
    assert servers(brittle) == [server] and generation() == transactions + 1
    wait_until(lambda: fetch_v6(29999) == b"last\n", "the last of them leads in")
    assert fetch_v6(30000) is None and fetch(29999) is None
    for port in range(10000, 30000, 1000):
        fetch_v6(port)
    wait_until(lambda: leaks.descriptors(server) <= open_before, "nothing stays open")
    assert resident(server) - before < 4096, (before, resident(server))
    [entry] = [one for one in os.listdir(f"{brittle.run}/names/entries") if one == client.inspect("many", "{{.Id}}")]
    assert os.path.getsize(f"{brittle.run}/names/entries/{entry}") < 2048
    # The next daemon, and the next server, know them.
    brittle.kill()
    os.kill(server, signal.SIGKILL)
    brittle.start()
    wait_until(lambda: fetch_v6(29999) == b"last\n", "the last of them leads in again")
    client("rm", "-f", "many").ok()
    assert fetch_v6(29999) is None and fetch_v6(31195) == b"hello\n"


def test_feature_C09_the_port_that_the_v6_loopback_is_led_by_may_be_published(brittle):
    """`::1` is led by a port of its own, which is in nobody's way: neither of who comes after it nor of who starts again."""
    client = brittle.client
    run(client, brittle.image, "-p", "[::1]:18196:80", name="first")
    [server] = servers(brittle)
    opened = {os.readlink(link.path) for link in os.scandir(f"/proc/{server}/fd")}
    lines = [line.split() for line in open("/proc/net/tcp6", encoding="utf-8").readlines()[1:]]
    own = [int(line[1].rsplit(":", 1)[1], 16) for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in opened]
    assert own
    for number, port in enumerate(own):
        client("run", "-d", "--name", f"its-{number}", "-p", f"{port}:9000", brittle.image, "sleep", "600").ok()
        client("restart", "-t", "0", f"its-{number}").ok()
    assert fetch_v6(18196) == b"hello\n"
