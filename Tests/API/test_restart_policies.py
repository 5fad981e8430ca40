"""Rows A10, A12 and D26: restart policies, which the shim carries out, also while no daemon is there."""
# Rows: features

import contextlib
import json
import os
import signal
import time

import pytest

from processes import wait_until
from test_stats import ControlFiles

COUNTING = "echo x >> /runs; "


def runs(cli, name):
    """How often the container's script has begun, by a file in its root."""
    return len(cli("exec", name, "cat", "/runs").ok().split())


def shown(cli, name, template):
    return cli.inspect(name, "{{" + template + "}}")


def policy(cli, name):
    return json.loads(cli.inspect(name, "{{json .HostConfig.RestartPolicy}}"))


def is_running_after(cli, name, count):
    # What a start that failed left is called running as well while it is taken away, without a process.
    return cli.inspect(name, "{{.RestartCount}} {{.State.Status}} {{ne .State.Pid 0}}") == f"{count} running true"


def test_D26_a_container_that_fails_is_started_as_often_as_its_policy_says(cli, image):
    cli("run", "-d", "--name", "fails", "--restart", "on-failure:3", image, "sh", "-c", "echo run; exit 7").ok()
    wait_until(lambda: shown(cli, "fails", ".State.Status") == "exited", "the policy gives up")
    assert cli.inspect("fails", "{{.RestartCount}} {{.State.ExitCode}} {{.State.Restarting}}") == "3 7 false"
    assert cli("logs", "fails").ok() == "run\n" * 4
    assert policy(cli, "fails") == {"Name": "on-failure", "MaximumRetryCount": 3}
    # A start that somebody asks for counts anew.
    cli("start", "fails").ok()
    wait_until(lambda: cli.inspect("fails", "{{.State.Status}} {{.RestartCount}}") == "exited 3", "the policy gives up again")
    assert cli("logs", "fails").ok() == "run\n" * 8


def test_D26_success_ends_on_failure_and_nothing_else(cli, image):
    cli("run", "-d", "--name", "well", "--restart", "on-failure", image, "true").ok()
    cli("run", "-d", "--name", "ever", "--restart", "always", image, "true").ok()
    wait_until(lambda: int(shown(cli, "ever", ".RestartCount")) >= 2, "always starts it again")
    assert cli("wait", "well").line() == "0"
    assert cli.inspect("well", "{{.State.Status}} {{.RestartCount}}") == "exited 0"
    cli("stop", "ever").ok()
    assert cli.inspect("ever", "{{.State.Status}} {{.State.Restarting}}") == "exited false"
    count = shown(cli, "ever", ".RestartCount")
    time.sleep(1)
    assert cli.inspect("ever", "{{.State.Status}} {{.RestartCount}}") == f"exited {count}"


def test_D26_a_restart_keeps_the_root_and_brings_another_process(cli, image):
    cli("run", "-d", "--name", "keeps", "--restart", "always", image, "sh", "-c", COUNTING + "exec sleep 60").ok()
    before = cli.inspect("keeps", "{{.State.Pid}} {{.State.StartedAt}}")
    wait_until(lambda: runs(cli, "keeps") == 1, "the script runs")
    os.kill(int(before.split()[0]), signal.SIGKILL)
    wait_until(lambda: is_running_after(cli, "keeps", 1), "it runs again")
    after = cli.inspect("keeps", "{{.State.Pid}} {{.State.StartedAt}}")
    assert after.split()[0] != before.split()[0] and after.split()[1] > before.split()[1]
    wait_until(lambda: runs(cli, "keeps") == 2, "the script ran in the same root")
    started = time.monotonic()
    cli("stop", "-t", "0", "keeps").ok()
    assert time.monotonic() - started < 5
    assert cli.inspect("keeps", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"


def test_D26_waits_between_restarts_double_and_show_in_ps(cli, image):
    cli("run", "-d", "--name", "loops", "--restart", "unless-stopped", image, "sh", "-c", "cut -d' ' -f1 /proc/uptime; exit 1").ok()
    # 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 s have passed before the seventh run; 6.4 s follow, for all that is to be asked while it waits.
    told = wait_until(lambda: (words := cli("logs", "loops").ok().split())[6:] and words, "seven runs", seconds=40)
    status = ""

    def is_waiting():
        nonlocal status
        status = cli("ps", "--format", "{{.Status}}", "--filter", "status=restarting").ok().strip()
        return status
    wait_until(is_waiting, "ps shows the restart")
    assert status.startswith("Restarting (1) ") and status.endswith(" ago"), status
    assert cli.inspect("loops", "{{.State.Status}} {{.State.Running}} {{.State.Restarting}} {{.State.Pid}} {{.State.ExitCode}}") == "restarting true true 0 1"
    assert "is restarting, wait until the container is running" in cli("exec", "loops", "true").err
    assert "is restarting" in cli("pause", "loops").err and "is restarting, wait until the container is running" in cli("top", "loops").err
    assert "container is restarting: stop the container before removing or force remove" in cli("rm", "loops").err
    moments = [float(word) for word in told[:7]]
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:])]
    waits = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
    assert len(gaps) == len(waits)
    for gap, least in zip(gaps, waits):
        assert gap >= least - 0.02, gaps
    assert gaps[-1] < 2 * waits[-1], gaps
    # What waits is stopped at once, and stays so.
    started = time.monotonic()
    cli("stop", "loops").ok()
    assert time.monotonic() - started < 5
    assert cli.inspect("loops", "{{.State.Status}} {{.State.ExitCode}}") == "exited 1"


def test_D26_kill_and_forced_removal_end_a_restart_policy(cli, image):
    cli("run", "-d", "--name", "killed", "--restart", "always", image, "sleep", "60").ok()
    cli("kill", "killed").ok()
    time.sleep(0.6)
    assert cli.inspect("killed", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}") == "exited 137 0"
    cli("run", "-d", "--name", "loops", "--restart", "always", image, "false").ok()
    wait_until(lambda: int(shown(cli, "loops", ".RestartCount")) >= 2, "it is restarted")
    cli("rm", "-f", "loops").ok()
    assert cli("inspect", "loops").code == 1


def test_D26_events_and_waits_see_every_end(cli, image):
    since = str(int(time.time()))
    cli("create", "--name", "twice", "--restart", "on-failure:1", image, "sh", "-c", "sleep 0.3; exit 4").ok()
    cli("start", "twice").ok()
    assert cli("wait", "twice").line() == "4"
    wait_until(lambda: cli.inspect("twice", "{{.State.Status}} {{.RestartCount}}") == "exited 1", "the policy gives up")
    lines = cli("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "container=twice", "--format", "{{.Action}}").ok()
    happened = [line for line in lines.split() if line in ("start", "die")]
    assert happened == ["start", "die", "start", "die"]


def test_D26_an_attached_run_leaves_at_the_first_end(cli, image):
    result = cli("run", "--name", "front", "--restart", "always", image, "sh", "-c", "echo once; exit 3")
    assert (result.code, result.out) == (3, "once\n")
    wait_until(lambda: int(shown(cli, "front", ".RestartCount")) >= 1, "it goes on alone")


def test_D26_update_changes_the_policy_of_what_runs(cli, image):
    cli("run", "-d", "--name", "later", image, "sleep", "60").ok()
    assert cli("update", "--restart", "on-failure:2", "later").line() == "later"
    assert policy(cli, "later") == {"Name": "on-failure", "MaximumRetryCount": 2}
    os.kill(int(shown(cli, "later", ".State.Pid")), signal.SIGKILL)
    wait_until(lambda: is_running_after(cli, "later", 1), "the new policy is in force")
    assert cli("update", "--restart", "no", "later").code == 0
    os.kill(int(shown(cli, "later", ".State.Pid")), signal.SIGKILL)
    wait_until(lambda: shown(cli, "later", ".State.Status") == "exited", "it stays down")


def test_D26_policies_that_make_no_sense_are_refused_in_dockers_words(cli, image):
    assert "conflicting options: " in cli("run", "--rm", "--restart", "always", image).err.lower()
    bad = cli("run", "--restart", "sometimes", image)
    assert bad.code == 125 and "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'" in bad.err
    assert "maximum retry count can only be used with 'on-failure'" in cli("run", "--restart", "always:3", image).err
    cli("run", "-d", "--rm", "--name", "brief", image, "sleep", "60").ok()
    assert "AutoRemove is enabled" in cli("update", "--restart", "always", "brief").err


def pid_of(cli, name):
    return int(shown(cli, name, ".State.Pid"))


def are_together(cli, *names):
    """Whether the containers have one network."""
    return len({os.stat(f"/proc/{pid_of(cli, name)}/ns/net").st_ino for name in names}) == 1


@pytest.mark.parametrize("where", ("bridge", "none", "host"))
def test_D26_C20_who_joined_another_ones_network_is_started_again_there(cli, image, where):
    pod = cli("run", "-d", "--name", "pod", "--restart", "always", "--network", where, image, "sleep", "600").line()
    cli("run", "-d", "--name", "joined", "--restart", "always", "--network", "container:pod", image, "sleep", "600").ok()
    # By another one that has joined it; and by a policy of later.
    cli("run", "-d", "--name", "second", "--network", "container:joined", image, "sleep", "600").ok()
    cli("update", "--restart", "always", "second").ok()
    for count in (1, 2):
        for name in ("joined", "second"):
            os.kill(pid_of(cli, name), signal.SIGKILL)
            wait_until(lambda name=name, count=count: is_running_after(cli, name, count), f"{name} runs again", seconds=30)
        assert are_together(cli, "pod", "joined", "second")
    # The other one's own restart is no new network.
    os.kill(pid_of(cli, "pod"), signal.SIGKILL)
    wait_until(lambda: is_running_after(cli, "pod", 1), "it runs again", seconds=30)
    assert are_together(cli, "pod", "joined", "second")
    # What somebody starts anew has one, in which they are from their next start on.
    cli("restart", "-t", "0", "pod").ok()
    assert are_together(cli, "pod", "joined") is (where == "host")
    if where == "bridge":
        # Who is in the one of before leads nobody else's next start there.
        late = cli("run", "-d", "--name", "late", "--restart", "always", "--network", "container:second", image, "sleep", "600")
        assert late.code == 125 and "in one which its owner has no more" in late.err, late
        cli("rm", "late").ok()
    os.kill(pid_of(cli, "joined"), signal.SIGKILL)
    wait_until(lambda: is_running_after(cli, "joined", 3), "it runs again", seconds=30)
    assert are_together(cli, "pod", "joined")
    if where == "host":
        return
    # Without the other one nothing is joined: as with dockerd that is the end, until somebody starts it.
    cli("stop", "-t", "0", "pod").ok()
    os.kill(pid_of(cli, "joined"), signal.SIGKILL)
    wait_until(lambda: shown(cli, "joined", ".State.Status") == "exited", "it stays down", seconds=30)
    assert shown(cli, "joined", ".State.Error")
    refused = cli("start", "joined")
    assert refused.code == 1 and f"cannot join network of a non running container: {pod}" in refused.err, refused
    cli("start", "pod", "joined").ok()
    assert are_together(cli, "pod", "joined")


@pytest.mark.parametrize("kind", ("pid", "ipc"))
def test_D26_who_joined_another_ones_processes_or_memory_is_started_again_there(cli, image, kind):
    def are_in_one():
        return len({os.stat(f"/proc/{pid_of(cli, name)}/ns/{kind}").st_ino for name in ("pod", "joined")}) == 1
    cli("run", "-d", "--name", "pod", "--restart", "always", "--ipc", "shareable", image, "sleep", "600").ok()
    cli("run", "-d", "--name", "joined", "--restart", "always", f"--{kind}", "container:pod", image, "sleep", "600").ok()
    assert are_in_one()
    for count in (1, 2):
        os.kill(pid_of(cli, "joined"), signal.SIGKILL)
        wait_until(lambda count=count: is_running_after(cli, "joined", count), "it runs again", seconds=30)
        assert are_in_one()
    # Another run of the other one has another namespace, in which it is from its next start on; with a PID namespace end all that are in it.
    os.kill(pid_of(cli, "pod"), signal.SIGKILL)
    wait_until(lambda: is_running_after(cli, "pod", 1), "the other one runs again", seconds=30)
    if kind == "ipc":
        assert not are_in_one()
        os.kill(pid_of(cli, "joined"), signal.SIGKILL)
    wait_until(lambda: is_running_after(cli, "joined", 3), "it runs again", seconds=30)
    assert are_in_one()
    # Stopped is stopped; and without the other one nothing is joined.
    cli("stop", "-t", "0", "joined").ok()
    time.sleep(0.6)
    assert shown(cli, "joined", ".State.Status") == "exited"
    cli("start", "joined").ok()
    pid = pid_of(cli, "joined")
    cli("stop", "-t", "0", "pod").ok()
    if kind == "ipc":
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: shown(cli, "joined", ".State.Status") == "exited" and "non running" in shown(cli, "joined", ".State.Error")
               or "is not running" in shown(cli, "joined", ".State.Error"), "it is not started without", seconds=30)


def test_D26_who_joined_another_ones_processes_is_started_again_by_the_next_daemon(brittle):
    client = brittle.client
    client("run", "-d", "--name", "pod", brittle.image, "sleep", "600").ok()
    client("run", "-d", "--name", "joined", "--restart", "always", "--pid", "container:pod", brittle.image, "sleep", "600").ok()
    former = pid_of(client, "joined")
    brittle.kill()
    os.kill(former, signal.SIGKILL)
    time.sleep(1)
    brittle.start()
    wait_until(lambda: shown(client, "joined", ".State.Running") == "true" and pid_of(client, "joined") not in (0, former), "it runs again", seconds=30)
    assert os.stat(f"/proc/{pid_of(client, 'pod')}/ns/pid").st_ino == os.stat(f"/proc/{pid_of(client, 'joined')}/ns/pid").st_ino


def namespaces_held(daemon):
    """How many namespaces the daemon has open."""
    folder = f"/proc/{daemon.process.pid}/fd"
    links = []
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"{folder}/{name}"))
    return sum(link.startswith("net:[") for link in links)


def test_C20_who_is_started_again_in_another_ones_network_keeps_none_of_before(brittle):
    client, image = brittle.client, brittle.image
    client("run", "-d", "--name", "pod", image, "sleep", "600").ok()
    before = namespaces_held(brittle)
    client("run", "-d", "--name", "joined", "--restart", "always", "--network", "container:pod", image, "sleep", "600").ok()
    client("run", "-d", "--name", "later", "--network", "container:pod", image, "sleep", "600").ok()
    client("update", "--restart", "always", "later").ok()
    assert namespaces_held(brittle) == before


def test_C20_a_policy_that_another_ones_removal_refuses_changes_no_limit(cli, image):
    cli("run", "-d", "--name", "pod", image, "sleep", "600").ok()
    cli("run", "-d", "--name", "joined", "-m", "64m", "--network", "container:pod", image, "sleep", "600").ok()
    cli("rm", "-f", "pod").ok()
    refused = cli("update", "-m", "32m", "--memory-swap", "64m", "--restart", "always", "joined")
    assert refused.code == 1 and "No such container" in refused.err, refused
    assert shown(cli, "joined", ".HostConfig.Memory") == str(64 << 20)
    assert shown(cli, "joined", ".HostConfig.RestartPolicy.Name") == "no"
    assert ControlFiles(cli.inspect("joined", "{{.Id}}")).number("memory.max", "memory.limit_in_bytes") == 64 << 20


def test_A10_C20_who_joined_another_ones_network_is_started_again_there_while_the_daemon_is_dead(brittle):
    client = brittle.client
    client("run", "-d", "--name", "pod", brittle.image, "sleep", "600").ok()
    client("run", "-d", "--name", "joined", "--restart", "always", "--network", "container:pod", brittle.image, "sleep", "600").ok()
    former = pid_of(client, "joined")
    brittle.kill()
    os.kill(former, signal.SIGKILL)
    time.sleep(2)
    brittle.start()
    wait_until(lambda: is_running_after(client, "joined", 1), "it runs again", seconds=30)
    assert pid_of(client, "joined") != former and are_together(client, "pod", "joined")


def test_A10_policies_work_while_the_daemon_is_dead(brittle):
    """The shim restarts what ends, and a daemon that returns tells what it missed."""
    client, image = brittle.client, brittle.image
    kept = ("keeps", "stays")
    for name, rule in zip(kept, ("always", "unless-stopped")):
        client("run", "-d", "--name", name, "--restart", rule, image, "sh", "-c", COUNTING + "exec sleep 60").ok()
    client("run", "-d", "--name", "fails", "--restart", "on-failure:2", image, "sh", "-c", "sleep 0.5; exit 9").ok()
    client("run", "-d", "--name", "once", image, "sh", "-c", "sleep 0.5; exit 8").ok()
    pids = [int(client.inspect(name, "{{.State.Pid}}")) for name in kept]
    # What happens from now on is told with its own time, whenever it is told.
    since = f"{time.time():.9f}"
    brittle.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(3)
    brittle.start()
    for name, pid in zip(kept, pids):
        assert client.inspect(name, "{{.State.Status}} {{.RestartCount}}") == "running 1"
        assert int(client.inspect(name, "{{.State.Pid}}")) != pid
        assert runs(client, name) == 2
    assert client.inspect("once", "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}") == "exited 0 8"
    # A daemon that begins starts what failed; Docker's does, too.
    wait_until(lambda: client.inspect("fails", "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}") == "exited 2 9", "it gave up")
    lines = client("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "container=keeps", "--format", "{{.Action}}").ok()
    assert [line for line in lines.split() if line in ("start", "die")] == ["die", "start"]
    client("stop", "-t", "0", "keeps").ok()
    assert client.inspect("keeps", "{{.State.Status}}") == "exited"


def test_A10_a_daemon_that_begins_starts_what_its_policy_wants(brittle):
    """Stopped by hand: `always` comes back, `unless-stopped` and `no` do not. A lost run (the machine went down) comes back with both."""
    client, image = brittle.client, brittle.image
    for policy in ("always", "unless-stopped", "no"):
        client("run", "-d", "--name", f"stopped-{policy}", "--restart", policy, image, "sleep", "60").ok()
        client("stop", "-t", "0", f"stopped-{policy}").ok()
        client("run", "-d", "--name", f"lost-{policy}", "--restart", policy, image, "sleep", "60").ok()
    pids = [int(client.inspect(f"lost-{policy}", "{{.State.Pid}}")) for policy in ("always", "unless-stopped", "no")]
    brittle.kill()
    # No shim and no process is left, and no record of an end.
    for pid in brittle.shims():
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    brittle.start()

    def states():
        return json.loads("{" + ",".join(client("ps", "-a", "--format", '"{{.Names}}":"{{.State}}"').ok().split()) + "}")

    # A shim takes the place of a lost one, and begins the next run after the policy's delay.
    wait_until(lambda: "restarting" not in states().values(), "the next runs have begun")
    assert states() == {
        "stopped-always": "running", "stopped-unless-stopped": "exited", "stopped-no": "exited",
        "lost-always": "running", "lost-unless-stopped": "running", "lost-no": "exited",
    }


def test_A10_what_was_only_created_waits_for_somebody_to_start_it(brittle):
    """Also where a start failed: dockerd leaves both alone, whatever their policy."""
    client, image = brittle.client, brittle.image
    policies = ("always", "unless-stopped", "on-failure")
    for policy in policies:
        client("create", "--name", f"made-{policy}", "--restart", policy, image, "sleep", "60").ok()
        assert client("run", "-d", "--name", f"failed-{policy}", "--restart", policy, image, "nonesuch").code == 127
    for end in (brittle.stop, brittle.kill):
        end()
        brittle.start()
        time.sleep(1)
        for policy in policies:
            for name in (f"made-{policy}", f"failed-{policy}"):
                assert client.inspect(name, "{{.State.Status}} {{.State.StartedAt}}") == "created 0001-01-01T00:00:00Z", (end, name)
    client("start", "made-always").ok()
    assert client.inspect("made-always", "{{.State.Status}}") == "running"


@pytest.mark.parametrize("moment", (0.0, 0.05, 0.12, 0.2))
def test_A10_a_daemon_killed_in_the_midst_of_restarts_finds_them(brittle, moment):
    client, image = brittle.client, brittle.image
    client("run", "-d", "--name", "loops", "--restart", "on-failure:4", image, "sh", "-c", "echo run; exit 1").ok()
    time.sleep(moment)
    brittle.kill()
    brittle.start()
    wait_until(lambda: client.inspect("loops", "{{.State.Status}}") == "exited", "the policy gives up", seconds=20)
    assert client.inspect("loops", "{{.RestartCount}}") == "4"
    assert client("logs", "loops").ok() == "run\n" * 5


def ends_waited_for(daemon):
    """The processes whose end the daemon hears of by a descriptor, each as often as it does."""
    folder, found = f"/proc/{daemon.process.pid}/fdinfo", []
    for number in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError), open(f"{folder}/{number}", encoding="ascii") as file:
            found += [int(line.split()[1]) for line in file if line.startswith("Pid:")]
    return found


def test_D26_a_daemon_that_learns_of_many_starts_waits_for_the_end_of_the_last_alone(brittle, tmp_path):
    script = "while [ ! -e /d/go ]; do usleep 20000; done; echo again >> /d/starts; [ $(wc -l < /d/starts) -gt 3 ] || exit 1; exec sleep 600"
    brittle.client("run", "-d", "--name", "again", "--restart", "always", "-v", f"{tmp_path}:/d", brittle.image, "sh", "-c", script).ok()
    brittle.kill()
    (tmp_path / "go").touch()
    wait_until(lambda: (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text().split()) == 4, "it is started again without a daemon")
    brittle.start()
    restarts, pid = brittle.client.inspect("again", "{{.RestartCount}} {{.State.Pid}}").split()
    assert restarts == "3" and ends_waited_for(brittle).count(int(pid)) == 1
    # The one that it waits for is the right one.
    os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: is_running_after(brittle.client, "again", 4), "its shim starts it")
    wait_until(lambda: int(pid) not in ends_waited_for(brittle), "what has ended is waited for no more")
    assert ends_waited_for(brittle).count(int(shown(brittle.client, "again", ".State.Pid"))) == 1
