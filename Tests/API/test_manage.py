"""Rows D01-D03, D05, D08, D10, D12, D13, D15-D17, D20, D24: looking after containers."""
# Rows: features

import json
import re
import subprocess
import tarfile
import time

import pytest

from processes import wait_until


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


def test_D05_rm_goes_on_past_failures_and_spares_the_running(cli, running, image):
    cli("create", "--name", "idle", image).ok()
    result = cli("rm", "idle", "nosuch", "web")
    assert result.code == 1
    assert result.out == "idle\n"
    assert "No such container: nosuch" in result.err
    assert "container is running: stop the container before removing or force remove" in result.err
    assert cli("ps", "-a", "--format", "{{.Names}}").line() == "web"
    assert cli("rm", "-f", "web").line() == "web"
    assert cli("rm").code == 1 and "requires at least 1 argument" in cli("rm").err


def test_D08_start_restarts_the_same_container(cli, image):
    identifier = cli("run", "-d", "--name", "again", image, "sh", "-c", "echo run >> /runs; wc -l < /runs; sleep 60").line()
    cli("stop", "-t", "0", "again").ok()
    assert cli("start", "again").line() == "again"
    assert cli("start", "again").line() == "again", "starting a running container is no error"
    assert cli.inspect("again", "{{.Id}}") == identifier
    wait_until(lambda: cli("logs", "again").out.split() == ["1", "2"], "the second run's log follows the first's")


def test_D10_restart_gives_a_new_start_time(cli, running):
    before = cli.inspect("web", "{{.State.StartedAt}} {{.State.Pid}}")
    assert cli("restart", "-t", "5", "web").line() == "web"
    after = cli.inspect("web", "{{.State.StartedAt}} {{.State.Pid}}")
    assert before.split()[0] != after.split()[0] and before.split()[1] != after.split()[1]
    cli("stop", "web").ok()
    cli("restart", "web").ok()
    assert cli.inspect("web", "{{.State.Running}}") == "true"


def test_D12_stop_asks_first_and_kills_then(cli, running, image):
    assert cli("stop", "web").line() == "web"
    assert cli.inspect("web", "{{.State.ExitCode}} {{.State.Status}}") == "0 exited"
    cli("run", "-d", "--name", "deaf", image, "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done").ok()
    time.sleep(0.5)
    begin = time.monotonic()
    cli("stop", "-t", "1", "deaf").ok()
    assert 0.9 < time.monotonic() - begin < 8
    assert cli.inspect("deaf", "{{.State.ExitCode}}") == "137"
    script = "trap 'exit 42' USR1; while :; do sleep 0.1; done"
    cli("run", "-d", "--name", "own", "--stop-signal", "USR1", image, "sh", "-c", script).ok()
    time.sleep(0.5)
    cli("stop", "own").ok()
    assert cli.inspect("own", "{{.State.ExitCode}}") == "42"
    assert cli("stop", "own").line() == "own", "stopping a stopped container is no error"


def test_D13_kill_sends_a_signal_at_once(cli, running, image):
    assert cli("kill", "web").line() == "web"
    assert cli("wait", "web").line() == "137"
    result = cli("kill", "web")
    assert result.code == 1 and "is not running" in result.err
    cli("run", "-d", "--name", "named", image, "sleep", "60").ok()
    assert "nvalid signal" in cli("kill", "-s", "NOSUCH", "named").err
    assert cli.inspect("named", "{{.State.Running}}") == "true"


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
    cli("stop", "-t", "0", "web").ok()
    result = cli("exec", "web", "true")
    assert result.code == 1 and "is not running" in result.err


def test_D15_exec_t_has_a_terminal(cli, running):
    script = f"{cli.path} exec -t web sh -c 'tty; stty size'"
    out = subprocess.run(["script", "-qec", script, "/dev/null"], capture_output=True, env=cli.environment, timeout=30, check=True)
    assert b"/dev/pts/" in out.stdout


def test_D16_processes_inside_begin_with_number_one(cli, running):
    lines = cli("exec", "web", "ps", "-o", "pid,args").ok().splitlines()
    assert lines[1].split()[0] == "1" and "trap" in lines[1]
    assert len(lines) <= 4


def test_D17_logs_keep_streams_apart_and_survive_the_stop(cli, image):
    cli("run", "--name", "talk", image, "sh", "-c", "for i in 1 2 3; do echo out$i; echo err$i >&2; sleep 0.05; done").ok()
    result = cli("logs", "talk")
    assert (result.out.split(), result.err.split()) == (["out1", "out2", "out3"], ["err1", "err2", "err3"])
    assert cli("logs", "--tail", "2", "talk").out + cli("logs", "--tail", "2", "talk").err == "out3\nerr3\n"
    stamped = cli("logs", "-t", "talk").out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z out1", stamped[0])
    assert cli("logs", "--since", stamped[2].split()[0], "talk").out == "out3\n"
    assert cli("logs", "--since", "1h", "talk").out.count("\n") == 3
    assert "No such container: nosuch" in cli("logs", "nosuch").err


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
        assert cli("start", word).line() == word
        assert cli("rm", word).code == 1
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
        assert cli("run", "--rm", "--network", f"container:{word}", "--pid", f"container:{word}", image, "ps", "-o", "args").ok().count("tick") == 1
        attached = cli.start("attach", "--no-stdin", word, stdout=subprocess.PIPE)
        assert attached.stdout.readline() == b"tick\n"
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
    assert client.stdout.readline() == b"one\n"
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
