"""Rows D01-D06, D08, D10, D12, D13, D15-D17, D20, D24: looking after containers."""
# Rows: features

import json
import os
import re
import subprocess
import tarfile
import time
from urllib.parse import quote

import pexpect
import pytest
from engine_http import api
from oci_images import Pusher, busybox, with_libraries
from processes import read_line, wait_until


@pytest.fixture
def running(cli, image):
    """A container named `web` that ends at SIGTERM with 0."""
    script = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"
    cli("run", "-d", "--name", "web", image, "sh", "-c", script).ok()
    wait_until(lambda: "up" in cli("logs", "web").out, "the container is ready")
    return "web"


def test_D01_ps_lists_running_containers(cli, running, image):
    lines = cli("ps").ok().splitlines()
    assert re.fullmatch(r"CONTAINER ID\s+IMAGE\s+COMMAND\s+CREATED\s+STATUS\s+PORTS\s+NAMES", lines[0])
    assert re.fullmatch(rf"[0-9a-f]{{12}}\s+{image}\s+\"sh -c 'trap 'exit 0…\"\s+.* ago\s+Up .*\s+web", lines[1])
    assert len(lines) == 2
    for verb in ("ls", "list", "ps"):
        again = cli("container", verb).ok().splitlines()
        assert again[0].split() == lines[0].split() and len(again) == 2 and again[1].split()[:3] == lines[1].split()[:3], again


def test_D01_ps_quotes_a_command_as_go_does(cli, image):
    cli("create", image, "echo", 'a "quoted"\tword \\ \a\x1b').ok()
    expected = r"""echo 'a \"quoted\"\tword \\ \a\x1b'"""
    assert cli("ps", "-a", "--no-trunc", "--format", "{{.Command}}").line() == f'"{expected}"'


def test_D02_ps_a_lists_the_others_too(cli, running, image):
    cli("create", "--name", "fresh", image, "true").ok()
    cli("run", "--name", "done", image, "sh", "-c", "exit 3")
    status = dict(line.split("\t") for line in cli("ps", "-a", "--format", "{{.Names}}\t{{.Status}}").ok().splitlines())
    assert status["fresh"] == "Created" and status["web"].startswith("Up ")
    assert re.fullmatch(r"Exited \(3\) .* ago", status["done"])
    assert cli("ps", "--format", "{{.Names}}").line() == "web"


def test_D03_filters_narrow_by_key_and_widen_by_value(cli, running, image):
    cli("run", "--name", "done", "-l", "team=blue", image, "true").ok()
    failed = cli("run", "--name", "failed", "-l", "team=red", image, "false")
    assert failed.code == 1

    def names(*flags):
        return sorted(cli("ps", "-a", "--format", "{{.Names}}", *flags).ok().split())

    assert names("-f", "status=exited") == ["done", "failed"]
    assert names("-f", "status=exited", "-f", "status=running") == ["done", "failed", "web"]
    assert names("-f", "status=exited", "-f", "label=team=red") == ["failed"]
    assert names("-f", "exited=1") == ["failed"]
    assert names("-f", "name=we") == ["web"]
    assert names("-f", f"ancestor={image}", "-f", "label=team") == ["done", "failed"]
    assert names("-n", "1") == ["failed"]
    identifiers = cli("ps", "-aq", "-f", "status=exited").ok().split()
    assert len(identifiers) == 2 and all(re.fullmatch("[0-9a-f]{12}", identifier) for identifier in identifiers)
    result = cli("ps", "-f", "nonsense=1")
    assert result.code == 1 and "nonsense" in result.err


def test_D03_ports_are_filtered_by_number_range_and_protocol(cli, image):
    cli("run", "-d", "--name", "outward", "-p", "127.0.0.1:18091:80", "-p", "127.0.0.1:18092:53/udp", image, "sleep", "60").ok()
    cli("run", "-d", "--name", "inward", "--expose", "8000-8003", image, "sleep", "60").ok()

    def names(*filters):
        return sorted(cli("ps", "--format", "{{.Names}}", *(word for text in filters for word in ("-f", text))).ok().split())

    # The port of the host, as with docker.
    assert names("publish=18091") == names("publish=18000-18091/tcp") == names("publish=18092/udp") == ["outward"]
    assert names("publish=80") == names("publish=18092") == names("publish=8001") == []
    assert names("expose=8001") == names("expose=8003-9000/tcp") == ["inward"]
    assert names("expose=80") == names("expose=53/udp") == ["outward"]
    # Either of the two keys will do.
    assert names("publish=18091", "expose=8000") == ["inward", "outward"]
    for wrong in ("publish=1:2", "expose=x", "publish=9-8", "expose=80/nonsense", "is-task=maybe"):
        result = cli("ps", "-f", wrong)
        assert result.code == 1 and result.out == "", wrong
    assert names("is-task=false") == ["inward", "outward"] and names("is-task=true") == []


def test_D03_exit_codes_narrow_what_is_listed_anyway(cli, image):
    assert cli("run", "--name", "failed", image, "false").code == 1
    assert cli("ps", "-q", "-f", "exited=1").ok() == ""
    assert cli("ps", "-a", "-f", "exited=1", "--format", "{{.Names}}").line() == "failed"


def test_D03_an_ancestor_has_descendants_and_an_image_that_lost_its_name_shows_its_id(cli, image):
    cli("tag", image, "base:1").ok()
    cli("create", "--name", "first", "base:1", "sh", "-c", "echo > /new").ok()
    cli("start", "-a", "first").ok()
    cli("commit", "first", "child:1").ok()
    cli("create", "--name", "second", "child:1", "true").ok()
    try:
        listed = ["ps", "-a", "--format", "{{.Names}} {{.Image}}"]
        assert sorted(cli(*listed, "-f", "ancestor=base:1").ok().splitlines()) == ["first base:1", "second child:1"]
        assert cli(*listed, "-f", "ancestor=child:1").ok() == "second child:1\n"
        cli("tag", "child:1", "base:1").ok()
        short = cli.inspect("first", "{{.Image}}").removeprefix("sha256:")[:12]
        assert cli(*listed, "-f", "name=first").ok() == f"first {short}\n"
    finally:
        cli("rm", "first", "second").ok()
        cli("rmi", "base:1", "child:1").ok()


def test_D04_all_that_ps_names_goes_with_rm(cli, running, image):
    for name in ("one", "two"):
        cli("run", "--name", name, image, "true").ok()
    ended = cli("ps", "-a", "-q", "-f", "status=exited").ok().split()
    assert cli("rm", *ended).ok().split() == ended and len(ended) == 2
    nobody = cli("rm", *cli("ps", "-a", "-q", "-f", "status=exited").ok().split())
    assert nobody.code == 1 and "requires at least 1 argument" in nobody.err
    assert cli("ps", "-a", "--format", "{{.Names}}").line() == "web"


def test_D06_prune_asks_before_it_removes(cli, running, image):
    identifier = cli("create", "--name", "idle", image).line()
    refused = cli("container", "prune", stdin=b"n\n")
    assert "WARNING! This will remove all stopped containers." in refused.out and "[y/N]" in refused.out
    assert sorted(cli("ps", "-a", "--format", "{{.Names}}").ok().split()) == ["idle", "web"]
    out = cli("container", "prune", stdin=b"y\n").ok()
    assert f"Deleted Containers:\n{identifier}\n" in out and "Total reclaimed space: 0B" in out
    assert cli("ps", "-a", "--format", "{{.Names}}").line() == "web"


def test_D05_rm_goes_on_past_failures_and_spares_the_running(cli, running, image):
    cli("create", "--name", "idle", image).ok()
    result = cli("rm", "idle", "nosuch", "web")
    assert result.code == 1
    assert result.out == "idle\n"
    assert "No such container: nosuch" in result.err
    assert "container is running: stop the container before removing or force remove" in result.err
    assert cli("ps", "-a", "--format", "{{.Names}}").line() == "web"
    assert cli("rm", "-f", "web").line() == "web"
    # Docker's command line of version 20 has not the long word.
    for verb in ("rm", "container rm", *(["container remove"] if not cli.name.startswith("docker-20") else [])):
        cli("create", "--name", "idle", image).ok()
        assert cli(*verb.split(), "idle").line() == "idle"
        assert cli("ps", "-aq").ok() == ""
        refused = cli(*verb.split())
        assert refused.code == 1 and "requires at least 1 argument" in refused.err


def test_D08_start_restarts_the_same_container(cli, image, own_daemon):
    identifier = cli("run", "-d", "--name", "again", image, "sh", "-c", "echo run >> /runs; wc -l < /runs; sleep 60").line()
    wait_until(lambda: cli("logs", "again").out == "1\n", "the first run has written")
    cli("stop", "-t", "0", "again").ok()
    assert cli("start", "again").line() == "again"
    assert cli("start", "again").line() == "again", "starting a running container is no error"
    assert api(own_daemon, "POST", "/containers/again/start")[0] == 304
    assert cli.inspect("again", "{{.Id}}") == identifier
    wait_until(lambda: cli("logs", "again").out.split() == ["1", "2"], "the second run's log follows the first's")


# What a container was told of itself, as the daemon shows it and as it is inside.
SETTINGS = """{{range $name, $one := .NetworkSettings.Networks}}{{$name}} {{$one.IPAddress}} {{$one.Gateway}} {{json $one.IPAMConfig}} {{json $one.Aliases}}
{{end}}{{json .HostConfig.PortBindings}} {{json .Mounts}} {{json .Config}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}"""
INSIDE = "hostname; ip -4 -o addr show dev eth0 | sed 's/ *valid_lft.*//; s/^[0-9]*//'; ip route; cat /etc/hosts; echo $KEPT; pwd; id -u; ls /store"


def test_D08_settings_are_kept_when_a_container_starts_again(cli, image, net):
    net("wires", "--subnet", "10.137.44.0/24")
    begun = cli("run", "-d", "--name", "kept", "-h", "inside", "--network", "wires", "--ip", "10.137.44.77", "--network-alias", "also", "-e", "KEPT=yes",
        "--add-host", "far:192.0.2.7", "-p", "127.0.0.1:0:80", "-v", "store:/store", "-w", "/tmp", "-u", "1000", "-m", "64m", "--pids-limit", "40",
        image, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    try:
        begun.ok()
        settings, inside = cli.inspect("kept", SETTINGS), cli("exec", "kept", "sh", "-c", INSIDE).ok()
        assert " 10.137.44.77 10.137.44.1 " in settings and inside.splitlines()[0] == "inside" and "10.137.44.77/24" in inside, (settings, inside)
        for words in (["stop"], ["start"]), (["restart"],), (["kill"], ["start"]):
            for verb in words:
                assert cli(*verb, "kept").line() == "kept"
            assert cli.inspect("kept", SETTINGS) == settings, words
            assert cli("exec", "kept", "sh", "-c", INSIDE).ok() == inside, words
    finally:
        cli("rm", "-f", "kept")
        cli("volume", "rm", "store")


DEAF = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


@pytest.fixture
def ready(cli, image):
    """Starts a container of a script that says when it is ready."""
    def begin(name, script, *flags, image=image):
        cli("run", "-d", "--name", name, *flags, image, "sh", "-c", script).ok()
        wait_until(lambda: "ready" in cli("logs", name).out, f"{name} is ready")
        return name

    return begin


def test_D10_restart_gives_a_new_start_time(cli, running):
    before = cli.inspect("web", "{{.State.StartedAt}} {{.State.Pid}}")
    assert cli("restart", "-t", "5", "web").line() == "web"
    after = cli.inspect("web", "{{.State.StartedAt}} {{.State.Pid}}")
    assert before.split()[0] != after.split()[0] and before.split()[1] != after.split()[1]
    cli("stop", "web").ok()
    cli("restart", "web").ok()
    assert cli.inspect("web", "{{.State.Running}}") == "true"


def died(cli, name, since):
    """The exit codes with which a container ended, by its events."""
    return cli("events", "--since", since, "--until", f"{time.time():.9f}", "-f", f"container={name}", "-f", "event=die",
               "--format", "{{.Actor.Attributes.exitCode}}").ok().split()


def test_D10_restart_kills_what_is_deaf_when_its_time_is_over(cli, ready):
    """The container's own time is far beyond any test's: that of the command counts, and of none the container's."""
    since = f"{time.time():.9f}"
    ready("deaf", DEAF, "--stop-timeout", "3600")
    begin = time.monotonic()
    assert cli("restart", "-t", "1", "deaf").line() == "deaf"
    assert time.monotonic() - begin >= 1
    assert died(cli, "deaf", since) == ["137"] and cli.inspect("deaf", "{{.State.Running}}") == "true"
    ready("short", DEAF, "--stop-timeout", "2")
    begin = time.monotonic()
    cli("restart", "short").ok()
    assert time.monotonic() - begin >= 2
    assert died(cli, "short", since) == ["137"] and cli.inspect("short", "{{.State.Running}}") == "true"
    ready("prompt", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done", "--stop-timeout", "3600")
    cli("restart", "prompt").ok()
    assert died(cli, "prompt", since) == ["5"]


def exit_code(cli, name):
    return cli.inspect(name, "{{.State.Status}} {{.State.ExitCode}}")


def test_D12_stop_asks_first_and_kills_then(cli, running, ready):
    assert cli("stop", "web").line() == "web"
    assert exit_code(cli, "web") == "exited 0"
    begin = time.monotonic()
    cli("stop", "-t", "1", ready("deaf", DEAF, "--stop-timeout", "3600")).ok()
    assert time.monotonic() - begin >= 1 and exit_code(cli, "deaf") == "exited 137"
    cli("stop", "-t", "3600", ready("own", "trap 'exit 42' USR1; echo ready; while :; do sleep 0.1; done", "--stop-signal", "USR1")).ok()
    assert exit_code(cli, "own") == "exited 42"
    assert cli("stop", "own").line() == "own", "stopping a stopped container is no error"
    result = cli("stop", "nosuch", "own")
    assert (result.code, result.out) == (1, "own\n") and "No such container: nosuch" in result.err


def test_D12_who_ends_by_the_signal_itself_has_143(cli, ready, image):
    """The kernel spares a container's first process what it does not handle; below an init it ends by the signal."""
    cli("stop", "-t", "3600", ready("tidy", "trap 'exit 143' TERM; echo ready; while :; do sleep 0.1; done")).ok()
    assert exit_code(cli, "tidy") == "exited 143"
    cli("stop", "-t", "3600", ready("child", "echo ready; exec sleep 3600", "--init")).ok()
    assert exit_code(cli, "child") == "exited 143"
    cli("stop", "-t", "0", ready("at-once", "trap 'exit 1' TERM; echo ready; while :; do sleep 0.1; done")).ok()
    assert exit_code(cli, "at-once") in ("exited 137", "exited 1"), "the two signals follow each other"


def test_D12_without_a_time_it_is_ten_seconds_and_the_images_signal_comes_first(cli, ready, registry):
    Pusher(registry.host).push("signalled", busybox({"StopSignal": "SIGUSR1"}))
    name = f"{registry.host}/signalled"
    try:
        cli("pull", "-q", name).ok()
        ready("named", "trap 'exit 42' USR1; trap 'exit 1' TERM; echo ready; while :; do sleep 0.1; done", image=name)
        ready("deaf", f"trap '' USR1; {DEAF}", image=name)
        begin = time.monotonic()
        assert sorted(cli("stop", "named", "deaf").ok().split()) == ["deaf", "named"]
        assert time.monotonic() - begin >= 10
        assert exit_code(cli, "named") == "exited 42" and exit_code(cli, "deaf") == "exited 137"
        cli("rm", "named", "deaf").ok()
    finally:
        cli("rmi", "-f", name)


def test_D13_kill_sends_a_signal_at_once(cli, running, ready):
    assert cli("kill", "web").line() == "web"
    assert cli("wait", "web").line() == "137"
    result = cli("kill", "web")
    assert result.code == 1 and "is not running" in result.err
    ready("named", "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done")
    assert "nvalid signal" in cli("kill", "-s", "NOSUCH", "named").err
    assert cli.inspect("named", "{{.State.Running}}") == "true"
    said = ["ready"]
    for words, told in (["-s", "HUP"], "hup"), (["--signal=SIGUSR1"], "usr1"), (["-s", "1"], "hup"):
        assert cli("kill", *words, "named").line() == "named"
        said.append(told)
        wait_until(lambda: cli("logs", "named").ok().split() == said, f"{words} has arrived")
    assert cli.inspect("named", "{{.State.Running}}") == "true"
    assert cli("kill", "-s", "TERM", "named").line() == "named" and cli("wait", "named").line() == "5"
    ready("deaf", DEAF)
    result = cli("kill", "nosuch", "deaf", "named")
    assert (result.code, result.out) == (1, "deaf\n") and "No such container: nosuch" in result.err and "is not running" in result.err
    assert cli("wait", "deaf").line() == "137"


def test_D15_exec_runs_beside_and_returns_its_code(cli, running):
    assert cli("exec", "web", "sh", "-c", "exit 9").code == 9
    result = cli("exec", "-e", "A=b", "-w", "/tmp", "-u", "ann", "web", "sh", "-c", "echo $A; pwd; id -un; echo err >&2")
    assert (result.ok().split(), result.err) == (["b", "/tmp", "ann"], "err\n")
    assert cli("exec", "-i", "web", "cat", stdin="through\n").ok() == "through\n"
    assert cli("exec", "-d", "web", "touch", "/made").ok() == ""
    wait_until(lambda: cli("exec", "web", "ls", "/made").code == 0, "the detached command has run")
    result = cli("exec", "web", "nosuch")
    assert result.code == 127 and "executable file not found" in result.err + result.out
    assert cli("exec", "web", "/etc/passwd").code == 126
    result = cli("exec", "-w", "/nosuch", "web", "pwd")
    assert result.code == 127 and 'chdir to cwd ("/nosuch") set in config.json failed: no such file or directory' in result.err + result.out
    cli("stop", "-t", "0", "web").ok()
    result = cli("exec", "web", "true")
    assert result.code == 1 and "is not running" in result.err


def test_D15_exec_t_has_a_terminal(cli, running):
    script = f"{cli.path} exec -t web sh -c 'tty; stty size'"
    out = subprocess.run(["script", "-qec", script, "/dev/null"], capture_output=True, env=cli.environment, timeout=30, check=True)
    assert b"/dev/pts/" in out.stdout


NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def test_D15_exec_is_in_the_containers_namespaces_and_cgroup_as_its_user(cli, image):
    cli("run", "-d", "--name", "web", "-u", "ann", "-w", "/var", "-e", "GIVEN=yes", image, "sleep", "3600").ok()
    cli("exec", "-d", "web", "sleep", "3601").ok()
    first = int(cli.inspect("web", "{{.State.Pid}}"))
    wait_until(lambda: "sleep 3601" in cli("top", "web", "-eo", "pid,args").out, "the second process is there")
    second = next(int(line.split()[0]) for line in cli("top", "web", "-eo", "pid,args").ok().splitlines() if line.endswith("sleep 3601"))
    assert [os.readlink(f"/proc/{second}/ns/{kind}") for kind in NAMESPACES] == [os.readlink(f"/proc/{first}/ns/{kind}") for kind in NAMESPACES]
    for file in ("cgroup", "uid_map", "mountinfo"):
        with open(f"/proc/{first}/{file}", encoding="utf-8") as one, open(f"/proc/{second}/{file}", encoding="utf-8") as other:
            assert one.read() == other.read(), file
    assert os.readlink(f"/proc/{first}/root") == os.readlink(f"/proc/{second}/root")
    assert cli("exec", "web", "sh", "-c", "id -un; pwd; echo $GIVEN; readlink /proc/self/ns/pid").ok().split() == [
        "ann", "/var", "yes", os.readlink(f"/proc/{first}/ns/pid")]


def test_D15_exec_it_is_a_shell_that_returns_its_code(cli, running):
    """Of the container's processes it sees the first."""
    child = pexpect.spawn(cli.path, ["exec", "-it", "web", "sh"], env=cli.environment, timeout=60)
    child.expect("# ")
    child.sendline("tty; cat /proc/1/comm; echo $$-")
    child.expect("/dev/pts/[0-9]+\r\nsh\r\n[0-9]+-\r\n")
    child.sendline("exit 4")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 4 and cli.inspect("web", "{{.State.Running}}") == "true"


def test_D16_processes_inside_begin_with_number_one(cli, running, image):
    cli("run", "-d", "--name", "other", image, "sleep", "3602").ok()
    lines = cli("exec", "web", "ps", "-o", "pid,args").ok().splitlines()
    assert lines[1].split()[0] == "1" and "trap" in lines[1]
    assert len(lines) <= 4 and "3602" not in "".join(lines)


def test_D16_ps_aux_shows_the_containers_processes_alone(cli, registry, image):
    Pusher(registry.host).push("procps", busybox(extra_layers=[with_libraries("/usr/bin/ps")]))
    name = f"{registry.host}/procps"
    try:
        cli("run", "-d", "--name", "other", image, "sleep", "3603").ok()
        cli("run", "-d", "--name", "web", "-u", "ann", name, "sh", "-c", "sleep 3604 & exec sleep 3605").ok()
        shown = lambda: {line.split(None, 1)[1] for line in cli("top", "web", "-eo", "pid,args").ok().splitlines()}
        wait_until(lambda: {"sleep 3604", "sleep 3605"} <= shown(), "the shells are replaced")
        lines = cli("exec", "-e", "LD_LIBRARY_PATH=/lib64", "-u", "root", "web", "/usr/bin/ps", "aux").ok().splitlines()
        assert lines[0].split()[:2] == ["USER", "PID"] and lines[0].endswith(" COMMAND")
        users, numbers, commands = ([line.split(None, 10)[field] for line in lines[1:]] for field in (0, 1, 10))
        assert commands == ["sleep 3605", "sleep 3604", "/usr/bin/ps aux"] and users == ["ann", "ann", "root"] and numbers[0] == "1", lines
        cli("rm", "-f", "web").ok()
    finally:
        cli("rmi", "-f", name)


def test_D17_logs_keep_streams_apart_and_survive_the_stop(cli, image):
    # Each line is asked for once the one before has come back: two pipes have no order of their own.
    with cli.start("run", "-i", "--name", "talk", image, "sh", "-c", "for i in 1 2 3; do read _; echo out$i; read _; echo err$i >&2; done",
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as talk:
        for number in (1, 2, 3):
            for stream, word in ((talk.stdout, b"out"), (talk.stderr, b"err")):
                talk.stdin.write(b"\n")
                assert read_line(stream) == word + b"%d\n" % number
        talk.stdin.close()
        assert talk.wait(60) == 0
    result = cli("logs", "talk")
    assert (result.out.split(), result.err.split()) == (["out1", "out2", "out3"], ["err1", "err2", "err3"])
    assert cli("logs", "--tail", "2", "talk").out + cli("logs", "--tail", "2", "talk").err == "out3\nerr3\n"
    stamped = cli("logs", "-t", "talk").out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z out1", stamped[0])
    assert cli("logs", "--since", stamped[2].split()[0], "talk").out == "out3\n"
    assert cli("logs", "--since", "1h", "talk").out.count("\n") == 3
    assert "No such container: nosuch" in cli("logs", "nosuch").err


def test_D17_logs_of_a_running_container_are_all_that_it_said_so_far(cli, ready):
    ready("talk", "trap 'echo later; echo lost >&2; exit 0' TERM; seq 1 2000; seq 2001 3000 >&2; echo ready; while :; do sleep 0.1; done")
    wait_until(lambda: cli("logs", "talk").err.endswith("3000\n"), "the log is whole")
    early = cli("logs", "talk")
    assert early.out.split() == [str(number) for number in range(1, 2001)] + ["ready"]
    assert early.err.split() == [str(number) for number in range(2001, 3001)]
    cli("stop", "talk").ok()
    late = cli("logs", "talk")
    assert (late.out, late.err) == (early.out + "later\n", early.err + "lost\n")


def test_D17_logs_follow_until_the_end(cli, image):
    cli("run", "-d", "--name", "slow", image, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.5; done").ok()
    assert cli("logs", "-f", "slow").ok().split() == ["1", "2", "3"]


def test_D17_a_line_longer_than_the_logs_records_comes_back_whole(cli, image):
    cli("run", "--name", "long", image, "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; printf end").ok()
    assert cli("logs", "long").out == "x" * 100_000 + "\nend"


def test_D20_inspect_prints_json_and_templates(cli, running, image):
    objects = json.loads(cli("inspect", "web", image).ok())
    assert objects[0]["Name"] == "/web" and objects[0]["State"]["Status"] == "running"
    assert objects[1]["Id"].startswith("sha256:")
    template = "{{.Name}} {{len .Config.Cmd}} {{index .Config.Cmd 0}} {{json .State.Running}} {{range .Config.Env}}{{.}} {{end}}"
    assert cli.inspect("web", template).startswith("/web 3 sh true PATH=")
    assert json.loads(cli("inspect", "--type", "image", image).ok())[0]["Architecture"] in ("amd64", "arm64")
    result = cli("inspect", "nosuch")
    assert result.code == 1 and "nosuch" in result.err and result.out.strip() == "[]"
    assert cli("inspect", "-f", "{{.Nosuch}}", "web").code == 1


def test_D20_a_name_of_two_objects_is_told_apart_by_its_type(cli, image):
    cli("tag", image, "twofold").ok()
    try:
        identifier = cli("create", "--name", "twofold", image).line()
        assert cli.inspect("twofold", "{{.Id}}") == identifier, "a container comes first"
        assert cli("inspect", "--type", "container", "-f", "{{.Id}}", "twofold").line() == identifier
        assert cli("inspect", "--type", "image", "-f", "{{.Id}}", "twofold").line() == cli.inspect(image, "{{.Id}}")
    finally:
        cli("rmi", "twofold").ok()


def test_D24_an_id_serves_where_a_name_does(cli, running):
    identifier = cli.inspect("web", "{{.Id}}")
    for word in (identifier, identifier[:12], "web"):
        assert cli("exec", word, "echo", "here").line() == "here"
        assert set(cli("logs", word).ok().split()) == {"up"}
        assert cli("restart", "-t", "0", word).line() == word
        assert cli("kill", word).line() == word
        assert cli("wait", word).line() == "137"
        said = cli("logs", word).ok()
        assert cli("start", word).line() == word
        assert cli("rm", word).code == 1
        # From then on it heeds the signal.
        wait_until(lambda said=said: cli("logs", "web").ok() == said + "up\n", "it is up again")
    assert cli("stop", identifier[:12]).line() == identifier[:12]
    assert cli("wait", identifier).line() == "0"
    assert cli("rm", identifier[:20]).line() == identifier[:20]


KINDS = {"container": "{{.Config.Image}}", "image": "{{.RootFS.Type}}", "network": "{{.Driver}} {{.Scope}}", "volume": "{{.Driver}} {{.Mountpoint}}"}


@pytest.fixture
def fourfold(cli, image):
    """A container, an image, a network and a volume of one name, told by what inspect says of each in turn."""
    cli("create", "--name", "fourfold", image).ok()
    cli("tag", image, "fourfold").ok()
    cli("network", "create", "fourfold").ok()
    cli("volume", "create", "fourfold").ok()
    place = cli("volume", "inspect", "-f", "{{.Mountpoint}}", "fourfold").line()
    yield {"container": image, "image": "layers", "network": "bridge local", "volume": f"local {place}"}
    for words in (["rm", "-f"], ["rmi"], ["network", "rm"], ["volume", "rm"]):
        cli(*words, "fourfold")


def test_D20_inspect_shows_each_kind_of_object_and_a_name_of_all_by_its_type(cli, fourfold):
    for kind, told in fourfold.items():
        assert cli("inspect", "--type", kind, "-f", KINDS[kind], "fourfold").line() == told, kind
        assert cli(kind, "inspect", "-f", KINDS[kind], "fourfold").line() == told, kind
        assert len(json.loads(cli("inspect", "--type", kind, "fourfold").ok())) == 1
        missing = cli("inspect", "--type", kind, "nosuch")
        assert (missing.code, missing.out.strip()) == (1, "[]") and "nosuch" in missing.err, missing
    # Without a type the first kind that has the name: each is taken away once it has been shown.
    for kind, words in {"container": ["rm"], "image": ["rmi"], "network": ["network", "rm"], "volume": ["volume", "rm"]}.items():
        assert cli("inspect", "-f", KINDS[kind], "fourfold").line() == fourfold[kind], kind
        cli(*words, "fourfold").ok()
    gone = cli("inspect", "fourfold")
    assert (gone.code, gone.out.strip()) == (1, "[]") and "fourfold" in gone.err, gone


def test_D20_several_objects_of_different_kinds_are_one_list(cli, running, image, net):
    net("wires")
    identifier = cli("network", "inspect", "-f", "{{.Id}}", "wires").line()
    cli("volume", "create", "store").ok()
    try:
        found = json.loads(cli("inspect", "web", "wires", "store", image).ok())
        assert [one.get("Name") for one in found[:3]] == ["/web", "wires", "store"] and found[3]["Id"].startswith("sha256:")
        assert cli("inspect", "-f", "{{.Name}}", identifier, identifier[:10]).ok().split() == ["wires", "wires"]
        mixed = cli("inspect", "-f", "{{.Name}}", "store", "nosuch", "web")
        assert (mixed.code, mixed.out) == (1, "store\n/web\n") and "nosuch" in mixed.err, mixed
    finally:
        cli("volume", "rm", "store").ok()


def test_D24_verbs_at_a_running_container_take_its_name_and_its_ids(cli, image, tmp_path, net):
    net("wires")
    script = "while :; do echo tick; sleep 0.2; done"
    identifier = cli("run", "-d", "--name", "web", "-p", "127.0.0.1::80", "-v", "/kept", image, "sh", "-c", script).line()
    (tmp_path / "given").write_text("given")
    for word in forms(identifier, "web"):
        assert script in cli("top", word, "-eo", "pid,args").ok()
        assert re.fullmatch(r"80/tcp -> 127\.0\.0\.1:\d+", cli("port", word).line())
        assert cli("stats", "--no-stream", "--format", "{{.Name}}", word).line() == "web"
        assert cli("pause", word).line() == word and cli.inspect("web", "{{.State.Status}}") == "paused"
        assert cli("unpause", word).line() == word and cli.inspect("web", "{{.State.Status}}") == "running"
        assert cli("update", "--pids-limit", "77", word).line() == word
        cli("network", "connect", "wires", word).ok()
        assert cli.inspect("web", "{{len .NetworkSettings.Networks}}") == "2"
        cli("network", "disconnect", "wires", word).ok()
        assert cli.inspect("web", "{{len .NetworkSettings.Networks}}") == "1"
        cli("cp", f"{tmp_path}/given", f"{word}:/kept/given").ok()
        assert cli("run", "--rm", "--volumes-from", word, image, "cat", "/kept/given").ok() == "given"
        seen = cli("run", "--rm", "--network", f"container:{word}", "--pid", f"container:{word}", image, "ps", "-o", "pid,args").ok()
        assert [line.split(maxsplit=1)[1] for line in seen.splitlines() if line.split()[0] == "1"] == [f"sh -c {script}"]
        attached = cli.start("attach", "--no-stdin", word, stdout=subprocess.PIPE)
        assert read_line(attached) == b"tick\n"
        attached.kill()
        attached.wait()
        attached.stdout.close()
    assert cli.inspect("web", "{{.HostConfig.PidsLimit}} {{.State.Running}}") == "77 true"
    assert cli("rm", "-f", "-v", identifier[:20]).line() == identifier[:20]


def test_D24_verbs_at_what_a_container_wrote_take_its_name_and_its_ids(cli, image, tmp_path):
    cli("run", "--name", "web", image, "sh", "-c", "echo wrote > /wrote").ok()
    identifier = cli.inspect("web", "{{.Id}}")
    made = []
    try:
        for number, word in enumerate(forms(identifier, "web")):
            assert "A /wrote" in cli("diff", word).ok().splitlines()
            cli("cp", f"{word}:/wrote", f"{tmp_path}/copy{number}").ok()
            assert (tmp_path / f"copy{number}").read_text() == "wrote\n"
            cli("export", "-o", f"{tmp_path}/{number}.tar", word).ok()
            with tarfile.open(tmp_path / f"{number}.tar") as archive:
                assert archive.extractfile("wrote").read() == b"wrote\n"
            made.append(cli("commit", word, f"made:{number}").line())
            assert cli("run", "--rm", f"made:{number}", "cat", "/wrote").ok() == "wrote\n"
            cli("rename", word, "other").ok()
            assert cli.inspect(identifier, "{{.Name}}") == "/other"
            cli("rename", "other", "web").ok()
            assert cli("ps", "-aq", "-f", f"since={word}").ok() == ""
        assert cli("ps", "-aq", "--no-trunc", "-f", f"id={identifier[:12]}").line() == identifier
    finally:
        cli("rmi", "-f", *made)


def test_D24_verbs_at_images_and_networks_take_names_and_ids(cli, image, tmp_path):
    identifier = cli.inspect(image, "{{.Id}}")
    for number, word in enumerate((identifier, identifier[7:], identifier[7:19], image)):
        assert cli("run", "--rm", word, "echo", "here").ok() == "here\n"
        assert cli("history", "-q", "--no-trunc", word).ok().split()[0] == identifier
        cli("tag", word, f"other:{number}").ok()
        assert cli("image", "inspect", "-f", "{{.Id}}", f"other:{number}", word).ok().split() == [identifier] * 2
        cli("save", "-o", f"{tmp_path}/{number}.tar", word).ok()
        with tarfile.open(tmp_path / f"{number}.tar") as archive:
            assert len(json.load(archive.extractfile("manifest.json"))) == 1
        assert cli("rmi", f"other:{number}").ok() == f"Untagged: other:{number}\n"
        assert cli("ps", "-aq", "-f", f"ancestor={word}").ok() == ""
    for form in range(3):
        cli("network", "create", "wires").ok()
        word = forms(cli("network", "inspect", "-f", "{{.Id}}", "wires").line(), "wires")[form]
        assert cli("network", "inspect", "-f", "{{.Name}}", word).line() == "wires"
        cli("create", "--name", "wired", "--network", word, image).ok()
        assert cli.inspect("wired", "{{len .NetworkSettings.Networks}}") == "1"
        cli("rm", "wired").ok()
        assert cli("network", "rm", word).line() == word
        assert cli("network", "ls", "-q", "-f", "name=wires").ok() == ""


def forms(identifier, name):
    return identifier, identifier[:12], name


def test_attach_joins_a_running_container(cli, image):
    cli("run", "-di", "--name", "echo", image, "cat").ok()
    client = cli.start("attach", "echo", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client.stdin.write(b"one\n")
    client.stdin.flush()
    assert read_line(client) == b"one\n"
    cli("kill", "echo").ok()
    client.stdin.close()
    assert client.wait(20) == 137
    result = cli("attach", "echo")
    assert result.code == 1 and "stopped container" in result.err.lower()


def test_wait_returns_when_the_container_ends(cli, image):
    cli("run", "-d", "--name", "brief", image, "sh", "-c", "sleep 1; exit 5").ok()
    assert cli("wait", "brief").line() == "5"


@pytest.mark.parametrize("words, code, text", [
    (["ps", "--nosuch"], 125, "unknown flag: --nosuch"),
    (["run"], 1, "requires at least 1 argument"),
    (["nosuchverb"], 1, "nosuchverb"),
    (["logs", "a", "b"], 1, "requires 1 argument"),
    (["stop", "-t", "x", "a"], 125, 'invalid argument "x"'),
    (["run", "-m", "lots", "img"], 125, "invalid size: 'lots'"),
    (["run", "--rm=maybe", "img"], 125, 'invalid argument "maybe" for "--rm" flag'),
])
def test_a_wrong_command_line_is_told_what_is_wrong(cli, words, code, text):
    result = cli(*words)
    if cli.name.startswith("docker-20"):
        assert result.code != 0
        return
    assert result.code == code and text in result.err, result


def test_D03_a_volume_is_filtered_by_its_name_and_by_its_place(cli, image):
    cli("create", "--name", "va", "-v", "vol9:/v", image, "true").ok()
    cli("create", "--name", "vb", "-v", "/tmp:/w", image, "true").ok()
    for wanted, found in [("vol9", ["va"]), ("/v", ["va"]), ("/tmp", ["vb"]), ("/w", ["vb"]), ("vol", [])]:
        assert cli("ps", "-a", "--filter", f"volume={wanted}", "--format", "{{.Names}}").ok().split() == found, wanted
    cli("rm", "va", "vb").ok()
    cli("volume", "rm", "vol9").ok()


def test_D03_a_filter_counts_by_its_key_whatever_stands_behind_it(own_daemon, apus, image):
    apus("create", "--name", "plain", image, "true").ok()
    for filters, names in [({"label": {"a": False}}, []), ({"id": [""]}, []), ({"name": {"plain": False}}, ["/plain"])]:
        answer = api(own_daemon, "GET", f"/containers/json?all=1&filters={quote(json.dumps(filters))}", expect=200)[1]
        assert [one["Names"][0] for one in answer] == names, filters
    assert api(own_daemon, "POST", f"/containers/prune?filters={quote(json.dumps({'label': {'a': False}}))}")[1]["ContainersDeleted"] in (None, [])
