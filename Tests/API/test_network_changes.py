"""Changes of a container's networks that meet each other or its end, or that fail half way."""
# Rows: features

import json
import os
import socket
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import leaks
import pytest
from engine_http import api
from processes import wait_until
from test_network_options import bridge_link, net_of, start  # noqa: F401 (fixtures)
from test_networks import address, ask, network, serve, wait_until_heard
from test_ports import fetch


def links(cli, name):
    return sorted(cli("exec", name, "ls", "/sys/class/net").ok().split())


def change(daemon, action, name, container):
    """The status of one change of what networks a container is on."""
    return api(daemon, "POST", f"/networks/{name}/{action}", {"Container": container})[0]


def test_C20_changes_of_one_containers_networks_at_once_each_have_their_effect(apus, net_of, image, own_daemon):
    names = [f"crowd{number}" for number in range(6)]
    for name in names:
        net_of(name)
    start(apus, image, "box")
    with ThreadPoolExecutor(len(names)) as pool:
        for _ in range(3):
            assert set(pool.map(lambda name: change(own_daemon, "connect", name, "box"), names)) == {200}
            assert links(apus, "box") == [*(f"eth{number}" for number in range(7)), "lo"]
            shown = apus("exec", "box", "ip", "-o", "-4", "addr").ok()
            assert all(f" {address(apus, 'box', name)}/" in shown for name in names), shown
            assert all(len(network(apus, name)[0]["Containers"]) == 1 for name in names)
            assert set(pool.map(lambda name: change(own_daemon, "disconnect", name, "box"), names)) == {200}
            assert links(apus, "box") == ["eth0", "lo"]
            assert all(network(apus, name)[0]["Containers"] == {} for name in names)


def test_C20_a_container_that_ends_while_it_is_connected_leaves_nothing_there(apus, net_of, image, own_daemon):
    names = [f"end{number}" for number in range(4)]
    for name in names:
        net_of(name)
    with ThreadPoolExecutor(len(names) + 1) as pool:
        for _ in range(4):
            start(apus, image, "brief")
            changes = [pool.submit(change, own_daemon, "connect", name, "brief") for name in names]
            killed = pool.submit(api, own_daemon, "POST", "/containers/brief/kill", None, 204)
            killed.result()
            # Where the end came first, it is refused or noted for the next start.
            assert {each.result() for each in changes} <= {200, 409}
            wait_until(lambda: apus.inspect("brief", "{{.State.Status}}") == "exited", "it has ended")
            assert all(network(apus, name)[0]["Containers"] == {} for name in names)
            apus("rm", "brief").ok()
    for name in names:
        start(apus, image, f"on-{name}", "--network", name)
        assert address(apus, f"on-{name}", name).endswith(".2")


def test_C20_a_connect_that_fails_half_way_leaves_nothing_and_a_disconnect_is_none_the_less_one(apus, net_of, image, own_daemon):
    net_of("half")
    start(apus, image, "box")
    hosts = f"{own_daemon.data}/containers/{apus.inspect('box', '{{.Id}}')}/hosts"

    def without_file(action, expected):
        os.rename(hosts, f"{hosts}.aside")
        os.symlink("/nowhere", hosts)
        try:
            assert change(own_daemon, action, "half", "box") == expected
        finally:
            os.remove(hosts)
            os.rename(f"{hosts}.aside", hosts)

    without_file("connect", 500)
    assert links(apus, "box") == ["eth0", "lo"] and network(apus, "half")[0]["Containers"] == {}
    assert list(json.loads(apus.inspect("box", "{{json .NetworkSettings.Networks}}"))) == ["bridge"]
    apus("network", "connect", "half", "box").ok()
    assert links(apus, "box") == ["eth0", "eth1", "lo"] and address(apus, "box", "half").endswith(".2")
    without_file("disconnect", 500)
    assert links(apus, "box") == ["eth0", "lo"] and network(apus, "half")[0]["Containers"] == {}
    assert list(json.loads(apus.inspect("box", "{{json .NetworkSettings.Networks}}"))) == ["bridge"]
    apus("network", "connect", "half", "box").ok()
    assert links(apus, "box") == ["eth0", "eth1", "lo"]


def test_C20_a_container_that_was_on_no_network_when_it_started_is_put_on_one(cli, net, image):
    net("late")
    cli("create", "--name", "alone", image, *serve("hello")).ok()
    cli("network", "disconnect", "bridge", "alone").ok()
    cli("start", "alone").ok()
    assert links(cli, "alone") == ["lo"]
    cli("network", "connect", "--alias", "found", "late", "alone").ok()
    assert links(cli, "alone") == ["eth0", "lo"]
    wait_until_heard(cli, "alone")
    assert cli("run", "--rm", "--network", "late", image, *ask("found", seconds=15)).line() == "hello"
    cli("restart", "-t", "0", "alone").ok()
    wait_until_heard(cli, "alone")
    assert cli("run", "--rm", "--network", "late", image, *ask("found", seconds=15)).line() == "hello"


def test_C20_connecting_a_stopped_container_again_changes_what_it_asks_for(cli, net, image):
    net("fixed", "--subnet", "10.97.0.0/24")
    cli("create", "--name", "idle", "--network", "fixed", image, "sleep", "600").ok()
    cli("network", "connect", "--ip", "10.97.0.9", "fixed", "idle").ok()
    cli("start", "idle").ok()
    assert address(cli, "idle", "fixed") == "10.97.0.9"
    again = cli("network", "connect", "fixed", "idle")
    assert again.code == 1 and "endpoint with name idle already exists in network fixed" in again.err
    assert address(cli, "idle", "fixed") == "10.97.0.9"


def test_C20_what_somebody_wrote_into_the_files_in_etc_outlives_changes_of_networks(cli, net, image):
    net("first"), net("second")
    start(cli, image, "edited", "--network", "first", "--hostname", "me")
    cli("exec", "edited", "sh", "-c", "echo '192.0.2.7 by-hand' >> /etc/hosts; echo '# by hand' >> /etc/resolv.conf").ok()
    read = lambda: cli("exec", "edited", "cat", "/etc/hosts", "/etc/resolv.conf").ok().split("\n")
    before = read()
    assert f"{address(cli, 'edited', 'first')}\tme" in before
    cli("network", "connect", "second", "edited").ok()
    second = f"{address(cli, 'edited', 'second')}\tme"
    assert sorted(read()) == sorted([*before, second])
    cli("network", "disconnect", "second", "edited").ok()
    assert read() == before
    # Where names come or go, who is asked for them changes with them.
    cli("network", "connect", "bridge", "edited").ok()
    cli("network", "disconnect", "first", "edited").ok()
    assert "192.0.2.7 by-hand" in read() and "nameserver 127.0.0.11" not in read() and "# by hand" not in read()
    cli("network", "connect", "first", "edited").ok()
    assert "nameserver 127.0.0.11" in read() and read().count(f"{address(cli, 'edited', 'first')}\tme") == 1
    # A start writes both anew.
    cli("restart", "-t", "0", "edited").ok()
    assert "192.0.2.7 by-hand" not in read()


def test_C20_who_is_on_none_leaves_it_and_joins_another_network(cli, net, image):
    net("late")
    cli("create", "--name", "alone", "--network", "none", image, *serve("hello")).ok()
    beside = cli("network", "connect", "late", "alone")
    assert beside.code == 1 and "one of the networks in private (none) mode" in beside.err, beside
    cli("network", "disconnect", "none", "alone").ok()
    cli("network", "connect", "late", "alone").ok()
    beside = cli("network", "connect", "none", "alone")
    assert beside.code == 1 and "one of the networks in private (none) mode" in beside.err, beside
    cli("start", "alone").ok()
    wait_until_heard(cli, "alone")
    assert links(cli, "alone") == ["eth0", "lo"] and cli("run", "--rm", "--network", "late", image, *ask("alone", seconds=15)).line() == "hello"
    cli("network", "disconnect", "late", "alone").ok()
    cli("network", "connect", "none", "alone").ok()
    assert list(json.loads(cli.inspect("alone", "{{json .NetworkSettings.Networks}}"))) == ["none"]
    cli("restart", "-t", "0", "alone").ok()
    assert links(cli, "alone") == ["lo"]
    shared = cli("network", "connect", "host", "alone")
    assert shared.code == 1 and "container cannot be disconnected from host network or connected to host network" in shared.err, shared


def test_C20_who_runs_on_none_leaves_it_and_joins_another_network_at_once(cli, net, image):
    """As with Docker, and for good: a start that its policy makes finds the network again, and so does one by hand."""
    net("late")
    cli("run", "-d", "--name", "alone", "--network", "none", "--restart", "always", image, *serve("hello")).ok()
    reached = lambda: cli("run", "--rm", "--network", "late", image, *ask("alone", seconds=15))
    beside = cli("network", "connect", "late", "alone")
    assert beside.code == 1 and "one of the networks in private (none) mode" in beside.err, beside
    cli("network", "disconnect", "none", "alone").ok()
    cli("network", "connect", "late", "alone").ok()
    assert list(json.loads(cli.inspect("alone", "{{json .NetworkSettings.Networks}}"))) == ["late"]
    wait_until_heard(cli, "alone")
    assert links(cli, "alone") == ["eth0", "lo"] and reached().line() == "hello"
    os.kill(int(cli.inspect("alone", "{{.State.Pid}}")), 9)
    wait_until(lambda: cli.inspect("alone", "{{.RestartCount}} {{.State.Status}}") == "1 running", "its policy starts it again")
    assert links(cli, "alone") == ["eth0", "lo"]
    wait_until(lambda: reached().out == "hello\n", "it is found by its name")
    cli("restart", "-t", "0", "alone").ok()
    wait_until_heard(cli, "alone")
    assert links(cli, "alone") == ["eth0", "lo"] and reached().line() == "hello"
    # And back.
    cli("network", "disconnect", "late", "alone").ok()
    cli("network", "connect", "none", "alone").ok()
    assert links(cli, "alone") == ["lo"]


def start_waiting(cli, image, folder, *flags):
    """A container whose program ends at once, until there is a file `go` in the folder, and which by now is started again after long pauses."""
    serving = "[ -e /t/go ] && exec nc -ll -p 80 -e echo hello; exit 3"
    cli("run", "-d", "--name", "waits", "--restart", "always", *flags, "-v", f"{folder}:/t", image, "sh", "-c", serving).ok()
    waiting = lambda: int((shown := cli.inspect("waits", "{{.RestartCount}} {{.State.Status}}").split())[0]) >= 6 and shown[1] == "restarting"
    wait_until(waiting, "it waits for some seconds")


def let_go(cli, folder):
    (folder / "go").touch()
    wait_until(lambda: cli.inspect("waits", "{{.State.Status}}") == "running", "its policy starts it again", seconds=60)
    wait_until_heard(cli, "waits")


@pytest.mark.parametrize("name", ("host", "none"))
def test_C20_networks_that_nothing_is_made_for_tell_who_is_on_them(cli, net, image, name):  # pylint: disable=unused-argument
    members = lambda: network(cli, name)[0]["Containers"]
    endpoint = lambda: json.loads(cli.inspect("box", "{{json .NetworkSettings.Networks}}"))[name]["EndpointID"]
    assert members() == {}
    box = cli("run", "-d", "--name", "box", "--network", name, image, "sleep", "600").line()
    # Who joins the network of another container is on none, and who does not run neither.
    cli("run", "-d", "--name", "beside", "--network", "container:box", image, "sleep", "600").ok()
    cli("create", "--name", "idle", "--network", name, image, "true").ok()
    known = endpoint()
    assert len(known) == 64 and known != box
    assert members() == {box: {"Name": "box", "EndpointID": known, "MacAddress": "", "IPv4Address": "", "IPv6Address": ""}}
    cli("rename", "box", "other").ok()
    assert members()[box]["Name"] == "other"
    cli("rename", "other", "box").ok()
    cli("stop", "-t", "0", "box").ok()
    assert members() == {} and endpoint() == ""
    cli("start", "box").ok()
    assert list(members()) == [box] and len(endpoint()) == 64
    if name == "none":
        cli("network", "disconnect", "none", "box").ok()
        assert members() == {}
    refused = cli("network", "rm", name)
    assert refused.code == 1 and f"{name} is a pre-defined network and cannot be removed" in refused.err


def test_C20_the_next_daemon_knows_who_is_on_networks_that_nothing_is_made_for(brittle):
    client, told = brittle.client, {}
    for name in ("host", "none"):
        client("run", "-d", "--name", f"on-{name}", "--network", name, brittle.image, "sleep", "600").ok()
        told[name] = network(client, name)[0]["Containers"]
        assert [each["Name"] for each in told[name].values()] == [f"on-{name}"]
    brittle.kill()
    brittle.start()
    assert {name: network(client, name)[0]["Containers"] for name in told} == told
    client("rm", "-f", "on-host", "on-none").ok()
    assert [network(client, name)[0]["Containers"] for name in told] == [{}, {}]


def test_C20_who_waits_to_be_started_again_is_put_on_networks_and_taken_off_them(cli, net, image, tmp_path):
    """As with Docker: on record at once, and in force at its next start, its ports and its files in /etc as well."""
    net("first"), net("second")
    start_waiting(cli, image, tmp_path, "--network", "first", "--hostname", "me", "-p", "18477:80")
    before = address(cli, "waits", "first")
    cli("network", "connect", "--alias", "found", "second", "waits").ok()
    again = cli("network", "connect", "second", "waits")
    assert again.code == 1 and "endpoint with name waits already exists in network second" in again.err, again
    cli("network", "disconnect", "first", "waits").ok()
    assert list(json.loads(cli.inspect("waits", "{{json .NetworkSettings.Networks}}"))) == ["second"]
    off = cli("network", "disconnect", "first", "waits")
    assert off.code == 1 and "is not connected to" in off.err, off
    let_go(cli, tmp_path)
    assert len(links(cli, "waits")) == 2
    wait_until(lambda: fetch(18477) == "hello", "its port leads to it by the network that it is on now")
    asked = cli("run", "--rm", "--network", "second", image, *ask("found"))
    assert asked.line() == "hello" and cli("port", "waits", "80").ok().startswith("0.0.0.0:18477\n")
    hosts = cli("exec", "waits", "cat", "/etc/hosts").ok()
    assert f"{address(cli, 'waits', 'second')}\tme\n" in hosts and f"{before}\t" not in hosts
    assert network(cli, "first")[0]["Containers"] == {}


def test_C20_who_waits_to_be_started_again_on_no_network_is_put_on_one(cli, net, image, tmp_path):
    net("late")
    start_waiting(cli, image, tmp_path, "--network", "none", "-p", "18478:80")
    cli("network", "disconnect", "none", "waits").ok()
    cli("network", "connect", "late", "waits").ok()
    assert list(json.loads(cli.inspect("waits", "{{json .NetworkSettings.Networks}}"))) == ["late"]
    let_go(cli, tmp_path)
    assert links(cli, "waits") == ["eth0", "lo"]
    wait_until(lambda: fetch(18478) == "hello", "it is reached by its port")
    assert cli("run", "--rm", "--network", "late", image, *ask("waits")).line() == "hello"
    # So it is with each further start that its policy makes.
    os.kill(int(cli.inspect("waits", "{{.State.Pid}}")), 9)
    wait_until(lambda: fetch(18478) is None, "it has ended")
    wait_until(lambda: fetch(18478) == "hello", "it is reached again", seconds=60)
    assert links(cli, "waits") == ["eth0", "lo"]


def test_C20_the_networks_of_who_waits_stay_what_they_were_made_when_the_daemon_dies(brittle, tmp_path):
    client = brittle.client
    client("network", "create", "first").ok(), client("network", "create", "second").ok()
    start_waiting(client, brittle.image, tmp_path, "--network", "first")
    client("network", "connect", "second", "waits").ok()
    client("network", "disconnect", "first", "waits").ok()
    brittle.kill()
    brittle.start()
    assert list(json.loads(client.inspect("waits", "{{json .NetworkSettings.Networks}}"))) == ["second"]
    let_go(client, tmp_path)
    assert len(links(client, "waits")) == 2
    assert client("run", "--rm", "--network", "second", brittle.image, *ask("waits")).line() == "hello"
    assert network(client, "first")[0]["Containers"] == {}


def test_C20_a_container_that_is_renamed_while_it_starts_has_its_new_name_everywhere(apus, net_of, image, own_daemon):
    net_of("mine")
    start(apus, image, "asker", "--network", "mine")
    apus("create", "--name", "before", "--network", "mine", "--network-alias", "kept", image, "sleep", "600").ok()
    # The start stands still where it writes this file: between its addresses and its cable.
    file = f"{own_daemon.data}/containers/{apus.inspect('before', '{{.Id}}')}/hostname"
    os.remove(file)
    os.mkfifo(file)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(api, own_daemon, "POST", "/containers/before/start")
        try:
            wait_until(lambda: len(network(apus, "mine")[0]["Containers"]) == 2, "it has an address")
            assert api(own_daemon, "POST", "/containers/before/rename?name=after")[0] == 204
            assert not started.done()
        finally:
            # Open at once, though nobody may be about to write.
            with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
                wait_until(lambda: reader.read(65536) is not None and started.done(), "the start has gone on", seconds=60)
        assert started.result()[0] == 204
    own = address(apus, "after", "mine")
    for name, known in (("after", True), ("kept", True), ("before", False)):
        said = apus("exec", "asker", "nslookup", f"{name}.mine")
        assert (said.code == 0 and own in said.out) == known, (name, said)
    assert sorted(each["Name"] for each in network(apus, "mine")[0]["Containers"].values()) == ["after", "asker"]
    names = json.loads(apus.inspect("after", "{{json .NetworkSettings.Networks.mine.DNSNames}}"))
    assert "after" in names and "kept" in names and "before" not in names


def test_C20_an_alias_like_the_old_name_outlives_a_rename(apus, net_of, image):
    net_of("mine")
    start(apus, image, "both", "--network", "mine", "--network-alias", "both")
    apus("rename", "both", "other").ok()
    for name in ("both", "other"):
        assert address(apus, "other", "mine") in apus("exec", "other", "nslookup", f"{name}.mine").ok()


def test_one_prune_of_networks_at_a_time(apus, net_of, own_daemon):
    net_of("idle")
    prune = lambda: api(own_daemon, "POST", "/networks/prune")
    # The first one stands still while somebody else writes into its records, for less than it would wait.
    with closing(sqlite3.connect(f"{own_daemon.data}/engine.sqlite", isolation_level=None)) as records, ThreadPoolExecutor(1) as pool:
        records.execute("BEGIN IMMEDIATE")
        try:
            first = pool.submit(prune)
            wait_until(lambda: "idle" not in apus("network", "ls", "--format", "{{.Name}}").ok().split(), "it is under way")
            assert prune() == (409, {"message": "a prune operation is already running"}) and not first.done()
        finally:
            records.execute("ROLLBACK")
        assert first.result() == (200, {"NetworksDeleted": ["idle"]})
    assert prune() == (200, {"NetworksDeleted": None})


def test_a_network_whose_record_cannot_be_read_keeps_its_bridge_and_is_told_of(brittle):
    apus = brittle.client
    apus("network", "create", "kept").ok()
    link = bridge_link(apus, "kept")
    assert brittle.stop() == 0
    with closing(sqlite3.connect(f"{brittle.data}/engine.sqlite")) as records, records:
        [(document,)] = records.execute("SELECT document FROM network WHERE name = 'kept'")
        records.execute("UPDATE network SET document = x'7b' WHERE name = 'kept'")
    brittle.start()
    assert link in leaks.links() and "network kept is left out" in brittle.log()
    # Nobody knows who may get in or out there: nobody does.
    closed = subprocess.run(["nft", "list", "set", "inet", brittle.instance, "internalBridges"], capture_output=True, text=True, check=True).stdout
    assert f'"{link}"' in closed, closed
    shown, taken = apus("network", "inspect", "kept"), apus("network", "create", "kept")
    assert shown.code == 1 and "read the record of network kept" in shown.err, shown
    assert taken.code == 1 and "network with name kept already exists" in taken.err, taken
    assert brittle.stop() == 0
    with closing(sqlite3.connect(f"{brittle.data}/engine.sqlite")) as records, records:
        records.execute("UPDATE network SET document = ? WHERE name = 'kept'", (document,))
    brittle.start()
    assert bridge_link(apus, "kept") == link
    apus("run", "--rm", "--network", "kept", brittle.image, "true").ok()


@pytest.mark.parametrize("begin", (["none"], ["inside", "--internal"]))
def test_C20_C09_ports_are_published_where_a_container_comes_to_a_network_that_leads_there(cli, net, image, begin):
    """As with Docker: they come with the first network that publishes them, and go with the last."""
    if begin != ["none"]:
        net(*begin)
    net("late")
    cli("run", "-d", "--name", "web", "--network", begin[0], "-p", "18479:80", image, *serve("hello")).ok()
    wait_until_heard(cli, "web")
    places = lambda: cli("port", "web").ok()
    assert places() == "" and fetch(18479) is None
    if begin == ["none"]:
        cli("network", "disconnect", "none", "web").ok()
    cli("network", "connect", "late", "web").ok()
    assert "80/tcp -> 0.0.0.0:18479" in places() and "0.0.0.0:18479->80/tcp" in cli("ps", "--format", "{{.Ports}}").ok()
    assert fetch(18479) == "hello" and fetch(18479, "::1", socket.AF_INET6) == "hello"
    second = cli("run", "--name", "other", "-p", "18479:80", image, "true")
    assert second.code == 125 and "port is already allocated" in second.err, second
    cli("rm", "other").ok()
    cli("network", "disconnect", "late", "web").ok()
    assert places() == "" and fetch(18479) is None and fetch(18479, "::1", socket.AF_INET6) is None
    # It is free for others, who are not pushed aside.
    cli("run", "-d", "--name", "other", "-p", "18479:80", image, *serve("another")).ok()
    wait_until(lambda: fetch(18479) == "another", "the other one has it")
    refused = cli("network", "connect", "late", "web")
    assert refused.code == 1 and "Bind for 0.0.0.0:18479 failed: port is already allocated" in refused.err, refused
    assert "late" not in json.loads(cli.inspect("web", "{{json .NetworkSettings.Networks}}")) and network(cli, "late")[0]["Containers"] == {}
    cli("rm", "-f", "other").ok()
    cli("network", "connect", "late", "web").ok()
    assert fetch(18479) == "hello"


def test_C20_ports_that_came_with_a_later_network_outlive_the_daemon(brittle):
    client = brittle.client
    client("network", "create", "--internal", "inside").ok(), client("network", "create", "late").ok()
    client("run", "-d", "--name", "web", "--network", "inside", "-p", "18481:80", brittle.image, *serve("hello")).ok()
    client("network", "connect", "late", "web").ok()
    wait_until_heard(client, "web")
    brittle.kill()
    assert fetch(18481) == "hello"
    brittle.start()
    assert fetch(18481) == "hello" and client("port", "web", "80").ok().startswith("0.0.0.0:18481\n")
    client("network", "disconnect", "late", "web").ok()
    brittle.kill()
    brittle.start()
    assert fetch(18481) is None and client("port", "web").ok() == ""
