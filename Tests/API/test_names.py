"""Names: how containers find each other, and everybody else."""

import os
import re
import signal
import subprocess
import sys
import time

import dns
import leaks
import pytest
from conftest import CLIENTS, Client, Daemon
from processes import PATIENCE, held_in_one_of_several_rounds, read_line, wait_until
from test_network_options import net_of  # noqa: F401 (fixture)
from test_networks import wait_until_heard
from test_ports import command_line, servers

# Docker's address of the server in every container's network.
SERVER = "127.0.0.11"


def resolve(cli, name, wanted, *flags):
    """What busybox's own resolver of a container finds: addresses, sorted."""
    shown = cli("exec", name, "nslookup", *flags, wanted)
    found = re.findall(r"^Address:\s+(\S+)$", shown.out.replace(f"{SERVER}:53", ""), re.M) or re.findall(r"name = (\S+)", shown.out)
    return sorted(found)


def address(cli, name, net, key="IPAddress"):
    return cli.inspect(name, f'{{{{(index .NetworkSettings.Networks "{net}").{key}}}}}')


def namespace(daemon, identifier):
    return f"{daemon.run}/netns/{identifier}"


# A server of the version before orders asked for the version: it serves by one of ours, which ends with it, and does not know that order.
FORMER = """
import ctypes, os, socket, subprocess, sys, threading
folder, words = sys.argv[1], sys.argv[2:]
os.chdir(folder)
prctl, (death_signal, set_name) = ctypes.CDLL(None).prctl, (1, 15)
prctl(set_name, b"apus-net", 0, 0, 0)
def listen(name):
    if os.path.exists(name):
        os.unlink(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(name)
    listener.listen(32)
    return listener
inner = listen("inner.sock")
words[words.index("-listener") + 1] = str(inner.fileno())
subprocess.Popen(words, pass_fds=[inner.fileno()], preexec_fn=lambda: prctl(death_signal, 9, 0, 0, 0))
outer = listen("control.sock")
def serve(link):
    onwards = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    onwards.connect("inner.sock")
    while order := link.recv(4096):
        if order == b"1 version":
            link.send(b"no order that is known here: " + order)
        else:
            onwards.send(order)
            link.send(onwards.recv(65536))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(outer.accept()[0],), daemon=True).start()
"""

# Asks for a name fifty times a second, whatever becomes of the questions before, and says of each by its number how it ended.
ASKING = """
import select, socket, sys, time
question = b"".join(bytes([len(label)]) + label for label in sys.argv[1].encode().split(b"."))
number, waiting, poller = 0, {}, select.poll()
while True:
    number += 1
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.sendto(number.to_bytes(2, "big") + bytes.fromhex("01000001000000000000") + question + bytes.fromhex("0000010001"), ("127.0.0.11", 53))
    poller.register(client, select.POLLIN)
    waiting[client.fileno()] = (number, client, time.monotonic() + 5)
    until = time.monotonic() + 0.02
    while (left := until - time.monotonic()) > 0:
        for descriptor, _ in poller.poll(left * 1000):
            asked, client, _ = waiting.pop(descriptor)
            poller.unregister(client)
            answer = client.recv(512)
            print(asked, "found" if answer[3] & 15 == 0 and answer[7] else "unknown", flush=True)
            client.close()
    for descriptor, (asked, client, deadline) in list(waiting.items()):
        if deadline < time.monotonic():
            del waiting[descriptor]
            poller.unregister(client)
            print(asked, "lost", flush=True)
            client.close()
"""


def test_the_server_of_names_of_a_former_version_is_replaced_and_no_name_is_lost(brittle, tmp_path):
    client, image = brittle.client, brittle.image
    client("network", "create", "mine").ok()
    for name in ("asker", "other"):
        client("run", "-d", "--name", name, "--network", "mine", image, "sleep", "600").ok()
    [running] = servers(brittle)
    words = command_line(running)
    words[0] = os.path.realpath(f"/proc/{running}/exe")
    inside = ["nsenter", "--net=" + client.inspect("asker", "{{.NetworkSettings.SandboxKey}}")]
    brittle.kill()
    os.kill(running, signal.SIGKILL)
    former = subprocess.Popen([sys.executable, "-c", FORMER, f"{brittle.run}/names", *words], stdout=subprocess.PIPE, text=True)
    told = tmp_path / "told"
    asker = None
    try:
        assert read_line(former) == "ready\n"
        with open(told, "w", encoding="utf-8") as file:
            asker = subprocess.Popen([*inside, sys.executable, "-c", ASKING, "other"], stdout=file)

        def answers():
            """By the question's number, up to the last line that is whole."""
            return {int(line.split()[0]): line.split()[1] for line in told.read_text().splitlines(keepends=True) if line.endswith("\n")}

        def since(first):
            """What came of every question from that one on; nothing while it is not known of all that were asked before the last one that it is known of."""
            found = {number: end for number, end in answers().items() if number >= first}
            return found if found and len(found) == max(found) - first + 1 else {}

        wait_until(lambda: list(answers().values())[-5:] == ["found"] * 5, "the former one serves")
        before = max(answers()) + 1
        brittle.start()
        assert former.wait(10 * PATIENCE) == -signal.SIGKILL
        after = max(answers(), default=0)
        ends = wait_until(lambda: (found := since(before)) and max(found) > after + 25 and list(found.values()), "it has asked on", seconds=30)
        assert ends.count("lost") <= 2 and "unknown" not in ends, ends
        # What a former one does not know is served.
        client("run", "-d", "--name", "later", "--network", "mine", "-p", "[::]:18290:80", image, "sleep", "600").ok()
        assert resolve(client, "asker", "later") == [address(client, "later", "mine")]
        [ours] = servers(brittle)
        assert ours != former.pid
    finally:
        for process in (former, asker):
            if process:
                process.kill()
                process.wait()
        former.stdout.close()
    # The next daemon leaves it where it is.
    brittle.kill()
    brittle.start()
    assert resolve(client, "asker", "other") == [address(client, "other", "mine")] and servers(brittle) == [ours]


@pytest.fixture
def box(cli, image):
    def run(name, *flags, command=("sleep", "600")):
        return cli("run", "-d", "--name", name, *flags, image, *command).line()

    return run


@pytest.fixture
def upstream(own_daemon):
    """Starts servers, and names them in the daemon's resolv.conf."""
    running = []
    with open(own_daemon.resolver, encoding="utf-8") as file:
        before = file.read()

    def start(**servers):
        """`host54={...}` is a server on 127.0.0.54."""
        for name, options in servers.items():
            running.append(dns.Upstream(f"127.0.0.{name.removeprefix('host')}", **options))
        point([f"127.0.0.{name.removeprefix('host')}" for name in servers])
        return running

    def point(addresses):
        with open(f"{own_daemon.resolver}.new", "w", encoding="utf-8") as file:
            file.write("search home.test\noptions edns0\n" + "".join(f"nameserver {address}\n" for address in addresses))
        os.rename(f"{own_daemon.resolver}.new", own_daemon.resolver)
        # The file counts again after a second at most.
        time.sleep(1.1)

    start.point = point
    yield start
    for server in running:
        server.stop()
    with open(own_daemon.resolver, "w", encoding="utf-8") as file:
        file.write(before)


def test_feature_G07_containers_of_a_network_find_each_other_by_name_alias_and_short_id(cli, net, box, own_daemon):
    net("mine", "--ipv6"), net("other")
    db = box("db", "--network", "mine", "--network-alias", "store", command=("nc", "-ll", "-p", "5432", "-e", "echo", "rows"))
    wait_until_heard(cli, "db", port=5432)
    box("web", "--network", "mine", "--hostname", "web-host")
    box("stranger", "--network", "other")
    both = sorted([address(cli, "db", "mine"), address(cli, "db", "mine", "GlobalIPv6Address")])
    for name in ("db", "DB", "store", db[:12], "db.mine"):
        assert resolve(cli, "web", name) == both, name
    assert cli("exec", "web", "nc", "-w", "15", "store", "5432").line() == "rows"
    assert cli("exec", "web", "ping", "-c", "1", "-W", "15", "db").code == 0
    assert resolve(cli, "db", "web-host")[:1] == [address(cli, "web", "mine")] and resolve(cli, "web", "web")
    # The name is known, and has no such record.
    answer = dns.ask(namespace(own_daemon, db), "web", dns.MX)
    assert (answer.code, answer.records) == (dns.NOERROR, [])
    # Addresses lead back.
    assert resolve(cli, "web", address(cli, "db", "mine")) == ["db.mine"]
    assert resolve(cli, "web", address(cli, "db", "mine", "GlobalIPv6Address")) == ["db.mine"]
    # Another network's names are nobody's business.
    assert resolve(cli, "stranger", "db") == [] and resolve(cli, "web", "stranger") == []
    assert resolve(cli, "stranger", address(cli, "db", "mine")) == []


def test_feature_G07_names_follow_restarts_renames_and_changes_of_networks(cli, net, box):
    net("mine"), net("late")
    box("db", "--network", "mine")
    box("web", "--network", "mine")
    cli("stop", "-t", "0", "db").ok()
    assert resolve(cli, "web", "db") == []
    box("takes-its-place", "--network", "mine")
    cli("start", "db").ok()
    assert resolve(cli, "web", "db") == [address(cli, "db", "mine")]
    cli("rename", "db", "database").ok()
    assert resolve(cli, "web", "database") == [address(cli, "database", "mine")] and resolve(cli, "web", "db") == []
    cli("restart", "-t", "0", "database").ok()
    assert resolve(cli, "web", "database") == [address(cli, "database", "mine")]
    # A container of the default network gets names with its first network that has them.
    box("plain")
    assert SERVER not in cli("exec", "plain", "cat", "/etc/resolv.conf").ok()
    cli("network", "connect", "--alias", "nick", "late", "plain").ok()
    cli("network", "connect", "late", "web").ok()
    assert SERVER in cli("exec", "plain", "cat", "/etc/resolv.conf").ok()
    assert resolve(cli, "plain", "web") == [address(cli, "web", "late")] and resolve(cli, "web", "nick") == [address(cli, "plain", "late")]
    assert resolve(cli, "web", "database") == [address(cli, "database", "mine")]
    cli("network", "disconnect", "late", "plain").ok()
    assert resolve(cli, "web", "nick") == []


def test_feature_G07_one_alias_of_several_containers_takes_turns(cli, net, box, own_daemon):
    net("mine")
    for number in range(3):
        asker = box(f"member{number}", "--network", "mine", "--network-alias", "service")
    all_of_them = {address(cli, f"member{number}", "mine") for number in range(3)}
    answers = [dns.ask(namespace(own_daemon, asker), "service").records for _ in range(6)]
    assert all(set(answer) == all_of_them for answer in answers)
    assert {answer[0] for answer in answers[:3]} == all_of_them
    # So they do for who asks as resolvers do, for both families at a time, and for who asks for other names in between.
    for between in ([("service", dns.AAAA), ("service", dns.MX)], [("member0", dns.A), ("member1", dns.A)]):
        firsts = set()
        for _ in range(3):
            firsts.add(dns.ask(namespace(own_daemon, asker), "service").records[0])
            for name, kind in between:
                dns.ask(namespace(own_daemon, asker), name, kind)
        assert firsts == all_of_them, between


def test_feature_G07_a_link_names_a_container_for_one_other_alone(cli, net, box):
    net("mine")
    box("db", "--network", "mine")
    box("web", "--network", "mine", "--link", "db:store")
    box("other", "--network", "mine")
    assert resolve(cli, "web", "store") == resolve(cli, "web", "db") == [address(cli, "db", "mine")]
    assert resolve(cli, "other", "store") == []
    # It is the name that counts, not what had it first.
    cli("rm", "-f", "db").ok()
    assert resolve(cli, "web", "store") == []
    box("db", "--network", "mine")
    assert resolve(cli, "web", "store") == [address(cli, "db", "mine")]


def test_feature_G02_the_default_network_has_no_names(cli, box):
    box("server")
    box("asks")
    assert SERVER not in cli("exec", "asks", "cat", "/etc/resolv.conf").ok()
    assert cli("exec", "asks", "ping", "-c", "1", "-W", "1", "server").code != 0


def test_feature_C20_the_files_in_etc_are_as_docker_writes_them(cli, net, box, own_daemon, upstream):
    net("mine")
    upstream.point(["127.0.0.54"])
    plain = box("plain", "--network", "mine", "--hostname", "me", "--domainname", "example.org")
    assert cli("exec", "plain", "cat", "/etc/resolv.conf").ok() == f"search home.test\nnameserver {SERVER}\noptions edns0 ndots:0\n"
    assert cli("exec", "plain", "cat", "/etc/hostname").ok() == "me\n"
    assert cli("exec", "plain", "tail", "-n", "1", "/etc/hosts").ok() == f"{address(cli, 'plain', 'mine')}\tme.example.org me\n"
    box("asks", "--network", "mine", "--dns", "192.0.2.53", "--dns-search", "example.net", "--dns-option", "ndots:2")
    assert cli("exec", "asks", "cat", "/etc/resolv.conf").ok() == f"search example.net\nnameserver {SERVER}\noptions ndots:2\n"
    # Port 53 of its own is free for a container.
    cli("exec", "-d", "plain", "nc", "-ll", "-p", "53", "-e", "echo", "mine").ok()
    wait_until(lambda: cli("exec", "plain", "nc", "-w", "1", "127.0.0.1", "53").out == "mine\n", "its own server answers")
    for stream in (False, True):
        assert dns.ask(namespace(own_daemon, plain), "asks", stream=stream).records == [address(cli, "asks", "mine")]


def test_T08_what_no_container_is_called_is_asked_of_the_hosts_servers(cli, net, box, own_daemon, upstream):
    net("mine")
    [server] = upstream(host54={})
    inside = namespace(own_daemon, box("web", "--network", "mine"))
    answer = dns.ask(inside, "ok.example")
    # The guess at the number that the server sent before its answer is not taken.
    assert (answer.code, answer.records, answer.id) == (dns.NOERROR, ["192.0.2.80"], 0x1234)
    assert dns.ask(inside, "none.example").code == dns.NXDOMAIN
    assert resolve(cli, "web", "ok.example") == ["192.0.2.80"] * 2
    # Numbers and ports cannot be foretold.
    dns.send(inside, [dns.query(f"r{number}.example") for number in range(40)])
    assert len(set(server.numbers[-40:])) > 35 and len(set(server.ports[-40:])) > 20
    # Cut answers are fetched whole; what does not fit the asker's datagram is to be had by its connection.
    assert len(dns.ask(inside, "big.20.example").records) == 20
    assert ("big.20.example", True) in server.asked
    cut = dns.ask(inside, "big.2000.example", payload=1232)
    assert cut.truncated and cut.size <= 1232
    assert len(dns.ask(inside, "big.200.example", payload=4096).records) == 200
    assert len(dns.ask(inside, "big.2000.example", stream=True).records) == 2000
    # 64 KiB is the most that there can be.
    assert len(dns.ask(inside, "big.4000.example", stream=True).records) == 4000


def test_T08_dead_silent_and_refusing_servers_are_passed_over_within_two_seconds(cli, net, box, own_daemon, upstream):
    net("mine")
    inside = namespace(own_daemon, box("web", "--network", "mine"))
    box("db", "--network", "mine")

    def seconds(name, wanted):
        began = time.monotonic()
        answer = dns.ask(inside, name)
        assert answer and answer.records == wanted, (name, answer and answer.code)
        return time.monotonic() - began

    # In each round another question, put to servers of which nothing is known yet.
    numbers = iter(range(55, 255, 4))

    def anew():
        first = next(numbers)
        upstream(**{f"host{first}": {"silent": True}, f"host{first + 1}": {"code": dns.REFUSED}, f"host{first + 2}": {"marker": "192.0.2.81"}})
        return seconds(f"a{first}.example", ["192.0.2.81"])

    def again(wanted):
        return lambda: seconds(f"b{next(numbers)}.example", [wanted])

    # One that says nothing, one that refuses, then one that answers.
    held_in_one_of_several_rounds(anew, 2, "the third server's answer comes")
    # Who was silent is not waited for a second time.
    held_in_one_of_several_rounds(again("192.0.2.81"), 0.6, "the third server's answer comes at once")
    # No datagrams at all: by a connection.
    upstream(host54={"datagrams": False, "marker": "192.0.2.82"})
    held_in_one_of_several_rounds(again("192.0.2.82"), 2, "an answer comes by a connection")
    # Nobody anywhere: names of containers are found all the same, and the asker is told.
    upstream.point(["127.0.0.53"])
    assert dns.ask(inside, "d.example").code == dns.SERVFAIL
    db = [address(cli, "db", "mine")]
    held_in_one_of_several_rounds(lambda: seconds("db", db), 0.6, "a container's name is found at once")
    # All refuse: that is the answer.
    upstream.point(["127.0.0.56"])
    assert dns.ask(inside, "e.example").code == dns.REFUSED


MANY_QUESTIONS = r"""
import socket, struct, sys, time
sys.path.insert(0, sys.argv[1])
import dns
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.connect(("127.0.0.11", 53))
link.settimeout(5)
wanted, count, window, answered, number = sys.argv[2], int(sys.argv[3]), 64, 0, 0
begin = time.monotonic()
while answered < count:
    while number < count and number - answered < window:
        link.send(dns.query("db", number=number & 0xFFFF))
        number += 1
    answer = dns.Answer(link.recv(65535))
    assert answer.code == dns.NOERROR and answer.records == [wanted], (answer.code, answer.records)
    answered += 1
print(answered, time.monotonic() - begin)
"""


def test_T08_ten_thousand_questions_of_one_container_are_all_answered(cli, net, box, own_daemon, upstream):
    net("mine")
    # Nobody outside answers, which names of containers do not depend on.
    upstream(host66={"silent": True})
    box("db", "--network", "mine")
    inside = namespace(own_daemon, box("asks", "--network", "mine"))
    said = subprocess.run(
        ["nsenter", f"--net={inside}", sys.executable, "-c", MANY_QUESTIONS, os.path.dirname(os.path.abspath(dns.__file__)),
         address(cli, "db", "mine"), "10000"],
        capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert said[0] == "10000"
    # Python asks and reads for the most part of this time; unloaded it is about a second.
    assert float(said[1]) < 30, said


def test_T04_a_change_of_the_hosts_servers_is_followed(net, cli, box, own_daemon, upstream):
    net("mine")
    inside = namespace(own_daemon, box("web", "--network", "mine"))
    upstream(host61={"marker": "192.0.2.61"})
    assert dns.ask(inside, "x.example").records == ["192.0.2.61"]
    upstream(host62={"marker": "192.0.2.62"})
    assert dns.ask(inside, "x.example").records == ["192.0.2.62"]


def test_T08_a_server_of_the_hosts_that_means_something_on_one_link_alone_is_asked_there(apus, net_of, image, own_daemon, upstream):
    net_of("mine")
    subprocess.run(["ip", "link", "add", "zoned", "type", "veth", "peer", "name", "zoned-end"], check=True)
    server = None
    try:
        subprocess.run(["ip", "addr", "add", "fe80::53/64", "dev", "zoned", "nodad"], check=True)
        for end in ("zoned", "zoned-end"):
            subprocess.run(["ip", "link", "set", end, "up"], check=True)
        server = dns.Upstream("fe80::53%zoned", marker="192.0.2.67")
        upstream.point(["fe80::53%zoned"])
        apus("run", "-d", "--name", "web", "--network", "mine", image, "sleep", "600").ok()
        inside = namespace(own_daemon, apus.inspect("web", "{{.Id}}"))
        for stream in (False, True):
            assert dns.ask(inside, "x.example", stream=stream).records == ["192.0.2.67"]
        assert ("x.example", False) in server.asked
        # Who asks for himself does not get it: on a link of his own of that name it would be somebody else.
        assert "fe80" not in apus("run", "--rm", image, "cat", "/etc/resolv.conf").ok()
    finally:
        if server:
            server.stop()
        subprocess.run(["ip", "link", "del", "zoned"], check=True)


def test_feature_C20_servers_of_the_containers_own_are_asked_from_its_network(cli, net, box, image, own_daemon, upstream):
    net("mine", "--subnet", "10.81.0.0/24")
    [host] = upstream(host63={})
    server = box("server", "--network", "mine", "--ip", "10.81.0.53")
    inside = namespace(own_daemon, box("web", "--network", "mine", "--dns", "10.81.0.53"))
    code = ("import sys, time; sys.path.insert(0, %r); import dns; "
            "dns.Upstream('10.81.0.53', marker='192.0.2.63'); print('ready', flush=True); time.sleep(600)") % os.path.dirname(os.path.abspath(dns.__file__))
    process = subprocess.Popen(["nsenter", f"--net={namespace(own_daemon, server)}", sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert read_line(process) == "ready\n"
        assert dns.ask(inside, "x.example").records == ["192.0.2.63"] and host.asked == []
        # Containers' names stand before it.
        assert dns.ask(inside, "server").records == ["10.81.0.53"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_attack_F16_an_internal_network_asks_nobody_outside(cli, net, box, own_daemon, upstream):
    net("closed", "--internal")
    [server] = upstream(host64={})
    inside = namespace(own_daemon, box("web", "--network", "closed"))
    box("db", "--network", "closed")
    assert dns.ask(inside, "secret.example").code == dns.SERVFAIL
    assert dns.ask(inside, "secret.example", stream=True).code == dns.SERVFAIL
    assert dns.ask(inside, "db").records == [address(cli, "db", "closed")]
    assert server.asked == []


def test_attack_F17_what_is_no_question_does_nothing(cli, net, box, own_daemon):
    net("mine")
    inside = namespace(own_daemon, box("web", "--network", "mine"))
    [process] = servers(own_daemon)
    header = bytes.fromhex("123401000001000000000000")
    wrong = [b"", b"\0", header, header + b"\xc0\x0c\0\1\0\1", header + b"\xc0\x0e\xc0\x0c\0\1\0\1", header + b"\x3f" + b"a" * 10,
             b"\x12\x34\x81\x00" + dns.query("web")[4:], header[:4] + b"\xff" * 8 + dns.wire("web") + b"\0\1\0\1",
             dns.query(".".join(["a" * 63] * 5)), os.urandom(512), dns.query("web") + b"\0" * 5000]
    assert dns.send(inside, wrong, timeout=0.1) == [None] * len(wrong)
    assert dns.send(inside, wrong[2:6], stream=True, timeout=0.3) == [None] * 4
    # An operation that is none, and extensions of the future.
    strange = dns.query("web")
    [notify] = dns.send(inside, [strange[:2] + b"\x21\0" + strange[4:]])
    assert dns.Answer(notify).code == 4
    assert dns.ask(inside, "web").records == [address(cli, "web", "mine")]
    assert servers(own_daemon) == [process]


def test_attack_F17_who_floods_the_server_takes_nothing_from_the_others(cli, net, box, own_daemon, upstream):
    net("mine"), net("calm")
    upstream(host65={"silent": True})
    flooder = box("flooder", "--network", "mine")
    calm = namespace(own_daemon, box("calm", "--network", "calm"))
    [process] = servers(own_daemon)
    resident = lambda: int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{process}/status", encoding="utf-8").read()).group(1))
    before = resident()
    # Questions that nobody answers, as fast as they go, and connections that are only opened.
    code = ("import sys; sys.path.insert(0, %r); import dns, socket; links = []\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.11', 53))\n"
            "for _ in range(200):\n"
            "    try: links.append(socket.create_connection(('127.0.0.11', 53), timeout=0.2))\n"
            "    except OSError: break\n"
            "print('ready', flush=True); n = 0\n"
            "while True:\n"
            "    n += 1\n"
            "    try: s.send(dns.query(f'x{n}.example'))\n"
            "    except OSError: pass\n") % os.path.dirname(os.path.abspath(dns.__file__))
    flood = subprocess.Popen(["nsenter", f"--net={namespace(own_daemon, flooder)}", sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert read_line(flood) == "ready\n"
        expected, took = [address(cli, "calm", "calm")], []
        for _ in range(20):
            began = time.monotonic()
            assert dns.ask(calm, "calm", timeout=15).records == expected
            took.append(time.monotonic() - began)
        # One of them may have come when the machine did something else.
        assert sorted(took)[10] < 2 * PATIENCE, took
        assert dns.ask(calm, "calm", stream=True, timeout=15).records == [address(cli, "calm", "calm")]
        assert resident() - before < 10_240
        assert leaks.descriptors(process) < 1000
    finally:
        flood.kill()
        flood.wait()
        flood.stdout.close()
    assert servers(own_daemon) == [process]


def test_P01_names_go_on_while_the_daemon_is_dead_and_after(brittle, registry):
    client = brittle.client
    client("network", "create", "mine").ok()
    db = client("run", "-d", "--name", "db", "--network", "mine", brittle.image, "sleep", "600").line()
    web = client("run", "-d", "--name", "web", "--network", "mine", brittle.image, "sleep", "600").line()
    address_of = lambda name: address(client, name, "mine")
    inside, wanted = namespace(brittle, web), [address_of("db")]
    [process] = servers(brittle)
    brittle.kill()
    assert dns.ask(inside, "db").records == wanted and servers(brittle) == [process]
    brittle.start()
    # The same server, and it is spoken to.
    assert dns.ask(inside, "db").records == wanted and servers(brittle) == [process]
    client("run", "-d", "--name", "new", "--network", "mine", brittle.image, "sleep", "600").ok()
    assert servers(brittle) == [process] and dns.ask(inside, "new").records == [address_of("new")]
    # Killed, it is there again without anybody's asking.
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: servers(brittle) not in ([], [process]), "another one serves")
    wait_until(lambda: (answer := dns.ask(inside, "db", timeout=0.5)) and answer.records == wanted, "it answers")
    # Killed while no daemon runs: the next daemon brings it back.
    brittle.kill()
    [process] = servers(brittle)
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not servers(brittle), "nobody serves")
    assert dns.ask(inside, "db", timeout=0.2) is None
    brittle.start()
    assert dns.ask(inside, "db").records == wanted
    client("rm", "-f", "db").ok()
    assert dns.ask(inside, "db").code == dns.SERVFAIL
    client("rm", "-f", "web", "new").ok()
    assert os.listdir(f"{brittle.run}/names/entries") == []
    assert brittle.stop() == 0
    wait_until(lambda: not servers(brittle), "without containers and daemon nobody serves", seconds=15)
    brittle.start()
    client("network", "rm", "mine").ok()


def test_a_deep_folder_of_the_daemons_is_no_hindrance(workspace, registry):
    daemon = Daemon(os.path.join(workspace, "deep"))
    daemon.run = os.path.join(daemon.folder, "d" * 60, "e" * 60)
    os.makedirs(daemon.run)
    daemon.start()
    client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    try:
        client("pull", f"{registry.host}/busybox").ok()
        client("network", "create", "mine").ok()
        one = client("run", "-d", "--name", "one", "--network", "mine", "-p", "18200:80", f"{registry.host}/busybox", "sleep", "600").line()
        assert dns.ask(namespace(daemon, one), "one").records == [address(client, "one", "mine")]
    finally:
        client("rm", "-f", "one")
        client("network", "rm", "mine")
        assert daemon.stop() == 0
        wait_until(lambda: not servers(daemon), "the server of names has ended")
        daemon.forget_network()
