"""Row P02: SIGKILL of the daemon between any two steps of what it does to containers, networks and volumes, and what the next one finds.

The places are those of a build with failpoints, which `make failpoints` makes and runs this against; any other build has none."""

import difflib
import os
import shutil
import signal
import subprocess
import time

import pytest

import leaks
from clocks import Clock
from conftest import BUILD, CLIENTS, Client, Daemon
from processes import PATIENCE, wait_until

APUSD = os.path.join(BUILD, "apusd")
PAYLOAD = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def known_places():
    try:
        listed = subprocess.run([APUSD, "--list-failpoints"], capture_output=True, text=True, check=False)
    except OSError:
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


PLACES = known_places()
# On no way that every container goes.
SPECIAL = ("restartRecorded", "restartedRecorded", "lackRecorded", "healthRecorded", "lostEndRecorded", "ownNamespacePinned", "ownNamespaceNoted",
           "ownNamespaceRecorded")


def of_a_build(with_failpoints):
    """A test of the other kind of build is no test of this one."""
    return lambda test: test if bool(PLACES) == with_failpoints else None


def life(image):
    """A life that leads through every place, one command after another. What the image has in /home is copied into a volume."""
    return (
        ("volume", "create", "kept"), ("network", "create", "own"), ("network", "create", "other"),
        ("create", "--name", "box", "--ipc", "shareable", "-v", "kept:/home", "-v", "/unnamed", "--network", "own", "-p", "127.0.0.1::80", image,
         "sh", "-c", PAYLOAD),
        ("start", "box"), ("exec", "box", "true"), ("exec", "-d", "box", "true"), ("network", "connect", "other", "box"),
        ("network", "disconnect", "other", "box"), ("commit", "box", "committed"), ("rmi", "committed"),
        ("stop", "box"), ("start", "box"), ("kill", "box"), ("rm", "-v", "box"), ("network", "rm", "own", "other"), ("volume", "rm", "kept"),
    )


class Victim(Daemon):
    """Where it is killed between any two steps it is alone on the machine: a cgroup that no event tells of counts as well."""

    def cgroups(self):
        return leaks.cgroups("/apus/") if PLACES else super().cgroups()


@pytest.fixture(scope="module")
def victim(workspace, registry):
    daemon = Victim(os.path.join(workspace, "victim"))
    os.makedirs(daemon.folder)
    daemon.start()
    daemon.client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
    daemon.image = f"{registry.host}/busybox"
    daemon.client("pull", daemon.image).ok()
    daemon.untouched = daemon.state()
    daemon.stop()
    yield daemon
    daemon.forget_network()


def differences(before, after):
    return {key: [line for line in difflib.ndiff(before[key], after[key]) if line[0] != " "] for key in before if before[key] != after[key]}


def misfits(daemon):
    """Where what the kernel and the folders hold is not exactly what the daemon tells of."""
    client, state, base = daemon.client, daemon.state(), daemon.untouched
    known = client("ps", "-aq", "--no-trunc").ok().split()
    running = client("ps", "-q", "--no-trunc").ok().split()
    networks = client("network", "ls", "-q", "-f", "type=custom").ok().split()
    endpoints = sum(int(client.inspect(one, "{{len .NetworkSettings.Networks}}")) for one in running)
    wanted = {
        "containers": sorted(known), "bundles": sorted(running), "runtime": sorted(running), "networks": sorted(running),
        # The keeper's lies beside the shims' while it keeps something.
        "sockets": sorted([*running, ".keeper"] if running else running),
        "volumes": sorted(client("volume", "ls", "-q").ok().split()), "ingests": [],
    }
    found = {key: (value, state[key]) for key, value in wanted.items() if state[key] != value}
    counts = {"shims": len(running), "roots": len(known), "links": len(base["links"]) + len(networks) + endpoints}
    found.update({key: (value, state[key]) for key, value in counts.items() if len(state[key]) != value})
    # Nobody but a container asks for one without a name here.
    if orphans := [name for name in client("volume", "ls", "-q", "-f", "dangling=true").ok().split() if len(name) == 64]:
        found["volumes of nobody"] = orphans
    if strangers := [path for path in state["cgroups"] if not any(one in path for one in running)]:
        found["cgroups"] = strangers
    return found


def wait_until_it_fits(daemon):
    try:
        wait_until(lambda: not misfits(daemon), "what is there is what is known", every=0.2)
    except AssertionError:
        raise AssertionError(f"not what the daemon tells of: {misfits(daemon)}\n{daemon.log()[-3000:]}") from None


def show_that_it_is_whole(daemon):
    """Whatever the daemon tells of can be used and taken away, and then nothing is left and every name is free."""
    client = daemon.client
    wait_until_it_fits(daemon)
    for name in client("ps", "-a", "--format", "{{.Names}}").ok().split():
        if client.inspect(name, "{{.State.Status}}") != "running":
            client("start", name).ok()
        client("exec", name, "true").ok()
        client("stop", name).ok()
        client("rm", "-v", name).ok()
    wait_until_it_fits(daemon)
    for kind in ("network", "volume"):
        flags = ("-f", "type=custom", "--format", "{{.Name}}") if kind == "network" else ("-q",)
        for name in client(kind, "ls", *flags).ok().split():
            client(kind, "rm", name).ok()
    try:
        wait_until(lambda: not differences(daemon.untouched, daemon.state()), "nothing is left", every=0.2)
    except AssertionError:
        raise AssertionError(f"left: {differences(daemon.untouched, daemon.state())}\n{daemon.log()[-3000:]}") from None


@of_a_build(with_failpoints=True)
@pytest.mark.parametrize("place", [place for place in PLACES if not place.startswith("restore") and place not in SPECIAL])
def test_P02_a_daemon_killed_between_two_steps_leaves_each_object_whole_or_not_at_all(victim, place):
    victim.start("--failpoint", place)
    try:
        try:
            for words in life(victim.image):
                if victim.client(*words).code != 0:
                    break
            assert victim.process.wait(20 * PATIENCE) == -9, victim.log()
        finally:
            if victim.process.poll() is None:
                victim.kill()
            victim.start()
        show_that_it_is_whole(victim)
        # Every name is free again.
        for words in life(victim.image):
            victim.client(*words).ok()
    finally:
        clear(victim)
        assert victim.stop() == 0


@of_a_build(with_failpoints=True)
@pytest.mark.parametrize("place", [place for place in PLACES if place.startswith("restore")])
def test_P02_a_daemon_killed_while_it_begins_is_followed_by_one_that_finds_everything(victim, place):
    victim.start()
    try:
        for words in life(victim.image)[:5]:
            victim.client(*words).ok()
        victim.client("create", "--name", "idle", victim.image, "sh", "-c", PAYLOAD).ok()
        pid = victim.client.inspect("box", "{{.State.Pid}}")
        victim.kill()
        with pytest.raises(AssertionError, match="apusd ended with -9"):
            victim.start("--failpoint", place)
        victim.start()
        assert victim.client.inspect("box", "{{.State.Status}} {{.State.Pid}}") == f"running {pid}"
        show_that_it_is_whole(victim)
    finally:
        if victim.process.poll() is not None:
            victim.start()
        clear(victim)
        assert victim.stop() == 0


ENDING, STAYING = ("sh", "-c", "sleep 0.3; exit 3"), ("sh", "-c", "exec sleep 100")
SCARCE = ("-m", "16m", "--memory-swap", "16m")
# What is told behind a place: how often in all, and by a container of which flags and command.
TELLING = {
    "createRecorded": ("create", 1, (), STAYING),
    "createTold": ("create", 1, (), STAYING),
    "removeForgotten": ("destroy", 1, (), STAYING),
    "removeTold": ("destroy", 1, (), STAYING),
    "startRecorded": ("start", 1, (), STAYING),
    "startTold": ("start", 1, (), STAYING),
    "stopRecorded": ("die", 1, (), ENDING),
    "restartRecorded": ("die", 2, ("--restart", "on-failure:1"), ENDING),
    "restartedRecorded": ("start", 2, ("--restart", "on-failure:1"), ENDING),
    "lackRecorded": ("oom", 1, SCARCE, ("sh", "-c", "tail -c 300000000 /dev/zero; exec sleep 100")),
    "pauseDone": ("pause", 1, (), STAYING),
    "pauseRecorded": ("pause", 1, (), STAYING),
    "unpauseDone": ("unpause", 1, (), STAYING),
    "unpauseRecorded": ("unpause", 1, (), STAYING),
    "healthRecorded": ("health_status", 1, ("--health-cmd", "exit 1", "--health-retries", "1", "--health-interval", "300ms"), STAYING),
}
# What is asked of the container first.
ASKED = {"destroy": (("rm", "-f"),), "pause": (("pause",),), "unpause": (("pause",), ("unpause",))}
# Where the next daemon is killed as well: before it looks what was told, before it tells the rest, and when it just has.
AGAIN = ("restoreContainersFound", "restoreUntoldRecorded", "restoreUntoldTold")
TEN_MINUTES_BACK = -660


def number_told(daemon, action, since, teller):
    told = daemon.client("events", "--since", str(since), "--until", str(int(time.time()) + 1), "-f", f"event={action}", "-f", f"container={teller}")
    return len(told.ok().splitlines())


@pytest.fixture(scope="module")
def clock(victim):
    return Clock(victim.folder)


@of_a_build(with_failpoints=True)
@pytest.mark.parametrize("again", AGAIN)
@pytest.mark.parametrize("place", TELLING)
def test_P02_T01_what_is_written_down_and_not_told_is_told_once_whoever_dies_and_whatever_the_clock_says(victim, clock, place, again):
    action, count, flags, command = TELLING[place]
    begun = int(time.time()) + TEN_MINUTES_BACK - 1
    victim.start("--failpoint", place, env=clock.environment)
    try:
        try:
            victim.client("run", "-d", "--name", "teller", *flags, victim.image, *command)
            teller = None
            if action in ASKED:
                teller = victim.client.inspect("teller", "{{.Id}}")
            for words in ASKED.get(action, ()):
                victim.client(*words, "teller")
            assert victim.process.wait(20 * PATIENCE) == -9, victim.log()
            clock.put_off(TEN_MINUTES_BACK)
            with pytest.raises(AssertionError, match="apusd ended with -9"):
                victim.start("--failpoint", again, env=clock.environment)
            # A life of its own in which others tell more.
            victim.start(env=clock.environment)
            for _ in range(3):
                victim.client("run", "--rm", victim.image, "true").ok()
            victim.kill()
        finally:
            if victim.process.poll() is None:
                victim.kill()
            clock.put_off(0)
            victim.start()
        if command == ENDING:
            wait_until(lambda: victim.client.inspect("teller", "{{.State.Status}}") == "exited", "its last end")
        teller = teller or victim.client.inspect("teller", "{{.Id}}")
        for _ in range(2):
            assert number_told(victim, action, begun, teller) == count, victim.client("events", "--since", str(begun), "--until", str(int(time.time()) + 1)).out
            # Not by the one after it either.
            victim.kill()
            victim.start()
    finally:
        clear(victim)
        assert victim.stop() == 0


@of_a_build(with_failpoints=True)
def test_P02_an_end_of_which_nothing_is_left_is_told_once_though_its_telling_is_cut_off(victim):
    """As after a boot: neither shim nor process, nor what shim and runtime knew."""
    begun = int(time.time())
    victim.start()
    try:
        victim.client("run", "-d", "--name", "teller", victim.image, *STAYING).ok()
        pid, name = victim.client.inspect("teller", "{{.State.Pid}} {{.Id}}").split()
        victim.kill()
        for process in (*victim.supervisors(), int(pid)):
            os.kill(process, signal.SIGKILL)
        for folder in ("shims", "runtime"):
            shutil.rmtree(f"{victim.run}/{folder}/{name}")
        for place in ("lostEndRecorded", "restoreUntoldTold"):
            with pytest.raises(AssertionError, match="apusd ended with -9"):
                victim.start("--failpoint", place)
        victim.start()
        assert victim.client.inspect("teller", "{{.State.Status}} {{.State.ExitCode}}") == "exited 255"
        assert number_told(victim, "die", begun, name) == 1
    finally:
        if victim.process.poll() is not None:
            victim.start()
        clear(victim)
        assert victim.stop() == 0


@of_a_build(with_failpoints=True)
@pytest.mark.parametrize("place", ["stopTaskDeleted", "stopShimShutDown", "stopCablesNoted", "stopBundleRemoved", "stopNamespaceRemoved",
                                   "stopFirewallClosed", "stopNetworksLeft", "stopRecorded", "cablesLeft", "cablesGone", "cablesClosed"])
def test_P02_a_cable_whose_network_somebody_joined_goes_though_the_daemon_dies_that_was_to_take_it_away(victim, place):
    """The kernel takes it away with its namespace, but for who lives there."""
    victim.start("--failpoint", place)
    try:
        client = victim.client
        client("run", "-d", "--name", "box", victim.image, *STAYING).ok()
        client("run", "-d", "--name", "joined", "--network", "container:box", victim.image, *STAYING).ok()
        [cable] = [link for link in leaks.links() if link not in victim.untouched["links"]]
        pid = client.inspect("joined", "{{.State.Pid}}")
        client("stop", "-t", "0", "box")
        assert victim.process.wait(20 * PATIENCE) == -9, victim.log()
        victim.start()
        wait_until(lambda: cable not in leaks.links(), "the cable is gone")
        wait_until(lambda: victim.state()["parting cables"] == [], "nobody is to take it away any more")
        assert client.inspect("box", "{{.State.Status}}") == "exited" and client.inspect("joined", "{{.State.Pid}}") == pid
        assert client("exec", "joined", "ls", "/sys/class/net").line() == "lo"
    finally:
        if victim.process.poll() is not None:
            victim.start()
        clear(victim)
        assert victim.stop() == 0


@of_a_build(with_failpoints=True)
@pytest.mark.parametrize("place", ["networkCablesGone", "networkForgotten", "networkBridgeGone"])
def test_P02_a_network_that_a_daemon_was_removing_when_it_died_has_no_cable_left_that_somebody_lives_behind(victim, place):
    """Whether it is there still or not: without its bridge a cable would lead to the host itself."""
    victim.start("--failpoint", place)
    try:
        client = victim.client
        client("network", "create", "own").ok()
        client("run", "-d", "--name", "box", "--network", "own", victim.image, *STAYING).ok()
        client("run", "-d", "--name", "joined", "--network", "container:box", victim.image, *STAYING).ok()
        before = set(victim.untouched["links"])
        client("rm", "-f", "box").ok()
        client("network", "rm", "own")
        assert victim.process.wait(20 * PATIENCE) == -9, victim.log()
        assert not [link for link in leaks.links() if link.startswith("veth") and link not in before]
        victim.start()
        assert client("exec", "joined", "ls", "/sys/class/net").line() == "lo"
    finally:
        if victim.process.poll() is not None:
            victim.start()
        clear(victim)
        assert victim.stop() == 0


@of_a_build(with_failpoints=True)
@pytest.mark.parametrize("place", ["ownNamespacePinned", "ownNamespaceNoted", "ownNamespaceRecorded"])
def test_P02_a_container_that_was_just_being_put_on_its_first_network_takes_all_of_it_along(victim, place):
    victim.start("--failpoint", place)
    try:
        client = victim.client
        client("run", "-d", "--name", "box", "--network", "none", victim.image, *STAYING).ok()
        client("network", "disconnect", "none", "box").ok()
        pid = client.inspect("box", "{{.State.Pid}}")
        client("network", "connect", "bridge", "box")
        assert victim.process.wait(20 * PATIENCE) == -9, victim.log()
        victim.start()
        assert client.inspect("box", "{{.State.Status}} {{.State.Pid}}") == f"running {pid}"
        client("stop", "-t", "0", "box").ok()
        show_that_it_is_whole(victim)
    finally:
        if victim.process.poll() is not None:
            victim.start()
        clear(victim)
        assert victim.stop() == 0


def clear(daemon):
    """So that what one place reveals is not told of the next one as well."""
    if names := daemon.client("ps", "-aq").ok().split():
        daemon.client("rm", "-f", "-v", *names)
    daemon.client("network", "prune", "-f")
    daemon.client("volume", "prune", "-f", "-a")
    for link in set(leaks.links()) - set(daemon.untouched["links"]):
        subprocess.run(["ip", "link", "del", link], check=False)


@of_a_build(with_failpoints=False)
def test_an_installed_daemon_has_no_failpoints():
    for flag in ("--list-failpoints=", "--failpoint=startTold"):
        refused = subprocess.run([APUSD, flag], capture_output=True, text=True, check=False)
        assert refused.returncode == 1 and "unknown flag" in refused.stderr, refused
    with open(APUSD, "rb") as file:
        assert b"--list-failpoints" not in file.read()
