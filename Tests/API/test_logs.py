"""Logs through the clients: drivers and their options, rotation, following, clearing, what is shown beside lines."""

import glob
import json
import os
import re
import socket
import subprocess
import time
import urllib.parse

import pytest
from conftest import BUILD, CLIENTS, Client, Daemon
from engine_http import api
from processes import read_line, read_rest, wait_until


@pytest.fixture
def box(cli, image, request):
    """Runs a script under the test's name, with flags; the container goes with the test."""
    name = "log-" + re.sub(r"\W", "-", request.node.name)[:60]

    def run(script, *flags, wait=True):
        cli("run", "-d", "--name", name, *flags, image, "sh", "-c", script).ok()
        if wait:
            cli("wait", name).ok()
        return name

    yield run
    cli("rm", "-f", name)


REFUSED = [
    (["--log-driver", "gelf"], "logger: no log driver named 'gelf' is registered"),
    (["--log-opt", "nosuch=1"], "unknown log opt 'nosuch' for json-file log driver"),
    (["--log-driver", "local", "--log-opt", "nosuch=1"], "unknown log opt 'nosuch' for log driver local"),
    (["--log-driver", "local", "--log-opt", "json-copy=true"], "unknown log opt 'json-copy' for log driver local"),
    (["--log-opt", "json-copy=x"], 'failed to initialize logging driver: strconv.ParseBool: parsing "x": invalid syntax'),
    (["--log-opt", "mode=sometimes"], "logger: logging mode not supported: sometimes"),
    (["--log-opt", "max-buffer-size=1m"], "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
    (["--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=x"], "error parsing option max-buffer-size: invalid size: 'x'"),
    (["--log-opt", "max-size=x"], "failed to initialize logging driver: invalid size: 'x'"),
    (["--log-opt", "max-size=0"], "failed to initialize logging driver: max-size must be a positive number"),
    (["--log-opt", "max-file=0"], "failed to initialize logging driver: max-file cannot be less than 1"),
    (["--log-opt", "max-file=x"], 'failed to initialize logging driver: strconv.Atoi: parsing "x": invalid syntax'),
    (["--log-opt", "compress=x"], 'failed to initialize logging driver: strconv.ParseBool: parsing "x": invalid syntax'),
    (["--log-opt", "max-file=1", "--log-opt", "compress=true"],
     "failed to initialize logging driver: compress cannot be true when max-file is less than 2 or max-size is not set"),
    (["--log-driver", "syslog", "--log-opt", "max-size=1m"], "unknown log opt 'max-size' for syslog log driver"),
    (["--log-driver", "syslog", "--log-opt", "syslog-address=unix:///nosuch"], "stat /nosuch: no such file or directory"),
    (["--log-driver", "syslog", "--log-opt", "syslog-address=127.0.0.1:514"], "syslog-address should be in form proto://address, got 127.0.0.1:514"),
    (["--log-driver", "syslog", "--log-opt", "syslog-address=udp://127.0.0.1", "--log-opt", "syslog-facility=x"], "invalid syslog facility"),
    (["--log-driver", "syslog", "--log-opt", "syslog-address=udp://127.0.0.1", "--log-opt", "syslog-format=x"], "Invalid syslog format"),
    (["--log-driver", "journald", "--log-opt", "nosuch=1"], "unknown log opt 'nosuch' for journald log driver"),
]


@pytest.mark.parametrize("flags, words", REFUSED, ids=lambda value: "-".join(value) if isinstance(value, list) else "")
def test_a_log_option_that_cannot_be_is_refused_in_dockers_words(cli, image, flags, words):
    result = cli("run", "--name", "refused", *flags, image, "true")
    # dockerd itself finds some of them when it starts what it has made.
    cli("rm", "-f", "refused")
    # docker's clients take the words of an absent file for those of an absent program.
    assert result.code in ((125, 127) if words.startswith("stat ") else (125,)), result
    assert f"Error response from daemon: {words}" in result.err.replace("docker: ", "").replace("apus: ", ""), result


def test_a_syslog_server_that_is_not_there_is_named(cli, image):
    result = cli("run", "--name", "refused", "--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:1", image, "true")
    cli("rm", "-f", "refused")
    words = "failed to create task for container: failed to initialize logging driver: connect tcp 127.0.0.1:1: ECONNREFUSED (111)"
    assert result.code == 125 and f"Error response from daemon: {words}" in result.err, result


TAGS = [
    ("{{.ID | printf \"%.3s\"}}", lambda facts: facts["Id"][:3]), ("{{index .ContainerLabels \"a\"}}", lambda facts: "b c"),
    ("{{json .ContainerLabels}}", lambda facts: '{"a":"b c"}'), ("{{with .Name}}<{{.}}>{{end}}", lambda facts: f"<{facts['Name'][1:]}>"),
    ("{{if eq .ImageName \"x\"}}x{{else}}{{upper .DaemonName}}{{end}}", lambda facts: "DOCKER"),
    ("{{.Command}}|{{.ContainerEntrypoint}}|{{join .ContainerArgs \",\"}}", lambda facts: "sh -c echo hello|sh|-c,echo hello"),
    ("{{range .ContainerEnv}}{{.}};{{end}}{{.ImageID}}", lambda facts: "".join(f"{one};" for one in facts["Config"]["Env"]) + facts["Image"][7:19]),
]


@pytest.mark.parametrize("tag, filled", TAGS, ids=[tag for tag, _ in TAGS])
def test_a_tag_is_a_template_of_dockers(cli, box, tag, filled):
    """As dockerd 20.10 fills them: the same functions as `--format`."""
    name = box("echo hello", "--label", "a=b c", "-e", "V=1", "--log-opt", f"tag={tag}")
    wanted = filled(json.loads(cli.inspect(name, "{{json .}}")))
    assert cli("logs", "--details", name).line() == f"tag={urllib.parse.quote_plus(wanted, safe='~')} hello"


NO_TAGS = [
    ("{{ index .Nope }}", 'template: log-tag:1:9: executing "log-tag" at <.Nope>: can\'t evaluate field Nope in type *logger.Info'),
    ("{{.ID", "template: log-tag:1: unclosed action"), ("{{nope .ID}}", 'template: log-tag:1: function "nope" not defined'),
    ("x" * 4097, "template: log-tag:1: longer than 4096 bytes"), ("{{range 2000}}{{end}}", "template: log-tag: more than 1000 steps"),
    ("{{$a := .FullID}}{{range 40}}{{$a = print $a $a}}{{end}}",
     'template: log-tag:1:36: executing "log-tag" at <print $a $a>: more than 65536 bytes'),
    ("{{$a := printf \"%1000000v\" .FullID}}",
     'template: log-tag:1:8: executing "log-tag" at <printf "%1000000v" .FullID>: more than 65536 bytes'),
]


@pytest.mark.parametrize("tag, words", NO_TAGS, ids=[tag[:10] for tag, _ in NO_TAGS])
def test_a_tag_that_is_no_template_is_refused_as_it_was_written(apus, image, tag, words):
    result = apus("create", "--log-opt", f"tag={tag}", image, "true")
    assert result.code == 1 and result.err == f"Error response from daemon: failed to initialize logging driver: {words}\n", result


def test_drivers_are_listed_and_inspect_tells_driver_and_options(cli, own_daemon, image, box):
    assert json.loads(cli("info", "-f", "{{json .Plugins.Volume}}").ok()) == ["local"]
    assert set(json.loads(cli("info", "-f", "{{json .Plugins.Log}}").ok())) >= {"json-file", "local", "syslog", "journald"}
    assert cli("info", "-f", "{{.LoggingDriver}}").line() == "json-file"
    name = box("echo hello", "--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=7")
    assert json.loads(cli.inspect(name, "{{json .HostConfig.LogConfig}}")) == {"Type": "local", "Config": {"max-size": "1m", "max-file": "7"}}
    assert cli.inspect(name, "{{.LogPath}}") == "" and cli("logs", name).ok() == "hello\n"


def test_without_a_log_nothing_is_written_and_nothing_read(cli, own_daemon, box):
    name = box("echo hello", "--log-driver", "none")
    result = cli("logs", name)
    assert result.code == 1 and "configured logging driver does not support reading" in result.err
    folder = f"{own_daemon.data}/containers/{cli.inspect(name, '{{.Id}}')}"
    assert not [entry for entry in os.listdir(folder) if entry.startswith("log")]


def test_a_log_that_goes_to_syslog_is_read_here_as_well(cli, own_daemon, box):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        flags = ["--log-driver", "syslog", "--log-opt", f"syslog-address=udp://127.0.0.1:{server.getsockname()[1]}", "--log-opt",
                 "syslog-format=rfc5424", "--log-opt", "tag=app/{{.Name}}", "--log-opt", "syslog-facility=local3"]
        name = box("echo hello", *flags)
        said = server.recv(65536).decode()
        assert re.fullmatch(rf"<158>1 \S+Z {os.uname().nodename} app/{name} \d+ app/{name} - hello\n", said), said
        assert cli("logs", name).ok() == "hello\n"
        cli("rm", name).ok()
        assert "configured logging driver does not support reading" in cli("logs", box("echo hi", *flags, "--log-opt", "cache-disabled=true")).err


def test_a_last_line_without_an_end_is_a_line(cli, box):
    name = box("echo a; echo b; printf c")
    for count, lines in [(0, ""), (1, "c"), (2, "b\nc"), (3, "a\nb\nc")]:
        assert cli("logs", "-n", str(count), name).ok() == lines


def log_files(daemon, cli, name):
    folder = f"{daemon.data}/containers/{cli.inspect(name, '{{.Id}}')}"
    return sorted(f"{folder}/{entry}" for entry in os.listdir(folder) if re.fullmatch(r"log(\.\d+)?", entry))


def test_a_log_keeps_to_its_size_and_number_of_files(cli, own_daemon, box):
    name = box("seq 1 30000", "--log-opt", "max-size=100k", "--log-opt", "max-file=3", "--log-opt", "compress=false")
    files = log_files(own_daemon, cli, name)
    assert len(files) == 3 and all(os.path.getsize(path) <= 100_000 for path in files)
    numbers = [int(word) for word in cli("logs", name).ok().split()]
    assert numbers == list(range(numbers[0], 30_001)) and len(numbers) > 8000
    assert cli("logs", "--tail", "5000", name).ok().split() == [str(number) for number in range(25_001, 30_001)]


def test_a_compressed_log_reads_as_the_plain_one(cli, own_daemon, box):
    name = box("seq 1 60000; date +%s > /when; sleep 1; seq 60001 100000", "--log-opt", "max-size=300k", "--log-opt", "max-file=9")
    files = log_files(own_daemon, cli, name)[1:]

    def compressed():
        return all(open(path, "rb").read(4) == b"\x28\xb5\x2f\xfd" for path in files)

    wait_until(compressed, "the compression")
    expected = [str(number) for number in range(1, 100_001)]
    assert len(files) == 8 and sum(os.path.getsize(path) for path in files) < 1_500_000
    assert cli("logs", name).ok().split() == expected
    assert cli("logs", "--tail", "50000", name).ok().split() == expected[-50_000:]
    moments = cli("logs", "-t", name).ok().splitlines()
    moment = moments[59_000].split()[0]
    since = cli("logs", "--since", moment, name).ok().split()
    assert since == expected[-len(since):] and since[0] == next(line.split()[1] for line in moments if line >= moment)
    until = cli("logs", "--until", moment, name).ok().split()
    assert until == expected[:len(until)] and len(until) >= 59_000


@pytest.mark.parametrize("cli", [sorted(name for name in CLIENTS if name.startswith("docker"))[-1]], indirect=True)
def test_a_log_without_options_keeps_thirty_megabytes_compressed_but_for_the_last_ten(cli, own_daemon, box):
    """Fifty were written, in lines of a kilobyte."""
    name = box("awk 'BEGIN { for (i = 0; i < 50000; i++) printf \"%01000d\\n\", i }'")
    files = log_files(own_daemon, cli, name)
    wait_until(lambda: all(open(path, "rb").read(4) == b"\x28\xb5\x2f\xfd" for path in files[1:]), "the compression", seconds=60)
    assert len(files) == 3 and os.path.getsize(files[0]) <= 10_000_000 and sum(map(os.path.getsize, files[1:])) < 5_000_000
    numbers = [int(line) for line in cli("logs", name).ok().splitlines()]
    assert numbers == list(range(numbers[0], 50_000)) and 20_000 < len(numbers) <= 30_000
    assert [int(line) for line in cli("logs", "--tail", "25", name).ok().splitlines()] == list(range(49_975, 50_000))


def test_files_of_a_log_that_are_damaged_cost_their_own_lines_and_that_is_said(cli, own_daemon, box):
    name = box("seq 1 100000", "--log-opt", "max-size=500k", "--log-opt", "max-file=9")
    files = log_files(own_daemon, cli, name)[1:]
    wait_until(lambda: all(open(path, "rb").read(4) == b"\x28\xb5\x2f\xfd" for path in files), "the compression")
    for path, place in ((files[0], os.path.getsize(files[0]) // 2), (files[1], 0)):
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(bytes(64))
    lines = cli("logs", name).ok().splitlines()
    numbers = [int(line) for line in lines if line.isdigit()]
    assert numbers[0] == 1 and numbers[-1] == 100_000 and numbers == sorted(set(numbers))
    assert 60_000 < len(numbers) < 85_000
    assert cli("logs", "--tail", "3", name).ok().splitlines()[-3:] == ["99998", "99999", "100000"]
    said = [line for line in cli("logs", name).err.splitlines() if line.startswith("[apus: ")]
    assert len(said) == 3 and files[1] in said[0] and "damaged" in " ".join(said[1:])


def copied(path):
    """The lines of a log's copy, the oldest first, as whoever reads docker's files reads them."""
    found = []
    for name in sorted(glob.glob(f"{path}*"), key=lambda name: -int(name[len(path) + 1:] or 0)):
        try:
            with open(name, "rb") as file:
                found += [json.loads(line) for line in file.read().split(b"\n")[:-1]]
        except FileNotFoundError:
            # Rotated just now: whoever waits looks again.
            return []
    return found


def test_a_copy_is_read_as_dockers_json_file(cli, own_daemon, box):
    script = "printf 'a<b>&\"\\\\\\t\\n\\377\\342\\200\\250\\303\\244 end\\n'; head -c 20000 /dev/zero | tr '\\0' x; echo; printf open; echo wrong >&2"
    name = box(script, "--log-opt", "json-copy=true", "--log-opt", "tag={{.Name}}", "--log-opt", "labels=who", "-l", "who=me")
    path = cli.inspect(name, "{{.LogPath}}")
    assert path == "{0}/containers/{1}/{1}-json.log".format(own_daemon.data, cli.inspect(name, "{{.Id}}"))
    with open(path, "rb") as file:
        first = next(line for line in file.read().splitlines() if b"stdout" in line)
    # Byte for byte as docker writes it.
    assert re.fullmatch(rb'\{"log":"a\\u003cb\\u003e\\u0026\\"\\\\\\u0009\\n","stream":"stdout","attrs":\{"tag":"' + name.encode()
                        + rb'","who":"me"\},"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"\}', first), first
    lines = copied(path)
    assert [line["log"] for line in lines if line["stream"] == "stdout"][1:] == ["\ufffd\u2028ä end\n", "x" * 16384, "x" * 3616 + "\n", "open"]
    assert [line["log"] for line in lines if line["stream"] == "stderr"] == ["wrong\n"]
    stamped = cli("logs", "-t", name).out.splitlines()
    assert lines[0]["time"].rstrip("Z") in stamped[0].split()[0] or len(lines[0]["time"]) < 30
    # Without the option there is none, and nothing is told of one.
    cli("rm", name).ok()
    assert cli.inspect(box("echo hello"), "{{.LogPath}}") == ""


def test_a_copy_keeps_to_the_logs_size_and_is_cleared_with_it(apus, own_daemon, box):
    name = box("seq 1 30000; while [ ! -e /go ]; do usleep 10000; done; echo after", "--log-opt", "json-copy=true", "--log-opt", "max-size=100k",
               "--log-opt", "max-file=3", wait=False)
    wait_until(lambda: apus("logs", "--tail", "1", name).out == "30000\n", "all is written")
    path = apus.inspect(name, "{{.LogPath}}")
    files = glob.glob(f"{path}*")
    assert len(files) == 3 and all(os.path.getsize(one) <= 100_000 for one in files)
    numbers = [int(line["log"]) for line in copied(path)]
    assert numbers == list(range(numbers[0], 30_001)) and len(numbers) > 2000
    apus("logs", "--clear", name).ok()
    assert copied(path) == []
    apus("exec", "-d", name, "touch", "/go").ok()
    apus("wait", name).ok()
    assert [line["log"] for line in copied(path)] == ["after\n"]
    apus("logs", "--clear", name).ok()
    apus("start", name).ok()
    wait_until(lambda: [line["log"] for line in copied(path)[-1:]] == ["after\n"], "the next run is copied")
    assert len(copied(path)) > 2000


def test_a_copy_that_others_empty_or_take_away_goes_on(apus, own_daemon, box):
    script = "for step in 1 2 3; do echo $step; while [ ! -e /go$step ]; do usleep 10000; done; done"
    name = box(script, "--log-opt", "json-copy=true", wait=False)
    path = apus.inspect(name, "{{.LogPath}}")
    wait_until(lambda: len(copied(path)) == 1, "the first line")
    os.truncate(path, 0)
    apus("exec", name, "touch", "/go1").ok()
    wait_until(lambda: [line["log"] for line in copied(path)] == ["2\n"], "the second line alone")
    os.unlink(path)
    apus("exec", name, "touch", "/go2").ok()
    wait_until(lambda: [line["log"] for line in copied(path)] == ["3\n"], "the third line alone")
    assert apus("logs", name).ok() == "1\n2\n3\n"


def test_S06_following_across_rotations_is_complete(cli, box):
    script = "n=0; while [ $n -lt 30 ]; do n=$((n+1)); seq $((n*2000-1999)) $((n*2000)); usleep 100000; done"
    name = box(script, "--log-opt", "max-size=100k", "--log-opt", "max-file=3", wait=False)
    assert cli("logs", "-f", name).ok().split() == [str(number) for number in range(1, 60_001)]


def test_S06_a_follower_that_reads_late_misses_nothing_of_a_flood(cli, own_daemon, box):
    """Whether its client keeps up with the payload or not: 300 files of the log were begun before it goes on."""
    name = box("while [ ! -e /go ]; do usleep 10000; done; seq 1 600000", "--log-opt", "max-size=100k", "--log-opt", "max-file=3", wait=False)
    folder = f"{own_daemon.data}/containers/{cli.inspect(name, '{{.Id}}')}"
    follower = cli.start("logs", "-f", name, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_until(lambda: os.path.isdir(f"{folder}/log.followed"), "the follower")
    cli("exec", "-d", name, "touch", "/go").ok()
    cli("wait", name).ok()
    lines = read_rest(follower, 120).split("\n")
    assert follower.wait(timeout=30) == 0 and lines == [*map(str, range(1, 600_001)), ""]
    # What was kept for it goes with it.
    wait_until(lambda: not os.path.exists(f"{folder}/log.followed"), "the follower's end")


def test_clearing_leaves_what_comes_afterwards(apus, cli, box):
    name = box("echo before; while [ ! -e /go ]; do usleep 10000; done; echo after", wait=False)
    wait_until(lambda: "before" in cli("logs", name).out, "the first line")
    follower = cli.start("logs", "-f", name, stdout=subprocess.PIPE, text=True)
    assert read_line(follower) == "before\n"
    assert apus("logs", "--clear", name).ok() == ""
    assert cli("logs", name).ok() == ""
    cli("exec", "-d", name, "touch", "/go").ok()
    assert follower.communicate(timeout=20)[0] == "after\n" and follower.returncode == 0
    assert cli("logs", name).ok() == "after\n"
    apus("logs", "--clear", name).ok()
    assert cli("logs", name).ok() == ""
    cli("start", name).ok()
    cli("wait", name).ok()
    assert cli("logs", name).ok() == "before\nafter\n"


def test_details_show_what_the_options_choose(cli, box):
    options = ["labels=a/b,none", "labels-regex=^x", "env=PLACE", "env-regex=^Z", "tag={{.Name}}/{{.ID}}"]
    name = box("echo hello", *[word for option in options for word in ("--log-opt", option)], "-l", "a/b=c d", "-l", "xyz=1", "-l", "y=2",
               "-e", "PLACE=here=there", "-e", "ZETA=6", "-e", "OTHER=7")
    tag = f"{name}%2F{cli.inspect(name, '{{.Id}}')[:12]}"
    assert cli("logs", "--details", name).ok() == f"PLACE=here%3Dthere,ZETA=6,a%2Fb=c+d,tag={tag},xyz=1 hello\n"


# Each repeats what is repeated: who tries one way after another is never done with these.
ENDLESS = ["^(a+)+$", "(a|aa)+$", "(.*)*(.*)*(.*)*x", "(" * 20 + "){1000}" * 20]


def test_no_expression_of_a_log_option_holds_up_the_daemon(daemon, image, request):
    label = "a" * 49 + "!"
    names = [f"expression-{number}" for number in range(len(ENDLESS))]
    options = [{"Type": "json-file", "Config": {"labels-regex": text, "env-regex": text}} for text in ENDLESS]
    began = time.monotonic()
    try:
        for name, log in zip(names, options):
            body = {"Image": image, "Cmd": ["true"], "Labels": {label: "x"}, "Env": [f"{label}=x"], "HostConfig": {"LogConfig": log}}
            api(daemon, "POST", f"/containers/create?name={name}", body, expect=201, timeout=20)
        for text in ENDLESS:
            api(daemon, "GET", "/containers/json?filters=" + urllib.parse.quote(json.dumps({"name": [text]})), expect=200, timeout=20)
        assert time.monotonic() - began < 10
    finally:
        for name in names:
            api(daemon, "DELETE", f"/containers/{name}?force=1")


def test_a_set_of_many_letters_takes_little_longer_than_one_of_a_few(daemon, image):
    """A step looks for its letter among them, and not at each of them."""
    many = "".join(chr(code) for code in range(0x80, 0x800, 2))
    label = {many[-1] * 1000: "x"}

    def seconds(letters):
        log = {"Type": "json-file", "Config": {"labels-regex": f"([{letters}]?){{1000}}x"}}
        began = time.monotonic()
        made = api(daemon, "POST", "/containers/create", {"Image": image, "Labels": label, "HostConfig": {"LogConfig": log}}, expect=201)[1]["Id"]
        taken = time.monotonic() - began
        api(daemon, "DELETE", f"/containers/{made}", expect=204)
        return taken

    assert min(seconds(many) for _ in range(5)) < 6 * min(seconds(many[-1]) for _ in range(5))


def test_a_log_options_expression_is_one_of_gos(cli, daemon, image, box):
    options = ["labels-regex=(?i)^ORG\\.[[:alpha:]]+\\b", "env-regex=^(?P<first>Z)é*"]
    name = box("echo hello", *[word for option in options for word in ("--log-opt", option)], "-l", "org.one.two=1", "-l", "org.1=2", "-e", "Z=3")
    assert cli("logs", "--details", name).ok() == "Z=3,org.one.two=1 hello\n"
    for text, reason in [("[a", "missing closing ]"), ("\\pL", "Unicode classes are not supported: \\p")]:
        refused = cli("create", "--log-opt", f"labels-regex={text}", image, "true")
        assert refused.code == 1 and f"error parsing regexp of log opt labels-regex: {reason}: `{text}`" in refused.err
    large = {"Image": image, "Labels": {"a" * 100_000: "x"}, "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"labels-regex": "a{1000}"}}}}
    assert "are too long for `a{1000}`" in api(daemon, "POST", "/containers/create", large, expect=400)[1]["message"]


def test_attack_C10_a_long_line_has_one_time_and_odd_bytes_are_as_they_were(cli, box):
    name = box("head -c 50000 /dev/zero | tr '\\0' x; printf '\\nend\\0\\377\\033[31m'")
    raw = cli("logs", "-t", name).raw
    lines = raw.split(b"\n")
    assert len(lines) == 2 and lines[0].split(b" ")[1] == b"x" * 50_000
    assert lines[1].split(b" ", 1)[1] == b"end\0\xff\033[31m"


def test_the_daemons_own_driver_is_that_of_containers_that_name_none(workspace, registry):
    daemon = Daemon(os.path.join(workspace, f"l{len(os.listdir(workspace))}"))
    os.makedirs(daemon.folder)
    flags = ["--log-driver", "local", "--log-opt", "max-size=1m", "--bridge", "none"]
    daemon.start(*flags)
    try:
        client = Client("apus", CLIENTS["apus"], daemon.host, workspace)
        client("create", "--name", "plain", f"{registry.host}/busybox", "true").ok()
        client("create", "--name", "other", "--log-driver", "json-file", f"{registry.host}/busybox", "true").ok()
        assert client("info", "-f", "{{.LoggingDriver}}").line() == "local"
        assert json.loads(client.inspect("plain", "{{json .HostConfig.LogConfig}}")) == {"Type": "local", "Config": {"max-size": "1m"}}
        assert json.loads(client.inspect("other", "{{json .HostConfig.LogConfig}}")) == {"Type": "json-file", "Config": {}}
        client("rm", "plain", "other").ok()
    finally:
        assert daemon.stop() == 0
    refused = subprocess.run([f"{BUILD}/apusd", "--log-driver", "local", "--log-opt", "x=1", "--data-root", daemon.data, "--exec-root", daemon.run],
                             capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and "unknown log opt 'x' for log driver local" in refused.stderr
