"""Changes of a container's networks that meet each other or its end, or that fail half way."""
# Rows: features

import json
import os
from concurrent.futures import ThreadPoolExecutor

from engine_http import api
from processes import wait_until
from test_network_options import net_of, start  # noqa: F401 (fixtures)
from test_networks import address, ask, network, serve


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
    assert cli("run", "--rm", "--network", "late", image, *ask("found")).line() == "hello"
    cli("restart", "-t", "0", "alone").ok()
    assert cli("run", "--rm", "--network", "late", image, *ask("found")).line() == "hello"


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
