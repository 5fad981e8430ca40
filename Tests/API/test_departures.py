"""What a container leaves in the kernel goes behind its end, which nobody waits for: who may see it meanwhile, and who takes it away when the
daemon does not."""
# Rows: features

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import leaks
from hanging_files import SlowRemoval
from processes import alive, wait_until
from test_network_options import bridge_link, net_of, start  # noqa: F401 (fixtures)
from test_network_repair import cables
from test_networks import address, ask, host, serve


def test_C20_who_joined_a_network_is_off_it_when_its_container_ends(cli, image, own_daemon, apus, net_of):
    net_of("mine")
    start(cli, image, "web", "--network", "mine")
    start(cli, image, "joined", "--network", "container:web")
    [cable] = cables(bridge_link(apus, "mine"))
    cli("stop", "-t", "0", "web").ok()
    # Nobody holds the network, and with its bridge no cable is left that was on it.
    cli("network", "rm", "mine").ok()
    assert cable not in leaks.links()
    assert cli("exec", "joined", "ls", "/sys/class/net").line() == "lo"


def test_G03_many_that_end_at_once_leave_nothing_and_their_addresses_are_free(apus, image, own_daemon, net_of):
    names = [f"many{number}" for number in range(12)]
    for _ in range(2):
        net_of("mine", "--subnet", "10.99.0.0/24")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: start(apus, image, name, "--network", "mine"), names))
        assert len(cables(bridge_link(apus, "mine"))) == len(names)
        apus("rm", "-f", *names).ok()
        # At once, under the address of one who may be on its way out still.
        apus("run", "-d", "--name", "next", "--network", "mine", "--ip", "10.99.0.2", image, *serve("next")).ok()
        [kept] = json.loads(apus("network", "inspect", "mine").ok())[0]["Containers"].values()
        assert kept["Name"] == "next" and kept["IPv4Address"] == "10.99.0.2/24"
        assert apus("run", "--rm", "--network", "mine", image, *ask("10.99.0.2")).line() == "next"
        wait_until(lambda: len(cables(bridge_link(apus, "mine"))) == 1, "the others' cables are gone")
        apus("rm", "-f", "next").ok()
        apus("network", "rm", "mine").ok()
    wait_until(lambda: not os.listdir(f"{own_daemon.run}/parting-cables"), "nothing more is to go")


def test_T05_a_daemon_that_ends_takes_the_cables_of_containers_along_that_are_gone(brittle):
    client = brittle.client
    client("network", "create", "second").ok()
    client("run", "-d", "--name", "stays", brittle.image, "sleep", "600").ok()
    before, stays = leaks.links(), client.inspect("stays", "{{.Id}}")
    client("create", "--name", "web", brittle.image, "sleep", "600").ok()
    client("network", "connect", "second", "web").ok()
    client("start", "web").ok()
    notes = SlowRemoval(f"{brittle.run}/parting-cables")
    try:
        client("rm", "-f", "web").ok()
        wait_until(lambda: notes.stuck, "the first of its two cables is to be forgotten")
        brittle.process.send_signal(signal.SIGTERM)
        # Long enough for a daemon to end that waits for nobody.
        time.sleep(1)
        notes.release()
        assert brittle.stop() == 0
        assert os.listdir(notes.path) == [] and sorted(leaks.links()) == sorted(before)
    finally:
        notes.give_up()
    brittle.start()
    assert client.inspect("stays", "{{.Id}} {{.State.Status}}") == f"{stays} running"


def test_T05_a_cable_that_a_killed_daemon_was_to_take_away_is_taken_away_by_the_next_one_and_none_of_who_runs(brittle):
    client = brittle.client
    client("run", "-d", "--name", "web", brittle.image, *serve("hello")).ok()
    [cable] = cables(brittle.instance)
    brittle.kill()
    folder = f"{brittle.run}/parting-cables"
    os.makedirs(folder, exist_ok=True)
    host("ip", "link", "add", "vethparting", "master", brittle.instance, "type", "veth", "peer", "name", "vethend")
    for link in ("vethparting", "vethlong-gone", cable):
        with open(f"{folder}/{link}", "w", encoding="utf-8"):
            pass
    try:
        brittle.start()
        assert cables(brittle.instance) == [cable] and "vethend" not in leaks.links()
        assert os.listdir(folder) == []
    finally:
        subprocess.run(["ip", "link", "del", "vethparting"], capture_output=True, check=False)
    assert client("run", "--rm", brittle.image, *ask(address(client, "web"))).line() == "hello"


def test_P02_a_network_that_is_being_removed_is_whole_and_keeps_its_bridge_until_its_cables_are_gone(brittle):
    client, named = brittle.client, ("-o", "com.docker.network.bridge.name=apus-going")
    client("network", "create", *named, "--subnet", "10.99.3.0/24", "mine").ok()
    client("run", "-d", "--name", "web", "--network", "mine", brittle.image, "sleep", "600").ok()
    notes = SlowRemoval(f"{brittle.run}/parting-cables")
    try:
        client("rm", "-f", "web").ok()
        wait_until(lambda: notes.stuck, "its cable is to be forgotten")
        removal = client.start("network", "rm", "mine", stderr=subprocess.PIPE)
        wait_until(lambda: client("network", "inspect", "mine").code == 1, "it is being removed")
        # Whoever comes meanwhile gets nothing that goes with it.
        assert "bridge apus-going belongs to network mine" in client("network", "create", *named, "next").err
        assert "Pool overlaps" in client("network", "create", "--subnet", "10.99.3.0/24", "next").err
        assert removal.poll() is None and "apus-going" in leaks.links()
        brittle.process.send_signal(signal.SIGKILL)
    finally:
        notes.give_up()
    brittle.process.wait()
    assert removal.wait() == 1
    removal.stderr.close()
    brittle.start()
    assert "apus-going" in leaks.links()
    client("network", "rm", "mine").ok()
    assert "apus-going" not in leaks.links()
    client("network", "create", *named, "next").ok()


def test_T05_the_bridge_of_no_network_goes_behind_the_cables_that_a_killed_daemon_left_on_it(brittle):
    """Without its bridge a cable would lead to the host itself."""
    brittle.kill()
    host("ip", "link", "add", "apus-stray", "type", "bridge")
    host("ip", "link", "add", "vethparting", "master", "apus-stray", "type", "veth", "peer", "name", "vethend")
    for folder, link in (("bridges", "apus-stray"), ("parting-cables", "vethparting")):
        os.makedirs(f"{brittle.run}/{folder}", exist_ok=True)
        with open(f"{brittle.run}/{folder}/{link}", "w", encoding="utf-8"):
            pass
    lines = []
    with subprocess.Popen(["ip", "-o", "monitor", "link"], stdout=subprocess.PIPE, text=True) as monitor:
        reader = threading.Thread(target=lambda: lines.extend(monitor.stdout))
        reader.start()
        try:
            wait_until(lambda: host("ip", "link", "set", "vethend", "up") + host("ip", "link", "set", "vethend", "down") or lines, "it sees changes")
            brittle.start()
            wait_until(lambda: "apus-stray" not in leaks.links(), "the bridge is gone")
            wait_until(lambda: {"vethparting", "apus-stray"} <= set(gone(lines)), "whoever watches has seen both")
        finally:
            monitor.terminate()
            reader.join()
            for link in ("vethparting", "apus-stray"):
                subprocess.run(["ip", "link", "del", link], capture_output=True, check=False)
    assert gone(lines).index("vethparting") < gone(lines).index("apus-stray")


def gone(lines):
    """The links that were taken away, as `ip monitor` tells. A bridge tells of a port that it loses in the same words, but for the queue."""
    return [line.split(": ")[1].split("@")[0] for line in list(lines) if line.startswith("Deleted") and "qdisc" in line]


def test_P02_a_namespace_that_a_daemon_had_just_pinned_when_it_died_goes_with_the_run(brittle):
    """It was about to put a container on a network that had none, and did not live to write down that it did."""
    client = brittle.client
    client("run", "-d", "--name", "alone", "--network", "none", brittle.image, "sleep", "600").ok()
    pid, name = client.inspect("alone", "{{.State.Pid}} {{.Id}}").split()
    pin = f"{brittle.run}/netns/{name}"
    brittle.kill()
    os.makedirs(os.path.dirname(pin), exist_ok=True)
    with open(pin, "xb"):
        pass
    subprocess.run(["mount", "--bind", f"/proc/{pid}/ns/net", pin], check=True)
    brittle.start()
    assert client.inspect("alone", "{{.State.Status}} {{.State.Pid}}") == f"running {pid}"
    client("stop", "-t", "0", "alone").ok()
    assert not os.path.exists(pin) and not leaks.mounts(pin)
    client("start", "alone").ok()
    client("network", "disconnect", "none", "alone").ok()
    client("network", "connect", "bridge", "alone").ok()
    assert "eth0" in client("exec", "alone", "ls", "/sys/class/net").ok()


def test_G03_an_address_is_nobodys_while_the_kernel_keeps_the_cable_that_had_it(brittle):
    client = brittle.client
    client("network", "create", "--subnet", "10.99.2.0/24", "mine").ok()
    client("run", "-d", "--name", "web", "--network", "mine", brittle.image, "sleep", "600").ok()
    client("run", "-d", "--name", "joined", "--network", "container:web", brittle.image, "sleep", "600").ok()
    [cable] = cables(bridge_link(client, "mine"))
    # In its place one of the few links that the kernel never takes away, before the daemon sees that it is gone.
    brittle.process.send_signal(signal.SIGSTOP)
    rename(cable, "vethaside")
    rename("lo", cable)
    brittle.process.send_signal(signal.SIGCONT)
    try:
        client("rm", "-f", "web").ok()
        wait_until(lambda: f"take the cable {cable} of a container that is gone away" in brittle.log(), "the kernel keeps it")
        client("run", "-d", "--name", "other", "--network", "mine", brittle.image, "sleep", "600").ok()
        assert address(client, "other", "mine") == "10.99.2.3"
        refused = client("run", "--rm", "--network", "mine", "--ip", "10.99.2.2", brittle.image, "true")
        assert refused.code == 125 and "Address already in use" in refused.err
        client("rm", "-f", "other").ok()
        refused = client("network", "rm", "mine")
        assert refused.code == 1 and f"has cables of containers that are gone ({cable})" in refused.err
        assert "mine" in client("network", "ls", "--format", "{{.Name}}").ok().split()
    finally:
        rename(cable, "lo")
        host("ip", "link", "set", "lo", "up")
    # It is gone with the next one, however often it was tried before.
    client("run", "--rm", "--network", "mine", brittle.image, "true").ok()
    wait_until(lambda: cable not in os.listdir(f"{brittle.run}/parting-cables"), "the cable is gone")
    client("run", "--rm", "--network", "mine", "--ip", "10.99.2.2", brittle.image, "true").ok()
    client("rm", "-f", "joined").ok()
    client("network", "rm", "mine").ok()


def rename(link, name):
    host("ip", "link", "set", link, "down")
    host("ip", "link", "set", link, "name", name)


def test_P02_a_cable_goes_whose_network_somebody_joined_though_daemon_and_shim_are_gone(brittle):
    """The kernel takes it away with its namespace, but for who lives there."""
    client = brittle.client
    client("run", "-d", "--name", "box", brittle.image, "sleep", "600").ok()
    [cable], [shim] = cables(brittle.instance), brittle.shims()
    client("run", "-d", "--name", "joined", "--network", "container:box", brittle.image, "sleep", "600").ok()
    name, pid, stays = client.inspect("box", "{{.Id}}"), client.inspect("box", "{{.State.Pid}}"), client.inspect("joined", "{{.State.Pid}}")
    brittle.kill()
    for process in (shim, int(pid)):
        os.kill(process, signal.SIGKILL)
        wait_until(lambda process=process: not alive(process), "it has ended")
    # As a shim leaves it that was told to go.
    shutil.rmtree(f"{brittle.run}/shims/{name}")
    brittle.start()
    wait_until(lambda: cable not in leaks.links(), "the cable is gone")
    assert client.inspect("box", "{{.State.Status}}") == "exited" and client.inspect("joined", "{{.State.Pid}}") == stays
    assert client("exec", "joined", "ls", "/sys/class/net").line() == "lo"
    wait_until(lambda: os.listdir(f"{brittle.run}/parting-cables") == [], "nothing more is to go")
