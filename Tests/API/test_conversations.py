"""Conversations that outlive the container they were with: where the kernel leads their datagrams then."""

import contextlib
import socket
import struct
import subprocess
import sys
import threading

import pytest
from processes import read_line, wait_until
from test_networks import address, lan  # noqa: F401 (fixture)

# Answers every datagram with its own name.
NAMED = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", int(sys.argv[2])))
print("ready", flush=True)
while True:
    data, sender = server.recvfrom(100)
    try:
        server.sendto(sys.argv[1].encode(), sender)
    except OSError:
        pass  # Between two networks there is no way back.
"""

# One conversation that never rests: a datagram twenty times a second, whatever comes back, and a line for each that does, or for ten that were sent.
ASKING = """
import socket, sys
family, place = (socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET), (sys.argv[1], int(sys.argv[2]))
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(0.05)
sent = 0
while True:
    try:
        client.sendto(b"who", place)
        sent += 1
        print(client.recvfrom(100)[0].decode(), flush=True)
    except OSError:
        if sent % 10 == 0:
            print("-", flush=True)
"""


class Asker:
    """A conversation from the beginning of a `with` to its end."""

    def __init__(self, *where, within=()):
        self.lines = []
        self.process = subprocess.Popen([*within, sys.executable, "-c", ASKING, *map(str, where)], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(daemon=True, target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()

    def hears(self, name):
        """From now on."""
        begin = len(self.lines)
        wait_until(lambda: name in self.lines[begin:], f"{name} answers, not {set(self.lines[begin:])}")

    def asks_in_vain(self):
        """Many times, from now on."""
        self.hears("-")
        begin = len(self.lines)
        wait_until(lambda: self.lines[begin:].count("-") > 1, "it has asked often")
        assert set(self.lines[begin:]) == {"-"}


@contextlib.contextmanager
def answering_on_the_host(address_of_host, port):
    """A program of the host's own that calls itself `host`."""
    with socket.socket(socket.AF_INET6 if ":" in address_of_host else socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address_of_host, port))
        server.settimeout(0.1)
        over = threading.Event()

        def answer():
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    server.sendto(b"host", server.recvfrom(100)[1])

        thread = threading.Thread(daemon=True, target=answer)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@pytest.fixture
def named(apus):
    """A server in a container's network, by the container's name."""
    running = []

    def start(name, port=53):
        inside = ["nsenter", "--net=" + apus.inspect(name, "{{.NetworkSettings.SandboxKey}}")]
        server = subprocess.Popen([*inside, sys.executable, "-c", NAMED, name, str(port)], stdout=subprocess.PIPE, text=True)
        running.append(server)
        assert read_line(server) == "ready\n"

    yield start
    for server in running:
        server.kill()
        server.wait()
        server.stdout.close()


def test_attack_F16_an_old_conversation_reaches_nobody_who_got_its_containers_address(apus, image, lan, named):
    box = lambda name, *flags: apus("run", "-d", "--name", name, *flags, image, "sleep", "600").ok()
    box("old", "-p", "18190:53/udp")
    named("old")
    own = address(apus, "old")
    with Asker("198.51.100.1", 18190, within=("ip", "netns", "exec", "lan")) as stranger, Asker("127.0.0.1", 18190) as local, \
            Asker("::1", 18190) as loopback:
        askers = (stranger, local, loopback)
        for asker in askers:
            asker.hears("old")
        apus("rm", "-f", "old").ok()
        # Who publishes nothing has its address now, and a server on its port.
        box("next")
        named("next")
        assert address(apus, "next") == own
        for asker in askers:
            asker.asks_in_vain()
        # Who publishes the port has another address: the conversations, which never rested, are with it from now on.
        box("new", "-p", "18190:53/udp")
        named("new")
        assert address(apus, "new") != own
        for asker in askers:
            asker.hears("new")


def test_attack_F16_a_conversation_with_an_endpoint_ends_with_it(apus, image, lan, named):
    apus("network", "create", "second").ok()
    try:
        apus("run", "-d", "--name", "both", "-p", "18191:53/udp", image, "sleep", "600").ok()
        apus("network", "connect", "second", "both").ok()
        named("both")
        first = address(apus, "both")
        with Asker("198.51.100.1", 18191, within=("ip", "netns", "exec", "lan")) as stranger:
            stranger.hears("both")
            apus("network", "disconnect", "bridge", "both").ok()
            # By the other network's address; the first one's is somebody else's, with a server on that port.
            stranger.hears("both")
            apus("run", "-d", "--name", "other", image, "sleep", "600").ok()
            named("other")
            assert address(apus, "other") == first
            begin = len(stranger.lines)
            stranger.hears("both")
            assert "other" not in stranger.lines[begin:]
    finally:
        apus("rm", "-f", "both", "other")
        apus("network", "rm", "second").ok()


def test_attack_F16_a_port_that_went_with_a_network_is_the_hosts_own_again(apus, image, named):
    """By the loopback of both families; the conversations, which never rest, are with a program of the host's from then on."""
    apus("run", "-d", "--name", "old", "-p", "18196:53/udp", image, "sleep", "600").ok()
    named("old")
    with Asker("127.0.0.1", 18196) as four, Asker("::1", 18196) as six:
        for asker in (four, six):
            asker.hears("old")
        apus("network", "disconnect", "bridge", "old").ok()
        with answering_on_the_host("127.0.0.1", 18196):
            four.hears("host")
        # Who listens at ::1 alone has it from nobody who leads it on.
        with answering_on_the_host("::1", 18196):
            six.hears("host")


def test_attack_F16_a_loopback_port_of_its_own_leads_to_the_next_container_that_has_it(apus, image, named):
    """Published on ::1 alone, where no translation of the kernel's leads on."""
    box = lambda name, *flags: apus("run", "-d", "--name", name, *flags, image, "sleep", "600").ok()
    box("old", "-p", "[::1]:18192:53/udp")
    named("old")
    own = address(apus, "old")
    with Asker("::1", 18192) as asker:
        asker.hears("old")
        apus("rm", "-f", "old").ok()
        box("next")
        named("next")
        box("new", "-p", "[::1]:18192:53/udp")
        named("new")
        assert address(apus, "next") == own
        asker.hears("new")


def test_attack_F16_a_port_of_ipv6_that_somebody_leads_on_ends_with_its_container(apus, image, lan, named):
    """By an address of the host where no translation of the kernel's leads to a container of IPv4."""
    subprocess.run(["ip", "addr", "add", "2001:db8::1/64", "dev", "uplink", "nodad"], check=True)
    lan("ip", "addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
    box = lambda name, *flags: apus("run", "-d", "--name", name, *flags, image, "sleep", "600").ok()
    box("old", "-p", "18195:53/udp")
    named("old")
    with Asker("2001:db8::1", 18195, within=("ip", "netns", "exec", "lan")) as stranger:
        stranger.hears("old")
        apus("rm", "-f", "old").ok()
        # Published on 127.0.0.1, the port is for the host alone.
        box("next", "-p", "127.0.0.1:18195:53/udp")
        named("next")
        stranger.asks_in_vain()
        apus("rm", "-f", "next").ok()
        box("new", "-p", "18195:53/udp")
        named("new")
        stranger.hears("new")


def tracked():
    """What the kernel tells of the conversations of IPv4 that it keeps track of. - Source: linux/netfilter/nfnetlink_conntrack.h."""
    told = b""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:
        link.send(struct.pack("=IHHII4s", 20, 1 << 8 | 1, 0x301, 1, 0, bytes([socket.AF_INET, 0, 0, 0])))
        while True:
            part = link.recv(65536)
            told += part
            if struct.unpack_from("=H", part, 4)[0] == 3:
                return told


def test_conversations_of_auxiliary_addresses_outlive_the_daemon(brittle):
    """They are somebody's on the network who is no container."""
    client = brittle.client
    client("network", "create", "--subnet", "10.87.0.0/24", "--aux-address", "router=10.87.0.9", "shared").ok()
    client("run", "-d", "--name", "one", "--network", "shared", brittle.image, "sleep", "600").ok()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        for target in ("10.87.0.9", "10.87.0.77"):
            speaker.sendto(b"x", (target, 53))
        wait_until(lambda: all(socket.inet_aton(each) in tracked() for each in ("10.87.0.9", "10.87.0.77")), "the kernel keeps track of both")
        brittle.kill()
        brittle.start()
        wait_until(lambda: socket.inet_aton("10.87.0.77") not in tracked(), "nobody's is forgotten")
        assert socket.inet_aton("10.87.0.9") in tracked()


def test_attack_F16_the_next_daemon_ends_conversations_that_a_killed_one_left(brittle, lan):
    client = brittle.client
    client("run", "-d", "--name", "stays", "-p", "18193:53/udp", brittle.image, "sleep", "600").ok()
    own = address(client, "stays")
    nobody = own.rsplit(".", 1)[0] + ".77"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        for target in ((nobody, 53), ("127.0.0.1", 18193)):
            speaker.sendto(b"x", target)
        wait_until(lambda: all(socket.inet_aton(each) in tracked() for each in (own, nobody)), "the kernel keeps track of both")
        brittle.kill()
        brittle.start()
        wait_until(lambda: socket.inet_aton(nobody) not in tracked(), "nobody's is forgotten")
        assert socket.inet_aton(own) in tracked()
