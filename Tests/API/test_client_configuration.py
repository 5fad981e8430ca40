"""What config.json says besides credentials holds where a command line says nothing: beside docker's command lines, where they do the same."""
# Rows: features

import json
import shlex

import pexpect
import pytest
from conftest import CLIENTS, Client
from test_clients import NEWEST
from test_command_lines import Recorder


class Configured:
    """A client with a config.json of its own."""

    def __init__(self, client, folder):
        self.client, self.folder = client, folder
        client.environment["DOCKER_CONFIG"] = str(folder)

    def write(self, document):
        text = document if isinstance(document, str) else json.dumps(document)
        (self.folder / "config.json").write_text(text, encoding="utf-8")

    def __call__(self, *words, **options):
        return self.client(*words, **options)


@pytest.fixture
def configured(cli, tmp_path):
    return Configured(cli, tmp_path)


@pytest.fixture
def ours(apus, tmp_path):
    return Configured(apus, tmp_path)


# What is no filter takes nothing from what is one.
KEEP = {"pruneFilters": ["label!=keep", "no filter", 5]}
PRUNES = {
    "container": ("container prune -f", "create --name kept --label keep IMAGE", "container inspect kept", "rm kept"),
    "network": ("network prune -f", "network create --label keep kept", "network inspect kept", "network rm kept"),
    "volume": ("volume prune -af", "volume create --label keep kept", "volume inspect kept", "volume rm kept"),
    "system": ("system prune -f", "create --name kept --label keep IMAGE", "container inspect kept", "rm kept"),
    "system with volumes": ("system prune -f --volumes", "network create --label keep kept", "network inspect kept", "network rm kept"),
}


@pytest.mark.parametrize("kind", PRUNES)
def test_a_prune_spares_what_the_configuration_spares(ours, image, kind):
    prune, create, inspect, remove = (shlex.split(line.replace("IMAGE", image)) for line in PRUNES[kind])
    ours(*create).ok()
    ours.write(KEEP)
    assert "kept" not in ours(*prune).ok()
    ours(*inspect).ok()
    ours(*remove).ok()


def test_an_image_prune_spares_what_the_configuration_spares(ours, image):
    container = ours("create", "--label", "of=test", image).line()
    made = ours("commit", "-c", "LABEL keep=1", container).line()
    ours.write(KEEP)
    assert made not in ours("image", "prune", "-f").ok()
    ours.write({})
    assert made in ours("image", "prune", "-f").ok()
    ours("rm", container).ok()


def test_the_command_line_of_a_prune_counts_more_than_the_configuration(ours, image):
    ours.write(KEEP)
    kept = ours("create", "--label", "keep", image).line()
    other = ours("create", "--label", "other", image).line()
    assert ours("container", "prune", "-f", "--filter", "label=keep").ok().split("\n")[1:2] == [kept]
    assert ours("container", "prune", "-f", "--filter", "label=nosuch").ok().startswith("Total")
    ours("rm", other).ok()


def test_both_filters_of_a_prune_are_shown_before_it(ours):
    ours.write({"pruneFilters": ["until=5h", "label!=keep"]})
    said = ours("system", "prune", "--filter", "label=mine", stdin="n\n").ok()
    assert "filtered with:\n  - label!=keep\n  - label=mine\n  - until=5h\n" in said


def test_the_filter_until_of_the_configuration_is_passed_on(configured, image):
    configured.write({"pruneFilters": ["until=5h"]})
    container = configured("create", image).line()
    assert configured("container", "prune", "-f").ok() == "Total reclaimed space: 0B\n"
    configured("rm", container).ok()


@pytest.mark.parametrize("words, typed", [((), "\x05\x05"), (("--detach-keys", "ctrl-b"), "\x02"), (("--detach-keys", ""), "\x05\x05")])
def test_the_keys_that_leave_a_container_are_the_configurations(configured, image, words, typed):
    configured.write({"detachKeys": "ctrl-e,ctrl-e"})
    client = configured.client
    run = pexpect.spawn(client.path, ["run", "-it", "--name", "left", *words, image, "sh", "-c", "echo rea''dy; exec sleep 100"],
                        env=client.environment, timeout=20)
    run.expect("ready")
    # The usual ones are none now.
    run.send("\x10\x11" + typed)
    run.expect(pexpect.EOF)
    run.close()
    assert configured("inspect", "-f", "{{.State.Running}}", "left").line() == "true"
    configured("rm", "-f", "left").ok()


def test_detach_keys_that_are_none_are_told_from_the_configuration_too(ours, image):
    ours.write({"detachKeys": "ctrl-nosuch"})
    result = ours("run", image, "true")
    assert result.code != 0 and "invalid detach keys (ctrl-nosuch)" in result.err, result


LISTS = {"psFormat": "ps -a", "imagesFormat": "images", "networksFormat": "network ls", "volumesFormat": "volume ls"}
FIELDS = {"psFormat": "{{.Names}}", "imagesFormat": "{{.Repository}}", "networksFormat": "{{.Name}}", "volumesFormat": "{{.Name}}"}


@pytest.mark.parametrize("key", LISTS)
def test_a_list_is_printed_as_the_configuration_says(configured, image, key):
    configured("create", "--name", "listed", image).ok()
    configured("volume", "create", "listed").ok()
    list_verb, format_text = LISTS[key].split(), f"<{FIELDS[key]}>"
    expected = {words: configured(*list_verb, *words).ok() for words in (("--format", format_text), ("--format", "x"), ("-q",))}
    configured.write({key: format_text})
    assert configured(*list_verb).ok() == expected["--format", format_text] and "<" in expected["--format", format_text]
    assert configured(*list_verb, "--format", "x").ok() == expected["--format", "x"]
    assert configured(*list_verb, "-q").ok() == expected["-q",]
    configured("rm", "listed").ok()
    configured("volume", "rm", "listed").ok()


def test_statistics_are_printed_as_the_configuration_says(configured, image):
    configured("run", "-d", "--name", "counted", image, "sleep", "100").ok()
    configured.write({"statsFormat": "<{{.Name}}>"})
    assert configured("stats", "--no-stream", "counted").line() == "<counted>"
    configured("rm", "-f", "counted").ok()


@pytest.mark.parametrize("text", ["{", '{"psFormat": 5}', '{"pruneFilters": "label!=keep"}', "[]"])
def test_a_file_that_is_malformed_is_told_and_the_command_goes_on(configured, text):
    configured.write(text)
    result = configured("ps", "-q")
    path = configured.folder / "config.json"
    first = "WARNING: Error loading config file" if configured.client.name == "docker-20.10" else f"WARNING: Error parsing config file ({path}): "
    assert result.code == 0 and result.err.startswith(first) and result.err.count("\n") == 1, result


def test_what_can_be_read_of_a_file_holds_beside_what_cannot(configured, image):
    configured("create", "--name", "listed", image).ok()
    configured.write({"imagesFormat": 5, "psFormat": "<{{.Names}}>"})
    assert "<listed>" in configured("ps", "-a").ok()
    configured("rm", "listed").ok()


@pytest.fixture
def recorder(tmp_path):
    with Recorder(str(tmp_path / "s")) as server:
        yield server
        server.shutdown()


@pytest.fixture(params=sorted({"apus", NEWEST} - {None}))
def telling(request, recorder, tmp_path):
    """A client at a socket that writes down what comes; with what it asks for."""
    configured = Configured(Client(request.param, CLIENTS[request.param], f"unix://{tmp_path}/s", str(tmp_path)), tmp_path)

    def created(*words, env=None):
        recorder.created.clear()
        configured("create", *words, "busybox", env=env).ok()
        return recorder.created[0]

    configured.created = created
    return configured


PROXIES = {"httpProxy": "http://p:1", "noProxy": "a,b", "ftpProxy": ""}
WITH = {
    "default": ({"default": PROXIES}, [], ["HTTP_PROXY=http://p:1", "NO_PROXY=a,b", "http_proxy=http://p:1", "no_proxy=a,b"]),
    "flags": ({"default": PROXIES}, ["-e", "http_proxy=mine", "-e", "NO_PROXY="], ["HTTP_PROXY=http://p:1", "NO_PROXY=", "http_proxy=mine", "no_proxy=a,b"]),
    "host": ({"default": PROXIES, "HOST": {"allProxy": "x", "httpsProxy": "y"}}, [], ["ALL_PROXY=x", "HTTPS_PROXY=y", "all_proxy=x", "https_proxy=y"]),
    "other": ({"tcp://other:1": PROXIES}, [], []),
}


@pytest.mark.parametrize("case", WITH)
def test_containers_get_the_proxies_of_the_configuration(telling, case):
    proxies, words, expected = WITH[case]
    telling.write({"proxies": {key.replace("HOST", telling.client.host): entry for key, entry in proxies.items()}})
    _, body = telling.created(*words)
    assert sorted(body.get("Env") or []) == expected


def test_each_request_has_the_headers_of_the_configuration(telling, recorder):
    telling.write({"HttpHeaders": {"X-Team": "blue sky", "content-length": "7", "Host": "elsewhere"}})
    telling.created()
    assert recorder.headers["X-Team"] == "blue sky" and recorder.headers["Host"] != "elsewhere"


def test_a_header_that_would_be_two_is_told_and_left_out(ours, recorder, tmp_path):
    ours.client.environment["DOCKER_HOST"] = f"unix://{tmp_path}/s"
    ours.write({"HttpHeaders": {"X-A": "1\r\nX-B: 2"}})
    result = ours("create", "busybox")
    assert result.code == 0 and "WARNING" in result.err and "X-B" not in recorder.headers, result


def test_the_platform_of_the_environment_is_asked_for_where_none_is_named(telling):
    env = {"DOCKER_DEFAULT_PLATFORM": "linux/arm64"}
    assert "platform=linux%2Farm64" in telling.created(env=env)[0]
    assert "platform=linux%2Famd64" in telling.created("--platform", "linux/amd64", env=env)[0]
    assert "platform" not in telling.created("--platform", "", env=env)[0]
