"""Networks: which there are, who is on them, what reaches what."""
# Rows: features

import json
import socket
import subprocess

import leaks
import pytest
from processes import wait_until


def host(*words, check=True):
    return subprocess.run(words, capture_output=True, text=True, check=check).stdout


def serve(answer):
    """What a container runs that answers everybody who connects to its port 80."""
    return ["nc", "-ll", "-p", "80", "-e", "echo", answer]


def ask(server, port=80, seconds=2):
    return ["nc", "-w", str(seconds), str(server), str(port)]


def wait_until_heard(cli, *names, port=80):
    """A container that runs is heard once its process has come to listen."""
    def listens(pid):
        for kind in ("tcp", "tcp6"):
            with open(f"/proc/{pid}/net/{kind}", encoding="ascii") as file:
                if any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in file):
                    return True
        return False

    for name in names:
        pid = cli.inspect(name, "{{.State.Pid}}")
        wait_until(lambda pid=pid: listens(pid), f"{name} listens", seconds=30)


def network(cli, *words):
    return json.loads(cli("network", "inspect", *words).ok())


def address(cli, name, net="bridge"):
    return cli.inspect(name, f"{{{{(index .NetworkSettings.Networks \"{net}\").IPAddress}}}}")


def test_G01_the_default_network_is_there_from_the_first_start_and_joined_by_default(cli, image):
    lines = cli("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}").ok().split("\n")
    assert {"bridge bridge local", "host host local", "none null local"} <= set(lines)
    cli("run", "-d", "--name", "one", image, "sleep", "600").ok()
    [bridge] = network(cli, "bridge")
    assert [member["Name"] for member in bridge["Containers"].values()] == ["one"]
    [member] = bridge["Containers"].values()
    assert member["IPv4Address"] == address(cli, "one") + "/16"
    assert cli("network", "rm", "bridge").code == 1
    assert "pre-defined" in cli("network", "rm", "bridge").err


def test_A09_the_payload_has_address_and_default_route_before_its_first_instruction(cli, image):
    shown = cli("run", "--rm", image, "sh", "-c", "ip -o addr show eth0; ip route; cat /etc/hosts; cat /sys/class/net/eth0/operstate").ok()
    [bridge] = network(cli, "bridge")
    gateway = bridge["IPAM"]["Config"][0]["Gateway"]
    assert f"default via {gateway} dev eth0" in shown
    mine = next(word.split("/")[0] for line in shown.split("\n") if " inet " in line for word in line.split() if "/16" in word)
    assert any(line.startswith(f"{mine}\t") for line in shown.split("\n"))
    assert "up" in shown.split("\n")[-2]


def test_G02_containers_on_the_default_network_reach_each_other_by_address_and_not_by_name(cli, image):
    cli("run", "-d", "--name", "server", image, *serve("hello")).ok()
    wait_until_heard(cli, "server")
    assert cli("run", "--rm", image, *ask(address(cli, "server"), seconds=15)).line() == "hello"
    assert cli("run", "--rm", image, "ping", "-c", "1", "-W", "15", address(cli, "server")).code == 0
    assert cli("run", "--rm", image, "cat", "/etc/hosts").ok().count("server") == 0


def test_A09_only_the_link_without_ipv6_is_without_it_and_its_end_on_the_host_has_no_address(cli, image, own_daemon):
    ask_kernel = ("sh", "-c", "cd /proc/sys/net/ipv6/conf && cat lo/disable_ipv6 default/disable_ipv6 eth*/disable_ipv6 2>/dev/null; true")
    usual = cli("run", "--rm", "--network", "none", image, *ask_kernel).ok().split()
    cli("run", "-d", "--name", "one", image, "sleep", "600").ok()
    # What the container makes itself, as a tunnel, has what links have.
    assert cli("exec", "one", *ask_kernel).ok().split() == [*usual, "1"]
    cable = next(link for link in json.loads(host("ip", "-j", "-d", "addr", "show")) if link["ifname"].startswith("veth"))
    assert cable["addr_info"] == [] and cable["linkinfo"]["info_slave_data"]["hairpin"] is True and cable["flags"].count("LOWER_UP") == 1
    assert host("cat", f"/proc/sys/net/ipv6/conf/{cable['ifname']}/accept_ra") == "0\n"


def test_G03_a_container_keeps_no_address_over_a_restart_but_its_network(cli, image):
    cli("run", "-d", "--name", "first", image, "sleep", "600").ok()
    before = address(cli, "first")
    cli("stop", "-t", "0", "first").ok()
    assert address(cli, "first") == ""
    cli("run", "-d", "--name", "second", image, "sleep", "600").ok()
    cli("start", "first").ok()
    assert address(cli, "second") == before and address(cli, "first") != before


def test_G05_the_hosts_loopback_is_not_the_containers(cli, image):
    with socket.create_server(("127.0.0.1", 9123)):
        assert cli("run", "--rm", image, "nc", "-w", "2", "127.0.0.1", "9123").code != 0
        [bridge] = network(cli, "bridge")
        gateway = bridge["IPAM"]["Config"][0]["Gateway"]
        # Frames to the host's loopback addresses go nowhere, even where the kernel would route them.
        assert cli("run", "--rm", "--cap-add", "NET_ADMIN", image, "sh", "-c",
                   f"ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via {gateway} 2>/dev/null; nc -w 2 127.0.0.1 9123").code != 0


def test_G06_a_user_network_has_a_block_of_its_own(cli, net, image):
    net("front")
    net("back", "--subnet", "10.77.0.0/24", "--ip-range", "10.77.0.128/25", "--gateway", "10.77.0.254", "--label", "tier=back")
    [front], [back] = network(cli, "front"), network(cli, "back")
    assert front["IPAM"]["Config"][0]["Subnet"].endswith("/24") and front["Driver"] == "bridge" and not front["Internal"]
    assert back["IPAM"]["Config"] == [{"Subnet": "10.77.0.0/24", "IPRange": "10.77.0.128/25", "Gateway": "10.77.0.254"}]
    assert cli("network", "ls", "-q", "--filter", "label=tier=back").line() == back["Id"][:12]
    assert f"br-{front['Id'][:12]}" in leaks.links()
    again = cli("network", "create", "front")
    assert again.code == 1 and "network with name front already exists" in again.err
    overlap = cli("network", "create", "--subnet", "10.77.0.0/16", "overlap")
    assert overlap.code == 1 and "Pool overlaps with other one on this address space" in overlap.err
    assert cli("network", "create", "--subnet", "10.9.9.9", "bad").code == 1
    cli("run", "-d", "--name", "on", "--network", "back", image, "sleep", "600").ok()
    assert address(cli, "on", "back") == "10.77.0.128"
    busy = cli("network", "rm", "back")
    assert busy.code == 1 and "has active endpoints" in busy.err
    cli("rm", "-f", "on").ok()
    assert cli("network", "rm", "back").line() == "back"
    assert "network back not found" in cli("network", "inspect", "back").err.replace("No such network: back", "network back not found")


def test_C20_network_joins_that_network_only_and_a_wrong_name_is_refused(cli, net, image):
    net("only")
    cli("run", "-d", "--name", "one", "--network", "only", image, "sleep", "600").ok()
    assert list(json.loads(cli.inspect("one", "{{json .NetworkSettings.Networks}}"))) == ["only"]
    assert cli("exec", "one", "ls", "/sys/class/net").ok().split() == ["eth0", "lo"]
    wrong = cli("run", "--rm", "--network", "nosuch", image, "true")
    assert wrong.code == 125 and "network nosuch not found" in wrong.err
    assert cli("run", "--rm", "--network", "none", image, "ls", "/sys/class/net").line() == "lo"


def test_G08_a_member_of_both_networks_reaches_both_and_others_do_not(cli, net, image):
    net("front"), net("back")
    for name, where in (("web", "front"), ("db", "back")):
        cli("run", "-d", "--name", name, "--network", where, image, *serve(name)).ok()
    wait_until_heard(cli, "web", "db")
    cli("run", "-d", "--name", "both", "--network", "front", image, "sleep", "600").ok()
    cli("network", "connect", "back", "both").ok()
    web, db = address(cli, "web", "front"), address(cli, "db", "back")
    assert cli("exec", "both", *ask(web, seconds=15)).line() == "web"
    assert cli("exec", "both", *ask(db, seconds=15)).line() == "db"
    assert cli("exec", "web", *ask(db)).code != 0
    assert cli("exec", "web", "ping", "-c", "1", "-W", "1", db).code != 0
    cli("network", "disconnect", "back", "both").ok()
    assert cli("exec", "both", *ask(db)).code != 0
    assert cli("exec", "both", *ask(web, seconds=15)).line() == "web"
    again = cli("network", "disconnect", "back", "both")
    assert again.code == 1 and "is not connected to network back" in again.err


def outside():
    """A host on another network, behind a cable of this one: namespace `lan`, address 198.51.100.2."""
    host("ip", "netns", "add", "lan")
    host("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "eth0", "netns", "lan")
    host("ip", "addr", "add", "198.51.100.1/24", "dev", "uplink")
    host("ip", "link", "set", "uplink", "up")
    for words in ("link set lo up", "link set eth0 up", "addr add 198.51.100.2/24 dev eth0"):
        host("ip", "-n", "lan", *words.split())


@pytest.fixture
def lan():
    outside()
    yield lambda *words, **options: subprocess.run(
        ["ip", "netns", "exec", "lan", *words], capture_output=True, text=True, check=False, timeout=20, **options)
    host("ip", "netns", "del", "lan")
    host("ip", "link", "del", "uplink", check=False)
    wait_until(lambda: "uplink" not in leaks.links(), "the cable is gone")


def test_G10_containers_leave_under_the_hosts_address_and_internal_networks_do_not(cli, net, image, lan):
    net("closed", "--internal")
    listen = subprocess.Popen(
        ["ip", "netns", "exec", "lan", "busybox", "nc", "-ll", "-p", "80", "-e", "sh", "-c", "echo from $NCPROXY $SOCAT_PEERADDR"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: ":80" in lan("ss", "-ltn").stdout, "the server listens")
        # The other host has no route to containers: an answer means that the host's own address was seen.
        assert cli("run", "--rm", image, "nc", "-w", "15", "198.51.100.2", "80").code == 0
        assert cli("run", "--rm", image, "ping", "-c", "1", "-W", "15", "198.51.100.2").code == 0
        assert cli("run", "--rm", "--network", "closed", image, "nc", "-w", "1", "198.51.100.2", "80").code != 0
        assert "default" not in cli("run", "--rm", "--network", "closed", image, "ip", "route").ok()
        [closed] = network(cli, "closed")
        gateway = closed["IPAM"]["Config"][0]["Gateway"]
        forced = cli("run", "--rm", "--network", "closed", "--cap-add", "NET_ADMIN", image, "sh", "-c",
                     f"ip route add default via {gateway}; ping -c 1 -W 1 198.51.100.2")
        assert forced.code != 0
    finally:
        listen.kill()
        listen.wait()


def test_G06_fixed_addresses_aliases_and_link_addresses(cli, net, image):
    net("fixed", "--subnet", "10.78.0.0/24")
    cli("run", "-d", "--name", "one", "--network", "fixed", "--ip", "10.78.0.77", "--mac-address", "02:42:00:11:22:33", image, "sleep", "600").ok()
    assert address(cli, "one", "fixed") == "10.78.0.77"
    assert cli("exec", "one", "cat", "/sys/class/net/eth0/address").line() == "02:42:00:11:22:33"
    taken = cli("run", "--rm", "--network", "fixed", "--ip", "10.78.0.77", image, "true")
    assert taken.code == 125 and "Address already in use" in taken.err
    outside_block = cli("run", "--rm", "--network", "fixed", "--ip", "10.79.0.1", image, "true")
    assert outside_block.code == 125 and "10.79.0.1" in outside_block.err
    if cli.name == "docker-20.10":
        return  # It leaves the address out of its request.
    default = cli("run", "--rm", "--ip", "172.17.0.99", image, "true")
    assert default.code == 125 and "user specified IP address is supported on user defined networks only" in default.err


def test_G06_ipv6_is_a_unique_local_block_and_absent_where_it_was_not_asked_for(cli, net, image):
    net("six", "--ipv6")
    [six] = network(cli, "six")
    assert six["EnableIPv6"] and any(config["Subnet"].startswith("fd") for config in six["IPAM"]["Config"])
    cli("run", "-d", "--name", "peer", "--network", "six", image, "sleep", "600").ok()
    peer = cli.inspect("peer", '{{(index .NetworkSettings.Networks "six").GlobalIPv6Address}}')
    assert cli("run", "--rm", "--network", "six", image, "ping", "-6", "-c", "1", "-W", "15", peer).code == 0
    shown = cli("run", "--rm", image, "sh", "-c", "ip -6 addr show dev eth0")
    assert "inet6" not in shown.ok()


def test_files_in_etc_say_names_addresses_and_resolvers(cli, net, image):
    shown = cli("run", "--rm", "--hostname", "me", "--add-host", "far:192.0.2.9", "--add-host", "up:host-gateway", "--dns", "192.0.2.53",
                "--dns-search", "example.org", "--dns-option", "ndots:3", image, "sh", "-c",
                "cat /etc/hosts /etc/resolv.conf; hostname; cat /etc/hostname; ip -o -4 addr show eth0").ok().split("\n")
    [bridge] = network(cli, "bridge")
    mine = next(word.split("/")[0] for line in shown for word in line.split() if word.endswith("/16"))
    assert "192.0.2.9\tfar" in shown and f"{bridge['IPAM']['Config'][0]['Gateway']}\tup" in shown and f"{mine}\tme" in shown
    assert {"nameserver 192.0.2.53", "search example.org", "options ndots:3"} <= set(shown) and shown.count("me") == 2
    bad = cli("run", "--rm", "--add-host", "far:nowhere", image, "true")
    assert bad.code == 125 and "add-host" in bad.err


def test_a_host_name_with_its_domain_is_known_without_it_too(cli, image):
    for flags, names in ((("--hostname", "me.example.org"), "me.example.org me"), (("--hostname", "me", "--domainname", "example.org"), "me.example.org me"),
                         (("--hostname", "me.deep", "--domainname", "example.org"), "me.deep.example.org me"), (("--hostname", "me"), "me")):
        assert cli("run", "--rm", *flags, image, "tail", "-n", "1", "/etc/hosts").line().split("\t")[1] == names, flags


def test_prune_takes_networks_that_nobody_wants(cli, net, image):
    net("kept"), net("spare")
    cli("create", "--name", "idle", "--network", "kept", image, "true").ok()
    pruned = cli("network", "prune", "-f").ok()
    assert "spare" in pruned and "kept" not in pruned
    assert {"kept", "bridge"} <= set(cli("network", "ls", "--format", "{{.Name}}").ok().split())


def test_numbers_in_names_are_sorted_by_their_value(cli, net, image):
    for name in ("n10", "n9", "n02", "n1", "N2"):
        net(name)
        cli("volume", "create", name).ok()
    try:
        wanted = ["N2", "n1", "n02", "n9", "n10"]
        assert cli("network", "ls", "--format", "{{.Name}}").ok().split() == ["N2", "bridge", "host", *wanted[1:], "none"]
        assert cli("volume", "ls", "-q").ok().split() == wanted
    finally:
        cli("volume", "rm", "n10", "n9", "n02", "n1", "N2").ok()
    if cli.name == "docker-20.10":
        return  # It prints ports in no order.
    cli("run", "-d", "--name", "web", "-p", "9101:100", "-p", "9080:80", "-p", "9100:100", "-p", "127.0.0.1:9010:9/udp", image, "sleep", "600").ok()
    assert cli("port", "web").ok().splitlines() == [
        "9/udp -> 127.0.0.1:9010", "80/tcp -> 0.0.0.0:9080", "80/tcp -> [::]:9080",
        *(f"100/tcp -> {place}:{port}" for place in ("0.0.0.0", "[::]") for port in (9100, 9101))]
    assert cli("port", "web", "100").ok().splitlines() == ["0.0.0.0:9100", "0.0.0.0:9101", "[::]:9100", "[::]:9101"]


def test_links_of_others_outlive_a_network_of_their_name(cli, net, own_daemon):
    host("ip", "link", "add", "apust-own", "type", "bridge")
    host("ip", "link", "add", "apust-a", "type", "veth", "peer", "name", "apust-b")
    try:
        # A bridge that is there already is used, and stays.
        net("borrowed", "-o", "com.docker.network.bridge.name=apust-own")
        cli("network", "rm", "borrowed").ok()
        refused = cli("network", "create", "-o", "com.docker.network.bridge.name=apust-a", "none-such")
        assert refused.code == 1 and "use apust-a as a bridge" in refused.err, refused
        assert {"apust-own", "apust-a", "apust-b"} <= set(leaks.links())
    finally:
        for link in {"apust-own", "apust-a"} & set(leaks.links()):
            host("ip", "link", "del", link)


def test_networks_outlive_the_daemon_and_are_found_by_the_next_one(brittle, image):
    client = brittle.client
    client("network", "create", "mine").ok()
    client("run", "-d", "--name", "server", "--network", "mine", brittle.image, *serve("yes")).ok()
    server = address(client, "server", "mine")
    client("run", "-d", "--name", "asks", "--network", "mine", brittle.image, "sh", "-c",
           f"touch /tmp/answers; while :; do nc -w 2 {server} 80 >> /tmp/answers < /dev/null; sleep 0.1; done").ok()
    count = lambda: int(client("exec", "asks", "sh", "-c", "wc -l < /tmp/answers").line())
    wait_until(lambda: count() > 2, "answers come")
    brittle.kill()
    brittle.start()
    assert address(client, "server", "mine") == server
    before = count()
    wait_until(lambda: count() > before, "answers still come")
    # Nobody gets an address that is in use.
    client("run", "-d", "--name", "new", "--network", "mine", brittle.image, "sleep", "600").ok()
    assert address(client, "new", "mine") not in (server, address(client, "asks", "mine"))
    client("rm", "-f", "server", "asks", "new").ok()
    assert client("network", "rm", "mine").line() == "mine"
