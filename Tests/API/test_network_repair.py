"""What somebody else did to networks: while no daemon lived, again and again, and beside changes of our own."""

import json
import os
import signal
import sqlite3
import subprocess
import threading
from contextlib import closing

import dns
import leaks
from processes import wait_until
from test_names import address as named_address, namespace
from test_network_options import bridge_link, net_of  # noqa: F401 (fixture)
from test_networks import host
from test_ports import fetch, run, servers


def cables(link):
    return sorted(each["ifname"] for each in json.loads(host("ip", "-j", "link", "show", "master", link)))


def test_T05_bridges_and_cables_that_were_lost_while_no_daemon_lived_are_there_after_the_next_start(brittle):
    client = brittle.client
    client("network", "create", "mine").ok()
    run(client, brittle.image, "-p", "18300:80", "--network", "mine")
    run(client, brittle.image, "-p", "18301:80", name="second", answer="two")
    run(client, brittle.image, "-p", "18302:80", name="third", answer="three")
    link = bridge_link(client, "mine")
    brittle.kill()
    [first] = cables(link)
    # One cable with its bridge, one alone, and one is taken off its bridge.
    second, third = cables(brittle.instance)
    host("ip", "link", "del", first)
    host("ip", "link", "del", link)
    host("ip", "link", "del", second)
    host("ip", "link", "set", third, "nomaster", "down")
    assert fetch(18300) is None and fetch(18301) is None and fetch(18302) is None
    brittle.start()
    for port, answer in ((18300, "hello"), (18301, "two"), (18302, "three")):
        wait_until(lambda port=port, answer=answer: fetch(port) == answer, f"{port} leads there again", seconds=30)
    # They are the ones that their containers leave by.
    client("network", "disconnect", "mine", "web").ok()
    client("rm", "-f", "web", "second", "third").ok()
    wait_until(lambda: not {first, second, third} & set(leaks.links()), "their cables go with them")


def test_T05_who_takes_a_bridge_down_again_and_again_is_not_fought_for_ever(brittle):
    client = brittle.client
    client("network", "create", "mine").ok()
    run(client, brittle.image, "-p", "18305:80", "--network", "mine")
    link = bridge_link(client, "mine")
    is_up = lambda: "UP" in host("ip", "link", "show", link).split(">")[0]
    given_up = lambda: f"the bridge {link} is changed by somebody else again and again" in brittle.log()
    for _ in range(100):
        if given_up():
            break
        wait_until(is_up, "it is up")
        host("ip", "link", "set", link, "down")
        wait_until(lambda: is_up() or given_up(), "it is up again, or not for a while")
    assert given_up()
    # What was done last is made good as well, only later.
    wait_until(is_up, "it is up after a rest")
    wait_until(lambda: fetch(18305) == "hello", "the port leads there")
    assert brittle.log().count(f"the bridge {link} was switched off") <= 15


def test_T05_a_network_that_is_removed_while_somebody_takes_its_bridge_away_leaves_none(apus, own_daemon):
    """Repair beside removal: nothing of a network comes back that was removed meanwhile, nor does a repair take the next one's bridge."""
    name = "apus-beside"
    links = leaks.links()
    for _ in range(15):
        apus("network", "create", "-o", f"com.docker.network.bridge.name={name}", "brief").ok()
        removal = threading.Thread(daemon=True, target=lambda: apus("network", "rm", "brief").ok())
        subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
        removal.start()
        subprocess.run(["ip", "link", "set", name, "down"], capture_output=True, check=False)
        removal.join()
    wait_until(lambda: leaks.links() == links, "no bridge is left")
    apus("network", "create", "-o", f"com.docker.network.bridge.name={name}", "brief").ok()
    assert name in leaks.links()
    apus("network", "rm", "brief").ok()
    assert leaks.links() == links


def test_T08_a_server_of_names_that_hangs_since_before_the_daemon_is_ended(brittle):
    client = brittle.client
    client("network", "create", "mine").ok()
    first = client("run", "-d", "--name", "db", "--network", "mine", brittle.image, "sleep", "600").line()
    [hung] = servers(brittle)
    brittle.kill()
    os.kill(hung, signal.SIGSTOP)
    try:
        brittle.start()
        wait_until(lambda: servers(brittle) not in ([hung], []) and hung not in servers(brittle), "another one serves, and that one is gone", seconds=40)
        assert dns.ask(namespace(brittle, first), "db").records == [named_address(client, "db", "mine")]
        # One that hangs later is known as well.
        [hung] = servers(brittle)
        os.kill(hung, signal.SIGSTOP)
        client("run", "-d", "--name", "new", "--network", "mine", brittle.image, "sleep", "600").ok()
        # It is ended by a signal, which nobody waits for.
        wait_until(lambda: hung not in servers(brittle), "that one is gone, too")
        assert len(servers(brittle)) == 1
        assert dns.ask(namespace(brittle, first), "new").records == [named_address(client, "new", "mine")]
    finally:
        if hung in servers(brittle):
            os.kill(hung, signal.SIGKILL)


def test_a_network_whose_record_cannot_be_read_is_removed_by_who_asks_for_that(brittle):
    apus = brittle.client
    for name in ("lost", "held"):
        apus("network", "create", name).ok()
    lost, held = bridge_link(apus, "lost"), bridge_link(apus, "held")
    run(apus, brittle.image, "-p", "18310:80", "--network", "held")
    brittle.kill()
    with closing(sqlite3.connect(f"{brittle.data}/engine.sqlite")) as records, records:
        records.execute("UPDATE network SET document = x'7b' WHERE name IN ('lost', 'held')")
    brittle.start()
    assert {lost, held} <= set(leaks.links())
    busy = apus("network", "rm", "held")
    assert busy.code == 1 and "network held has active endpoints" in busy.err, busy
    apus("network", "rm", "lost").ok()
    assert lost not in leaks.links()
    gone = apus("network", "rm", "lost")
    assert gone.code == 1 and "not found" in gone.err, gone
    # Its name is free again, also after the next start.
    apus("network", "create", "lost").ok()
    assert brittle.stop() == 0
    brittle.start()
    assert bridge_link(apus, "lost") in leaks.links()
    apus("rm", "-f", "web").ok()
    apus("network", "rm", "held").ok()
    assert held not in leaks.links()
    closed = host("nft", "list", "set", "inet", brittle.instance, "internalBridges")
    assert held not in closed, closed
