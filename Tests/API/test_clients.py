"""`apus` beside docker's command line, byte for byte, against one daemon; wrong command lines; ends of a terminal."""
# Rows: features

import os
import re
import shlex
import signal
import subprocess
import time

import pexpect
import pytest
from conftest import CLIENTS, Client
from processes import PATIENCE, UNTIL_GO, go, held_in_one_of_several_rounds, read_line, wait_until

NEWEST = max((name for name in CLIENTS if re.fullmatch(r"docker-(2[89]|[3-9]\d)\..*", name)), default=None)
VERBS = ("run create start stop restart kill rm ps logs attach exec inspect wait pull images rmi tag version info "
         "cp diff events pause port rename top unpause update").split()
# Docker's that Apus is to have.
LATER = ("build", "builder prune", "buildx", "compose up", "plugin ls", "secret ls", "image build")
LISTS_ALONE = ("images", "version", "info", "ps", "events")


@pytest.fixture
def docker(daemon, workspace):
    if not NEWEST:
        pytest.skip("no docker command line of version 28 or newer is here")
    return Client(NEWEST, CLIENTS[NEWEST], daemon.host, workspace)


def told(client, line, image):
    result = client(*shlex.split(line.replace("IMAGE", image)))
    texts = (re.sub(r"\bDocker\b|\bdocker\b", "apus", text) for text in (result.out, result.err))
    # Docker 28.2 has a verb wrong in two of its sentences.
    return result.code, *(re.sub(r"\n(?:S?Run|See) 'apus ([\w ]+)--help'", r"\nRun 'apus \1--help'", text) for text in texts)


def differences(docker, apus, image, lines):
    """What the two say otherwise about the same words, where only the program's name may differ."""
    return {line: both for line in lines.strip().splitlines()
            if (both := (told(docker, line, image), told(apus, line, image))) and both[0] != both[1]}


LISTS = r"""
ps
ps -a
ps -aq
ps -aq --no-trunc
ps -a --no-trunc
ps -as
ps -n 1
ps -l
ps -n 0
ps -n -3
ps -a --format json
ps -a --format '{{json .}}'
ps -a --format table
ps -a --format 'table {{.ID}}\t{{.Names}}'
ps -a --format 'table {{.Names}}\t{{.Label "team"}}'
ps -a --format '{{.Names}} {{.Label "team"}} {{.Size}}'
ps -a --format '{{.CreatedAt}} {{.Mounts}} {{.LocalVolumes}} {{.Networks}} {{.Ports}} {{.State}} {{.Command}} {{.Labels}}'
ps -a --format '{{upper .Names}} {{lower .Image}} {{title .State}} {{pad .Names 1 2}}|{{truncate .Image 3}}|{{join (split .Image "/") "-"}}'
ps -a --format '{{range $i, $e := split .Image "/"}}{{$i}}={{$e}},{{end}}{{if eq .Names "idle"}}yes{{else}}no{{end}}'
ps -a --format '{{printf "%-10s|%9s|%q|%.2s" .Names .State .Image .ID}}'
ps -q --format '{{.Names}}'
ps -a -f ' STATUS = exited' --format {{.Names}}
ps -a -f name=^idle$ --format {{.Names}}
ps -a -f label=team -f label=other=1 --format {{.Names}}
ps -a -f before=up --format {{.Names}}
ps -a -f ancestor=IMAGE --format {{.Names}}
ps -a -f name=^nosuch$ --format '{{json .}}'
ps -a -f name=^nosuch$ --format 'table {{json .}}'
images -f reference=nosuch --format '{{json .}}'
network ls --format '{{.Name}} {{.CreatedAt}}'
network ls -f name=nosuch --format '{{json .}}'
volume ls -f name=nosuch --format '{{json .}}'
volume ls -f name=nosuch --format '{{len .Name}} {{index .Labels 3}}'
ps -f status=nonsense
ps -f exited=x
ps -f nokey
ps -f nosuch=1
ps -a --format '{{.Names'
container ls -a --format {{.Names}}
images IMAGE
images -q IMAGE
images -q --no-trunc IMAGE
images --digests IMAGE
images --no-trunc IMAGE
images nosuch
images --format json IMAGE
images --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}} {{.CreatedSince}} {{.CreatedAt}} {{.Size}} {{.VirtualSize}}' IMAGE
images --format 'table {{.Repository}}\t{{.Size}}' IMAGE
images --filter nosuch=1
images --filter dangling=x
images --filter label=nosuch
images --filter reference=IMAGE --format {{.ID}}
images --filter before=nosuch:v1
images --filter since=nosuch:v1
inspect up
inspect idle IMAGE
inspect -f json up
inspect -s -f '{{.SizeRw}} {{.SizeRootFs}}' up
inspect -f '{{.Config.Labels}} {{.Config.Env}} {{index .Config.Labels "team"}} {{len .Config.Env}} {{slice .Id 0 5}}' up
inspect -f '{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}{{with .State}}{{.Status}} {{.ExitCode}}{{end}}' up
inspect -f '{{json .Config.Labels}} {{json .Config.Cmd}} {{.ID}}' idle
inspect -f '{{.Name' up
inspect -f '{{nosuch .}}' up
inspect -f '{{if}}' up
inspect nosuch
inspect NoSuch
inspect up nosuch
inspect --type image up
inspect --type container nosuch
image inspect -f '{{.ID}} {{.Os}}/{{.Architecture}} {{.RootFS.Type}} {{.RepoTags}} {{.Size}} {{.Config.Cmd}}' IMAGE
logs done
logs -n 1 done
logs --tail 0 done
logs --since 10m done
logs --since 2099-01-01 done
logs --until 10m done
"""

REFUSALS = r"""
run --nosuch IMAGE
pull -a IMAGE:v1
pull --all-tags IMAGE@sha256:0000000000000000000000000000000000000000000000000000000000000000
pull -a UPPER
run --rm UPPER true
run --rm IMAGE nosuch
run --rm IMAGE /etc/passwd
run --rm IMAGE sh -c 'exit 9'
run --rm IMAGE sh -c 'kill -9 $$'
run --rm --name /bad/ IMAGE true
run --rm --name idle IMAGE true
run --rm --memory 1k IMAGE true
run --rm --memory 1x IMAGE true
run --rm --memory -5 IMAGE true
run --rm --cpus abc IMAGE true
run --rm --ulimit nofile IMAGE true
run --rm --ulimit nofile=20:10 IMAGE true
run --rm --ulimit nosuch=20:10 IMAGE true
run --rm --shm-size -1 IMAGE true
run --rm --cap-add NOSUCH IMAGE true
run --rm --security-opt nosuch IMAGE true
run --rm --security-opt seccomp=/nosuch IMAGE true
run --rm --sysctl kernel.nosuch=1 IMAGE true
run --rm -v /tmp:relative IMAGE true
run --rm -e =x IMAGE true
run --rm -l =x IMAGE true
run --rm --env-file /nosuch IMAGE true
run --rm -d -a stdout IMAGE true
run --rm -it IMAGE true
run --rm --restart on-failure:x IMAGE true
run --rm --restart always IMAGE true
run --rm --network nosuch IMAGE true
run --rm --pid nonsense IMAGE true
run --rm --device /dev/null:/x:q IMAGE true
run --rm --pull nosuch IMAGE true
run --rm --cidfile /etc/passwd IMAGE true
run --rm -p abc IMAGE true
run --rm -p 99999:80 IMAGE true
run --rm --entrypoint /nosuch IMAGE
run --rm -w relative IMAGE pwd
create --pull never nosuch:x
run --rm 0000000000000000000000000000000000000000000000000000000000000000 true
run --rm --pull always 0000000000000000000000000000000000000000000000000000000000000000 true
create sha256:0000000000000000000000000000000000000000000000000000000000000000 true
start nosuch
start -a idle done
stop nosuch
kill done
kill -s NOSUCH up
rm nosuch
rm -f nosuch
rm up
wait nosuch
attach nosuch
attach done
exec nosuch true
exec done true
exec up nosuch
exec up /etc/passwd
exec -w /nosuch up pwd
exec -u nosuch up id
exec -it up true
exec --env-file /nosuch up env
logs nosuch
logs --since x up
logs --nosuch up
pull UPPER
pull 127.0.0.1:1/x
pull IMAGE:bad:tag
push --disable-content-trust nosuch
login --password-stdin 127.0.0.1:1
login -u x -p y --password-stdin 127.0.0.1:1
login -u x -p '' 127.0.0.1:1
login -u '' -p x 127.0.0.1:1
image prune -f --filter x
system prune -f --filter x
rmi nosuch
rmi -f nosuch
tag nosuch other
tag IMAGE UPPER
tag IMAGE
container nosuch
ps extra
version extra
info extra
run
create UPPER
create ''
run ''
port up x
port up 99999
port up 80/x
port up /tcp
network connect --driver-opt a bridge up
network connect --driver-opt =a bridge up
stop -t x up
restart -t x up
-l nosuch ps
export -o /nosuch/x up
export -o /etc/passwd/x up
export -o / up
export -o /dev/null up
export -o /nosuch/x nosuch
save -o /nosuch/x IMAGE
save -o / IMAGE
"""


@pytest.fixture
def four_containers(apus, image):
    apus("create", "--name", "idle", image, "true").ok()
    apus("run", "--name", "done", image, "sh", "-c", "echo a; echo b; echo c >&2; exit 3")
    apus("run", "-d", "--name", "up", "-l", "team=x", "-l", "other=1", "-e", "A=b", "-v", "/tmp:/outside", image, "sleep", "1000").ok()
    # A second on, the words for its age stay the same for long enough to be compared.
    wait_until(lambda: "seconds" in apus("ps", "--format", "{{.RunningFor}}").out, "the container is two seconds old")


def test_lists_and_details_are_dockers_byte_for_byte(docker, apus, image, four_containers):
    found = differences(docker, apus, image, LISTS)
    # Ages count on while the two are asked one after the other: once a second, so that one of several comparisons lies between. Where asking both takes
    # as long, they agree once the containers are about a minute old.
    deadline = time.monotonic() + 90 * PATIENCE
    while found and time.monotonic() < deadline:
        found = differences(docker, apus, image, "\n".join(found))
    assert found == {}


def test_refusals_are_dockers_byte_for_byte(docker, apus, image, four_containers):
    assert differences(docker, apus, image, REFUSALS) == {}


def test_ports_in_lists_are_dockers_byte_for_byte(docker, apus, image):
    for words in (["-p", "18090-18092:18090-18092", "-p", "18094:18094", "-p", "18096:80", "-p", "18097:80/udp"],
                  ["-p", "127.0.0.1::80", "--expose", "90/udp", "--expose", "91/udp", "--expose", "93/udp"], ["-p", "18098:18098/udp"]):
        apus("run", "-d", *words, image, "sleep", "1000").ok()
    assert differences(docker, apus, image, "ps --format {{.Ports}}") == {}
    assert "0.0.0.0:18090-18092->18090-18092/tcp" in apus("ps").out


def test_objects_whose_names_are_no_images_are_found(docker, apus, image):
    apus("network", "create", "MyNet").ok()
    apus("volume", "create", "MyVol").ok()
    assert differences(docker, apus, image, "inspect MyNet\ninspect MyVol\ninspect -f {{.Name}} MyVol MyNet\ninspect MyOther") == {}
    assert apus.inspect("MyVol", "{{.Name}}") == "MyVol"
    apus("network", "rm", "MyNet").ok()
    apus("volume", "rm", "MyVol").ok()


EMPTY = """
inspect ''|container
inspect '' -f {{.Name}}|container
container inspect ''|container
network inspect ''|network
volume inspect ''|volume
image inspect ''|image
logs ''|container
attach ''|container
port ''|container
top ''|container
diff ''|container
stats --no-stream ''|container
start ''|container
stop ''|container
kill ''|container
wait ''|container
update -m 64m ''|container
exec '' true|container
export ''|container
rm ''|container
rm -f ''|container
rmi ''|image
rmi -f ''|image
history ''|image
tag '' x|image
network rm ''|network
network connect '' x|network
volume rm ''|volume
volume rm -f ''|volume
""".strip().splitlines()


@pytest.mark.parametrize("line", EMPTY)
def test_an_empty_operand_is_nothing_and_not_all(apus, image, line):
    words, kind = line.split("|")
    result = apus(*shlex.split(words))
    assert result.code == 1 and result.out in ("", "[]\n", "\n") and f"invalid {kind} name or ID: value is empty" in result.err, result


@pytest.mark.parametrize("words, complaint", [
    ((":", "x"), "must specify at least one container source"), (("c2:", "/new"), "path cannot be empty"),
    (("/etc/hosts", "c2:"), "path cannot be empty"), ((":/x", "/new"), "must specify at least one container source")])
def test_cp_takes_nothing_for_no_root(apus, words, complaint):
    result = apus("cp", *words)
    assert result.code == 1 and complaint in result.err and not os.path.exists("/new"), result


def test_an_image_without_a_name_is_committed(cli, image):
    container = cli("create", image).line()
    made = cli("commit", container, "").line()
    assert cli.inspect(made, "{{len .RepoTags}}") == "0"
    cli("rmi", made).ok()


def flags(page):
    return set(re.findall(r"^ +(?:-\w, )?--([\w-]+)", page, re.M))


def listed(page):
    """The verbs under the headings of a page, without the stars and marks that docker gives some."""
    found, within = [], False
    for line in page.splitlines():
        within = line.endswith("Commands:") or (within and line.startswith(" "))
        if within and (entry := re.match(r"  ([a-z][\w-]*)\*? ", line)):
            found.append(entry.group(1))
    return found


def help_page(client, *words):
    result = client(*words, "--help")
    # Of its own builder docker says besides that it is old.
    assert result.code == 0 and re.fullmatch(r"(DEPRECATED: .*\n( .*\n)*\n)?", result.err), result
    return result.out


def help_pages(client):
    """The page of every verb that the client has, by the verb with its group."""
    pages = {}
    for word in listed(help_page(client)):
        page = help_page(client, word)
        verbs = listed(page)
        pages.update({f"{word} {verb}": help_page(client, word, verb) for verb in verbs} if verbs else {word: page})
    return pages


def test_D25_help_of_every_verb_tells_usage_and_options(cli):
    pages = help_pages(cli)
    assert {*VERBS, "container ls", "image rm", "network create", "volume prune", "system df", "context use", "login", "stats", "save"} <= pages.keys()
    program = "apus" if cli.name == "apus" else "docker"
    for verb, page in pages.items():
        usage, sentence = page.strip().split("\n\n")[:2]
        assert re.match(rf"Usage:  {program} {verb}( |$)", usage) and re.match("[A-Z]", sentence), (verb, page)
        assert bool(flags(page)) == ("\nOptions:\n" in page), (verb, page)
        assert flags(page) or "[OPTIONS]" not in usage or (program, verb) == ("docker", "context export"), (verb, page)


@pytest.mark.parametrize("topic, unknown", [
    ("", None), ("run", None), ("container", None), ("container ls", None), ("nosuch", "nosuch"), ("nosuch other", "nosuch other"),
    ("container nosuch", "nosuch"), ("run other", "other"),
])
def test_D25_help_is_asked_for_by_a_verb_of_its_own(cli, topic, unknown):
    result = cli("help", *topic.split())
    if unknown:
        assert (result.code, result.out, result.err.strip()) == (1, "", f"unknown help topic: {unknown}")
    else:
        assert (result.code, result.out) == (0, help_page(cli, *topic.split()))


@pytest.mark.parametrize("words, page", [("ps -h", "ps"), ("-h ps", "ps"), ("--help ps", "ps"), ("--help ps -a", "ps"), ("network -h", "network"),
                                         ("-h", ""), ("--help network ls", "network ls"), ("ps -ah", "ps")])
def test_D25_help_is_asked_for_in_every_place_and_by_its_letter_of_old(cli, words, page):
    result = cli(*words.split())
    remark = "" if "--help" in words else "Flag shorthand -h has been deprecated, use --help"
    # Docker's says it with the page, ours beside it.
    said = (result.err + result.out).replace("please ", "").split()
    assert (result.code, said) == (0, [*remark.split(), *help_page(cli, *page.split()).split()])


def test_D25_the_letter_of_help_may_be_another_flags(cli, image):
    assert cli("run", "--rm", "-h", "mine", image, "hostname").line() == "mine"


# Of other systems, of an experiment, or of what Apus has no use for.
NOT_OURS = {"cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops", "use-api-socket", "checkpoint", "checkpoint-dir",
            "disable-content-trust", "help"}
# Of volumes that a cluster has.
NOT_OURS_OF = {"volume ls": {"cluster"}, "volume create": {
    "availability", "group", "limit-bytes", "required-bytes", "scope", "secret", "sharing", "topology-preferred", "topology-required", "type"}}


def test_D25_every_flag_of_dockers_page_is_on_ours(docker, apus):
    dockers, ours = ({verb: flags(page) for verb, page in help_pages(client).items()} for client in (docker, apus))
    common = dockers.keys() & ours.keys()
    assert {*VERBS, "container run", "network create", "volume rm", "system df", "context use", "manifest push"} <= common
    missing = {verb: dockers[verb] - ours[verb] - NOT_OURS - NOT_OURS_OF.get(verb, set()) for verb in common}
    assert {verb: left for verb, left in missing.items() if left} == {}


@pytest.mark.parametrize("verb", LATER)
def test_a_verb_that_is_still_to_come_is_refused_by_its_name(apus, verb):
    result = apus(*verb.split(), "--help")
    name = verb if verb.startswith("image") else verb.split()[0]
    assert (result.code, result.out) == (1, "") and result.err.startswith(f"apus: 'apus {name}' is not supported yet\n"), result


NAMES = {"cp": "nosuch:/x -", "run": "nosuch:image", "create": "nosuch:image", "tag": "nosuch other", "exec": "nosuch true", "pull": "NOSUCH",
         "ps": "-f nosuch=1", "rename": "nosuch other", "update": "-m 64m nosuch", "events": "--since nosuch", "images": "-f nosuch=1",
         "version": "-f {{.Nosuch}}", "info": "-f {{.Nosuch}}"}


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_says_what_is_wrong_with_its_flags_operands_and_names(apus, verb):
    """An unknown flag, too many or too few operands, and something that is not there."""
    flag = apus(verb, "--nosuch")
    assert (flag.code, flag.out) == (125, "") and flag.err.startswith("unknown flag: --nosuch\n\nUsage:  apus "), flag
    count = apus(*([verb, "x", "y"] if verb in LISTS_ALONE else [verb]))
    assert (count.code, count.out) == (1, "") and re.match(rf"apus: 'apus {verb}' (requires|accepts)", count.err), count
    name = apus(verb, *NAMES.get(verb, "nosuch").split())
    assert name.code == (125 if verb == "run" else 1) and "nosuch" in name.err.lower(), name
    # Of these two docker prints what comes before the fault of a template, which is nothing here, and ends the line.
    assert name.out in (("\n",) if verb in ("version", "info") else ("", "[]\n", "Using default tag: latest\n")), name


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("verb", VERBS)
def test_A04_without_a_daemon_each_verb_says_so_in_one_line_at_once(workspace, name, verb):
    client = Client(name, CLIENTS[name], "unix:///tmp/apus-nobody.sock", workspace)
    operands = {"cp": ["a:/x", "-"], "exec": ["a", "true"], "tag": ["a", "b"], "rename": ["a", "b"], "update": ["-m", "64m", "a"]}.get(verb, ["a"])
    results = []
    held_in_one_of_several_rounds(
        lambda: results.append(client(verb, *([] if verb in LISTS_ALONE else operands))), 1, f"{verb} says that there is no daemon")
    result = results[-1]
    assert result.code == (125 if verb == "run" else 1)
    engines = ("apus", "apus") if name == "apus" else ("Docker", "docker")
    expected = "Cannot connect to the {0} daemon at unix:///tmp/apus-nobody.sock. Is the {1} daemon running?".format(*engines)
    # Docker's says besides what it could not do.
    lines = [line for line in result.err.splitlines() if line and "run --help" not in line and not line.startswith("Error: failed to ")]
    if (name, verb) == ("docker-20.10", "info"):
        # It lists that among what it was told of the server.
        lines = result.out.splitlines()[-1:]
    assert len(lines) == 1 and lines[0].removeprefix(f"{engines[1]}: ").removeprefix("ERROR: ").removesuffix("?.").removesuffix("?") == (
        expected.removesuffix("?")), result


def modes(shell):
    """A digest of the terminal's settings, by the shell on it."""
    shell.sendline("stty -g | md5sum")
    shell.expect(r"([0-9a-f]{32})")
    digest = shell.match.group(1)
    shell.expect("host> ")
    return digest


@pytest.mark.parametrize("end", ["exit", "detach", "interrupt", "terminate", "kill", "daemon", "exec", "closed"])
def test_C08_the_terminal_is_given_back_however_a_client_ends(brittle, end):
    client = brittle.client
    shell = pexpect.spawn("/bin/bash", ["--norc"], env={**client.environment, "PS1": "host> "}, timeout=20, encoding="utf-8")
    shell.expect("host> ")
    before = modes(shell)
    # The trap's echo is the payload's: the prompt of busybox's shell would also come from a shell that still reads.
    payload = "stty -echo; trap 'exit 7' INT TERM; echo rea''dy; while :; do sleep 0.1; done"
    if end == "exec":
        client("run", "-d", "--name", "raw", brittle.image, "sleep", "100").ok()
        shell.sendline(f"{client.path} exec -it raw sh -c \"{payload}\"")
    elif end == "closed":
        shell.sendline(f"{client.path} run -it --name raw {brittle.image} sh -c \"echo rea''dy; sleep 1; seq 1 100000\" | head -n 1")
    else:
        shell.sendline(f"{client.path} run -it --name raw {brittle.image} sh -c \"{payload}\"")
    shell.expect("ready")
    if end in ("exit", "exec"):
        shell.send("\x03")
    elif end == "detach":
        shell.send("\x10\x11")
    elif end == "interrupt":
        os.kill(client_process(shell), signal.SIGINT)
    elif end == "terminate":
        os.kill(client_process(shell), signal.SIGTERM)
    elif end == "kill":
        client("kill", "raw").ok()
    elif end == "daemon":
        brittle.kill()
    shell.expect("host> ")
    assert modes(shell) == before
    shell.close()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, "typed"])
def test_a_password_that_is_not_typed_to_its_end_gives_the_terminal_back(apus, end):
    shell = pexpect.spawn("/bin/bash", ["--norc"], env={**apus.environment, "PS1": "host> "}, timeout=20, encoding="utf-8")
    shell.expect("host> ")
    before = modes(shell)
    shell.sendline(f"{apus.path} login localhost:1")
    shell.expect("Username: ")
    shell.sendline("ann")
    shell.expect("Password: ")
    wait_until(lambda: not shell.getecho(), "nothing is shown")
    if end == "typed":
        shell.send("\x03")
    else:
        os.kill(client_process(shell), end)
    shell.expect("host> ")
    assert modes(shell) == before
    shell.close()


def test_a_client_that_was_begun_to_ignore_a_hang_up_goes_on(cli, image):
    """As nohup(1) begins programs."""
    cli("run", "-d", "--name", "talks", image, "sh", "-c", f"echo up; {UNTIL_GO}; echo on").ok()
    following = cli.start("logs", "-f", "talks", stdout=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    try:
        assert read_line(following) == b"up\n"
        following.send_signal(signal.SIGHUP)
        go(cli.inspect("talks", "{{.State.Pid}}"))
        assert read_line(following) == b"on\n" and following.wait(20 * PATIENCE) == 0
    finally:
        following.kill()
        following.wait()
        following.stdout.close()


def client_process(shell):
    """The one child of the shell."""
    with open(f"/proc/{shell.pid}/task/{shell.pid}/children", encoding="utf-8") as file:
        return int(file.read().split()[0])
