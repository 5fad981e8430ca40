"""Requests of docker's command lines and of docker-py for which `apus` may have no verb yet."""

import json
import subprocess
import time
from urllib.parse import quote

import docker
import pytest
from conftest import CLIENTS, Client
from engine_http import api
from processes import read_line, wait_until


@pytest.fixture(params=sorted(set(CLIENTS) - {"apus"}))
def docker_cli(request, daemon, workspace):
    return Client(request.param, CLIENTS[request.param], daemon.host, workspace)


@pytest.fixture
def sdk(daemon):
    client = docker.DockerClient(base_url=daemon.host, timeout=60)
    yield client
    client.close()


# Renaming


def test_feature_D14_a_renamed_container_answers_to_its_new_name_only(docker_cli, image):
    identifier = docker_cli("run", "-d", "--name", "before", image, "sleep", "60").line()
    assert docker_cli("rename", "before", "after").ok() == ""
    assert docker_cli.inspect("after", "{{.Id}} {{.Name}}") == f"{identifier} /after"
    assert docker_cli("inspect", "before").code == 1
    assert docker_cli("create", "--name", "before", image).code == 0, "the old name is free"
    assert docker_cli("ps", "--format", "{{.Names}}").line() == "after"
    result = docker_cli("rename", "after", "before")
    assert result.code == 1 and 'The container name "/before" is already in use' in result.err


def test_a_new_name_is_kept_by_the_next_daemon(brittle):
    brittle.client("create", "--name", "old", brittle.image).ok()
    api(brittle, "POST", "/containers/old/rename?name=new", expect=204)
    brittle.kill()
    brittle.start()
    assert [line["Names"] for line in api(brittle, "GET", "/containers/json?all=1")[1]] == [["/new"]]
    assert brittle.client("create", "--name", "old", brittle.image).code == 0


@pytest.mark.parametrize("name, status, text", [
    ("", 400, "Neither old nor new names may be empty"),
    ("one", 400, "Renaming a container with the same name as its current name"),
    ("/one", 400, "Renaming a container with the same name as its current name"),
    ("two", 409, 'Error when allocating new name: Conflict. The container name "/two" is already in use by container'),
    ("a", 400, "Error when allocating new name: Invalid container name (/a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    ("a/b", 400, "Error when allocating new name: Invalid container name (/a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
])
def test_a_name_that_cannot_be_given_is_refused_in_dockers_words(own_daemon, apus, image, name, status, text):
    for existing in ("one", "two"):
        apus("create", "--name", existing, image).ok()
    code, answer = api(own_daemon, "POST", f"/containers/one/rename?name={quote(name)}")
    assert code == status and answer["message"].startswith(text), answer
    assert api(own_daemon, "GET", "/containers/one/json")[0] == 200


# Pruning


def test_feature_D07_prune_removes_what_does_not_run_and_says_what(docker_cli, image):
    docker_cli("run", "-d", "--name", "runs", image, "sleep", "60").ok()
    fresh = docker_cli("create", "--name", "fresh", image).line()
    done = docker_cli("create", "--name", "done", image, "sh", "-c", "head -c 1000000 /dev/zero > /file").line()
    docker_cli("start", "-a", "done").ok()
    out = docker_cli("container", "prune", "-f").ok()
    assert fresh in out and done in out and "Total reclaimed space: 1" in out
    assert docker_cli("ps", "-a", "--format", "{{.Names}}").line() == "runs"
    assert docker_cli("container", "prune", "-f").line() == "Total reclaimed space: 0B"


def test_prune_is_narrowed_by_labels_and_age(sdk, own_daemon, image):
    names = {"kept": {"keep": "1"}, "blue": {"team": "blue"}, "red": {"team": "red"}}
    made = {name: sdk.containers.create(image, name=name, labels=labels).id for name, labels in names.items()}
    assert sdk.containers.prune({"until": "1h"})["ContainersDeleted"] is None
    assert sdk.containers.prune({"label": ["team=blue"]})["ContainersDeleted"] == [made["blue"]]
    assert sdk.containers.prune({"label!": ["keep"], "until": str(int(time.time()) + 60)})["ContainersDeleted"] == [made["red"]]
    for filters, text in [({"foo": ["a"]}, "invalid filter 'foo'"), ({"until": ["soon"]}, 'failed to parse value as time or duration: "soon"')]:
        code, answer = api(own_daemon, "POST", f"/containers/prune?filters={quote(json.dumps(filters))}")
        assert (code, answer["message"]) == (400, text)
    assert [found.name for found in sdk.containers.list(all=True)] == ["kept"]


# Events


def listened(events):
    """The actions of what was heard, with what tells them apart."""
    return [(event["Action"], *(event["Actor"]["Attributes"].get(key) for key in ("signal", "exitCode") if key in event["Actor"]["Attributes"]))
            for event in events]


def test_events_tell_a_containers_life_in_order(docker_cli, image):
    begin = f"{time.time():.9f}"
    script = "trap 'exit 4' TERM; echo up; while :; do sleep 0.05; done"
    identifier = docker_cli("create", "--name", "told", "-l", "team=blue", image, "sh", "-c", script).line()
    docker_cli("start", "told").ok()
    wait_until(lambda: "up" in docker_cli("logs", "told").out, "it will heed the signal")
    docker_cli("rename", "told", "retold").ok()
    docker_cli("exec", "retold", "true").ok()
    docker_cli("stop", "retold").ok()
    docker_cli("rm", "retold").ok()
    out = docker_cli("events", "--since", begin, "--until", f"{time.time():.9f}", "--filter", "container=" + identifier[:12], "--format", "{{json .}}").ok()
    events = [json.loads(line) for line in out.splitlines()]
    assert listened(events) == [
        ("create",), ("start",), ("rename",), ("exec_create: true",), ("exec_start: true",), ("exec_die", "0"), ("kill", "15"), ("die", "4"),
        ("stop",), ("destroy",)]
    first = events[0]
    assert (first["status"], first["id"], first["from"], first["Type"], first["scope"]) == ("create", identifier, image, "container", "local")
    assert first["Actor"] == {"ID": identifier, "Attributes": {"image": image, "name": "told", "team": "blue"}}
    assert first["timeNano"] // 1_000_000_000 == first["time"]
    assert events[2]["Actor"]["Attributes"]["oldName"] == "/told"


def test_events_are_heard_as_they_happen_and_only_those_asked_for(docker_cli, image, own_daemon):
    # It may listen only when some have ended: they are told of all the same.
    listener = docker_cli.start("events", "--since", f"{time.time():.9f}", "--filter", "event=die", "--filter", "label=team=blue",
                                "--format", "{{.Actor.Attributes.name}}", stdout=subprocess.PIPE)
    seen = []

    def hears():
        name = f"blue{len(seen)}"
        docker_cli("run", "--rm", "--name", name, "-l", "team=blue", image, "false")
        docker_cli("run", "--rm", "-l", "team=red", image, "false")
        seen.append(name)
        return len(seen) == 3

    wait_until(hears, "three containers end", seconds=60)
    assert [read_line(listener).decode().strip() for _ in seen] == seen
    listener.terminate()
    listener.wait(20)
    listener.stdout.close()
    assert api(own_daemon, "GET", "/_ping")[0] == 200


def test_events_of_images_carry_their_names(sdk, registry, daemon):
    begin = time.time()
    name = f"{registry.host}/beta"
    image = sdk.images.pull(name, tag="latest")
    image.tag("heard", "v1")
    sdk.images.remove("heard:v1")
    sdk.images.remove(name)
    events = list(sdk.api.events(since=f"{begin:.9f}", until=f"{time.time():.9f}", filters={"type": "image"}, decode=True))
    # The last name goes with its digest.
    assert [event["Action"] for event in events] == ["pull", "tag", "untag", "untag", "untag", "delete"]
    assert (events[0]["Actor"]["ID"], events[0]["Actor"]["Attributes"]["name"]) == (f"{name}:latest", name)
    assert (events[1]["Actor"]["ID"], events[1]["Actor"]["Attributes"]["name"]) == (image.id, "heard:v1")


def test_a_span_of_events_that_ends_before_it_begins_is_refused(own_daemon):
    code, answer = api(own_daemon, "GET", "/events?since=5&until=1")
    assert (code, answer["message"]) == (400, "`since` time (5) cannot be after `until` time (1)")
    assert api(own_daemon, "GET", "/events?since=1&until=2") == (200, "")
    assert api(own_daemon, "GET", "/events?since=yesterday")[0] == 400
