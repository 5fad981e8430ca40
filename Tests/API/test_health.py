"""Row E19: health checks, which the shim carries out, also while no daemon is there."""
# Rows: features

import json
import os
import re
import subprocess
import time

import pytest

import oci_images
from engine_http import api
from processes import PATIENCE, alive, wait_until

FAST = ("--health-interval", "200ms", "--health-retries", "2")


def health(cli, name="checked"):
    return json.loads(cli.inspect(name, "{{json .State.Health}}"))


def status(cli, name="checked"):
    return (health(cli, name) or {}).get("Status")


def becomes(cli, wanted, name="checked"):
    wait_until(lambda: status(cli, name) == wanted, f"{name} is {wanted}")


def test_E19_health_follows_what_the_check_finds(cli, image):
    since = str(int(time.time()))
    cli("run", "-d", "--name", "checked", "--health-cmd", "echo looked; test -e /well", *FAST, image, "sleep", "60").ok()
    assert status(cli) in ("starting", "unhealthy")
    becomes(cli, "unhealthy")
    found = health(cli)
    assert found["FailingStreak"] >= 2 and 0 < len(found["Log"]) <= 5
    assert (found["Log"][-1]["ExitCode"], found["Log"][-1]["Output"]) == (1, "looked\n")
    assert found["Log"][-1]["Start"] < found["Log"][-1]["End"]
    assert cli("ps", "--format", "{{.Status}}").line().endswith(" (unhealthy)")
    cli("exec", "checked", "touch", "/well").ok()
    becomes(cli, "healthy")
    assert health(cli)["FailingStreak"] == 0
    assert cli("ps", "--format", "{{.Status}}").line().endswith(" (healthy)")
    assert cli("ps", "-q", "-f", "health=healthy").line() and not cli("ps", "-q", "-f", "health=unhealthy").line()
    lines = cli("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "container=checked", "--format", "{{.Action}}").ok()
    assert [line for line in lines.splitlines() if line.startswith("health_status")] == ["health_status: unhealthy", "health_status: healthy"]
    wait_until(lambda: len(health(cli)["Log"]) == 5, "five checks are kept")
    last = health(cli)["Log"][-1]["Start"]
    wait_until(lambda: health(cli)["Log"][0]["Start"] > last, "and not more")
    cli("stop", "-t", "0", "checked").ok()
    assert status(cli) == "unhealthy" and len(health(cli)["Log"]) == 5


def test_E19_the_checks_of_the_last_run_are_still_to_be_seen(cli, image):
    # Seldom enough for those of the last run not to have been followed by as many as are kept, however long a client takes.
    cli("run", "-d", "--name", "checked", "--health-cmd", "echo looked", "--health-interval", "2s", image, "sleep", "60").ok()
    wait_until(lambda: len(health(cli)["Log"] or []) >= 2, "two checks")
    cli("stop", "-t", "0", "checked").ok()
    before = health(cli)["Log"]
    cli("start", "checked").ok()
    found = health(cli)
    assert found["Status"] in ("starting", "healthy") and found["Log"][:len(before)] == before[-5:]
    log = wait_until(lambda: (lambda log: log if log[-1]["Start"] > before[-1]["Start"] else None)(health(cli)["Log"]), "the next run is checked")
    assert len(log) <= 5 and log[0] in before


def test_E19_a_check_that_ended_in_time_has_done_so_whoever_still_holds_its_output(cli, image):
    """What it left behind is in a session of its own, which nothing ends."""
    cli("run", "-d", "--name", "checked", "--health-cmd", "setsid sleep 60 & exit 0", "--health-timeout", "40s", *FAST, image, "sleep", "100").ok()
    # Long before any of them is over.
    wait_until(lambda: len(health(cli)["Log"] or []) >= 2, "two checks")
    found = health(cli)
    assert (found["Status"], found["FailingStreak"], {look["ExitCode"] for look in found["Log"]}) == ("healthy", 0, {0})


def test_E19_failures_within_the_start_period_do_not_count(apus, image):
    apus("run", "-d", "--name", "checked", "--health-cmd", "test -e /well", "--health-interval", "10s", "--health-retries", "1",
        "--health-start-period", "60s", "--health-start-interval", "200ms", image, "sleep", "60").ok()
    wait_until(lambda: len(health(apus)["Log"] or []) >= 2, "it is checked at the start interval")
    assert (status(apus), health(apus)["FailingStreak"]) == ("starting", 0)
    assert "(health: starting)" in apus("ps", "--format", "{{.Status}}").ok()
    apus("exec", "checked", "touch", "/well").ok()
    becomes(apus, "healthy")


def test_E19_a_check_that_takes_too_long_is_killed(apus, image):
    apus("run", "-d", "--name", "checked", "--health-cmd", "echo begun; exec sleep 30", "--health-timeout", "300ms", *FAST, image, "sleep", "60").ok()
    becomes(apus, "unhealthy")
    last = health(apus)["Log"][-1]
    assert last["ExitCode"] == -1 and last["Output"].startswith("Health check exceeded timeout (300ms)"), last
    assert apus("exec", "checked", "ps", "-o", "args").ok().count("sleep 30") <= 1


def sleepers(pid, seconds):
    """Programs `sleep seconds` beside the process `pid` in its pid namespace."""
    def space(number):
        try:
            return os.readlink(f"/proc/{number}/ns/pid")
        except OSError:
            return None
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[-2:-1] == [seconds.encode()] and b"sleep" in words[0:2] and space(number) == space(pid):
            found.append(number)
    # All at once: what has ended meanwhile was followed by the next one.
    return [number for number in found if alive(number)]


def test_E19_a_check_leaves_no_process_behind(apus, image):
    """Neither what a shell waits for when its time is over, nor what it left in the background."""
    apus("run", "-d", "--name", "checked", "--health-cmd", "(sleep 171 & sleep 172); sleep 173", "--health-timeout", "300ms", *FAST, image, "sleep", "60").ok()
    apus("run", "-d", "--name", "leaver", "--health-cmd", "sleep 174 & sleep 175 >/dev/null 2>&1 & exit 0", *FAST, image, "sleep", "60").ok()
    becomes(apus, "unhealthy")
    becomes(apus, "healthy", "leaver")
    # Its output was held open, and that delayed nothing.
    assert all(one["ExitCode"] == 0 for one in health(apus, "leaver")["Log"])
    for name, seconds in (("checked", ("171", "172", "173")), ("leaver", ("174", "175"))):
        pid = apus.inspect(name, "{{.State.Pid}}")
        apus("pause", name).ok()
        apus("unpause", name).ok()
        assert all(len(sleepers(pid, one)) <= 1 for one in seconds), name


def test_E19_a_check_is_an_exec_to_those_who_listen(apus, image):
    since = str(int(time.time()))
    apus("run", "-d", "--name", "checked", "--health-cmd", "exit 3", *FAST, image, "sleep", "60").ok()
    becomes(apus, "unhealthy")
    apus("kill", "checked").ok()
    lines = apus("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "container=checked", "--format",
                "{{.Action}} {{.Actor.Attributes.execID}} {{.Actor.Attributes.exitCode}}").ok().splitlines()
    told = [line for line in lines if line.startswith("exec_")]
    # The last one that ended by itself, not with its container: of the first, the daemon may have seen the end alone.
    exec_id = [line for line in told if line.startswith("exec_die") and line.endswith(" 3")][-1].split()[1]
    assert len(exec_id) == 64
    created, started, died = [line for line in told if exec_id in line]
    assert created.split(" ", 1)[0] == "exec_create:" and exec_id in created and "/bin/sh -c exit 3" in created
    assert started.split(" ", 1)[0] == "exec_start:" and exec_id in started and "/bin/sh -c exit 3" in started
    assert died.split()[::2] == ["exec_die", "3"]


def test_E19_a_check_that_cannot_be_killed_is_not_multiplied(apus, image, own_daemon):
    """While its container is held nothing is checked, and what was under way does not count."""
    apus("run", "-d", "--name", "checked", "--health-cmd", "sleep 176", "--health-timeout", "1s", *FAST, image, "sleep", "60").ok()
    pid = apus.inspect("checked", "{{.State.Pid}}")
    wait_until(lambda: sleepers(pid, "176"), "a check is under way")
    apus("pause", "checked").ok()
    # A client may take its time until it holds the container. One check may have ended just before.
    before = health(apus)["FailingStreak"]
    time.sleep(1.5)
    assert len(sleepers(pid, "176")) <= 1 and health(apus)["FailingStreak"] <= before + 1
    apus("unpause", "checked").ok()
    becomes(apus, "unhealthy")
    apus("rm", "-f", "checked").ok()
    wait_until(lambda: not own_daemon.shims(), "its shim has ended")


def test_E19_output_is_kept_to_4096_bytes_and_a_missing_program_is_told(apus, image):
    apus("run", "-d", "--name", "checked", "--health-cmd", "yes | head -c 100000", *FAST, image, "sleep", "60").ok()
    becomes(apus, "healthy")
    assert health(apus)["Log"][-1]["Output"] == "y\n" * 2048 + "..."
    apus("run", "-d", "--name", "lacks", "--health-cmd", "/no/such/program", *FAST, image, "sleep", "60").ok()
    becomes(apus, "unhealthy", "lacks")
    last = health(apus, "lacks")["Log"][-1]
    assert last["ExitCode"] == 127 and "not found" in last["Output"]


def test_E19_checks_pause_with_the_container(apus, image):
    apus("run", "-d", "--name", "checked", "--health-cmd", "true", *FAST, image, "sleep", "60").ok()
    becomes(apus, "healthy")
    apus("pause", "checked").ok()

    def last_after_a_while():
        time.sleep(1)
        return health(apus)["Log"][-1]["End"]

    # One may have ended just before, which the shim sees now.
    before = last_after_a_while()
    assert last_after_a_while() == before and status(apus) == "healthy"
    apus("unpause", "checked").ok()
    wait_until(lambda: health(apus)["Log"][-1]["End"] > before, "it is checked again")
    assert status(apus) == "healthy"


def test_E19_no_healthcheck_and_none_check_nothing(cli, image):
    cli("run", "-d", "--name", "checked", "--no-healthcheck", image, "sleep", "60").ok()
    assert health(cli) is None and cli.inspect("checked", "{{if .State.Health}}{{.State.Health.Status}}{{else}}unchecked{{end}}") == "unchecked"
    assert "(" not in cli("ps", "--format", "{{.Status}}").ok()
    assert cli("ps", "-q", "-f", "health=none").line()
    assert "nonsense" in cli("ps", "-f", "health=nonsense").err


def test_E19_an_images_check_is_taken_with_spans_of_the_request(cli, registry):
    check = {"Test": ["CMD-SHELL", "test -e /well"], "Interval": 200_000_000, "Retries": 2}
    oci_images.Pusher(registry.host).push("checked", oci_images.busybox({"Healthcheck": check}))
    own = f"{registry.host}/checked"
    cli("pull", own).ok()
    try:
        cli("run", "-d", "--name", "checked", own, "sleep", "60").ok()
        becomes(cli, "unhealthy")
        cli("run", "-d", "--name", "patient", "--health-retries", "1000", own, "sleep", "60").ok()
        wait_until(lambda: health(cli, "patient")["FailingStreak"] >= 3, "it has failed more often than the image allows")
        assert status(cli, "patient") == "starting"
        cli("run", "-d", "--name", "free", "--no-healthcheck", own, "sleep", "60").ok()
        assert health(cli, "free") is None
        cli("rm", "-f", "checked", "patient", "free").ok()
    finally:
        cli("rmi", own)


def test_E19_what_makes_no_sense_is_refused(apus, image):
    assert "Interval in Healthcheck cannot be less than 1ms" in apus("run", "--health-cmd", "true", "--health-interval", "10us", image).err
    assert "use one of 'none', 'kill', 'restart', or 'stop'" in apus("run", "--health-cmd", "true", "--health-on-failure", "pray", image).err
    assert "needs a health check" in apus("run", "--health-on-failure", "kill", image).err
    for probe, reason in (("http://name/x", "not looked up"), ("tcp://127.0.0.1", "no port"),
                          ("tcp://127.0.0.1:99999", "no port"), ("http://[::1]x", "after the address")):
        result = apus("run", "--health-cmd", probe, image, "true")
        assert result.code == 125 and reason in result.err, result


@pytest.mark.parametrize("action, state", [("kill", "exited 137 0"), ("stop", "exited 5 0"), ("restart", None), ("none", "running 0 0")])
def test_E19_an_unhealthy_container_is_dealt_with(apus, image, action, state):
    id = apus("run", "-d", "--name", "checked", "--health-cmd", "test ! -e /ill", "--health-interval", "200ms", "--health-retries", "1",
              "--health-on-failure", action, image, "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done").line()
    assert apus.inspect("checked", "{{.HostConfig.HealthOnFailure}}") == action
    becomes(apus, "healthy")
    apus("exec", "checked", "sh", "-c", "touch /ill").ok()
    if action == "restart":
        # It is as ill as before, in the same root, and is restarted again, and again.
        wait_until(lambda: int(apus.inspect("checked", "{{.RestartCount}}")) >= 3, "it is about to be for the third time", seconds=60)
        shown = apus("events", "--since", "1h", "--until", "0s", "-f", f"container={id}", "--format", "{{.Action}}").ok()
        told = [line for line in shown.splitlines() if line.startswith(("start", "die", "health_status"))]
        assert told[:8] == ["start", "health_status: healthy", *["health_status: unhealthy", "die", "start"] * 2], told
        return
    becomes(apus, "unhealthy")
    wait_until(lambda: apus.inspect("checked", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}") == state, state)


def begun_by(process, trace):
    """What a process begins in a while, by lines of strace: threads, and all else."""
    calls = "trace=?fork,?vfork,?clone,clone3,execve"
    subprocess.run(["timeout", str(2 * PATIENCE), "strace", "-f", "-qq", "-o", trace, "-e", calls, "-p", str(process)], capture_output=True, check=False)
    lines = [line for line in trace.read_text().splitlines() if re.search(r"(fork|clone3?|execve)\(", line)]
    return [line for line in lines if "CLONE_THREAD" in line], [line for line in lines if "CLONE_THREAD" not in line]


def test_E19_probes_run_no_program(apus, image, own_daemon, tmp_path):
    """http:, tcp: and file: are looked at from the container's own network and root."""
    serve = "mkdir /www; echo hello > /www/index.html; httpd -f -p 8080 -h /www"
    apus("run", "-d", "--name", "web", "--health-cmd", "http://localhost:8080/index.html", *FAST, image, "sh", "-c", serve).ok()
    apus("run", "-d", "--name", "lost", "--health-cmd", "http://127.0.0.1:8080/nosuch", *FAST, image, "sh", "-c", serve).ok()
    apus("run", "-d", "--name", "port", "--health-cmd", "tcp://[::1]:8080", *FAST, image, "sh", "-c", serve).ok()
    apus("run", "-d", "--name", "shut", "--health-cmd", "tcp://127.0.0.1:8081", *FAST, image, "sh", "-c", serve).ok()
    apus("run", "-d", "--name", "file", "--health-cmd", "file:/made", *FAST, image, "sh", "-c", "touch /made; sleep 60").ok()
    # The link is absolute, and followed inside: the host's /etc/debian_version is not seen through it.
    apus("run", "-d", "--name", "link", "--health-cmd", "file:/out/etc/debian_version", *FAST, image, "sh", "-c", "ln -s /../../.. /out; sleep 60").ok()
    for name in ("web", "port", "file"):
        becomes(apus, "healthy", name)
    for name in ("lost", "shut", "link"):
        becomes(apus, "unhealthy", name)
    assert health(apus, "web")["Log"][-1]["Output"].startswith("HTTP/1.") and " 200 " in health(apus, "web")["Log"][-1]["Output"]
    assert " 404 " in health(apus, "lost")["Log"][-1]["Output"]
    assert "ECONNREFUSED" in health(apus, "shut")["Log"][-1]["Output"]
    assert "ENOENT" in health(apus, "link")["Log"][-1]["Output"]
    for name in ("web", "port", "file"):
        with open(f"{own_daemon.run}/shims/{apus.inspect(name, '{{.Id}}')}/pid", encoding="ascii") as file:
            looks, programs = begun_by(file.read().split()[0], tmp_path / name)
        assert looks and not programs, (name, programs)


def test_A10_health_is_looked_after_while_the_daemon_is_dead(brittle, tmp_path):
    client, image = brittle.client, brittle.image
    since = str(int(time.time()))
    shared = ("-v", f"{tmp_path}:/shared", image)
    traces = lambda name: (tmp_path / name).read_text().count("\n") if (tmp_path / name).exists() else 0
    client("run", "-d", "--name", "checked", "--health-cmd", "test -e /shared/well && echo >> /shared/found", *FAST, *shared, "sleep", "60").ok()
    # The check that finds it ill takes away what made it so: it is that once.
    client("run", "-d", "--name", "killed", "--restart", "always", "--health-cmd", "! rm /shared/ill", "--health-interval", "200ms", "--health-retries", "1",
           "--health-on-failure", "kill", *shared, "sh", "-c", "echo >> /shared/runs; sleep 60").ok()
    becomes(client, "healthy", "killed")
    becomes(client, "unhealthy", "checked")
    pid = client.inspect("killed", "{{.State.Pid}}")
    brittle.kill()
    (tmp_path / "well").touch()
    (tmp_path / "ill").touch()
    # The first check has come to its end when the second one has begun.
    wait_until(lambda: traces("found") >= 2 and traces("runs") >= 2, "the one is found well, the other is run again", seconds=30)
    brittle.start()
    assert status(client) == "healthy"
    assert alive(client.inspect("checked", "{{.State.Pid}}"))
    assert client.inspect("killed", "{{.State.Status}} {{.RestartCount}}") == "running 1" and client.inspect("killed", "{{.State.Pid}}") != pid
    becomes(client, "healthy", "killed")
    lines = client("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "container=checked", "--filter", "event=health_status",
                   "--format", "{{.Action}}").ok()
    assert lines.splitlines() == ["health_status: unhealthy", "health_status: healthy"]


@pytest.mark.parametrize("action, state, count", [("stop", "exited 5", 1), ("restart", "running 0", 2)])
def test_A10_an_unhealthy_container_is_dealt_with_while_the_daemon_is_dead(brittle, tmp_path, action, state, count):
    client, runs = brittle.client, tmp_path / "runs"
    script = "trap 'exit 5' TERM; echo run >> /shared/runs; while :; do sleep 0.1; done"
    # The check that finds it ill takes away what made it so.
    client("run", "-d", "--name", "checked", "--health-cmd", "! rm /shared/ill", "--health-interval", "200ms", "--health-retries", "1",
           "--health-on-failure", action, "-v", f"{tmp_path}:/shared", brittle.image, "sh", "-c", script).ok()
    becomes(client, "healthy")
    pid = client.inspect("checked", "{{.State.Pid}}")
    brittle.kill()
    (tmp_path / "ill").touch()
    wait_until(lambda: not alive(pid) and len(runs.read_text().split()) == count, "it is dealt with", seconds=30)
    brittle.start()
    assert client.inspect("checked", "{{.State.Status}} {{.State.ExitCode}}") == state
    assert len(runs.read_text().split()) == count


@pytest.mark.parametrize("kind", ["CMD", "CMD-SHELL"])
def test_A10_commands_are_run_with_and_without_a_shell_while_the_daemon_is_dead(brittle, tmp_path, kind):
    """Each check leaves its trace in a folder of the host's, and what a failed one is to be followed by happens without the daemon, too."""
    client = brittle.client
    # What a shell would expand is a part of the name without one.
    template = "/shared/$((6*7))/XXXXXX"
    words = [kind, "/bin/busybox", "mktemp", template] if kind == "CMD" else [kind, f"mktemp {template}"]
    folder = tmp_path / ("$((6*7))" if kind == "CMD" else "42")
    folder.mkdir()
    body = {"Image": brittle.image, "Cmd": ["sleep", "300"], "Healthcheck": {"Test": words, "Interval": 200_000_000, "Retries": 1},
            "HostConfig": {"Binds": [f"{tmp_path}:/shared"], "HealthOnFailure": "kill"}}
    api(brittle, "POST", "/containers/create?name=checked", body, expect=201)
    client("start", "checked").ok()
    becomes(client, "healthy")
    pid = client.inspect("checked", "{{.State.Pid}}")
    brittle.kill()
    before, killed_at = len(os.listdir(folder)), time.time()
    wait_until(lambda: len(os.listdir(folder)) >= before + 3, "it is checked on")
    assert alive(pid)
    folder.rename(tmp_path / "away")
    wait_until(lambda: not alive(pid), "it is killed")
    brittle.start()
    assert client.inspect("checked", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    found = health(client)
    assert found["Status"] == "unhealthy" and found["Log"][-1]["ExitCode"] == 1, found
    assert found["Log"][-1]["Start"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(killed_at))
