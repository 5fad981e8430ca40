"""What one container sends in another one's name, from below its own kernel's rules: raw frames of its link."""
# Rows: attacks

import os
import socket
import struct
import subprocess
import sys
import textwrap

import pytest
from processes import read_line, read_rest, wait_until
from test_network_options import net_of  # noqa: F401 (fixture)

ALL_NODES = "ff02::1"
ROUTER_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT, REDIRECT = 134, 136, 137


@pytest.fixture
def net(cli):
    cli("network", "create", "--ipv6", "shared").ok()
    yield "shared"
    if names := cli("ps", "-aq").ok().split():
        cli("rm", "-f", *names)
    cli("network", "rm", "shared")


@pytest.fixture
def boxes(cli, net, image):
    """Victim, peer and rogue, by id; the rogue may do with its link what it likes."""
    return {name: cli("run", "-d", "--name", name, "--network", net, "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", image, "sleep", "600").line()
            for name in ("victim", "peer", "rogue")}


def detail(cli, name, key, network="shared"):
    return cli.inspect(name, f'{{{{(index .NetworkSettings.Networks "{network}").{key}}}}}')


def checksum(source, target, body):
    pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target) + struct.pack("!II", len(body), 58)
    total = sum(struct.unpack(f"!{(len(pseudo) + len(body)) // 2}H", pseudo + body))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def icmp(source, target, kind, body):
    """An IPv6 packet with the hop limit that neighbour discovery asks for."""
    head = struct.pack("!BBH", kind, 0, 0)
    head = struct.pack("!BBH", kind, 0, checksum(source, target, head + body))
    return struct.pack("!IHBB", 0x60000000, len(head + body), 58, 255) + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(
        socket.AF_INET6, target) + head + body


def frame(source, packet, target="33:33:00:00:00:01"):
    mac = lambda text: bytes.fromhex(text.replace(":", ""))
    return mac(target) + mac(source) + b"\x86\xdd" + packet


# What a frame may carry between its addresses and its type without being anybody's but the receiver's: a priority, in the tag of virtual LAN 0.
PRIORITIES = ("", "81000000", "8100e000", "88a80000", "88a8000081000000")


def tagged(one, tag):
    return one[:12] + bytes.fromhex(tag) + one[12:]


def link_local(mac):
    parts = bytes.fromhex(mac.replace(":", ""))
    return socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + b"\0" * 6 + bytes([parts[0] ^ 2]) + parts[1:3] + b"\xff\xfe" + parts[3:])


def send(daemon, identifier, frames):
    """Puts frames on a container's link, from inside its network."""
    code = textwrap.dedent(f"""
        import socket
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        link.bind(("eth0", 0))
        for frame in {[one.hex() for one in frames]!r}:
            link.send(bytes.fromhex(frame))
        """)
    subprocess.run(["nsenter", f"--net={daemon.run}/netns/{identifier}", sys.executable, "-c", code], check=True)


def inside(daemon, identifier, *words):
    return subprocess.run(["nsenter", f"--net={daemon.run}/netns/{identifier}", *words], capture_output=True, text=True, check=True).stdout


def test_F16_a_container_is_nobodys_router(cli, boxes, own_daemon):
    mac = detail(cli, "rogue", "MacAddress")

    def advertisement(number, tag):
        prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 86400, 0) + socket.inet_pton(socket.AF_INET6, f"2001:db8:bad:{number}::")
        body = struct.pack("!BBHII", 64, 0, 9000, 0, 0) + prefix
        return tagged(frame(mac, icmp(link_local(mac), ALL_NODES, ROUTER_ADVERTISEMENT, body)), tag)

    advertisements = [advertisement(number, tag) for number, tag in enumerate(PRIORITIES)]
    # It would be listened to, and the frame arrives where nobody guards the bridge: proven between two links of the victim's own network.
    settings = f"{inside(own_daemon, boxes['victim'], 'sysctl', '-n', 'net.ipv6.conf.eth0.accept_ra', 'net.ipv6.conf.eth0.forwarding')}"
    assert settings.split() == ["1", "0"]
    proof = ["ip", "link", "add", "here", "type", "veth", "peer", "name", "there"]
    inside(own_daemon, boxes["peer"], *proof)
    for link in ("here", "there"):
        inside(own_daemon, boxes["peer"], "ip", "link", "set", link, "up")
    addresses = lambda name, link: inside(own_daemon, boxes[name], "ip", "-6", "addr", "show", "dev", link)
    wait_until(lambda: "fe80" in addresses("peer", "here") and "tentative" not in addresses("peer", "here"), "the link has its address")
    code = f"""import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('there', 0))
for frame in {[one.hex() for one in advertisements]!r}: s.send(bytes.fromhex(frame))"""
    inside(own_daemon, boxes["peer"], sys.executable, "-c", code)
    wait_until(lambda: all(f"2001:db8:bad:{number}:" in addresses("peer", "here").replace("bad::", "bad:0:") for number in range(len(PRIORITIES))),
               "an unguarded link believes them, with a priority and without")
    # Over the bridge nobody hears of it, however often it is said.
    before = inside(own_daemon, boxes["victim"], "ip", "-6", "route")
    send(own_daemon, boxes["rogue"], advertisements * 5)
    # What is sent after it has arrived: so would it have.
    assert cli("exec", "rogue", "ping", "-6", "-c", "2", "-W", "15", detail(cli, "victim", "GlobalIPv6Address")).code == 0
    assert "2001:db8:bad" not in addresses("victim", "eth0")
    assert inside(own_daemon, boxes["victim"], "ip", "-6", "route") == before


def test_F16_a_container_answers_for_nobody_else_and_redirects_nobody(cli, boxes, own_daemon):
    mac, address = detail(cli, "rogue", "MacAddress"), lambda name: detail(cli, name, "GlobalIPv6Address")
    assert cli("exec", "victim", "ping", "-6", "-c", "1", "-W", "15", address("peer")).code == 0
    entry = lambda: next(line for line in inside(own_daemon, boxes["victim"], "ip", "-6", "neigh", "show", address("peer")).splitlines())
    assert detail(cli, "peer", "MacAddress") in entry()
    packed = lambda text: socket.inet_pton(socket.AF_INET6, text)
    option = b"\x02\x01" + bytes.fromhex(mac.replace(":", ""))
    override = struct.pack("!I", 0x20000000) + packed(address("peer")) + option
    victim_mac = detail(cli, "victim", "MacAddress")
    redirect = struct.pack("!I", 0) + packed(link_local(mac)) + packed(address("peer")) + option
    send(own_daemon, boxes["rogue"], [tagged(one, tag) for tag in PRIORITIES for one in (
        # In the peer's name, and in its own with the peer's address.
        frame(mac, icmp(address("peer"), address("victim"), NEIGHBOUR_ADVERTISEMENT, override), victim_mac),
        frame(mac, icmp(address("rogue"), address("victim"), NEIGHBOUR_ADVERTISEMENT, override), victim_mac),
        frame(detail(cli, "peer", "MacAddress"), icmp(address("peer"), address("victim"), NEIGHBOUR_ADVERTISEMENT, override), victim_mac),
        frame(mac, icmp(link_local(mac), address("victim"), REDIRECT, redirect), victim_mac))] * 2)
    assert cli("exec", "rogue", "ping", "-6", "-c", "1", "-W", "15", address("victim")).code == 0
    assert mac not in entry() and detail(cli, "peer", "MacAddress") in entry()
    assert "redirected" not in inside(own_daemon, boxes["victim"], "ip", "-6", "route", "show", "cache")
    assert cli("exec", "victim", "ping", "-6", "-c", "1", "-W", "15", address("peer")).code == 0


def test_F16_a_priority_hides_neither_arp_nor_another_ones_address(cli, boxes, own_daemon):
    mac, address = (lambda name: detail(cli, name, "MacAddress")), lambda name: detail(cli, name, "IPAddress")
    assert cli("exec", "victim", "ping", "-c", "1", "-W", "15", address("peer")).code == 0
    entry = lambda: inside(own_daemon, boxes["victim"], "ip", "-4", "neigh", "show", address("peer"))
    assert mac("peer") in entry()
    packed, number = lambda name: bytes.fromhex(mac(name).replace(":", "")), lambda name: socket.inet_aton(address(name))
    lie = packed("victim") + packed("rogue") + bytes.fromhex("080600010800060400" "02") + packed("rogue") + number("peer") + packed("victim") + number("victim")
    head = bytes.fromhex("45000020000000004011") + bytes(2) + number("peer") + number("victim")
    total = sum(struct.unpack("!10H", head))
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    datagram = struct.pack("!HHHH", 9, 4040, 12, 0) + b"lies"
    posing = packed("victim") + packed("rogue") + b"\x08\x00" + head[:10] + struct.pack("!H", total) + head[12:] + datagram
    inside(own_daemon, boxes["victim"], "sysctl", "-q", "-w", "net.ipv4.conf.eth0.arp_accept=1")
    listen = ["nsenter", f"--net={own_daemon.run}/netns/{boxes['victim']}", sys.executable, "-c", HEAR]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
        assert read_line(listener) == "listening\n"
        send(own_daemon, boxes["rogue"], [tagged(one, tag) for tag in PRIORITIES for one in (lie, posing)] * 3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host_itself:
            host_itself.sendto(b"the end", (address("victim"), 4040))
        assert read_rest(listener) == "the end\n"
    assert mac("peer") in entry()


# What arrives at a port, up to the end.
HEAR = """
import socket
port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
port.bind(("0.0.0.0", 4040))
port.settimeout(60)
print("listening", flush=True)
heard = ""
while heard != "the end":
    print(heard := port.recv(100).decode(), flush=True)
"""

LISTEN = """
import socket
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind(("eth0", 0))
link.settimeout(60)
print("listening", flush=True)
heard = set()
while b"the end" not in (frame := link.recv(2000)):
    heard |= {word for word in frame.decode("latin-1").split() if word.startswith("type=")}
print(*sorted(heard))
"""


def test_F16_who_may_not_talk_does_not_in_frames_that_the_rules_for_packets_do_not_see(apus, net_of, image, own_daemon):
    """An experiment's type, IPv4 with the tag of a virtual network, with two tags, and within PPPoE."""
    hidden = {"88b5": "", "8100": "00070800", "88a8": "0007810000070800", "8864": "110000010021"}
    for name, options, arriving in (("talks", (), sorted(hidden)), ("apart", ("-o", "com.docker.network.bridge.enable_icc=false"), [])):
        net_of(name, *options)
        ids = {box: apus("run", "-d", "--name", f"{box}-{name}", "--network", name, image, "sleep", "600").line() for box in ("rogue", "peer")}
        mac = lambda box: detail(apus, f"{box}-{name}", "MacAddress", name).replace(":", "")
        enter = ["nsenter", f"--net={own_daemon.run}/netns/{ids['peer']}", sys.executable, "-c", LISTEN]
        with subprocess.Popen(enter, stdout=subprocess.PIPE, text=True) as listener:
            assert read_line(listener) == "listening\n"
            send(own_daemon, ids["rogue"], [
                bytes.fromhex(target + mac("rogue") + kind + tag) + f" type={kind} ".encode() + bytes(40)
                for target in (mac("peer"), "ff" * 6) for kind, tag in hidden.items()])
            # What the host says after it arrives: so would it have.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host_itself:
                host_itself.sendto(b"the end", (detail(apus, f"peer-{name}", "IPAddress", name), 9))
            assert read_rest(listener).split() == [f"type={kind}" for kind in arriving], name


# Waits for a link, brings it up itself, and sends a frame in somebody else's name until it is told to end.
BLAST = """
import fcntl, socket, struct, sys, time
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
print("ready", flush=True)
end = time.monotonic() + 20
while time.monotonic() < end:
    try:
        link.bind(("eth1", 0))
        break
    except OSError:
        pass
else:
    sys.exit("no link came")
try:
    flags = struct.unpack("16sh", fcntl.ioctl(link, 0x8913, struct.pack("16sh", b"eth1", 0)))[1]
    fcntl.ioctl(link, 0x8914, struct.pack("16sh", b"eth1", flags | 1))
except OSError:
    pass
end = time.monotonic() + 0.6
while time.monotonic() < end:
    try:
        link.send(bytes.fromhex(sys.argv[1]))
    except OSError:
        pass
"""


def test_F16_a_container_that_is_being_connected_speaks_under_its_own_addresses_from_the_first_frame_on(apus, net_of, image, own_daemon):
    net_of("home"), net_of("other")
    rogue = apus("run", "-d", "--name", "rogue", "--network", "home", "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", image, "sleep", "600").line()
    peer = apus("run", "-d", "--name", "peer", "--network", "other", image, "sleep", "600").line()
    mac, address = detail(apus, "peer", "MacAddress", "other").replace(":", ""), detail(apus, "peer", "IPAddress", "other")
    enter = lambda identifier, *words: ["nsenter", f"--net={own_daemon.run}/netns/{identifier}", sys.executable, "-c", *words]
    with subprocess.Popen(enter(peer, LISTEN), stdout=subprocess.PIPE, text=True) as listener:
        assert read_line(listener) == "listening\n"
        for _ in range(8):
            frame_of_another = mac + "02deadbeef01" + "88b5" + (b" type=spoofed " + bytes(40)).hex()
            with subprocess.Popen(enter(rogue, BLAST, frame_of_another), stdout=subprocess.PIPE, text=True) as blast:
                assert read_line(blast) == "ready\n"
                apus("network", "connect", "other", "rogue").ok()
            assert blast.returncode == 0
            apus("network", "disconnect", "other", "rogue").ok()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host_itself:
            host_itself.sendto(b"the end", (address, 9))
        assert read_rest(listener).split() == []
