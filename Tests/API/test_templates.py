"""`--format` of `apus` beside that of docker's own command line, with the same daemon: what a template prints and how it is refused."""

import time

import pytest
from conftest import CLIENTS, Client
from processes import wait_until

DOCKER = max((name for name in CLIENTS if name.startswith("docker-")), key=lambda name: [int(part) for part in name[7:].split(".")], default=None)
pytestmark = pytest.mark.skipif(DOCKER is None, reason="there is no docker to compare with")
# Between templates that are carried out in one go.
BETWEEN = "\n=====\n"


@pytest.fixture(scope="module")
def pair(daemon, workspace):
    """Both command lines, of one daemon."""
    return [Client(name, CLIENTS[name], daemon.host, workspace) for name in (DOCKER, "apus")]


@pytest.fixture
def box(apus, image):
    """A container that has something of everything, and never ran."""
    apus("create", "--name", "box", "--network", "none", "-l", "a=1", "-l", "b.c=it's <b>&", "-e", "X=1", "-v", "/data", "--memory", "64m", "-p", "80:80/tcp",
         "--health-cmd", "true", "--health-interval", "90s", "--health-timeout", "1500ms", "--ulimit", "nofile=10:20", image, "sh", "-c", "true x").ok()
    yield "box"
    apus("rm", "-v", "box").ok()


def printed(cli, templates, *words):
    """What each template prints, by one run."""
    said = cli(*words[:-1], BETWEEN.join(templates), words[-1]) if words[0] == "inspect" else cli(*words, BETWEEN.join(templates))
    return dict(zip(templates, said.ok().split(BETWEEN), strict=True))


def compare(pair, templates, *words):
    docker, apus = (printed(cli, templates, *words) for cli in pair)
    assert apus == docker


TEMPLATES = {
    "fields": [
        "{{.ID}} {{.Name}}", "{{.State}}", "{{.GraphDriver.Name}} {{.HostConfig.LogConfig}} {{.HostConfig.RestartPolicy}}", "{{.State.Health}}",
        "{{.Config.Entrypoint}} {{.Config.Volumes}} {{.Config.Cmd}} {{.Config.Labels}}",
        "{{.HostConfig.Binds}} {{.HostConfig.CapAdd}} {{.HostConfig.Tmpfs}}",
        "{{.HostConfig.PidsLimit}} {{.HostConfig.Init}} {{.HostConfig.MemorySwappiness}} {{.SizeRw}} {{.SizeRootFs}}",
        "{{.HostConfig.CPUShares}} {{.HostConfig.DNS}}",
        "{{.Config.Healthcheck}} {{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Timeout}} {{.Config.StopTimeout}}",
        "{{.HostConfig.PortBindings}}", "{{.Config.Labels.nope}}|{{.Config.Labels.nope.more}}|{{if .Config.Labels.nope}}yes{{else}}no{{end}}",
        '{{index .Config.Labels "b.c"}}', "{{.NetworkSettings.Ports}} {{.NetworkSettings.IPAddress}} {{.NetworkSettings.SecondaryIPAddresses}}",
        "{{.HostConfig.ConsoleSize}}", "{{.Driver}}", "{{json .State}}", "{{json .Config}}", "{{json .HostConfig}}", "{{json .NetworkSettings}}",
        "{{json .Mounts}}", "{{json .Config.Labels.nope}} {{json .SizeRw}}", "{{json .}}", "{{$.Name}} {{(.State).Pid}} {{(index .Mounts 0).Type}}",
        "{{range $port, $to := .HostConfig.PortBindings}}{{$port}}={{(index $to 0).HostPort}};{{end}}",
        "{{.HostConfig.Memory}} {{.HostConfig.NetworkMode}} {{.HostConfig.CgroupParent}}|",
    ],
    "control": [
        "{{with $x := .Name}}{{$x}}{{else with .Config}}c{{end}}", "{{if $x := .RestartCount}}{{$x}}{{else if $y := .Name}}{{$x}}{{$y}}{{end}}",
        "{{with 0}}a{{else with 2}}b{{.}}{{else}}c{{end}}",
        "{{range 3}}{{.}}{{else}}x{{end}} {{range $i := 2}}{{$i}}{{end}} {{range 0}}{{else}}none{{end}}",
        '{{range .Config.Cmd}}{{if eq . "-c"}}{{continue}}{{end}}{{.}},{{end}}',
        "{{range $i, $e := .Config.Cmd}}{{if $i}}{{break}}{{end}}{{$e}}{{end}}", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
        '{{define "T"}}<{{.}}>{{end}}{{template "T" .Name}}{{template "T"}}', '{{block "B" .Name}}[{{.}}]{{end}}',
        "{{$x := 1}}{{range .Config.Cmd}}{{$x = .}}{{end}}{{$x}}", "{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}",
        'a {{- /* no word of it */ -}} b {{- "c" -}} d', "{{range .HostConfig.Binds}}x{{else}}empty{{end}}",
        "{{with .State.Error}}{{.}}{{else}}none{{end}}", '{{and 1 0 2}} {{or 0 "" "x"}} {{and 1 2}} {{or 0 nil}} {{not 1}} {{true | not}}',
        "{{`raw \"x\"`}} {{\"\\u00e9\\x41\\101\"}} {{'a'}} {{'\\n'}}",
        "{{\"\\xc3\\xa9 \\303\\251 \\\"\"}} {{'\\xff'}} {{'\\377'}} {{'\\''}} {{len \"\\xc3\\xa9\"}}",
        "{{0x1F}} {{1_000}} {{1e3}} {{0b11}} {{0o17}} {{017}} {{1.5}} {{1e100}} {{-5}} {{1.0}} {{1e6}} {{123456789.0}} {{0.000001}} {{.5}}",
    ],
    "functions": [
        "{{html \"<a href='x'>\" 1}} {{js \"it's <b>&=\\n\"}} {{urlquery \"a b/c?&é~\" 1}} {{html (index .Config.Labels \"b.c\")}}",
        '{{print 1 2 "a" "b" 3 nil}}|{{println 1 "a"}}|',
        '{{len .Config.Cmd}} {{len .Name}} {{len .Config.Labels}} {{len .HostConfig.Binds}} {{"é" | len}}',
        '{{index .Config.Cmd 1}} {{index .Config.Labels "zz"}} {{index "abc" 1}}',
        '{{slice "abcdef" 1 3}} {{slice .Config.Cmd 1}} {{slice .Config.Cmd 1 2 3}} {{slice "abc"}}',
        '{{join .Config.Cmd ","}} {{split .Name "/"}} {{split .Name ""}} {{join .HostConfig.Binds ","}}',
        "{{lower \"ÄB\"}} {{upper .Name}} {{title \"hello world-foo it's\"}} {{truncate .Name 2}} {{truncate \"a\" 9}} {{pad "
        '"x" 1 2}}| {{pad "" 1 2}}|',
        # Letters whose capital is more than one, or has a form of its own for the head of a word.
        '{{title "ßx ﬁy ŉz ǆ ᾳ İ 1a _b ·c é-e"}} {{upper "ßx ﬁy ŉz ǆ ᾳ ᾈ"}} {{lower "İ ΑΣ ǅ"}}',
        '{{eq 1 2 1}} {{ne "a" "b"}} {{eq .Config.Labels.nope "x"}} {{lt 1 2}} {{le "a" "b"}} {{gt 1.5 1.0}} {{ge 2 2}} {{eq .State.Running false}}',
        '{{.State | json | len}} {{(printf "%d" 3) | print "a"}} {{.Name | printf "%s-%s" "x"}}',
        '{{json "<a&b>"}} {{json 1.5}} {{json nil}} {{json .Config.Cmd}}',
    ],
    "printf": [
        '{{printf "%5t|%-7t|%08.3f|%+d|% d|%x|%X|%#x|%o|%#o|%O|%b|%#b|%c|%U|%#U" true false 3.14159 5 5 255 255 255 8 8 8 5 5 65 0x1F600 0x1F600}}',
        '{{printf "%e|%E|%g|%G|%6.2f|%-8.1f|%+.1e|%g|%g|%v|%.3g|%.10g|%F" 123456.789 1.0 1e21 1e-7 1.005 2.25 '
        "12345.678 100000.0 1e20 1e21 1234.5678 0.1 2.5}}",
        '{{printf "%f|%.0f|%.0f|%.1f|%.20f|%e|%08.2f|%+08.2f|% .1f|%.0e|%5.1f" 0.0 0.5 1.5 0.06 0.1 0.0 -1.5 1.5 2.0 1500.0 0.04}}',
        '{{printf "%10s|%-10s|%.2s|%q|%#q|%+q|% x|%#x|% #x|%X|%05s" "abc" "abc" "abc" "a\\"b" "a`b" "é" "hi" "hi" "hi" "hi" "ab"}}',
        '{{printf "%05d|%-05d|%+05d|%x|%8.3d|%.0d|%6v|%-6v|%06v|%+v" -42 42 42 -255 7 0 1 2 3 4}}',
        "{{printf \"%q %q %+q %c %c\" 65 '\\'' 'é' 'b' 0x263a}}",
        '{{printf "%[2]s %[1]s" "a" "b"}} {{printf "%[2]*[1]d|" 7 5}} {{printf "%d %d %#[1]x %#x" 16 17}} {{printf '
        '"%*d|%-*d|%.*f" 5 42 5 42 2 1.555}}',
        '{{printf "%d" "x"}} {{printf "%z" 1}} {{printf "%d"}} {{printf "%d" 1 2 "c"}} {{printf "%!"}} {{printf '
        '"%[5]d" 1}} {{printf "%[x]d" 1}} {{printf "%"}} {{printf "%-"}}',
        '{{printf "%s %v %q %x %t" nil .SizeRootFs .Config.Labels.nope .Config.Labels.nope .Config.Labels.nope}}',
        '{{printf "%%|%5%|%t|%s|%s|%d|%f|%U" "x" 1.5 true 1.5 1 "x"}}',
        '{{printf "%v %+v %#v" .HostConfig.RestartPolicy .HostConfig.RestartPolicy .HostConfig.RestartPolicy}}',
        '{{printf "%s|%d|%v" .HostConfig.RestartPolicy .Config.Cmd .State.Running}}',
        '{{printf "%v|%6v|%q|%x|%#v|%T|%T" .Config.Cmd .Config.Cmd .Config.Cmd .Config.Cmd .Config.Cmd .Config.Cmd .Config.Labels}}',
        '{{printf "%v|%s|%d|%#v" .Config.Healthcheck.Interval .Config.Healthcheck.Interval '
        ".Config.Healthcheck.Interval .Config.Healthcheck.Interval}}",
        "{{printf \"%T %T %T %T %T %T %T %T\" 1 1.5 \"a\" true 'a' nil .HostConfig.NetworkMode .State}}", '{{printf "%v" .State}}',
        '{{printf "%#v %#v %#v %#v %#v" .State 1 "a" true .HostConfig.Binds}}',
    ],
}


# By the keys of the JSON, where Go's names are others: then all of a template is, and each has a run of its own.
BY_KEY = ["{{.Id}}", "{{.HostConfig.CpuShares}} {{.HostConfig.Dns}}", "{{.Id}} {{.Config.Entrypoint}} {{.HostConfig.Memory}} {{.State.Pid}}"]


@pytest.mark.parametrize("group", sorted(TEMPLATES))
def test_a_template_of_a_container_prints_what_dockers_prints(pair, box, group):
    compare(pair, TEMPLATES[group], "inspect", "-f", box)


def test_a_template_may_name_the_keys_of_the_json(pair, box):
    for template in BY_KEY:
        docker, apus = (cli("inspect", "-f", template, box).ok() for cli in pair)
        assert apus == docker


REFUSED = [
    "{{.Nope}}", "{{.State.Nope}}", "{{.State.Pid.foo}}", "{{.Config.Labels.a.b}}", "{{.id}}", "{{$x := 1}}{{$y}}", "{{$y = 1}}",
    "{{index .Config.Cmd 5}}", "{{index .Config.Cmd 3}}", "{{index .Config.Cmd -1}}", '{{index .Config.Cmd "a"}}', "{{index .Config.Labels 1}}",
    "{{index .State.Pid 1}}", "{{len 3}}", "{{slice .Config.Cmd 1 9}}", '{{slice "abc" 2 1}}', "{{eq 1 1.0}}", "{{eq 1}}", '{{lt 1 "a"}}',
    "{{lt true false}}", "{{lower 1}}", "{{lower .State.Running}}", '{{join .Name ","}}', "{{join .Config.Cmd}}", '{{join .Config.Cmd "," "x"}}',
    '{{truncate "abc" -1}}', '{{pad "a" -1 2}}', "{{call .Name}}", "{{call 1}}", "{{call nil}}", "{{break}}", "{{continue}}", '{{template "X"}}',
    "{{1 | 2}}", "{{nil}}", "{{and}}", "{{printf}}", "{{printf 1}}", "{{foo}}", "{{.Name", "{{if}}{{end}}", "{{end}}", "{{else}}", "{{if .Name}}",
    "{{range}}{{end}}", "{{.Name .Id}}", '{{"unterminated}}', "{{1 2}}", "{{define}}{{end}}", '{{range "abc"}}{{end}}',
    "{{range $i, $e := 3}}{{end}}", "{{range 1.5}}{{end}}", "{{not}}", "{{not 1 2}}", "{{json}}", "{{index}}",
    '{{if true}}{{define "x"}}{{end}}{{end}}', "{{index .Config.Labels.nope 1}}", "{{.Config.Labels.nope.b.c}}{{.Nope}}", "one\ntwo {{.Nope}}",
    '{{define "D"}}{{.Nope}}{{end}}{{template "D" .}}', '{{(index (index .HostConfig.PortBindings "81/tcp") 0).HostPort}}',
    "{{if .Name}}x{{end if .Id}}y{{end}}", "{{if .Name}}x{{end .Name.ID}}", "{{if .Name}}x{{end .}}", "{{if .Name}}x{{else .Name}}y{{end}}",
    "{{if .Name}}x{{else with .Name}}y{{end}}", "{{if .Name}}x{{else range .Name}}y{{end}}", "{{if .Name}}x{{else}}y{{else}}z{{end}}",
    "{{if .Name}}x{{else}}y{{end x}}", "{{range .Name}}x{{end x}}", "{{range .Name}}x{{else x}}y{{end}}", "{{range .Name}}x{{else if .Id}}y{{end}}",
    '{{if .Name}}x{{end "a long one of these"}}', "{{if .Name}}x{{end $x.y}}", "{{end x}}", "{{else if .Name}}", '{{define "x"}}{{else}}{{end}}',
    '{{define "x"}}{{end x}}', '{{block "x" .}}{{else}}{{end}}', "{{range 3}}{{break x}}{{end}}",
    r'{{"\x+1"}}', r'{{"\+12"}}', r'{{"\400"}}', r'{{"\x8"}}', r'{{"\ud800"}}', r"""{{"\'"}}""", r"""{{'\"'}}""", r"{{'\x-1'}}", r"{{'\400'}}",
    '{{eq .HostConfig.Memory "a"}}', "{{.State.Health.Status.Foo}}", "{{range .Config.Cmd}}{{.Foo}}{{end}}",
]


def test_a_template_that_docker_refuses_is_refused_in_its_words(pair, box):
    said = [{template: (run.code, run.out, run.err.strip()) for template in REFUSED for run in [cli("inspect", "-f", template, box)]} for cli in pair]
    assert said[1] == said[0]


def test_bytes_that_are_no_text_are_refused(pair, box):
    """Docker prints them as they are."""
    said = pair[1]("inspect", "-f", r'{{"a\xff"}}', box)
    assert said.code != 0 and r'the bytes of "a\xff" are no UTF-8' in said.err


def test_documents_of_other_objects_have_dockers_fields(pair, apus, image):
    apus("volume", "create", "--label", "a=1", "templates").ok()
    apus("network", "create", "--label", "a=1", "templates").ok()
    try:
        volume = ["{{.Name}} {{.Labels.a}}{{.Labels.b}} {{.Options}} {{.Status}} {{.ClusterVolume}}", "{{json .}}"]
        compare(pair, volume, "inspect", "--type", "volume", "-f", "templates")
        network = ["{{.IPAM.Driver}} {{.IPAM.Options}} {{.Containers}} {{.Peers}} {{.ConfigFrom}} {{.Created}}", "{{json .}}"]
        compare(pair, network, "inspect", "--type", "network", "-f", "templates")
        config = ["{{.Config.Entrypoint}} {{.Config.Volumes}} {{.Config.Labels.x}}",
                  "{{.Parent}}|{{.Variant}}|{{.RootFS.Type}} {{.OsVersion}}|{{.VirtualSize}}"]
        compare(pair, config, "inspect", "--type", "image", "-f", image)
    finally:
        apus("volume", "rm", "templates").ok()
        apus("network", "rm", "templates").ok()
    compare(pair, ["{{.Server.Experimental}} {{.Server.Version}} {{.Server.APIVersion}} {{.Server.Platform}}"], "version", "--format")
    info = ["{{.Driver}} {{.Swarm.LocalNodeState}} {{.Swarm.NodeID}}|{{.NCPU}} {{.Labels}}", "{{.Plugins}} {{.HTTPProxy}}|{{.Isolation}}|{{.Runtimes}}"]
    compare(pair, info, "info", "--format")


def test_an_event_has_dockers_fields(pair, box):
    templates = ["{{.Type}} {{.Action}} {{.Status}} {{.ID}} {{.Actor.ID}} {{.Scope}} {{.Time}} {{.TimeNano}}",
                 "{{.Actor.Attributes.name}} {{.Actor.Attributes.nope}}", "{{.Actor}}"]
    # Until then both wait.
    until = str(int(time.time()) + 1)
    said = [cli("events", "--since", "1", "--until", until, "--filter", f"container={box}", "--format", "\t".join(templates)).ok() for cli in pair]
    assert said[1] == said[0] != ""


@pytest.mark.parametrize("words", [("events", "--since", "1", "--until", "2"), ("info",), ("version",)], ids=["events", "info", "version"])
def test_a_template_that_docker_refuses_of_its_other_documents_is_refused_in_its_words(pair, words):
    """What comes before the fault is printed, as by docker's."""
    templates = ["{{.Nosuch}}", "{{.Nosuch", "{{nosuch}}", "{{if}}{{end}}", "one\ntwo {{.Nosuch.x}}", "{{.Actor.Nosuch}}", "{{.Swarm.Nosuch}}",
                 "{{.Server.Nosuch}}", "{{.Client.Nosuch}}", "{{len 3}}", "{{.ID}} {{.Nosuch}}",
                 "{{if true}}x{{.Nosuch}}{{end}}", "{{range 3}}{{.}}{{.a}}{{end}}"]
    docker, apus = ({template: (run.code, run.out, run.err) for template in templates for run in [cli(*words, "--format", template)]} for cli in pair)
    assert apus == docker


LISTS = {
    "ps": ("ps", "-a"), "sizes": ("ps", "-a", "-s"), "names": ("ps", "-aq"), "images": ("images",), "digests": ("images", "--digests"), "ids": ("images", "-q"),
    "volumes": ("volume", "ls"), "volume-names": ("volume", "ls", "-q"), "networks": ("network", "ls"), "network-ids": ("network", "ls", "-q"),
}


def answers(pair, *words):
    """Docker's and ours. How long ago something was moves on between the two: where they differ docker is asked again, until it says the same before
    and after."""
    def compared():
        before, apus, after = (cli(*words).ok() for cli in (*pair, pair[0]))
        return (after if apus == after else before, apus) if apus in (before, after) or before == after else None

    return wait_until(compared, "docker says the same twice", seconds=60)


@pytest.mark.parametrize("words", LISTS.values(), ids=LISTS.keys())
def test_a_list_in_the_raw_format_is_dockers(pair, box, words):
    docker, apus = answers(pair, *words, "--format", "raw")
    assert apus == docker and ": " in apus


def test_a_template_of_a_list_prints_what_dockers_prints(pair, box):
    for template in [
        '{{upper .Names}} {{.Platform}} {{.Label "a"}}{{.Label "zz"}}|', 'table {{upper .Names}}\t{{json .ID}}\t{{.Label "a"}}',
        "table {{if .ID}}x{{end}}\t{{len .Names}}", "table {{truncate .ID 3}}\t{{pad .Names 1 1}}", 'table {{range split .Names ""}}{{.}}{{end}}',
        '{{range $i, $e := split .Names "o"}}{{$i}}{{$e}}{{end}}', "{{json .}}",
    ]:
        docker, apus = answers(pair, "ps", "-a", "--format", template)
        assert apus == docker, template
    for template in ["{{.Nope}}", "{{.Names.x}}", "{{.Label}}", "{{.Names", "{{index .Names 99}}", "table {{.Names}} {{.Nope}}", "{{.Names}} {{.Nope}}"]:
        docker, apus = (cli("ps", "-a", "--format", template) for cli in pair)
        assert apus.code == docker.code != 0 and (apus.out, apus.err) == (docker.out, docker.err)


@pytest.mark.parametrize("words", ["images", "volume ls", "network ls", "history IMAGE", "stats --no-stream box", "context ls", "system df", "ps -a"])
def test_a_template_of_a_list_is_refused_in_dockers_words(pair, box, image, words):
    # Docker's ps counts the word `table` and what a backslash stands for among the places of a template, its other verbs do not.
    templates = ("{{.Nosuch}}", "{{.Nosuch", "table {{.Nosuch}}", "{{nosuch}}", "{{len 3}}", "{{.ID}} {{.Nosuch}}", r"table {{.ID}}\t{{.Nosuch}}", "x{{len 3}}")
    said = [{template: (run.code, run.out, run.err.strip()) for template in templates
             for run in [cli(*(image if word == "IMAGE" else word for word in words.split()), "--format", template)]} for cli in pair]
    assert said[1] == said[0]
